//! SLSA provenance v1: how something was built, from what, by whom.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::{Error, Statement, Subject};

/// The build type of a command that somebody ran, without a service that vouches for it.
pub const BUILD_TYPE: &str =
    "https://github.com/systmms/dsops/blob/main/docs/signing.md#build-type-v1";
/// The builder of such a build: a person's machine, SLSA build level 1.
pub const LOCAL_BUILDER: &str =
    "https://github.com/systmms/dsops/blob/main/docs/signing.md#local-build";

const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What GitHub's own attestations write, and verifiers know.
const GITHUB_BUILD_TYPE: &str = "https://actions.github.io/buildtypes/workflow/v1";

/// What a build was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// `git+https://…@refs/…`, or a file.
    pub uri: String,
    /// Its digests in hexadecimal, by algorithm: `gitCommit`, `sha256`.
    pub digests: Vec<(String, String)>,
}

/// How something was built. Whoever signs it says so; nothing of it is found out here.
///
/// # Security
/// Provenance is as good as its signer. A build that writes its own, on whatever machine, is SLSA
/// build level 1: [`LOCAL_BUILDER`] says no more. Level 2 and up need a service that writes it.
///
/// # Examples
/// ```
/// use dsops_attest::{Dependency, Provenance, Subject};
///
/// let mut provenance = Provenance::local();
/// provenance.dependencies.push(Dependency {
///     uri: "git+https://github.com/octo/demo@refs/tags/v1.2.3".into(),
///     digests: vec![("gitCommit".into(), "a".repeat(40))],
/// });
/// let statement = provenance.statement(&[Subject::sha256("app.tar.gz", &[0; 32])])?;
/// # Ok::<(), dsops_attest::Error>(())
/// ```
///
/// Source: SLSA provenance v1.0.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Who built it, as a URI.
    pub builder: String,
    /// How to read the parameters, as a URI.
    pub build_type: String,
    /// What was asked for by who started the build.
    pub parameters: Map<String, Value>,
    /// What the builder set itself.
    pub internal: Map<String, Value>,
    /// What it was made from, the source first.
    pub dependencies: Vec<Dependency>,
    /// Names the run.
    pub invocation: Option<String>,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub finished: Option<SystemTime>,
}

impl Provenance {
    /// A build by hand: [`LOCAL_BUILDER`], [`BUILD_TYPE`], and nothing else yet.
    pub fn local() -> Self {
        Self {
            builder: LOCAL_BUILDER.to_owned(),
            build_type: BUILD_TYPE.to_owned(),
            parameters: Map::new(),
            internal: Map::new(),
            dependencies: Vec::new(),
            invocation: None,
            started: None,
            finished: None,
        }
    }

    /// A build by a workflow of GitHub Actions, from the variables of its job: exactly what its
    /// certificate proves too, so that verifiers can hold every field against it. `None` when the
    /// job's variables are not all there.
    ///
    /// Source: `actions.github.io/buildtypes/workflow/v1`.
    pub fn github(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let server = text("GITHUB_SERVER_URL")?;
        let (repository, reference) = (text("GITHUB_REPOSITORY")?, text("GITHUB_REF")?);
        let workflow = text("GITHUB_WORKFLOW_REF")?;
        let (file, workflow_reference) = workflow.split_once('@')?;
        let path = file.strip_prefix(&repository)?.strip_prefix('/')?;
        let source = format!("{server}/{repository}");
        let run = format!(
            "{source}/actions/runs/{}/attempts/{}",
            text("GITHUB_RUN_ID")?,
            text("GITHUB_RUN_ATTEMPT")?
        );
        let mut github = Map::new();
        for (name, variable) in [
            ("event_name", "GITHUB_EVENT_NAME"),
            ("repository_id", "GITHUB_REPOSITORY_ID"),
            ("repository_owner_id", "GITHUB_REPOSITORY_OWNER_ID"),
            ("runner_environment", "RUNNER_ENVIRONMENT"),
        ] {
            github.extend(text(variable).map(|value| (name.to_owned(), value.into())));
        }
        let asked = json!({ "ref": workflow_reference, "repository": source, "path": path });
        Some(Self {
            builder: format!("{server}/{workflow}"),
            build_type: GITHUB_BUILD_TYPE.to_owned(),
            parameters: Map::from_iter([("workflow".to_owned(), asked)]),
            internal: Map::from_iter([("github".to_owned(), github.into())]),
            dependencies: vec![Dependency {
                uri: format!("git+{source}@{reference}"),
                digests: vec![("gitCommit".to_owned(), text("GITHUB_SHA")?)],
            }],
            invocation: Some(run),
            started: None,
            finished: None,
        })
    }

    /// The statement that these files were built so.
    ///
    /// # Errors
    /// [`Error::NoSubject`]; [`Error::Document`] when builder or build type are no URI;
    /// [`Error::Subject`] when a dependency has a digest that is none.
    pub fn statement(&self, subjects: &[Subject]) -> Result<Statement, Error> {
        for (name, uri) in [("builder", &self.builder), ("build type", &self.build_type)] {
            if !is_uri(uri) {
                let problem = format!("names a {name} that is no URI: `{}`", uri.escape_debug());
                return Err(Error::Document { what: "the provenance", problem });
            }
        }
        let mut definition = json!({
            "buildType": self.build_type,
            "externalParameters": self.parameters,
        });
        if !self.internal.is_empty() {
            definition["internalParameters"] = self.internal.clone().into();
        }
        let dependencies =
            self.dependencies.iter().map(Dependency::json).collect::<Result<Vec<_>, _>>()?;
        if !dependencies.is_empty() {
            definition["resolvedDependencies"] = dependencies.into();
        }
        let mut metadata = Map::new();
        if let Some(invocation) = &self.invocation {
            metadata.insert("invocationId".to_owned(), invocation.as_str().into());
        }
        for (name, time) in [("startedOn", self.started), ("finishedOn", self.finished)] {
            let time = time.map(|time| humantime::format_rfc3339_seconds(time).to_string());
            metadata.extend(time.map(|time| (name.to_owned(), time.into())));
        }
        let mut details = json!({ "builder": { "id": self.builder } });
        if !metadata.is_empty() {
            details["metadata"] = metadata.into();
        }
        let predicate = json!({ "buildDefinition": definition, "runDetails": details });
        Statement::new(subjects, PREDICATE_TYPE, &predicate)
    }
}

impl Dependency {
    /// `ResourceDescriptor`.
    fn json(&self) -> Result<Value, Error> {
        let mut json = json!({ "uri": self.uri });
        if !self.digests.is_empty() {
            let checked = Subject::new(self.uri.as_str(), self.digests.iter().cloned())?;
            json["digest"] = json!(checked.digests());
        }
        Ok(json)
    }
}

/// A scheme, a colon, and something behind it, without white space (SLSA: `TypeURI`).
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
            && !rest.is_empty()
            && !text.chars().any(|each| each.is_whitespace() || each.is_control())
    })
}

//! SLSA provenance v0.2 and v1, read into one form: who built, from what, asked by whom.

use super::builder::{DELEGATOR_BUILD, GITHUB_WORKFLOW_BUILD, NPM_WORKFLOW_BUILD};
use super::{BuilderId, Repository, Statement, StatementError};
use crate::json::{Fields, Json, JsonError};

/// Which form of provenance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProvenanceVersion {
    /// `https://slsa.dev/provenance/v0.2`
    V02,
    /// `https://slsa.dev/provenance/v1`
    V1,
}

/// How a builder says an artifact came about. Nothing here is proven by itself: whoever signed
/// the statement says so.
///
/// Source: SLSA Provenance v0.2 and v1.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    pub(super) version: ProvenanceVersion,
    pub(super) builder: BuilderId,
    pub(super) build_type: String,
    /// The repository and reference that asked for the build, as it stands there.
    pub(super) trigger: Option<SourceUri>,
    /// The first of the materials: what was built, by the contract of GitHub's builders.
    pub(super) source: Option<SourceUri>,
    /// The commit of `source`.
    pub(super) commit: Option<String>,
    /// How many materials there are.
    pub(super) materials: usize,
    /// The workflow that asked for the build, as a path in the repository.
    pub(super) workflow: Option<String>,
    /// Names the run of the build.
    pub(super) invocation: Option<String>,
    /// What the builder knew beside what it was asked: `environment`, `internalParameters`.
    pub(super) environment: Vec<(String, Json)>,
    /// What it was asked, beside the workflow: `parameters`, `externalParameters`.
    pub(super) parameters: Vec<(String, Json)>,
    /// Claims about times, completeness, reproducibility and steps, by their names.
    pub(super) extras: Vec<&'static str>,
}

/// A repository with a reference or without, and the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceUri {
    pub(super) text: String,
    pub(super) repository: Option<Repository>,
    pub(super) reference: Option<String>,
}

impl SourceUri {
    fn read(text: &str) -> Self {
        let split = Repository::split(text);
        Self {
            text: text.to_owned(),
            reference: split.as_ref().and_then(|(_, reference)| reference.map(ToOwned::to_owned)),
            repository: split.map(|(repository, _)| repository),
        }
    }
}

impl Provenance {
    /// Reads the predicate of a statement whose type is one of the two.
    ///
    /// # Errors
    /// [`StatementError::Malformed`] when a field is missing or of another kind;
    /// [`StatementError::Version`] when the predicate is no provenance of a known version.
    pub fn read(statement: &Statement) -> Result<Self, StatementError> {
        let predicate = Fields::of(statement.predicate(), "predicate")?;
        let provenance = match statement.predicate_type() {
            "https://slsa.dev/provenance/v0.2" => read_v02(predicate),
            "https://slsa.dev/provenance/v1" => read_v1(predicate),
            other => return Err(StatementError::Version { found: other.to_owned() }),
        };
        Ok(provenance?)
    }

    /// Which form it has.
    pub fn version(&self) -> ProvenanceVersion {
        self.version
    }

    /// Who says to have built it.
    pub fn builder(&self) -> &BuilderId {
        &self.builder
    }

    /// How it was built, as a URI that says what the other fields mean.
    pub fn build_type(&self) -> &str {
        &self.build_type
    }

    /// What was built, as it stands there: `git+https://github.com/owner/name@refs/tags/v1`.
    pub fn source(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.text.as_str())
    }

    /// The commit that was built.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// The reference of the build: what asked for it names, else what was built names.
    pub fn reference(&self) -> Option<&str> {
        // A delegated build may be asked for from elsewhere; there, what was built counts.
        let (first, second) = if self.build_type == DELEGATOR_BUILD {
            (&self.source, &self.trigger)
        } else {
            (&self.trigger, &self.source)
        };
        reference_of(first.as_ref()).or_else(|| reference_of(second.as_ref()))
    }

    /// Whether it is provenance of a GitHub workflow in the form of SLSA v1.
    pub(super) fn is_github_workflow(&self) -> bool {
        matches!(self.build_type.as_str(), NPM_WORKFLOW_BUILD | GITHUB_WORKFLOW_BUILD)
    }

    /// A variable of the environment; older builders write its name in small letters.
    pub(super) fn variable(&self, name: &str) -> Option<&Json> {
        let lower = name.to_ascii_lowercase();
        let named = |wanted: &str| {
            self.environment.iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
        };
        named(name).or_else(|| named(&lower))
    }

    /// The same as text; empty counts as absent.
    pub(super) fn variable_text(&self, name: &str) -> Option<&str> {
        self.variable(name).and_then(Json::as_str).filter(|text| !text.is_empty())
    }

    /// The inputs that were given when a person asked for the build.
    pub(super) fn inputs(&self) -> Option<&Json> {
        let given = self.parameters.iter().find(|(key, _)| key == "inputs").map(|(_, value)| value);
        given
            .or_else(|| self.variable("GITHUB_EVENT_PAYLOAD").and_then(|event| event.get("inputs")))
    }

    /// The branch from which a tag was made, as far as the event says so.
    pub(super) fn branch_of_tag(&self) -> Option<String> {
        if let Some(base) = self.variable_text("GITHUB_BASE_REF") {
            return Some(base.to_owned());
        }
        let event = self.variable("GITHUB_EVENT_PAYLOAD")?;
        match self.variable_text("GITHUB_EVENT_NAME")? {
            "push" => event.get("base_ref")?.as_str().map(ToOwned::to_owned),
            "release" => {
                let branch = event.get("release")?.get("target_commitish")?.as_str()?;
                Some(format!("refs/heads/{branch}"))
            }
            _ => None,
        }
    }
}

fn reference_of(uri: Option<&SourceUri>) -> Option<&str> {
    uri?.reference.as_deref()
}

fn builder(fields: &mut Fields<'_>) -> Result<BuilderId, JsonError> {
    let mut builder = fields.object("builder")?;
    let id = builder.text("id")?;
    BuilderId::read(id).ok_or_else(|| builder.error("id", "is not the name of a builder"))
}

/// The entries of an object that may be missing; anything else there is an error.
fn entries(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<(String, Json)>, JsonError> {
    match fields.optional(name) {
        None => Ok(Vec::new()),
        Some(Json::Object(entries)) => Ok(entries.clone()),
        Some(_) => Err(fields.error(name, "is not an object")),
    }
}

/// The first material as source, its commit, and how many there are.
fn materials(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> Result<(Option<SourceUri>, Option<String>, usize), JsonError> {
    const LIMIT: usize = 100_000;
    let mut all = fields.objects(name, LIMIT)?;
    let count = all.len();
    let Some(first) = all.first_mut() else { return Ok((None, None, 0)) };
    let source = first.optional_text("uri")?.map(SourceUri::read);
    let commit = match first.optional_object("digest")? {
        None => None,
        Some(mut digest) => match digest.optional_text("gitCommit")? {
            Some(commit) => Some(commit.to_owned()),
            None => digest.optional_text("sha1")?.map(ToOwned::to_owned),
        },
    };
    Ok((source, commit, count))
}

fn read_v02(mut fields: Fields<'_>) -> Result<Provenance, JsonError> {
    let builder = builder(&mut fields)?;
    let build_type = fields.text("buildType")?.to_owned();
    let mut provenance = Provenance {
        version: ProvenanceVersion::V02,
        builder,
        build_type,
        trigger: None,
        source: None,
        commit: None,
        materials: 0,
        workflow: None,
        invocation: None,
        environment: Vec::new(),
        parameters: Vec::new(),
        extras: Vec::new(),
    };
    if let Some(mut invocation) = fields.optional_object("invocation")? {
        provenance.environment = entries(&mut invocation, "environment")?;
        provenance.parameters = entries(&mut invocation, "parameters")?;
        if let Some(mut config) = invocation.optional_object("configSource")? {
            provenance.trigger = config.optional_text("uri")?.map(SourceUri::read);
            provenance.workflow = config.optional_text("entryPoint")?.map(ToOwned::to_owned);
        }
    }
    (provenance.source, provenance.commit, provenance.materials) =
        materials(&mut fields, "materials")?;
    if let Some(mut metadata) = fields.optional_object("metadata")? {
        provenance.invocation = metadata.optional_text("buildInvocationId")?.map(ToOwned::to_owned);
        for time in ["buildStartedOn", "buildFinishedOn"] {
            if metadata.optional_text(time)?.is_some() {
                provenance.extras.push(time);
            }
        }
        if is_true(&mut metadata, "reproducible")? {
            provenance.extras.push("reproducible");
        }
        if let Some(mut complete) = metadata.optional_object("completeness")? {
            for part in ["parameters", "environment", "materials"] {
                if is_true(&mut complete, part)? {
                    provenance.extras.push("completeness");
                }
            }
        }
    }
    if !matches!(fields.optional("buildConfig"), None | Some(Json::Object(_) | Json::List(_))) {
        return Err(fields.error("buildConfig", "is neither an object nor a list"));
    }
    if fields.optional("buildConfig").is_some_and(|config| match config {
        Json::Object(steps) => !steps.is_empty(),
        _ => true,
    }) {
        provenance.extras.push("buildConfig");
    }
    Ok(provenance)
}

fn is_true(fields: &mut Fields<'_>, name: &'static str) -> Result<bool, JsonError> {
    match fields.optional(name) {
        None => Ok(false),
        Some(Json::Bool(value)) => Ok(*value),
        Some(_) => Err(fields.error(name, "is neither true nor false")),
    }
}

fn read_v1(mut fields: Fields<'_>) -> Result<Provenance, JsonError> {
    let mut definition = fields.object("buildDefinition")?;
    let mut details = fields.object("runDetails")?;
    let builder = builder(&mut details)?;
    let build_type = definition.text("buildType")?.to_owned();
    let environment = entries(&mut definition, "internalParameters")?;
    let mut parameters = entries(&mut definition, "externalParameters")?;
    let (source, commit, materials) = materials(&mut definition, "resolvedDependencies")?;

    let mut workflow = None;
    let mut trigger = None;
    if let Some(mut external) = definition.optional_object("externalParameters")?
        && let Some(Json::Object(_)) = external.optional("workflow")
    {
        let mut asked = external.object("workflow")?;
        workflow = asked.optional_text("path")?.map(ToOwned::to_owned);
        if let (Some(repository), Some(reference)) =
            (asked.optional_text("repository")?, asked.optional_text("ref")?)
        {
            trigger = Some(SourceUri::read(&format!("git+{repository}@{reference}")));
        }
        if matches!(build_type.as_str(), NPM_WORKFLOW_BUILD | GITHUB_WORKFLOW_BUILD) {
            asked.end(false)?;
        }
        parameters.retain(|(key, _)| key != "workflow");
    }
    let mut provenance = Provenance {
        version: ProvenanceVersion::V1,
        builder,
        build_type,
        trigger,
        source,
        commit,
        materials,
        workflow,
        invocation: None,
        environment,
        parameters,
        extras: Vec::new(),
    };
    // The SLSA project's own builders say it by the variable of that name.
    if provenance.trigger.is_none()
        && let Some(text) = provenance.variable_text("GITHUB_WORKFLOW_REF")
        && let Some((path, reference)) = text.split_once('@')
        && let [owner, name, file @ ..] = path.split('/').collect::<Vec<_>>().as_slice()
    {
        let trigger = format!("git+https://github.com/{owner}/{name}@{reference}");
        let file = file.join("/");
        provenance.trigger = Some(SourceUri::read(&trigger));
        provenance.workflow = provenance.workflow.or(Some(file));
    }
    if let Some(mut metadata) = details.optional_object("metadata")? {
        provenance.invocation = metadata.optional_text("invocationId")?.map(ToOwned::to_owned);
        for time in ["startedOn", "finishedOn"] {
            if metadata.optional_text(time)?.is_some() {
                provenance.extras.push(time);
            }
        }
    }
    if !details.list("byproducts", 100_000)?.is_empty() {
        provenance.extras.push("byproducts");
    }
    Ok(provenance)
}

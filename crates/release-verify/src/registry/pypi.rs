//! The Python index: attestations of trusted publishers (PEP 740).

use super::version::Distribution;
use super::{LIMIT_ATTESTATIONS, RegistryError, parse, to_bytes};
use crate::claims::{BuildClaims, arc};
use crate::json::{Fields, Json, to_base64};
use crate::statement::{PAYLOAD_TYPE, PredicateKind, Statement};
use crate::{
    Algorithm, Artifact, CertificateIdentity, Finding, Origin, Signer, State, SubjectName,
};

/// Who may publish, by the rules of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publisher {
    /// A workflow on GitHub.
    GitHub {
        /// `owner/name`.
        repository: String,
        /// The file in `.github/workflows`: `release.yml`.
        workflow: String,
        /// The environment it has to run in, when one was named; in any case of letters. Certificates
        /// name it only of jobs that run in one, and older ones never: without, it is undecided.
        environment: Option<String>,
    },
    /// A pipeline on GitLab.
    GitLab {
        /// `group/name`.
        repository: String,
        /// The path of its configuration: `.gitlab-ci.yml`.
        workflow: String,
        /// The environment, when one was named.
        environment: Option<String>,
    },
    /// A service account of Google Cloud.
    Google {
        /// Its address.
        email: String,
    },
}

/// One attestation of a file, not verified yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Attestation {
    certificate: Json,
    entries: Json,
    statement: Vec<u8>,
    signature: Vec<u8>,
}

impl Attestation {
    /// Reads a file `*.publish.attestation`, or an element of an index's answer.
    ///
    /// # Errors
    /// [`RegistryError`] when it is something else.
    pub fn read(data: &[u8]) -> Result<Self, RegistryError> {
        let document = parse(data)?;
        Self::from_fields(Fields::of(&document, "")?)
    }

    fn from_fields(mut fields: Fields<'_>) -> Result<Self, RegistryError> {
        version(&mut fields)?;
        let mut material = fields.object("verification_material")?;
        // Read to see that it is base64; kept as it stands.
        material.bytes("certificate")?;
        let certificate = material.required("certificate")?.clone();
        let entries = material.required("transparency_entries")?.clone();
        if !matches!(&entries, Json::List(entries) if !entries.is_empty()) {
            return Err(material
                .error("transparency_entries", "is not a list with an entry")
                .into());
        }
        let mut envelope = fields.object("envelope")?;
        let statement = envelope.bytes("statement")?;
        let signature = envelope.bytes("signature")?;
        Ok(Self { certificate, entries, statement, signature })
    }

    /// The same as a Sigstore bundle, which then is verified as any other.
    ///
    /// Source: PEP 740, "Attestation objects"; Sigstore bundle v0.3.
    pub fn to_bundle(&self) -> Vec<u8> {
        let text = |text: &str| Json::Text(text.to_owned());
        let object = |fields: Vec<(&str, Json)>| {
            Json::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        // An entry without a proof that the log holds it is of the oldest kind of bundle.
        let proven = matches!(&self.entries, Json::List(entries)
            if entries.iter().all(|entry| entry.get("inclusionProof").is_some()));
        let (media_type, certificate) = if proven {
            let certificate = object(vec![("rawBytes", self.certificate.clone())]);
            ("application/vnd.dev.sigstore.bundle.v0.3+json", ("certificate", certificate))
        } else {
            let only = object(vec![("rawBytes", self.certificate.clone())]);
            let chain = object(vec![("certificates", Json::List(vec![only]))]);
            (
                "application/vnd.dev.sigstore.bundle+json;version=0.1",
                ("x509CertificateChain", chain),
            )
        };
        let signature = object(vec![("sig", text(&to_base64(&self.signature)))]);
        to_bytes(&object(vec![
            ("mediaType", text(media_type)),
            (
                "verificationMaterial",
                object(vec![certificate, ("tlogEntries", self.entries.clone())]),
            ),
            (
                "dsseEnvelope",
                object(vec![
                    ("payload", text(&to_base64(&self.statement))),
                    ("payloadType", text(PAYLOAD_TYPE)),
                    ("signatures", Json::List(vec![signature])),
                ]),
            ),
        ]))
    }
}

/// The attestations of one publisher, as the index hands them out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PublisherAttestations {
    /// Whom the index names as the publisher. The index says so; a policy should name its own.
    pub publisher: Publisher,
    /// What it signed.
    pub attestations: Vec<Attestation>,
}

/// Whether `data` looks like one attestation of a file.
pub fn is_attestation(data: &[u8]) -> bool {
    parse(data).is_ok_and(|document| {
        document.get("verification_material").is_some() && document.get("envelope").is_some()
    })
}

/// Whether `data` looks like the index's answer about a file.
pub fn is_provenance(data: &[u8]) -> bool {
    parse(data).is_ok_and(|document| document.get("attestation_bundles").is_some())
}

/// Reads the index's answer about a file: `{"version": 1, "attestation_bundles": […]}`.
///
/// # Errors
/// [`RegistryError`] when it is something else.
pub fn read_provenance(data: &[u8]) -> Result<Vec<PublisherAttestations>, RegistryError> {
    let document = parse(data)?;
    let mut fields = Fields::of(&document, "")?;
    version(&mut fields)?;
    let mut all = Vec::new();
    for mut bundle in fields.objects("attestation_bundles", LIMIT_ATTESTATIONS)? {
        let publisher = publisher(bundle.object("publisher")?)?;
        let attestations = bundle
            .objects("attestations", LIMIT_ATTESTATIONS)?
            .into_iter()
            .map(Attestation::from_fields)
            .collect::<Result<_, _>>()?;
        all.push(PublisherAttestations { publisher, attestations });
    }
    if all.is_empty() {
        return Err(fields.error("attestation_bundles", "there is none").into());
    }
    Ok(all)
}

fn version(fields: &mut Fields<'_>) -> Result<(), RegistryError> {
    match fields.integer("version")? {
        Some(1) => Ok(()),
        Some(found) => Err(RegistryError::Version { found }),
        None => Err(fields.error("version", "missing").into()),
    }
}

fn publisher(mut fields: Fields<'_>) -> Result<Publisher, RegistryError> {
    let environment = |fields: &mut Fields<'_>| {
        let text = fields.optional_text("environment")?;
        Ok::<_, RegistryError>(text.filter(|text| !text.is_empty()).map(ToOwned::to_owned))
    };
    match fields.text("kind")? {
        "GitHub" => Ok(Publisher::GitHub {
            repository: fields.text("repository")?.to_owned(),
            workflow: fields.text("workflow")?.to_owned(),
            environment: environment(&mut fields)?,
        }),
        "GitLab" => Ok(Publisher::GitLab {
            repository: fields.text("repository")?.to_owned(),
            workflow: fields.text("workflow_filepath")?.to_owned(),
            environment: environment(&mut fields)?,
        }),
        "Google" => Ok(Publisher::Google { email: fields.text("email")?.to_owned() }),
        _ => Err(fields.error("kind", "is no publisher that is known").into()),
    }
}

/// Holds a statement that was found well signed against a file of a Python package:
/// `pypi/predicate`, `statement/subject`, `pypi/file`, and with a publisher `pypi/publisher`.
///
/// `file` is the name the file has on the index. `publisher` is who has to have published it; a
/// policy of the caller says that, the index can only suggest it.
pub fn check(
    statement: &Statement,
    signer: &Signer,
    artifact: &Artifact,
    file: &str,
    publisher: Option<&Publisher>,
    origin: &Origin,
) -> Vec<Finding> {
    let mut findings = vec![
        check_predicate(statement),
        statement.check_subject(artifact),
        check_file(statement, file),
    ];
    if let Some(publisher) = publisher {
        findings.push(publisher.check(signer));
    }
    findings.into_iter().map(|finding| finding.at(origin)).collect()
}

fn check_predicate(statement: &Statement) -> Finding {
    const CODE: &str = "pypi/predicate";
    let found = statement.predicate_type();
    let good = statement.kind() == PredicateKind::PypiPublish
        || found == crate::github::PROVENANCE_PREDICATE;
    let finding = if good {
        Finding::passed(CODE, "the statement is of a kind that the index takes")
    } else {
        Finding::failed(CODE, "the statement is of a kind that the index does not take")
    };
    finding.compared("https://docs.pypi.org/attestations/publish/v1", found)
}

fn check_file(statement: &Statement, file: &str) -> Finding {
    const CODE: &str = "pypi/file";
    let [only] = statement.subjects() else {
        return Finding::failed(CODE, "the statement is not about exactly one file");
    };
    let found = only.name().unwrap_or_default();
    let (state, message) = match (Distribution::parse(file), Distribution::parse(found)) {
        (None, _) => {
            (State::Undecided, "the name of the file is none of a Python package: rename it back")
        }
        (_, None) => (State::Failed, "the statement names no file of a Python package"),
        (Some(wanted), Some(found)) if wanted == found => {
            (State::Passed, "the statement names the file as the index does")
        }
        _ => (State::Failed, "the statement names another file"),
    };
    if only.digest(Algorithm::Sha256).is_none() {
        return Finding::failed(CODE, "the statement names no file by its SHA-256");
    }
    Finding::new(CODE, state, message).compared(file, found)
}

impl Publisher {
    /// Whether `signer` is this publisher: `pypi/publisher`.
    pub fn check(&self, signer: &Signer) -> Finding {
        const CODE: &str = "pypi/publisher";
        let Signer::Certificate(identity) = signer else {
            return Finding::failed(CODE, "a key signed it, not a publisher");
        };
        let names_environment = || BuildClaims::of(identity).claim(arc::ENVIRONMENT).is_some();
        match self.mismatch(identity) {
            // A job outside of any environment has such a certificate, and so had every job before
            // certificates named it.
            None if self.environment().is_some() && !names_environment() => {
                Finding::undecided(CODE, "the certificate does not name the environment")
            }
            None => Finding::passed(CODE, "the publisher signed it"),
            Some((what, wanted, found)) => {
                Finding::failed(CODE, format!("another publisher signed it: the {what} differs"))
                    .compared(wanted, found)
            }
        }
    }

    /// What differs, what it should be, and what it is.
    fn mismatch(&self, identity: &CertificateIdentity) -> Option<(&'static str, String, String)> {
        let issuer = identity.issuer.as_deref().unwrap_or_default();
        let expect = |what, wanted: String, found: &str| {
            (wanted != found).then(|| (what, wanted, found.to_owned()))
        };
        let (server, provider, repository, path, environment) = match self {
            Self::Google { email } => {
                let wanted = "https://accounts.google.com".to_owned();
                return expect("identity provider", wanted, issuer).or_else(|| {
                    match identity.names.as_slice() {
                        [SubjectName::Email(found)] => expect("address", email.clone(), found),
                        _ => Some(("address", email.clone(), String::new())),
                    }
                });
            }
            Self::GitHub { repository, workflow, environment } => (
                "https://github.com",
                crate::github::ISSUER,
                repository,
                format!(".github/workflows/{workflow}"),
                environment,
            ),
            // GitLab writes two slashes before the path of a configuration.
            Self::GitLab { repository, workflow, environment } => (
                "https://gitlab.com",
                "https://gitlab.com",
                repository,
                format!("/{workflow}"),
                environment,
            ),
        };
        let claims = BuildClaims::of(identity);
        let claim = |arc| claims.claim(arc).unwrap_or_default();
        let source = format!("{server}/{repository}");
        let configuration = claim(arc::BUILD_CONFIG_URI);
        let references =
            [claims.claim(arc::SOURCE_REPOSITORY_DIGEST), claims.claim(arc::SOURCE_REPOSITORY_REF)];
        let right = references
            .into_iter()
            .flatten()
            .any(|reference| configuration == format!("{source}/{path}@{reference}"));
        expect("identity provider", provider.to_owned(), issuer)
            .or_else(|| expect("repository", source.clone(), claim(arc::SOURCE_REPOSITORY_URI)))
            .or_else(|| {
                let wanted = format!("{source}/{path}@…");
                (!right).then(|| ("workflow", wanted, configuration.to_owned()))
            })
            .or_else(|| {
                let (wanted, found) = (environment.as_ref()?, claims.claim(arc::ENVIRONMENT)?);
                // GitHub takes a name in any case for the same environment, and the index keeps it
                // in lower case.
                let is_same =
                    matches!(self, Self::GitHub { .. }) && wanted.eq_ignore_ascii_case(found);
                if is_same { None } else { expect("environment", wanted.clone(), found) }
            })
    }

    /// The environment that is asked for.
    fn environment(&self) -> Option<&str> {
        match self {
            Self::GitHub { environment, .. } | Self::GitLab { environment, .. } => {
                environment.as_deref()
            }
            Self::Google { .. } => None,
        }
    }
}

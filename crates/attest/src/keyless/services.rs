//! Which services sign with us: read from a signing configuration.

use dsops_transport::Url;
use sigstore_trust_root::{
    ServiceConfiguration, ServiceEndpoint, ServiceSelector, SigningConfig, SigstoreInstance,
};

use crate::Error;

const WHAT: &str = "the signing configuration";
/// No more are used, whatever a configuration says.
const LIMIT: usize = 8;

/// The services of one Sigstore instance that are used for a signature.
#[derive(Clone, Debug)]
pub struct Services {
    pub(super) fulcio: Url,
    pub(super) logs: Vec<Log>,
    pub(super) tsas: Vec<Url>,
}

/// A transparency log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) url: Url,
    /// Rekor v1 or v2.
    pub(super) version: u32,
}

impl Services {
    /// How large a signing configuration may be.
    pub const LIMIT_BYTES: usize = 1024 * 1024;

    /// The public instance, as of the release of this crate.
    ///
    /// # Errors
    /// As [`Services::read`]; a service may have ended since.
    pub fn public() -> Result<Self, Error> {
        let config = SigstoreInstance::PublicGood.embedded_signing_config_json();
        Self::read(config.unwrap_or_default().as_bytes())
    }

    /// Those that a signing configuration (v0.2) names and that are in use now: of each operator the
    /// one with the newest interface, as many operators as the configuration says.
    ///
    /// # Errors
    /// [`Error::Document`], [`Error::NoService`].
    pub fn read(json: &[u8]) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Document { what: WHAT, problem };
        if json.len() > Self::LIMIT_BYTES {
            return Err(wrong("is too large".into()));
        }
        let text = std::str::from_utf8(json).map_err(|_| wrong("is not UTF-8".into()))?;
        let config = SigningConfig::from_json(text).map_err(|error| {
            wrong(format!("is malformed: {}", error.to_string().escape_debug()))
        })?;
        let one = ServiceConfiguration::default();
        let fulcio = chosen("Fulcio", config.eligible_fulcio_urls(), &one)?;
        let logs = chosen("Rekor", config.eligible_rekor_urls(None), &config.rekor_tlog_config)?;
        let has_second = logs.iter().any(|log| log.major_api_version >= 2);
        // Rekor v2 says no times: without a timestamp nobody could tell when it was signed.
        let tsas = match config.eligible_tsa_urls() {
            none if none.is_empty() && !has_second => Vec::new(),
            some => chosen("timestamp authority", some, &config.tsa_config)?,
        };
        let logs =
            logs.into_iter().map(|log| Ok(Log { url: url(log)?, version: log.major_api_version }));
        Ok(Self {
            fulcio: url(fulcio[0])?,
            logs: logs.collect::<Result<_, Error>>()?,
            tsas: tsas.into_iter().map(url).collect::<Result<_, _>>()?,
        })
    }

    /// Where they are: the certificate authority, then logs, then timestamp authorities.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        let logs = self.logs.iter().map(|log| &log.url);
        std::iter::once(&self.fulcio).chain(logs).chain(&self.tsas)
    }
}

/// As many as are asked for, at least one, the best first.
fn chosen<'a>(
    service: &'static str,
    mut all: Vec<&'a ServiceEndpoint>,
    how: &ServiceConfiguration,
) -> Result<Vec<&'a ServiceEndpoint>, Error> {
    let start = |endpoint: &ServiceEndpoint| endpoint.valid_for.start;
    all.sort_by(|one, other| {
        (other.major_api_version, start(other)).cmp(&(one.major_api_version, start(one)))
    });
    let mut operators = Vec::new();
    all.retain(|endpoint| {
        let is_new = endpoint.operator.is_none() || !operators.contains(&&endpoint.operator);
        operators.push(&endpoint.operator);
        is_new
    });
    let wanted = match (how.selector, how.count) {
        (ServiceSelector::Any, _) => 1,
        (ServiceSelector::All, _) => all.len(),
        (ServiceSelector::Exact, Some(count)) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => {
            let problem = format!("does not say how many of {service} are to be used");
            return Err(Error::Document { what: WHAT, problem });
        }
    };
    if wanted == 0 || all.len() < wanted || wanted > LIMIT {
        return Err(Error::NoService { service });
    }
    all.truncate(wanted);
    Ok(all)
}

fn url(endpoint: &ServiceEndpoint) -> Result<Url, Error> {
    // With a slash, so that paths are joined behind it.
    Url::parse(endpoint.url.trim_end_matches('/')).map_err(|_| Error::Document {
        what: WHAT,
        problem: format!("names a service at `{}`, which is no URL", endpoint.url.escape_debug()),
    })
}

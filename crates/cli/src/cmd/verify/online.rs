//! The network: what may use it, and by which client.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use dsops_release_verify::oci::{DockerConfig, Keychain, Login, OciError, Reference, Registry};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_transport::{Client, Proxy, Roots};

use super::files;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The most that a file with logins may have; what is in it stays in protected memory.
const LOGINS_LIMIT_BYTES: usize = 1 << 20;
/// The most that a file with authorities may have.
const CA_LIMIT_BYTES: usize = 4 << 20;

// Whether the network may be used, and how.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Use the network: ask registries for images, and the repositories of roots of trust for newer
    /// ones where their last answer has run out (not with `--trusted-root`)
    #[arg(long, conflicts_with = "offline")]
    pub online: bool,
    /// Do not use the network, which is how it is anyway
    #[arg(long)]
    pub offline: bool,
    /// Believe servers by the authorities in this file too (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "online")]
    pub ca_file: Option<OsString>,
    /// A host that a registry names for tokens and that may see its credentials, though it is
    /// neither above nor below the registry's own
    #[arg(long, value_name = "HOST", requires = "online")]
    pub token_host: Vec<String>,
}

impl Flags {
    /// Whether any of these flags was given.
    pub fn is_anything_said(&self) -> bool {
        self.online || self.offline || self.ca_file.is_some() || !self.token_host.is_empty()
    }
}

/// A client with the proxies of the environment. Nothing is asked yet.
///
/// # Errors
/// The file with authorities or a proxy cannot be used.
pub fn client(cx: &Context, ca_file: Option<&OsStr>) -> Result<Client, Failure> {
    let mut builder = Client::builder().allow_loopback_http();
    if let Some(file) = ca_file {
        let pem = files::read(file, CA_LIMIT_BYTES)
            .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?;
        builder = builder.roots(Roots::PlatformAnd(pem));
    }
    if let Some(proxy) = proxy(cx)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| unusable(&error))
}

/// The proxy of the environment, in the spelling that curl prefers.
fn proxy(cx: &Context) -> Result<Option<Proxy>, Failure> {
    let value = |names: [&str; 2]| {
        names.into_iter().find_map(|name| cx.environment.var(name).filter(|text| !text.is_empty()))
    };
    let Some(url) = value([env_vars::HTTPS_PROXY_LOWER, env_vars::HTTPS_PROXY]) else {
        return Ok(None);
    };
    // It may hold a password.
    let url = SecretBytes::adopt(&mut url.into_encoded_bytes())?;
    let url = url.expose();
    let except = value([env_vars::NO_PROXY_LOWER, env_vars::NO_PROXY]).unwrap_or_default();
    let url = std::str::from_utf8(&url)
        .map_err(|_| Failure::usage("HTTPS_PROXY is no text", "it is the URL of a proxy"))?;
    Proxy::parse(url, &except.to_string_lossy()).map(Some).map_err(|error| unusable(&error))
}

fn unusable(error: &dsops_transport::Error) -> Failure {
    let mut report = Report::error("the network cannot be used as asked").because(error);
    report.code = Some("verify/network");
    report.help = error.help().map(str::to_owned);
    Failure::new(Exit::Config, report)
}

/// Asks registries, with the logins that Docker and podman keep.
pub struct Online<'a> {
    client: Client,
    keychain: Logins,
    flags: &'a Flags,
}

impl<'a> Online<'a> {
    /// By that client. Nothing is asked yet.
    ///
    /// # Errors
    /// A file with logins cannot be read.
    pub fn new(cx: &Context, client: Client, flags: &'a Flags) -> Result<Self, Failure> {
        Ok(Self { client, keychain: Logins::find(cx)?, flags })
    }

    /// The repository of an image.
    ///
    /// # Errors
    /// Its host is none.
    pub fn registry(&self, reference: &Reference) -> Result<Registry<'_>, OciError> {
        let registry = Registry::new(&self.client, &self.keychain, reference)?;
        Ok(self.flags.token_host.iter().fold(registry, Registry::allow_token_host))
    }
}

/// The files in which podman and Docker keep logins, in the order in which they are asked.
struct Logins(Vec<DockerConfig>);

impl Logins {
    fn find(cx: &Context) -> Result<Self, Failure> {
        let variable = |name: &str| cx.environment.var(name).filter(|value| !value.is_empty());
        let below = |name: &str, file: &str| Some(Path::new(&variable(name)?).join(file));
        // What names a file has to name one that is there; other places are usual ones.
        let named = variable(env_vars::REGISTRY_AUTH_FILE).map(PathBuf::from);
        let podman =
            named.clone().or_else(|| below(env_vars::XDG_RUNTIME_DIR, "containers/auth.json"));
        let docker = below(env_vars::DOCKER_CONFIG, "config.json")
            .or_else(|| below(env_vars::HOME, ".docker/config.json"));
        let places = [podman, docker].into_iter().flatten();
        let there = places.filter(|path| named.as_ref() == Some(path) || path.is_file());
        Ok(Self(there.map(|path| read_logins(&path)).collect::<Result<_, _>>()?))
    }
}

impl Keychain for Logins {
    fn login(&self, registry: &str, repository: &str) -> Result<Option<Login>, OciError> {
        for file in &self.0 {
            if let Some(login) = file.login(registry, repository)? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

fn read_logins(path: &Path) -> Result<DockerConfig, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("cannot read the logins in {}", path.display());
        let mut report = Report::error(message)
            .because(error)
            .help("log in again with `docker login` or `podman login`, which write it anew");
        report.code = Some("verify/logins");
        Failure::new(Exit::Config, report)
    };
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let text =
        SecretBytes::from_reader(&mut file, LOGINS_LIMIT_BYTES).map_err(|error| failed(&error))?;
    DockerConfig::read(text).map_err(|error| failed(&error))
}

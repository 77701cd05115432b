//! Every environment variable that `dsops` itself reads, each named once.

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident = $variable:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[cfg_attr(
                not(feature = "verify"),
                allow(dead_code, reason = "those of the network are read by `verify` alone")
            )]
            pub const $name: &str = $variable;
        )+

        /// All of them with what they mean, in the order of the reference.
        #[cfg(all(test, feature = "verify"))]
        pub const ALL: &[(&str, &str)] = &[$(($variable, concat!($($doc),+))),+];
    };
}

variables! {
    /// The configuration file, as `--config`.
    CONFIG = "DSOPS_CONFIG";
    /// The environment of the configuration, as `--env`.
    ENV = "DSOPS_ENV";
    /// No colours, as `--no-color`.
    NO_COLOR_FLAG = "DSOPS_NO_COLOR";
    /// Only errors and warnings, as `--quiet`.
    QUIET = "DSOPS_QUIET";
    /// More detail, as `--verbose`.
    VERBOSE = "DSOPS_VERBOSE";
    /// Never ask, as `--non-interactive`.
    NON_INTERACTIVE = "DSOPS_NON_INTERACTIVE";
    /// How long stores may take, as `--fetch-timeout`.
    FETCH_TIMEOUT = "DSOPS_FETCH_TIMEOUT";
    /// The convention of <https://no-color.org>: any value but the empty one turns colours off.
    NO_COLOR = "NO_COLOR";
    /// A terminal that cannot show colours says `dumb` here.
    TERM = "TERM";
    /// A folder in memory that belongs to the user, on Linux.
    XDG_RUNTIME_DIR = "XDG_RUNTIME_DIR";
    /// Where programs are looked up.
    PATH = "PATH";
    /// The editor for whole screens.
    VISUAL = "VISUAL";
    /// The editor, where there is no `VISUAL`.
    EDITOR = "EDITOR";
    /// Where programs make temporary files.
    TMPDIR = "TMPDIR";
    /// Hashes of configurations that are trusted in this run, separated by commas; for CI.
    TRUST = "DSOPS_TRUST";
    /// Where a user's data lies on Unix, if not in `~/.local/share`.
    XDG_DATA_HOME = "XDG_DATA_HOME";
    /// Where dsops keeps what can be had again, if not in `dsops` in the user's folder of caches.
    CACHE_DIR = "DSOPS_CACHE_DIR";
    /// Where dsops keeps the keys to it, if not in `dsops` in the user's folder of state.
    STATE_DIR = "DSOPS_STATE_DIR";
    /// Where a user's caches lie on Unix, if not in `~/.cache`.
    XDG_CACHE_HOME = "XDG_CACHE_HOME";
    /// Where a user's state lies on Unix, if not in `~/.local/state`.
    XDG_STATE_HOME = "XDG_STATE_HOME";
    /// The date that goes into what is made, in seconds since 1970, for builds that can be repeated.
    SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH";
    /// The cargo that `dsops sbom generate` asks, if not the one in `PATH`; cargo sets it for what it runs.
    CARGO = "CARGO";
    /// The user's own folder on Unix.
    HOME = "HOME";
    /// The proxy for `https`, with `verify --online` and `verify trust update`.
    HTTPS_PROXY = "HTTPS_PROXY";
    /// The same; it comes first.
    HTTPS_PROXY_LOWER = "https_proxy";
    /// Hosts that are asked without a proxy.
    NO_PROXY = "NO_PROXY";
    /// The same; it comes first.
    NO_PROXY_LOWER = "no_proxy";
    /// The folder of Docker's `config.json` with the logins for registries, if not `~/.docker`.
    DOCKER_CONFIG = "DOCKER_CONFIG";
    /// A file with logins for registries, as podman and skopeo have it.
    REGISTRY_AUTH_FILE = "REGISTRY_AUTH_FILE";
    /// Where a user's data lies on Windows.
    LOCAL_APP_DATA = "LOCALAPPDATA";
    /// The passphrase of the key that `sign` and `attest` use.
    KEY_PASSPHRASE = "DSOPS_KEY_PASSPHRASE";
    /// An identity token for keyless signatures.
    SIGSTORE_ID_TOKEN = "SIGSTORE_ID_TOKEN";
    /// Where a job of GitHub Actions gets an identity token.
    ACTIONS_ID_TOKEN_REQUEST_URL = "ACTIONS_ID_TOKEN_REQUEST_URL";
    /// What the job shows for it.
    ACTIONS_ID_TOKEN_REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
    /// Whether this is a job of GitHub Actions; the others of its variables are read by `attest provenance`.
    GITHUB_ACTIONS = "GITHUB_ACTIONS";
}

//! Names of environment variables: what is valid, what is unusual, what is dangerous.

use std::{ffi::OsStr, fmt};

use crate::pattern::matches_glob;

/// The name of a variable that carries a secret.
///
/// Holding one proves that the name can stand before a `=` in an environment block: it is not
/// empty and has neither `=` nor NUL. It says nothing about danger; see [`is_dangerous`].
///
/// # Examples
/// ```
/// use dsops_execenv::Name;
/// assert!(Name::new("DB_PASSWORD").is_ok());
/// assert!(Name::new("A=B").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`] when the name is empty or has a `=` or NUL byte.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        match name.bytes().find(|byte| matches!(byte, b'=' | 0)) {
            Some(0) => Err(NameError::Nul { name: name.replace('\0', "\\0") }),
            Some(_) => Err(NameError::EqualsSign { name }),
            None => Ok(Self(name)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether every shell passes the name on: `[A-Za-z_][A-Za-z0-9_]*` (POSIX.1-2017 §8.1).
    /// `dash` drops other names from the environment of what it runs.
    pub fn is_portable(&self) -> bool {
        let mut bytes = self.0.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<OsStr> for Name {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&self.0)
    }
}

/// Why a text is no variable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no bytes.
    #[error("a variable name must not be empty")]
    Empty,
    /// The name would end at its `=`.
    #[error("the variable name `{name}` has a `=` in it")]
    EqualsSign {
        /// The name as given.
        name: String,
    },
    /// The name would end at its NUL byte.
    #[error("the variable name `{name}` has a NUL byte in it")]
    Nul {
        /// The name as given, NUL written as `\0`.
        name: String,
    },
}

/// Tells whether a variable of this name makes common programs run code, load files or trust
/// hosts of its value's choosing.
///
/// Whoever can write a store could take over the child through such a name, so [`crate::Exec`]
/// refuses it for a secret unless [`crate::EnvPolicy::allow_dangerous`] lists it. Inherited
/// variables are the caller's own and are not judged.
pub fn is_dangerous(name: &str) -> bool {
    let bytes = name.as_bytes();
    // Asked for every variable of every run: a pattern whose first byte differs is passed over.
    let could_match = |pattern: &&&str| pattern.as_bytes().first() == bytes.first();
    DANGEROUS.iter().filter(could_match).any(|pattern| matches_glob(pattern.as_bytes(), bytes))
        || DANGEROUS_ANY_CASE.iter().any(|plain| plain.eq_ignore_ascii_case(name))
}

/// None begins with a `*`. Grouped by who reads them. Sources: sudo's `env_delete`, glibc's unsecure variables, and the
/// manuals of the interpreters.
const DANGEROUS: &[&str] = &[
    // Dynamic linkers and C libraries.
    "LD_*",
    "DYLD_*",
    "_RLD*",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "MALLOC_TRACE",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "HOSTALIASES",
    "RESOLV_HOST_CONF",
    "NLSPATH",
    "LOCPATH",
    // Shells and command search.
    "PATH",
    "IFS",
    "CDPATH",
    "ENV",
    "BASH_ENV",
    "BASH_FUNC_*",
    "PS4",
    "PROMPT_COMMAND",
    "SHELLOPTS",
    "BASHOPTS",
    "GLOBIGNORE",
    "ZDOTDIR",
    "FPATH",
    "SHELL",
    // Interpreters.
    "PERL5LIB",
    "PERL5OPT",
    "PERL5DB",
    "PERLLIB",
    "PERLIO_DEBUG",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "LUA_INIT*",
    "LUA_PATH*",
    "LUA_CPATH*",
    "DOTNET_STARTUP_HOOKS",
    "COR_PROFILER*",
    "CORECLR_PROFILER*",
    "COR_ENABLE_PROFILING",
    "CORECLR_ENABLE_PROFILING",
    // Programs that start others.
    "GIT_SSH*",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GIT_CONFIG*",
    "GIT_EXEC_PATH",
    "SSH_ASKPASS",
    "PAGER",
    "MANPAGER",
    "EDITOR",
    "VISUAL",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC*",
    // Trust and transport.
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "SSLKEYLOGFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_HOME",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    // Windows.
    "WINDIR",
    "USERPROFILE",
    "COMSPEC",
    "PATHEXT",
];

/// Read in either case by the programs that know them.
const DANGEROUS_ANY_CASE: &[&str] = &["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_equals_sign_so_it_has_none() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert!(matches!(Name::new("A=B"), Err(NameError::EqualsSign { .. })));
        assert!(matches!(Name::new("A\0B"), Err(NameError::Nul { .. })));
        assert_eq!(Name::new("A\0").expect_err("has a NUL").to_string().matches('\0').count(), 0);
        assert_eq!(Name::new("A.B-c").expect("odd but valid").as_str(), "A.B-c");
    }

    #[test]
    fn portable_names_are_those_of_posix() {
        for (name, portable) in [
            ("A", true),
            ("_x9", true),
            ("9x", false),
            ("a-b", false),
            ("a.b", false),
            ("é", false),
        ] {
            assert_eq!(Name::new(name).expect("valid").is_portable(), portable, "{name}");
        }
    }

    #[test]
    fn every_pattern_is_found_by_its_first_byte() {
        for pattern in DANGEROUS {
            assert!(!pattern.starts_with(['*', '?']), "{pattern}");
            assert!(is_dangerous(&pattern.replace('*', "x")), "{pattern}");
        }
    }

    #[test]
    fn code_loading_names_are_dangerous_and_plain_ones_are_not() {
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "BASH_ENV",
            "NODE_OPTIONS",
            "BASH_FUNC_x%%",
            "BASH_FUNC_x()",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "https_proxy",
            "HTTPS_PROXY",
            "PATH",
            "ENV",
        ] {
            assert!(is_dangerous(name), "{name}");
        }
        for name in
            ["DB_PASSWORD", "MY_PATH", "OLD_LD_PRELOAD", "ENVIRONMENT", "API_TOKEN", "GIT_TOKEN"]
        {
            assert!(!is_dangerous(name), "{name}");
        }
    }
}

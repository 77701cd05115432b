//! Credentials for registries, as `docker login` and `podman login` keep them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::{SecretBytes, Writer};

use super::super::OciError;
use super::text::Text;

/// The largest configuration that is read.
const CONFIG_BYTES: usize = 1024 * 1024;
/// The largest answer of a helper that is read.
const HELPER_BYTES: usize = 64 * 1024;
/// How long a helper may take; some ask their user.
const HELPER_TIME: Duration = Duration::from_mins(1);
/// How often it is looked whether a helper that answered has ended.
const HELPER_POLL: Duration = Duration::from_millis(2);
/// The user name that means that the password is an identity token.
const TOKEN_USER: &str = "<token>";
/// The key under which Docker keeps what is for Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// How to log in to a registry.
#[derive(Debug)]
pub enum Login {
    /// User name, colon, password.
    Password(SecretBytes),
    /// A token that is exchanged for others.
    IdentityToken(SecretBytes),
}

/// Who knows how to log in.
pub trait Keychain: Send + Sync {
    /// The credentials for a repository; `None` to ask without any.
    ///
    /// # Errors
    /// When there are some and they cannot be had.
    fn login(&self, registry: &str, repository: &str) -> Result<Option<Login>, OciError>;
}

/// Nobody: all registries are asked without credentials.
impl Keychain for () {
    fn login(&self, _registry: &str, _repository: &str) -> Result<Option<Login>, OciError> {
        Ok(None)
    }
}

/// The file `config.json` of Docker, or `auth.json` of podman.
///
/// Its text stays in protected memory, and is read again for each question: it holds passwords in
/// base64.
pub struct DockerConfig {
    text: SecretBytes,
    /// Where helpers are, instead of in the folders of `PATH`.
    helpers: Option<PathBuf>,
    /// How long each may take.
    helper_time: Duration,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config<'a> {
    #[serde(borrow)]
    auths: BTreeMap<String, Entry<'a>>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Entry<'a> {
    #[serde(borrow)]
    auth: Option<Text<'a>>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
    #[serde(borrow)]
    password: Option<Text<'a>>,
    #[serde(borrow)]
    identitytoken: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped<'a> {
    #[serde(borrow)]
    username: Text<'a>,
    #[serde(borrow)]
    secret: Text<'a>,
}

impl DockerConfig {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// [`OciError::Malformed`], without any of the text; [`OciError::TooLarge`].
    pub fn read(text: SecretBytes) -> Result<Self, OciError> {
        if text.len() > CONFIG_BYTES {
            let what = "the configuration of Docker".to_owned();
            return Err(OciError::TooLarge { what, limit_bytes: CONFIG_BYTES as u64 });
        }
        parse::<Config<'_>>(&text.expose()).map(|_| ())?;
        Ok(Self { text, helpers: None, helper_time: HELPER_TIME })
    }

    /// The same, which runs helpers in that folder only and not those in the folders of `PATH`.
    #[must_use]
    pub fn helpers_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.helpers = Some(folder.into());
        self
    }
}

impl Keychain for DockerConfig {
    /// # Security
    /// Runs `docker-credential-NAME get` for the helper that the configuration names for this
    /// registry, or for all. It gets the registry's name on its standard input.
    fn login(&self, registry: &str, repository: &str) -> Result<Option<Login>, OciError> {
        let text = self.text.expose();
        let config: Config<'_> = parse(&text)?;
        let is_here = |key: &str| host_of(key) == registry;
        let helper = config.cred_helpers.iter().find(|(key, _)| is_here(key));
        let helper = helper.map(|(_, name)| name).or(config.creds_store.as_ref());
        if let Some(helper) = helper.filter(|name| !name.is_empty())
            && let Some(login) = self.ask_helper(helper, registry)?
        {
            return Ok(Some(login));
        }
        let whole = format!("{registry}/{repository}");
        let entry = config
            .auths
            .iter()
            .filter(|(key, _)| is_here(key) && covers(key, &whole))
            .max_by_key(|(key, _)| key.len());
        entry.map_or(Ok(None), |(_, entry)| entry.login(registry))
    }
}

impl Entry<'_> {
    fn login(&self, registry: &str) -> Result<Option<Login>, OciError> {
        let fail = |problem: &str| OciError::Credentials {
            registry: registry.to_owned(),
            problem: problem.to_owned(),
        };
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return copied(token.as_bytes(), registry)
                .map(|token| Some(Login::IdentityToken(token)));
        }
        if let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) {
            let both = SecretBytes::build(auth.len(), |room| {
                let decoded = Base64::decode(auth.as_bytes(), room).map(<[u8]>::len);
                // Nothing decoded is an empty secret, which has no colon.
                Ok::<usize, dsops_secure_mem::Error>(decoded.unwrap_or(0))
            })
            .map_err(|error| fail(&error.to_string()))?;
            let has_colon = both.expose().contains(&b':');
            return if has_colon {
                Ok(Some(Login::Password(both)))
            } else {
                Err(fail(
                    "its entry in the configuration of Docker is not base64 of user and password",
                ))
            };
        }
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => joined(user, password, registry).map(Some),
            _ => Ok(None),
        }
    }
}

impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DockerConfig(REDACTED)")
    }
}

/// The text is not shown: `serde_json` would quote it.
fn parse<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, OciError> {
    serde_json::from_slice(text).map_err(|error| {
        let problem = format!("line {}, column {}", error.line(), error.column());
        OciError::malformed("the configuration of Docker", problem)
    })
}

/// The registry of a key, which may be a URL or begin a repository's name.
fn host_of(key: &str) -> &str {
    let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// Whether a key is for a repository: podman's may name a part of a registry.
fn covers(key: &str, repository: &str) -> bool {
    let is_url = key.contains("://");
    is_url
        || !key.contains('/')
        || repository.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn copied(bytes: &[u8], registry: &str) -> Result<SecretBytes, OciError> {
    SecretBytes::copy_from(bytes).map_err(|error| OciError::Credentials {
        registry: registry.to_owned(),
        problem: error.to_string(),
    })
}

fn joined(user: &str, password: &str, registry: &str) -> Result<Login, OciError> {
    if user == TOKEN_USER {
        return copied(password.as_bytes(), registry).map(Login::IdentityToken);
    }
    let mut both = Writer::new();
    let whole = write!(both, "{user}:{password}")
        .and_then(|()| both.finish().map_err(std::io::Error::other));
    whole.map(Login::Password).map_err(|error| OciError::Credentials {
        registry: registry.to_owned(),
        problem: error.to_string(),
    })
}

impl DockerConfig {
    fn ask_helper(&self, name: &str, registry: &str) -> Result<Option<Login>, OciError> {
        let fail =
            |problem: String| OciError::Credentials { registry: registry.to_owned(), problem };
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.bytes().all(is_plain) {
            return Err(fail(
                "the helper's name in the configuration of Docker is not a name".to_owned(),
            ));
        }
        let program = format!("docker-credential-{name}");
        let path = self
            .helpers
            .as_ref()
            .map_or_else(|| PathBuf::from(&program), |folder| folder.join(&program));
        let mut child = Command::new(path)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(format!("`{program}` cannot be run: {error}")))?;
        let until = Instant::now() + self.helper_time;
        if let Some(mut stdin) = child.stdin.take() {
            let key = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
            // A helper that does not read its input will not answer either.
            let _ = stdin.write_all(key.as_bytes());
        }
        let Some(mut stdout) = child.stdout.take() else {
            return Err(fail(format!("`{program}` has no output")));
        };
        let (tell, told) = mpsc::sync_channel(1);
        // Not waited for: who has the other end of a pipe may be somebody that outlives the helper.
        std::thread::spawn(move || {
            let _ = tell.send(SecretBytes::from_reader(&mut stdout, HELPER_BYTES));
        });
        let answer = told.recv_timeout(self.helper_time);
        // One that said too much is not waited for.
        let until = if matches!(answer, Ok(Ok(_))) { until } else { Instant::now() };
        let status =
            wait(&mut child, until).map_err(|error| fail(format!("`{program}`: {error}")))?;
        let late = || fail(format!("`{program}` did not answer in time"));
        let answer = answer.map_err(|_| late())?;
        let answer = answer.map_err(|error| fail(format!("`{program}`: {error}")))?;
        let status = status.ok_or_else(late)?;
        let text = answer.expose();
        if !status.success() {
            // This is how helpers say that they have none.
            let missing = text.windows(9).any(|part| part.eq_ignore_ascii_case(b"not found"));
            let failed = || Err(fail(format!("`{program}` failed: {status}")));
            return if missing { Ok(None) } else { failed() };
        }
        let helped: Helped<'_> = serde_json::from_slice(&text)
            .map_err(|_| fail(format!("`{program}` did not answer in its protocol's JSON")))?;
        if helped.secret.is_empty() {
            return Ok(None);
        }
        joined(&helped.username, &helped.secret, registry).map(Some)
    }
}

/// The status of a child that ends until then; none of one that has to be ended.
fn wait(child: &mut Child, until: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            child.kill()?;
            return child.wait().map(|_| None);
        }
        std::thread::sleep(left.min(HELPER_POLL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, registry: &str, repository: &str) -> Result<Option<String>, OciError> {
        let config = DockerConfig::read(SecretBytes::copy_from(config.as_bytes()).unwrap())?;
        Ok(config.login(registry, repository)?.map(|login| match login {
            Login::Password(both) => String::from_utf8(both.expose().to_vec()).unwrap(),
            Login::IdentityToken(token) => {
                format!("token {}", String::from_utf8_lossy(&token.expose()))
            }
        }))
    }

    #[test]
    fn entries() {
        let config = r#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"aHViOnBhc3M="},
            "ghcr.io":{"auth":"bWU6cGFzczp3b3Jk","email":"x"},
            "quay.io":{"auth":"YTpi"},
            "quay.io/team":{"auth":"dGVhbTpi"},
            "acr.example":{"auth":"MDAwMDo=","identitytoken":"refresh"},
            "plain.example:5000":{"username":"u","password":"p"},
            "empty.example":{}
        },"HttpHeaders":{}}"#;
        for (registry, repository, wanted) in [
            ("docker.io", "library/alpine", Some("hub:pass")),
            ("ghcr.io", "a/b", Some("me:pass:word")),
            ("quay.io", "other/app", Some("a:b")),
            ("quay.io", "team/app", Some("team:b")),
            ("quay.io", "teamwork/app", Some("a:b")),
            ("acr.example", "a", Some("token refresh")),
            ("plain.example:5000", "a", Some("u:p")),
            ("empty.example", "a", None),
            ("ghcr.io.evil.example", "a", None),
            ("plain.example", "a", None),
        ] {
            assert_eq!(
                login(config, registry, repository).unwrap().as_deref(),
                wanted,
                "{registry}"
            );
        }
        assert_eq!(login("{}", "ghcr.io", "a").unwrap(), None);
        let escaped = r#"{"auths":{"https:\/\/ghcr.io\/v1\/":{"username":"a\u0026b","password":"\u003cc\u003e"},
            "quay.io":{"auth":"YT\u0070i"}},"credsStore":"","credHelpers":{"x\/y":"z"}}"#;
        assert_eq!(login(escaped, "ghcr.io", "a").unwrap().as_deref(), Some("a&b:<c>"));
        assert_eq!(login(escaped, "quay.io", "a").unwrap().as_deref(), Some("a:b"));
    }

    #[test]
    fn configurations_that_are_refused_without_showing_them() {
        for bad in [
            r#"{"auths":{"a":{"auth":"hunter2"#,
            r#"{"auths":{"a":"hunter2"}}"#,
            r#"{"auths":{"a":{"auth":"hunter2!"}}}"#,
            r#"{"auths":{"a":{"auth":"aHVudGVyMg=="}}}"#,
            r#"{"credHelpers":{"a":"../hunter2"}}"#,
            r#"{"credsStore":"no-such-helper-7f3a"}"#,
        ] {
            let error = login(bad, "a", "b").unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
        }
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a script for a test")]
    fn helpers() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = dir.path().join(format!("docker-credential-{name}"));
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        };
        script(
            "good",
            r#"read -r key; printf '{"ServerURL":"%s","Username":"me@%s","Secret":"hunter2"}' "$key" "$key""#,
        );
        script(
            "token",
            r#"cat >/dev/null; echo '{"ServerURL":"","Username":"<token>","Secret":"refresh"}'"#,
        );
        // As programs in Go write it.
        script(
            "escaped",
            r#"cat >/dev/null; printf '%s\n' '{"ServerURL":"","Username":"a\u0026b","Secret":"\u003chunter2\u003e\"\\"}'"#,
        );
        script(
            "escaped-token",
            r#"cat >/dev/null; printf '%s\n' '{"ServerURL":"","Username":"\u003ctoken\u003e","Secret":"refresh"}'"#,
        );
        script("empty", "echo credentials not found in native keychain; exit 1");
        script("broken", "echo 'hunter2 is not JSON'");
        script("failing", "echo hunter2; exit 3");
        script("endless", "exec yes hunter2");
        let ask = |config: &str, registry: &str| {
            let text = SecretBytes::copy_from(config.as_bytes()).unwrap();
            let config = DockerConfig::read(text).unwrap().helpers_in(dir.path());
            let login =
                config.login(registry, "a/b").map_err(|error| format!("{error} {error:?}"))?;
            Ok(login.map(|login| match login {
                Login::Password(both) => String::from_utf8(both.expose().to_vec()).unwrap(),
                Login::IdentityToken(token) => {
                    format!("token {}", String::from_utf8_lossy(&token.expose()))
                }
            }))
        };
        let some = |text: &str| Ok::<_, String>(Some(text.to_owned()));
        assert_eq!(ask(r#"{"credsStore":"good"}"#, "ghcr.io"), some("me@ghcr.io:hunter2"));
        let hub = "me@https://index.docker.io/v1/:hunter2";
        assert_eq!(ask(r#"{"credsStore":"good"}"#, "docker.io"), some(hub));
        assert_eq!(ask(r#"{"credHelpers":{"ghcr.io":"token"}}"#, "ghcr.io"), some("token refresh"));
        assert_eq!(ask(r#"{"credsStore":"escaped"}"#, "ghcr.io"), some(r#"a&b:<hunter2>"\"#));
        assert_eq!(ask(r#"{"credsStore":"escaped-token"}"#, "ghcr.io"), some("token refresh"));
        // Only for the registry it is named for.
        assert_eq!(ask(r#"{"credHelpers":{"ghcr.io":"token"}}"#, "quay.io"), Ok(None));
        assert_eq!(ask(r#"{"credsStore":"empty"}"#, "ghcr.io"), Ok(None));
        let both = r#"{"credsStore":"empty","auths":{"ghcr.io":{"auth":"YTpi"}}}"#;
        assert_eq!(ask(both, "ghcr.io"), some("a:b"));
        // They say what they have to say, or not, and stay.
        script(
            "lasting",
            r#"cat >/dev/null; echo '{"Username":"a","Secret":"hunter2"}'; exec >&-; exec sleep 900"#,
        );
        script("silent", "exec sleep 900");
        script("stubborn", "trap '' PIPE; while :; do echo hunter2 hunter2; done 2>/dev/null");
        for bad in ["lasting", "silent", "stubborn"] {
            let text = format!(r#"{{"credsStore":"{bad}"}}"#);
            let text = SecretBytes::copy_from(text.as_bytes()).unwrap();
            let mut config = DockerConfig::read(text).unwrap().helpers_in(dir.path());
            config.helper_time = Duration::from_millis(500);
            let shown = config.login("ghcr.io", "a/b").unwrap_err().to_string();
            assert!(shown.contains(bad) && !shown.contains("hunter2"), "{shown}");
        }
        for bad in ["broken", "failing", "endless", "absent"] {
            let shown = ask(&format!(r#"{{"credsStore":"{bad}"}}"#), "ghcr.io").unwrap_err();
            assert!(shown.contains(bad) && !shown.contains("hunter2"), "{shown}");
        }
    }
}

//! The store `sops` as the resolver uses it, and changes of its file.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::SystemTime,
};

use dsops_resolver::{
    Address, Environment, FetchContext, Health, Item, NoEnvironment, OpenContext, Store,
    StoreError, StoreFactory, StoreSettings,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    Registry,
    age::Identity,
    sops::{self, Error, Keyring},
};

/// An environment that gives each credential away once, as the process environment does.
#[derive(Default)]
struct Variables {
    plain: BTreeMap<String, OsString>,
    secret: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Variables {
    fn with_plain(mut self, name: &str, value: &Path) -> Self {
        self.plain.insert(name.to_owned(), value.into());
        self
    }

    fn with_secret(self, name: &str, value: &[u8]) -> Self {
        self.secret.lock().unwrap().insert(name.to_owned(), value.to_vec());
        self
    }
}

impl Environment for Variables {
    fn var(&self, name: &str) -> Option<OsString> {
        self.plain.get(name).cloned()
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        let value = self.secret.lock().unwrap().remove(name);
        Ok(value.map(|mut value| SecretBytes::adopt(&mut value)).transpose()?)
    }
}

/// A folder with a file of secrets and the key file of its recipient.
struct Project {
    folder: tempfile::TempDir,
    key_file: PathBuf,
    recipient: String,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate().unwrap();
        let key_file = folder.path().join("key.txt");
        write_private(&key_file, &identity.to_text().unwrap().expose());
        let project = Self { key_file, recipient: identity.recipient().to_string(), folder };
        sops::create(&project.file(), &[identity.recipient().clone()]).unwrap();
        project.set("TOKEN", "hunter2");
        project.set("db/password", "p4ss");
        project
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("secrets.sops.yaml")
    }

    fn keyring(&self) -> Keyring {
        Keyring::default().with_file(&self.key_file)
    }

    fn set(&self, key: &str, value: &str) {
        let value = SecretBytes::copy_from(value.as_bytes()).unwrap();
        sops::change(&self.file(), &self.keyring(), |document| {
            document.set(key, &value, SystemTime::now())
        })
        .unwrap();
    }

    fn open(&self, registry: &Registry, environment: &dyn Environment) -> Box<dyn Store> {
        let cx = OpenContext::new(self.folder.path(), environment);
        registry.open(&settings("path: secrets.sops.yaml"), &cx).unwrap()
    }

    fn with_key_file(&self) -> Box<dyn Store> {
        let cx = OpenContext::new(self.folder.path(), &NoEnvironment);
        let settings = settings("path: secrets.sops.yaml\nage_key_file: key.txt");
        Registry::new().open(&settings, &cx).unwrap()
    }
}

fn write_private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    set_mode(path, 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn settings(text: &str) -> StoreSettings {
    StoreSettings::parse("local", &format!("type: sops\n{text}\n")).unwrap()
}

fn fetch(store: &dyn Store, keys: &[&str]) -> Vec<Result<Vec<u8>, StoreError>> {
    let items: Vec<Item> =
        keys.iter().map(|key| Item { key: (*key).to_owned(), version: None }).collect();
    let values = store.fetch(&items, &FetchContext::default());
    values.into_iter().map(|value| value.map(|value| value.expose().to_vec())).collect()
}

#[test]
fn items_are_fetched_and_a_missing_one_does_not_keep_the_others() {
    let project = Project::new();
    let store = project.with_key_file();
    let values = fetch(&*store, &["db/password", "TOKNE", "TOKEN", "db"]);
    assert_eq!(values[0].as_ref().unwrap(), b"p4ss");
    assert_eq!(values[2].as_ref().unwrap(), b"hunter2");
    let missing = values[1].as_ref().unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }));
    assert_eq!(missing.help().unwrap(), "did you mean `TOKEN`?");
    let group = values[3].as_ref().unwrap_err();
    assert!(matches!(group, StoreError::Malformed { at: Some(_), .. }), "{group}");
}

#[test]
fn identities_come_from_every_place_sops_knows() {
    let project = Project::new();
    let key = fs::read(&project.key_file).unwrap();
    let path = |bytes: &Path| bytes.to_str().unwrap().as_bytes().to_vec();
    let config = project.folder.path().join("config");
    fs::create_dir_all(config.join("sops/age")).unwrap();
    write_private(&config.join("sops/age/keys.txt"), &key);
    let home = project.folder.path().join("home");
    let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    fs::create_dir_all(home.join(below).join("sops/age")).unwrap();
    write_private(&home.join(below).join("sops/age/keys.txt"), &key);
    let stranger = Identity::generate().unwrap().to_text().unwrap();
    let both = [&*stranger.expose(), b" ", &key].concat();
    for environment in [
        Variables::default().with_secret("SOPS_AGE_KEY", &key),
        Variables::default().with_secret("SOPS_AGE_KEY", &both),
        Variables::default().with_secret("SOPS_AGE_KEY_FILE", &path(&project.key_file)),
        Variables::default().with_plain("XDG_CONFIG_HOME", &config),
        Variables::default().with_plain("HOME", &home),
        // All places are tried: a key that does not fit, or a place that is broken, is no end.
        Variables::default()
            .with_secret("SOPS_AGE_KEY", &stranger.expose())
            .with_secret("SOPS_AGE_KEY_FILE", b"/no/such/file")
            .with_plain("HOME", &home),
        Variables::default().with_secret("SOPS_AGE_KEY", b"broken").with_plain("HOME", &home),
    ] {
        let store = project.open(&Registry::new(), &environment);
        assert_eq!(fetch(&*store, &["TOKEN"])[0].as_ref().unwrap(), b"hunter2");
        assert!(environment.secret.lock().unwrap().is_empty(), "credentials are taken");
    }
}

#[test]
fn without_an_identity_the_error_lists_recipients_and_places() {
    let project = Project::new();
    let environment = Variables::default()
        .with_secret("SOPS_AGE_KEY", b"AGE-PLUGIN-YUBIKEY-1QQ")
        .with_secret("SOPS_AGE_KEY_FILE", b"/no/such/file")
        .with_plain("SOPS_AGE_KEY_CMD", Path::new("cmd"))
        .with_plain("HOME", Path::new("/no/home"));
    let store = project.open(&Registry::new(), &environment);
    let error = fetch(&*store, &["TOKEN"])[0].clone().unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    let text = error.to_string();
    for part in [
        project.recipient.as_str(),
        "SOPS_AGE_KEY (0 identities, line 1 is an identity of a plugin, which is not supported)",
        "/no/such/file (from SOPS_AGE_KEY_FILE) (No such file",
        "/no/home",
        "SOPS_AGE_KEY_CMD (set, but not supported)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(error.help().unwrap().contains("SOPS_AGE_KEY_FILE"));
}

#[test]
fn a_key_in_the_place_of_a_path_is_shown_nowhere() {
    let project = Project::new();
    let key = Identity::generate().unwrap().to_text().unwrap();
    let key = String::from_utf8(key.expose().to_vec()).unwrap();
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let (start, end) = ("AGE-SECRET-KEY-", &key[20..]);
    let unseen = |text: &str| {
        let text = text.to_ascii_uppercase();
        assert!(!text.contains(start) && !text.contains(end), "{text}");
    };
    for wrong in [key.to_owned(), format!(" {}\n", key.to_lowercase()), format!("# mine\n{key}")] {
        let environment = Variables::default().with_secret("SOPS_AGE_KEY_FILE", wrong.as_bytes());
        let store = project.open(&Registry::new(), &environment);
        let error = fetch(&*store, &["TOKEN"])[0].clone().unwrap_err();
        let want = "SOPS_AGE_KEY_FILE (holds a key, not a path; use SOPS_AGE_KEY)";
        assert!(error.to_string().contains(want), "{error}");
        unseen(&format!("{error} {error:?} {:?}", error.help()));
        let environment = Variables::default().with_secret("SOPS_AGE_KEY_FILE", wrong.as_bytes());
        let keyring = Keyring::find(&environment).unwrap();
        unseen(&format!("{keyring} {keyring:?}"));

        let setting = wrong.replace('\n', "\\n");
        let settings = settings(&format!("path: secrets.sops.yaml\nage_key_file: \"{setting}\""));
        let problems = Registry::new().validate(&settings);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].message, "`age_key_file` holds a key, not a path");
        unseen(&format!("{problems:?} {}", problems[0].render()));
        let cx = OpenContext::new(project.folder.path(), &NoEnvironment);
        let error = Registry::new().open(&settings, &cx).err().unwrap();
        unseen(&format!("{error} {error:?} {:?}", error.help()));
    }
}

#[test]
fn a_key_file_that_is_no_file_is_told() {
    let project = Project::new();
    let path = project.folder.path();
    let keyring = Keyring::default().with_file(path);
    assert!(keyring.identities().is_empty());
    let want = format!("{} (it is neither a file nor a pipe)", path.display());
    assert_eq!(keyring.looked(), [want]);
}

#[test]
fn stores_of_one_registry_share_a_credential_that_is_given_once() {
    let project = Project::new();
    let key = fs::read(&project.key_file).unwrap();
    let environment = Variables::default().with_secret("SOPS_AGE_KEY", &key);
    let registry = Registry::new();
    for _ in 0..2 {
        let store = project.open(&registry, &environment);
        assert_eq!(fetch(&*store, &["TOKEN"])[0].as_ref().unwrap(), b"hunter2");
    }
}

#[test]
fn health_verifies_and_warns_of_a_key_file_that_others_can_read() {
    let project = Project::new();
    let check = || project.with_key_file().check(&FetchContext::default());
    let verified = "2 values for 1 recipient, verified";
    let Ok(Health::Checked { summary, warnings }) = check() else { panic!("healthy") };
    assert!(summary.ends_with(verified), "{summary}");
    assert_eq!(warnings, [""; 0]);
    set_mode(&project.key_file, 0o644);
    let Ok(Health::Checked { summary, warnings }) = check() else { panic!("healthy") };
    assert!(summary.ends_with(verified), "{summary}");
    let [warning] = &*warnings else { panic!("one warning: {warnings:?}") };
    assert!(warning.starts_with("the key file") && warning.contains("mode 0644"), "{warning}");
    let changed = fs::read_to_string(project.file()).unwrap().replace("TOKEN:", "TOKEM:");
    fs::write(project.file(), changed).unwrap();
    assert!(matches!(check(), Err(StoreError::Tampered { .. })));
    fs::remove_file(project.file()).unwrap();
    assert!(matches!(check(), Err(StoreError::Io { .. })));
    fs::write(project.file(), b"\xff\xfe").unwrap();
    assert!(matches!(check(), Err(StoreError::Malformed { .. })));
}

#[test]
fn settings_and_addresses_are_strict() {
    let registry = Registry::new();
    for (text, problems) in [
        ("path: x", 0),
        ("path: x\nage_key_file: y", 0),
        ("", 1),
        ("path: ''", 1),
        ("path: [x]", 1),
        ("path: x\nfile: y", 1),
        ("path: x\nage_key_file: {}", 1),
    ] {
        assert_eq!(registry.validate(&settings(text)).len(), problems, "{text}");
    }
    let item = |key: &str, field: Option<&str>, version: Option<&str>| {
        let owned = |text: &str| text.to_owned();
        let (field, version) = (field.map(owned), version.map(owned));
        registry.item(&settings("path: x"), Address { key: key.to_owned(), field, version })
    };
    assert_eq!(item("db", Some("pass/word"), None).unwrap().key, "db/pass~1word");
    for bad in [item("a", None, Some("1")), item("", None, None), item("sops/mac", None, None)] {
        assert!(bad.is_err());
    }
}

#[test]
fn concurrent_changes_lose_nothing() {
    const THREADS: usize = 8;
    let project = Project::new();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let project = &project;
            scope.spawn(move || {
                for round in 0..4 {
                    project.set(&format!("KEY_{number}_{round}"), "value");
                }
            });
        }
    });
    let store = project.with_key_file();
    for number in 0..THREADS {
        for round in 0..4 {
            let key = format!("KEY_{number}_{round}");
            assert_eq!(fetch(&*store, &[&key])[0].as_ref().unwrap(), b"value", "{key}");
        }
    }
    let left: Vec<_> = fs::read_dir(project.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "only the file and the key are there");
}

#[test]
fn a_failed_change_leaves_the_file_as_it_was() {
    let project = Project::new();
    let before = fs::read(project.file()).unwrap();
    let value = SecretBytes::copy_from(b"x").unwrap();
    let result = sops::change(&project.file(), &project.keyring(), |document| {
        document.set("NEW", &value, SystemTime::now())?;
        document.set("TOKEN/inner", &value, SystemTime::now())
    });
    assert!(matches!(result, Err(Error::Edit { .. })));
    assert_eq!(fs::read(project.file()).unwrap(), before);
    let stranger = sops::change(&project.file(), &Keyring::default(), |_| Ok(()));
    assert!(matches!(stranger, Err(Error::NoIdentity { .. })));
    let identity = Identity::generate().unwrap();
    let again = sops::create(&project.file(), &[identity.recipient().clone()]);
    assert!(matches!(again, Err(Error::File(_))));
    assert_eq!(fs::read(project.file()).unwrap(), before);
}

//! Which identities open a SOPS file: plain ones, SSH keys, and what a passphrase protects.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use dsops_resolver::{
    Environment, FetchContext, Item, OpenContext, Store, StoreError, StoreFactory, StoreSettings,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    Registry,
    age::{Identity, Recipient, WorkFactor},
    sops,
};

/// Variables, and a user who types these passphrases one after the other; with none left there is
/// nobody to ask.
#[derive(Default)]
struct User {
    variables: BTreeMap<&'static str, OsString>,
    typed: Mutex<Vec<&'static str>>,
    prompts: Mutex<Vec<String>>,
}

impl User {
    fn new(home: &Path) -> Self {
        Self { variables: BTreeMap::from([("HOME", home.into())]), ..Self::default() }
    }

    fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    fn typing(mut self, passphrases: &[&'static str]) -> Self {
        self.typed = Mutex::new(passphrases.iter().rev().copied().collect());
        self
    }

    fn prompts(&self) -> usize {
        self.prompts.lock().unwrap().len()
    }
}

impl Environment for User {
    fn var(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        let value = self.var(name).map(|value| SecretBytes::copy_from(value.as_encoded_bytes()));
        Ok(value.transpose()?)
    }

    fn passphrase(&self, prompt: &str) -> Result<Option<SecretBytes>, StoreError> {
        let typed = self.typed.lock().unwrap().pop();
        if typed.is_some() {
            self.prompts.lock().unwrap().push(prompt.to_owned());
        }
        Ok(typed.map(|text| SecretBytes::copy_from(text.as_bytes())).transpose()?)
    }
}

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project with one secret for some recipients.
    fn new(recipients: &[Recipient]) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        let mut document = sops::create(&project.path("s.yaml"), recipients).unwrap();
        let value = SecretBytes::copy_from(b"hunter2").unwrap();
        document.set("TOKEN", &value, SystemTime::now()).unwrap();
        fs::write(project.path("s.yaml"), document.text()).unwrap();
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn home(&self) -> User {
        User::new(self.folder.path())
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn try_open(&self, registry: &Registry, user: &User) -> Result<Box<dyn Store>, StoreError> {
        let settings = StoreSettings::parse("s", "type: sops\npath: s.yaml\n").unwrap();
        registry.open(&settings, &OpenContext::new(self.folder.path(), user))
    }

    fn fetch(&self, user: &User) -> Result<Vec<u8>, StoreError> {
        fetch(&*self.try_open(&Registry::new(), user)?)
    }
}

fn fetch(store: &dyn Store) -> Result<Vec<u8>, StoreError> {
    let item = Item { key: "TOKEN".to_owned(), version: None };
    let value = store.fetch(&[item], &FetchContext::default()).remove(0)?;
    Ok(value.expose().to_vec())
}

fn protected(identity: &Identity) -> String {
    let passphrase = SecretBytes::copy_from(b"correct").unwrap();
    identity.to_protected_text(&passphrase, WorkFactor::new(2).unwrap()).unwrap()
}

fn ssh(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh");
    fs::read(folder.join(name)).unwrap()
}

fn ssh_recipient(name: &str) -> Recipient {
    String::from_utf8(ssh(&format!("{name}.pub"))).unwrap().parse().unwrap()
}

const DEFAULT: &str = ".config/sops/age/keys.txt";

#[test]
fn a_protected_key_file_is_opened_by_the_variable_without_asking() {
    let identity = Identity::generate().unwrap();
    let project = Project::new(&[identity.recipient().clone()]);
    project.write(DEFAULT, protected(&identity).as_bytes());
    let user = project.home().with("DSOPS_AGE_PASSPHRASE", "correct").typing(&["correct"]);
    assert_eq!(project.fetch(&user).unwrap(), b"hunter2");
    assert_eq!(user.prompts(), 0);
}

#[test]
fn the_user_is_asked_once_for_all_stores_and_again_after_a_typing_error() {
    let identity = Identity::generate().unwrap();
    let project = Project::new(&[identity.recipient().clone()]);
    project.write(DEFAULT, protected(&identity).as_bytes());
    let user = project.home().typing(&["corect", "correct", "unused"]);
    let registry = Registry::new();
    for _ in 0..3 {
        let store = project.try_open(&registry, &user).unwrap();
        assert_eq!(fetch(&*store).unwrap(), b"hunter2");
    }
    let prompts = user.prompts.lock().unwrap();
    let [first, second] = &**prompts else { panic!("two prompts: {prompts:?}") };
    let place = project.path(DEFAULT).display().to_string();
    assert_eq!(first, &format!("passphrase of {place}"));
    assert_eq!(second, &format!("passphrase of {place} (the last one was wrong)"));
}

#[test]
fn who_cannot_be_asked_is_told_of_the_variable() {
    let identity = Identity::generate().unwrap();
    let project = Project::new(&[identity.recipient().clone()]);
    project.write(DEFAULT, protected(&identity).as_bytes());
    let error = project.fetch(&project.home()).unwrap_err().to_string();
    assert!(error.contains("nobody to ask; set DSOPS_AGE_PASSPHRASE"), "{error}");
    let user = project.home().with("DSOPS_AGE_PASSPHRASE", "wrong-one");
    let error = project.fetch(&user).unwrap_err().to_string();
    assert!(error.contains("the passphrase in DSOPS_AGE_PASSPHRASE does not open it"), "{error}");
    assert!(!error.contains("wrong-one"), "{error}");
    let user = project.home().typing(&["a", "b", "c", "correct"]);
    let error = project.fetch(&user).unwrap_err().to_string();
    assert!(error.contains("the passphrase is wrong"), "{error}");
    assert_eq!(user.prompts(), 3);
}

#[test]
fn nobody_is_asked_where_a_plain_identity_fits() {
    let (plain, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let project = Project::new(&[other.recipient().clone(), plain.recipient().clone()]);
    project.write(DEFAULT, protected(&other).as_bytes());
    let key = String::from_utf8(plain.to_text().unwrap().expose().to_vec()).unwrap();
    let user = project.home().with("SOPS_AGE_KEY", key).typing(&["correct"]);
    assert_eq!(project.fetch(&user).unwrap(), b"hunter2");
    assert_eq!(user.prompts(), 0);
}

#[test]
fn default_ssh_keys_open_files_for_them() {
    for (name, key) in [("id_ed25519", "ed25519"), ("id_rsa", "rsa2048")] {
        let project = Project::new(&[ssh_recipient(key)]);
        let error = project.fetch(&project.home()).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        project.write(&format!(".ssh/{name}"), &ssh(&format!("{key}.key")));
        // An identity that does not fit is no reason to stop looking.
        let stranger = Identity::generate().unwrap().to_text().unwrap();
        project.write(DEFAULT, &stranger.expose());
        assert_eq!(project.fetch(&project.home()).unwrap(), b"hunter2");
    }
}

#[test]
fn a_named_ssh_key_is_asked_for_only_when_it_is_a_recipient() {
    let key = ssh("ed25519_passphrase.key");
    let project = Project::new(&[ssh_recipient("ed25519_passphrase")]);
    project.write("my key", &key);
    let named = |project: &Project| {
        let user = project.home().typing(&["hunter2"]);
        user.with("SOPS_AGE_SSH_PRIVATE_KEY_FILE", project.path("my key"))
    };
    let user = named(&project);
    assert_eq!(project.fetch(&user).unwrap(), b"hunter2");
    assert_eq!(user.prompts(), 1);

    let project = Project::new(&[ssh_recipient("rsa2048")]);
    project.write("my key", &key);
    let user = named(&project);
    let error = project.fetch(&user).unwrap_err().to_string();
    assert!(error.contains("protected by a passphrase, not opened"), "{error}");
    assert_eq!(user.prompts(), 0);
}

#[test]
fn default_ssh_keys_are_not_read_for_a_file_without_an_ssh_recipient() {
    let project = Project::new(&[Identity::generate().unwrap().recipient().clone()]);
    project.write(".ssh/id_ed25519", b"not a key");
    let error = project.fetch(&project.home()).unwrap_err().to_string();
    assert!(error.contains(DEFAULT) && !error.contains("id_ed25519"), "{error}");
}

#[test]
fn whom_a_new_file_is_for_is_known_without_a_passphrase_where_it_can_be() {
    let identity = Identity::generate().unwrap();
    let project = Project::new(&[identity.recipient().clone()]);
    let own = |user: &User| sops::Keyring::find(user).unwrap().own_recipient(user).unwrap();
    assert_eq!(own(&project.home()), None);
    project.write(DEFAULT, protected(&identity).as_bytes());
    let user = project.home().typing(&["correct"]);
    assert_eq!(own(&user).as_ref(), Some(identity.recipient()));
    assert_eq!(user.prompts(), 1);
    project.write("ssh", &ssh("ed25519_passphrase.key"));
    let user = project.home().typing(&["hunter2"]);
    let user = user.with("SOPS_AGE_SSH_PRIVATE_KEY_FILE", project.path("ssh"));
    assert_eq!(own(&user), Some(ssh_recipient("ed25519_passphrase")));
    assert_eq!(user.prompts(), 0);
}

#[test]
fn a_key_that_comes_through_a_pipe_is_read() {
    let identity = Identity::generate().unwrap();
    let project = Project::new(&[identity.recipient().clone()]);
    let pipe = project.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = identity.to_text().unwrap().expose().to_vec();
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, text).unwrap()
    });
    let user = project.home().with("SOPS_AGE_KEY_FILE", pipe);
    assert_eq!(project.fetch(&user).unwrap(), b"hunter2");
    writer.join().unwrap();
}

//! What stores say of their items without fetching a value.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsString;
use std::time::SystemTime;

use dsops_resolver::{
    Config, Environment, ItemState, OpenContext, ResolveOptions, StoreError, check, plan,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::{Registry, age::Identity, sops};

/// One variable.
struct Token;

impl Environment for Token {
    fn var(&self, _: &str) -> Option<OsString> {
        None
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        let value = (name == "TOKEN").then(|| SecretBytes::copy_from(b"hunter2"));
        Ok(value.transpose()?)
    }
}

#[test]
fn every_built_in_store_says_what_is_there_without_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate().unwrap();
    let secrets = folder.path().join("secrets.sops.yaml");
    sops::create(&secrets, &[identity.recipient().clone()]).unwrap();
    let key_file = folder.path().join("key.txt");
    dsops_stores::file::publish_new(&key_file, &identity.to_text().unwrap().expose(), 0o600)
        .unwrap();
    let keyring = sops::Keyring::default().with_file(&key_file);
    sops::change(&secrets, &keyring, |document| {
        document.set("db/password", &SecretBytes::copy_from(b"hunter2")?, SystemTime::now())
    })
    .unwrap();
    // Nobody can open the file from here on: it says all the same what is in it.
    std::fs::remove_file(&key_file).unwrap();
    let text = "
version: 1
secretStores:
  file: { type: sops, path: secrets.sops.yaml, age_key_file: key.txt }
  gone: { type: sops, path: gone.sops.yaml }
  env: { type: env }
  here: { type: literal, values: { HOST: localhost } }
envs:
  dev:
    A: { from: 'store://file/db#password' }
    B: { from: store://file/db/pasword, optional: true }
    C: { from: store://env/TOKEN }
    D: { from: store://env/OTHER, default: x }
    E: { from: store://here/HOST }
    F: { from: store://gone/x }
";
    let config = Config::parse("dsops.yaml", text).unwrap();
    let registry = Registry::new();
    let plan = plan(&config, "dev", &registry).unwrap();
    let cx = OpenContext::new(folder.path(), &Token);
    let report = check(&plan, &registry, &cx, &ResolveOptions::default());
    let state = |name: &str| match &report.of(name).unwrap().state {
        ItemState::Exists(description) => description.kind.clone().unwrap(),
        ItemState::Missing(error) => format!("{error}; {}", error.help().unwrap_or_default()),
        other => format!("{other:?}"),
    };
    let states: Vec<_> = ["A", "B", "C", "D", "E"].map(state).into();
    assert_eq!(
        states,
        [
            "encrypted",
            "there is no item `db/pasword`; did you mean `db/password`?",
            "variable",
            "there is no item `OTHER`; ",
            "in the clear",
        ]
    );
    assert!(matches!(report.of("F").unwrap().state, ItemState::Failed(StoreError::Io { .. })));
    assert!(!report.is_complete());
    assert!(!format!("{report:?}").contains("hunter2"));
}

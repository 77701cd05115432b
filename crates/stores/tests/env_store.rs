//! The store `env`: what is asked for is read while the store is opened, as a credential.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Mutex;

use dsops_resolver::{
    Environment, FetchContext, Item, OpenContext, StoreError, StoreFactory, StoreSettings,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::Registry;

/// `APP_TOKEN` and an empty `APP_EMPTY`; remembers what was read as a credential.
#[derive(Default)]
struct Fake(Mutex<BTreeSet<String>>);

impl Environment for Fake {
    fn var(&self, _: &str) -> Option<OsString> {
        panic!("the value of a variable is a secret here")
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        self.0.lock().unwrap().insert(name.to_owned());
        let value: &[u8] = match name {
            "APP_TOKEN" => b"hunter2",
            "APP_EMPTY" => b"",
            _ => return Ok(None),
        };
        Ok(Some(SecretBytes::copy_from(value)?))
    }
}

fn item(key: &str) -> Item {
    Item { key: key.to_owned(), version: None }
}

fn fetch(
    environment: &Fake,
    settings: &str,
    items: &[Item],
) -> Vec<Result<SecretBytes, StoreError>> {
    let settings = StoreSettings::parse("ci", &format!("type: env\n{settings}")).unwrap();
    let registry = Registry::new();
    assert!(registry.validate(&settings).is_empty());
    let cx = OpenContext::new(Path::new("."), environment).for_items(items);
    let store = registry.open(&settings, &cx).unwrap();
    // On another thread, as the resolver does when there are several stores.
    std::thread::scope(|scope| {
        scope.spawn(|| store.fetch(items, &FetchContext::default())).join().unwrap()
    })
}

#[test]
fn a_variable_is_read_as_a_credential() {
    let environment = Fake::default();
    let values = fetch(&environment, "prefix: APP_", &[item("TOKEN"), item("EMPTY")]);
    assert_eq!(&*values[0].as_ref().unwrap().expose(), b"hunter2");
    assert!(values[1].as_ref().unwrap().is_empty());
    let read: Vec<String> = environment.0.into_inner().unwrap().into_iter().collect();
    assert_eq!(read, ["APP_EMPTY", "APP_TOKEN"]);
}

#[test]
fn what_is_missing_is_not_found_and_the_rest_is_fetched() {
    let items = ["NO_SUCH_VARIABLE", "A=B", "", "APP_TOKEN"].map(item);
    let values = fetch(&Fake::default(), "", &items);
    for value in &values[..3] {
        assert!(matches!(value, Err(StoreError::NotFound { .. })), "{value:?}");
    }
    assert!(values[3].is_ok());
}

#[test]
fn a_version_is_refused() {
    let asked = Item { key: "APP_TOKEN".into(), version: Some("1".into()) };
    let values = fetch(&Fake::default(), "", &[asked]);
    assert!(matches!(values[0], Err(StoreError::Unsupported { .. })));
}

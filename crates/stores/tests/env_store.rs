//! The store `env`, in a process with one thread: the harness would start more.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::{env, path::Path, process::Command, thread};

use dsops_resolver::{
    FetchContext, Item, NoEnvironment, OpenContext, StoreError, StoreFactory, StoreSettings,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::Registry;

const MARK: &str = "DSOPS_TEST_CHILD";

fn main() {
    if env::var_os(MARK).is_none() {
        let status = Command::new(env::current_exe().unwrap())
            .env(MARK, "1")
            .env("APP_TOKEN", "hunter2")
            .env("APP_EMPTY", "")
            .env("APP_LATER", "x")
            .status()
            .unwrap();
        assert!(status.success());
        println!("env_store: ok");
        return;
    }
    a_variable_is_moved();
    what_is_missing_is_not_found();
    other_threads_are_an_error();
}

fn fetch(settings: &str, key: &str) -> Result<SecretBytes, StoreError> {
    let settings = StoreSettings::parse("ci", &format!("type: env\n{settings}")).unwrap();
    let registry = Registry::new();
    assert!(registry.validate(&settings).is_empty());
    let cx = OpenContext { base_dir: Path::new("."), environment: &NoEnvironment };
    let store = registry.open(&settings, &cx).unwrap();
    let item = Item { key: key.to_owned(), version: None };
    store.fetch(&[item], &FetchContext::default()).remove(0)
}

fn a_variable_is_moved() {
    let value = fetch("prefix: APP_", "TOKEN").unwrap();
    assert_eq!(&*value.expose(), b"hunter2");
    assert_eq!(env::var_os("APP_TOKEN"), None, "the child must not inherit it");
    assert!(fetch("", "APP_EMPTY").unwrap().is_empty());
}

fn what_is_missing_is_not_found() {
    for key in ["APP_TOKEN", "NO_SUCH_VARIABLE", "A=B", ""] {
        let error = fetch("", key).unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{key}: {error}");
    }
}

fn other_threads_are_an_error() {
    let error = thread::scope(|scope| scope.spawn(|| fetch("", "APP_LATER")).join().unwrap());
    assert!(matches!(error, Err(StoreError::Unavailable { .. })));
    assert!(env::var_os("APP_LATER").is_some(), "nothing is lost");
}

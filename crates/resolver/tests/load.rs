//! Files: reading, finding, refusing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes its input")]

use std::fs;
use std::path::Path;

use dsops_resolver::{Config, MAX_CONFIG_BYTES, codes, find_config};

const CONFIG: &str = "version: 1\nenvs: { dev: { A: { literal: x } } }\n";

fn code_of(path: &Path) -> &'static str {
    Config::load(path).unwrap_err().diagnostics()[0].code
}

#[test]
fn the_nearest_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    fs::write(dir.path().join("dsops.yaml"), CONFIG).unwrap();
    // A folder of the name is no configuration.
    fs::create_dir(dir.path().join("a/b/dsops.yaml")).unwrap();
    let config = Config::discover(&deep).unwrap();
    assert_eq!(config.path(), dir.path().join("dsops.yaml"));
    assert_eq!(config.base_dir(), dir.path());
    assert_eq!(config.only_environment(), Some("dev"));
    fs::write(deep.join("dsops.yaml"), "version: 0\n").unwrap();
    assert_eq!(Config::discover(&deep).unwrap().path(), deep.join("dsops.yaml"));
    assert_eq!(find_config(&dir.path().join("a")), Some(dir.path().join("dsops.yaml")));
}

#[test]
fn what_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dsops.yaml");
    assert_eq!(code_of(&path), codes::NOT_FOUND);
    assert_eq!(code_of(dir.path()), codes::IO);
    fs::write(&path, b"version: 1 # \xff").unwrap();
    assert_eq!(code_of(&path), codes::NOT_UTF8);
    let error = &Config::load(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{}:1:14: the file is not UTF-8", path.display()));
    let place = error.diagnostics()[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (1, 14));
    let mut large = CONFIG.to_owned();
    large += &"#".repeat(MAX_CONFIG_BYTES - large.len());
    fs::write(&path, &large).unwrap();
    assert!(Config::load(&path).is_ok());
    large.push('#');
    fs::write(&path, &large).unwrap();
    assert_eq!(code_of(&path), codes::TOO_LARGE);
    assert_eq!(Config::parse("f", &large).unwrap_err().diagnostics()[0].code, codes::TOO_LARGE);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("dsops.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, why) in [(&*fifo, "it is not a regular file"), (dir.path(), "is a directory")] {
        let error = Config::load(path).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, codes::IO);
        assert_eq!(error.to_string(), format!("cannot read {}: {why}", path.display()));
    }
}

#[test]
fn none_anywhere_is_said_with_the_remedy() {
    let error = Config::discover("/proc/self/fd").unwrap_err();
    let problem = &error.diagnostics()[0];
    // Unless the machine has one at its root.
    if problem.code == codes::NOT_FOUND {
        assert_eq!(problem.message, "there is no dsops.yaml in /proc/self/fd or above it");
        assert_eq!(
            problem.help.as_deref(),
            Some("`dsops init` makes one; `--config FILE` names another")
        );
    }
}

#[test]
fn a_relative_file_has_its_folder() {
    let config = Config::parse("dsops.yaml", CONFIG).unwrap();
    assert_eq!((config.base_dir(), config.version()), (Path::new("."), 1));
    assert_eq!(Config::parse("x/dsops.yaml", "envs: {}").unwrap().base_dir(), Path::new("x"));
    assert_eq!(Config::parse("f", "envs: { a: {}, b: {} }").unwrap().only_environment(), None);
    assert_eq!(
        Config::parse("f", "envs: { b: {}, a: {} }").unwrap().environments().collect::<Vec<_>>(),
        ["a", "b"]
    );
}

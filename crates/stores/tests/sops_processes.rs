//! Several processes write one file: no change is lost, and who dies leaves a whole file.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{self, Keyring, SopsFile},
};

const WRITER: &str = "DSOPS_TEST_WRITER";
const PROCESSES: usize = 8;
const CHANGES: usize = 12;

fn file(folder: &Path, name: &str) -> SopsFile {
    let keyring = Keyring::default().with_file(&folder.join("key.txt"));
    SopsFile::new(folder.join(name), Arc::new(keyring))
}

fn project(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate().unwrap();
    let text = identity.to_text().unwrap();
    std::fs::write(folder.path().join("key.txt"), &*text.expose()).unwrap();
    sops::create(&folder.path().join(name), &[identity.recipient().clone()]).unwrap();
    folder
}

/// Starts this test binary as a writer: file, folder, number, how many changes.
fn writer(folder: &Path, name: &str, number: usize, changes: usize) -> Child {
    let task = format!("{name} {number} {changes} {}", folder.display());
    Command::new(env::current_exe().unwrap())
        .args(["a_writer", "--exact", "--ignored"])
        .env(WRITER, task)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Run by the other tests as a process of its own.
#[test]
#[ignore = "a part of the other tests"]
fn a_writer() {
    let task = env::var(WRITER).unwrap();
    let mut parts = task.splitn(4, ' ');
    let name = parts.next().unwrap();
    let number: usize = parts.next().unwrap().parse().unwrap();
    let changes: usize = parts.next().unwrap().parse().unwrap();
    let file = file(Path::new(parts.next().unwrap()), name);
    for change in 0..changes {
        let key = if name == "f.ini" {
            format!("w{number}/K{change}")
        } else {
            format!("W{number}_{change}")
        };
        let value = SecretBytes::copy_from(key.as_bytes()).unwrap();
        file.change(|document| document.set(&key, &value, SystemTime::now())).unwrap();
    }
}

#[test]
fn processes_lose_no_change_of_each_other() {
    for name in ["f.yaml", "f.json", "f.env", "f.ini"] {
        let folder = project(name);
        let children: Vec<Child> =
            (0..PROCESSES).map(|number| writer(folder.path(), name, number, CHANGES)).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let open = file(folder.path(), name).open().unwrap();
        let keys = open.keys().unwrap();
        assert_eq!(keys.len(), PROCESSES * CHANGES, "{name}");
        for key in keys {
            assert_eq!(&*open.get(&key).unwrap().expose(), key.as_bytes());
        }
    }
}

#[test]
fn who_is_killed_leaves_a_whole_file() {
    let folder = project("f.yaml");
    let file = file(folder.path(), "f.yaml");
    let mut last = 0;
    for round in 0..12 {
        let before = std::fs::read(&file.path).unwrap();
        let mut child = writer(folder.path(), "f.yaml", round, usize::MAX);
        // It is in the middle of its second change, or some later one.
        while std::fs::read(&file.path).unwrap() == before {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(3 * round as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let open = file.open().unwrap();
        let count = open.keys().unwrap().len();
        assert!(count > last, "what was written stays");
        last = count;
    }
    // The next one is not held up by a lock of the dead.
    let value = SecretBytes::copy_from(b"v").unwrap();
    assert!(file.change(|document| document.set("after", &value, SystemTime::now())).unwrap());
}

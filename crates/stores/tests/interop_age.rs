//! The real `age` and `ssh-keygen` write what we read, and read what we write; the real `sops`
//! opens our files with an SSH key.
//!
//! `DSOPS_TEST_AGE` names `age`, `DSOPS_TEST_SOPS` names `sops`; `ssh-keygen` and `script` (which
//! gives `age` the terminal it asks for a passphrase on) are found on the path. What is missing is
//! printed as "not run".

#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::{self, Identity, IdentityFile, Recipient, WorkFactor},
    sops::Document,
};

const PASSPHRASE: &str = "correct horse battery";

/// A folder with SSH keys that were just made.
struct Tools {
    age: PathBuf,
    folder: tempfile::TempDir,
}

/// Name, arguments of `ssh-keygen`, whether a passphrase protects it.
const KEYS: [(&str, &[&str], bool); 6] = [
    ("ed25519", &["-t", "ed25519"], false),
    ("ed25519_locked", &["-t", "ed25519"], true),
    ("ed25519_cbc", &["-t", "ed25519", "-Z", "aes256-cbc"], true),
    ("rsa2048", &["-t", "rsa", "-b", "2048"], false),
    ("rsa3072_locked", &["-t", "rsa", "-b", "3072"], true),
    ("rsa2056_pem", &["-t", "rsa", "-b", "2056", "-m", "PEM"], false),
];

impl Tools {
    fn find() -> Option<Self> {
        let Some(age) = env::var_os("DSOPS_TEST_AGE").map(PathBuf::from) else {
            println!("not run: real age is not installed (DSOPS_TEST_AGE)");
            return None;
        };
        for tool in ["ssh-keygen", "script"] {
            let found = env::split_paths(&env::var_os("PATH")?).any(|dir| dir.join(tool).is_file());
            if !found {
                println!("not run: there is no {tool}");
                return None;
            }
        }
        let tools = Self { age, folder: tempfile::tempdir().unwrap() };
        for (name, args, locked) in KEYS {
            let passphrase = if locked { PASSPHRASE } else { "" };
            let made = Command::new("ssh-keygen")
                .args(["-q", "-N", passphrase, "-C", "a comment", "-f"])
                .arg(tools.path(name))
                .args(args)
                .status();
            assert!(made.unwrap().success(), "{name}");
        }
        Some(tools)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn recipient(&self, name: &str) -> Recipient {
        fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().parse().unwrap()
    }

    fn identity(&self, name: &str) -> Identity {
        let mut file = IdentityFile::parse(&fs::read(self.path(name)).unwrap()).unwrap();
        match file.locked.pop() {
            Some(locked) => locked.unlock(&passphrase()).unwrap().identities.remove(0),
            None => file.identities.remove(0),
        }
    }

    fn age(&self, args: &[&str]) -> Vec<u8> {
        let output =
            Command::new(&self.age).args(args).current_dir(self.folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "age {args:?}: {errors}");
        output.stdout
    }

    /// Runs `age` on a terminal where the passphrase is typed as often as it is asked for.
    fn age_on_terminal(&self, args: &str, times: usize) {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("{} {args}", self.age.display()))
            .arg("/dev/null")
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = format!("{PASSPHRASE}\n").repeat(times);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "age {args}: {text}");
    }
}

fn passphrase() -> SecretBytes {
    SecretBytes::copy_from(PASSPHRASE.as_bytes()).unwrap()
}

/// Texts of the lengths at which the format changes.
fn texts() -> impl Iterator<Item = Vec<u8>> {
    [0, 1, 65535, 65536, 65537].into_iter().map(|length| vec![b'x'; length])
}

#[test]
fn age_reads_what_we_write_for_ssh_keys() {
    let Some(tools) = Tools::find() else { return };
    for (name, _, locked) in KEYS {
        // Told to write an empty file, age writes none.
        for text in texts().skip(1) {
            tools.write("file.age", age::encrypt(&text, &[tools.recipient(name)]).unwrap());
            if locked {
                tools.age_on_terminal(&format!("-d -i {name} -o out file.age"), 1);
                assert_eq!(fs::read(tools.path("out")).unwrap(), text, "{name}");
                break;
            }
            assert_eq!(tools.age(&["-d", "-i", name, "file.age"]), text, "{name}");
        }
    }
}

#[test]
fn we_read_what_age_writes_for_ssh_keys() {
    let Some(tools) = Tools::find() else { return };
    for (name, ..) in KEYS {
        let identity = [tools.identity(name)];
        assert_eq!(identity[0].recipient(), &tools.recipient(name));
        let public = format!("{name}.pub");
        for text in texts() {
            tools.write("text", &text);
            let binary = tools.age(&["-R", &public, "text"]);
            assert_eq!(*age::decrypt(&binary, &identity).unwrap().expose(), *text, "{name}");
            let armored = tools.age(&["-a", "-R", &public, "text"]);
            let plaintext = age::decrypt_armored(&armored, &identity).unwrap();
            assert_eq!(*plaintext.expose(), *text, "{name}");
        }
    }
}

#[test]
fn passphrases_agree_both_ways() {
    let Some(tools) = Tools::find() else { return };
    for (number, text) in texts().skip(1).enumerate() {
        let work = WorkFactor::new(10).unwrap();
        let armored = age::encrypt_armored_with_passphrase(&text, &passphrase(), work).unwrap();
        tools.write("ours.age", armored);
        tools.age_on_terminal(&format!("-d -o out{number} ours.age"), 1);
        assert_eq!(fs::read(tools.path(&format!("out{number}"))).unwrap(), text);
    }
    // Its work factor is the default of both: once is enough.
    tools.write("text", "from age");
    tools.age_on_terminal("-p -a -o theirs.age text", 2);
    let theirs = fs::read(tools.path("theirs.age")).unwrap();
    let plaintext = age::decrypt_armored_with_passphrase(&theirs, &passphrase()).unwrap();
    assert_eq!(&*plaintext.expose(), b"from age");
}

#[test]
fn a_protected_identity_of_ours_is_an_identity_file_of_age() {
    let Some(tools) = Tools::find() else { return };
    let identity = Identity::generate().unwrap();
    let work = WorkFactor::new(10).unwrap();
    tools.write("key.age", identity.to_protected_text(&passphrase(), work).unwrap());
    tools.write("file.age", age::encrypt(b"x", &[identity.recipient().clone()]).unwrap());
    tools.age_on_terminal("-d -i key.age -o out file.age", 1);
    assert_eq!(fs::read(tools.path("out")).unwrap(), b"x");
}

#[test]
fn sops_and_we_open_each_others_files_with_ssh_keys() {
    let Some(tools) = Tools::find() else { return };
    let Some(sops) = env::var_os("DSOPS_TEST_SOPS").map(PathBuf::from) else {
        println!("not run: real sops is not installed (DSOPS_TEST_SOPS)");
        return;
    };
    let sops = |name: &str, args: &[&str]| -> Vec<u8> {
        let output = Command::new(&sops)
            .args(args)
            .current_dir(tools.folder.path())
            .env_clear()
            .env("HOME", tools.path("nowhere"))
            .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", tools.path(name))
            .env("SOPS_DISABLE_VERSION_CHECK", "1")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sops {args:?}: {errors}");
        output.stdout
    };
    let open = |name: &str, file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        Document::parse("file.yaml", text).unwrap().open(&[tools.identity(name)]).unwrap()
    };
    for name in ["ed25519", "rsa2048"] {
        let path = tools.path(&format!("{name}.ours.yaml"));
        let mut ours = dsops_stores::sops::create(&path, &[tools.recipient(name)]).unwrap();
        let value = SecretBytes::copy_from(b"ours").unwrap();
        ours.set("TOKEN", &value, SystemTime::now()).unwrap();
        fs::write(&path, ours.text()).unwrap();
        let file = path.to_str().unwrap();
        assert_eq!(sops(name, &["decrypt", "--extract", "[\"TOKEN\"]", file]), b"ours");

        tools.write("plain.yaml", "TOKEN: theirs\n");
        // With the comment that follows the key in its file.
        let public = fs::read_to_string(tools.path(&format!("{name}.pub"))).unwrap();
        let theirs = sops(name, &["encrypt", "--age", public.trim(), "plain.yaml"]);
        tools.write("theirs.yaml", theirs);
        let theirs = open(name, &tools.path("theirs.yaml"));
        assert_eq!(&*theirs.get("TOKEN").unwrap().expose(), b"theirs");
    }
}

//! Keys of other kinds than `dsops init` makes, and what of them must not be found: SSH keys, and
//! age keys behind a passphrase.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use super::needles::{Secret, base64_bytes};

/// A private key in a file, with the text that names it as a recipient.
#[derive(Debug)]
pub struct Key {
    /// The public part, as `recipients add` takes it.
    pub recipient: String,
    /// What of it must not be found.
    pub secrets: Vec<Secret>,
    /// The file's text.
    pub file: String,
}

/// An SSH key as `ssh-keygen` makes it, `kind` being `ed25519` or `rsa`. With a passphrase the file
/// is encrypted by it.
///
/// # Errors
/// `ssh-keygen` fails or writes something else than a key.
pub fn ssh(folder: &Path, kind: &str, passphrase: Option<&Secret>) -> anyhow::Result<Key> {
    let path = folder.join(format!("ssh-{kind}-{}", passphrase.is_some()));
    let generate = |words: &[&str], passphrase: &str| {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-C", "", "-N", passphrase]).args(words).arg("-f").arg(&path);
        crate::process::output(&mut command)
    };
    generate(&["-t", kind], "")?;
    let plain = fs::read_to_string(&path)?;
    let secrets = ssh_secrets(&plain, kind)?;
    if let Some(passphrase) = passphrase {
        generate(&["-p", "-P", ""], passphrase.text())?;
    }
    let public = fs::read_to_string(path.with_extension("pub"))?;
    Ok(Key { recipient: public.trim().into(), secrets, file: fs::read_to_string(&path)? })
}

/// An age key in a file that `age -p` encrypted.
///
/// # Errors
/// A program fails, or `age` finds no terminal to ask on.
pub fn age_behind(folder: &Path, passphrase: &Secret) -> anyhow::Result<Key> {
    let text = crate::process::output(&mut Command::new("age-keygen"))?;
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    let recipient = recipient.context("age-keygen names no public key")?.to_owned();
    let (plain, locked) = (folder.join("age-plain"), folder.join("age-locked"));
    fs::write(&plain, &text)?;
    // `age` asks on a terminal only; `script` is one.
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("age -p -a -o {} {}", locked.display(), plain.display()))
        .arg("/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start `script`")?;
    let typed = format!("{0}\n{0}\n", passphrase.text());
    script.stdin.take().context("a pipe was asked for")?.write_all(typed.as_bytes())?;
    anyhow::ensure!(script.wait()?.success(), "`age -p` failed");
    fs::remove_file(plain)?;
    let secrets = super::needles::identity_secrets(&text)?
        .into_iter()
        .map(|secret| Secret { name: format!("locked {}", secret.name), ..secret })
        .collect();
    Ok(Key { recipient, secrets, file: fs::read_to_string(locked)? })
}

/// The secret numbers of an unencrypted private key file of OpenSSH (PROTOCOL.key).
fn ssh_secrets(file: &str, kind: &str) -> anyhow::Result<Vec<Secret>> {
    let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64_bytes(&body).context("a private key is not base64")?;
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0").context("not a key of OpenSSH")?;
    let mut next = || ssh_string(&mut rest).context("a private key is cut off");
    for _ in ["cipher", "key derivation", "its options"] {
        next()?;
    }
    anyhow::ensure!(rest.starts_with(&[0, 0, 0, 1]), "not one key");
    rest = &rest[4..];
    let mut next = || ssh_string(&mut rest).context("a private key is cut off");
    next()?; // the public key
    let private = next()?;
    // Two equal numbers that tell a wrong passphrase.
    let mut rest = private.get(8..).context("a private key is cut off")?;
    let mut next = || ssh_string(&mut rest).context("a private key is cut off");
    next()?; // the type
    let names: &[&str] = match kind {
        "ed25519" => &["", "seed"],
        _ => &["", "", "d", "iqmp", "p", "q"],
    };
    let mut secrets = Vec::new();
    for name in names {
        let number = next()?;
        if *name == "seed" {
            // Seed and public key in one.
            let seed = number.get(..32).context("an Ed25519 key is too short")?.to_vec();
            let scalar = sha512(&seed)?.get(..32).context("SHA-512 is too short")?.to_vec();
            // Its first and last byte are changed before use; the rest is looked for in pieces.
            secrets.push(Secret { name: "ed25519 scalar".into(), bytes: scalar });
            secrets.push(Secret { name: "ed25519 seed".into(), bytes: seed });
        } else if !name.is_empty() {
            let number: Vec<u8> = number.iter().copied().skip_while(|&byte| byte == 0).collect();
            let words = number.iter().rev().copied().collect();
            secrets.push(Secret { name: format!("rsa {name}"), bytes: number });
            // As machine words lie in memory.
            secrets.push(Secret { name: format!("rsa {name}, lowest byte first"), bytes: words });
        }
    }
    Ok(secrets)
}

/// One length and as many bytes (RFC 4251 §5).
fn ssh_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (bytes, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

/// SHA-512, by the system's own program.
fn sha512(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("sha512sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `sha512sum`")?;
    child.stdin.take().context("a pipe was asked for")?.write_all(bytes)?;
    let text = String::from_utf8(child.wait_with_output()?.stdout)?;
    let digits = text.split_whitespace().next().unwrap_or_default();
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).context("not hexadecimal"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_ssh_keys_are_found() {
        if !crate::process::is_on_path("ssh-keygen") {
            crate::process::report_part_not_run("SSH keys", "ssh-keygen is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let lengths = |kind| -> Vec<usize> {
            let key = ssh(folder.path(), kind, None).unwrap();
            assert!(key.recipient.starts_with(&format!("ssh-{kind} ")), "{}", key.recipient);
            key.secrets.iter().map(|secret| secret.bytes.len()).collect()
        };
        assert_eq!(lengths("ed25519"), [32, 32]);
        let rsa = lengths("rsa");
        assert_eq!(rsa.len(), 8);
        // `ssh-keygen` makes 3072 bits; a number may by chance be a byte shorter.
        assert!((382..=384).contains(&rsa[0]) && (190..=192).contains(&rsa[4]), "{rsa:?}");
        let passphrase = Secret::random("passphrase", 20).unwrap();
        let locked = ssh(folder.path(), "ed25519", Some(&passphrase)).unwrap();
        assert!(ssh_secrets(&locked.file, "ed25519").is_err(), "it should be encrypted");
    }

    #[test]
    fn sha512_is_that_of_fips_180() {
        assert_eq!(sha512(b"abc").unwrap()[..4], [0xdd, 0xaf, 0x35, 0xa1]);
    }
}

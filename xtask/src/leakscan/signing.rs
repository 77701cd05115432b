//! A project in which `dsops sign` and `dsops attest` run: private keys of every form that is read,
//! their passphrases, and an identity token. Watched like the others.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha512};

use super::{
    cases::Case,
    cosign_key,
    needles::{Secret, base64_bytes},
    observe::Search,
    project::{Project, run},
    report::Report,
    stages::Marked,
    tracer::Launch,
};
use crate::{
    process::{self, is_on_path},
    release::{services::Services, verify::Signer},
};

/// What is signed: once it is opened again, the key and its passphrase have been read.
const CONTENT: &str = "artifact";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const PASSPHRASE: &str = "DSOPS_KEY_PASSPHRASE";

/// The project and what it keeps secret.
pub struct Signing {
    /// The project.
    pub project: Project,
    /// Search for all that is secret in it.
    pub search: Search,
    keys: Vec<Key>,
    passphrase: Secret,
    services: Services,
    token: String,
    folder: PathBuf,
}

/// A file of a private key.
struct Key {
    /// What it is, for the report.
    name: &'static str,
    file: String,
    is_encrypted: bool,
    /// Whether we can sign with it.
    is_usable: bool,
}

impl Signing {
    /// Makes the project beside the plain one of `marked`, for the same user.
    ///
    /// # Errors
    /// A program fails.
    pub fn create(marked: &Marked) -> anyhow::Result<Self> {
        let project = Project::create(&marked.dsops, marked.project.user())?;
        let folder = project.folder().join("keys");
        fs::create_dir(&folder)?;
        chown(&folder, project.user(), project.user())?;
        fs::write(project.work().join(CONTENT), "x".repeat(200_000))?;
        chown(project.work().join(CONTENT), project.user(), project.user())?;
        let passphrase = Secret::random("passphrase", 24)?;
        let signer = Signer { repository: "octo/demo".into(), tag: "v1.2.3".into() };
        let services = Services::start(&folder.join("services"), &signer, COMMIT)?;
        let mut made = Made { project: &project, folder: &folder, keys: vec![], secrets: vec![] };
        made.by_keygen(&passphrase)?;
        if is_on_path("openssl") {
            made.by_openssl(&passphrase)?;
        }
        let Made { keys, mut secrets, .. } = made;
        secrets.push(passphrase.clone());
        // What it claims is public, and in the certificate; who has what proves it has it all.
        let proof = Secret::random("identity token", 86)?;
        let token = fs::read_to_string(services.token())?;
        let (claims, _) = token.rsplit_once('.').context("a token has parts")?;
        let token = format!("{claims}.{}", proof.text());
        secrets.push(proof);
        let search = Search::new(secrets)?;
        Ok(Self { project, search, keys, passphrase, services, token, folder })
    }

    /// All runs of it, and what could not be made.
    ///
    /// # Errors
    /// The files of a case cannot be prepared.
    pub fn cases(&self, report: &mut Report) -> anyhow::Result<Vec<Case>> {
        if !self.keys.iter().any(|key| key.name.contains("OpenSSL")) {
            report.not_run("keys that OpenSSL writes", "openssl is not installed");
        }
        let mut cases = Vec::new();
        for key in &self.keys {
            cases.extend(self.with_key(key)?);
        }
        cases.extend(self.makes_keys());
        cases.extend(self.keyless()?);
        Ok(cases)
    }

    /// Signs with a key: with the right passphrase, a wrong one and none; with the file damaged.
    fn with_key(&self, key: &Key) -> anyhow::Result<Vec<Case>> {
        let path = self.write(&format!("{}.key", key.name.replace([' ', ','], "-")), &key.file)?;
        let sign = |flags: &[&str]| {
            let words = ["sign", CONTENT, "--force", "--key", &path];
            self.project.launch(&[flags, &words].concat())
        };
        let works = |name: &str, launch| {
            let case = if key.is_usable { Case::works } else { Case::fails };
            case(&format!("sign, {}{name}", key.name), launch).writes()
        };
        // A character that is none: whatever was decoded before it must go.
        let at = key.file.rfind("-----END").context("a key is a PEM file")? - 4;
        let mut damaged = key.file.clone();
        damaged.replace_range(at..=at, "!");
        let damaged =
            self.write(&format!("{}-damaged.key", key.name.replace([' ', ','], "-")), &damaged)?;
        let mut cases = vec![Case::fails(
            &format!("sign, {}, damaged", key.name),
            self.project.launch(&["sign", CONTENT, "--force", "--key", &damaged]),
        )];
        if !key.is_encrypted {
            let attest = self.project.launch(&[
                "attest",
                "provenance",
                CONTENT,
                "--force",
                "--key",
                &path,
                "--source-uri",
                "git+https://github.com/octo/demo@refs/tags/v1.2.3",
                "--source-digest",
                COMMIT,
            ]);
            cases.extend([
                works("", sign(&[])),
                works(", --json", sign(&["--json"])),
                works(", attest", attest),
            ]);
            return Ok(cases);
        }
        let with = |text: &str| {
            let mut launch = sign(&[]);
            launch.environment.push((PASSPHRASE.into(), text.into()));
            launch
        };
        let given = vec![self.passphrase.name.clone()];
        cases.extend([
            Case { given, ..works(" and its passphrase", with(self.passphrase.text())) },
            Case::fails(&format!("sign, {} and a wrong passphrase", key.name), with("another")),
            Case::fails(&format!("sign, {} without its passphrase", key.name), sign(&[])),
        ]);
        Ok(cases)
    }

    /// `keygen`: which key it makes is known afterwards only; its passphrase is known before.
    fn makes_keys(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for kind in ["ecdsa-p256", "ed25519"] {
            let output = self.folder.join(format!("made-{kind}")).display().to_string();
            let words = ["sign", "keygen", "--output", &output, "--algorithm", kind];
            let mut launch = self.project.launch(&words);
            launch.environment.push((PASSPHRASE.into(), self.passphrase.text().into()));
            let given = vec![self.passphrase.name.clone()];
            let name = format!("sign keygen, {kind}");
            cases.push(Case { given, ..Case::works(&name, launch.clone()).writes() });
            // The second time, a file is in the way: the passphrase stays where the kernel put it, unread.
            cases.push(Case::fails(&format!("{name}, again"), launch).in_hand());
        }
        cases
    }

    /// Signs by an identity token: from a file, from the environment, and where nobody answers. While a
    /// request is made, the token is in the ordinary memory of the HTTP library too, so only what comes out
    /// is judged.
    fn keyless(&self) -> anyhow::Result<Vec<Case>> {
        let [config, root] = [self.services.signing_config(), self.services.trusted_root()]
            .map(|path| path.display().to_string());
        let token = self.write("token", &self.token)?;
        let silent = fs::read_to_string(&config)?;
        let url = silent.split('"').find(|text| text.starts_with("http://127.0.0.1:"));
        let silent =
            silent.replace(url.context("the services have an address")?, "http://127.0.0.1:9");
        let silent = self.write("silent.json", &silent)?;
        let sign = |config: &str, more: &[&str]| {
            let words =
                ["sign", CONTENT, "--force", "--trusted-root", &root, "--signing-config", config];
            self.project.launch(&[&words, more].concat())
        };
        let mut in_variable = sign(&config, &[]);
        in_variable.environment.push(("SIGSTORE_ID_TOKEN".into(), OsString::from(&self.token)));
        let file = ["--identity-token-file", &token];
        Ok(vec![
            Case::works("sign, keyless", sign(&config, &file)).in_hand(),
            Case::works("sign, keyless, SIGSTORE_ID_TOKEN", in_variable).in_hand(),
            Case::fails("sign, keyless, nobody answers", sign(&silent, &file)).in_hand(),
        ])
    }

    /// A file among the keys.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        chown(&path, self.project.user(), self.project.user())?;
        Ok(path.display().to_string())
    }
}

/// Keys while they are made.
struct Made<'a> {
    project: &'a Project,
    folder: &'a Path,
    keys: Vec<Key>,
    secrets: Vec<Secret>,
}

impl Made<'_> {
    /// Ours: plain, and in cosign's format.
    fn by_keygen(&mut self, passphrase: &Secret) -> anyhow::Result<()> {
        for (name, kind, is_encrypted) in [
            ("P-256", "ecdsa-p256", false),
            ("Ed25519", "ed25519", false),
            ("P-256 in cosign's format", "ecdsa-p256", true),
        ] {
            let output = self.folder.join(format!("own-{kind}-{is_encrypted}"));
            let text = output.display().to_string();
            let words = ["sign", "keygen", "--output", &text, "--algorithm", kind];
            let mut launch: Launch = self.project.launch(&words);
            if is_encrypted {
                launch.environment.push((PASSPHRASE.into(), passphrase.text().into()));
            } else {
                launch.command.push("--no-passphrase".into());
            }
            let ran = run(&launch)?;
            let said = String::from_utf8_lossy(&ran.stderr);
            anyhow::ensure!(ran.status.success(), "sign keygen: {}\n{said}", ran.status);
            let file = fs::read_to_string(output.with_extension("key"))?;
            let der = if is_encrypted {
                let opened = cosign_key::open(&pem(&file)?, &passphrase.bytes)?;
                self.secrets.push(Secret { name: "key made by scrypt".into(), bytes: opened.key });
                opened.private
            } else {
                pem(&file)?
            };
            self.add(name, file, &der, is_encrypted, true)?;
        }
        Ok(())
    }

    /// The same kinds in the forms of OpenSSL, and one of a kind that we do not take.
    fn by_openssl(&mut self, passphrase: &Secret) -> anyhow::Result<()> {
        let openssl = |words: &[&str]| process::output(Command::new("openssl").args(words));
        let plain = self.folder.join("by-openssl");
        let plain = plain.to_str().context("temporary folders have plain names")?;
        let password = format!("pass:{}", passphrase.text());
        let pkcs8 = ["pkcs8", "-topk8", "-in", plain, "-passout", &password];
        let p256 = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
        let p384 = ["ecparam", "-name", "secp384r1", "-genkey", "-noout"];
        let ed25519 = ["genpkey", "-algorithm", "ed25519"];
        for (name, make, lock, is_usable) in [
            ("EC PRIVATE KEY of OpenSSL", &p256[..], None, true),
            ("PBKDF2 of OpenSSL", &ed25519, Some(&["-v2", "aes-256-cbc"][..]), true),
            ("scrypt of OpenSSL", &p256, Some(&["-scrypt"]), true),
            ("P-384 of OpenSSL", &p384, None, false),
        ] {
            let mut file = openssl(&[make, &["-out", plain]].concat())
                .and_then(|_| Ok(fs::read_to_string(plain)?))?;
            let der = pem(&file)?;
            if let Some(lock) = lock {
                file = openssl(&[&pkcs8, lock].concat())?;
            }
            self.add(name, file, &der, lock.is_some(), is_usable)?;
        }
        Ok(fs::remove_file(plain)?)
    }

    fn add(
        &mut self,
        name: &'static str,
        file: String,
        der: &[u8],
        is_encrypted: bool,
        is_usable: bool,
    ) -> anyhow::Result<()> {
        self.secrets.extend(numbers(name, der)?);
        self.keys.push(Key { name, file, is_encrypted, is_usable });
        Ok(())
    }
}

/// The private numbers of a key in DER: PKCS#8 or `ECPrivateKey`.
fn numbers(name: &str, der: &[u8]) -> anyhow::Result<Vec<Secret>> {
    let secret = |what: &str, bytes: Vec<u8>| Secret { name: format!("{name}, {what}"), bytes };
    // An octet string in an octet string (RFC 8410 §7).
    if let Some(seed) = behind(der, &[0x04, 0x22, 0x04, 0x20], 32) {
        let expanded = Sha512::digest(&seed).to_vec();
        // Of the scalar the first and last byte are changed before use; the rest is looked for in pieces.
        let (scalar, prefix) = expanded.split_at(32);
        let (scalar, prefix) = (scalar.to_vec(), prefix.to_vec());
        return Ok(vec![secret("seed", seed), secret("scalar", scalar), secret("prefix", prefix)]);
    }
    // `ECPrivateKey` (RFC 5915 §3): version 1, then an octet string as long as the field.
    let number = [32, 48]
        .into_iter()
        .find_map(|length| behind(der, &[0x02, 0x01, 0x01, 0x04, length], usize::from(length)));
    let number = number.context("a private key has a number")?;
    // As machine words lie in memory.
    let words = number.iter().rev().copied().collect();
    Ok(vec![secret("d", number), secret("d, lowest byte first", words)])
}

/// The bytes behind a mark.
fn behind(bytes: &[u8], mark: &[u8], length: usize) -> Option<Vec<u8>> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)? + mark.len();
    bytes.get(at..at + length).map(<[u8]>::to_vec)
}

/// The bytes of a file with one PEM block.
fn pem(text: &str) -> anyhow::Result<Vec<u8>> {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64_bytes(&body).context("a key is not base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_keys_are_found() {
        let seed: Vec<u8> = (0..32).collect();
        let ed25519 = [&[0x30, 0x2e, 0x04, 0x22, 0x04, 0x20][..], &seed].concat();
        let found = numbers("k", &ed25519).unwrap();
        assert_eq!(found[0].bytes, seed);
        assert_eq!(found.iter().map(|secret| secret.bytes.len()).collect::<Vec<_>>(), [32; 3]);
        let ec = [&[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20][..], &seed, &[0xa0]].concat();
        let found = numbers("k", &ec).unwrap();
        assert_eq!((found[0].bytes[0], found[1].bytes[0]), (0, 31));
        assert!(numbers("k", &seed).is_err());
    }
}

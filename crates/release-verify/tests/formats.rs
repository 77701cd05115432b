//! Signatures and checksum files as the real tools write them (`data/signatures/make.py` says how),
//! and the same damaged.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use dsops_release_verify::evidence::{
    AllowedSigners, Checksums, EvidenceError, Key, ManagedKey, MinisignKey, MinisignSignature,
    Signature, SshKey, SshSignature,
};
use dsops_release_verify::{Algorithm, Artifact, Digest};

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/signatures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(data(name)).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 56)
}

/// Verifies through the door that the engine uses.
fn verify(key: &Key, signature: &[u8], content: &[u8]) -> Result<Option<String>, EvidenceError> {
    let keys = [key.clone()];
    let signature = Signature::parse(signature)?;
    let artifact = Artifact::read("content", content, &signature.algorithms(&keys)).unwrap();
    signature
        .verify(&keys, &artifact, || Ok(io::Cursor::new(content.to_vec())), now())
        .unwrap()
        .map(|signed| signed.remark)
}

/// The signature is good over the content, and over nothing else; damaged it is not good.
fn holds(name: &str, key: &Key, signature: &[u8]) {
    let content = data("content");
    verify(key, signature, &content).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut changed = content.clone();
    changed[7] ^= 1;
    assert!(verify(key, signature, &changed).is_err(), "{name}");
    assert!(verify(key, signature, &content[1..]).is_err(), "{name}");
    assert!(verify(key, signature, b"").is_err(), "{name}");
    let step = (signature.len() / 40).max(1);
    for at in (0..signature.len()).step_by(step) {
        let mut damaged = signature.to_vec();
        damaged[at] ^= 4;
        // The comment of minisign that nobody signs, and line ends, may change.
        let harmless = verify(key, &damaged, &content).is_ok();
        let free =
            signature.starts_with(b"untrusted comment:") && !signature[..at].contains(&b'\n');
        assert!(!harmless || free, "{name}: byte {at}");
    }
    for cut in [1, signature.len() / 2, signature.len() - 3] {
        assert!(verify(key, &signature[..cut], &content).is_err(), "{name}: {cut} bytes");
    }
}

#[test]
fn keys_of_openssl() {
    for name in ["p256", "p384", "p521", "rsa2048"] {
        let key = Key::parse(&data(&format!("openssl/{name}.pem"))).unwrap();
        let Key::Managed(managed) = &key else { panic!("{name}") };
        for digest in ["sha256", "sha384", "sha512"] {
            let mut forms = vec![format!("openssl/{name}.{digest}.sig")];
            if name == "rsa2048" {
                forms.push(format!("openssl/{name}.{digest}.pss.sig"));
            }
            for form in forms {
                let signature = data(&form);
                assert!(managed.verifies(&data("content"), &signature), "{form}");
                let algorithm = Algorithm::from_name(digest).unwrap();
                let own = Digest::of(algorithm, &data("content"));
                assert!(managed.verifies_digest(&own, &signature), "{form}");
                for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                    let other = Digest::of(other, &data("content"));
                    assert!(!managed.verifies_digest(&other, &signature), "{form}");
                }
            }
        }
        // SHA-1 is no proof.
        assert!(!managed.verifies(&data("content"), &data(&format!("openssl/{name}.sha1.sig"))));
        let usual = match name {
            "p384" => "sha384",
            "p521" => "sha512",
            _ => "sha256",
        };
        holds(name, &key, &data(&format!("openssl/{name}.{usual}.sig")));
    }
    let key = Key::parse(&data("openssl/ed25519.pem")).unwrap();
    holds("ed25519", &key, &data("openssl/ed25519.sig"));
}

#[test]
fn a_signature_by_a_digest_that_its_key_does_not_usually_take() {
    let key = Key::parse(&data("openssl/rsa2048.pem")).unwrap();
    holds("rsa2048 with SHA-512", &key, &data("openssl/rsa2048.sha512.sig"));
}

#[test]
fn base64_around_a_signature_is_taken_off() {
    use base64ct::{Base64, Encoding as _};
    let key = Key::parse(&data("openssl/p256.pem")).unwrap();
    let bare = data("openssl/p256.sha256.sig");
    let mut buffer = vec![0; 256];
    let encoded = Base64::encode(&bare, &mut buffer).unwrap();
    for form in [
        encoded.to_owned(),
        format!("{encoded}\n"),
        format!("{}\r\n{}", &encoded[..40], &encoded[40..]),
    ] {
        verify(&key, form.as_bytes(), &data("content")).unwrap();
    }
}

#[test]
fn forms_of_one_key_have_one_id() {
    let id = |name: &str| ManagedKey::parse(&data(name)).unwrap().id().to_owned();
    assert_eq!(id("openssl/p256.pem"), id("openssl/p256.der"));
    assert_eq!(id("openssl/ed25519.pem"), id("openssl/ed25519.der"));
    assert_eq!(id("openssl/rsa2048.pem"), id("openssl/rsa2048.der"));
    assert_eq!(id("openssl/rsa2048.pem"), id("openssl/rsa2048.pkcs1.pem"));
    assert_ne!(id("openssl/p256.pem"), id("openssl/p384.pem"));
}

#[test]
fn keys_that_are_not_accepted() {
    for name in ["rsa1024", "k256", "ed448"] {
        let error = Key::parse(&data(&format!("openssl/{name}.pem"))).unwrap_err();
        assert!(matches!(error, EvidenceError::Unsupported { .. }), "{name}: {error}");
    }
    let mut longer = data("openssl/p256.der");
    longer.push(0);
    assert!(ManagedKey::parse(&longer).is_err());
    for cut in 0..longer.len() - 1 {
        assert!(ManagedKey::parse(&longer[..cut]).is_err());
    }
}

const SSH: [&str; 5] = ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa3072"];

#[test]
fn signatures_of_ssh_keygen() {
    let all = Key::parse(&data("ssh/allowed_signers")).unwrap();
    for name in SSH {
        let key = Key::parse(&data(&format!("ssh/{name}.pub"))).unwrap();
        for hash in ["sha256", "sha512"] {
            let signature = data(&format!("ssh/{name}.{hash}.sig"));
            holds(name, &key, &signature);
            let remark = verify(&all, &signature, &data("content")).unwrap();
            assert_eq!(remark.as_deref(), Some(format!("{name}@example.org").as_str()));
        }
        let public = SshKey::parse(&text(&format!("ssh/{name}.pub"))).unwrap();
        let shown = text(&format!("ssh/{name}.fingerprint"));
        assert_eq!(shown.split(' ').nth(1), Some(public.fingerprint().as_str()));
    }
}

#[test]
fn signatures_of_security_keys() {
    for name in ["sk-ed25519", "sk-ecdsa"] {
        let key = Key::parse(&data(&format!("ssh/{name}.pub"))).unwrap();
        holds(name, &key, &data(&format!("ssh/{name}.sha512.sig")));
    }
}

#[test]
fn who_may_sign_for_what_and_when() {
    let signature = SshSignature::parse(&data("ssh/ed25519.sha512.sig")).unwrap();
    assert_eq!((signature.namespace(), signature.hash()), ("file", Algorithm::Sha512));
    let git = SshSignature::parse(&data("ssh/git-namespace.sig")).unwrap();
    assert_eq!(git.namespace(), "git");
    let line = |options: &str| {
        let public = text("ssh/ed25519.pub");
        AllowedSigners::parse(&format!("a@example.org,*@example.net {options} {public}")).unwrap()
    };
    let allows = |options: &str, identity: Option<&str>| {
        line(options).principals(&signature, identity, now()).is_ok()
    };
    assert!(allows("", None));
    assert!(allows("", Some("b@example.net")));
    assert!(!allows("", Some("b@example.org")));
    assert!(allows("namespaces=\"git,file\"", None));
    assert!(!allows("namespaces=\"git\"", None));
    assert!(allows("valid-after=\"20200101\"", None));
    assert!(!allows("valid-after=\"29990101\"", None));
    assert!(allows("valid-before=\"29990101\"", None));
    assert!(!allows("valid-before=\"20200101\"", None));
    let other = AllowedSigners::parse(&format!("a {}", text("ssh/rsa3072.pub"))).unwrap();
    let error = other.principals(&signature, None, now()).unwrap_err();
    assert!(matches!(error, EvidenceError::OtherKey { .. }), "{error}");
    // Another namespace is another signature.
    let key = Key::parse(&data("ssh/ed25519.pub")).unwrap();
    verify(&key, &data("ssh/git-namespace.sig"), &data("content")).unwrap();
}

#[test]
fn signatures_of_minisign() {
    let key = Key::parse(&data("minisign/minisign.pub")).unwrap();
    for name in ["content", "content.legacy"] {
        let signature = data(&format!("minisign/{name}.minisig"));
        holds(name, &key, &signature);
        let remark = verify(&key, &signature, &data("content")).unwrap();
        assert_eq!(remark, Some(format!("made for a test: {name}")));
        let forged = String::from_utf8(signature).unwrap().replace("for a test", "by a thief");
        assert_eq!(
            verify(&key, forged.as_bytes(), &data("content")),
            Err(EvidenceError::BadSignature)
        );
    }
    let line = text("minisign/minisign.pub").lines().nth(1).unwrap().to_owned();
    assert_eq!(
        MinisignKey::parse(&line).unwrap().id(),
        MinisignKey::parse(&text("minisign/minisign.pub")).unwrap().id()
    );
    assert!(text("minisign/minisign.pub").contains(&MinisignKey::parse(&line).unwrap().id()));
}

#[test]
fn signatures_of_signify() {
    let key = Key::parse(&data("signify/signify.pub")).unwrap();
    holds("signify", &key, &data("signify/content.sig"));
    let other = Key::parse(&data("minisign/minisign.pub")).unwrap();
    let error = verify(&other, &data("signify/content.sig"), &data("content")).unwrap_err();
    assert!(matches!(error, EvidenceError::OtherKey { .. }), "{error}");
}

#[test]
fn minisign_files_that_are_broken() {
    let good = text("minisign/content.minisig");
    let lines: Vec<&str> = good.lines().collect();
    for broken in [
        lines[1..].join("\n"),
        lines[..3].join("\n"),
        [&lines[..], &["more"]].concat().join("\n"),
        good.replace("trusted comment: ", "comment: "),
        lines.iter().map(|line| &line[..line.len().min(30)]).collect::<Vec<_>>().join("\n"),
        good.replace("\nRU", "\nRX"),
        format!("{}{}", "untrusted comment: ", "x".repeat(MinisignSignature::LIMIT_BYTES)),
    ] {
        assert!(MinisignSignature::parse(broken.as_bytes()).is_err(), "{broken}");
    }
    // Line ends of Windows do no harm.
    let windows = good.replace('\n', "\r\n");
    let key = Key::parse(&data("minisign/minisign.pub")).unwrap();
    verify(&key, windows.as_bytes(), &data("content")).unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_verified() {
    let key = [Key::parse(&data("minisign/minisign.pub")).unwrap()];
    let signature = Signature::parse(&data("minisign/content.minisig")).unwrap();
    // Hashed as one thing, read again as what was signed.
    let artifact = Artifact::read("content", &b"what will be run"[..], &[]).unwrap();
    let result = signature.verify(&key, &artifact, || Ok(io::Cursor::new(data("content"))), now());
    assert!(result.is_err());
    let key = [Key::parse(&data("openssl/ed25519.pem")).unwrap()];
    let signature = Signature::parse(&data("openssl/ed25519.sig")).unwrap();
    let result = signature.verify(&key, &artifact, || Ok(io::Cursor::new(data("content"))), now());
    assert!(result.is_err());
}

#[test]
fn kinds_that_are_not_read_say_so() {
    for other in
        ["-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n", "\u{88}\u{1}"]
    {
        let bytes: Vec<u8> = other.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert!(matches!(Signature::parse(&bytes), Err(EvidenceError::Unsupported { .. })));
    }
    assert!(Signature::parse(b"").is_err());
    assert!(Signature::parse(&[0; 2000]).is_err());
    assert!(Signature::parse(&vec![b'A'; Signature::LIMIT_BYTES + 1]).is_err());
}

const NAMES: [&str; 7] =
    ["plain", "two words", "back\\slash", "paren (1) = x", "umlaut-ä", "-dash", "*star"];

#[test]
fn checksum_files_of_every_tool() {
    for (list, algorithm) in [
        ("gnu-text", Algorithm::Sha256),
        ("gnu-binary", Algorithm::Sha256),
        ("gnu-tag", Algorithm::Sha256),
        ("gnu-sha384", Algorithm::Sha384),
        ("gnu-sha512", Algorithm::Sha512),
        ("perl", Algorithm::Sha256),
        ("perl-tag", Algorithm::Sha512),
        ("openssl", Algorithm::Sha256),
    ] {
        let read = Checksums::parse("SUMS", &data(&format!("lists/{list}")))
            .unwrap_or_else(|error| panic!("{list}: {error}"));
        let mut expected = NAMES.to_vec();
        if list == "openssl" {
            expected.truncate(5);
        }
        expected.sort_unstable();
        let names: Vec<_> = read.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, expected, "{list}");
        for entry in read.entries() {
            // Each file holds its own name.
            let own = Digest::of(algorithm, entry.path.as_bytes());
            assert_eq!(entry.digests, [own], "{list}: {}", entry.path);
        }
    }
    for weak in ["gnu-md5", "gnu-sha1", "gnu-b2"] {
        let error = Checksums::parse("SUMS", &data(&format!("lists/{weak}"))).unwrap_err();
        assert!(matches!(error, EvidenceError::Unsupported { .. }), "{weak}: {error}");
    }
}

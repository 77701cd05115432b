//! Feeds arbitrary bytes to the readers of SSH signatures, SSH keys and lists of allowed signers.
#![no_main]

use std::time::SystemTime;

use dsops_release_verify::Digest;
use dsops_release_verify::evidence::{AllowedSigners, SshKey, SshSignature};
use libfuzzer_sys::fuzz_target;

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let three = bytes.chunks_exact(3).flat_map(|three| {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    });
    three.collect()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("inputs are short");
    [&length.to_be_bytes(), bytes].concat()
}

fn verify(file: &str) {
    let Ok(signature) = SshSignature::parse(file.as_bytes()) else { return };
    let _ = signature.key().fingerprint();
    let digest = Digest::of(signature.hash(), b"content");
    assert!(signature.verify(&digest).is_err(), "a signature that nobody made");
    let anyone = AllowedSigners::of_key(signature.key().clone());
    assert!(anyone.principals(&signature, None, SystemTime::UNIX_EPOCH).is_ok());
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = SshKey::parse(text);
        if let Ok(signers) = AllowedSigners::parse(text) {
            assert!(signers.len() > 0 && signers.keys().count() > 0);
        }
        verify(text);
    }
    let armored = |blob: &[u8]| {
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", base64(blob))
    };
    verify(&armored(&[b"SSHSIG\0\0\0\x01", bytes].concat()));
    // A whole one around a signature of any form, by a key that is there.
    let point: Vec<u8> = (0..32).collect();
    let kinds: [(&[u8], Vec<u8>); 2] = [
        (b"ssh-ed25519", string(&point)),
        (b"sk-ssh-ed25519@openssh.com", [string(&point), string(b"ssh:")].concat()),
    ];
    for (kind, rest) in kinds {
        let key = [string(kind), rest].concat();
        let signature = [string(kind), bytes.to_vec()].concat();
        // The armour here takes whole groups of three bytes: the namespace fills up.
        for namespace in [&b"file"[..], b"file-", b"file--"] {
            let parts = [
                string(&key),
                string(namespace),
                string(b""),
                string(b"sha512"),
                string(&signature),
            ];
            let blob = [b"SSHSIG\0\0\0\x01".to_vec(), parts.concat()].concat();
            if blob.len() % 3 == 0 {
                verify(&armored(&blob));
            }
        }
        let _ = SshKey::parse(&format!("ssh-ed25519 {}", base64(bytes)));
    }
});

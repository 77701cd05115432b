//! Puts bytes in the place of an entry, by choice authenticated anew, and compares with a second verifier: a hit here if and only if there.
//! Covers the header, the chunk reader, the piecewise reader and what is admitted from elsewhere.
#![no_main]

use std::{fs, io::Read as _, path::PathBuf, sync::OnceLock};

use aes_gcm::{Aes256Gcm, KeyInit as _, Tag, aead::AeadInOut as _};
use dsops_integrity_cache::{
    Body, Cache, Key, KeySource, Limits, Lookup, ManualClock, MissReason, Namespace, Policy,
};
use dsops_secure_mem::SecretBytes;
use hmac::{Hmac, Mac as _};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

const MASTER: [u8; 32] = *b"the key of all that is fuzzed by";
const NOW: i64 = 1_790_000_000_000;
const LIMIT: u64 = 1 << 20;

struct Setup {
    namespace: Namespace,
    path: PathBuf,
    good: Vec<Vec<u8>>,
    keys: Keys,
}

/// The second verifier, written from docs/integrity-cache.md with other libraries.
struct Keys {
    cache_id: [u8; 16],
    id: Vec<u8>,
    entry: Vec<u8>,
    enc: Vec<u8>,
    boot: Vec<u8>,
    /// The canonical key, in the namespace `ns`.
    key: Vec<u8>,
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(bytes.get(at..at + len)?);
    Some(u64::from_le_bytes(wide))
}

/// What an entry holds: whether it says that there is nothing, its epoch, and its payload.
type Content = (bool, u64, Vec<u8>);

impl Keys {
    fn header_len(bytes: &[u8]) -> Option<usize> {
        let fields = number(bytes, 20, 2)? + number(bytes, 22, 2)?;
        Some((176 + usize::try_from(fields).ok()?).next_multiple_of(16))
    }

    fn tag(&self, header: &[u8]) -> Vec<u8> {
        mac(&self.entry, &[b"dsops.integrity-cache.entry.v1\0", header])
    }

    fn verify(&self, bytes: &[u8]) -> Option<Content> {
        let len = Self::header_len(bytes)?;
        let (header, rest) = (bytes.get(..len)?, bytes.get(len..)?);
        let body = header[11];
        let flags = number(header, 12, 2)?;
        let fixed = header[..11] == *b"DSIE\x89\x0d\x0a\x1a\x01\x00\x01"
            && flags & !3 == 0
            && header[14..16] == [16, 0]
            && number(header, 16, 4)? == len as u64
            && len + 32 <= 8192
            && number(header, 24, 8)? == 0
            && header[32..48] == self.cache_id
            && header[48..56] == self.id[..]
            && header[176..].starts_with(&[b"ns", &self.key[..]].concat())
            && number(header, 20, 2)? == 2
            && number(header, 22, 2)? == self.key.len() as u64
            && header[178 + self.key.len()..].iter().all(|byte| *byte == 0);
        // Sensitive ones belong to another namespace.
        if !fixed || flags & 2 != 0 || rest.get(..32)? != self.tag(header) {
            return None;
        }
        let (created, expires) = (number(header, 72, 8)? as i64, number(header, 80, 8)? as i64);
        let ttl = expires.saturating_sub(created).clamp(0, 7 * 24 * 3_600_000);
        let alive = if header[88..96] == mac(&self.boot, &[&1u128.to_le_bytes()])[..8] {
            let age = 1_000_000u64.checked_sub(number(header, 96, 8)?)?;
            age < ttl as u64
        } else {
            created <= NOW + 300_000 && NOW < created.saturating_add(ttl)
        };
        let size = number(header, 104, 8)?;
        if !alive || size > LIMIT {
            return None;
        }
        let size = usize::try_from(size).ok()?;
        let count = size.div_ceil(65536).max(1);
        let chunk_len = |index: usize| (size - index * 65536).min(65536);
        let stored = &rest[32..];
        let mut payload = Vec::new();
        match body {
            1 => {
                let tables = if count > 1 { 32 * count } else { 0 };
                if stored.len() != size + tables || header[112..144] != [0; 32] {
                    return None;
                }
                let mut leaves = Vec::new();
                for index in 0..count {
                    let chunk = &stored[index * 65536..][..chunk_len(index)];
                    let place = (index as u64).to_le_bytes();
                    let last = [u8::from(index + 1 == count)];
                    let leaf = Sha256::new().chain_update([0]).chain_update(place);
                    leaves.extend(leaf.chain_update(last).chain_update(chunk).finalize());
                }
                let root = match count {
                    1 => leaves.clone(),
                    _ => Sha256::new().chain_update([1]).chain_update(&leaves).finalize().to_vec(),
                };
                if header[144..176] != root[..] || (count > 1 && stored[size..] != leaves[..]) {
                    return None;
                }
                payload.extend_from_slice(&stored[..size]);
            }
            3 => {
                if stored.len() != size + 16 * count || header[144..176] != [0; 32] {
                    return None;
                }
                let key = mac(&self.enc, &[b"body", &header[112..144], &[1]]);
                let cipher = Aes256Gcm::new_from_slice(&key).expect("32 bytes");
                for index in 0..count {
                    let mut nonce = [0; 12];
                    nonce[..8].copy_from_slice(&(index as u64).to_le_bytes());
                    nonce[11] = u8::from(index + 1 == count);
                    let sealed = &stored[index * 65552..][..chunk_len(index) + 16];
                    let (text, tag) = sealed.split_last_chunk::<16>()?;
                    let mut text = text.to_vec();
                    let buffer = text.as_mut_slice().into();
                    let opened =
                        cipher.decrypt_inout_detached(&nonce.into(), &[], buffer, &Tag::from(*tag));
                    opened.ok()?;
                    payload.extend(text);
                }
            }
            _ => return None,
        }
        Some((flags & 1 != 0, number(header, 56, 8)?, payload))
    }
}

fn key() -> Key {
    Key::new().part("k", "k")
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let root = std::path::Path::new("/dev/shm");
        let root = if root.is_dir() { root.to_owned() } else { std::env::temp_dir() };
        let dir = root.join(format!("dsops-entry-fuzz-{}", std::process::id()));
        let master = SecretBytes::copy_from(&MASTER).expect("memory");
        let limits = Limits::default().with(|limits| limits.max_entry_bytes = LIMIT);
        let cache = Cache::builder(&dir)
            .key(KeySource::Bytes(master))
            .limits(limits)
            .clock(ManualClock::new(NOW))
            .open()
            .expect("opens");
        let mut good = Vec::new();
        for body in [Body::Aes256Gcm, Body::Sha256] {
            let policy = Policy::new().with(|policy| policy.body = body);
            let namespace = cache.namespace_with("ns", policy).expect("a good name");
            for len in [0, 1, 40, 65_536, 65_537, 140_000] {
                let payload: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
                let _ = namespace.put(&key(), None, &payload).expect("stores");
                let Ok(Lookup::Hit(bytes)) = namespace.export(&key()) else { panic!("a hit") };
                good.push(bytes);
            }
            let _ = namespace.put_negative(&key(), None, "a note").expect("stores");
        }
        let superblock = fs::read(dir.join("CACHE")).expect("reads");
        let cache_id: [u8; 16] = superblock[16..32].try_into().expect("16 bytes");
        let prk = mac(&cache_id, &[&MASTER]);
        let derive = |purpose: &[u8]| mac(&prk, &[b"dsops.ic.v1/", purpose, &[1]]);
        let canonical = b"\x01\0\0\0k\x01\0\0\0k".to_vec();
        let name: String = mac(&derive(b"name"), &[b"ns", &[0], &canonical])
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let keys = Keys {
            cache_id,
            id: derive(b"id")[..8].to_vec(),
            entry: derive(b"entry"),
            enc: derive(b"enc"),
            boot: derive(b"boot"),
            key: canonical,
        };
        let path = dir.join(&name[..2]).join(&name[2..]);
        good.push(fs::read(&path).expect("the name is the one that was computed"));
        for bytes in &good {
            assert!(keys.verify(bytes).is_some(), "the verifiers agree on what is good");
        }
        let namespace = cache.namespace("ns").expect("a good name");
        Setup { namespace, path, good, keys }
    })
}

fuzz_target!(|input: &[u8]| {
    let [which, how, changes @ ..] = input else { return };
    let Setup { namespace, path, good, keys } = setup();
    let mut bytes = good[usize::from(*which) % good.len()].clone();
    if how & 1 == 0 {
        // Place and change, most of them near the start.
        for change in changes.chunks_exact(4) {
            let at = u32::from_le_bytes([change[0], change[1], change[2] & 1, 0]) as usize;
            let at = if change[2] & 2 == 0 { at % 400 } else { at } % bytes.len();
            bytes[at] ^= change[3];
        }
    } else {
        let at = usize::from(how >> 4) * 24;
        bytes.truncate(at);
        bytes.extend_from_slice(changes);
    }
    if how & 2 != 0 {
        let len = bytes.len();
        bytes.truncate(len - len.min(usize::from(*which)));
    }
    if how & 4 != 0
        && let Some(len) = Keys::header_len(&bytes)
        && bytes.len() >= len + 32
    {
        let tag = keys.tag(&bytes[..len]);
        bytes[len..len + 32].copy_from_slice(&tag);
    }
    fs::write(path, &bytes).expect("writes");
    let truth = keys.verify(&bytes);
    let hit = match &truth {
        Some((false, 0, payload)) => Some(payload),
        _ => None,
    };
    match namespace.get(&key()).expect("no entry is an error") {
        Lookup::Hit(entry) => assert_eq!(Some(entry.bytes()), hit.map(|hit| &hit[..]), "a hit"),
        Lookup::Miss(reason) => assert!(hit.is_none(), "a miss: {reason:?}"),
    }
    if let Lookup::Hit(mut reader) = namespace.reader(&key()).expect("no entry is an error") {
        let mut read = Vec::new();
        match reader.read_to_end(&mut read) {
            Ok(_) => assert_eq!(Some(&read), hit, "read piece by piece"),
            Err(_) => assert!(hit.is_none()),
        }
    } else {
        assert!(hit.is_none());
    }
    let epoch =
        bytes.get(56..64).map_or(0, |epoch| u64::from_le_bytes(epoch.try_into().expect("8 bytes")));
    // An epoch that is ahead would be learned, and all that follows stale.
    if epoch == 0 {
        match namespace.admit(&key(), &bytes).expect("no entry is an error") {
            Lookup::Hit(_) => assert!(truth.is_some(), "admitted"),
            Lookup::Miss(MissReason::Absent) => panic!("bytes are never absent"),
            Lookup::Miss(reason) => assert!(truth.is_none(), "not admitted: {reason:?}"),
        }
    }
});

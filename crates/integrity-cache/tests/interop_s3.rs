//! The remote tier on a server that speaks as S3 does (moto), over HTTP.
//!
//! `cargo xtask interop` installs and names it; without it the test says that it was not run.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use common::{Place, known};
use dsops_integrity_cache::{
    Key, ObjectStoreRemote, Policy, PutOutcome, Remote, SharedCache, SharedNamespace,
};

/// A server of its own, ended when dropped.
struct Moto {
    server: Child,
    endpoint: String,
}

/// Says where it listens once it does, then serves until its stdin ends.
const SERVE: &str = "import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print('http://%s:%d' % (host, port), flush=True)
sys.stdin.read()
server.stop()";

impl Moto {
    fn start() -> Option<Self> {
        let folder = std::env::var_os("DSOPS_TEST_MOTO").map(PathBuf::from)?;
        let mut server = Command::new("python3")
            .args(["-c", SERVE])
            .env("PYTHONPATH", folder.join("python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        assert!(endpoint.starts_with("http://"), "the server did not start: {endpoint:?}");
        let moto = Self { server, endpoint: endpoint.trim().to_owned() };
        let made = Command::new("python3")
            .args(["-c", "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b').create_bucket(Bucket='shared')"])
            .arg(&moto.endpoint)
            .env("PYTHONPATH", folder.join("python"))
            .status()
            .unwrap();
        assert!(made.success());
        Some(moto)
    }

    fn remote(&self) -> ObjectStoreRemote {
        let options = [
            ("aws_endpoint", self.endpoint.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "a"),
            ("aws_secret_access_key", "b"),
            // What is down is down: no minutes of trying again.
            ("timeout", "10s"),
        ];
        ObjectStoreRemote::open("s3://shared/under/this", options).unwrap()
    }

    fn machine(&self, place: &Place) -> SharedCache {
        let cache = SharedCache::open(|| place.builder().key(known()), self.remote()).unwrap();
        assert!(cache.is_shared());
        cache
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn namespace(cache: &SharedCache) -> SharedNamespace {
    cache.namespace_with("n", Policy::new()).unwrap()
}

fn key(text: &str) -> Key {
    Key::new().part("key", text)
}

#[test]
fn two_machines_share_a_bucket() {
    let Some(moto) = Moto::start() else {
        assert!(std::env::var_os("DSOPS_TEST_REQUIRE_INTEROP").is_none(), "moto is not installed");
        println!("not run: moto is not installed, see `cargo xtask interop`");
        return;
    };
    let (one, two) = (Place::new(), Place::new());
    let (here, there) = (moto.machine(&one), moto.machine(&two));
    let (a, b) = (namespace(&here), namespace(&there));

    // Small, and large enough to be sent in parts.
    for len in [0, 1, 100_000, 20_000_000] {
        let payload: Vec<u8> = (0..len).map(|n: usize| n.to_le_bytes()[0]).collect();
        let key = key(&len.to_string());
        assert_eq!(a.put(&key, None, &payload).unwrap(), PutOutcome::Stored);
        let entry = b.get(&key).unwrap().hit();
        assert!(entry.is_some_and(|entry| entry.bytes() == payload), "{len} bytes");
    }
    assert_eq!(here.local().counters().remote_stored, 4);
    assert_eq!(there.local().counters().remote_hits, 4);

    // One computes for both.
    let computed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for namespace in [&a, &b] {
            let computed = &computed;
            scope.spawn(move || {
                let value = namespace.get_or_try_put(&key("once"), None, || {
                    computed.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(500));
                    Ok::<_, std::io::Error>(b"value".to_vec())
                });
                assert_eq!(value.unwrap(), b"value");
            });
        }
    });
    assert_eq!(computed.load(Ordering::Relaxed), 1);

    // What somebody with write access to the bucket put in an entry's place.
    a.put(&key("good"), None, b"good").map(drop).unwrap();
    let name = one
        .entries()
        .into_iter()
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .map(|path| path.strip_prefix(one.dir()).unwrap().to_str().unwrap().to_owned())
        .unwrap();
    let remote = moto.remote();
    let mut bytes = Vec::new();
    assert!(remote.fetch(&name, &mut bytes).unwrap());
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    remote.store(&name, &mut &bytes[..], bytes.len() as u64, false).unwrap();
    let before = there.local().counters().remote_rejected;
    assert!(b.get(&key("good")).unwrap().hit().is_none());
    assert_eq!(there.local().counters().remote_rejected, before + 1);

    // Down: misses and stores go on here.
    drop(moto);
    assert!(b.get(&key("absent")).unwrap().hit().is_none());
    assert_eq!(b.put(&key("absent"), None, b"x").unwrap(), PutOutcome::Stored);
    assert!(there.local().counters().remote_failed >= 1);
}

//! After a call no copy of its secrets is left in the process but the one in protected memory.
//!
//! The server is another process, so that its copies are not counted. What is looked for is kept masked, so that
//! looking for it makes no copy either.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dsops_secure_mem::{SecretBytes, ZeroizingAlloc};
use dsops_testkit::{HttpAnswer, HttpRequest, HttpServer, serve};
use dsops_transport::{Client, Roots, Url};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

// As in the binary: rustls frees each decrypted record in a vector of its own.
#[global_allocator]
static ALLOCATOR: ZeroizingAlloc = ZeroizingAlloc::system();

const MASK: u8 = 0x5a;
/// The secret, masked.
const MASKED: [u8; 20] = [
    0x17, 0x28, 0x69, 0x39, 0x08, 0x2e, 0x6d, 0x0b, 0x2d, 0x63, 0x1e, 0x32, 0x6b, 0x10, 0x21, 0x6f,
    0x0c, 0x34, 0x62, 0x1d,
];

fn secret() -> SecretBytes {
    SecretBytes::build(MASKED.len(), |room| {
        for (to, masked) in room.iter_mut().zip(MASKED) {
            *to = masked ^ MASK;
        }
        Ok::<usize, dsops_secure_mem::Error>(MASKED.len())
    })
    .unwrap()
}

fn is_secret(bytes: &[u8]) -> bool {
    bytes.len() == MASKED.len()
        && bytes.iter().zip(MASKED).all(|(byte, masked)| byte ^ MASK == masked)
}

/// How often the secret stands in memory that this process can read and write.
fn copies() -> usize {
    let mut piece = vec![0; 1 << 20];
    let own = piece.as_ptr().addr()..piece.as_ptr().addr() + piece.len();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut found = 0;
    let first = MASKED[0] ^ MASK;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, rest) = line.split_once('-').unwrap();
        let end = rest.split(' ').next().unwrap();
        let mut at = usize::from_str_radix(start, 16).unwrap();
        let end = usize::from_str_radix(end, 16).unwrap();
        while at < end {
            let len = piece.len().min(end - at);
            // Hidden memory cannot be read this way: that is what it is for.
            if memory.seek(SeekFrom::Start(at as u64)).is_err()
                || memory.read_exact(&mut piece[..len]).is_err()
            {
                break;
            }
            // A plain loop: iterators take seconds here without optimisation.
            let mut offset = 0;
            while offset + MASKED.len() <= len {
                if piece[offset] == first
                    && is_secret(&piece[offset..offset + MASKED.len()])
                    && !own.contains(&(at + offset))
                {
                    found += 1;
                }
                offset += 1;
            }
            at += if len == piece.len() { len - MASKED.len() + 1 } else { len };
        }
    }
    found
}

struct Other {
    child: Child,
    url: Url,
    authority: Vec<u8>,
}

impl Other {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("port ")).unwrap();
        let port: u16 = line.rsplit_once("port ").unwrap().1.parse().unwrap();
        let mut authority = Vec::new();
        for line in lines {
            let is_last = line.contains("END CERTIFICATE");
            authority.extend_from_slice(line.as_bytes());
            authority.push(b'\n');
            if is_last {
                break;
            }
        }
        let url = Url::parse(&format!("https://localhost:{port}/")).unwrap();
        Self { child, url, authority }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the other side of one, in a process of its own.
#[test]
#[ignore = "the server of the test below"]
fn the_server() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let answer = |request: &HttpRequest| {
        let knows =
            request.header("authorization").is_some_and(|value| is_secret(&value.as_bytes()[7..]));
        let sends = is_secret(&request.body);
        let body: Vec<u8> = MASKED.iter().map(|masked| masked ^ MASK).collect();
        HttpAnswer::new(if knows && sends { 200 } else { 403 }, body)
    };
    let server = HttpServer::start_with(move |stream, log| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        let _ = serve(&mut stream, &answer, log);
    });
    println!("port {}", server.address().port());
    print!("{}", made.cert.pem());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn no_copy_is_left() {
    let other = Other::start();
    let client = Client::builder().roots(Roots::Only(other.authority.clone())).build().unwrap();
    // The search finds what is there.
    let plain: Vec<u8> = MASKED.iter().map(|masked| masked ^ MASK).collect();
    assert!(copies() >= 1, "the search finds nothing");
    drop(plain);
    assert_eq!(copies(), 0, "a freed vector is wiped");

    let (token, body) = (secret(), secret());
    for round in 0..2 {
        let answer = client
            .post(&other.url)
            .bearer(&token)
            .unwrap()
            .secret_body("text/plain", &body)
            .unwrap()
            .send()
            .unwrap();
        assert_eq!(answer.status(), 200);
        let value = answer.secret(1024).unwrap();
        assert!(is_secret(&value.expose()));
        // The connection is open and kept for the next round; three secrets are alive.
        assert_eq!(copies(), 0, "round {round}");
    }
}

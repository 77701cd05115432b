//! The client against servers that speak TLS: whom it believes, tunnels, limits of time.

#![allow(clippy::unwrap_used)]

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsops_secure_mem::SecretBytes;
use dsops_testkit::{HttpAnswer, HttpRequest, HttpServer, serve};
use dsops_transport::{
    Builder, Client, ClientIdentity, ErrorKind, Phase, Proxy, Redirects, Retry, Roots, Url,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority made for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn leaf(&self, name: &str, valid: std::ops::Range<i32>) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(valid.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(valid.end, 1, 1);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn server_config(&self, name: &str, valid: std::ops::Range<i32>, mutual: bool) -> ServerConfig {
        let (certificate, key) = self.leaf(name, valid);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }

    /// A server whose certificate is for `name`.
    fn server(&self, name: &str) -> HttpServer {
        tls_server(self.server_config(name, 2020..2100, false), |_| HttpAnswer::new(200, "hello"))
    }

    fn client(&self) -> Builder {
        let retry = Retry { attempts: 1, ..Retry::default() };
        Client::builder().roots(Roots::Only(self.pem())).retry(retry)
    }
}

fn tls_server(
    config: ServerConfig,
    handler: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
) -> HttpServer {
    let config = Arc::new(config);
    HttpServer::start_with(move |stream, log| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let _ = serve(&mut stream, &handler, log);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

fn url(server: &HttpServer, host: &str, path: &str) -> Url {
    Url::parse(&format!("https://{host}:{}{path}", server.address().port())).unwrap()
}

#[test]
fn a_trusted_server() {
    let authority = Authority::new();
    let server = authority.server("localhost");
    let client = authority.client().build().unwrap();
    for _ in 0..3 {
        let answer = client.get(&url(&server, "localhost", "/x")).send().unwrap();
        assert_eq!(&*answer.secret(100).unwrap().expose(), b"hello");
    }
    let and = Client::builder().roots(Roots::PlatformAnd(authority.pem())).build().unwrap();
    assert!(and.get(&url(&server, "localhost", "/")).send().unwrap().is_success());
}

#[test]
fn an_address_as_name() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1");
    let client = authority.client().build().unwrap();
    assert!(client.get(&url(&server, "127.0.0.1", "/")).send().unwrap().is_success());
    assert!(client.get(&url(&server, "localhost", "/")).send().is_err());
}

#[test]
fn much_both_ways() {
    let authority = Authority::new();
    let config = authority.server_config("localhost", 2020..2100, false);
    let server = tls_server(config, |request| HttpAnswer::new(200, request.body.clone()));
    let client = authority.client().build().unwrap();
    let body: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let secret = SecretBytes::copy_from(&body).unwrap();
    let answer = client
        .post(&url(&server, "localhost", "/"))
        .secret_body("application/octet-stream", &secret)
        .unwrap()
        .send()
        .unwrap();
    assert!(answer.bytes(2_000_000).unwrap() == body);
}

#[test]
fn servers_that_are_not_trusted() {
    use CertificateError as Bad;
    let (authority, other) = (Authority::new(), Authority::new());
    let years = [
        ("localhost", 2020..2100, &other),
        ("other.example", 2020..2100, &authority),
        ("localhost", 2020..2021, &authority),
        ("localhost", 2090..2100, &authority),
    ];
    for (index, (name, valid, issuer)) in years.into_iter().enumerate() {
        let config = issuer.server_config(name, valid, false);
        let server = tls_server(config, |_| HttpAnswer::new(200, "never"));
        let client = authority.client().build().unwrap();
        let error = client.get(&url(&server, "localhost", "/")).send().unwrap_err();
        assert_eq!(error.phase(), Phase::Tls);
        let ErrorKind::Tls(rustls::Error::InvalidCertificate(problem)) = error.kind() else {
            panic!("{error:?}");
        };
        let fits = match index {
            0 => matches!(problem, Bad::UnknownIssuer | Bad::BadSignature),
            1 => matches!(problem, Bad::NotValidForName | Bad::NotValidForNameContext { .. }),
            2 => matches!(problem, Bad::Expired | Bad::ExpiredContext { .. }),
            _ => matches!(problem, Bad::NotValidYet | Bad::NotValidYetContext { .. }),
        };
        assert!(fits, "{index}: {problem:?}");
        assert!(index == 0 || error.help().is_some(), "{error:?}");
        assert!(server.requests().is_empty(), "nothing was sent");
    }
    // The platform does not know the authority either.
    let server = authority.server("localhost");
    let error = Client::new().unwrap().get(&url(&server, "localhost", "/")).send().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
    assert!(error.help().unwrap().contains("CA file"));
}

#[test]
fn who_we_are() {
    let authority = Authority::new();
    let config = authority.server_config("localhost", 2020..2100, true);
    let server = tls_server(config, |_| HttpAnswer::new(200, "hello"));
    let (certificate, key) = authority.leaf("client.example", 2020..2100);
    let key = SecretBytes::adopt(key.serialize_pem().into_bytes().as_mut_slice()).unwrap();
    let identity = ClientIdentity { certificates: certificate.pem().into_bytes(), key };
    let client = authority.client().identity(identity).build().unwrap();
    let get = |client: &Client| {
        client.get(&url(&server, "localhost", "/")).send().and_then(|answer| answer.bytes(5))
    };
    assert_eq!(get(&client).unwrap(), b"hello");
    assert!(get(&authority.client().build().unwrap()).is_err());
}

#[test]
fn files_that_are_not_certificates() {
    let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
    for pem in [&b""[..], b"not PEM", broken] {
        let error = Client::builder().roots(Roots::Only(pem.to_vec())).build().unwrap_err();
        assert_eq!(error.phase(), Phase::Setup, "{error}");
    }
    let authority = Authority::new();
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IHRleHQ=\n-----END PRIVATE KEY-----\n";
    let key = SecretBytes::copy_from(secret.as_bytes()).unwrap();
    let identity = ClientIdentity { certificates: authority.pem(), key };
    let error = authority.client().identity(identity).build().unwrap_err();
    assert!(!format!("{error:?}").contains("c2VjcmV0"));
}

#[test]
fn a_body_without_length_needs_the_servers_end() {
    let authority = Authority::new();
    for signed in [true, false] {
        let config = Arc::new(authority.server_config("localhost", 2020..2100, false));
        let server = HttpServer::start_with(move |stream, _| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let _ = HttpRequest::read(&mut BufReader::new(&mut stream));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello");
            if signed {
                stream.conn.send_close_notify();
            }
            let _ = stream.flush();
        });
        let client = authority.client().build().unwrap();
        let body =
            client.get(&url(&server, "localhost", "/")).send().and_then(|answer| answer.bytes(100));
        match body {
            Ok(body) => assert!(signed && body == b"hello"),
            Err(error) => {
                assert!(!signed && matches!(error.kind(), ErrorKind::Truncated), "{error:?}");
                assert_eq!(error.phase(), Phase::Body);
            }
        }
    }
}

#[test]
fn out_of_encryption() {
    let authority = Authority::new();
    let plain = HttpServer::start(|_| HttpAnswer::new(200, "in the clear"));
    let to = plain.url("/");
    let config = authority.server_config("localhost", 2020..2100, false);
    let server = tls_server(config, move |_| HttpAnswer::new(302, "").with("location", to.clone()));
    let client = authority.client().allow_loopback_http().build().unwrap();
    let error = client
        .get(&url(&server, "localhost", "/"))
        .redirects(Redirects::Anywhere, 5)
        .send()
        .unwrap_err();
    assert!(error.to_string().contains("out of encryption"), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn a_handshake_ends() {
    let authority = Authority::new();
    let server = HttpServer::start_with(|mut stream, _| {
        let mut rest = [0; 1024];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    });
    let client = authority.client().connect_timeout(Duration::from_millis(200)).build().unwrap();
    let error = client.get(&url(&server, "localhost", "/")).send().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout), "{error:?}");
    assert!(matches!(error.phase(), Phase::Tls | Phase::Connect), "{error:?}");
}

#[test]
fn servers_that_do_not_speak_tls() {
    let authority = Authority::new();
    let client = authority.client().build().unwrap();
    for hello in
        [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0x16, 3, 3, 0xff, 0xff], &[0; 4096]]
    {
        let server = HttpServer::start_with(move |mut stream: TcpStream, _| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(hello);
        });
        let error = client.get(&url(&server, "localhost", "/")).send().unwrap_err();
        assert_eq!(error.phase(), Phase::Tls, "{hello:?} {error:?}");
    }
}

/// A proxy that leads every tunnel to `to`, and what it was asked.
fn proxy_to(to: &HttpServer, answer: &'static str) -> (HttpServer, Arc<Mutex<Vec<HttpRequest>>>) {
    let address = to.address();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let server = HttpServer::start_with(move |mut client, _| {
        // Nothing follows the request before it is answered: no byte is lost in the buffer.
        let request = HttpRequest::read(&mut BufReader::new(&mut client)).unwrap().unwrap();
        log.lock().unwrap().push(request);
        client.write_all(answer.as_bytes()).unwrap();
        let upstream = TcpStream::connect(address).unwrap();
        let (mut from, mut into) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut into);
            let _ = into.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut (&upstream), &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
        let _ = up.join();
    });
    (server, asked)
}

#[test]
fn through_a_proxy() {
    let authority = Authority::new();
    let server = authority.server("far.example");
    let (proxy, asked) = proxy_to(&server, "HTTP/1.1 200 Connection established\r\n\r\n");
    let through = |no_proxy: &str| {
        let text = format!("http://me:p%40ss@{}", proxy.address());
        authority.client().proxy(Proxy::parse(&text, no_proxy).unwrap()).build().unwrap()
    };
    let far = Url::parse("https://far.example/x").unwrap();
    // The name exists nowhere: only the proxy leads to the server.
    let client = through("");
    for _ in 0..2 {
        assert_eq!(client.get(&far).send().unwrap().bytes(5).unwrap(), b"hello");
    }
    {
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "the tunnel is used again");
        assert_eq!(
            (asked[0].method.as_str(), asked[0].target.as_str()),
            ("CONNECT", "far.example:443")
        );
        assert_eq!(asked[0].header("proxy-authorization"), Some("Basic bWU6cEBzcw=="));
    }
    assert!(server.requests().iter().all(|seen| seen.header("proxy-authorization").is_none()));
    // Exceptions and this machine go without it.
    let wrong = Url::parse("https://far.invalid/").unwrap();
    assert_eq!(through(".invalid").get(&wrong).send().unwrap_err().phase(), Phase::Resolve);
    let near = authority.server("localhost");
    assert!(client.get(&url(&near, "localhost", "/")).send().unwrap().is_success());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn proxies_that_do_not_help() {
    let authority = Authority::new();
    let server = authority.server("far.example");
    for (answer, status) in [
        ("HTTP/1.1 407 Who are you\r\n\r\n", Some(407)),
        ("HTTP/1.1 502 No\r\nx: y\r\n\r\n", Some(502)),
        ("SSH-2.0\r\n\r\n", None),
        ("", None),
    ] {
        let (proxy, _) = proxy_to(&server, answer);
        let text = format!("http://{}", proxy.address());
        let client = authority
            .client()
            .connect_timeout(Duration::from_millis(500))
            .proxy(Proxy::parse(&text, "").unwrap())
            .build()
            .unwrap();
        let far = Url::parse("https://far.example/").unwrap();
        let error = client.get(&far).send().unwrap_err();
        assert_eq!(error.phase(), Phase::Proxy, "{answer:?} {error:?}");
        if let Some(status) = status {
            let same = matches!(error.kind(), ErrorKind::Proxy { status: seen } if *seen == status);
            assert!(same, "{error:?}");
        }
        assert!(server.requests().is_empty());
    }
}

#[test]
fn a_proxy_over_tls() {
    let authority = Authority::new();
    let server = authority.server("far.example");
    let address = server.address();
    let config = Arc::new(authority.server_config("localhost", 2020..2100, false));
    let proxy = HttpServer::start_with(move |stream, _| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut client = StreamOwned::new(connection, stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        // One side after the other is enough for a handshake and a request.
        let mut upstream = TcpStream::connect(address).unwrap();
        let short = Some(Duration::from_millis(20));
        upstream.set_read_timeout(short).unwrap();
        client.sock.set_read_timeout(short).unwrap();
        let mut piece = [0; 4096];
        for _ in 0..200 {
            match client.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => upstream.write_all(&piece[..count]).unwrap(),
                Err(_) => {}
            }
            if let Ok(count) = upstream.read(&mut piece) {
                let _ = client.write_all(&piece[..count]);
            }
        }
    });
    let text = format!("https://localhost:{}", proxy.address().port());
    let client = authority.client().proxy(Proxy::parse(&text, "").unwrap()).build().unwrap();
    let far = Url::parse("https://far.example/").unwrap();
    assert_eq!(client.get(&far).send().unwrap().bytes(5).unwrap(), b"hello");
}

//! The client against servers on this machine that answer well, badly, slowly and never.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dsops_secure_mem::SecretBytes;
use dsops_testkit::{HttpAnswer, HttpRequest, HttpServer};
use dsops_transport::{
    BodyReader, Builder, Client, Error, ErrorKind, Phase, Redirects, Request, Response, Retry, Url,
};

fn builder() -> Builder {
    let retry = Retry {
        attempts: 1,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(1),
    };
    // No authority is believed here: these tests are not about certificates.
    Client::builder().allow_loopback_http().retry(retry)
}

fn client() -> Client {
    builder().build().unwrap()
}

fn url(server: &HttpServer, path: &str) -> Url {
    Url::parse(&server.url(path)).unwrap()
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

fn redirect(to: impl Into<String>) -> HttpAnswer {
    HttpAnswer::new(302, "").with("location", to)
}

fn is_sync<T: Send + Sync>() {}

#[test]
fn the_types_can_be_shared() {
    is_sync::<Client>();
    is_sync::<Error>();
    is_sync::<Response>();
    is_sync::<BodyReader>();
    is_sync::<Request<'_>>();
}

#[test]
fn a_body_is_read_in_three_ways() {
    let server = HttpServer::start(|_| HttpAnswer::new(200, "hello"));
    let get = || client().get(&url(&server, "/x?y=1")).send().unwrap();
    assert_eq!(get().bytes(5).unwrap(), b"hello");
    let mut sink = Vec::new();
    let received = get().copy_to(&mut sink, 5).unwrap();
    assert_eq!((received.bytes, sink.as_slice()), (5, &b"hello"[..]));
    assert_eq!(received.sha256[..4], [0x2c, 0xf2, 0x4d, 0xba]);
    assert_eq!(&*get().secret(5).unwrap().expose(), b"hello");
    let requests = server.requests();
    assert_eq!(requests[0].target, "/x?y=1");
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    assert_eq!(
        requests[0].header("user-agent"),
        Some(concat!("dsops/", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn a_large_body_comes_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sent = body.clone();
    let server = HttpServer::start(move |_| HttpAnswer::new(200, sent.clone()));
    let get = || client().get(&url(&server, "/")).send().unwrap();
    assert!(get().bytes(3_000_000).unwrap() == body);
    assert!(*get().secret(3_000_000).unwrap().expose() == *body);
}

#[test]
fn what_is_sent_arrives() {
    let server = HttpServer::start(|_| HttpAnswer::new(201, ""));
    let client = client();
    let (password, token) = (secret("me:pass"), secret("t0ken"));
    client
        .post(&url(&server, "/a"))
        .basic(&password)
        .unwrap()
        .secret_body("application/json", &secret("{}"))
        .unwrap()
        .send()
        .unwrap();
    client
        .put(&url(&server, "/b"))
        .bearer(&token)
        .unwrap()
        .body("a/b", b"x")
        .unwrap()
        .send()
        .unwrap();
    client
        .delete(&url(&server, "/c"))
        .secret_header("x-vault-token", "", &token)
        .unwrap()
        .send()
        .unwrap();
    client.head(&url(&server, "/d")).authorization(&token).unwrap().send().unwrap();
    let requests = server.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| {
            (request.method.as_str(), request.header("authorization"), request.body.as_slice())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("POST", Some("Basic bWU6cGFzcw=="), &b"{}"[..]),
            ("PUT", Some("Bearer t0ken"), b"x"),
            ("DELETE", None, b""),
            ("HEAD", Some("t0ken"), b""),
        ]
    );
    assert_eq!(requests[2].header("x-vault-token"), Some("t0ken"));
}

#[test]
fn a_connection_is_used_again() {
    let connections = Arc::new(AtomicU32::new(0));
    let counted = connections.clone();
    let server = HttpServer::start_with(move |stream, log| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = dsops_testkit::serve(stream, &|_: &HttpRequest| HttpAnswer::new(200, "x"), log);
    });
    let client = client();
    for _ in 0..5 {
        client.get(&url(&server, "/")).send().unwrap().bytes(1).unwrap();
    }
    assert_eq!((server.requests().len(), connections.load(Ordering::SeqCst)), (5, 1));
}

#[test]
fn a_status_is_an_answer_until_success_is_required() {
    let server = HttpServer::start(|_| HttpAnswer::new(404, "no such thing"));
    let answer = client().get(&url(&server, "/secret/x?token=abc")).send().unwrap();
    assert_eq!(answer.status(), 404);
    let error = answer.require_success().unwrap_err();
    assert_eq!((error.status(), error.phase()), (Some(404), Phase::Response));
    assert!(error.to_string().ends_with("/secret/x?…: the server answered 404"), "{error}");
    assert!(!format!("{error} {error:?}").contains("abc"));
}

#[test]
fn nothing_goes_out_unencrypted() {
    let remote = Url::parse("http://192.0.2.1/").unwrap();
    let local = Url::parse("http://127.0.0.1:9/").unwrap();
    for (client, url) in [(client(), remote), (Client::new_without_http(), local)] {
        let error = client.get(&url).send().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Plaintext), "{error}");
        assert!(error.help().is_some());
    }
}

/// A client as it is without being asked for anything.
trait WithoutHttp {
    fn new_without_http() -> Client;
}

impl WithoutHttp for Client {
    fn new_without_http() -> Client {
        Self::builder().build().unwrap()
    }
}

#[test]
fn headers_that_are_not_the_callers() {
    let client = client();
    let url = Url::parse("https://example.org/").unwrap();
    for name in ["Host", "content-length", "Transfer-Encoding", "a b", ""] {
        assert!(client.get(&url).header(name, "x").is_err(), "{name}");
    }
    let injected = secret("token\r\nx-evil: 1");
    let error = client.get(&url).bearer(&injected).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("evil"));
    assert!(client.get(&url).header("x-a", "b\r\nc: d").is_err());
}

#[test]
fn bodies_over_the_limit() {
    for chunked in [false, true] {
        let server = HttpServer::start(move |_| {
            if !chunked {
                return HttpAnswer::new(200, vec![b'x'; 5000]);
            }
            HttpAnswer::script(|stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    stream.write_all(b"1000\r\n")?;
                    stream.write_all(&[b'x'; 4096])?;
                    stream.write_all(b"\r\n")?;
                }
            })
        });
        let get = || client().get(&url(&server, "/")).send().unwrap();
        for error in [
            get().bytes(4999).unwrap_err(),
            get().secret(4999).unwrap_err(),
            get().copy_to(&mut Vec::new(), 4999).unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::TooLarge { limit_bytes: 4999 }), "{error}");
            assert_eq!(error.phase(), Phase::Body);
        }
    }
}

#[test]
fn headers_over_the_limit() {
    let server = HttpServer::start(|_| {
        HttpAnswer::script(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for number in 0.. {
                stream.write_all(format!("x-{number}: {}\r\n", "y".repeat(1000)).as_bytes())?;
            }
            Ok(())
        })
    });
    let client = builder().header_limit(20_000).build().unwrap();
    let error = client.get(&url(&server, "/")).send().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::HeadersTooLarge { limit_bytes: 20_000 }),
        "{error:?}"
    );
}

#[test]
fn large_headers_within_the_limit() {
    let value = "y".repeat(50_000);
    let sent = value.clone();
    let server = HttpServer::start(move |_| HttpAnswer::new(200, "x").with("x-long", sent.clone()));
    let answer = client().get(&url(&server, "/")).send().unwrap();
    assert_eq!(answer.header("x-long"), Some(value.as_str()));
    assert_eq!(answer.bytes(1).unwrap(), b"x");
}

#[test]
fn answers_that_end_too_early() {
    for (raw, phase) in [
        ("", Phase::Response),
        ("HTTP/1.1 200 OK\r\ncontent-le", Phase::Response),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", Phase::Body),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", Phase::Body),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhello", Phase::Body),
    ] {
        let server = HttpServer::start(move |_| HttpAnswer::raw(raw));
        let error = client()
            .get(&url(&server, "/"))
            .send()
            .and_then(|answer| answer.bytes(100))
            .unwrap_err();
        assert_eq!(error.phase(), phase, "{raw:?} {error:?}");
        assert!(matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Io(_)), "{error:?}");
    }
}

#[test]
fn answers_that_are_not_http() {
    for raw in [
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = HttpServer::start(move |_| HttpAnswer::raw(raw));
        let error = client()
            .get(&url(&server, "/"))
            .send()
            .and_then(|answer| answer.bytes(100))
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Protocol { .. } | ErrorKind::Truncated),
            "{raw:?} {error:?}"
        );
    }
}

#[test]
fn compression_was_not_asked_for() {
    let server =
        HttpServer::start(|_| HttpAnswer::new(200, "\x1f\u{8b}").with("content-encoding", "gzip"));
    let error = client().get(&url(&server, "/")).send().unwrap().bytes(10).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Encoding { name } if name == "gzip"), "{error}");
}

#[test]
fn redirects_within_the_origin() {
    let server = HttpServer::start(|request| match request.path() {
        "/a" => redirect("b/c"),
        "/b/c" => redirect("/d?x=1"),
        _ => HttpAnswer::new(200, "there"),
    });
    let token = secret("t0ken");
    let answer = client().get(&url(&server, "/a")).bearer(&token).unwrap().send().unwrap();
    assert_eq!(answer.url().as_text(), server.url("/d?x=1"));
    assert!(server.requests().iter().all(|seen| seen.header("authorization").is_some()));
    let error =
        client().get(&url(&server, "/a")).redirects(Redirects::Refuse, 5).send().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Redirect { .. }), "{error}");
}

#[test]
fn redirects_to_another_server() {
    let other = HttpServer::start(|request| match request.path() {
        "/back" => HttpAnswer::new(200, "back"),
        _ => HttpAnswer::new(200, "elsewhere"),
    });
    let to = other.url("/there?sig=abc");
    let server = HttpServer::start(move |_| redirect(to.clone()));
    let (token, cookie) = (secret("t0ken"), "session=1");
    let client = client();
    let get = || {
        client
            .get(&url(&server, "/"))
            .bearer(&token)
            .unwrap()
            .header("cookie", cookie)
            .unwrap()
            .secret_header("x-private", "", &token)
            .unwrap()
            .header("x-public", "yes")
            .unwrap()
    };
    let error = get().send().unwrap_err();
    let ErrorKind::Redirect { to: Some(to), why: "it leads to another server" } = error.kind()
    else {
        panic!("{error:?}");
    };
    assert!(to.ends_with("/there?…"), "{to}");
    assert!(other.requests().is_empty());
    let answer = get().redirects(Redirects::Anywhere, 1).send().unwrap();
    assert_eq!(answer.bytes(100).unwrap(), b"elsewhere");
    let seen = other.requests();
    assert_eq!(seen[0].header("x-public"), Some("yes"));
    for gone in ["authorization", "cookie", "x-private"] {
        assert_eq!(seen[0].header(gone), None, "{gone}");
    }
}

#[test]
fn credentials_do_not_come_back() {
    let address = Arc::new(Mutex::new(String::new()));
    let home = address.clone();
    let other = HttpServer::start(move |_| redirect(home.lock().unwrap().clone()));
    let away = other.url("/");
    let server = HttpServer::start(move |request| match request.path() {
        "/" => redirect(away.clone()),
        _ => HttpAnswer::new(200, ""),
    });
    *address.lock().unwrap() = server.url("/home");
    let token = secret("t0ken");
    client()
        .get(&url(&server, "/"))
        .bearer(&token)
        .unwrap()
        .redirects(Redirects::Anywhere, 5)
        .send()
        .unwrap();
    let seen: Vec<_> = server
        .requests()
        .iter()
        .map(|request| (request.path().to_owned(), request.header("authorization").is_some()))
        .collect();
    assert_eq!(seen, [("/".to_owned(), true), ("/home".to_owned(), false)]);
}

#[test]
fn redirects_that_lead_nowhere() {
    for (location, wanted) in [
        (Some("/"), "too many"),
        (Some("http://192.0.2.1/"), "not encrypted"),
        (Some("file:///etc/passwd"), "not a usable URL"),
        (Some("http://user:pw@127.0.0.1/"), "not a usable URL"),
        (None, "where to"),
    ] {
        let server = HttpServer::start(move |_| match location {
            Some(to) => redirect(to),
            None => HttpAnswer::new(301, ""),
        });
        let error =
            client().get(&url(&server, "/")).redirects(Redirects::Anywhere, 3).send().unwrap_err();
        assert!(error.to_string().contains(wanted), "{location:?} {error}");
        assert!(server.requests().len() <= 4);
    }
    let server = HttpServer::start(|_| HttpAnswer::new(307, "").with("location", "/x"));
    let error = client().post(&url(&server, "/")).send().unwrap_err();
    assert!(error.to_string().contains("only GET and HEAD"), "{error}");
}

#[test]
fn what_is_repeated() {
    let retrying = || {
        let retry = Retry {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(50),
        };
        builder().retry(retry).build().unwrap()
    };
    let server = HttpServer::start(|request| {
        let status = request.path()[1..].parse().unwrap();
        let answer = HttpAnswer::new(status, "");
        match request.query("after") {
            Some(seconds) => answer.with("retry-after", seconds),
            None => answer,
        }
    });
    let count = |run: &dyn Fn(Client) -> u16| {
        let before = server.requests().len();
        let status = run(retrying());
        (status, server.requests().len() - before)
    };
    let get = |path: &'static str| {
        let url = url(&server, path);
        move |client: Client| client.get(&url).send().unwrap().status()
    };
    for (path, wanted) in [
        ("/200", (200, 1)),
        ("/404", (404, 1)),
        ("/500", (500, 1)),
        ("/429", (429, 3)),
        ("/502", (502, 3)),
        ("/503", (503, 3)),
        ("/504", (504, 3)),
        // At once, and later than we wait.
        ("/503?after=0", (503, 3)),
        ("/503?after=1", (503, 1)),
        ("/503?after=99999999999999999999", (503, 3)),
    ] {
        assert_eq!(count(&get(path)), wanted, "{path}");
    }
    let target = url(&server, "/503");
    assert_eq!(count(&|client| client.post(&target).send().unwrap().status()), (503, 1));
    assert_eq!(
        count(&|client| client.post(&target).idempotent(true).send().unwrap().status()),
        (503, 3)
    );
    assert_eq!(
        count(&|client| client.get(&target).idempotent(false).send().unwrap().status()),
        (503, 1)
    );
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let count = Arc::new(AtomicU32::new(0));
    let seen = count.clone();
    let server = HttpServer::start(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
        0 => HttpAnswer::raw(""),
        _ => HttpAnswer::new(200, "better"),
    });
    let retry = Retry { attempts: 2, first_pause: Duration::from_millis(1), ..Retry::default() };
    let client = builder().retry(retry).build().unwrap();
    assert_eq!(client.get(&url(&server, "/")).send().unwrap().bytes(10).unwrap(), b"better");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client().get(&Url::parse(&format!("http://{free}/")).unwrap()).send().unwrap_err();
    assert_eq!(error.phase(), Phase::Connect, "{error:?}");
    assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error:?}");
}

#[test]
fn no_such_host() {
    let url = Url::parse("https://no-such-host.invalid/").unwrap();
    let error = client().get(&url).send().unwrap_err();
    assert_eq!(error.phase(), Phase::Resolve, "{error:?}");
    assert!(matches!(error.kind(), ErrorKind::HostNotFound), "{error:?}");
}

/// Never answers; what came in is read so that the client does not notice.
fn silent(first: &'static [u8]) -> HttpServer {
    HttpServer::start_with(move |mut stream, _| {
        let _ = stream.write_all(first);
        let mut rest = [0; 1024];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    })
}

fn timed_out(client: &Client, url: &Url) -> Error {
    let start = Instant::now();
    let error = client.get(url).send().and_then(|answer| answer.bytes(1000)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "the limit is far less");
    error
}

#[test]
fn silence_ends() {
    let idle = builder().idle_timeout(Duration::from_millis(100)).build().unwrap();
    let whole = builder().deadline(Duration::from_millis(200)).build().unwrap();
    for (first, phase) in [
        (&b""[..], Phase::Response),
        (b"HTTP/1.1 200 OK\r\n", Phase::Response),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", Phase::Body),
    ] {
        let server = silent(first);
        for client in [&idle, &whole] {
            assert_eq!(timed_out(client, &url(&server, "/")).phase(), phase);
        }
    }
}

#[test]
fn a_drip_ends() {
    let server = HttpServer::start(|_| {
        HttpAnswer::script(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    });
    let client = builder().deadline(Duration::from_millis(300)).build().unwrap();
    assert_eq!(timed_out(&client, &url(&server, "/")).phase(), Phase::Body);
}

#[test]
fn sending_ends() {
    // Nobody reads: the buffers of the kernel fill up.
    let server = HttpServer::start_with(|stream, _| {
        std::thread::sleep(Duration::from_secs(3));
        drop(stream);
    });
    let client = builder().deadline(Duration::from_millis(300)).build().unwrap();
    let body = vec![0; 64 * 1024 * 1024];
    let error = client.post(&url(&server, "/")).body("a/b", &body).unwrap().send().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout), "{error:?}");
    assert_eq!(error.phase(), Phase::Send);
}

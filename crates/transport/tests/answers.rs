//! The client against answers that HTTP allows but few servers give, and against answers that lie
//! about where they end.

#![allow(clippy::unwrap_used)]

use std::io::{BufReader, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dsops_testkit::{HttpAnswer, HttpRequest, HttpServer};
use dsops_transport::{Builder, Client, Error, ErrorKind, Redirects, Retry, Url};

fn builder() -> Builder {
    let retry = Retry { attempts: 1, ..Retry::default() };
    Client::builder().allow_loopback_http().retry(retry)
}

fn url(server: &HttpServer, path: &str) -> Url {
    Url::parse(&server.url(path)).unwrap()
}

fn raw(answer: impl Into<Vec<u8>>) -> HttpServer {
    let answer = answer.into();
    HttpServer::start(move |_| HttpAnswer::raw(answer.clone()))
}

fn read(answer: impl Into<Vec<u8>>) -> Result<(u16, Vec<u8>), Error> {
    let server = raw(answer);
    let answer = builder().build().unwrap().get(&url(&server, "/")).send()?;
    Ok((answer.status(), answer.bytes(100)?))
}

#[test]
fn answers_that_are_seldom_seen() {
    for (answer, status, body) in [
        ("HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end"),
        ("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end", 200, "to the end"),
        ("HTTP/1.1 204 None\r\n\r\n", 204, ""),
        ("HTTP/1.1 204 None\r\ncontent-length: 0\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Same\r\ncontent-length: 10\r\n\r\n", 304, ""),
        ("HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
        (
            "HTTP/1.1 103 Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx-end: 1\r\n\r\n",
            200,
            "ok",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"),
    ] {
        let got = read(answer).map_err(|error| format!("{answer:?} {error:?}")).unwrap();
        assert_eq!(
            (got.0, String::from_utf8(got.1).unwrap().as_str()),
            (status, body),
            "{answer:?}"
        );
    }
}

#[test]
fn answers_that_are_not_clear() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nokok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 4\r\n\r\nokok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nok",
        "HTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let error = read(answer).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{answer:?} {error:?}");
    }
    // By whichever header, and however it ends.
    for header in [
        "transfer-encoding: gzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
        "content-encoding: identity, br",
        "content-encoding: identity\r\ncontent-encoding: gzip",
    ] {
        let error = read(format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Encoding { .. }), "{header:?} {error:?}");
    }
    // Chunks count more than a length does (RFC 9112, section 6.3); all of them are read.
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n4\r\nokok\r\n0\r\n\r\n";
    assert_eq!(read(both).unwrap().1, b"okok");
    // Nothing asked for another protocol: it is no success.
    assert_eq!(read("HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n").unwrap().0, 101);
}

fn ends(server: &HttpServer) -> Error {
    let client = builder().deadline(Duration::from_millis(300)).build().unwrap();
    let start = Instant::now();
    let error = client.get(&url(server, "/")).send().and_then(|it| it.bytes(1 << 20)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "the limit is far less");
    error
}

fn drip(before: &'static str, piece: &'static str) -> HttpServer {
    HttpServer::start(move |_| {
        HttpAnswer::script(move |stream| {
            stream.write_all(before.as_bytes())?;
            loop {
                stream.write_all(piece.as_bytes())?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    })
}

#[test]
fn a_drip_of_anything_ends() {
    for (before, piece) in [
        ("HTTP/1.1 200 O", "K"),
        ("HTTP/1.1 200 OK\r\nx-long: ", "y"),
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("", "HTTP/1.1 100 Go on\r\n\r\n"),
        ("", "HTTP/1.1 103 Hints\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "e"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "a: b\r\n"),
    ] {
        let error = ends(&drip(before, piece));
        assert!(matches!(error.kind(), ErrorKind::Timeout), "{before:?} {piece:?} {error:?}");
    }
}

/// What follows an answer on its connection is of nobody: it must not become the next answer.
#[test]
fn what_follows_an_answer_is_not_the_next_one() {
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 304 Same\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ] {
        let connections = Arc::new(AtomicU32::new(0));
        let counted = connections.clone();
        let server = HttpServer::start_with(move |stream, _: &Mutex<Vec<HttpRequest>>| {
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let mut stream = BufReader::new(stream);
            while let Ok(Some(_)) = HttpRequest::read(&mut stream) {
                let answer = if is_first {
                    first
                } else {
                    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"
                };
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        let client = builder().build().unwrap();
        let get = || client.get(&url(&server, "/")).send().unwrap().bytes(100).unwrap();
        get();
        assert_eq!(get(), b"good", "{first:?}");
    }
}

#[test]
fn errors_do_not_repeat_what_is_secret() {
    for (answer, path) in [
        (
            "HTTP/1.1 302 Go\r\nlocation: http://127.0.0.1/\u{1}?sig=hunter2\r\n\r\n",
            "/a?sig=hunter2",
        ),
        ("HTTP/1.1 302 Go\r\nlocation: //me:hunter2@127.0.0.1/\r\n\r\n", "/a?sig=hunter2"),
        ("HTTP/1.1 302 Go\r\nlocation: ftp://h/?sig=hunter2\r\n\r\n", "/a?sig=hunter2"),
        ("HTTP/1.1 200 OK\r\nset-cookie: hunter2\u{0}\r\n\r\n", "/a?sig=hunter2"),
        ("HTTP/1.1 200 OK\r\nhunter2 hunter2\r\n\r\n", "/a?sig=hunter2"),
        ("HTTP/1.1 200 OK\r\ncontent-length: hunter2\r\n\r\n", "/a?sig=hunter2"),
        ("hunter2 hunter2\r\n\r\n", "/a?sig=hunter2"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhunter2\r\n", "/a?sig=hunter2"),
    ] {
        let server = raw(answer);
        let client = builder().build().unwrap();
        let result = client
            .get(&url(&server, path))
            .redirects(Redirects::Anywhere, 3)
            .send()
            .and_then(|it| it.bytes(100));
        let error = result.unwrap_err();
        let all = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let shown: Vec<String> = all.map(|error| format!("{error} {error:?}")).collect();
        let shown = shown.join(" ");
        assert!(!shown.contains("hunter2"), "{answer:?} {shown}");
        assert!(!shown.contains('\u{1}'), "{answer:?} {shown}");
    }
}

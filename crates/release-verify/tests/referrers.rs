//! Lists of referrers in many pages, and pages that are not there.

#![cfg(feature = "oci")]
#![allow(clippy::unwrap_used)]

use dsops_release_verify::oci::{OciError, Reference, Registry, Source as _};
use dsops_release_verify::{Algorithm, Digest};
use dsops_testkit::{HttpAnswer, HttpServer};
use dsops_transport::{Client, Retry};
use serde_json::json;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn page(name: &str) -> HttpAnswer {
    let digest = Digest::of(Algorithm::Sha256, name.as_bytes()).to_string();
    let entry = json!({ "mediaType": "a/b", "digest": digest, "size": 1 });
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
    HttpAnswer::new(200, list.to_string()).with("content-type", INDEX)
}

/// What is found when the first page comes with these `Link` headers, and each next one is `answer`.
fn found(links: &'static [&'static str], next: fn(&str) -> HttpAnswer) -> Result<usize, OciError> {
    let server = HttpServer::start(move |request| {
        let Some((_, query)) = request.target.split_once('?') else {
            if !request.path().contains("/referrers/") {
                return HttpAnswer::new(404, "");
            }
            let link = |answer: HttpAnswer, link: &&str| {
                answer.with("link", link.replace("HERE", request.path()))
            };
            return links.iter().fold(page("first"), link);
        };
        next(query)
    });
    let retry = Retry { attempts: 1, ..Retry::default() };
    let client = Client::builder().allow_loopback_http().retry(retry).build().unwrap();
    let reference: Reference = format!("{}/app:v1", server.address()).parse().unwrap();
    let registry = Registry::new(&client, &(), &reference).unwrap();
    let subject = Digest::of(Algorithm::Sha256, b"image");
    registry.referrers(&subject).map(|list| list.len())
}

#[test]
fn the_next_page_is_found_in_any_link() {
    assert_eq!(found(&[], page).unwrap(), 1);
    assert_eq!(found(&["<HERE?n=1>; rel=\"prev\""], page).unwrap(), 1);
    for links in [
        &["<HERE?n=1>; rel=\"next\""][..],
        &["<HERE?last=a,b>; rel=\"next\""],
        &["<HERE?n=0>; rel=\"prev\", <HERE?n=1>; rel=next"],
        &["<HERE?n=0>; rel=\"prev\"", "<HERE?n=1>; rel=\"next\""],
    ] {
        assert_eq!(found(links, page).unwrap(), 2, "{links:?}");
    }
}

#[test]
fn a_page_that_was_promised_has_to_be_there() {
    let link = &["<HERE?n=1>; rel=\"next\""][..];
    for status in [400, 404, 405] {
        let next: fn(&str) -> HttpAnswer = match status {
            400 => |_| HttpAnswer::new(400, ""),
            404 => |_| HttpAnswer::new(404, ""),
            _ => |_| HttpAnswer::new(405, ""),
        };
        let error = found(link, next).unwrap_err();
        assert!(matches!(error, OciError::Malformed { .. }), "{status} {error:?}");
    }
    let page_of_html = |_: &str| HttpAnswer::new(200, "<html>").with("content-type", "text/html");
    assert!(matches!(found(link, page_of_html), Err(OciError::Malformed { .. })));
}

//! Keyless signatures, by the stand-in's services on loopback: our own verifier takes them.

#![cfg(feature = "sign")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod judge;

use std::time::{Duration, SystemTime};

use dsops_attest::{
    Algorithm, Error, Keyless, Provenance, Services, Signer, SigningKey, Subject, github_token,
};
use dsops_release_verify::{Signer as By, SubjectName};
use dsops_secure_mem::SecretBytes;
use dsops_testkit::sigstore::{Services as StandIn, World, server, sha256};
use dsops_testkit::{HttpAnswer, HttpServer};
use dsops_transport::{Client, Retry};
use judge::{Trust, verify};
use serde_json::{Value, json};

const FILE: &[u8] = b"the file";
const WORKFLOW: &str =
    "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3";

fn client() -> Client {
    let retry = Retry { attempts: 1, ..Retry::default() };
    Client::builder()
        .allow_loopback_http()
        .retry(retry)
        .deadline(Duration::from_secs(20))
        .idle_timeout(Duration::from_millis(400))
        .build()
        .unwrap()
}

fn token(world: &World) -> SecretBytes {
    let commit = "a".repeat(40);
    let claims =
        server::workflow_claims(world, "octo/demo", "release.yml", "refs/tags/v1.2.3", &commit);
    SecretBytes::copy_from(server::token(&claims).as_bytes()).unwrap()
}

fn world() -> World {
    World::at("attest", SystemTime::now())
}

fn services(stand_in: &StandIn, generation: u32) -> Services {
    Services::read(stand_in.signing_config(generation).to_string().as_bytes()).unwrap()
}

fn github(name: &str) -> Option<String> {
    let value = match name {
        "GITHUB_SERVER_URL" => "https://github.com",
        "GITHUB_REPOSITORY" => "octo/demo",
        "GITHUB_REF" => "refs/tags/v1.2.3",
        "GITHUB_SHA" => return Some("a".repeat(40)),
        "GITHUB_WORKFLOW_REF" => "octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3",
        "GITHUB_RUN_ID" | "GITHUB_RUN_ATTEMPT" => "1",
        "GITHUB_EVENT_NAME" => "push",
        "GITHUB_REPOSITORY_ID" => "1001",
        "GITHUB_REPOSITORY_OWNER_ID" => "2002",
        "RUNNER_ENVIRONMENT" => "github-hosted",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn files_and_statements_verify_with_both_kinds_of_log() {
    for generation in [1, 2] {
        let stand_in = StandIn::start(world());
        let trust = Trust::Root(stand_in.world().trusted_root());
        let (client, services) = (client(), services(&stand_in, generation));
        let session = Keyless::begin(&client, &services, &token(stand_in.world())).unwrap();
        let signer = Signer::Keyless(&session);

        let bundle = signer.sign_artifact(&mut &FILE[..]).unwrap().to_string();
        let (by, said) = verify(&bundle, &trust, FILE).unwrap();
        let By::Certificate(identity) = by else { panic!("a certificate") };
        assert!(said.is_none());
        assert_eq!(identity.names, [SubjectName::Uri(WORKFLOW.into())]);
        verify(&bundle, &trust, b"another file").unwrap_err();

        let provenance = Provenance::github(github).unwrap();
        let statement = provenance.statement(&[Subject::sha256("file", &sha256(FILE))]).unwrap();
        let bundle = signer.sign_statement(&statement).unwrap().to_string();
        let (_, said) = verify(&bundle, &trust, FILE).unwrap();
        assert_eq!(said.unwrap().predicate_type(), "https://slsa.dev/provenance/v1");

        let paths: Vec<_> = stand_in.requests().iter().map(|each| each.target.clone()).collect();
        let of = |path: &str| paths.iter().filter(|each| *each == path).count();
        assert_eq!(of("/api/v2/signingCert"), 1, "one certificate for all: {paths:?}");
        assert_eq!(of(&format!("/api/v{generation}/log/entries")), 2);
        assert_eq!(of("/api/v1/timestamp"), 2);
    }
}

#[test]
fn signatures_by_a_key_can_be_logged() {
    for generation in [1, 2] {
        let stand_in = StandIn::start(world());
        let (client, services) = (client(), services(&stand_in, generation));
        let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let signer = Signer::LoggedKey(&key, &client, &services);
        let pem = key.public_pem();
        let trust = Trust::LoggedKey(&pem, stand_in.world().trusted_root());
        let provenance = Provenance::local();
        let statement = provenance.statement(&[Subject::sha256("file", &sha256(FILE))]).unwrap();
        for bundle in [signer.sign_artifact(&mut &FILE[..]), signer.sign_statement(&statement)] {
            verify(&bundle.unwrap().to_string(), &trust, FILE).unwrap();
        }
        let alone = Signer::Key(&key).sign_artifact(&mut &FILE[..]).unwrap().to_string();
        assert!(verify(&alone, &trust, FILE).unwrap_err().starts_with("log/threshold"));
        let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let refused = Signer::LoggedKey(&other, &client, &services).sign_artifact(&mut &FILE[..]);
        assert!(matches!(refused, Err(Error::NotLoggable)));
    }
}

#[test]
fn provenance_of_a_workflow_is_held_against_its_certificate() {
    use dsops_release_verify::statement::ProvenanceRules;
    use dsops_release_verify::{Artifact, Origin, State};

    let stand_in = StandIn::start(world());
    let (client, services) = (client(), services(&stand_in, 1));
    let session = Keyless::begin(&client, &services, &token(stand_in.world())).unwrap();
    let rules = ProvenanceRules::new("github.com/octo/demo").unwrap().tag("v1.2.3").unwrap();
    let artifact = Artifact::read("file", FILE, &[]).unwrap();
    let judge = |variable: &dyn Fn(&str) -> Option<String>| {
        let made = Provenance::github(variable).unwrap();
        let statement = made.statement(&[Subject::sha256("file", &sha256(FILE))]).unwrap();
        let bundle = Signer::Keyless(&session).sign_statement(&statement).unwrap().to_string();
        let root = Trust::Root(stand_in.world().trusted_root());
        let (by, said) = verify(&bundle, &root, FILE).unwrap();
        let findings = rules.check(&said.unwrap(), &by, &artifact, &Origin::new("x"));
        let wrong = findings.into_iter().find(|finding| finding.state != State::Passed);
        wrong.map(|finding| format!("{}: {}", finding.code, finding.message))
    };
    assert_eq!(judge(&github), None);
    // A job that says something else than its certificate is found out.
    for (name, value) in
        [("GITHUB_SHA", "b"), ("GITHUB_RUN_ID", "2"), ("GITHUB_EVENT_NAME", "release")]
    {
        let lie = |asked: &str| {
            let value = if name == "GITHUB_SHA" { value.repeat(40) } else { value.to_owned() };
            if asked == name { Some(value) } else { github(asked) }
        };
        assert!(judge(&lie).is_some_and(|wrong| wrong.starts_with("provenance/")), "{name}");
    }
    assert_eq!(Provenance::github(|name| github(name).filter(|_| name != "GITHUB_RUN_ID")), None);
}

#[test]
fn the_token_of_a_job() {
    let github = HttpServer::start(|request| {
        let good = request.header("authorization") == Some("Bearer the-credential")
            && request.target == "/token?api=1&audience=sigstore";
        if good {
            HttpAnswer::new(200, r#"{"count": 1, "value": "e30.e30.c2ln"}"#)
        } else {
            HttpAnswer::new(403, "no")
        }
    });
    let credential = SecretBytes::copy_from(b"the-credential").unwrap();
    let token = github_token(&client(), &github.url("/token?api=1"), &credential).unwrap();
    assert_eq!(&*token.expose(), b"e30.e30.c2ln");
    let wrong = SecretBytes::copy_from(b"wrong").unwrap();
    let error = github_token(&client(), &github.url("/token?api=1"), &wrong).unwrap_err();
    assert!(matches!(error, Error::Refused { status: 403, .. }));
    github_token(&client(), "http://elsewhere.test/", &credential).unwrap_err();
}

#[test]
fn a_refusal_that_repeats_a_secret_is_not_told() {
    let echo = HttpServer::start(|request| {
        HttpAnswer::new(400, format!("headers: {}", request.header("authorization").unwrap()))
    });
    let stand_in = StandIn::start(world());
    let mut config = stand_in.signing_config(1);
    config["caUrls"][0]["url"] = echo.url("").into();
    let services = Services::read(config.to_string().as_bytes()).unwrap();
    let token = token(stand_in.world());
    let refused = Keyless::begin(&client(), &services, &token).unwrap_err();
    let said = |error: &Error| match error {
        Error::Refused { status: 400, said, .. } => said.clone(),
        other => panic!("{other:?}"),
    };
    let begin = String::from_utf8(token.expose()[..20].to_vec()).unwrap();
    assert!(!said(&refused).contains(&begin), "{refused}");
    let credential = SecretBytes::copy_from(b"the-credential").unwrap();
    let refused = github_token(&client(), &echo.url("/token"), &credential).unwrap_err();
    assert!(!said(&refused).contains("the-credential"), "{refused}");
}

/// The stand-in, with another answer for one path.
fn lying(
    path: &'static str,
    answer: impl Fn() -> HttpAnswer + Send + Sync + 'static,
) -> Result<String, Error> {
    let stand_in = StandIn::start(world());
    let url = stand_in.url();
    let to = url.clone();
    let proxy = HttpServer::start(move |request| {
        if request.path() == path {
            return answer();
        }
        forward(&to, request)
    });
    let generation = if path.starts_with("/api/v2/log") { 2 } else { 1 };
    let config = stand_in.signing_config(generation).to_string().replace(&url, &proxy.url(""));
    let services = Services::read(config.as_bytes()).unwrap();
    let client = client();
    let session = Keyless::begin(&client, &services, &token(stand_in.world()))?;
    Ok(Signer::Keyless(&session).sign_artifact(&mut &FILE[..])?.to_string())
}

fn forward(to: &str, request: &dsops_testkit::HttpRequest) -> HttpAnswer {
    let client = client();
    let url = dsops_transport::Url::parse(&format!("{to}{}", request.target)).unwrap();
    let call = client.post(&url).body("application/octet-stream", &request.body).unwrap();
    let call = match request.header("authorization") {
        Some(value) => call.header("authorization", value).unwrap(),
        None => call,
    };
    let answer = call.send().unwrap();
    HttpAnswer::new(answer.status(), answer.bytes(1 << 20).unwrap())
}

#[test]
fn services_that_fail_lie_or_say_nothing() {
    assert!(lying("/none", || HttpAnswer::new(500, "")).unwrap().contains("messageSignature"));
    for path in
        ["/api/v2/signingCert", "/api/v1/log/entries", "/api/v2/log/entries", "/api/v1/timestamp"]
    {
        let refused = lying(path, || HttpAnswer::new(400, "\u{1b}[31mno")).unwrap_err();
        let Error::Refused { status: 400, .. } = &refused else { panic!("{path}: {refused:?}") };
        assert!(!refused.to_string().contains('\u{1b}'), "{refused}");
        for nonsense in [
            "",
            "{}",
            "<html>",
            "[]",
            "7",
            "\"text\"",
            "null",
            "{\"a\":{}}",
            "\u{30}\u{3}\u{2}\u{1}\u{2}",
        ] {
            let error = lying(path, move || HttpAnswer::new(201, nonsense)).unwrap_err();
            assert!(matches!(error, Error::Answer { .. }), "{path} {nonsense}: {error:?}");
        }
        let long = lying(path, || HttpAnswer::new(201, vec![b' '; 2 << 20])).unwrap_err();
        assert!(matches!(long, Error::Unreachable { .. }), "{path}: {long:?}");
        let silent = lying(path, || {
            HttpAnswer::script(|_| {
                std::thread::sleep(Duration::from_secs(2));
                Ok(())
            })
        });
        assert!(matches!(silent, Err(Error::Unreachable { .. })), "{path}: {silent:?}");
        let broken =
            lying(path, || HttpAnswer::raw("HTTP/1.1 201 x\r\ncontent-length: 9\r\n\r\n{"));
        assert!(matches!(broken, Err(Error::Unreachable { .. })), "{path}: {broken:?}");
    }
    // A log that points to another server, or to an entry that is not there.
    let elsewhere = |to: &'static str| {
        lying("/api/v1/log/entries", move || HttpAnswer::new(409, "").with("location", to))
    };
    assert!(matches!(elsewhere("https://log.test/x"), Err(Error::Answer { .. })));
    assert!(elsewhere("/api/v1/log/entries/00").is_err());
}

#[test]
fn an_older_entry_is_taken_as_it_is() {
    let world = world();
    let entry: Value = json!({ "00": { "body": "e30=", "logIndex": 1 } });
    let server = HttpServer::start(move |request| match request.method.as_str() {
        "GET" => HttpAnswer::new(200, entry.to_string()),
        _ => HttpAnswer::new(409, "").with("location", "/there"),
    });
    let stand_in = StandIn::start(world);
    let mut config = stand_in.signing_config(1);
    config["rekorTlogUrls"][0]["url"] = server.url("").into();
    let services = Services::read(config.to_string().as_bytes()).unwrap();
    let client = client();
    let session = Keyless::begin(&client, &services, &token(stand_in.world())).unwrap();
    let error = Signer::Keyless(&session).sign_artifact(&mut &FILE[..]).unwrap_err();
    assert!(matches!(error, Error::Answer { problem: "is no log entry", .. }), "{error:?}");
    assert_eq!(server.requests().last().unwrap().target, "/there");
}

#[test]
fn signing_configurations() {
    let stand_in = StandIn::start(world());
    let good = stand_in.signing_config(2);
    let read = |config: &Value| Services::read(config.to_string().as_bytes());
    assert_eq!(read(&good).unwrap().urls().count(), 3);
    let changed = |path: &str, value: Value| {
        let mut config = good.clone();
        *config.pointer_mut(path).unwrap() = value;
        read(&config)
    };
    let end = json!({ "start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z" });
    for (path, value) in [
        ("/caUrls", json!([])),
        ("/rekorTlogUrls", json!([])),
        ("/rekorTlogUrls/0/majorApiVersion", json!(3)),
        ("/rekorTlogUrls/0/validFor", end),
        // Rekor v2 tells no time.
        ("/tsaUrls", json!([])),
        ("/tsaConfig", json!({ "selector": "EXACT", "count": 2 })),
        ("/tsaConfig", json!({ "selector": "EXACT", "count": 0 })),
    ] {
        assert!(matches!(changed(path, value), Err(Error::NoService { .. })), "{path}");
    }
    for (path, value) in [
        ("/mediaType", json!("text/plain")),
        ("/tsaConfig", json!({ "selector": "SERVICE_SELECTOR_UNDEFINED" })),
        ("/caUrls/0/url", json!("file:///etc/passwd")),
        ("/caUrls", json!(1)),
    ] {
        assert!(matches!(changed(path, value), Err(Error::Document { .. })), "{path}");
    }
    // Of one operator the newest interface; without a log of the second kind, no timestamp is due.
    let both = json!([good["rekorTlogUrls"][0], stand_in.signing_config(1)["rekorTlogUrls"][0]]);
    assert_eq!(changed("/rekorTlogUrls", both).unwrap().urls().count(), 3);
    let mut first = stand_in.signing_config(1);
    first["tsaUrls"] = json!([]);
    assert_eq!(read(&first).unwrap().urls().count(), 2);
    Services::public().unwrap();
}

//! Images in a registry, a folder and an archive: found, authenticated, judged; and sources that lie.
#![cfg(feature = "oci")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Folder, code, demands, engine};
use dsops_release_verify::oci::{
    Descriptor, DockerConfig, Image, Keychain, Layout, Login, OciError, Platform, Reference,
    Registry, Source,
};
use dsops_release_verify::{Algorithm, Demands, Digest, Report, Requirement, State, Verdict};
use dsops_secure_mem::SecretBytes;
use dsops_testkit::sigstore::{Identity, World};
use dsops_testkit::{Door, HttpAnswer, ImageRegistry, Referrers};
use dsops_transport::{Client, Retry};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn client() -> Client {
    let retry = Retry { attempts: 1, ..Retry::default() };
    let builder = Client::builder().allow_loopback_http().retry(retry);
    builder.deadline(Duration::from_secs(20)).build().unwrap()
}

/// A registry with one image `app:v1`, and the instance that signs.
struct Lab {
    registry: ImageRegistry,
    folder: Folder,
    image: String,
}

impl Lab {
    fn new(referrers: Referrers, door: Door) -> Self {
        let registry = ImageRegistry::start(referrers, door);
        let image = registry.push_image("app", Some("v1"), b"the program");
        Self { registry, folder: Folder::new("images"), image }
    }

    fn open() -> Self {
        Self::new(Referrers::Api, Door::Open)
    }

    fn world(&self) -> &World {
        &self.folder.world
    }

    /// Puts a signature of cosign 2 over `digest` beside the image `beside`.
    fn sign_v2(&self, beside: &str, digest: &str, identity: &Identity) {
        self.registry.sign("app", beside, digest, self.world(), identity);
    }

    /// Attaches a bundle with a statement of that type about `digest` to the image `beside`.
    fn attach(&self, beside: &str, digest: &str, predicate_type: &str, identity: &Identity) {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "app", "digest": {"sha256": digest.strip_prefix("sha256:").unwrap()}}],
            "predicateType": predicate_type,
            "predicate": {},
        });
        let bundle = self.world().attest(&statement).identity(identity.clone()).bundle();
        self.attach_bytes(beside, bundle.to_string().as_bytes());
    }

    fn attach_bytes(&self, beside: &str, bundle: &[u8]) {
        self.registry.attach("app", beside, bundle);
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}{rest}", self.registry.repository("app")).parse().unwrap()
    }

    fn verify_as(
        &self,
        rest: &str,
        keychain: &dyn Keychain,
        platform: Option<&Platform>,
        demands: Demands,
    ) -> Result<Report, OciError> {
        let client = client();
        let registry = Registry::new(&client, keychain, &self.reference(rest))?;
        let image = Image::new(&registry, registry.resolve()?, platform)?;
        Ok(engine(&self.folder, demands).verify_image(&image, &[]))
    }

    fn verify(&self) -> Report {
        self.verify_as(":v1", &(), None, demands(&World::identity())).unwrap()
    }
}

fn shown(report: &Report) -> String {
    format!("{:#?}", report.findings)
}

#[test]
fn signed_by_cosign_2() {
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    assert_eq!(report.signers.len(), 1);
    assert_eq!(report.artifact.sha256().to_string(), lab.image);
    assert_eq!(code(&report, "image/payload"), Some(State::Passed));
    assert!(report.artifact.name().ends_with(&format!("app@{}", lab.image)));
    // The tag was asked for once.
    let asked = lab.registry.requests();
    let tags = asked.iter().filter(|request| request.path().ends_with("/manifests/v1")).count();
    assert_eq!(tags, 1);
}

#[test]
fn signed_by_cosign_3_however_referrers_are_listed() {
    for referrers in [Referrers::Api, Referrers::Pages, Referrers::Tag] {
        let lab = Lab::new(referrers, Door::Open);
        lab.attach(
            &lab.image,
            &lab.image,
            "https://sigstore.dev/cosign/sign/v1",
            &World::identity(),
        );
        lab.attach(&lab.image, &lab.image, "https://example.org/other/v1", &World::identity());
        let report = lab.verify();
        assert_eq!(report.verdict, Verdict::Verified, "{referrers:?} {}", shown(&report));
    }
}

#[test]
fn attested_by_github() {
    let lab = Lab::open();
    let digest = lab.image.strip_prefix("sha256:").unwrap();
    let mut statement = common::github_provenance("app", b"");
    statement["subject"][0]["digest"]["sha256"] = digest.into();
    let bundle = lab.world().attest(&statement).bundle();
    lab.attach_bytes(&lab.image, bundle.to_string().as_bytes());
    let strict = demands(&World::identity()).provenance(common::provenance_rules());
    let report = lab.verify_as(":v1", &(), None, strict).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    assert_eq!(code(&report, "require/provenance"), Some(State::Passed));
}

#[test]
fn an_attestation_of_cosign_2() {
    let lab = Lab::open();
    let digest = lab.image.strip_prefix("sha256:").unwrap();
    let mut statement = common::github_provenance("app", b"");
    statement["subject"][0]["digest"]["sha256"] = digest.into();
    let signed = lab.world().attest(&statement).make();
    let layer = signed.attestation_layer(lab.world(), "https://slsa.dev/provenance/v1");
    lab.registry.push_blob(&layer.blob);
    lab.registry.companion("app", &lab.image, "att", &layer.descriptor);
    let wants = demands(&World::identity()).require(Requirement::Provenance);
    let report = lab.verify_as(":v1", &(), None, wants).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
}

#[test]
fn nobody_signed() {
    let lab = Lab::open();
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Undecided, "{}", shown(&report));
    assert!(report.signers.is_empty());
    lab.registry.push_artifact(
        "app",
        Some(&format!("{}.sbom", lab.image.replace(':', "-"))),
        "",
        &[],
        None,
    );
    let spdx = lab.registry.descriptor("text/spdx+json", b"{}");
    lab.registry.push_artifact("app", None, "text/spdx+json", &[spdx], Some((&lab.image, 1)));
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Undecided, "{}", shown(&report));
    assert_eq!(code(&report, "evidence/ignored"), Some(State::Note), "{}", shown(&report));
}

#[test]
fn signed_by_another() {
    let lab = Lab::open();
    let other = Identity::github("octo/demo-fork", "release.yml", "refs/tags/v1.2.3");
    lab.sign_v2(&lab.image, &lab.image, &other);
    assert_eq!(lab.verify().verdict, Verdict::Failed);
    // Others may sign as well.
    lab.attach(&lab.image, &lab.image, "https://sigstore.dev/cosign/sign/v1", &World::identity());
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
}

#[test]
fn the_signature_of_another_image() {
    let lab = Lab::open();
    let other = lab.registry.push_image("app", Some("v2"), b"another program");
    lab.sign_v2(&lab.image, &other, &World::identity());
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Failed, "{}", shown(&report));
    let payload = report.findings.iter().find(|one| one.code == "image/payload").unwrap();
    assert_eq!(payload.expected.as_deref(), Some(lab.image.as_str()));
    assert_eq!(payload.found.as_deref(), Some(other.as_str()));
    // A statement about another image, attached to this one.
    let lab = Lab::open();
    let kind = "https://sigstore.dev/cosign/sign/v1";
    lab.attach(&lab.image, &other, kind, &World::identity());
    let report = lab.verify();
    assert_ne!(report.verdict, Verdict::Verified, "{}", shown(&report));
}

#[test]
fn a_payload_that_was_changed() {
    let lab = Lab::open();
    let signed = lab.world().sign_image(&lab.image, "app").make();
    let mut layer = signed.image_layer(lab.world());
    layer.blob = String::from_utf8(layer.blob).unwrap().replace("\"app\"", "\"apq\"").into_bytes();
    let digest = lab.registry.push_blob(&layer.blob);
    layer.descriptor["digest"] = digest.into();
    lab.registry.companion("app", &lab.image, "sig", &layer.descriptor);
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Failed, "{}", shown(&report));
}

#[test]
fn several_platforms() {
    let lab = Lab::open();
    let [index, amd64, _] = lab.registry.push_platforms("app", "multi");
    let verify = |platform: Option<&str>| {
        let platform = platform.map(|text| Platform::parse(text).unwrap());
        lab.verify_as(":multi", &(), platform.as_ref(), demands(&World::identity()))
    };
    // Only one of the two is signed.
    lab.sign_v2(&amd64, &amd64, &World::identity());
    let report = verify(Some("linux/amd64")).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    assert_eq!(report.artifact.sha256().to_string(), amd64);
    assert_eq!(code(&report, "image/platform"), Some(State::Passed));
    assert!(shown(&report).contains("what is signed is the manifest"));
    assert_eq!(verify(Some("linux/arm64")).unwrap().verdict, Verdict::Undecided);
    assert_eq!(verify(None).unwrap().verdict, Verdict::Undecided);
    assert!(matches!(verify(Some("linux/s390x")), Err(OciError::NotFound { .. })));
    // The index is, and with it both.
    lab.sign_v2(&index, &index, &World::identity());
    let report = verify(Some("linux/arm64")).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    assert!(shown(&report).contains("what is signed is the index"));
    assert_eq!(verify(None).unwrap().verdict, Verdict::Verified);
}

#[test]
fn doors() {
    let keychain = |config: &str| {
        DockerConfig::read(SecretBytes::copy_from(config.as_bytes()).unwrap()).unwrap()
    };
    for (door, auth, opens) in [
        (Door::Token(None), "", true),
        (Door::Token(Some("me:pass".to_owned())), r#""auth":"bWU6cGFzcw==""#, true),
        (Door::Token(Some("me:pass".to_owned())), "", false),
        (Door::Basic("me:pass".to_owned()), r#""auth":"bWU6cGFzcw==""#, true),
        (Door::Basic("me:pass".to_owned()), r#""auth":"bWU6d3Jvbmc=""#, false),
        (Door::Basic("me:pass".to_owned()), "", false),
        (Door::Refresh("re.fresh".to_owned()), r#""identitytoken":"re.fresh""#, true),
        (Door::Refresh("re.fresh".to_owned()), r#""identitytoken":"stale""#, false),
    ] {
        let lab = Lab::new(Referrers::Api, door.clone());
        lab.sign_v2(&lab.image, &lab.image, &World::identity());
        let host = lab.reference("").registry().to_owned();
        let config = keychain(&format!(r#"{{"auths":{{"{host}":{{{auth}}}}}}}"#));
        let result = lab.verify_as(":v1", &config, None, demands(&World::identity()));
        match result {
            Ok(report) => assert!(opens && report.verdict == Verdict::Verified, "{door:?}"),
            Err(error) => {
                assert!(!opens, "{door:?} {error:?}");
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("pass") && !shown.contains("fresh"), "{shown}");
            }
        }
        // Whatever the challenge suggests, only pulling is asked for.
        for request in lab.registry.requests().iter().filter(|request| request.path() == "/token") {
            let asked = format!("{}{}", request.target, String::from_utf8_lossy(&request.body));
            assert!(asked.contains("scope=repository%3Aapp%3Apull"), "{asked}");
            assert!(!asked.contains("push"), "{asked}");
        }
    }
}

#[test]
fn a_token_is_used_again() {
    let lab = Lab::new(Referrers::Api, Door::Token(None));
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    assert_eq!(lab.verify().verdict, Verdict::Verified);
    let asked = lab.registry.requests();
    assert_eq!(asked.iter().filter(|request| request.path() == "/token").count(), 1);
}

#[test]
fn a_challenge_nobody_knows() {
    let lab = Lab::open();
    lab.registry.lie(|_| {
        Some(HttpAnswer::new(401, "").with("www-authenticate", "Negotiate, Digest realm=x"))
    });
    let error = lab.verify_as(":v1", &(), None, demands(&World::identity())).unwrap_err();
    assert!(matches!(error, OciError::Challenge { .. }), "{error:?}");
}

/// Who has a password for every registry.
struct Password;

impl Keychain for Password {
    fn login(&self, _registry: &str, _repository: &str) -> Result<Option<Login>, OciError> {
        Ok(Some(Login::Password(SecretBytes::copy_from(b"user:password").unwrap())))
    }
}

#[test]
fn blobs_from_elsewhere_without_credentials() {
    let lab = Lab::new(Referrers::Api, Door::Token(None));
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let blobs = ImageRegistry::start(Referrers::Api, Door::Open);
    let signed = lab.world().sign_image(&lab.image, "app").make().image_layer(lab.world());
    blobs.push_blob(&signed.blob);
    let base = format!("http://{}", blobs.repository("").trim_end_matches('/'));
    lab.registry.lie(move |request| {
        let blob = request.path().contains("/blobs/") && request.header("authorization").is_some();
        blob.then(|| {
            HttpAnswer::new(307, "").with("location", format!("{base}{}?sig=x", request.target))
        })
    });
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    let seen = blobs.requests();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|request| request.header("authorization").is_none()));
    // The other server does not get them by asking for them either (as in CVE-2020-15157).
    let lab = Lab::new(Referrers::Api, Door::Open);
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let thief = ImageRegistry::start(Referrers::Api, Door::Open);
    let theirs = format!("http://{}", thief.repository("").trim_end_matches('/'));
    let realm = format!("Bearer realm=\"{theirs}/token\",service=\"s\"");
    thief.lie(move |request| {
        let blob = request.path().contains("/blobs/");
        blob.then(|| HttpAnswer::new(401, "").with("www-authenticate", realm.clone()))
    });
    lab.registry.lie(move |request| {
        let blob = request.path().contains("/blobs/");
        blob.then(|| {
            HttpAnswer::new(307, "").with("location", format!("{theirs}{}", request.target))
        })
    });
    let report = lab.verify_as(":v1", &Password, None, demands(&World::identity())).unwrap();
    assert_ne!(report.verdict, Verdict::Verified, "{}", shown(&report));
    let seen = thief.requests();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|request| request.header("authorization").is_none()));
    assert!(!seen.iter().any(|request| request.path().contains("/token")));
    // Manifests have to come from the registry itself.
    let lab = Lab::open();
    let to = format!("http://{}", blobs.repository("x"));
    lab.registry.lie(move |request| {
        let answer = || HttpAnswer::new(307, "").with("location", to.clone());
        request.path().contains("/manifests/").then(answer)
    });
    assert!(lab.verify_as(":v1", &(), None, demands(&World::identity())).is_err());
}

/// A registry on one address that has its tokens on another, as an attacker's would.
#[test]
fn credentials_go_to_the_registrys_own_hosts() {
    let others = ImageRegistry::start(Referrers::Api, Door::Token(None));
    let port = others.repository("x").split_once(':').unwrap().1.trim_end_matches("/x").to_owned();
    let lab = Lab::new(Referrers::Api, Door::Token(None));
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let challenge = format!("Bearer realm=\"http://localhost:{port}/token\",service=\"s\"");
    lab.registry.lie(move |request| {
        let refused = request.header("authorization").is_none();
        let answer = || HttpAnswer::new(401, "").with("www-authenticate", challenge.clone());
        (refused && request.path().starts_with("/v2/")).then(answer)
    });
    let client = client();
    let reference = lab.reference(":v1");
    let registry = || Registry::new(&client, &Password, &reference).unwrap();
    let shown = |others: &ImageRegistry| {
        let asked = others.requests();
        assert!(!asked.is_empty());
        asked.iter().any(|request| request.header("authorization").is_some())
    };
    // Where anybody gets a token nobody needs credentials.
    let image = registry().resolve().unwrap();
    assert_eq!(image.digest.to_string(), lab.image);
    assert!(!shown(&others));
    // The host is the registry's own: its user says so.
    registry().allow_token_host("LOCALHOST").resolve().unwrap();
    assert!(shown(&others));
    // Where nobody does, the refusal says why.
    others.lie(|request| {
        let known = request.header("authorization").is_some();
        (!known).then(|| HttpAnswer::new(401, "{}"))
    });
    match registry().resolve() {
        Err(OciError::ForeignRealm { host, .. }) => assert_eq!(host, "localhost"),
        other => panic!("{other:?}"),
    }
    registry().allow_token_host("localhost").resolve().unwrap();
}

/// What a lie leads to: whether it is an error at once, or what the report says of it.
#[derive(Debug, PartialEq)]
enum Caught {
    AtOnce,
    Says(&'static str, State),
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of lies")]
fn registries_that_lie() {
    type Lie = Box<
        dyn Fn(
            &Lab,
        )
            -> Box<dyn Fn(&dsops_testkit::HttpRequest) -> Option<HttpAnswer> + Send + Sync>,
    >;
    let instead = |part: &'static str, answer: HttpAnswer| -> Lie {
        Box::new(move |_| {
            let answer = answer.clone();
            Box::new(move |request| request.path().contains(part).then(|| answer.clone()))
        })
    };
    let manifest = |body: &str| HttpAnswer::new(200, body).with("content-type", MANIFEST);
    let empty = json!({
        "schemaVersion": 2, "layers": [],
        "config": {"mediaType": "a/b", "digest": format!("sha256:{}", "0".repeat(64)), "size": 2},
    })
    .to_string();
    let index = |text: Value| HttpAnswer::new(200, text.to_string()).with("content-type", INDEX);
    let about_another: Lie = Box::new(|lab| {
        // A referrer of another image, listed for this one.
        let other = lab.registry.push_image("app", None, b"other");
        let kind = "https://sigstore.dev/cosign/sign/v1";
        lab.attach(&other, &lab.image, kind, &World::identity());
        let theirs = format!("/referrers/{other}");
        let ours = format!("/referrers/{}", lab.image);
        let client = client();
        let registry = Registry::new(&client, &(), &lab.reference(":v1")).unwrap();
        let list: Vec<Descriptor> = registry.referrers(&Digest::parse(&other).unwrap()).unwrap();
        assert!(!theirs.is_empty());
        let entry = json!({
            "mediaType": list[0].media_type, "digest": list[0].digest.to_string(), "size": list[0].size,
        });
        let answer = HttpAnswer::new(
            200,
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string(),
        )
        .with("content-type", INDEX);
        Box::new(move |request| request.path().ends_with(&ours).then(|| answer.clone()))
    });
    let circles: Lie = Box::new(|_| {
        Box::new(|request| {
            let next = format!("<{}?page=1>; rel=\"next\"", request.path());
            request.path().contains("/referrers/").then(|| {
                let empty = json!({"schemaVersion": 2, "manifests": []}).to_string();
                HttpAnswer::new(200, empty).with("content-type", INDEX).with("link", next)
            })
        })
    });
    let endless: Lie = Box::new(|_| {
        let page = std::sync::atomic::AtomicU32::new(0);
        Box::new(move |request| {
            let number = page.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let next = format!("<{}?page={number}>; rel=\"next\"", request.path());
            request.path().contains("/referrers/").then(|| {
                let empty = json!({"schemaVersion": 2, "manifests": []}).to_string();
                HttpAnswer::new(200, empty).with("content-type", INDEX).with("link", next)
            })
        })
    });
    let elsewhere: Lie = Box::new(|_| {
        Box::new(|request| {
            request.path().contains("/referrers/").then(|| {
                let empty = json!({"schemaVersion": 2, "manifests": []}).to_string();
                HttpAnswer::new(200, empty)
                    .with("content-type", INDEX)
                    .with("link", "<http://192.0.2.1/v2/x>; rel=\"next\"")
            })
        })
    });
    let wrong_header: Lie = Box::new(|_| {
        let empty = json!({"schemaVersion": 2, "manifests": []}).to_string();
        Box::new(move |request| {
            request.path().ends_with("/manifests/v1").then(|| {
                HttpAnswer::new(200, empty.clone())
                    .with("content-type", INDEX)
                    .with("docker-content-digest", format!("sha256:{}", "1".repeat(64)))
            })
        })
    });
    let lies: Vec<(&str, &str, Lie, Caught)> = vec![
        (
            "another manifest for the digest",
            "@",
            instead("/manifests/sha256:", manifest(&empty)),
            Caught::AtOnce,
        ),
        ("a digest of its own for the tag", ":v1", wrong_header, Caught::AtOnce),
        (
            "a page for the manifest",
            ":v1",
            instead(
                "/manifests/v1",
                HttpAnswer::new(200, "<html>").with("content-type", "text/html"),
            ),
            Caught::AtOnce,
        ),
        (
            "a manifest as index",
            ":v1",
            instead("/manifests/v1", index(serde_json::from_str(&empty).unwrap())),
            Caught::AtOnce,
        ),
        (
            "a manifest without end",
            ":v1",
            instead("/manifests/v1", manifest(&" ".repeat(5 << 20))),
            Caught::AtOnce,
        ),
        (
            "redirects in circles",
            ":v1",
            instead("/manifests/v1", HttpAnswer::new(302, "").with("location", "v1")),
            Caught::AtOnce,
        ),
        (
            "another blob",
            ":v1",
            instead("/blobs/", HttpAnswer::new(200, "x".repeat(300))),
            Caught::Says("image/size", State::Failed),
        ),
        (
            "a blob without end",
            ":v1",
            instead("/blobs/", HttpAnswer::new(200, vec![b'x'; 1 << 20])),
            Caught::Says("image/unreadable", State::Undecided),
        ),
        (
            "a blob that is gone",
            ":v1",
            instead("/blobs/", HttpAnswer::new(404, "")),
            Caught::Says("image/missing", State::Undecided),
        ),
        (
            "referrers that are none",
            ":v1",
            instead("/referrers/", HttpAnswer::new(200, "{}").with("content-type", INDEX)),
            Caught::Says("image/malformed", State::Failed),
        ),
        (
            "a blob that leads in circles",
            ":v1",
            instead("/blobs/", HttpAnswer::new(302, "").with("location", "x")),
            Caught::Says("image/unreadable", State::Undecided),
        ),
        (
            "evidence of another image",
            ":v1",
            about_another,
            Caught::Says("image/referrer", State::Failed),
        ),
        ("pages in circles", ":v1", circles, Caught::Says("image/malformed", State::Failed)),
        ("pages without end", ":v1", endless, Caught::Says("image/limit", State::Failed)),
        ("pages elsewhere", ":v1", elsewhere, Caught::Says("image/malformed", State::Failed)),
        ("nothing but errors", ":v1", instead("/", HttpAnswer::new(500, "")), Caught::AtOnce),
    ];
    for (name, rest, lie, wanted) in lies {
        let lab = Lab::open();
        lab.attach(
            &lab.image,
            &lab.image,
            "https://sigstore.dev/cosign/sign/v1",
            &World::identity(),
        );
        assert_eq!(lab.verify().verdict, Verdict::Verified);
        let rest = if rest == "@" { format!("@{}", lab.image) } else { rest.to_owned() };
        let lie = lie(&lab);
        lab.registry.lie(lie);
        let caught = match lab.verify_as(&rest, &(), None, demands(&World::identity())) {
            Err(_) => Caught::AtOnce,
            Ok(report) => {
                assert_ne!(report.verdict, Verdict::Verified, "{name} {}", shown(&report));
                match wanted {
                    Caught::Says(code, state) if common::code(&report, code) == Some(state) => {
                        let failed = report.verdict == Verdict::Failed;
                        assert_eq!(failed, state == State::Failed, "{name} {}", shown(&report));
                        Caught::Says(code, state)
                    }
                    _ => panic!("{name} {}", shown(&report)),
                }
            }
        };
        assert_eq!(caught, wanted, "{name}");
        assert!(lab.registry.requests().len() < 200, "{name}");
    }
}

#[test]
fn a_blob_of_the_right_size_and_another_digest() {
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    lab.attach(&lab.image, &lab.image, "https://sigstore.dev/cosign/sign/v1", &World::identity());
    let size = lab.world().sign_image(&lab.image, "app").make().image_layer(lab.world()).blob.len();
    let seen = std::sync::atomic::AtomicU32::new(0);
    lab.registry.lie(move |request| {
        let first = request.path().contains("/blobs/")
            && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
        first.then(|| HttpAnswer::new(200, vec![b'x'; size]))
    });
    // One good signature is left; but who sends other bytes than asked for is not to be trusted.
    let report = lab.verify();
    assert_eq!(report.verdict, Verdict::Failed, "{}", shown(&report));
    assert_eq!(code(&report, "image/digest"), Some(State::Failed));
}

fn save(lab: &Lab, to: &Path, entries: &[(&str, Value)]) {
    lab.registry.save("app", entries, to).unwrap();
}

fn archive(folder: &Path, to: &Path) {
    let file = std::fs::File::create(to).unwrap();
    let mut builder = tar::Builder::new(file);
    builder.append_dir_all(".", folder).unwrap();
    builder.into_inner().unwrap();
}

fn verify_layout(lab: &Lab, path: &Path, name: Option<&str>) -> Result<Report, OciError> {
    let layout = Layout::open(path)?;
    let image = Image::described(&layout, &layout.image(name)?, None)?;
    Ok(engine(&lab.folder, demands(&World::identity())).verify_image(&image, &[]))
}

#[test]
fn layouts_and_archives() {
    let dir = tempfile::tempdir().unwrap();
    let kind = "dev.cosignproject.cosign/kind";
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let sig = format!("{}.sig", lab.image.replace(':', "-"));
    let tag = |name: &str| json!({"org.opencontainers.image.ref.name": name});
    let forms: [Vec<(&str, Value)>; 3] = [
        // cosign save
        vec![
            ("v1", json!({kind: "dev.cosignproject.cosign/image"})),
            (&sig, json!({kind: "dev.cosignproject.cosign/sigs"})),
        ],
        // A copy of all tags.
        vec![("v1", tag("v1")), (&sig, tag(&sig))],
        // Docker with containerd.
        vec![
            (
                "v1",
                json!({"io.containerd.image.name": "docker.io/library/app:v1", "org.opencontainers.image.ref.name": "v1"}),
            ),
            (&sig, tag(&sig)),
        ],
    ];
    for (number, entries) in forms.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        save(&lab, &folder, entries);
        let tar = dir.path().join(format!("{number}.tar"));
        archive(&folder, &tar);
        for path in [&folder, &tar] {
            let report = verify_layout(&lab, path, None).unwrap();
            assert_eq!(report.verdict, Verdict::Verified, "{number} {}", shown(&report));
        }
        if number == 2 {
            for name in ["v1", "app:v1", "docker.io/library/app:v1", lab.image.as_str()] {
                assert!(verify_layout(&lab, &tar, Some(name)).is_ok(), "{name}");
            }
            let missing = verify_layout(&lab, &tar, Some("v2"));
            assert!(matches!(missing, Err(OciError::NotFound { .. })));
        }
    }
    // With referrers.
    let lab = Lab::open();
    lab.attach(&lab.image, &lab.image, "https://sigstore.dev/cosign/sign/v1", &World::identity());
    let client = client();
    let registry = Registry::new(&client, &(), &lab.reference(":v1")).unwrap();
    let referrer = registry.referrers(&Digest::parse(&lab.image).unwrap()).unwrap();
    let referrer = referrer[0].digest.to_string();
    let folder = dir.path().join("referrers");
    save(&lab, &folder, &[("v1", tag("v1")), (&referrer, json!({}))]);
    let report = verify_layout(&lab, &folder, None).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    // Two images, and none is named.
    lab.registry.push_image("app", Some("v2"), b"second");
    save(&lab, &folder, &[("v1", tag("v1")), ("v2", tag("v2"))]);
    let error = verify_layout(&lab, &folder, None).unwrap_err();
    assert!(
        matches!(&error, OciError::Ambiguous { names, .. } if names == &["v1", "v2"]),
        "{error}"
    );
    assert_eq!(verify_layout(&lab, &folder, Some("v1")).unwrap().verdict, Verdict::Undecided);
}

#[test]
fn layouts_that_were_changed() {
    use std::fs;
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let sig = format!("{}.sig", lab.image.replace(':', "-"));
    let tag = |name: &str| json!({"org.opencontainers.image.ref.name": name});
    save(&lab, dir.path(), &[("v1", tag("v1")), (&sig, tag(&sig))]);
    assert_eq!(verify_layout(&lab, dir.path(), None).unwrap().verdict, Verdict::Verified);
    // Every blob that matters, changed by one byte.
    let mut changed = 0;
    for entry in fs::read_dir(dir.path().join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, &bad).unwrap();
        match verify_layout(&lab, dir.path(), None) {
            Ok(report) => assert_eq!(report.verdict, Verdict::Failed, "{}", shown(&report)),
            Err(error) => assert!(error.is_a_lie(), "{error:?}"),
        }
        fs::write(&path, good).unwrap();
        changed += 1;
    }
    assert_eq!(changed, 5, "manifest, config, layer, signature's manifest, payload");
    // What is missing is said, and nothing else: whoever fetches it compares it.
    let layer = Digest::of(Algorithm::Sha256, b"the program").hex();
    fs::remove_file(dir.path().join("blobs/sha256").join(layer)).unwrap();
    let report = verify_layout(&lab, dir.path(), None).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{}", shown(&report));
    assert_eq!(code(&report, "image/content"), Some(State::Warning));
    // What is no layout.
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(dir.path()), Err(OciError::NotAnImage { .. })));
    fs::remove_file(dir.path().join("oci-layout")).unwrap();
    fs::write(dir.path().join("manifest.json"), "[]").unwrap();
    let error = Layout::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("before version 25"), "{error}");
}

/// `docker load` takes what `manifest.json` names, and not the index: both must mean one image.
#[test]
fn an_archive_in_which_docker_sees_another_image() {
    use std::fs;
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let sig = format!("{}.sig", lab.image.replace(':', "-"));
    let tag = |name: &str| json!({"org.opencontainers.image.ref.name": name});
    save(&lab, dir.path(), &[("v1", tag("v1")), (&sig, tag(&sig))]);
    let blobs = dir.path().join("blobs/sha256");
    let hex = lab.image.strip_prefix("sha256:").unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(blobs.join(hex)).unwrap()).unwrap();
    let path = |value: &Value| value["digest"].as_str().unwrap().replacen(':', "/", 1);
    let (config, layer) = (path(&manifest["config"]), path(&manifest["layers"][0]));
    let own = json!({"Config": format!("blobs/{config}"), "Layers": [format!("blobs/{layer}")]});
    let evil = Digest::of(Algorithm::Sha256, b"evil").hex();
    fs::write(blobs.join(&evil), b"evil").unwrap();
    let mut other = own.clone();
    other["Layers"][0] = json!(format!("blobs/sha256/{evil}"));
    other["RepoTags"] = json!(["app:v1"]);
    for (images, verdict) in [
        (json!([own]), Verdict::Verified),
        (json!([]), Verdict::Verified),
        (json!([other]), Verdict::Failed),
        (json!([own, other]), Verdict::Failed),
        (json!({}), Verdict::Failed),
    ] {
        fs::write(dir.path().join("manifest.json"), images.to_string()).unwrap();
        let tar = dir.path().with_extension("tar");
        archive(dir.path(), &tar);
        for path in [dir.path(), &tar] {
            let report = verify_layout(&lab, path, None).unwrap();
            assert_eq!(report.verdict, verdict, "{images}: {}", shown(&report));
        }
        fs::remove_file(tar).unwrap();
    }
}

/// Appends an entry with exactly that name, which the library would clean.
fn append(tar: &Path, name: &str, kind: tar::EntryType, content: &[u8], link: &str) {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(tar).unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).unwrap();
    // In the place of the two blocks of zeros that end the archive.
    file.seek(SeekFrom::Start(all.len() as u64 - 1024)).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(content).unwrap();
    file.write_all(&vec![0; content.len().next_multiple_of(512) - content.len() + 1024]).unwrap();
}

/// Whoever unpacks an archive follows links in it and cleans names: it must not find other files
/// than we do.
#[test]
fn an_archive_in_which_whoever_unpacks_it_sees_another_image() {
    use tar::EntryType::{Link, Regular, Symlink};
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let sig = format!("{}.sig", lab.image.replace(':', "-"));
    let tag = |name: &str| json!({"org.opencontainers.image.ref.name": name});
    let folder = dir.path().join("image");
    save(&lab, &folder, &[("v1", tag("v1")), (&sig, tag(&sig))]);
    let tar = dir.path().join("image.tar");
    let judge = || verify_layout(&lab, &tar, None).map(|report| report.verdict);
    archive(&folder, &tar);
    append(&tar, "harmless", Symlink, b"", "blobs/sha256");
    append(&tar, "harmless.txt", Regular, b"text", "");
    assert_eq!(judge().unwrap(), Verdict::Verified);

    let evil: &[u8] = b"{}";
    for (name, kind, content, link) in [
        ("index.json", Symlink, &b""[..], "evil.json"),
        ("index.json", Link, b"", "evil.json"),
        ("/index.json", Regular, evil, ""),
        ("././index.json", Regular, evil, ""),
        (".//index.json", Regular, evil, ""),
        ("blobs/../index.json", Regular, evil, ""),
        ("../index.json", Regular, evil, ""),
        // What Docker loads instead.
        ("manifest.json", Symlink, b"", "evil.json"),
        ("manifest.json", Link, b"", "evil.json"),
        ("./manifest.json", Symlink, b"", "evil.json"),
        ("repositories", Regular, br#"{"app":{"v1":"0"}}"#, ""),
        ("repositories", Symlink, b"", "evil.json"),
        // The folder of all that is named by digest.
        ("blobs", Symlink, b"", "elsewhere"),
        ("./blobs/sha256/", Symlink, b"", "../elsewhere"),
    ] {
        archive(&folder, &tar);
        append(&tar, "evil.json", Regular, evil, "");
        append(&tar, name, kind, content, link);
        let judged = judge();
        assert!(!matches!(judged, Ok(Verdict::Verified)), "{name} {kind:?} {judged:?}");
    }
    // Go's reader takes the name of the next file from here.
    archive(&folder, &tar);
    append(&tar, "more", tar::EntryType::XHeader, b"32 GNU.sparse.name=manifest.json\n", "");
    append(&tar, "x", Regular, b"[]", "");
    let judged = judge();
    assert!(!matches!(judged, Ok(Verdict::Verified)), "{judged:?}");
}

#[test]
fn a_layout_that_lists_one_large_manifest_often() {
    let folder = tempfile::tempdir().unwrap();
    let entry = json!({
        "mediaType": MANIFEST, "digest": format!("sha256:{}", "a".repeat(64)), "size": 4 << 20,
    });
    let open = |times: usize| {
        let index = json!({ "schemaVersion": 2, "manifests": vec![entry.clone(); times] });
        std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
        Layout::open(folder.path())
    };
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    std::fs::write(folder.path().join("oci-layout"), version).unwrap();
    assert!(open(16).is_ok());
    assert!(matches!(open(17), Err(OciError::TooLarge { .. })));
}

#[test]
fn archives_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tar");
    let write = |bytes: &[u8]| std::fs::write(&file, bytes).unwrap();
    for bytes in [&b""[..], b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", &[b'x'; 2048]] {
        write(bytes);
        assert!(matches!(Layout::open(&file), Err(OciError::NotAnImage { .. })), "{bytes:?}");
    }
    // Two files of one name: readers could disagree.
    let mut builder = tar::Builder::new(Vec::new());
    for text in [r#"{"imageLayoutVersion":"1.0.0"}"#, "{}"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, "oci-layout", text.as_bytes()).unwrap();
    }
    write(&builder.into_inner().unwrap());
    let error = Layout::open(&file).unwrap_err();
    assert!(error.to_string().contains("two files of one name"), "{error}");
    // Links and devices are nobody's content.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "oci-layout", "/etc/passwd").unwrap();
    write(&builder.into_inner().unwrap());
    assert!(matches!(Layout::open(&file), Err(OciError::NotAnImage { .. })));
    assert!(matches!(Layout::open(Path::new("/dev/null")), Err(OciError::NotAnImage { .. })));
}

/// A rule for files by their name alone is no rule for an image that somebody called so.
#[test]
fn a_rule_for_an_image_names_its_repository() {
    use dsops_release_verify::{Options, Origin, PolicyFile, ReleaseVerifier};
    let lab = Lab::open();
    lab.sign_v2(&lab.image, &lab.image, &World::identity());
    let repository = lab.registry.repository("app");
    let verify = |rule: &str| {
        let text = format!(
            "version: 1\nsigners: {{ ci: {{ github: octo/demo }} }}\nartifacts: [{{ {rule} }}]\n"
        );
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let policy = PolicyFile::read(text.as_bytes(), &Origin::new("policy"), nothing).unwrap();
        let sigstore = common::sigstore(&lab.folder);
        let engine = ReleaseVerifier::of_policy(policy, sigstore, Options::default());
        let client = client();
        let registry = Registry::new(&client, &(), &lab.reference(":v1")).unwrap();
        let image = Image::new(&registry, registry.resolve().unwrap(), None).unwrap();
        engine.verify_image(&image, &[])
    };
    for rule in ["match: app", "match: 'ap*'", "match: ['*.gz', other/app]"] {
        let report = verify(rule);
        assert_eq!(report.verdict, Verdict::Undecided, "{rule}: {}", shown(&report));
        let finding = report.findings.iter().find(|one| one.code == "policy/no-rule").unwrap();
        assert!(finding.help.as_ref().unwrap().contains(&repository), "{finding:?}");
    }
    for rule in [format!("match: '{repository}'"), "match: '*/app'".into(), "threshold: 1".into()] {
        let report = verify(&rule);
        assert_eq!(report.verdict, Verdict::Verified, "{rule}: {}", shown(&report));
    }
}

//! Evidence of package registries: npm and the Python index.
#![allow(clippy::unwrap_used, reason = "tests")]

mod statements;

use std::time::{Duration, SystemTime};

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::registry::npm::{self, Package, RegistryKeys, Signed};
use dsops_release_verify::registry::{RegistryError, pypi};
use dsops_release_verify::statement::Statement;
use dsops_release_verify::{Algorithm, Bundle, Leniency, Origin, Signer, State, SubjectName};
use dsops_testkit::sigstore::{Algorithm as KeyKind, Key, World};
use serde_json::{Value, json};
use statements::*;

const NONE: [&str; 0] = [];
const TAG: &str = "refs/tags/v1.2.3";

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding as _};
    Base64::encode_string(bytes)
}

fn registry_key() -> Key {
    Key::new(KeyKind::P256, "registry")
}

/// The registry's list of keys, in the form of Sigstore's root of trust.
fn key_list(usage: &str) -> Value {
    json!({"keys": [{
        "keyId": "SHA256:octo",
        "keyUsage": usage,
        "publicKey": {
            "rawBytes": base64(&registry_key().spki()),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2024-01-01T00:00:00.000Z", "end": "2026-01-01T00:00:00.000Z"},
        },
    }]})
}

fn keys() -> RegistryKeys {
    RegistryKeys::read(key_list("npm:attestations").to_string().as_bytes()).unwrap()
}

fn registry() -> Signer {
    ManagedKey::parse(&registry_key().spki()).unwrap().signer()
}

fn publication() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": npm_v02(TAG)["subject"],
        "predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        "predicate": {"name": "@octo/tool", "version": "1.2.3", "registry": "https://npm.example"},
    })
}

fn in_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

struct Npm {
    published: Value,
    provenance: Value,
    signer: Signer,
    times: Vec<SystemTime>,
}

impl Npm {
    fn new() -> Self {
        Self {
            published: publication(),
            provenance: npm_v1(TAG),
            signer: registry(),
            times: vec![in_time()],
        }
    }

    fn check(&self, package: Option<&str>) -> Vec<&'static str> {
        let (published, provenance) = (statement(&self.published), statement(&self.provenance));
        let workflow = Certificate::new(TAG).signer();
        let origin = Origin::new("tool.tgz.json");
        let signed =
            |statement, signer| Signed { statement, signer, times: &self.times, origin: &origin };
        let all = [signed(&published, &self.signer), signed(&provenance, &workflow)];
        let package = package.map(|package| Package::parse(package).unwrap());
        let mut codes = problems(&npm::check(package.as_ref(), &all, &keys(), &artifact()));
        codes.dedup();
        codes
    }
}

#[test]
fn a_package_of_npm() {
    assert_eq!(Npm::new().check(Some("@octo/tool@1.2.3")), NONE);
    assert_eq!(Npm::new().check(Some("@octo/tool")), NONE);
    assert_eq!(Npm::new().check(None), NONE);
    for other in
        ["tool@1.2.3", "@octo/tool@1.2.4", "@octo/tool2", "@octo2/tool", "@Octo/tool@1.2.3"]
    {
        let found = Npm::new().check(Some(other));
        assert_eq!(found, ["npm/subject", "npm/package", "npm/subject"], "{other}");
    }
}

#[test]
fn attestations_of_npm_that_do_not_agree() {
    let changed = |pointer: &str, new: Value| {
        let mut npm = Npm::new();
        npm.published = edit(npm.published, pointer, Some(new));
        npm.check(Some("@octo/tool@1.2.3"))
    };
    assert_eq!(changed("/predicate/name", json!("@octo/tool2")), ["npm/package"]);
    assert_eq!(changed("/predicate/version", json!("1.2.4")), ["npm/package"]);
    assert_eq!(changed("/predicate/version", json!(1)), ["npm/package"]);
    assert_eq!(changed("/predicate/name", json!("@octo/tool@1.2.3")), ["npm/package"]);
    for name in [
        "pkg:npm/%40octo/tool@1.2.4",
        "pkg:npm/%40octo/tool2@1.2.3",
        "pkg:npm/octo/tool@1.2.3",
        "pkg:npm/%40octo/tool",
        "pkg:pypi/%40octo/tool@1.2.3",
        "pkg:npm/%40octo/tool@1.2.3\n",
        "pkg:npm/%40octo/tool@1.2.3?x=y",
        "@octo/tool@1.2.3",
        "",
    ] {
        let found = changed("/subject/0/name", json!(name));
        assert!(found.contains(&"npm/subject"), "{name:?}: {found:?}");
    }
    let other = "00".repeat(64);
    let found = changed("/subject/0/digest/sha512", json!(other));
    assert_eq!(found, ["statement/subject", "npm/digest"]);
    let found = changed("/subject/0/digest", json!({"sha256": sha(Algorithm::Sha256)}));
    assert_eq!(found, ["npm/subject"]);
    let found = changed("/subject/-", json!({"digest": {"sha1": "00"}}));
    assert_eq!(found, ["npm/subject"]);
    // No statement of the registry: its provenance alone does not say that it was published.
    let mut npm = Npm::new();
    npm.published = npm_v1(TAG);
    assert_eq!(npm.check(None), ["npm/publish"]);
}

#[test]
fn keys_of_the_registry() {
    let by =
        |signer: Signer, times: Vec<SystemTime>| Npm { signer, times, ..Npm::new() }.check(None);
    assert_eq!(by(key(), vec![in_time()]), ["npm/key"]);
    assert_eq!(by(Certificate::new(TAG).signer(), vec![in_time()]), ["npm/key"]);
    let year = Duration::from_hours(366 * 24);
    assert_eq!(by(registry(), vec![in_time() + year]), ["npm/key"]);
    assert_eq!(by(registry(), vec![in_time() - 2 * year]), ["npm/key"]);
    assert_eq!(by(registry(), vec![in_time(), in_time() + year]), ["npm/key"]);
    assert_eq!(by(registry(), Vec::new()), ["npm/key"]);
    assert!(keys().by_hint("SHA256:octo").is_some() && keys().by_hint("SHA256:Octo").is_none());
    assert_eq!(keys().trusted().len(), 1);

    let spki = base64(&registry_key().spki());
    let own = json!({"keys": [{"keyid": "SHA256:octo", "keytype": "ecdsa-sha2-nistp256",
        "scheme": "ecdsa-sha2-nistp256", "key": spki, "expires": null}]});
    let read = |value: &Value| RegistryKeys::read(value.to_string().as_bytes());
    assert_eq!(read(&own).unwrap().keys()[0].key, keys().keys()[0].key);
    // A key for another use is not one for attestations.
    assert!(read(&key_list("npm:signatures")).unwrap().keys().is_empty());
    for (pointer, new) in [
        ("/keys/-", own["keys"][0].clone()),
        ("/keys/0/key", json!("AAAA")),
        ("/keys/0/key", json!("!")),
        ("/keys/0/keyid", json!(1)),
        ("/keys/0/expires", json!("tomorrow")),
        ("/keys", json!({})),
    ] {
        assert!(read(&edit(own.clone(), pointer, Some(new))).is_err(), "{pointer}");
    }
}

#[test]
fn the_registrys_document() {
    let bundle = json!({"mediaType": "x", "verificationMaterial": {"publicKey": {"hint": "SHA256:octo"}},
        "number": 12, "text": "\u{e9}\n\""});
    let document = json!({"attestations": [
        {"predicateType": "a", "bundle": bundle},
        {"predicateType": "b", "bundle": {}},
    ]});
    let read = |value: &Value| npm::read_attestations(value.to_string().as_bytes());
    let all = read(&document).unwrap();
    assert!(npm::is_attestations(document.to_string().as_bytes()));
    assert_eq!(
        (all[0].predicate_type.as_str(), all[0].key_hint.as_deref()),
        ("a", Some("SHA256:octo"))
    );
    assert_eq!(all[1].key_hint, None);
    assert_eq!(serde_json::from_slice::<Value>(&all[0].bundle).unwrap(), bundle);
    for (pointer, new) in [
        ("/attestations", Some(json!([]))),
        ("/attestations", Some(json!({}))),
        ("/attestations/0/bundle", Some(json!("x"))),
        ("/attestations/0/bundle", None),
        ("/attestations/0/predicateType", None),
    ] {
        assert!(matches!(
            read(&edit(document.clone(), pointer, new)),
            Err(RegistryError::Malformed { .. })
        ));
    }
    let large = vec![b' '; dsops_release_verify::registry::LIMIT_BYTES + 1];
    assert!(matches!(npm::read_attestations(&large), Err(RegistryError::TooLarge { .. })));
}

#[test]
fn names_of_npm_packages() {
    for good in [
        "tool",
        "tool@1.2.3",
        "@octo/tool",
        "@octo/tool@1.2.3-rc.1+b",
        "tool.js",
        "JSONStream@1.3.5",
    ] {
        assert_eq!(Package::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "@",
        "@octo",
        "@octo/",
        "@/tool",
        "tool@",
        "tool@latest",
        "tool@1@2",
        "a/b",
        "../tool",
        "@octo/../tool",
        ".tool",
        "tool@1.0 ",
        "tool\n",
        "@octo/a/b",
        "@@octo/tool",
    ] {
        assert!(Package::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_first_bundles_of_npm_brought_the_root() {
    use dsops_release_verify::{TrustRoots, Verifier};
    use dsops_testkit::sigstore::Version;
    let world = World::new("npm");
    let root = world.trusted_root();
    let chain = root.pointer("/certificateAuthorities/0/certChain/certificates").unwrap();
    let own = chain.as_array().unwrap().last().unwrap();
    let roots =
        TrustRoots::load(root.to_string().as_bytes(), &Origin::new("root.json"), None).unwrap();
    let verifier = Verifier::new(roots);
    let others = World::new("others").trusted_root();
    let other = others.pointer("/certificateAuthorities/0/certChain/certificates").unwrap();
    let other = other.as_array().unwrap().last().unwrap();
    for (version, root, good) in
        [(Version::V01, own, true), (Version::V01, other, true), (Version::V02, own, false)]
    {
        let bundle = world.attest(&npm_v1(TAG)).version(version).bundle();
        let pointer = "/verificationMaterial/x509CertificateChain/certificates/-";
        let bundle = edit(bundle, pointer, Some(root.clone()));
        let bundle =
            Bundle::read(bundle.to_string().as_bytes(), &origin(), Leniency::default()).unwrap();
        let outcome = verifier.authenticate(&bundle, &artifact(), None);
        assert_eq!(outcome.authenticated.is_some(), good, "{:?}", outcome.findings);
    }
}

const WHEEL: &str = "octo_tool-1.2.3-py3-none-any.whl";

fn index_statement(name: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha(Algorithm::Sha256)}}],
        "predicateType": "https://docs.pypi.org/attestations/publish/v1",
        "predicate": null,
    })
}

/// An attestation as the index keeps it, made from a bundle.
fn attestation(bundle: &Value) -> Value {
    let material = &bundle["verificationMaterial"];
    json!({
        "version": 1,
        "verification_material": {
            "certificate": material["certificate"]["rawBytes"],
            "transparency_entries": material["tlogEntries"],
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"],
        },
    })
}

#[test]
fn an_attestation_of_the_index_is_a_bundle() {
    use dsops_release_verify::{TrustRoots, Verifier};
    let world = World::new("pypi");
    let bundle = world.attest(&index_statement(WHEEL)).bundle();
    let converted =
        pypi::Attestation::read(attestation(&bundle).to_string().as_bytes()).unwrap().to_bundle();
    let root = world.trusted_root().to_string();
    let roots = TrustRoots::load(root.as_bytes(), &Origin::new("root.json"), None).unwrap();
    let verifier = Verifier::new(roots);
    let verify = |bytes: &[u8]| {
        let bundle = Bundle::read(bytes, &origin(), Leniency::default()).unwrap();
        verifier.authenticate(&bundle, &artifact(), None)
    };
    let outcome = verify(&converted);
    assert!(outcome.authenticated.is_some(), "{:?}", outcome.findings);
    // The statement of another file under the same signature.
    let mut forged = attestation(&bundle);
    forged["envelope"]["statement"] =
        json!(base64(index_statement("octo_tool-1.2.4.tar.gz").to_string().as_bytes()));
    let forged = pypi::Attestation::read(forged.to_string().as_bytes()).unwrap().to_bundle();
    assert!(verify(&forged).authenticated.is_none());
}

#[test]
fn the_index_answers_with_publishers() {
    let world = World::new("pypi");
    let attestation = attestation(&world.attest(&index_statement(WHEEL)).bundle());
    let answer = json!({"version": 1, "attestation_bundles": [{
        "publisher": {"kind": "GitHub", "repository": "octo-org/octo-repo",
                      "workflow": "release.yml", "environment": null},
        "attestations": [attestation],
    }]});
    let read = |value: &Value| pypi::read_provenance(value.to_string().as_bytes());
    let all = read(&answer).unwrap();
    assert!(pypi::is_provenance(answer.to_string().as_bytes()));
    assert!(pypi::is_attestation(attestation.to_string().as_bytes()));
    assert_eq!(all[0].publisher, publisher());
    assert_eq!(all[0].attestations.len(), 1);
    let empty =
        edit(answer.clone(), "/attestation_bundles/0/publisher/environment", Some(json!("")));
    assert_eq!(read(&empty).unwrap()[0].publisher, publisher());
    assert!(matches!(
        read(&edit(answer.clone(), "/version", Some(json!(2)))),
        Err(RegistryError::Version { found: 2 })
    ));
    let inner = "/attestation_bundles/0/attestations/0";
    for (pointer, new) in [
        ("/version", None),
        ("/version", Some(json!("x"))),
        ("/attestation_bundles", Some(json!([]))),
        ("/attestation_bundles/0/publisher/kind", Some(json!("Other"))),
        ("/attestation_bundles/0/publisher/repository", None),
        (&format!("{inner}/version"), None),
        (&format!("{inner}/envelope/statement"), Some(json!("not base64"))),
        (&format!("{inner}/envelope/signature"), Some(json!(""))),
        (&format!("{inner}/verification_material/certificate"), Some(json!(1))),
        (&format!("{inner}/verification_material/transparency_entries"), Some(json!([]))),
    ] {
        let error = read(&edit(answer.clone(), pointer, new)).unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{pointer}: {error:?}");
    }
}

fn publisher() -> pypi::Publisher {
    pypi::Publisher::GitHub {
        repository: "octo-org/octo-repo".to_owned(),
        workflow: "release.yml".to_owned(),
        environment: None,
    }
}

fn check_index(statement: &Statement, file: &str, signer: &Signer) -> Vec<&'static str> {
    problems(&pypi::check(statement, signer, &artifact(), file, Some(&publisher()), &origin()))
}

#[test]
fn a_file_of_the_index() {
    let signer = Certificate::new(TAG).signer();
    let good = statement(&index_statement(WHEEL));
    assert_eq!(check_index(&good, WHEEL, &signer), NONE);
    // Another spelling of the same name.
    let spelled = statement(&index_statement("Octo.Tool-1.2.3.0.tar.gz"));
    assert_eq!(check_index(&spelled, "octo_tool-1.2.3.tar.gz", &signer), NONE);
    for name in [
        "octo_tool-1.2.4-py3-none-any.whl",
        "octo_tool2-1.2.3-py3-none-any.whl",
        "octo_tool-1.2.3-py2-none-any.whl",
        "octo_tool-1.2.3.tar.gz",
        "../octo_tool-1.2.3-py3-none-any.whl",
        "octo_tool-1.2.3-py3-none-any.whl ",
        "",
    ] {
        let found = check_index(&statement(&index_statement(name)), WHEEL, &signer);
        assert_eq!(found, ["pypi/file"], "{name:?}");
    }
    // A file that was renamed: nothing is known, nothing is wrong.
    let findings = pypi::check(&good, &signer, &artifact(), "download", None, &origin());
    let file = findings.iter().find(|finding| finding.code == "pypi/file").unwrap();
    assert_eq!(file.state, State::Undecided);

    let value = index_statement(WHEEL);
    let changed = |pointer: &str, new: Value| {
        check_index(&statement(&edit(value.clone(), pointer, Some(new))), WHEEL, &signer)
    };
    assert_eq!(changed("/predicateType", json!("https://slsa.dev/provenance/v1")), NONE);
    assert_eq!(
        changed("/predicateType", json!("https://slsa.dev/provenance/v0.2")),
        ["pypi/predicate"]
    );
    assert_eq!(changed("/subject/0/digest/sha256", json!("00".repeat(32))), ["statement/subject"]);
    assert_eq!(
        changed("/subject/0/digest", json!({"sha512": sha(Algorithm::Sha512)})),
        ["pypi/file"]
    );
    assert_eq!(changed("/subject/-", value["subject"][0].clone()), ["pypi/file"]);
}

#[test]
fn publishers_that_look_alike() {
    let good = statement(&index_statement(WHEEL));
    let by = |certificate: &Certificate| check_index(&good, WHEEL, &certificate.signer());
    for certificate in [
        Certificate::new(TAG).issuer("https://gitlab.com"),
        Certificate::new(TAG).with(12, "https://github.com/octo-org/octo-repo2"),
        Certificate::new(TAG).without(&[12]),
        Certificate::new(TAG).without(&[13, 14]),
        Certificate::new(TAG).without(&[18]),
        Certificate::new(TAG).with(
            18,
            "https://github.com/octo-org/octo-repo/.github/workflows/release.yml@refs/heads/x",
        ),
        Certificate::new(TAG).with(
            18,
            &format!("https://github.com/octo-org/octo-repo/.github/workflows/other.yml@{TAG}"),
        ),
        Certificate::new(TAG).with(
            18,
            &format!("https://github.com/octo-org/octo-repo/.github/workflows/x/release.yml@{TAG}"),
        ),
    ] {
        assert_eq!(by(&certificate), ["pypi/publisher"], "{:?}", certificate.claims);
    }
    // The configuration may be named by its commit.
    let by_commit =
        format!("https://github.com/octo-org/octo-repo/.github/workflows/release.yml@{COMMIT}");
    assert_eq!(by(&Certificate::new(TAG).with(18, &by_commit)), NONE);
    assert_eq!(check_index(&good, WHEEL, &key()), ["pypi/publisher"]);

    // A job of the same workflow that runs in no environment is not the publisher.
    let named = pypi::Publisher::GitHub {
        repository: "octo-org/octo-repo".to_owned(),
        workflow: "release.yml".to_owned(),
        environment: Some("release".to_owned()),
    };
    let state = |certificate: Certificate| named.check(&certificate.signer()).state;
    assert_eq!(state(Certificate::new(TAG)), State::Undecided);
    assert_eq!(state(Certificate::new(TAG).with(23, "release")), State::Passed);
    assert_eq!(state(Certificate::new(TAG).with(23, "Release")), State::Passed);
    assert_eq!(state(Certificate::new(TAG).with(23, "release2")), State::Failed);
}

#[test]
fn publishers_that_are_not_on_github() {
    let lab = pypi::Publisher::GitLab {
        repository: "octo/group/tool".to_owned(),
        workflow: ".gitlab-ci.yml".to_owned(),
        environment: None,
    };
    let mut pipeline = Certificate::new(TAG).issuer("https://gitlab.com").without(&[2, 3, 5, 6]);
    pipeline = pipeline.with(12, "https://gitlab.com/octo/group/tool");
    let configuration = format!("https://gitlab.com/octo/group/tool//.gitlab-ci.yml@{TAG}");
    pipeline = pipeline.with(18, &configuration);
    assert_eq!(lab.check(&pipeline.signer()).state, State::Passed);
    let other = pipeline.with(18, &configuration.replace("//.gitlab", "/.gitlab"));
    assert_eq!(lab.check(&other.signer()).state, State::Failed);

    let google = pypi::Publisher::Google { email: "ci@octo.example".to_owned() };
    let account = |name: SubjectName, issuer: &str| {
        let mut identity = Certificate::new(TAG).issuer(issuer).identity();
        identity.names = vec![name];
        google.check(&Signer::Certificate(identity)).state
    };
    let (address, issuer) = ("ci@octo.example".to_owned(), "https://accounts.google.com");
    assert_eq!(account(SubjectName::Email(address.clone()), issuer), State::Passed);
    assert_eq!(account(SubjectName::Uri(address.clone()), issuer), State::Failed);
    assert_eq!(account(SubjectName::Email(address.to_uppercase()), issuer), State::Failed);
    assert_eq!(account(SubjectName::Email(address), "https://example.org"), State::Failed);
}

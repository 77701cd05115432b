//! The services of a [`World`] on loopback, for clients that sign: Fulcio, both kinds of Rekor, the
//! timestamp authority.
//!
//! Tokens are believed as they are, and entries are logged without a look at their signatures: it is
//! clients that are tested here, and what they make is verified afterwards.

use std::sync::Arc;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

use super::fulcio::Leaf;
use super::identity::Identity;
use super::key::{Algorithm, Key};
use super::world::World;
use super::{Kind, base64, der, hex, sha256, timestamp};
use crate::{HttpAnswer, HttpRequest, HttpServer};

/// A world that answers on loopback. Its time stands still all the same.
pub struct Services {
    server: HttpServer,
    world: Arc<World>,
}

impl Services {
    /// Starts them.
    pub fn start(world: World) -> Self {
        let world = Arc::new(world);
        let answering = Arc::clone(&world);
        let server = HttpServer::start(move |request| {
            answer(&answering, request)
                .unwrap_or_else(|| HttpAnswer::new(400, r#"{"code":3,"message":"not understood"}"#))
        });
        Self { server, world }
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where they are: without a path, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url("")
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.server.requests()
    }

    /// The signing configuration (v0.2) that names them; with Rekor of that generation, 1 or 2.
    pub fn signing_config(&self, generation: u32) -> Value {
        let service = |url: String, version: u32| {
            json!([{
                "url": url,
                "majorApiVersion": version,
                "validFor": { "start": timestamp(self.world.now) },
                "operator": "stand-in.test",
            }])
        };
        let url = self.url();
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(url.clone(), 1),
            "oidcUrls": service(url.clone(), 1),
            "rekorTlogUrls": service(url.clone(), generation),
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": service(format!("{url}/api/v1/timestamp"), 1),
            "tsaConfig": { "selector": "ANY" },
        })
    }

    /// The client trust configuration (v0.1): the trusted root and the signing configuration in one.
    pub fn trust_config(&self, generation: u32) -> Value {
        json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.world.trusted_root(),
            "signingConfig": self.signing_config(generation),
        })
    }
}

/// The claims of a token of GitHub's for a run of a workflow: `owner/repository`, the file in
/// `.github/workflows`, the ref, and the commit.
pub fn workflow_claims(
    world: &World,
    repository: &str,
    file: &str,
    reference: &str,
    commit: &str,
) -> Value {
    let workflow = format!("{repository}/.github/workflows/{file}@{reference}");
    let now = super::seconds(world.now);
    json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sigstore",
        "sub": format!("repo:{repository}:ref:{reference}"),
        "repository": repository,
        "ref": reference,
        "sha": commit,
        "event_name": "push",
        "run_id": "1",
        "run_attempt": "1",
        "runner_environment": "github-hosted",
        "repository_visibility": "public",
        "job_workflow_ref": workflow,
        "job_workflow_sha": commit,
        "workflow_ref": workflow,
        "workflow_sha": commit,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    })
}

/// An identity token (JWT) with these claims, and a signature that nobody checks.
pub fn token(claims: &Value) -> String {
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    format!("{}.{}.{}", part(&header), part(claims), part(&json!("unsigned")))
}

/// The answer, or none if the request makes no sense.
fn answer(world: &World, request: &HttpRequest) -> Option<HttpAnswer> {
    let json = || serde_json::from_slice::<Value>(&request.body).ok();
    let body = match (request.method.as_str(), request.path()) {
        ("POST", "/api/v2/signingCert") => certify(world, request, &json()?)?,
        ("POST", "/api/v1/log/entries") => log(world, &json()?)?,
        ("POST", "/api/v2/log/entries") => log_v2(world, &json()?)?,
        ("POST", "/api/v1/timestamp") => {
            let answer = HttpAnswer::new(201, stamp(world, &request.body)?);
            return Some(answer.with("content-type", "application/timestamp-reply"));
        }
        _ => return Some(HttpAnswer::new(404, "{}")),
    };
    Some(HttpAnswer::new(201, body.to_string()).with("content-type", "application/json"))
}

/// Fulcio: a certificate for whom the token names and the key of the request.
fn certify(world: &World, request: &HttpRequest, asked: &Value) -> Option<Value> {
    let bearer = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    let token = asked["credentials"]["oidcIdentityToken"].as_str().or(bearer)?;
    let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let spki = match asked["certificateSigningRequest"].as_str() {
        Some(request) => {
            let pem = Base64::decode_vec(request).ok()?;
            of_signing_request(&from_pem(std::str::from_utf8(&pem).ok()?)?)?
        }
        None => from_pem(asked["publicKeyRequest"]["publicKey"]["content"].as_str()?)?,
    };
    // The key of the leaf only makes its serial number; the certificate is for the one asked for.
    let unused = Key::new(Algorithm::Ed25519, &hex(&sha256(&spki)));
    let mut leaf = Leaf::new(&unused, identity(&claims)?, world.now);
    leaf.spki = Some(spki);
    leaf.scts = vec![world.ct_logs[0].sct(world.now)];
    let chain =
        [world.fulcio.issue(&leaf).pem(), world.fulcio.intermediate.pem(), world.fulcio.root.pem()];
    Some(json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } }))
}

/// Whom a token is about.
fn identity(claims: &Value) -> Option<Identity> {
    let text = |name: &str| claims[name].as_str();
    let issuer = text("iss")?;
    if let Some(email) = text("email") {
        return Some(Identity::email(email, issuer));
    }
    match text("job_workflow_ref") {
        // owner/repository/.github/workflows/file@ref
        Some(workflow) => {
            let (repository, file) = workflow.split_once("/.github/workflows/")?;
            let (file, reference) = file.split_once('@')?;
            let identity = Identity::github(repository, file, reference);
            // What the token says of the run takes the place of what is usual.
            let says = [(1, "iss"), (8, "iss"), (2, "event_name"), (20, "event_name")];
            let says = says.into_iter().chain([
                (3, "sha"),
                (13, "sha"),
                (10, "job_workflow_sha"),
                (19, "workflow_sha"),
                (11, "runner_environment"),
                (22, "repository_visibility"),
                (24, "sub"),
            ]);
            let run = || {
                let (run, attempt) = (text("run_id")?, text("run_attempt")?);
                Some(format!(
                    "https://github.com/{repository}/actions/runs/{run}/attempts/{attempt}"
                ))
            };
            let identity = says.fold(identity, |identity, (number, name)| match text(name) {
                Some(value) => identity.claim(number, value),
                None => identity,
            });
            Some(match run() {
                Some(run) => identity.claim(21, &run),
                None => identity,
            })
        }
        None => Some(Identity::uri(text("sub")?, issuer)),
    }
}

/// Rekor v1: brings the entry into its canonical form, logs it, and answers as its own API does.
fn log(world: &World, proposed: &Value) -> Option<Value> {
    let (kind, body) = match proposed["kind"].as_str()? {
        "hashedrekord" => {
            let mut body = proposed.clone();
            let key = &mut body["spec"]["signature"]["publicKey"]["content"];
            *key = canonical_pem(key.as_str()?)?.into();
            (Kind::HashedRekordV001, body)
        }
        "dsse" => (Kind::DsseV001, canonical_dsse(&proposed["spec"]["proposedContent"])?),
        _ => return None,
    };
    let entry = world.rekor.log_body(kind, body.to_string().into_bytes(), world.now);
    let proof = entry.proof.as_ref()?;
    let hashes: Vec<_> = proof.hashes.iter().map(|hash| hex(hash)).collect();
    let uuid = hex(&sha256(&[&[0], &entry.body[..]].concat()));
    Some(json!({ uuid: {
        "body": base64(&entry.body),
        "integratedTime": super::seconds(world.now),
        "logID": hex(&entry.log_id),
        "logIndex": entry.index,
        "verification": {
            "inclusionProof": {
                "checkpoint": proof.checkpoint,
                "hashes": hashes,
                "logIndex": proof.index,
                "rootHash": hex(&proof.root),
                "treeSize": proof.size,
            },
            "signedEntryTimestamp": base64(entry.promise.as_ref()?),
        },
    } }))
}

/// What becomes of a proposed envelope: hashes of it and of its payload, and its signatures.
fn canonical_dsse(proposed: &Value) -> Option<Value> {
    let text = proposed["envelope"].as_str()?;
    let envelope: Value = serde_json::from_str(text).ok()?;
    let payload = Base64::decode_vec(envelope["payload"].as_str()?).ok()?;
    let verifier = canonical_pem(proposed["verifiers"][0].as_str()?)?;
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&sha256(bytes)) });
    Some(json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": hash(text.as_bytes()),
        "payloadHash": hash(&payload),
        "signatures": [{ "signature": envelope["signatures"][0]["sig"], "verifier": verifier }],
    } }))
}

/// Rekor v2: logs the request, and answers with the entry as bundles hold it.
fn log_v2(world: &World, proposed: &Value) -> Option<Value> {
    let asked = &proposed["hashedRekordRequestV002"];
    let body = json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {
        "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": asked["digest"].as_str()? },
            "signature": asked["signature"],
        },
    } });
    let body = body.to_string().into_bytes();
    Some(world.rekor2.log_body(Kind::HashedRekordV002, body, world.now).json())
}

/// The authority: stamps the hash, gives the nonce back, and its certificate if that was asked for.
fn stamp(world: &World, request: &[u8]) -> Option<Vec<u8>> {
    let tsa = &world.tsas[0];
    let (_, fields, _) = der::split(request)?;
    let (_, _version, fields) = der::split(fields)?;
    let (_, imprint, mut fields) = der::split(fields)?;
    let (_, _algorithm, hash) = der::split(imprint)?;
    let (_, hash, _) = der::split(hash)?;
    let mut stamp = tsa.stamp(world.now);
    while let Some((tag, content, rest)) = der::split(fields) {
        match tag {
            0x02 => stamp.nonce = Some(content.to_vec()),
            0x01 if content != [0] => stamp.embed = vec![tsa.certificate.clone()],
            _ => {}
        }
        fields = rest;
    }
    Some(stamp.over_hash(hash.try_into().ok()?))
}

/// The key in a certificate signing request (RFC 2986).
fn of_signing_request(request: &[u8]) -> Option<Vec<u8>> {
    let (_, parts, _) = der::split(request)?;
    let (_, info, _) = der::split(parts)?;
    let (_, _version, rest) = der::split(info)?;
    let (_, _subject, rest) = der::split(rest)?;
    let (tag, content, _) = der::split(rest)?;
    Some(der::element(tag, content))
}

/// What PEM holds, once more as PEM in the form that Rekor gives it.
fn canonical_pem(twice: &str) -> Option<String> {
    let text = String::from_utf8(Base64::decode_vec(twice).ok()?).ok()?;
    let label = text.strip_prefix("-----BEGIN ")?.split_once("-----")?.0.to_owned();
    Some(base64(super::pem(&label, &from_pem(&text)?).as_bytes()))
}

fn from_pem(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    Base64::decode_vec(&lines.map(str::trim).collect::<String>()).ok()
}

//! Transparency logs: Rekor v1 and v2. What they answer becomes an entry of a bundle.

use dsops_transport::Client;
use serde_json::{Value, json};

use super::call::Service;
use super::services::Log;
use super::{Logged, Verifier};
use crate::Error;
use crate::encoding::{base64, hex, pem, unbase64, unhex};

const NAME: &str = "Rekor";
const JSON: &str = "application/json";

/// Logs a signature, and gives the entry as `TransparencyLogEntry` of a bundle.
pub(super) fn log(
    client: &Client,
    log: &Log,
    signature: &[u8],
    verifier: Verifier<'_>,
    logged: &Logged<'_>,
) -> Result<Value, Error> {
    if log.version >= 2 {
        return second(client, log, signature, verifier, logged);
    }
    let service = Service::at(NAME, &log.url, "/api/v1/log/entries")?;
    let verifier = match verifier {
        Verifier::Certificate(der) => base64(pem("CERTIFICATE", der).as_bytes()),
        Verifier::Key(key) => base64(key.public_pem().as_bytes()),
    };
    let proposed = match logged {
        Logged::Hash(hash) => json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(hash) } },
                "signature": { "content": base64(signature), "publicKey": { "content": verifier } },
            },
        }),
        Logged::Envelope(envelope, _) => json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": { "proposedContent": { "envelope": envelope, "verifiers": [verifier] } },
        }),
    };
    let body = proposed.to_string();
    let answer = service.post(client, JSON, body.as_bytes())?;
    // A repeated call finds what the first one logged.
    let answer = match (answer.status(), answer.header("location")) {
        (409, Some(location)) => {
            let there = service.url.join(location).map_err(|error| service.unreachable(error))?;
            if !there.same_origin(&service.url) {
                return Err(service.nonsense("points elsewhere"));
            }
            service.send(Ok(client.get(&there)))?
        }
        _ => answer,
    };
    let answer = service.json(answer)?;
    let entry = answer.as_object().and_then(|entries| entries.values().next());
    entry.and_then(first_entry).ok_or_else(|| service.nonsense("is no log entry"))
}

/// `LogEntry` of Rekor v1 in the form of bundles: hashes in base64, numbers as text.
fn first_entry(entry: &Value) -> Option<Value> {
    let twice = |value: &Value| Some(base64(&unhex(value.as_str()?)?));
    let number = |value: &Value| Some(value.as_u64()?.to_string());
    let body = entry["body"].as_str()?;
    let kind: Value = serde_json::from_slice(&unbase64(body)?).ok()?;
    let proof = &entry["verification"]["inclusionProof"];
    let hashes = proof["hashes"].as_array()?.iter().map(twice).collect::<Option<Vec<_>>>()?;
    Some(json!({
        "logIndex": number(&entry["logIndex"])?,
        "logId": { "keyId": twice(&entry["logID"])? },
        "kindVersion": { "kind": kind["kind"].as_str()?, "version": kind["apiVersion"].as_str()? },
        "integratedTime": number(&entry["integratedTime"])?,
        "inclusionPromise": {
            "signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"].as_str()?,
        },
        "inclusionProof": {
            "logIndex": number(&proof["logIndex"])?,
            "rootHash": twice(&proof["rootHash"])?,
            "treeSize": number(&proof["treeSize"])?,
            "hashes": hashes,
            "checkpoint": { "envelope": proof["checkpoint"].as_str()? },
        },
        "canonicalizedBody": body,
    }))
}

/// Rekor v2 keeps the hash of what a signature is over, of envelopes too, and answers with the entry
/// as bundles hold it.
fn second(
    client: &Client,
    log: &Log,
    signature: &[u8],
    verifier: Verifier<'_>,
    logged: &Logged<'_>,
) -> Result<Value, Error> {
    let service = Service::at(NAME, &log.url, "/api/v2/log/entries")?;
    let (Logged::Hash(hash) | Logged::Envelope(_, hash)) = logged;
    let (kind, der) = match verifier {
        Verifier::Certificate(der) => ("x509Certificate", der),
        Verifier::Key(key) => ("publicKey", key.public_der()),
    };
    let verifier =
        json!({ "keyDetails": "PKIX_ECDSA_P256_SHA_256", kind: { "rawBytes": base64(der) } });
    let proposed = json!({ "hashedRekordRequestV002": {
        "digest": base64(hash),
        "signature": { "content": base64(signature), "verifier": verifier },
    } });
    let body = proposed.to_string();
    let answer = service.json(service.post(client, JSON, body.as_bytes())?)?;
    second_entry(answer).ok_or_else(|| service.nonsense("is no log entry"))
}

/// Only the fields that a bundle has; some servers write those that are not set as zero or null.
fn second_entry(answer: Value) -> Option<Value> {
    let Value::Object(mut fields) = answer else { return None };
    let mut entry = json!({});
    for name in ["logIndex", "logId", "kindVersion", "inclusionProof", "canonicalizedBody"] {
        entry[name] = fields.remove(name).filter(|value| !value.is_null())?;
    }
    entry["inclusionProof"]["checkpoint"]["envelope"].as_str()?;
    Some(entry)
}

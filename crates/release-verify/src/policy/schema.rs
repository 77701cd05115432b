//! The JSON schema of a policy file, for editors: as strict as the reader where a schema can be.

use serde_json::{Map, Value, json};

use super::{Claim, PolicyFile};
use crate::Requirement;

impl PolicyFile {
    /// The JSON schema (draft 2020-12) of a policy file; a text that ends with a line break.
    ///
    /// What the reader refuses for its structure does not fit it: keys that nobody knows, values of
    /// another kind, what is missing. It does not know which signers there are, nor whether a
    /// pattern, a name or a key is one: [`PolicyFile::read`] tells.
    pub fn schema() -> String {
        format!("{:#}\n", root())
    }
}

fn root() -> Value {
    let mut top = keys([
        ("version", described(json!({ "enum": [1, "1"] }), "The version of the format.")),
        (
            "trusted-roots",
            described(
                one_or_more(&reference("file")),
                "Files with roots of trust, instead of those that come with dsops.",
            ),
        ),
        (
            "signers",
            json!({
                "description": "Who may sign, by a name of your choice.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": reference("signer"),
            }),
        ),
        (
            "artifacts",
            json!({
                "description": "What is asked of which artifacts: the first rule that fits holds. Without it, any of the signers for everything.",
                "type": "array",
                "minItems": 1,
                "items": reference("rule"),
            }),
        ),
    ]);
    top.insert("required".into(), json!(["version", "signers"]));
    top.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    top.insert("title".into(), json!("dsops-verify.yaml"));
    top.insert("description".into(), json!("What a project asks of its releases."));
    top.insert("$defs".into(), definitions());
    Value::Object(top)
}

fn definitions() -> Value {
    let ways = ["identity", "github", "gitlab", "key", "registry", "registry-keys"]
        .map(|way| reference(&format!("by-{way}")));
    json!({
        "signer": {
            "description": "One way to sign, or a list of them: one signer in any case.",
            "anyOf": [reference("way"), { "type": "array", "minItems": 1, "items": reference("way") }],
        },
        "way": { "anyOf": ways },
        "by-identity": by_identity(),
        "by-github": way("github", "Workflows on GitHub: OWNER/REPO, with @REF (a tag, or whole as refs/heads/main) or not.", &text()),
        "by-gitlab": way("gitlab", "Pipelines on gitlab.com: GROUP/NAME.", &text()),
        "by-key": by_key(),
        "by-registry": needs(keys([(
            "registry",
            described(json!({ "enum": ["npm", "github-releases"] }), "A registry, with the keys that come with dsops; its rules need `published`."),
        )]), "registry"),
        "by-registry-keys": needs(keys([(
            "registry-keys",
            described(reference("file"), "The npm registry, with the keys of a file."),
        )]), "registry-keys"),
        "claims": claims(),
        "claim": {
            "anyOf": [
                plain(),
                one_of_forms(["exact", "glob", "regex"]),
            ],
        },
        "rule": rule(),
        "provenance": provenance(),
        "file": {
            "type": "string",
            "minLength": 1,
            "not": { "anyOf": [{ "const": "-" }, { "pattern": "://" }] },
        },
    })
}

fn by_identity() -> Value {
    let name = "The name in the certificate";
    let issuer = "Who vouches for that name";
    let mut entries = Map::new();
    for (base, words) in [("identity", name), ("issuer", issuer)] {
        entries.insert(base.into(), described(plain(), &format!("{words}, exactly.")));
        let glob = format!("{words}: `*` is anything but `/`, `**` anything, `?` one character.");
        entries.insert(format!("{base}-glob"), described(text(), &glob));
        let regex = format!("{words}, as a regular expression for all of it.");
        entries.insert(format!("{base}-regex"), described(text(), &regex));
    }
    entries.insert("claims".into(), reference("claims"));
    let one = |base: &str| {
        let forms =
            ["", "-glob", "-regex"].map(|form| json!({ "required": [format!("{base}{form}")] }));
        json!({ "oneOf": forms })
    };
    json!({
        "type": "object",
        "properties": entries,
        "additionalProperties": false,
        "allOf": [one("identity"), one("issuer")],
    })
}

fn way(name: &str, words: &str, value: &Value) -> Value {
    let value = described(value.clone(), words);
    needs(keys([(name, value), ("claims", reference("claims"))]), name)
}

fn by_key() -> Value {
    let time = |words: &str| {
        json!({
            "description": words,
            "type": "string",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}",
        })
    };
    let entries = keys([
        (
            "key",
            described(
                reference("file"),
                "A file with a public key: PEM, DER, minisign, signify, SSH.",
            ),
        ),
        ("hint", described(text(), "What bundles call the key.")),
        ("valid-from", time("From when on the key was in use.")),
        ("valid-until", time("Until when the key was in use.")),
    ]);
    needs(entries, "key")
}

fn claims() -> Value {
    let entries: Map<String, Value> =
        Claim::all().map(|claim| (claim.name().to_owned(), reference("claim"))).collect();
    json!({
        "description": "What else the certificate has to say.",
        "type": "object",
        "minProperties": 1,
        "properties": entries,
        "additionalProperties": false,
    })
}

fn rule() -> Value {
    let number = |least: u32, words: &str| json!({ "description": words, "type": "integer", "minimum": least, "maximum": 1000 });
    let kinds = Requirement::ALL.map(Requirement::name);
    Value::Object(keys([
        (
            "match",
            described(
                one_or_more(&text()),
                "Names with wildcards: of a file its path or what is behind its last `/`, of an image all of its repository. Without it: everything.",
            ),
        ),
        (
            "signed-by",
            described(one_or_more(&text()), "Which of the signers; without it, all of them."),
        ),
        ("threshold", number(1, "How many of them have to have signed.")),
        (
            "require",
            described(
                one_or_more(&json!({ "enum": kinds })),
                "What has to be there and be signed.",
            ),
        ),
        (
            "published",
            json!({
                "description": "As what it has to be published.",
                "type": "string",
                "pattern": "^(npm:.+|pypi|github-release:.+/.+@.+)$",
            }),
        ),
        ("provenance", reference("provenance")),
        ("logs", number(0, "How many distinct transparency logs.")),
        ("certificate-logs", number(0, "How many distinct certificate logs.")),
        ("timestamps", number(0, "How many distinct proofs of time.")),
        (
            "keys-without-log",
            json!({ "description": "A signature by a key needs no log entry.", "type": "boolean" }),
        ),
    ]))
}

fn provenance() -> Value {
    let flag = |words: &str| json!({ "description": words, "type": "boolean" });
    let mut provenance = keys([
        ("source", described(text(), "The repository: github.com/OWNER/REPO.")),
        (
            "builder",
            described(one_or_more(&text()), "One of these builders, with @REF or without."),
        ),
        ("isolated-builders", flag("The SLSA project's reusable workflows.")),
        ("hosted-runners-only", flag("Machines that GitHub keeps.")),
        ("branch", described(text(), "The branch it was built from.")),
        ("tag", described(text(), "The tag it was built from.")),
        ("versioned-tag", described(text(), "The version of that tag, as far as it is given.")),
        (
            "commit",
            json!({
                "description": "The commit it was built from, in full.",
                "type": "string",
                "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$",
            }),
        ),
        ("build-type", described(text(), "The kind of build, exactly.")),
        ("trigger", described(text(), "What started it: push, release.")),
        ("workflow", described(text(), "The path of the workflow that was started.")),
        (
            "inputs",
            json!({
                "description": "What was given to a workflow that a person started.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": text(),
            }),
        ),
    ]);
    provenance.insert("description".into(), json!("How it was built; asks for provenance."));
    provenance.insert("required".into(), json!(["source"]));
    // Either names the builders.
    provenance.insert(
        "not".into(),
        json!({
            "required": ["builder", "isolated-builders"],
            "properties": { "isolated-builders": { "const": true } },
        }),
    );
    Value::Object(provenance)
}

/// A mapping with these keys and no others.
fn keys<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    let properties: Map<String, Value> =
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut all = Map::new();
    all.insert("type".into(), json!("object"));
    all.insert("properties".into(), Value::Object(properties));
    all.insert("additionalProperties".into(), json!(false));
    all
}

fn needs(mut all: Map<String, Value>, name: &str) -> Value {
    all.insert("required".into(), json!([name]));
    Value::Object(all)
}

fn one_of_forms(names: [&str; 3]) -> Value {
    let mut all = keys(names.map(|name| (name, text())));
    all.insert("minProperties".into(), json!(1));
    all.insert("maxProperties".into(), json!(1));
    Value::Object(all)
}

fn one_or_more(item: &Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "minItems": 1, "items": item }] })
}

/// A plain number or boolean is the text it was written as.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"], "minLength": 1 })
}

/// A text without wildcards.
fn plain() -> Value {
    json!({ "type": ["string", "number", "boolean"], "pattern": "^[^*]+$" })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn described(mut schema: Value, words: &str) -> Value {
    schema["description"] = json!(words);
    schema
}

#[cfg(test)]
pub(super) mod tests;

//! Statements in `vex` (`OpenVEX` 0.2.0): which known vulnerabilities do not concern dsops, and why. What they set aside,
//! `deny` lets pass; nothing else does.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The version of the format (`OpenVEX` 0.2.0, "Document").
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

/// Why a product is not affected (`OpenVEX` 0.2.0, "Status Justifications").
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

/// What every statement is about.
const PRODUCT: &str = "pkg:cargo/dsops";

/// How the statements of a lock file's packages are named.
const CRATE: &str = "pkg:cargo/";

/// Where `deny.toml` lists what is let pass: nothing, the list is written from the statements.
const IGNORED: &str = "\nignore = []\n";

/// An advisory that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub id: String,
    pub reason: String,
}

/// Reads the statements of a folder; `lock` are the packages of the lock file, `NAME@VERSION`.
///
/// # Errors
/// A file is not as it should be, or a statement does not fit the lock file.
pub fn read(folder: &Path, lock: &BTreeSet<String>) -> anyhow::Result<Vec<Aside>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut asides = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        asides.extend(parse(&text, lock).with_context(|| file.display().to_string())?);
    }
    Ok(asides)
}

/// Reads one document.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, lock: &BTreeSet<String>) -> anyhow::Result<Vec<Aside>> {
    let document: Value = serde_json::from_str(text).context("no JSON")?;
    known_keys(
        &document,
        &["@context", "@id", "author", "role", "timestamp", "version", "statements"],
    )?;
    if text_of(&document, "@context")? != CONTEXT {
        bail!("the context is not {CONTEXT}");
    }
    text_of(&document, "@id")?;
    text_of(&document, "author")?;
    is_time(text_of(&document, "timestamp")?)?;
    if document["version"].as_u64().is_none_or(|version| version == 0) {
        bail!("`version` is no number from 1 on");
    }
    let statements = document["statements"].as_array().filter(|list| !list.is_empty());
    let mut asides = Vec::new();
    for statement in statements.context("no statements")? {
        let name = text_of(&statement["vulnerability"], "name").context("a vulnerability")?;
        asides.extend(read_statement(statement, lock).with_context(|| name.to_owned())?);
    }
    Ok(asides)
}

/// Reads one statement: what it sets aside.
fn read_statement(statement: &Value, lock: &BTreeSet<String>) -> anyhow::Result<Option<Aside>> {
    let keys = ["vulnerability", "timestamp", "products", "status", "justification"];
    known_keys(statement, &[&keys[..], &["impact_statement", "action_statement"]].concat())?;
    let name = text_of(&statement["vulnerability"], "name")?;
    is_time(text_of(statement, "timestamp")?)?;
    let mut components = Vec::new();
    for product in statement["products"].as_array().context("no products")? {
        let id = text_of(product, "@id")?;
        if id.strip_prefix(PRODUCT).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('@')) {
            bail!("`{id}` is not ours: the product is `{PRODUCT}`");
        }
        for component in product["subcomponents"].as_array().context("no subcomponents")? {
            components.push(text_of(component, "@id")?);
        }
    }
    if components.is_empty() {
        bail!("no subcomponent: which package has the vulnerability?");
    }
    match text_of(statement, "status")? {
        "not_affected" => {}
        "affected" => {
            text_of(statement, "action_statement")?;
            return Ok(None);
        }
        "fixed" | "under_investigation" => return Ok(None),
        other => bail!("`{other}` is no status"),
    }
    let justification = text_of(statement, "justification")?;
    if !JUSTIFICATIONS.contains(&justification) {
        bail!("`{justification}` is no justification");
    }
    let reason = text_of(statement, "impact_statement")?;
    // The statement must be true of this lock file, and of no other.
    let absent = justification == "component_not_present";
    for component in components {
        let Some(package) = component.strip_prefix(CRATE) else { continue };
        let named = |known: &String| known == package || known.split('@').next() == Some(package);
        if absent == lock.iter().any(named) {
            bail!("the lock file {} `{package}`", if absent { "has" } else { "does not have" });
        }
        if !absent && !package.contains('@') {
            bail!("`{package}` has no version: another one may be affected");
        }
    }
    Ok((!absent && name.starts_with("RUSTSEC-"))
        .then(|| Aside { id: name.to_owned(), reason: format!("{justification}: {reason}") }))
}

/// `deny.toml` with what is set aside.
///
/// # Errors
/// It lists exceptions of its own.
pub fn configure(deny: &str, asides: &[Aside]) -> anyhow::Result<String> {
    if deny.matches(IGNORED).count() != 1 {
        bail!("deny.toml has no `ignore = []`: exceptions are statements in `vex`");
    }
    // A string of JSON is one of TOML too.
    let quote = |text: &str| Value::from(text).to_string();
    let list: Vec<String> = asides
        .iter()
        .map(|aside| format!("{{ id = {}, reason = {} }}", quote(&aside.id), quote(&aside.reason)))
        .collect();
    Ok(deny.replace(IGNORED, &format!("\nignore = [{}]\n", list.join(", "))))
}

fn text_of<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    let text = value[key].as_str().filter(|text| !text.trim().is_empty());
    text.with_context(|| format!("no `{key}`"))
}

/// A misspelt key would be left out by every reader.
fn known_keys(value: &Value, keys: &[&str]) -> anyhow::Result<()> {
    let object = value.as_object().context("no object")?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => bail!("unknown key `{key}`"),
        None => Ok(()),
    }
}

/// `YYYY-MM-DDThh:mm:ssZ`.
fn is_time(text: &str) -> anyhow::Result<()> {
    let day = text.get(..10).and_then(crate::calendar::days);
    let shape = text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    if day.is_none() || !shape {
        bail!("`{text}` is no time");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1",
        "author": "a", "timestamp": "2026-11-21T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": {"name": "RUSTSEC-2020-0071"}, "timestamp": "2026-11-21T00:00:00Z",
            "products": [{"@id": "pkg:cargo/dsops@0.1.0", "subcomponents": [{"@id": "pkg:cargo/time@0.1.43"}]}],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path",
            "impact_statement": "the local offset is never asked for"
        }]
    }"#;

    fn asides(text: &str) -> Result<Vec<Aside>, String> {
        let lock = ["time@0.1.43".to_owned(), "rsa@1.0.0".to_owned()].into();
        parse(text, &lock).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn only_a_reasoned_statement_sets_an_advisory_aside() {
        let reason =
            "vulnerable_code_not_in_execute_path: the local offset is never asked for".to_owned();
        assert_eq!(asides(GOOD).unwrap(), [Aside { id: "RUSTSEC-2020-0071".into(), reason }]);
        let other = |status: &str| GOOD.replace("\"not_affected\"", status);
        assert_eq!(asides(&other("\"under_investigation\"")), Ok(Vec::new()));
        assert_eq!(asides(&other("\"fixed\"")), Ok(Vec::new()));
        assert!(asides(&other("\"affected\"")).is_err(), "without what to do");
        for (from, to, why) in [
            ("vulnerable_code_not_in_execute_path", "trust_me", "is no justification"),
            ("the local offset is never asked for", " ", "no `impact_statement`"),
            ("not_affected", "harmless", "is no status"),
            ("time@0.1.43", "time@0.1.44", "the lock file does not have `time@0.1.44`"),
            ("time@0.1.43", "time", "has no version"),
            ("vulnerable_code_not_in_execute_path", "component_not_present", "the lock file has"),
            ("pkg:cargo/dsops@0.1.0", "pkg:cargo/dsopsx", "is not ours"),
            ("\"version\": 1", "\"version\": 0", "no number from 1"),
            ("v0.2.0", "v0.1.0", "the context is not"),
            ("\"author\"", "\"autor\"", "unknown key `autor`"),
            ("\"status\"", "\"state\"", "unknown key `state`"),
            ("2026-11-21T00:00:00Z", "yesterday", "is no time"),
            ("\"name\"", "\"nam\"", "no `name`"),
        ] {
            let error = asides(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert!(error.contains(why), "{to}: {error}");
        }
    }

    #[test]
    fn what_is_not_in_the_lock_file_needs_no_exception() {
        let absent = GOOD
            .replace("vulnerable_code_not_in_execute_path", "component_not_present")
            .replace("pkg:cargo/time@0.1.43", "pkg:golang/github.com/sigstore/cosign");
        assert_eq!(asides(&absent), Ok(Vec::new()));
    }

    #[test]
    fn exceptions_are_written_from_statements_only() {
        let deny = "[advisories]\nyanked = \"deny\"\nignore = []\n";
        let aside = Aside { id: "RUSTSEC-2020-0071".into(), reason: "a \"reason\"".into() };
        let text = configure(deny, &[aside]).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let list = table["advisories"]["ignore"].as_array().unwrap();
        assert_eq!(list[0]["reason"].as_str(), Some("a \"reason\""));
        assert_eq!(configure(deny, &[]).unwrap(), deny);
        configure(&deny.replace("[]", "[\"RUSTSEC-2020-0071\"]"), &[]).unwrap_err();
    }
}

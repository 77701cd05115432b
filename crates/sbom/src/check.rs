//! Whether a document is whole: its structure, the minimum elements, and what it says against a lock file.

use std::collections::BTreeSet;

use crate::license::is_expression;
use crate::model::{Document, Kind, License, Package};
use crate::names;
use crate::read::{Fault, Reading};

/// Something that a check found.
///
/// `names` is untrusted text as it stood in the document: whoever shows it to a person escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which check, stable for scripts: `sbom/relationship`.
    pub code: &'static str,
    /// Whether it leaves the document usable.
    pub severity: Severity,
    /// One sentence, without a final period.
    pub message: String,
    /// What it is about: packages, identifiers.
    pub names: Vec<String>,
}

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Note,
    /// The reader should look.
    Warning,
    /// Not in order.
    Error,
}

impl Problem {
    fn new(code: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self { code, severity, message: message.into(), names: Vec::new() }
    }

    fn of(mut self, names: Vec<String>) -> Self {
        self.names = names;
        self
    }
}

/// Every code that a [`Problem`] has, by name, each with one sentence.
pub const CODES: &[(&str, &str)] = &[
    ("sbom/artifact", "The document is about this very file, by its checksum."),
    ("sbom/binary", "The document lists the crates that the binary says it was linked from."),
    ("sbom/field", "Fields have values of the form that their format wants."),
    ("sbom/form", "The document has everything that its format demands."),
    ("sbom/identifier", "Every package has an identifier, and no two have the same."),
    ("sbom/lockfile", "The document has the versions and checksums of the lock file."),
    ("sbom/minimum-elements", "The document has the minimum elements (NTIA, July 2021)."),
    ("sbom/relationship", "What is related and described is listed."),
    ("sbom/subject", "The document says what it is about."),
];

/// Checks the structure of a document that was read; an empty list when it is whole.
pub fn check(reading: &Reading) -> Vec<Problem> {
    let document = &reading.document;
    let mut problems = Vec::new();
    let mut add = |code, severity, message: &str, names: Vec<String>| {
        if !names.is_empty() {
            problems.push(Problem::new(code, severity, message).of(names));
        }
    };
    let missing = reading.faults.iter().filter_map(|fault| match fault {
        Fault::Missing(field) => Some((*field).to_owned()),
        _ => None,
    });
    add(
        "sbom/form",
        Severity::Error,
        "fields that the format demands are missing",
        missing.collect(),
    );
    let (twice, nameless) = identifiers(document);
    add("sbom/identifier", Severity::Error, "identifiers occur twice", twice);
    add("sbom/identifier", Severity::Warning, "packages have no identifier", nameless);
    let (described, related) = dangling(reading);
    add("sbom/relationship", Severity::Error, "what is described is not listed", described);
    add("sbom/relationship", Severity::Error, "what is related is not listed", related);
    for (what, bad) in FIELDS {
        let found = document.packages.iter().filter(|package| bad(package)).map(label);
        add("sbom/field", Severity::Error, what, found.collect());
    }
    if document.created.as_deref().is_some_and(|created| !is_date(created)) {
        problems.push(Problem::new(
            "sbom/field",
            Severity::Error,
            "its date is no date of RFC 3339",
        ));
    }
    if document.subjects().next().is_none() {
        let message = "the document does not say what it is about";
        problems.push(Problem::new("sbom/subject", Severity::Error, message));
    }
    problems
}

/// What can be wrong with a package.
type Field = (&'static str, fn(&Package) -> bool);

const FIELDS: [Field; 4] = [
    ("packages have no name", |package| package.name.trim().is_empty()),
    ("package URLs are malformed", |package| {
        package.purl.as_deref().is_some_and(|purl| !is_purl(purl))
    }),
    ("checksums are no hexadecimal digits of their algorithm", |package| {
        package.checksums.iter().any(|one| {
            let digits = names::all_digits(&one.algorithm);
            !one.value.bytes().all(|byte| byte.is_ascii_hexdigit())
                || digits.map_or(one.value.is_empty(), |digits| one.value.len() != digits)
        })
    }),
    ("licences are no expressions of SPDX", |package| match &package.license {
        Some(License::Expression(text)) => !is_expression(text),
        _ => false,
    }),
];

/// What of the minimum elements (NTIA, July 2021) a document lacks, one sentence each.
pub fn minimum_elements(document: &Document) -> Vec<String> {
    let mut missing = Vec::new();
    let packages: Vec<&Package> =
        document.packages.iter().filter(|package| package.kind != Some(Kind::File)).collect();
    let mut lacking = |what: &str, has: &dyn Fn(&Package) -> bool| {
        let count = packages.iter().filter(|package| !has(package)).count();
        if count > 0 {
            missing.push(format!("{count} of {} have no {what}", packages.len()));
        }
    };
    lacking("name", &|package| !package.name.is_empty());
    lacking("version", &|package| package.version.is_some());
    lacking("supplier", &|package| {
        package.supplier.as_ref().is_some_and(|supplier| !supplier.name.is_empty())
    });
    lacking("unique identifier", &|package| {
        package.purl.is_some() || !package.identifiers.is_empty()
    });
    if packages.is_empty() {
        missing.push("no component is listed".to_owned());
    }
    if document.relationships.is_empty() {
        missing.push("it says nothing about what depends on what".to_owned());
    }
    if document.creators.is_empty() {
        missing.push("its author is not named".to_owned());
    }
    if document.created.is_none() {
        missing.push("it has no date".to_owned());
    }
    missing
}

/// Holds a document against a lock file: every crate of a registry that is listed is locked, and with the same
/// checksum. What is locked and not listed is a note: tests and other targets need more than one program has.
#[cfg(feature = "cargo")]
pub fn check_lockfile(document: &Document, lockfile: &crate::cargo::Lockfile) -> Vec<Problem> {
    let (mut unlocked, mut other, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut listed = BTreeSet::new();
    for package in &document.packages {
        let Some((name, version)) = package.purl.as_deref().and_then(crate::crate_of_purl) else {
            continue;
        };
        let locked = lockfile.find(&name, &version);
        listed.insert((name, version));
        if locked.is_empty() {
            unlocked.push(label(package));
        } else if locked.iter().any(|one| one.checksum.is_some()) {
            let own = package.checksums.iter().find(|one| one.algorithm == "SHA256");
            let same = |sum: &&str| own.is_some_and(|own| own.value.eq_ignore_ascii_case(sum));
            let mut sums = locked.iter().filter_map(|one| one.checksum.as_deref());
            match own {
                None => bare.push(label(package)),
                // The one subject's is that of the file it was built into.
                Some(_) if document.described.as_slice() == [package.id.as_str()] => {}
                Some(_) if sums.any(|sum| same(&sum)) => {}
                Some(_) => other.push(label(package)),
            }
        }
    }
    let more: Vec<String> = lockfile
        .packages()
        .filter(|one| !listed.contains(&(one.name.clone(), one.version.clone())))
        .map(|one| format!("{} {}", one.name, one.version))
        .collect();
    if listed.is_empty() {
        let message = "no crate is listed, so the lock file says nothing of it";
        return vec![Problem::new("sbom/lockfile", Severity::Error, message)];
    }
    [
        (Severity::Error, "listed, but not in the lock file", unlocked),
        (Severity::Error, "listed with another checksum than the lock file's", other),
        (Severity::Warning, "listed without the checksum that the lock file has", bare),
        (Severity::Note, "in the lock file, but not listed", more),
    ]
    .into_iter()
    .filter(|(.., names)| !names.is_empty())
    .map(|(severity, message, names)| Problem::new("sbom/lockfile", severity, message).of(names))
    .collect()
}

/// Holds a document against the list in a binary, and the binary's SHA-256 against that of what the document is about or
/// lists. A document of another file is an error; one that names no checksum is a warning.
#[cfg(feature = "auditable")]
pub fn check_binary(
    document: &Document,
    linked: &crate::auditable::LinkedCrates,
    sha256: &str,
) -> Vec<Problem> {
    let found = linked.compare(document);
    let mut problems: Vec<Problem> = [
        (Severity::Error, "in the binary, but not listed", found.missing),
        (Severity::Warning, "part of the build, but not listed", found.missing_build),
        (Severity::Error, "listed, but not in the binary", found.extra),
    ]
    .into_iter()
    .filter(|(.., names)| !names.is_empty())
    .map(|(severity, message, names)| Problem::new("sbom/binary", severity, message).of(names))
    .collect();
    let is_sum = |one: &&crate::Checksum| one.algorithm == "SHA256";
    let is_this = |one: &crate::Checksum| one.value.eq_ignore_ascii_case(sha256);
    let sums = |package: &&Package| package.checksums.iter().any(|one| is_sum(&one));
    if !document.subjects().any(|package| sums(&package)) {
        let message = "the document does not say by a checksum which file it is about";
        problems.push(Problem::new("sbom/artifact", Severity::Warning, message));
    } else if !document.packages.iter().any(|one| one.checksums.iter().filter(is_sum).any(is_this))
    {
        // One about an archive lists the binary in it, with its checksum.
        let message = "the document is about another file than the binary, and does not list it, by its checksum";
        problems.push(Problem::new("sbom/artifact", Severity::Error, message));
    }
    problems
}

/// A package in a few words.
fn label(package: &Package) -> String {
    match &package.version {
        Some(version) => format!("{} {version}", package.name),
        None => package.name.clone(),
    }
}

/// Those that occur twice, and packages that have none.
fn identifiers(document: &Document) -> (Vec<String>, Vec<String>) {
    let mut seen = BTreeSet::new();
    let (mut twice, mut nameless) = (Vec::new(), Vec::new());
    for package in &document.packages {
        if package.id.is_empty() {
            nameless.push(label(package));
        } else if !seen.insert(&package.id) {
            twice.push(package.id.clone());
        }
    }
    (twice, nameless)
}

/// What is described, and what is related, but not there.
fn dangling(reading: &Reading) -> (Vec<String>, Vec<String>) {
    let (mut described, mut related) = (Vec::new(), Vec::new());
    for fault in &reading.faults {
        match fault {
            Fault::NotDescribed(id) => described.push(id.clone()),
            Fault::NotRelated(id) => related.push(id.clone()),
            Fault::Missing(_) => {}
        }
    }
    (described, related)
}

/// `pkg:type/…name`, with nothing in it that would have to be encoded.
fn is_purl(purl: &str) -> bool {
    let Some((kind, rest)) = purl.strip_prefix("pkg:").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let name = rest.split(['@', '?', '#']).next().unwrap_or_default();
    let kind_fits = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    kind_fits
        && (!name.is_empty() || rest.starts_with('@'))
        && rest.bytes().all(|b| b.is_ascii_graphic())
}

/// `2026-01-01T00:00:00Z`, also with parts of a second or another zone.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let at = |place: usize, wanted: u8| bytes.get(place) == Some(&wanted);
    let day = digits(0..4) && at(4, b'-') && digits(5..7) && at(7, b'-') && digits(8..10);
    let time = at(10, b'T')
        && digits(11..13)
        && at(13, b':')
        && digits(14..16)
        && at(16, b':')
        && digits(17..19);
    let rest = text.get(19..).unwrap_or_default();
    let zone = rest
        .strip_prefix('.')
        .map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = zone == "Z"
        || (zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':');
    day && time && zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_package_urls() {
        for good in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123+01:00"] {
            assert!(is_date(good), "{good}");
        }
        for bad in ["", "2026", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00"] {
            assert!(!is_date(bad), "{bad}");
        }
        for good in ["pkg:cargo/a@1.0.0", "pkg:npm/@scope/a@1", "pkg:oci/a?x=y"] {
            assert!(is_purl(good), "{good}");
        }
        for bad in ["", "cargo/a", "pkg:cargo", "pkg:/a", "pkg:cargo/", "pkg:cargo/a b"] {
            assert!(!is_purl(bad), "{bad}");
        }
    }
}

//! `dsops sbom show`: what a document lists, as a table.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::ValueHint;
use dsops_sbom::{Creator, License, Package, Reading, Relation};
use serde_json::{Value, json};

use super::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops sbom show app.spdx.json
  dsops sbom show app.cdx.json --json";

// What `dsops sbom show` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An SPDX or CycloneDX document; `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: OsString,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, or is no such document.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let reading = files::document(&args.file)?;
    let text = if cx.ui.json { format!("{:#}\n", as_json(&reading)) } else { as_text(&reading) };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn as_text(reading: &Reading) -> String {
    let document = &reading.document;
    let mut text = format!("{} {}", reading.form.name(), ui::one_line(&reading.version));
    let mut part = |word: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{word}{}", ui::one_line(value));
        }
    };
    part(", ", Some(&document.name));
    part(", made ", document.created.as_deref());
    let creators: Vec<String> = document.creators.iter().map(creator).collect();
    part(" by ", Some(&creators.join(", ")));
    text.push('\n');
    for subject in document.subjects() {
        let sums: Vec<String> = subject.checksums.iter().map(checksum).collect();
        let name = subject.file_name.as_ref().unwrap_or(&subject.name);
        text.push_str(ui::one_line(&format!("about {name} {}", sums.join(" "))).trim_end());
        text.push('\n');
    }
    text.push('\n');
    let subjects: BTreeSet<&str> = document.subjects().map(|one| one.id.as_str()).collect();
    let mut rows: Vec<Vec<String>> =
        vec![["NAME", "VERSION", "LICENSE", "SUPPLIER", "USE"].map(str::to_owned).to_vec()];
    rows.extend(document.packages.iter().map(|package| {
        let word = if subjects.contains(package.id.as_str()) {
            "subject"
        } else if package.build_only {
            "build"
        } else {
            ""
        };
        let supplier = package.supplier.as_ref().map(|supplier| supplier.name.as_str());
        [
            package.name.as_str(),
            package.version.as_deref().unwrap_or("-"),
            license(package).unwrap_or("-"),
            supplier.unwrap_or("-"),
            word,
        ]
        .map(ui::one_line)
        .to_vec()
    }));
    text + &ui::table(&rows)
}

fn as_json(reading: &Reading) -> Value {
    let document = &reading.document;
    let packages: Vec<Value> = document
        .packages
        .iter()
        .map(|package| {
            json!({
                "id": package.id,
                "name": package.name,
                "version": package.version,
                "purl": package.purl,
                "checksums": package.checksums.iter().map(checksum).collect::<Vec<_>>(),
                "license": license(package),
                "supplier": package.supplier.as_ref().map(|supplier| &supplier.name),
                "build_only": package.build_only,
            })
        })
        .collect();
    let relationships: Vec<Value> = document
        .relationships
        .iter()
        .map(|one| {
            let kind = match &one.kind {
                Relation::DependsOn => "depends-on",
                Relation::BuildDependsOn => "build-depends-on",
                Relation::Contains => "contains",
                Relation::Other(kind) => kind,
            };
            json!({ "from": one.from, "kind": kind, "to": one.to })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "format": reading.form.name(),
        "format_version": reading.version,
        "name": document.name,
        "created": document.created,
        "creators": document.creators.iter().map(creator).collect::<Vec<_>>(),
        "described": document.described,
        "packages": packages,
        "relationships": relationships,
        "faults": reading.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn creator(creator: &Creator) -> String {
    match creator {
        Creator::Tool { name, version: Some(version) } => format!("{name} {version}"),
        Creator::Tool { name, version: None } => name.clone(),
        Creator::Party(party) => party.name.clone(),
    }
}

fn checksum(checksum: &dsops_sbom::Checksum) -> String {
    format!("{}:{}", checksum.algorithm.to_lowercase(), checksum.value)
}

fn license(package: &Package) -> Option<&str> {
    package.license.as_ref().map(|license| match license {
        License::Expression(text) | License::Name(text) => text.as_str(),
    })
}

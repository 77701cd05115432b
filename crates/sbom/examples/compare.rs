//! Reads a CycloneDX document, writes it as SPDX, and tells what is different from the one before.

use std::io::{self, Write as _};

use dsops_sbom::{Format, diff, read, write};

const BEFORE: &str = r#"{
  "bomFormat": "CycloneDX", "specVersion": "1.6",
  "metadata": {"component": {"bom-ref": "app", "type": "application", "name": "app", "version": "1.0.0"}},
  "components": [{"bom-ref": "time", "type": "library", "name": "time", "version": "0.3.1"}],
  "dependencies": [{"ref": "app", "dependsOn": ["time"]}]
}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let before = read(BEFORE.as_bytes())?;
    let after = read(BEFORE.replace("0.3.1", "0.3.2").as_bytes())?;

    let mut out = io::stdout();
    for change in diff(&before.document, &after.document).changed {
        let (from, to) = (change.from.unwrap_or_default(), change.to.unwrap_or_default());
        writeln!(out, "{}: {} {from} -> {to}", change.item.name, change.aspect.word())?;
    }

    let written = write(&after.document, Format::Spdx23);
    assert!(read(written.text.as_bytes())?.document.package("time").is_some());
    assert_eq!(written.lost, ["SPDX wants a date, and the document has none"]);
    out.write_all(written.text.as_bytes())?;
    Ok(())
}

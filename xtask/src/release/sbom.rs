//! `cargo xtask sbom`: the released program lists the components of each file of the release, in both formats.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::folder::{self, Folder, SBOMS};
use super::{build, dist};
use crate::{process, workspace};

/// Who supplies the crates that come from no registry.
const SUPPLIER: &str = "systmms";

/// Lists the components of the folder of the release.
///
/// # Errors
/// There is nothing to describe, or the program refuses.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask sbom` takes no arguments, found `{argument}`");
    }
    let release = Folder::open(Folder::here()?.path())?;
    make(&workspace::root(), &release)?;
    release.write_sums()?;
    dist::print(&release)
}

/// Lists the components of everything in a folder that is described.
///
/// # Errors
/// As [`run`].
pub fn make(source: &Path, release: &Folder) -> anyhow::Result<()> {
    let seconds = dist::time(source)?;
    let triple = build::host_triple()?;
    for file in release.described() {
        for (ending, format) in SBOMS {
            let list = folder::with_ending(&file, ending);
            let mut dsops = Command::new(release.program());
            dsops.args(["sbom", "generate"]).arg(source).arg("--artifact").arg(&file);
            dsops.args(["--bin", "dsops", "--target", &triple, "--format", format]);
            dsops.args(["--supplier", SUPPLIER, "--offline", "--output"]).arg(&list);
            dsops.current_dir(source).env("SOURCE_DATE_EPOCH", seconds.to_string());
            // The checkout that is described, not the one that describes it.
            dsops.env_remove("CARGO_MANIFEST_DIR");
            process::run(&mut dsops)
                .with_context(|| format!("no list of components of {}", file.display()))?;
        }
    }
    // What was linked has to be listed, and what is listed is to be complete.
    let program = release.program();
    for (ending, _) in SBOMS {
        let list = folder::with_ending(&program, ending);
        let mut dsops = Command::new(&program);
        dsops.args(["sbom", "check", "--ntia"]).arg(list).arg("--binary").arg(&program);
        dsops.arg("--lockfile").arg(source.join("Cargo.lock")).arg("--json");
        is_exact(&process::output(&mut dsops)?)?;
    }
    Ok(())
}

/// Makes sure that a list and the binary name the same crates: one that is listed and was not linked
/// is only a warning to the program, and here the list is ours.
fn is_exact(report: &str) -> anyhow::Result<()> {
    let report: Value = serde_json::from_str(report).context("the program wrote no JSON")?;
    let findings = report["findings"].as_array().context("the report has no findings")?;
    let of_binary: Vec<&Value> =
        findings.iter().filter(|finding| finding["code"] == "sbom/binary").collect();
    if of_binary.is_empty() || of_binary.iter().any(|finding| finding["state"] != "passed") {
        bail!("list and binary do not name the same crates: {of_binary:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crate_more_than_in_the_binary_is_one_too_many() {
        let report = |findings: Value| json!({ "findings": findings }).to_string();
        is_exact(&report(json!([{ "code": "sbom/binary", "state": "passed" }]))).unwrap();
        for bad in [
            json!([]),
            json!([{ "code": "sbom/binary", "state": "warning" }]),
            json!([{ "code": "sbom/binary", "state": "failed" }]),
        ] {
            assert!(is_exact(&report(bad)).is_err());
        }
        assert!(is_exact("").is_err());
    }
}

//! Other verifiers of Sigstore bundles, asked about the files of a release: sigstore-python and sigstore-js.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use base64ct::{Base64, Encoding as _};
use serde_json::json;

use super::folder::{self, BUNDLE, Folder, PROVENANCE};
use super::verify::Signer;
use crate::process;
use crate::tools::packages::SIGSTORE;
use crate::workspace;

/// Has each of them judge every signature and every piece of provenance; what is not installed is
/// "not run".
///
/// # Errors
/// One of them does not accept, or accepts what was signed by somebody else.
pub fn judge(release: &Folder, signer: &Signer, root: Option<&Path>) -> anyhow::Result<()> {
    let Some(root) = root else {
        let why = "they would ask the network for the public root: --trusted-root names one";
        process::report_part_not_run("other-verifiers", why);
        return Ok(());
    };
    let Some(packages) = SIGSTORE.installed() else {
        process::report_part_not_run(
            "other-verifiers",
            "they are not installed: `cargo xtask tools`",
        );
        return Ok(());
    };
    let scripts = workspace::root().join("scripts/sigstore-peers");
    let root = String::from_utf8(folder::read(root)?).context("the root of trust is no text")?;
    for (name, program, script, variable, modules) in [
        ("sigstore-python", "python3", "judge.py", "PYTHONPATH", "python"),
        ("sigstore-js", "node", "judge.cjs", "NODE_PATH", "node/node_modules"),
    ] {
        if !process::is_on_path(program) {
            process::report_part_not_run(name, format!("{program} is not installed"));
            continue;
        }
        let start = || {
            let mut command = Command::new(program);
            command.arg(scripts.join(script)).env(variable, packages.join(modules));
            command
        };
        let good = ask(&mut start(), &questions(release, signer, &root)?)?;
        if let Some((what, verdict)) = good.iter().find(|(_, verdict)| verdict != "ok") {
            bail!("{name} does not accept {what}: {verdict}");
        }
        // Who accepts anything proves nothing.
        let tag = "v0.0.0".to_owned();
        let fork = Signer { tag, ..signer.clone() };
        let bad = ask(&mut start(), &questions(release, &fork, &root)?)?;
        if let Some((what, _)) = bad.iter().find(|(_, verdict)| verdict == "ok") {
            bail!("{name} accepts {what} as signed at another tag");
        }
        println!("{name}: accepts all {} bundles, and none for another tag", good.len());
    }
    Ok(())
}

/// A question for each bundle: what it is about, and a line as the scripts read it.
fn questions(
    release: &Folder,
    signer: &Signer,
    root: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut questions = Vec::new();
    for artifact in release.artifacts()? {
        let content = Base64::encode_string(&folder::read(&artifact)?);
        for ending in [BUNDLE, PROVENANCE] {
            let evidence = folder::with_ending(&artifact, ending);
            let bundle = String::from_utf8(folder::read(&evidence)?).context("evidence is text")?;
            let question = json!({
                "bundle": bundle.trim_end(),
                "root": root,
                "artifact": content,
                "identity": signer.identity(),
                "issuer": Signer::issuer(),
            });
            questions.push((folder::name_of(&evidence), question.to_string()));
        }
    }
    Ok(questions)
}

/// The verdict on each question, by what it is about.
fn ask(
    command: &mut Command,
    questions: &[(String, String)],
) -> anyhow::Result<Vec<(String, String)>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start a verifier")?;
    let mut input = child.stdin.take().context("it has an input")?;
    let lines: String = questions.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
    // Both pipes are small: one side must not wait for the other.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().context("cannot wait for a verifier")?;
    if !output.status.success() {
        bail!(
            "a verifier ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let written = writer.join();
    written.map_err(|_| anyhow::anyhow!("writing panicked"))?.context("it did not read all")?;
    let said = String::from_utf8(output.stdout).context("a verifier wrote no text")?;
    let verdicts: Vec<String> = said.lines().map(str::to_owned).collect();
    if verdicts.len() != questions.len() {
        bail!("{} verdicts on {} questions", verdicts.len(), questions.len());
    }
    Ok(questions.iter().map(|(what, _)| what.clone()).zip(verdicts).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn answered_by(script: &str) -> anyhow::Result<Vec<(String, String)>> {
        let question = ("what".to_owned(), "{}".to_owned());
        ask(Command::new("sh").args(["-c", script]), &[question.clone(), question])
    }

    #[test]
    fn each_question_has_its_verdict_or_there_is_none() {
        let verdicts = answered_by("while read line; do echo ok; done").unwrap();
        assert_eq!(verdicts.len(), 2);
        assert!(answered_by("cat > /dev/null; echo ok").is_err());
        assert!(answered_by("cat > /dev/null; echo ok; echo ok; exit 1").is_err());
    }
}

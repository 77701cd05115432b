//! The commands that the guide tells users of dsops' own releases to type, taken from the guide.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::folder::{self, Folder};
use super::verify::Signer;

/// The guide, in the checkout.
const GUIDE: &str = "docs/security/verify-releases.md";

/// How a block begins whose commands are about a release of dsops, in the folder of that release.
const FENCE: &str = "```console release";

/// What stands in the guide for names that a release has.
const NAME: &str = "dsops-VERSION-x86_64-unknown-linux-gnu";
const POLICY: &str = "github:systmms/dsops@vVERSION";
const DIGEST: &str = "sha256:DIGEST";

/// The commands, about this release.
///
/// # Errors
/// The guide cannot be read or has none.
pub fn commands(checkout: &Path, release: &Folder, signer: &Signer) -> anyhow::Result<Vec<String>> {
    let text = folder::read(&checkout.join(GUIDE))?;
    let text = String::from_utf8(text).context("the guide is no text")?;
    let digest = format!("sha256:{}", folder::sha256_of(&release.manifest())?);
    let commands: Vec<String> = lines(&text)
        .map(|line| {
            line.replace(NAME, release.stem())
                .replace(POLICY, &signer.policy())
                .replace(DIGEST, &digest)
        })
        .collect();
    if commands.is_empty() {
        bail!("{GUIDE} has no block that begins with {FENCE}");
    }
    Ok(commands)
}

/// The lines with a command in blocks of that kind.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        if line.starts_with("```") {
            inside = line == FENCE;
        }
        line.strip_prefix("$ ").filter(|_| inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_of_blocks_about_a_release_are_taken() {
        let text =
            "$ no\n```console\n$ no\n```\n```console release\n$ yes 1\nsaid\n$ yes 2\n```\n$ no\n";
        assert_eq!(lines(text).collect::<Vec<_>>(), ["yes 1", "yes 2"]);
    }
}

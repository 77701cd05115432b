//! The signed tag of a release: its message has the checksums, so that whoever signs it says which bytes are
//! released, and whoever builds the tag can tell whether they came to the same.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::folder::{self, Folder};
use crate::process;

/// Says what to type next.
///
/// # Errors
/// A file cannot be read or written.
pub fn print(release: &Folder, tag: &str) -> anyhow::Result<()> {
    let file = release.path().with_file_name(format!("{tag}.txt"));
    fs::write(&file, message(&folder::read(&release.path().join(folder::SUMS))?, tag)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nThe message of the tag is in {}:\n", file.display());
    print!("{}", fs::read_to_string(&file)?);
    println!("\nNothing is published. To go on:\n");
    println!("  git tag -s --cleanup=verbatim --file {} {tag}", file.display());
    println!("  git push origin {tag}");
    Ok(())
}

/// A tag that says which bytes it stands for.
fn message(sums: &[u8], tag: &str) -> anyhow::Result<String> {
    let sums = std::str::from_utf8(sums).context("the checksums are no text")?;
    Ok(format!("dsops {tag}\n\n{sums}"))
}

/// Whether the message of a tag lists the checksums of a release.
fn is_listed_by(message: &str, sums: &str) -> bool {
    let mut lines = message.lines();
    sums.lines().all(|line| lines.any(|listed| listed == line)) && !sums.is_empty()
}

/// Makes sure that the tag stands for these files.
///
/// # Errors
/// It is not there, or lists other checksums.
pub fn check(checkout: &Path, release: &Folder, tag: &str) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.current_dir(checkout).args(["for-each-ref", "--format=%(contents)"]);
    let message = process::output(git.arg(format!("refs/tags/{tag}")))?;
    let sums = folder::read(&release.path().join(folder::SUMS))?;
    let sums = String::from_utf8(sums).context("the checksums are no text")?;
    if !is_listed_by(&message, &sums) {
        bail!("the tag {tag} does not list these checksums:\n{sums}");
    }
    println!("the tag {tag} stands for these files");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_for_what_it_lists() {
        let sums = "aa  one\nbb  two\n";
        let message = message(sums.as_bytes(), "v1").unwrap();
        assert!(is_listed_by(&message, sums));
        assert!(!is_listed_by(&message, "aa  one\ncc  two\n"));
        assert!(!is_listed_by(&message, &format!("{sums}dd  three\n")));
        assert!(!is_listed_by(&message, ""));
    }
}

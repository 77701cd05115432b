//! Looks for folders of the machine in what is about to be released.

use std::path::Path;

use anyhow::{Context as _, bail};

/// How much of what surrounds a find is shown.
const SHOWN_BYTES: usize = 60;

/// What ends in a text only by its name: Sigstore's metadata name keys of a key service, which are
/// no folder of root's.
const NO_PATHS: &[&[u8]] = &[b"/keyRings/root/"];

/// Makes sure that none of these texts is in a file.
///
/// # Errors
/// One is, or the file cannot be read.
pub fn check(file: &Path, texts: &[String]) -> anyhow::Result<()> {
    let content = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    check_bytes(&file.display().to_string(), &content, texts)
}

/// Makes sure that none of these texts is in what is called so.
///
/// # Errors
/// One is.
pub fn check_bytes(name: &str, content: &[u8], texts: &[String]) -> anyhow::Result<()> {
    for text in texts {
        if let Some(at) = find(content, text.as_bytes()) {
            let end = content.len().min(at + text.len() + SHOWN_BYTES);
            let shown: String = String::from_utf8_lossy(&content[at..end])
                .chars()
                .take_while(|c| !c.is_control())
                .collect();
            bail!("{name} has a path of this machine: {shown}");
        }
    }
    Ok(())
}

fn find(content: &[u8], text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let mut from = 0;
    while let Some(step) = content[from..].iter().position(|byte| *byte == first) {
        from += step;
        let here = &content[from..];
        let is_name = |name: &&[u8]| content[..from + text.len()].ends_with(name);
        if here.starts_with(text) && !NO_PATHS.iter().any(is_name) {
            return Some(from);
        }
        from += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_path_is_found_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        let texts = ["/home/me/src/".to_owned(), "/home/me/.cargo/".to_owned()];
        std::fs::write(&file, b"\x7fELF /cargo/registry /home/you/src//home/me/.carg").unwrap();
        check(&file, &texts).unwrap();
        std::fs::write(&file, b"\x7fELF\0/home/me/.cargo/registry/x/lib.rs\0more").unwrap();
        let error = check(&file, &texts).unwrap_err().to_string();
        assert!(
            error.ends_with("path of this machine: /home/me/.cargo/registry/x/lib.rs"),
            "{error}"
        );
        assert!(check(&folder.path().join("absent"), &texts).is_err());
    }

    #[test]
    fn texts_are_found_wherever_they_are() {
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"aa", b"ab"), None);
        assert_eq!(find(b"", b"ab"), None);
        // In two halves: no file of ours has such a path.
        let root = concat!("/ro", "ot/");
        let find = |content: String| find(content.as_bytes(), root.as_bytes());
        assert_eq!(find(format!("projects/p/keyRings{root}cryptoKeys/k")), None);
        assert_eq!(find(format!("/keyRings{root}k {root}.cargo")), Some(17));
        assert_eq!(find(format!("the text before{root}.cargo")), Some(15));
    }
}

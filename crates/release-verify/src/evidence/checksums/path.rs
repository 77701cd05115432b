//! Names in checksum files, as paths below the folder of the list.

/// The listed name as a relative path with `/`, without `.` parts.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with the line's number.
pub(crate) fn listed_path(name: &str) -> Result<String, &'static str> {
    const LIMIT_BYTES: usize = 4096;
    if name.len() > LIMIT_BYTES {
        return Err("lists a name that is too long");
    }
    if name.chars().any(char::is_control) {
        return Err("lists a name with control characters");
    }
    // As Windows reads it too: a list is judged the same on every system.
    let drive = |part: &str| {
        let bytes = part.as_bytes();
        bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
    };
    if name.starts_with(['/', '\\']) || drive(name) {
        return Err("lists an absolute path");
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Err("lists a path that leads out of its folder");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || name.ends_with('/') {
        return Err("lists no file");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths() {
        for (name, path) in [
            ("a", "a"),
            ("./a", "a"),
            ("dist//x/./a b", "dist/x/a b"),
            ("..a", "..a"),
            ("a..", "a.."),
            ("...", "..."),
            ("back\\slash", "back\\slash"),
            ("ü", "ü"),
        ] {
            assert_eq!(listed_path(name).as_deref(), Ok(path), "{name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere() {
        for name in [
            "",
            ".",
            "./",
            "a/",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "/etc/passwd",
            "//a",
            "\\a",
            "\\\\host\\a",
            "..\\a",
            "a\\..\\b",
            "C:\\a",
            "c:a",
            "a\0b",
            "a\nb",
            "a\u{1b}[2J",
            "a\u{85}b",
        ] {
            assert!(listed_path(name).is_err(), "{name:?}");
        }
        assert!(listed_path(&"a".repeat(4097)).is_err());
    }
}

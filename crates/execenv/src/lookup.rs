//! Finds the program to run before anything is fetched.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{ExecError, NotExecutable},
    sys,
};

/// Where `execvp` looks when `PATH` is not set (POSIX `_CS_PATH`).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Finds `program` as the child will: a name with a `/` as it stands (seen from `dir`), any other
/// in the absolute entries of `search`. Empty and relative entries are skipped, so that no file in
/// the working directory takes the place of a command.
pub(crate) fn find(
    program: &OsStr,
    search: Option<&OsStr>,
    dir: Option<&Path>,
) -> Result<PathBuf, ExecError> {
    let not_found = |searched_path| ExecError::NotFound {
        program: program.to_string_lossy().into_owned(),
        searched_path,
    };
    if program.is_empty() {
        return Err(not_found(false));
    }
    let path = Path::new(program);
    if program.as_encoded_bytes().contains(&b'/') {
        let seen = dir.map_or_else(|| path.to_owned(), |dir| dir.join(path));
        return match examine(&seen) {
            Found::Runs => Ok(path.to_owned()),
            Found::No(reason) => Err(ExecError::NotExecutable { path: path.to_owned(), reason }),
            Found::Missing => Err(not_found(false)),
        };
    }
    let mut blocked = None;
    for entry in std::env::split_paths(search.unwrap_or(OsStr::new(DEFAULT_PATH))) {
        if !entry.is_absolute() {
            continue;
        }
        let candidate = entry.join(path);
        match examine(&candidate) {
            Found::Runs => return Ok(candidate),
            // Like `execvp`: a later entry may still have a good one.
            Found::No(reason) => blocked = blocked.or(Some((candidate, reason))),
            Found::Missing => {}
        }
    }
    Err(match blocked {
        Some((path, reason)) => ExecError::NotExecutable { path, reason },
        None => not_found(true),
    })
}

enum Found {
    Runs,
    No(NotExecutable),
    Missing,
}

fn examine(path: &Path) -> Found {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Found::No(NotExecutable::NotAFile),
        Ok(_) if sys::may_execute(path) => Found::Runs,
        Ok(_) => Found::No(NotExecutable::Permission),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Found::No(NotExecutable::Permission)
        }
        Err(_) => Found::Missing,
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, reason = "a test may write a plain file")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").expect("temporary file");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
    }

    #[test]
    fn relative_and_empty_entries_are_skipped() {
        let dir = tempfile::tempdir().expect("temporary directory");
        script(&dir.path().join("tool"), 0o755);
        for search in ["", ":", ".", "./bin:..", "::"] {
            let error = find("tool".as_ref(), Some(search.as_ref()), Some(dir.path()))
                .expect_err("no absolute entry");
            assert!(matches!(error, ExecError::NotFound { searched_path: true, .. }), "{search}");
        }
        let found = find("tool".as_ref(), Some(dir.path().as_os_str()), None).expect("is there");
        assert_eq!(found, dir.path().join("tool"));
    }

    #[test]
    fn a_later_entry_wins_over_one_that_cannot_run() {
        let (first, second) = (tempfile::tempdir(), tempfile::tempdir());
        let (first, second) = (first.expect("directory"), second.expect("directory"));
        script(&first.path().join("tool"), 0o644);
        fs::create_dir(second.path().join("only-a-directory")).expect("temporary directory");
        let search = std::env::join_paths([first.path(), second.path()]).expect("no colon");
        let error = find("tool".as_ref(), Some(&search), None).expect_err("mode 644");
        assert!(matches!(
            error,
            ExecError::NotExecutable { reason: NotExecutable::Permission, .. }
        ));
        let error = find("only-a-directory".as_ref(), Some(&search), None).expect_err("directory");
        assert!(matches!(error, ExecError::NotExecutable { reason: NotExecutable::NotAFile, .. }));
        script(&second.path().join("tool"), 0o755);
        let found = find("tool".as_ref(), Some(&search), None).expect("the second runs");
        assert_eq!(found, second.path().join("tool"));
    }

    #[test]
    fn a_name_with_a_slash_is_seen_from_the_childs_directory() {
        let dir = tempfile::tempdir().expect("temporary directory");
        script(&dir.path().join("tool"), 0o755);
        let found = find("./tool".as_ref(), None, Some(dir.path())).expect("is there");
        assert_eq!(found, Path::new("./tool"));
        assert!(find("./other".as_ref(), None, Some(dir.path())).is_err());
        assert!(find("".as_ref(), None, None).is_err());
    }
}

//! What is to be verified: the words of the command line, and lists of names in files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The most that a list of names may have.
const LIST_LIMIT_BYTES: u64 = 64 << 20;

/// The word for standard input.
pub const STDIN: &str = "-";

/// How the names of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// One a line, as `ls -1` and `find` print them.
    Line,
    /// A zero byte behind each, as `find -print0` prints them.
    Null,
}

/// The words of the command line, then the names of the lists.
///
/// # Errors
/// A list cannot be read or is too long; standard input is asked for twice; nothing is asked for.
pub fn all(
    words: &[OsString],
    lists: &[OsString],
    separator: Separator,
) -> Result<Vec<OsString>, Failure> {
    if words.iter().chain(lists).filter(|word| *word == STDIN).count() > 1 {
        return Err(Failure::usage(
            "standard input can be read only once",
            "`-` stands for one artifact, `--files-from -` for a list of names",
        ));
    }
    let mut all = words.to_vec();
    for list in lists {
        let names = read_list(list).map_err(|error| unreadable_list(list, &error))?;
        all.extend(split(&names, separator));
    }
    if all.is_empty() {
        let failure = if lists.is_empty() {
            Failure::usage(
                "there is nothing to verify",
                "name files, folders or images, `-` for standard input, or a list with \
                 `--files-from FILE`",
            )
        } else {
            Failure::usage("the list names nothing", "it has one name a line")
        };
        return Err(failure);
    }
    Ok(all)
}

fn read_list(list: &OsString) -> io::Result<Vec<u8>> {
    let mut names = Vec::new();
    let source: Box<dyn Read> =
        if list == STDIN { Box::new(io::stdin().lock()) } else { Box::new(File::open(list)?) };
    source.take(LIST_LIMIT_BYTES + 1).read_to_end(&mut names)?;
    if names.len() as u64 > LIST_LIMIT_BYTES {
        let text = format!("it has more than {} MiB", LIST_LIMIT_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(names)
}

fn unreadable_list(list: &OsString, error: &io::Error) -> Failure {
    let message = format!("cannot read the list {}", Path::new(list).display());
    Failure::new(Exit::Store, Report::error(message).because(error))
}

/// Empty names are none; a line may end as on Windows.
fn split(names: &[u8], separator: Separator) -> impl Iterator<Item = OsString> {
    let byte = match separator {
        Separator::Line => b'\n',
        Separator::Null => 0,
    };
    names
        .split(move |there| *there == byte)
        .map(move |name| match separator {
            Separator::Line => name.strip_suffix(b"\r").unwrap_or(name),
            Separator::Null => name,
        })
        .filter(|name| !name.is_empty())
        .map(os_string)
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[u8], separator: Separator) -> Vec<String> {
        split(text, separator).map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn lists_are_lines_or_have_zero_bytes() {
        assert_eq!(names(b"a\nb c\r\n\n# d", Separator::Line), ["a", "b c", "# d"]);
        assert_eq!(names(b"a\nb\0c\r\0\0", Separator::Null), ["a\nb", "c\r"]);
        assert!(names(b"", Separator::Line).is_empty());
    }

    #[test]
    fn standard_input_is_one_thing() {
        let word = || vec![OsString::from(STDIN)];
        let failure = all(&word(), &word(), Separator::Line).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(all(&[], &[], Separator::Line).unwrap_err().exit, Exit::Usage);
        assert_eq!(all(&word(), &[], Separator::Line).unwrap(), word());
    }
}

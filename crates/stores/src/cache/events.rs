//! What was noticed in earlier runs: a short file in the state directory.
//!
//! It is a hint for `doctor` and nothing is decided by it: it is not authenticated, and two processes
//! that write it at the same moment may lose a line.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::file;

/// So many lines are kept.
const KEPT: usize = 50;
const LIMIT_BYTES: u64 = 64 * 1024;
const HEAD: &str = "# What the cache noticed, the latest last. A hint: nothing protects this file.";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: SystemTime,
    /// A stable word for what was found.
    pub code: String,
    /// First characters of the entry's file name, or nothing.
    pub entry: String,
}

/// Adds a line. That it could not be written is nobody's concern: the user was told what it says.
pub(super) fn record(path: &Path, code: &str, entry: Option<&str>) {
    let mut records = read_events(path);
    records.push(Record {
        at: SystemTime::now(),
        code: code.to_owned(),
        entry: entry.unwrap_or("-").to_owned(),
    });
    let from = records.len().saturating_sub(KEPT);
    let mut text = format!("{HEAD}\n");
    for Record { at, code, entry } in &records[from..] {
        let secs = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let _ = writeln!(text, "{secs} {code} {entry}");
    }
    let _ = file::publish(path, text.as_bytes(), 0o600);
}

/// The lines of the file; none if there is none, and no line that is not of this form.
pub fn read_events(path: &Path) -> Vec<Record> {
    let Ok(bytes) = file::read(path, LIMIT_BYTES) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Record> {
    let mut words = line.split(' ');
    let at = Duration::from_secs(words.next()?.parse().ok()?);
    let (code, entry) = (words.next()?, words.next()?);
    let is_word = |word: &str| {
        !word.is_empty()
            && word.len() <= 32
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if words.next().is_some() || !is_word(code) || !is_word(entry) {
        return None;
    }
    let at = SystemTime::UNIX_EPOCH.checked_add(at)?;
    Some(Record { at, code: code.to_owned(), entry: entry.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stays_short_and_what_is_no_line_is_passed_over() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events");
        for at in 0..KEPT + 7 {
            record(&path, "tampered-body", Some(&format!("{at:08x}")));
        }
        let records = read_events(&path);
        assert_eq!(records.len(), KEPT);
        assert_eq!(records[0].entry, "00000007");
        assert_eq!(records[KEPT - 1].entry, format!("{:08x}", KEPT + 6));
        file::publish(&path, b"1 a b\n\xff x\n2 \x1b[2J b\n3 a b c\nx a b\n4 a -\n", 0o600)
            .expect("writes");
        let codes: Vec<_> = read_events(&path).into_iter().map(|record| record.entry).collect();
        assert_eq!(codes, ["b", "-"]);
    }
}

//! What somebody who looks from outside can see: a search for secrets in files, text and the
//! memory of another process.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use dsops_secure_mem::SecretBytes;

/// The shortest part of a secret that counts as found.
const WINDOW_BYTES: usize = 16;
/// How much of a mapping is read at a time. Reads overlap, so that nothing hides on a boundary.
const CHUNK_BYTES: usize = 1 << 20;

/// What a look at another process showed.
#[derive(Debug)]
pub enum Sight {
    /// The kernel did not let us look.
    Refused(io::ErrorKind),
    /// We looked at this many bytes.
    Seen {
        /// How often a part of a secret was there.
        hits: usize,
        /// Readable bytes that were searched.
        searched_bytes: u64,
        /// Mappings the kernel keeps from every reader (hidden memory, device pages).
        hidden_mappings: usize,
    },
}

/// How often any 16-byte part of any secret starts in `haystack`.
pub fn count(haystack: &[u8], secrets: &[&SecretBytes]) -> usize {
    secrets.iter().map(|secret| secret.expose_with(|secret| count_one(haystack, secret))).sum()
}

fn count_one(haystack: &[u8], secret: &[u8]) -> usize {
    let window = WINDOW_BYTES.min(secret.len());
    if window == 0 {
        return 0;
    }
    // Most places are passed over by their first byte.
    let mut starts = [false; 256];
    for part in secret.windows(window) {
        starts[usize::from(part[0])] = true;
    }
    haystack
        .windows(window)
        .filter(|seen| {
            starts[usize::from(seen[0])] && secret.windows(window).any(|part| part == *seen)
        })
        .count()
}

/// Searches every file below `folder`.
///
/// # Errors
/// A file or folder that cannot be read: nothing is passed over in silence.
pub fn search_files(folder: &Path, secrets: &[&SecretBytes]) -> io::Result<(usize, usize)> {
    let (mut hits, mut files) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let (below, count) = search_files(&entry.path(), secrets)?;
            (hits, files) = (hits + below, files + count);
        } else {
            hits += count(&fs::read(entry.path())?, secrets);
            files += 1;
        }
    }
    Ok((hits, files))
}

/// Reads all that `/proc` shows of a process's memory.
pub fn look_at_memory(pid: u32, secrets: &[&SecretBytes]) -> Sight {
    match try_look(pid, secrets) {
        Ok(sight) => sight,
        Err(error) => Sight::Refused(error.kind()),
    }
}

fn try_look(pid: u32, secrets: &[&SecretBytes]) -> io::Result<Sight> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut memory = File::open(format!("/proc/{pid}/mem"))?;
    let (mut hits, mut searched_bytes, mut hidden_mappings) = (0, 0, 0);
    let mut buffer = vec![0; CHUNK_BYTES + WINDOW_BYTES];
    for (start, end) in maps.lines().filter_map(readable_range) {
        let mut at = start;
        let mut refused = false;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            memory.seek(SeekFrom::Start(at))?;
            match memory.read(&mut buffer[..wanted]) {
                Ok(0) | Err(_) => {
                    refused = true;
                    break;
                }
                Ok(read) => {
                    hits += count(&buffer[..read], secrets);
                    searched_bytes += read as u64;
                    // Step back by a window, unless this was the last part.
                    let step = if at + read as u64 >= end {
                        read
                    } else {
                        read - WINDOW_BYTES.min(read - 1)
                    };
                    at += step as u64;
                }
            }
        }
        hidden_mappings += usize::from(refused);
    }
    buffer.fill(0);
    Ok(Sight::Seen { hits, searched_bytes, hidden_mappings })
}

/// The addresses of a line of `/proc/PID/maps` whose mapping can be read.
fn readable_range(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with('r') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::copy_from(text.as_bytes()).expect("memory")
    }

    #[test]
    fn a_copy_and_a_large_part_of_one_are_found() {
        let needle = secret("0123456789abcdefghijklmnopqrstuvwxyz");
        assert_eq!(count(b"xx0123456789abcdefyy", &[&needle]), 1);
        assert_eq!(count(b"xx3456789abcdefghiyy", &[&needle]), 1, "at any offset");
        assert_eq!(count(b"xx0123456789yy", &[&needle]), 0);
        let short = secret("short");
        assert_eq!(count(b"a short one", &[&short]), 1);
    }

    #[test]
    fn files_are_searched_at_every_depth() {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("deep")).expect("folder");
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(folder.path().join("deep/file"), "the 0123456789abcdef value").expect("file");
        let needle = secret("0123456789abcdef");
        assert_eq!(search_files(folder.path(), &[&needle]).expect("readable"), (1, 1));
        assert!(search_files(&folder.path().join("absent"), &[&needle]).is_err());
    }

    #[test]
    fn memory_that_holds_a_copy_gives_itself_away() {
        let needle = secret("control-value-that-lies-in-plain-memory");
        let naive = needle.expose_with(<[u8]>::to_vec);
        let Sight::Seen { hits, searched_bytes, .. } =
            look_at_memory(std::process::id(), &[&needle])
        else {
            panic!("a process may read its own memory")
        };
        assert!(hits >= 1 && searched_bytes > 0, "{hits} hits in {searched_bytes} bytes");
        drop(naive);
    }

    #[test]
    fn a_mapping_that_cannot_be_read_has_no_range() {
        assert_eq!(readable_range("7f00-7f10 r--p 0 0:0 0"), Some((0x7f00, 0x7f10)));
        assert_eq!(readable_range("7f00-7f10 ---p 0 0:0 0"), None);
    }
}

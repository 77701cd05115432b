//! Keeps answers between runs; one that somebody changed on the disk is a miss, and is said.

use std::io::{self, Write as _};

use dsops_integrity_cache::{Cache, Key, Lookup};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The key lies in the second folder. Who can write the first, and not read the second, can
    // make misses and no hits.
    let folder = tempfile::tempdir()?;
    let (cache_dir, state_dir) = (folder.path().join("cache"), folder.path().join("state"));
    let cache = Cache::builder(&cache_dir).state_dir(&state_dir).open()?;
    let answers = cache.namespace("answers")?;
    let key = Key::new().part("question", "6 * 7").part("version", "1");

    let _stored_or_skipped = answers.put(&key, None, b"42")?;
    let Lookup::Hit(entry) = answers.get(&key)? else { return Err("it was stored".into()) };
    assert_eq!(entry.into_bytes(), b"42");

    // Somebody changes the entry: the only file in a folder with a name of two letters.
    for folder in std::fs::read_dir(&cache_dir)? {
        let folder = folder?.path();
        if folder.file_name().is_some_and(|name| name.len() == 2) {
            for entry in std::fs::read_dir(folder)? {
                let mut file = std::fs::OpenOptions::new().append(true).open(entry?.path())?;
                file.write_all(b"1")?;
            }
        }
    }
    let Lookup::Miss(reason) = answers.get(&key)? else { return Err("it was changed".into()) };
    writeln!(io::stdout(), "not used: {reason}")?;
    Ok(())
}

//! Answers kept between runs: put, taken, refreshed, standing in for a store, changed by somebody.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use super::{Case, Features, Launch, folder, must, with_home};

/// Two stores on the same file. What `brief` answered is old a second later.
const CONFIGURATION: &str = "\
version: 1
secretStores:
  kept: { type: sops, path: secrets.sops.yaml, cache: { ttl: 1h } }
  brief: { type: sops, path: secrets.sops.yaml, cache: { ttl: 1s, stale_if_error: 1h } }
envs:
  kept: { V: store://kept/TOKEN, W: store://kept/JSON, X: 'store://kept/nested#item' }
  brief: { V: store://brief/TOKEN, W: store://brief/JSON }
";

/// All of them, in an order in which each leaves what the next needs.
pub(super) fn all(features: &Features) -> anyhow::Result<Vec<Case>> {
    let project = &features.project;
    fs::write(project.work().join("cached.yaml"), CONFIGURATION)?;
    let home = project.home();
    // Below the home folder, where all files are searched in the end.
    let at = |name: &str| {
        let (cache, state) = (home.join(name), home.join(format!("{name}-state")));
        move |mut launch: Launch| {
            let dirs = [("DSOPS_CACHE_DIR", &cache), ("DSOPS_STATE_DIR", &state)];
            launch.environment.extend(dirs.map(|(name, dir)| (name.into(), OsString::from(dir))));
            launch
        }
    };
    let dsops = |words: &[&str]| project.launch(&[&["--config", "cached.yaml"], words].concat());
    let exec = |env: &str, flags: &[&str]| {
        dsops(&[&["--env", env, "exec"], flags, &["--", "/bin/true"]].concat())
    };
    // What works without an identity works from the cache alone.
    let nobody = folder(project, "nobody")?;
    let alone = |launch: Launch| with_home(launch, &nobody);
    let (own, changed) = (at("kept"), at("changed"));
    must(&own(exec("brief", &[])))?;
    must(&changed(exec("kept", &[])))?;
    flip_all(&home.join("changed"))?;
    thread::sleep(Duration::from_millis(1_100));
    let works = |name: &str, launch| Case::works(&format!("cache: {name}"), launch).writes();
    Ok(vec![
        works("exec that keeps", own(exec("kept", &[]))),
        works("exec that takes", own(alone(exec("kept", &[])))),
        works("exec --offline", own(alone(exec("kept", &["--offline"])))),
        works("exec --refresh", own(exec("kept", &["--refresh"]))),
        works(
            "exec, an old answer stands in",
            own(alone(exec("brief", &["--fetch-timeout", "0", "--mode", "supervise"]))),
        ),
        works("exec, entries that were changed", changed(exec("kept", &[]))),
        works("exec, entries that were mended", changed(alone(exec("kept", &[])))),
        Case::fails(
            "cache: exec --offline, nothing is there",
            at("none")(exec("kept", &["--offline"])),
        )
        .writes(),
        works(
            "plan --check --offline",
            own(alone(dsops(&["--env", "kept", "plan", "--check", "--offline"]))),
        ),
        works("stats", own(dsops(&["cache", "stats"]))),
        works("verify", own(dsops(&["cache", "verify"]))),
        works("clean", own(dsops(&["cache", "clean"]))),
        works("doctor", own(dsops(&["doctor"]))),
        works("rekey --keep-entries", own(dsops(&["cache", "rekey", "--keep-entries"])))
            .writes_keys(),
        works("exec after that", own(alone(exec("kept", &[])))),
        works("rekey", own(dsops(&["cache", "rekey", "--yes"]))).writes_keys(),
        works("exec that keeps again", own(exec("kept", &[]))),
        works("destroy", changed(dsops(&["cache", "destroy", "--yes"]))),
    ])
}

/// Changes the last byte of every entry.
fn flip_all(cache: &Path) -> anyhow::Result<()> {
    let mut changed = 0;
    for entry in entries(&cache.join("secrets"))? {
        let mut bytes = fs::read(&entry)?;
        *bytes.last_mut().context("an entry is empty")? ^= 1;
        fs::write(&entry, bytes)?;
        changed += 1;
    }
    anyhow::ensure!(changed == 3, "{changed} entries instead of 3");
    Ok(())
}

fn entries(cache: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(cache)? {
        let folder = folder?.path();
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                found.push(entry?.path());
            }
        }
    }
    Ok(found)
}

//! Writes releases for measurements: `release FOLDER COUNT`.
//!
//! `dist` is a whole release; `one` has a file with its bundle; `own` has COUNT files with a bundle
//! each; `listed` has COUNT files under one signed `SHA256SUMS`; `large` has a file of 1 GiB under
//! one. `trusted_root.json` vouches for all.
#![allow(clippy::disallowed_methods, reason = "a tool for measurements writes files")]

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use dsops_testkit::sigstore::{Release, World, hex, sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count] = args.as_slice() else {
        return Err("release FOLDER COUNT".into());
    };
    let (folder, count) = (Path::new(folder), count.parse::<usize>()?);
    let release = Release::write(folder, "bench")?;
    own(&release.world, &folder.join("one"), 1)?;
    own(&release.world, &folder.join("own"), count)?;
    listed(&release.world, &folder.join("listed"), count)?;
    large(&release.world, &folder.join("large"))
}

fn own(world: &World, folder: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for index in 0..count {
        let content = format!("artifact {index}\n");
        let bundle = world.sign(content.as_bytes()).bundle();
        fs::write(folder.join(format!("file-{index:04}")), content)?;
        fs::write(folder.join(format!("file-{index:04}.sigstore.json")), bundle.to_string())?;
    }
    Ok(())
}

fn listed(world: &World, folder: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut sums = String::new();
    for index in 0..count {
        let content = format!("artifact {index}\n");
        let name = format!("  file-{index:04}\n");
        sums += &(hex(&sha256(content.as_bytes())) + &name);
        fs::write(folder.join(format!("file-{index:04}")), content)?;
    }
    sign_list(world, folder, &sums)
}

fn large(world: &World, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    // All zeros and no block of the disk: what is measured is hashing.
    File::create(folder.join("large"))?.set_len(1 << 30)?;
    let output = Command::new("sha256sum").arg("large").current_dir(folder).output()?;
    sign_list(world, folder, std::str::from_utf8(&output.stdout)?)
}

fn sign_list(world: &World, folder: &Path, sums: &str) -> Result<(), Box<dyn Error>> {
    let bundle = world.sign(sums.as_bytes()).bundle();
    fs::write(folder.join("SHA256SUMS"), sums)?;
    fs::write(folder.join("SHA256SUMS.sigstore.json"), bundle.to_string())?;
    Ok(())
}

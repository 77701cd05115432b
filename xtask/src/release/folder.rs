//! The folder of a release: what its files are called, and the list of their checksums.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::build;
use crate::workspace;

/// The list of checksums.
pub const SUMS: &str = "SHA256SUMS";

/// Endings of lists of components, with the name of the format.
pub const SBOMS: [(&str, &str); 2] = [(".spdx.json", "spdx"), (".cdx.json", "cyclonedx")];

/// The ending of a signature.
pub const BUNDLE: &str = ".sigstore.json";

/// The ending of provenance.
pub const PROVENANCE: &str = ".intoto.jsonl";

/// A folder with the files of one version for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    stem: String,
}

impl Folder {
    /// Where this checkout's version goes, for the platform of the compiler.
    ///
    /// # Errors
    /// The manifest has no version; there is no compiler.
    pub fn here() -> anyhow::Result<Self> {
        let version = version(&workspace::root())?;
        let path = workspace::target_dir().join("dist").join(&version);
        Ok(Self { path, stem: stem(&version, &build::host_triple()?) })
    }

    /// The same files in another place.
    pub fn at(&self, path: &Path) -> Self {
        Self { path: path.to_owned(), stem: self.stem.clone() }
    }

    /// A folder that is there, by the name of the one archive in it.
    ///
    /// # Errors
    /// It cannot be read, or has no archive or several.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let names = names(path)?;
        let mut stems = names.iter().filter_map(|name| name.strip_suffix(".tar.gz"));
        match (stems.next(), stems.next()) {
            (Some(stem), None) => Ok(Self { path: path.to_owned(), stem: stem.to_owned() }),
            (None, _) => bail!("{} has no archive: run `cargo xtask dist`", path.display()),
            (Some(_), Some(_)) => bail!("{} has several archives", path.display()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What every name begins with: program, version, platform.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// The program itself.
    pub fn program(&self) -> PathBuf {
        self.path.join(&self.stem)
    }

    /// The archive with the program and its documents.
    pub fn archive(&self) -> PathBuf {
        self.path.join(format!("{}.tar.gz", self.stem))
    }

    /// The image as an archive of an OCI layout.
    pub fn image(&self) -> PathBuf {
        self.path.join(format!("{}.oci.tar", self.stem))
    }

    /// The image's manifest: its digest is the image's, so who signs this file signs the image.
    pub fn manifest(&self) -> PathBuf {
        self.path.join(format!("{}.oci.json", self.stem))
    }

    /// The statement of what is in the image, for registries: there are no files beside an image.
    pub fn image_components(&self) -> PathBuf {
        self.path.join(format!("{}.oci.sbom{PROVENANCE}", self.stem))
    }

    /// What is described by lists of components of its own.
    pub fn described(&self) -> [PathBuf; 4] {
        [self.program(), self.archive(), self.image(), self.manifest()]
    }

    /// Everything that is signed, sorted: all but the evidence itself.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn artifacts(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut names = names(&self.path)?;
        names.retain(|name| !name.ends_with(BUNDLE) && !name.ends_with(PROVENANCE));
        Ok(names.iter().map(|name| self.path.join(name)).collect())
    }

    /// The names that a whole release must have, evidence included, sorted.
    pub fn wanted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.described().iter().map(|path| name_of(path)).collect();
        let described = names.clone();
        for (ending, _) in SBOMS {
            names.extend(described.iter().map(|name| format!("{name}{ending}")));
        }
        names.push(SUMS.to_owned());
        let evidence: Vec<String> = names
            .iter()
            .flat_map(|name| [BUNDLE, PROVENANCE].map(|ending| format!("{name}{ending}")))
            .collect();
        names.extend(evidence);
        names.push(name_of(&self.image_components()));
        names.sort();
        names
    }

    /// Makes the folder anew, empty.
    ///
    /// # Errors
    /// The system refuses.
    pub fn clear(&self) -> anyhow::Result<()> {
        if self.path.exists() {
            fs::remove_dir_all(&self.path)
                .with_context(|| format!("cannot remove {}", self.path.display()))?;
        }
        fs::create_dir_all(&self.path)
            .with_context(|| format!("cannot make {}", self.path.display()))
    }

    /// Writes the list of checksums of all that is there, and removes evidence of older files.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn write_sums(&self) -> anyhow::Result<()> {
        for name in names(&self.path)? {
            if name.ends_with(BUNDLE) || name.ends_with(PROVENANCE) {
                fs::remove_file(self.path.join(name)).context("cannot remove old evidence")?;
            }
        }
        write(&self.path.join(SUMS), self.sums()?.as_bytes())
    }

    /// Makes sure that the list of checksums is that of the files, all of them.
    ///
    /// # Errors
    /// It is not.
    pub fn check_sums(&self) -> anyhow::Result<()> {
        if read(&self.path.join(SUMS))? != self.sums()?.as_bytes() {
            bail!("{} is not of the files in {}", SUMS, self.path.display());
        }
        Ok(())
    }

    fn sums(&self) -> anyhow::Result<String> {
        let mut list = String::new();
        for artifact in self.artifacts()? {
            let name = name_of(&artifact);
            if name != SUMS {
                writeln!(list, "{}  {name}", sha256_of(&artifact)?)?;
            }
        }
        Ok(list)
    }
}

/// The version of the workspace in a checkout.
///
/// # Errors
/// The manifest cannot be read or has none.
pub fn version(checkout: &Path) -> anyhow::Result<String> {
    let manifest = workspace::manifest(&checkout.join("Cargo.toml"))?;
    let version = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("package")?.get("version")?.as_str());
    version.map(str::to_owned).context("Cargo.toml has no version of the workspace")
}

fn stem(version: &str, triple: &str) -> String {
    format!("dsops-{version}-{triple}")
}

/// The names of the files in a folder, sorted.
///
/// # Errors
/// It cannot be read, or has something else than files with plain names.
pub fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            bail!("{} is no file", entry.path().display());
        }
        let name = entry.file_name().into_string();
        names.push(name.map_err(|name| anyhow::anyhow!("the name {} is no text", name.display()))?);
    }
    names.sort();
    Ok(names)
}

/// The last part of a path, as text.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A path with more at the end of its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The SHA-256 of bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a file, in hex.
///
/// # Errors
/// It cannot be read.
pub fn sha256_of(path: &Path) -> anyhow::Result<String> {
    Ok(sha256(&read(path)?))
}

/// Reads a file.
///
/// # Errors
/// It cannot be read; the error has its name.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file.
///
/// # Errors
/// It cannot be written; the error has its name.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn every_artifact_is_to_have_a_signature_and_provenance() {
        let here = folder(&["dsops-1-x.tar.gz"]);
        let wanted = Folder::open(here.path()).unwrap().wanted();
        let evidence = |name: &str| name.ends_with(BUNDLE) || name.ends_with(PROVENANCE);
        let artifacts: Vec<_> = wanted.iter().filter(|name| !evidence(name)).collect();
        // Program, archive, image, its manifest; two lists of components of each; the checksums.
        assert_eq!(artifacts.len(), 4 + 8 + 1);
        for name in artifacts {
            for ending in [BUNDLE, PROVENANCE] {
                assert!(wanted.contains(&format!("{name}{ending}")), "{name}{ending}");
            }
        }
    }

    #[test]
    fn sums_list_all_but_themselves_and_void_older_evidence() {
        let here = folder(&["dsops-1-x", "dsops-1-x.tar.gz", "dsops-1-x.sigstore.json"]);
        let release = Folder::open(here.path()).unwrap();
        release.write_sums().unwrap();
        release.write_sums().unwrap();
        let list = fs::read_to_string(here.path().join(SUMS)).unwrap();
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], format!("{}  dsops-1-x", sha256(b"dsops-1-x")));
        assert!(!here.path().join("dsops-1-x.sigstore.json").exists());
        release.check_sums().unwrap();
        fs::write(here.path().join("dsops-1-x"), "changed").unwrap();
        assert!(release.check_sums().is_err());
    }

    #[test]
    fn a_folder_is_known_by_its_archive() {
        assert!(Folder::open(folder(&["dsops-1-x"]).path()).is_err());
        assert!(Folder::open(folder(&["a.tar.gz", "b.tar.gz"]).path()).is_err());
        let here = folder(&["dsops-1-x.tar.gz"]);
        assert_eq!(Folder::open(here.path()).unwrap().stem(), "dsops-1-x");
        fs::create_dir(here.path().join("more")).unwrap();
        assert!(names(here.path()).is_err());
    }
}

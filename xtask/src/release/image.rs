//! `cargo xtask image`: an OCI image with the static program and nothing else, from no other image.
//!
//! Its manifest is a file of the release of its own: the digest of that file is the digest of the
//! image, so whoever signs it has signed the image, and no tag. `--push` copies the image to a
//! registry by that digest and attaches the evidence to it.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::archive::{self, Entry};
use super::build::Commit;
use super::folder::{self, Folder};
use super::{dist, push};
use crate::workspace;

/// A user and group that no system has, and that is not the superuser.
const USER: &str = "65532:65532";

/// Where the program lies in the image.
const PROGRAM: &str = "usr/bin/dsops";

/// Where the code is.
const SOURCE: &str = "https://github.com/systmms/dsops";

/// Media types.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// An image in both forms that a release has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The manifest, whose digest names the image.
    pub manifest: Vec<u8>,
    /// The whole layout in an archive.
    pub archive: Vec<u8>,
}

/// Makes the image of the folder of the release, or pushes it.
///
/// # Errors
/// There is no program to put into it, or no registry to push it to.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let release = Folder::open(Folder::here()?.path())?;
    match args {
        [] => {
            make(&workspace::root(), &release)?;
            release.write_sums()?;
            dist::print(&release)
        }
        [flag, reference] if flag == "--push" => push::run(&release, reference),
        _ => bail!("image takes nothing, or --push and a name in a registry"),
    }
}

/// Makes the image of a folder of a release.
///
/// # Errors
/// There is no program in it, or the checkout is not at a commit.
pub fn make(source: &Path, release: &Folder) -> anyhow::Result<()> {
    let commit = Commit::of(source)?.context("the checkout differs from its commit")?;
    let version = folder::version(source)?;
    let triple = release.stem().rsplit_once(&version).map_or("", |(_, triple)| triple);
    let architecture = architecture(triple)?;
    let mut files = vec![Entry::program(PROGRAM, folder::read(&release.program())?)];
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let content = folder::read(&source.join(name))?;
        files.push(Entry::file(format!("usr/share/doc/dsops/{name}"), content));
    }
    let image = image(files, &version, architecture, &commit)?;
    folder::write(&release.image(), &image.archive)?;
    folder::write(&release.manifest(), &image.manifest)
}

/// An image of these files.
fn image(
    files: Vec<Entry>,
    version: &str,
    architecture: &str,
    commit: &Commit,
) -> anyhow::Result<Image> {
    let seconds = commit.seconds;
    let created =
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let layer = archive::tar(with_folders(files), seconds)?;
    let packed = archive::gzip(&layer)?;
    let labels = json!({
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.description": "Run programs with secrets that provably stay secret",
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.revision": commit.id,
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.title": "dsops",
        "org.opencontainers.image.version": version,
    });
    let config = json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": [format!("/{PROGRAM}")],
            "Env": ["PATH=/usr/bin"],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", folder::sha256(&layer))] },
        "history": [{ "created": created, "created_by": "cargo xtask image" }],
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &config),
        "layers": [descriptor(LAYER_TYPE, &packed)],
        "annotations": labels,
    });
    let manifest = manifest.to_string().into_bytes();
    let mut named = descriptor(MANIFEST_TYPE, &manifest);
    named["platform"] = json!({ "architecture": architecture, "os": "linux" });
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": version });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [named] });
    let blob =
        |content: &[u8]| Entry::file(format!("blobs/sha256/{}", folder::sha256(content)), content);
    let layout = vec![
        Entry::file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#),
        Entry::file("index.json", index.to_string()),
        blob(&config),
        blob(&packed),
        blob(&manifest),
    ];
    let archive = archive::tar(with_folders(layout), seconds)?;
    Ok(Image { manifest, archive })
}

/// The digest that names the image of a manifest.
pub fn digest(manifest: &[u8]) -> String {
    format!("sha256:{}", folder::sha256(manifest))
}

/// What names a blob where it is used.
pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

/// The same with every folder that a file lies in.
fn with_folders(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut folders: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry.path.match_indices('/').map(|(at, _)| entry.path[..at].to_owned()))
        .collect();
    folders.sort();
    folders.dedup();
    entries.extend(folders.iter().map(|folder| Entry::folder(folder)));
    entries
}

/// What images call the processor of a platform.
fn architecture(triple: &str) -> anyhow::Result<&'static str> {
    Ok(match triple.trim_start_matches('-').split('-').next() {
        Some("x86_64") => "amd64",
        Some("aarch64") => "arm64",
        _ => bail!("images have no name for the processor of {triple}"),
    })
}

/// A small one, for tests.
#[cfg(test)]
pub fn made() -> Image {
    let commit = Commit { id: "c".repeat(40), seconds: 1_700_000_000 };
    let files = vec![
        Entry::program(PROGRAM, "program"),
        Entry::file("usr/share/doc/dsops/LICENSE-MIT", "licence"),
    ];
    image(files, "1.2.3", "amd64", &commit).expect("it is small")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of the layout by their paths.
    fn layout(archive: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
                (path, content)
            })
            .collect()
    }

    #[test]
    fn two_images_are_the_same_bytes() {
        assert_eq!(made(), made());
    }

    #[test]
    fn everything_is_where_its_digest_says() {
        let image = made();
        let files = layout(&image.archive);
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let of = |descriptor: &Value| {
            let name = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let content = &files[&format!("blobs/sha256/{name}")];
            assert_eq!(folder::sha256(content), name);
            assert_eq!(descriptor["size"], content.len());
            content.clone()
        };
        let manifest = of(&index["manifests"][0]);
        assert_eq!(manifest, image.manifest);
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let config: Value = serde_json::from_slice(&of(&manifest["config"])).unwrap();
        let packed = of(&manifest["layers"][0]);
        let mut layer = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(packed.as_slice()),
            &mut layer,
        )
        .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        assert_eq!(config["config"]["User"], USER);
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        let paths: Vec<String> = layout(&layer).into_keys().collect();
        assert_eq!(paths[..3], ["usr/", "usr/bin/", "usr/bin/dsops"]);
        assert_eq!(paths.len(), 7, "{paths:?}");
    }

    #[test]
    fn platforms_have_names() {
        assert_eq!(architecture("-x86_64-unknown-linux-gnu").unwrap(), "amd64");
        assert_eq!(architecture("-aarch64-unknown-linux-gnu").unwrap(), "arm64");
        assert!(architecture("").is_err());
    }
}

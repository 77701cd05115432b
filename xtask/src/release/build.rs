//! The one way `dsops` is built for others: static, position-independent, and the same bytes wherever it is done.
//!
//! Folders of the machine get names of their own in what the compilers write, for Rust and for C.
//! Nothing is built in but the version and the commit: no date, no user, no host. The leak scan,
//! the counters, the benches and the release all use this, so what is tested is what is released.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{process, workspace};

/// The names that folders of the machine have in a build.
const SOURCE: &str = "/dsops";
const CARGO_HOME: &str = "/cargo";
const TARGET: &str = "/target";

/// Variables that would change what compilers do.
const AMBIENT: &[&str] = &[
    "RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "CC",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
];

/// Of cargo's own variables, those that say how it gets what it needs; no other is handed on.
const GETTING: &[&str] = &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];

/// Whether a variable is kept from a build.
fn is_ambient(name: &str) -> bool {
    let settings = ["CARGO_", "AWS_LC_SYS_", "CFLAGS_", "CXXFLAGS_", "CC_", "AR_"];
    AMBIENT.contains(&name)
        || (settings.iter().any(|prefix| name.starts_with(prefix))
            && !GETTING.iter().any(|prefix| name.starts_with(prefix)))
}

/// Where a build is made.
#[derive(Clone, Debug)]
pub struct Place {
    /// The checkout.
    pub source: PathBuf,
    /// Where cargo keeps the sources of dependencies.
    pub cargo_home: PathBuf,
    /// Where it is built.
    pub target: PathBuf,
    /// Whether the network may be used to get what is missing.
    pub offline: bool,
}

/// A finished build.
#[derive(Clone, Debug)]
pub struct Built {
    /// The program.
    pub program: PathBuf,
    /// The platform it is for.
    pub triple: String,
    /// What took part in it, as cargo reported it: package, and whether it was built for the platform
    /// of the program (else only for the build itself).
    pub packages: Vec<(String, bool)>,
}

impl Place {
    /// This checkout, in a target folder of its own: other flags, other artefacts.
    ///
    /// # Errors
    /// There is no folder of cargo.
    pub fn here() -> anyhow::Result<Self> {
        Ok(Self {
            source: workspace::root(),
            cargo_home: cargo_home()?,
            target: workspace::target_dir().join("static"),
            offline: false,
        })
    }

    /// Builds a program of a package.
    ///
    /// # Errors
    /// The build fails.
    pub fn build(&self, package: &str, program: &str) -> anyhow::Result<Built> {
        let triple = host_triple()?;
        let place = self.resolved()?;
        let mut cargo = place.command(&triple)?;
        cargo.args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            &triple,
            "--package",
            package,
        ]);
        cargo.arg("--message-format=json-render-diagnostics");
        if self.offline {
            cargo.arg("--offline");
        }
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("the build of {package} in {} failed", place.source.display());
        }
        let messages = String::from_utf8(output.stdout).context("cargo did not write UTF-8")?;
        let folder = place.target.join(&triple).join("release");
        let packages = packages(&messages, &folder)?;
        Ok(Built { program: folder.join(program), triple, packages })
    }

    /// `cargo`, with everything that makes the result independent of this place.
    fn command(&self, triple: &str) -> anyhow::Result<Command> {
        let mut cargo = process::cargo();
        cargo.current_dir(&self.source);
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(is_ambient) {
                cargo.env_remove(variable);
            }
        }
        // By `--config`, which adds to the flags of `.cargo/config.toml`; `RUSTFLAGS` would replace
        // them. Naming the platform keeps the flags away from build scripts and macros.
        // Cargo forgets the profile's `strip` for a package that has settings of its own, as the
        // program has.
        let strip = "strip=symbols";
        // One bit for most addresses instead of 24 bytes: less to read at each start.
        let relocations = "link-arg=-Wl,-z,pack-relative-relocs";
        let options = ["-C", "target-feature=+crt-static", "-C", strip, "-C", relocations];
        let mut flags: Vec<String> = options.map(str::to_owned).into();
        flags.extend(
            self.names()
                .iter()
                .map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())),
        );
        let flags = serde_json::to_string(&flags).context("flags are text")?;
        cargo.arg("--config").arg(format!("target.{triple}.rustflags={flags}"));
        let c_flags: Vec<String> = self
            .names()
            .iter()
            .map(|(folder, name)| format!("-ffile-prefix-map={}={name}", folder.display()))
            .collect();
        let suffix = triple.replace('-', "_");
        for variable in ["CFLAGS", "CXXFLAGS"] {
            cargo.env(format!("{variable}_{suffix}"), c_flags.join(" "));
        }
        cargo.env("CARGO_HOME", &self.cargo_home).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_INCREMENTAL", "0").env("LC_ALL", "C").env("TZ", "UTC");
        if let Some(commit) = Commit::of(&self.source)? {
            cargo.env("DSOPS_COMMIT", &commit.id);
            cargo.env("SOURCE_DATE_EPOCH", commit.seconds.to_string());
        }
        Ok(cargo)
    }

    /// The folders and the names they get; of two that fit, the later one counts.
    fn names(&self) -> [(&Path, &str); 3] {
        [(&self.source, SOURCE), (&self.cargo_home, CARGO_HOME), (&self.target, TARGET)]
    }

    /// The same with real paths: compilers see through links.
    fn resolved(&self) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&self.target)
            .with_context(|| format!("cannot make {}", self.target.display()))?;
        let real = |path: &Path| {
            path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
        };
        Ok(Self {
            source: real(&self.source)?,
            cargo_home: real(&self.cargo_home)?,
            target: real(&self.target)?,
            offline: self.offline,
        })
    }

    /// The folders whose names must not be in a build made here, each with a `/` behind it.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn secrets(&self) -> anyhow::Result<Vec<String>> {
        let real = self.resolved()?;
        let mut folders: Vec<PathBuf> = [self, &real]
            .iter()
            .flat_map(|place| place.names().map(|(path, _)| path.into()))
            .collect();
        folders.extend(std::env::var_os("HOME").map(PathBuf::from));
        folders.sort();
        folders.dedup();
        // The top of the file system is in every path.
        folders.retain(|folder| folder.parent().is_some());
        Ok(folders.iter().map(|path| format!("{}/", path.display())).collect())
    }
}

/// The commit that a clean checkout is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name, in hex.
    pub id: String,
    /// When it was made, since 1970.
    pub seconds: u64,
}

impl Commit {
    /// The commit of this checkout; none when files differ from it, or when it is no checkout: then
    /// nobody could build the same again.
    ///
    /// # Errors
    /// Git writes something else than it does.
    pub fn of(source: &Path) -> anyhow::Result<Option<Self>> {
        let git =
            |args: &[&str]| process::output(Command::new("git").current_dir(source).args(args));
        match git(&["status", "--porcelain"]) {
            Ok(changes) if changes.is_empty() => {}
            _ => return Ok(None),
        }
        let text = git(&["log", "-1", "--format=%H %ct"])?;
        let (id, seconds) = text.trim().split_once(' ').context("git log names no commit")?;
        let seconds = seconds.parse().context("git log names no time")?;
        Ok(Some(Self { id: id.to_owned(), seconds }))
    }
}

/// Where cargo keeps what it loads.
///
/// # Errors
/// Neither `CARGO_HOME` nor `HOME` is set.
pub fn cargo_home() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CARGO_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cargo")))
        .context("no folder of cargo: set CARGO_HOME")
}

/// The platform of the compiler itself.
///
/// # Errors
/// There is no compiler.
pub fn host_triple() -> anyhow::Result<String> {
    let text = process::output(Command::new("rustc").arg("-vV"))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    triple.map(str::to_owned).context("rustc -vV names no host")
}

/// Which packages cargo built, or found built, and whether for the platform: then their files are
/// in `folder`.
fn packages(messages: &str, folder: &Path) -> anyhow::Result<Vec<(String, bool)>> {
    let mut packages = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo did not write JSON")?;
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let id = message["package_id"].as_str().context("cargo names no package")?;
        let mut files = message["filenames"].as_array().into_iter().flatten();
        let linked =
            files.any(|file| file.as_str().is_some_and(|file| Path::new(file).starts_with(folder)));
        packages.push((id.to_owned(), linked));
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_linked_or_only_take_part() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"a","filenames":["/t/x/release/liba.rlib"]}
{"reason":"build-script-executed","package_id":"a"}
{"reason":"compiler-artifact","package_id":"a","filenames":["/t/release/build/a"]}
{"reason":"compiler-artifact","package_id":"m","filenames":["/t/release/libm.so"]}"#;
        let found = packages(messages, Path::new("/t/x/release")).unwrap();
        let found: Vec<_> = found.iter().map(|(id, linked)| (id.as_str(), *linked)).collect();
        assert_eq!(found, [("a", false), ("a", true), ("m", false)]);
        assert!(packages("not JSON", Path::new("/")).is_err());
    }

    #[test]
    fn settings_of_the_machine_are_kept_from_a_build() {
        for name in [
            "RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CFLAGS",
            "CFLAGS_x86_64_unknown_linux_gnu",
            "AWS_LC_SYS_NO_ASM",
        ] {
            assert!(is_ambient(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY"] {
            assert!(!is_ambient(name), "{name}");
        }
    }

    #[test]
    fn a_changed_checkout_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Commit::of(folder.path()).unwrap(), None);
        let git = |args: &[&str]| {
            process::output(
                Command::new("git")
                    .current_dir(folder.path())
                    .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
                    .args(args)
                    .env("GIT_COMMITTER_DATE", "@86400 +0000"),
            )
            .unwrap()
        };
        git(&["init", "--quiet"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", "first"]);
        let commit = Commit::of(folder.path()).unwrap().unwrap();
        assert_eq!((commit.id.len(), commit.seconds), (40, 86400));
        std::fs::write(folder.path().join("new"), "").unwrap();
        assert_eq!(Commit::of(folder.path()).unwrap(), None);
    }

    #[test]
    fn the_folders_of_a_place_are_no_part_of_a_build() {
        let place = Place::here().unwrap();
        let secrets = place.secrets().unwrap();
        for folder in [&place.source, &place.cargo_home] {
            assert!(secrets.contains(&format!("{}/", folder.display())), "{secrets:?}");
        }
    }
}

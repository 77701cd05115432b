//! `Cargo.lock`: the checksums of what is locked.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// A lock file is read up to this size.
pub(crate) const LIMIT_BYTES: usize = 32 << 20;

/// Why a lock file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// There is more of it than is read.
    #[error("the lock file has more than {LIMIT_BYTES} bytes")]
    TooLarge,
    /// It is no TOML.
    #[error("the lock file is no TOML: {problem}")]
    Toml {
        /// What is wrong with it.
        problem: String,
    },
    /// A field is missing, or of another kind.
    #[error("package[{index}] of the lock file: {problem}")]
    Package {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// One locked package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from: `registry+https://…`, `git+https://…`; a package of the workspace has none.
    pub source: Option<String>,
    /// Its SHA-256 in hex; what comes from a registry has one.
    pub checksum: Option<String>,
}

/// A lock file of cargo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lockfile {
    packages: BTreeMap<(String, String), Vec<Locked>>,
}

impl Lockfile {
    /// Reads `Cargo.lock`.
    ///
    /// # Errors
    /// [`LockError`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, LockError> {
        if bytes.len() > LIMIT_BYTES {
            return Err(LockError::TooLarge);
        }
        let toml = |problem: String| LockError::Toml { problem };
        let text = std::str::from_utf8(bytes).map_err(|error| toml(error.to_string()))?;
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| toml(error.message().to_owned()))?;
        let list = match table.get("package") {
            None => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return Err(toml("`package` is no list of tables".to_owned())),
        };
        let mut packages: BTreeMap<_, Vec<Locked>> = BTreeMap::new();
        for (index, package) in list.iter().enumerate() {
            let field = |name: &str| match package.get(name) {
                None => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(_) => {
                    Err(LockError::Package { index, problem: format!("`{name}` is no string") })
                }
            };
            let required = |name: &str| {
                let missing =
                    || LockError::Package { index, problem: format!("it has no `{name}`") };
                field(name)?.ok_or_else(missing)
            };
            let one = Locked {
                name: required("name")?,
                version: required("version")?,
                source: field("source")?,
                checksum: field("checksum")?,
            };
            let hex =
                |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            if one.checksum.as_ref().is_some_and(|checksum| !hex(checksum)) {
                let problem = "`checksum` is no SHA-256".to_owned();
                return Err(LockError::Package { index, problem });
            }
            packages.entry((one.name.clone(), one.version.clone())).or_default().push(one);
        }
        Ok(Self { packages })
    }

    /// Everything of that name and version: one for each source.
    pub fn find(&self, name: &str, version: &str) -> &[Locked] {
        let key = (name.to_owned(), version.to_owned());
        self.packages.get(&key).map_or(&[], Vec::as_slice)
    }

    /// All of them, by name and version.
    pub fn packages(&self) -> impl Iterator<Item = &Locked> {
        self.packages.values().flatten()
    }

    /// The checksum of that package: by its source, or of the only one.
    pub(crate) fn checksum(&self, name: &str, version: &str, source: Option<&str>) -> Option<&str> {
        let found = self.find(name, version);
        let one = match source {
            Some(source) => found.iter().find(|one| one.source.as_deref() == Some(source)),
            None => found.first().filter(|_| found.len() == 1),
        };
        one?.checksum.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_found_by_source() {
        let (first, second) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "version = 4\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\
             [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"registry+https://one.example\"\nchecksum = \"{first}\"\n\
             [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"registry+https://two.example\"\nchecksum = \"{second}\"\n"
        );
        let lock = Lockfile::read(text.as_bytes()).unwrap();
        assert_eq!(lock.packages().count(), 3);
        assert_eq!(lock.checksum("own", "0.1.0", None), None);
        assert_eq!(lock.checksum("x", "1.0.0", None), None, "which one?");
        let two = Some("registry+https://two.example");
        assert_eq!(lock.checksum("x", "1.0.0", two), Some(second.as_str()));
    }

    #[test]
    fn what_is_no_lock_file_is_told() {
        for (text, part) in [
            ("[[package]]\nversion = \"1\"\n", "package[0] of the lock file: it has no `name`"),
            ("[[package]]\nname = 1\n", "`name` is no string"),
            ("[[package]]\nname = \"a\"\nname = \"b\"\nversion = \"1\"\n", "duplicate key"),
            ("[[package]]\nname = \"a\"\nversion = \"1\"\nchecksum = \"00\"\n", "no SHA-256"),
            ("package = 1\n", "no list"),
            ("{}", "no TOML"),
        ] {
            let error = Lockfile::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(Lockfile::read(b"\xff").is_err());
        assert_eq!(Lockfile::read(&vec![b' '; LIMIT_BYTES + 1]), Err(LockError::TooLarge));
    }
}

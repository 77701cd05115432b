//! The `sops` section of a document: recipients, what is encrypted, version, MAC.

use dsops_resolver::yaml::{Node, Scalar};

use super::{Error, Place, path::SOPS_SECTION};

/// Sections that hold recipients we cannot use.
const OTHER_RECIPIENTS: [&str; 6] = ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp"];
const DEFAULT_UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// Which values are encrypted, by the end of any part of their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// All but those below a key with this suffix.
    Except(String),
    /// Only those below a key with this suffix.
    Only(String),
}

impl Rule {
    /// Whether values are encrypted once `part` is on their path, given what held above it.
    pub(super) fn below(&self, above: bool, part: &str) -> bool {
        match self {
            Self::Except(suffix) => above && !part.ends_with(suffix.as_str()),
            Self::Only(suffix) => above || part.ends_with(suffix.as_str()),
        }
    }

    /// Whether a value with an empty path would be encrypted.
    pub(super) fn at_top(&self) -> bool {
        matches!(self, Self::Except(_))
    }
}

/// A wrapped data key.
#[derive(Clone, Debug)]
pub(super) struct WrappedKey {
    pub recipient: String,
    pub armored: String,
    pub place: Place,
}

/// What the `sops` section says, checked.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub keys: Vec<WrappedKey>,
    pub rule: Rule,
    pub mac_only_encrypted: bool,
    /// As authenticated together with the MAC.
    pub last_modified: String,
    pub mac: String,
    pub mac_place: Place,
    /// A setting of a sops newer than what we know; the document is read-only to us.
    pub unknown: Option<String>,
}

impl Metadata {
    pub(super) fn parse(file: &str, root: &Node) -> Result<Self, Error> {
        let Some(section) = root.get(SOPS_SECTION) else {
            return Err(Error::NotSops { file: file.to_owned() });
        };
        let reader = Reader { file, section };
        let Some(entries) = section.as_mapping() else {
            return Err(reader.fail(section, "it is not a mapping"));
        };
        reader.check_version()?;
        let unknown = entries
            .iter()
            .filter_map(|(key, _)| key.as_str())
            .find(|key| !is_known(key))
            .map(str::to_owned);
        let (mac, mac_node) = reader.required("mac", "the `mac` is missing")?;
        if mac.is_empty() {
            return Err(reader.fail(mac_node, "the `mac` is empty"));
        }
        let (modified, node) = reader.required("lastmodified", "`lastmodified` is missing")?;
        let last_modified = authenticated_time(modified)
            .ok_or_else(|| reader.fail(node, "`lastmodified` is not a time (RFC 3339)"))?;
        Ok(Self {
            keys: reader.age_keys()?,
            rule: reader.rule()?,
            mac_only_encrypted: reader.flag("mac_only_encrypted")?,
            last_modified,
            mac: mac.to_owned(),
            mac_place: reader.place(mac_node),
            unknown,
        })
    }
}

struct Reader<'a> {
    file: &'a str,
    section: &'a Node,
}

impl<'a> Reader<'a> {
    fn check_version(&self) -> Result<(), Error> {
        let (version, node) = self.required("version", "the `version` is missing")?;
        if version.starts_with("3.") {
            return Ok(());
        }
        let what = format!("the file was written by version {version} of sops");
        Err(Error::Unsupported { place: self.place(node), what })
    }

    fn age_keys(&self) -> Result<Vec<WrappedKey>, Error> {
        if let Some(groups) = self.non_empty("key_groups") {
            let what = "the data key is split over several key groups".to_owned();
            return Err(Error::Unsupported { place: self.place(groups), what });
        }
        let Some(list) = self.non_empty("age") else {
            let kinds: Vec<_> = OTHER_RECIPIENTS
                .into_iter()
                .filter(|kind| self.non_empty(kind).is_some())
                .collect();
            return Err(if kinds.is_empty() {
                self.fail(self.section, "there is no recipient in it")
            } else {
                Error::NoAgeRecipient { place: self.place(self.section), kinds }
            });
        };
        let items = list.as_sequence().ok_or_else(|| self.fail(list, "`age` is not a list"))?;
        items
            .iter()
            .map(|item| {
                let text = |name| item.get(name).and_then(Node::as_str);
                match (text("recipient"), text("enc")) {
                    (Some(recipient), Some(armored)) => Ok(WrappedKey {
                        recipient: recipient.to_owned(),
                        armored: armored.to_owned(),
                        place: self.place(item),
                    }),
                    _ => Err(self.fail(item, "an age recipient needs `recipient` and `enc`")),
                }
            })
            .collect()
    }

    fn rule(&self) -> Result<Rule, Error> {
        const NAMES: [&str; 6] = [
            "unencrypted_suffix",
            "encrypted_suffix",
            "unencrypted_regex",
            "encrypted_regex",
            "unencrypted_comment_regex",
            "encrypted_comment_regex",
        ];
        let mut given = NAMES.into_iter().filter_map(|name| Some((name, self.non_empty(name)?)));
        let Some((name, node)) = given.next() else {
            return Ok(Rule::Except(DEFAULT_UNENCRYPTED_SUFFIX.to_owned()));
        };
        if given.next().is_some() {
            return Err(self.fail(node, "more than one rule says what is encrypted"));
        }
        let suffix =
            node.as_str().ok_or_else(|| self.fail(node, "a suffix is not text"))?.to_owned();
        match name {
            "unencrypted_suffix" => Ok(Rule::Except(suffix)),
            "encrypted_suffix" => Ok(Rule::Only(suffix)),
            regex => {
                let what = format!("`{regex}` chooses what is encrypted");
                Err(Error::Unsupported { place: self.place(node), what })
            }
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.section.get(name).map(|node| (node, node.scalar())) {
            None | Some((_, Some(Scalar::Null))) => Ok(false),
            Some((_, Some(Scalar::Bool(flag)))) => Ok(flag),
            Some((node, _)) => Err(self.fail(node, "a flag is neither true nor false")),
        }
    }

    fn required(&self, name: &str, missing: &'static str) -> Result<(&'a str, &'a Node), Error> {
        let node = self.section.get(name).ok_or_else(|| self.fail(self.section, missing))?;
        let text = node.as_str().ok_or_else(|| self.fail(node, "text was expected"))?;
        Ok((text, node))
    }

    /// A setting that is there and is not null, empty text or an empty list.
    fn non_empty(&self, name: &str) -> Option<&'a Node> {
        let node = self.section.get(name)?;
        let empty = node.is_null()
            || node.as_str().is_some_and(str::is_empty)
            || node.as_sequence().is_some_and(<[_]>::is_empty);
        (!empty).then_some(node)
    }

    fn place(&self, node: &Node) -> Place {
        Place::new(self.file, node.span.start)
    }

    fn fail(&self, node: &Node, reason: &'static str) -> Error {
        Error::Metadata { place: self.place(node), reason }
    }
}

fn is_known(key: &str) -> bool {
    OTHER_RECIPIENTS.contains(&key)
        || matches!(
            key,
            "age"
                | "key_groups"
                | "shamir_threshold"
                | "lastmodified"
                | "mac"
                | "mac_only_encrypted"
                | "version"
                | "unencrypted_suffix"
                | "encrypted_suffix"
                | "unencrypted_regex"
                | "encrypted_regex"
                | "unencrypted_comment_regex"
                | "encrypted_comment_regex"
        )
}

/// The time in the form that the MAC is authenticated with: as written, without a fraction of a
/// second, and with `Z` for UTC.
fn authenticated_time(text: &str) -> Option<String> {
    let (clock, zone) = text.split_at(text.get(19..)?.find(['Z', '+', '-'])? + 19);
    let shape = "dddd-dd-ddTdd:dd:dd";
    let shaped = clock.bytes().zip(shape.bytes()).all(|(byte, want)| match want {
        b'd' => byte.is_ascii_digit(),
        want => byte == want,
    });
    let fraction = &clock[shape.len()..];
    let fraction_ok = fraction.is_empty()
        || fraction.strip_prefix('.').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit()));
    let zone_ok = zone == "Z"
        || (zone.len() == 6
            && zone[1..].bytes().enumerate().all(|(index, byte)| {
                if index == 2 { byte == b':' } else { byte.is_ascii_digit() }
            }));
    let zone = if matches!(zone, "+00:00" | "-00:00") { "Z" } else { zone };
    (shaped && fraction_ok && zone_ok).then(|| format!("{}{zone}", &clock[..shape.len()]))
}

#[cfg(test)]
mod tests {
    use super::{Rule, authenticated_time};

    #[test]
    fn rules_by_suffix() {
        let except = Rule::Except("_open".to_owned());
        assert!(except.below(except.at_top(), "a"));
        assert!(!except.below(except.below(except.at_top(), "a_open"), "b"));
        let only = Rule::Only("_secret".to_owned());
        assert!(!only.below(only.at_top(), "a"));
        assert!(only.below(only.below(only.at_top(), "a_secret"), "b"));
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("2026-11-21T11:52:16Z", Some("2026-11-21T11:52:16Z")),
            ("2026-11-21T11:52:16.5+02:00", Some("2026-11-21T11:52:16+02:00")),
            ("2026-11-21T11:52:16+00:00", Some("2026-11-21T11:52:16Z")),
            ("2026-11-21T11:52:16", None),
            ("2026-11-21 11:52:16Z", None),
            ("", None),
            ("äöü-11-21T11:52:16Z-11", None),
        ] {
            assert_eq!(authenticated_time(text).as_deref(), want, "{text}");
        }
    }
}

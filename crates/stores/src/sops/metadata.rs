//! The `sops` section of a document: recipients, what is encrypted, version, MAC.

use dsops_resolver::yaml::{Node, Scalar};

use super::{
    Error, Place,
    path::SOPS_SECTION,
    rules::{self, Rule},
};

/// Sections that hold recipients we cannot use, each with the settings that name one.
const OTHER_RECIPIENTS: [(&str, &[&str]); 6] = [
    ("kms", &["arn"]),
    ("gcp_kms", &["resource_id"]),
    ("hckms", &["key_id"]),
    ("azure_kv", &["vault_url", "name", "version"]),
    ("hc_vault", &["vault_address", "engine_path", "key_name"]),
    ("pgp", &["fp"]),
];
/// A share of the data key names itself in one byte.
const GROUP_LIMIT: usize = 255;
/// A wrapped data key.
#[derive(Clone, Debug)]
pub(super) struct WrappedKey {
    pub recipient: String,
    pub armored: String,
    pub place: Place,
}

/// Recipients of which each can open the same part of the data key, or all of it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub keys: Vec<WrappedKey>,
    /// Recipients that are no age recipients, as `pgp FINGERPRINT`.
    pub others: Vec<String>,
}

/// What the `sops` section says, checked.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// At least one; with several, the data key is split over them.
    pub groups: Vec<Group>,
    /// How many groups are needed, where there are several.
    pub threshold: usize,
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
        let groups = reader.groups()?;
        Ok(Self {
            threshold: reader.threshold(groups.len())?,
            groups,
            rule: reader.rule()?,
            mac_only_encrypted: reader.flag("mac_only_encrypted")?,
            last_modified,
            mac: mac.to_owned(),
            mac_place: reader.place(mac_node),
            unknown,
        })
    }

    /// All age recipients.
    pub(super) fn keys(&self) -> impl Iterator<Item = &WrappedKey> {
        self.groups.iter().flat_map(|group| &group.keys)
    }

    /// All recipients that are no age recipients.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flat_map(|group| &group.others).map(String::as_str)
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

    fn groups(&self) -> Result<Vec<Group>, Error> {
        let single = self.group(self.section)?;
        let lists = non_empty(self.section, "key_groups");
        if let Some(list) = lists
            && !(single.keys.is_empty() && single.others.is_empty())
        {
            return Err(self.fail(list, "there are recipients beside the key groups"));
        }
        if !single.keys.is_empty() {
            return Ok(vec![single]);
        }
        let mut groups = Vec::new();
        if let Some(list) = lists {
            let items = list
                .as_sequence()
                .filter(|items| items.len() <= GROUP_LIMIT)
                .ok_or_else(|| self.fail(list, "`key_groups` is not a list of groups"))?;
            groups = items.iter().map(|item| self.group(item)).collect::<Result<_, _>>()?;
        }
        let place = self.place(self.section);
        if groups.iter().any(|group| !group.keys.is_empty()) {
            return Ok(groups);
        }
        groups.push(single);
        let needs: Vec<String> = groups.into_iter().flat_map(|group| group.others).collect();
        Err(if needs.is_empty() {
            self.fail(self.section, "there is no recipient in it")
        } else {
            Error::NoAgeRecipient { place, needs }
        })
    }

    fn group(&self, node: &'a Node) -> Result<Group, Error> {
        let mut others = Vec::new();
        for (kind, names) in OTHER_RECIPIENTS {
            let items = non_empty(node, kind).and_then(Node::as_sequence).unwrap_or_default();
            others.extend(items.iter().map(|item| {
                let part = |name: &&str| item.get(name).and_then(Node::as_str);
                let parts: Vec<&str> = names.iter().filter_map(part).collect();
                format!("{kind} {}", parts.join(" "))
            }));
            if items.is_empty() && non_empty(node, kind).is_some() {
                others.push(kind.to_owned());
            }
        }
        let keys = match non_empty(node, "age") {
            Some(list) => self.age_keys(list)?,
            None => Vec::new(),
        };
        Ok(Group { keys, others })
    }

    fn age_keys(&self, list: &'a Node) -> Result<Vec<WrappedKey>, Error> {
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

    /// Sops writes a number, older versions one with a fraction of nothing. Without any, all
    /// groups are needed.
    fn threshold(&self, groups: usize) -> Result<usize, Error> {
        let Some(node) = non_empty(self.section, "shamir_threshold") else {
            return Ok(groups);
        };
        let threshold = match node.scalar() {
            Some(Scalar::Int(0)) => Some(groups),
            Some(Scalar::Int(int)) => usize::try_from(int).ok(),
            Some(Scalar::Float(_)) => node
                .as_str()
                .and_then(|text| text.trim_end_matches('0').strip_suffix('.')?.parse().ok()),
            _ => None,
        };
        threshold
            .filter(|threshold| (1..=groups).contains(threshold) || groups == 1)
            .ok_or_else(|| self.fail(node, "`shamir_threshold` is no number of groups"))
    }

    fn rule(&self) -> Result<Rule, Error> {
        let setting = |name| Some((name, non_empty(self.section, name)?));
        let mut given = rules::NAMES.into_iter().filter_map(setting);
        let Some((name, node)) = given.next() else { return Ok(Rule::standard()) };
        if given.next().is_some() {
            return Err(self.fail(node, "more than one rule says what is encrypted"));
        }
        let value = node.as_str().ok_or_else(|| self.fail(node, "a rule is not text"))?;
        Rule::of(name, value).map_err(|reason| Error::Pattern {
            place: self.place(node),
            name: name.to_owned(),
            reason,
        })
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

    fn place(&self, node: &Node) -> Place {
        Place::new(self.file, node.span.start)
    }

    fn fail(&self, node: &Node, reason: &'static str) -> Error {
        Error::Metadata { place: self.place(node), reason }
    }
}

/// A setting that is there and is not null, empty text or an empty list.
fn non_empty<'a>(section: &'a Node, name: &str) -> Option<&'a Node> {
    let node = section.get(name)?;
    let empty = node.is_null()
        || node.as_str().is_some_and(str::is_empty)
        || node.as_sequence().is_some_and(<[_]>::is_empty);
    (!empty).then_some(node)
}

fn is_known(key: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "age",
        "key_groups",
        "shamir_threshold",
        "lastmodified",
        "mac",
        "mac_only_encrypted",
        "version",
    ];
    OTHERS.contains(&key)
        || rules::NAMES.contains(&key)
        || OTHER_RECIPIENTS.iter().any(|(kind, _)| *kind == key)
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
    use super::authenticated_time;

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

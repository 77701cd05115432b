//! From the older forms of the format to the ones that its documents show, byte for byte except for
//! what changes.
//!
//! - `version: 0`, or none, becomes `version: 1`.
//! - `providers:` becomes `secretStores:`, unless the file has both.
//! - `from: { provider: P, key: K, version: V }` becomes `from: store://P/K?version=V`; where a
//!   comment, an anchor, an alias, a tag or a `${…}` stands in it, only `provider` becomes `store`.
//!
//! Comments, order, quotes and line breaks stay. A configuration means the same before and after.

use std::ops::Range;
use std::sync::Arc;

use super::ConfigErrors;
use super::load::LIMITS;
use super::read::is_shown;
use crate::diagnostic::{Diagnostic, codes};
use crate::reference::Reference;
use crate::settings::syntax_diagnostic;
use crate::source::Source;
use crate::yaml::{self, Node, Scalar, Style, Text, Value};

/// What came of [`migrate`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Migration {
    /// The new text; the old one when there was nothing to change. Wiped when dropped: it may hold
    /// literals that are secrets.
    pub text: Text,
    /// What was changed, in the order of the text.
    pub changes: Vec<Change>,
    /// What is of an older form and stays, and why.
    pub kept: Vec<Diagnostic>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The line of the old text, from 1.
    pub line: usize,
    /// What it was and is, as "`providers` is `secretStores`".
    pub what: String,
}

/// Rewrites the older forms in one file; files it includes are migrated by themselves.
///
/// ```
/// use dsops_resolver::migrate;
///
/// let old = "providers: # ours\n  s: { type: literal }\nenvs:\n  dev:\n    A: { from: { provider: s, key: a } }\n";
/// let new = "version: 1\nsecretStores: # ours\n  s: { type: literal }\nenvs:\n  dev:\n    A: { from: store://s/a }\n";
/// assert_eq!(&*migrate("dsops.yaml", old)?.text, new);
/// # Ok::<(), dsops_resolver::ConfigErrors>(())
/// ```
///
/// # Errors
/// The text is too large or is not YAML. What else is wrong with it is not looked at.
pub fn migrate(name: &str, text: &str) -> Result<Migration, ConfigErrors> {
    let root = yaml::parse_with(text, LIMITS).map_err(|error| {
        ConfigErrors::one(syntax_diagnostic(&error, &Source::unparsed(name, text)))
    })?;
    let source = Arc::new(Source::new(name, text, &root, is_shown));
    let mut migrator =
        Migrator { text, source, edits: Vec::new(), changes: Vec::new(), kept: Vec::new() };
    migrator.file(&root);
    let Migrator { mut edits, mut changes, kept, .. } = migrator;
    // An anchored part may be reached by several ways.
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    edits.dedup();
    changes.sort_by(|a, b| (a.line, &a.what).cmp(&(b.line, &b.what)));
    changes.dedup();
    // The parser's spans overlap in some odd texts.
    let apart = edits.is_sorted_by(|(before, _), (after, _)| before.end <= after.start);
    let edited = spliced(text, if apart { &edits } else { &[] });
    if !apart || yaml::parse_with(&edited, LIMITS).is_err() {
        // Rare forms of YAML, as a key after `?`, read otherwise with something before them.
        let message = "the file is written in a way that cannot be edited here";
        let kept = Diagnostic::warning(codes::OLDER_FORM, message)
            .help("`dsops config check` names what is old; rewrite it by hand");
        return Ok(Migration { text: spliced(text, &[]), changes: Vec::new(), kept: vec![kept] });
    }
    Ok(Migration { text: edited, changes, kept })
}

/// The text with the edits, which do not overlap, done; in one allocation.
fn spliced(text: &str, edits: &[(Range<usize>, String)]) -> Text {
    let more: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut edited = String::with_capacity(text.len() + more);
    let mut at = 0;
    for (range, new) in edits {
        edited.push_str(&text[at..range.start]);
        edited.push_str(new);
        at = range.end;
    }
    edited.push_str(&text[at..]);
    Text::from(edited)
}

struct Migrator<'a> {
    text: &'a str,
    source: Arc<Source>,
    edits: Vec<(Range<usize>, String)>,
    changes: Vec<Change>,
    kept: Vec<Diagnostic>,
}

impl Migrator<'_> {
    fn file(&mut self, root: &Node) {
        let Some(entries) = root.as_mapping() else { return };
        let has_stores = root.get("secretStores").is_some();
        for (key, value) in entries {
            match key.as_str().unwrap_or_default() {
                "version" => self.version(key, value),
                "providers" if has_stores => {
                    let message = "`providers` stays: the file has `secretStores` too";
                    self.keep(key, message, "move its stores under `secretStores` by hand");
                }
                "providers" => self.rename(key, "secretStores"),
                "envs" => self.environments(value),
                _ => {}
            }
        }
        if root.get("version").is_none() {
            self.add_version(entries);
        }
    }

    fn version(&mut self, key: &Node, node: &Node) {
        let between = self.text.get(key.span.end.offset..node.span.start.offset);
        let is_plain = between.is_some_and(|between| between.trim() == ":")
            && matches!(&node.value, Value::Scalar { style: Style::Plain, tag: None, .. });
        if matches!(node.scalar(), Some(Scalar::Int(0))) && is_plain && !node.is_alias() {
            self.change(node, "`version: 0` is `version: 1`");
            self.edits.push((node.span.range(), "1".to_owned()));
        }
    }

    /// Before the first key, if that has its line for itself.
    fn add_version(&mut self, entries: &[(Node, Node)]) {
        let Some((first, _)) = entries.first() else { return };
        let start = first.span.start.offset;
        let line_start = self.text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let indent = self.text[line_start..start].trim_start_matches('\u{feff}');
        if !indent.chars().all(|c| c == ' ') {
            return;
        }
        let line_break = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        self.change(first, "`version: 1` is written out");
        self.edits.push((start..start, format!("version: 1{line_break}{indent}")));
    }

    fn environments(&mut self, node: &Node) {
        let environments = node.as_mapping().unwrap_or_default();
        let variables =
            environments.iter().flat_map(|(_, node)| node.as_mapping().unwrap_or_default());
        for (_, variable) in variables {
            for (key, from) in variable.as_mapping().unwrap_or_default() {
                if key.as_str() == Some("from") && !key.is_alias() {
                    self.from(key, from);
                }
            }
        }
    }

    fn from(&mut self, from_key: &Node, from: &Node) {
        let Some(entries) = from.as_mapping().filter(|_| !from.is_alias()) else { return };
        let Some((provider, _)) = entries.iter().find(|(key, _)| key.as_str() == Some("provider"))
        else {
            return;
        };
        if from.get("store").is_some() || from.get("service").is_some() {
            // Which is an error, and stays one.
            return;
        }
        let scalar = reference(entries).and_then(|reference| {
            let after_key = from_key.span.end.offset;
            let between = &self.text[after_key..from.span.start.offset];
            let colon = after_key + between.find(':')? + 1;
            let is_bare = between.trim() == ":";
            let written = &self.text[from.span.range()];
            (is_bare && !written.contains(['#', '&', '!']))
                .then_some((colon..from.span.end.offset, reference))
        });
        match scalar {
            Some((range, reference)) => {
                self.change(from_key, format!("`provider` and `key` are `{reference}`"));
                self.edits.push((range, format!(" {}", quoted(&reference.to_string()))));
            }
            None => self.rename(provider, "store"),
        }
    }

    fn rename(&mut self, key: &Node, new: &str) {
        let old = key.as_str().unwrap_or_default();
        // A key with quotes, a tag or an anchor is rare enough to be left to people.
        if key.is_alias() || self.text[key.span.range()] != *old {
            self.keep(
                key,
                &format!("`{old}` stays: it is written in a way that is not edited"),
                "write it without quotes",
            );
            return;
        }
        self.change(key, format!("`{old}` is `{new}`"));
        self.edits.push((key.span.range(), new.to_owned()));
    }

    fn change(&mut self, node: &Node, what: impl Into<String>) {
        self.changes.push(Change { line: node.span.start.line, what: what.into() });
    }

    fn keep(&mut self, node: &Node, message: &str, help: &str) {
        let diagnostic = Diagnostic::warning(codes::OLDER_FORM, message);
        self.kept.push(diagnostic.at(self.source.place(node.span)).help(help));
    }
}

/// The reference that `provider`, `key` and so on come to, if it certainly means the same.
fn reference(entries: &[(Node, Node)]) -> Option<Reference> {
    let mut reference =
        Reference { store: String::new(), path: String::new(), field: None, version: None };
    for (key, value) in entries {
        if value.is_alias() || key.is_alias() {
            return None;
        }
        let text = value.as_str()?;
        if text.contains("${") {
            return None;
        }
        let text = if value.is_null() { String::new() } else { text.to_owned() };
        match key.as_str()? {
            "provider" => reference.store = text,
            "key" => reference.path = text,
            "field" => reference.field = Some(text).filter(|text| !text.is_empty()),
            "version" => reference.version = Some(text).filter(|text| !text.is_empty()),
            _ => return None,
        }
    }
    let again = reference.to_string().parse::<Reference>();
    again.is_ok_and(|again| again == reference).then_some(reference)
}

/// A text as a YAML scalar that is right in every context.
fn quoted(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./:%?=&@+~-".contains(c);
    if text.chars().all(is_safe) && !text.ends_with(':') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(text: &str) -> String {
        (*migrate("f", text).unwrap().text).to_owned()
    }

    #[test]
    fn what_would_not_be_yaml_afterwards_stays() {
        let text = "?\n (";
        let migration = migrate("f", text).unwrap();
        assert_eq!((&*migration.text, migration.changes.len()), (text, 0));
        assert_eq!(migration.kept.len(), 1);
    }

    #[test]
    fn each_form() {
        let cases = [
            ("version: 0 # old\n", "version: 1 # old\n"),
            ("version: 0x0\n", "version: 1\n"),
            ("version: 1\n", "version: 1\n"),
            ("version: &v 0\n", "version: &v 0\n"),
            ("# c\n\nenvs: {}\n", "# c\n\nversion: 1\nenvs: {}\n"),
            ("---\n  a: b\n", "---\n  version: 1\n  a: b\n"),
            ("\u{feff}a: b\r\nc: d\r\n", "\u{feff}version: 1\r\na: b\r\nc: d\r\n"),
            ("{ a: b }\n", "{ a: b }\n"),
            ("", ""),
            (
                "version: 1\nproviders:  # c\n  s: { type: t }",
                "version: 1\nsecretStores:  # c\n  s: { type: t }",
            ),
            ("version: 1\n'providers': {}\n", "version: 1\n'providers': {}\n"),
            (
                "version: 1\nproviders: {}\nsecretStores: {}\n",
                "version: 1\nproviders: {}\nsecretStores: {}\n",
            ),
        ];
        for (old, new) in cases {
            assert_eq!(migrated(old), new, "{old}");
        }
    }

    #[test]
    fn each_reference() {
        let cases = [
            ("{ provider: s, key: a.b }", "store://s/a.b"),
            ("{key: a, provider: s, version: 7}", "store://s/a?version=7"),
            ("{ provider: s, key: 'a, b' }", "'store://s/a, b'"),
            ("{ provider: s, key: \"it's\" }", "'store://s/it''s'"),
            ("{ provider: s, key: '50%' }", "store://s/50%25"),
            ("{ provider: s, key: 'a:' }", "'store://s/a:'"),
            ("{ provider: s, key: op://v/i }", "store://s/op://v/i"),
            ("{ provider: s, key: a, version: ~ }", "store://s/a"),
            ("{ provider: s, key: 'a#b' }", "{ store: s, key: 'a#b' }"),
            ("{ provider: s, key: '${A}' }", "{ store: s, key: '${A}' }"),
            ("{ provider: s, # c\n       key: a }", "{ store: s, # c\n       key: a }"),
            ("&x { provider: s, key: a }", "&x { store: s, key: a }"),
            ("\n        provider: s\n        key: a", "store://s/a"),
            ("\n        provider: s # c\n        key: a", "\n        store: s # c\n        key: a"),
            ("{ provider: &p s, key: a }", "{ store: &p s, key: a }"),
            ("{ provider: s, key: !!str 7 }", "{ store: s, key: !!str 7 }"),
            ("{ provider: s }", "{ store: s }"),
            ("{ store: s, key: a }", "{ store: s, key: a }"),
            ("{ provider: s, store: s, key: a }", "{ provider: s, store: s, key: a }"),
            ("store://s/a", "store://s/a"),
        ];
        for (old, new) in cases {
            let text = |from: &str| {
                format!("version: 1\nenvs:\n  dev:\n    A:\n      from: {from} # after\n    B: x\n")
                    .replace("from: \n", "from:\n")
            };
            assert_eq!(migrated(&text(old)), text(new), "{old}");
        }
    }

    #[test]
    fn what_was_done_is_told() {
        let text =
            "version: 0\nproviders: {}\nenvs: { d: { A: { from: { provider: s, key: a } } } }\n";
        let migration = migrate("f", text).unwrap();
        let told: Vec<_> = migration.changes.iter().map(|c| (c.line, c.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (1, "`version: 0` is `version: 1`"),
                (2, "`providers` is `secretStores`"),
                (3, "`provider` and `key` are `store://s/a`"),
            ]
        );
        let both = migrate("f", "version: 1\nproviders: {}\nsecretStores: {}\n").unwrap();
        assert!(both.changes.is_empty());
        assert_eq!(both.kept[0].code, codes::OLDER_FORM);
        assert!(migrate("f", "a: [").is_err());
    }
}

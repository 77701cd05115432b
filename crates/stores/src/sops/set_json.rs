//! A value, list or group set from JSON: what `sops set` takes.

use std::time::SystemTime;

use dsops_resolver::yaml::{Node, Scalar, Value};
use dsops_secure_mem::SecretBytes;

use super::{
    Error, Format, OpenDocument, ValueType, compare,
    format::quoted_json,
    path,
    rules::Rule,
    value::{Cipher, Kind, Sealing, clear_form},
};
use crate::scrub::scrubbed;

const NULL: &str = "null is no value; use `unset`";

impl OpenDocument {
    /// Sets a value from JSON: text, a number, a boolean, or a list or group of them with their
    /// types, which replaces what is there. Returns whether anything changed.
    ///
    /// # Errors
    /// Those of [`OpenDocument::set`]; [`Error::Edit`] for what is not JSON or is null, for a value
    /// inside that the document would keep in the clear, and for a list or group in a format that
    /// has none. The document is then unchanged.
    pub fn set_json(
        &mut self,
        key: &str,
        json: &SecretBytes,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let bytes = json.expose();
        let root = std::str::from_utf8(&bytes).ok().and_then(|text| Format::Json.parse(text).ok());
        let root = root.ok_or_else(|| self.edit_error(key, "the value is not JSON"))?;
        let Some(scalar) = root.scalar() else { return self.set_tree(key, &root, now) };
        let value_type = match scalar {
            Scalar::Null => return Err(self.edit_error(key, NULL)),
            Scalar::Bool(_) => ValueType::Bool,
            Scalar::Int(_) => ValueType::Int,
            Scalar::Float(_) => ValueType::Float,
            _ => ValueType::Str,
        };
        let text = root.as_str().unwrap_or_default();
        self.set_as(key, &SecretBytes::copy_from(text.as_bytes())?, value_type, now)
    }

    fn set_tree(&mut self, key: &str, tree: &Node, now: SystemTime) -> Result<bool, Error> {
        let parts = path::parse(key)?;
        self.check_version(key)?;
        let document = &self.document;
        if !matches!(document.format, Format::Yaml | Format::Json) {
            return Err(self.edit_error(key, "the format has no lists and groups there"));
        }
        if document.metadata.rule.is_by_comment() {
            return Err(self.edit_error(key, "comments of the file decide what is encrypted"));
        }
        let in_lists = document.list_indices(&parts);
        let rule = &document.metadata.rule;
        let (mut above, mut path) = (rule.at_top(), String::new());
        for (part, _) in parts.iter().zip(&in_lists).filter(|(_, in_list)| !**in_list) {
            above = rule.below(above, part);
            path.extend([part, ":"]);
        }
        let mut written = String::new();
        self.write_tree(key, tree, rule, above, &mut path, &mut written)?;

        let there = document.node(&parts);
        let group = there.is_some_and(|node| !matches!(node.value, Value::Scalar { .. }));
        let refused = |refused| self.refuse(key, &refused);
        let text = if group {
            if in_lists.last() == Some(&true) {
                return Err(self.edit_error(key, "it is a group in a list; unset it first"));
            }
            let text = document.format.unset(&document.text, &document.root, &parts);
            let without = self.reparse(text.map_err(refused)?)?;
            without.format.set_written(&without.text, &without.root, &parts, &written)
        } else {
            document.format.set_written(&document.text, &document.root, &parts, &written)
        };
        let parsed = self.reparse(text.map_err(refused)?)?;
        if !compare::differs_only_below(&self.document, &parsed, key) {
            let reason = "it is formatted in a way that cannot be edited in place";
            return Err(self.edit_error(key, reason));
        }
        let old = std::mem::replace(&mut self.document, parsed);
        self.seal(now).inspect_err(|_| self.document = old)?;
        Ok(true)
    }

    /// Writes a tree as JSON with every value encrypted.
    fn write_tree(
        &self,
        key: &str,
        node: &Node,
        rule: &Rule,
        encrypted: bool,
        path: &mut String,
        out: &mut String,
    ) -> Result<(), Error> {
        match &node.value {
            Value::Mapping(entries) => {
                out.push('{');
                for (index, (name, value)) in entries.iter().enumerate() {
                    let part = name.as_str().unwrap_or_default();
                    let len = path.len();
                    path.extend([part, ":"]);
                    out.extend([if index == 0 { "" } else { ", " }, &quoted_json(part), ": "]);
                    self.write_tree(key, value, rule, rule.below(encrypted, part), path, out)?;
                    path.truncate(len);
                }
                out.push('}');
            }
            Value::Sequence(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    self.write_tree(key, item, rule, encrypted, path, out)?;
                }
                out.push(']');
            }
            Value::Scalar { .. } => {
                let scalar = node.scalar().unwrap_or(Scalar::Null);
                if !encrypted {
                    let reason = "the file keeps values of such keys unencrypted";
                    return Err(self.edit_error(key, reason));
                }
                let kind = match scalar {
                    Scalar::Null => {
                        out.push_str("null");
                        return Ok(());
                    }
                    Scalar::Bool(_) => Kind::Bool,
                    Scalar::Int(_) => Kind::Int,
                    Scalar::Float(_) => Kind::Float,
                    _ => Kind::Str,
                };
                let canonical = clear_form(scalar).map(zeroize::Zeroizing::new);
                let canonical = canonical.map_err(|reason| self.edit_error(key, reason))?;
                let sealing = Sealing::new(canonical.len())?;
                let sealed = scrubbed(|| {
                    let cipher = Cipher::new(&self.data_key);
                    cipher.seal(sealing, kind, canonical.as_bytes(), path.as_bytes())
                });
                out.push_str(&quoted_json(&sealed));
            }
        }
        Ok(())
    }
}

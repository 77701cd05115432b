//! What an edit changed: the check that nothing but the wanted differs.

use super::{document::Document, metadata::WrappedKey, tree::Content};

/// Whether two documents have the same values and recipients but for one key, which has the value
/// `sealed` in the new one, or is gone.
pub(super) fn differs_only_at(
    old: &Document,
    new: &Document,
    key: &str,
    sealed: Option<&str>,
) -> bool {
    let (Some(old_values), Some(mut new_values)) = (raw_values(old), raw_values(new)) else {
        return false;
    };
    let below = format!("{key}/");
    let others = old_values.into_iter().filter(|(k, _)| k != key && !k.starts_with(&below));
    if let Some(sealed) = sealed {
        let at = new_values.iter().position(|(k, _)| k == key);
        if at.is_none_or(|at| new_values.remove(at).1 != sealed) || !others.eq(new_values) {
            return false;
        }
    } else {
        // Items of a list move up when one is removed; their values must not change.
        let raws = |(_, raw)| raw;
        if !others.map(raws).eq(new_values.into_iter().map(raws)) {
            return false;
        }
    }
    same_recipients(old, new)
}

/// Whether two documents have the same values and recipients but for one key and those below it.
pub(super) fn differs_only_below(old: &Document, new: &Document, key: &str) -> bool {
    let below = format!("{key}/");
    let others = |document| {
        let values = raw_values(document)?.into_iter();
        Some(values.filter(|(k, _)| k != key && !k.starts_with(&below)).collect::<Vec<_>>())
    };
    let (Some(old_values), Some(new_values)) = (others(old), others(new)) else { return false };
    old_values == new_values && same_recipients(old, new)
}

fn same_recipients(old: &Document, new: &Document) -> bool {
    let pair = |key: &WrappedKey| (key.recipient.clone(), key.armored.clone());
    old.metadata.keys().map(pair).eq(new.metadata.keys().map(pair))
}

/// Key and raw text of every value. A comment has a key that no value can have.
fn raw_values(document: &Document) -> Option<Vec<(String, String)>> {
    let leaves = document.leaves().ok()?;
    Some(
        leaves
            .all
            .iter()
            .map(|leaf| {
                let raw = match &leaf.content {
                    Content::Clear { form, .. } => form.clone(),
                    _ => leaf.node.as_str().unwrap_or_default().to_owned(),
                };
                let end = if leaf.is_comment() { "#" } else { "" };
                (format!("{}{end}", leaves.key(leaf)), raw)
            })
            .collect(),
    )
}

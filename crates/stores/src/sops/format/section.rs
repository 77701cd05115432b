//! The `sops` section as data: read from a document of any format, changed, written to any format.

use dsops_resolver::yaml::{Node, Scalar, Value};

/// A part of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sops) enum Item {
    Text(String),
    /// A number, `true`, `false` or `null`, as it is written.
    Bare(String),
    List(Vec<Item>),
    Map(Vec<(String, Item)>),
}

impl Item {
    pub(in crate::sops) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Mapping(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().unwrap_or_default().to_owned(), Self::of(value))
                    })
                    .collect(),
            ),
            Value::Sequence(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Scalar { text, .. } => match node.scalar() {
                Some(Scalar::Null) => Self::Bare("null".to_owned()),
                Some(Scalar::Bool(flag)) => Self::Bare(flag.to_string()),
                Some(Scalar::Int(int)) => Self::Bare(int.to_string()),
                _ => Self::Text(text.to_string()),
            },
        }
    }

    pub(in crate::sops) fn map<const N: usize>(entries: [(&str, &str); N]) -> Self {
        let entry = |(name, text): (&str, &str)| (name.to_owned(), Self::Text(text.to_owned()));
        Self::Map(entries.into_iter().map(entry).collect())
    }

    pub(in crate::sops) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter_mut().find(|(known, _)| known == name).map(|(_, item)| item)
    }

    /// Sets an entry of a map, at its place if it is there, else at the end.
    pub(in crate::sops) fn put(&mut self, name: &str, item: Self) {
        if let Some(there) = self.get_mut(name) {
            *there = item;
        } else if let Self::Map(entries) = self {
            entries.push((name.to_owned(), item));
        }
    }
}

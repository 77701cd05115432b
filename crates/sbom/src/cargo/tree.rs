//! What is built for one package alone: `cargo metadata` has the features that any member asks for, tests
//! included, and `cargo tree` those that a build of this package has.

use std::collections::BTreeSet;

use crate::model::Document;

/// Names and versions, of `cargo tree --prefix none --format {p}`: `NAME vVERSION`, and more behind.
pub(super) fn read(text: &str) -> BTreeSet<(&str, &str)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect()
}

/// Leaves in a document what is built.
pub(super) fn keep(document: &mut Document, built: &BTreeSet<(&str, &str)>) {
    document.packages.retain(|package| {
        package.version.as_deref().is_some_and(|version| built.contains(&(&package.name, version)))
    });
    let left: BTreeSet<&str> = document.packages.iter().map(|one| one.id.as_str()).collect();
    let ends = |id: &String| left.contains(id.as_str());
    document.relationships.retain(|relation| ends(&relation.from) && ends(&relation.to));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_read() {
        let text =
            "app v0.1.0 (/src/app)\nmaker v1.0.0+x (proc-macro)\nmaker v1.0.0+x (*)\n\nodd\n";
        let built = read(text);
        assert_eq!(built.into_iter().collect::<Vec<_>>(), [("app", "0.1.0"), ("maker", "1.0.0+x")]);
    }
}

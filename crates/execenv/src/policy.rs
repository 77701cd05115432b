//! Which variables the child sees: the caller's environment, what is held back, and the secrets.
//!
//! Pure: it works on names and on where entries come from, never on a secret's value.

use std::collections::{BTreeMap, BTreeSet};

use crate::{name::Name, pattern::Pattern};

/// What the child inherits besides its secrets.
///
/// | | inherits |
/// |---|---|
/// | [`inherit`](Self::inherit) (default) | everything |
/// | [`clean`](Self::clean) | a short list: `PATH`, `HOME`, `USER`, locale, terminal, `XDG_*` … |
/// | [`pristine`](Self::pristine) | nothing |
///
/// [`keep`](Self::keep) adds to it, [`drop`](Self::drop) takes away and wins. `DSOPS_*` and names
/// given to [`withhold`](Self::withhold) stay behind in every mode unless `keep` has exactly that
/// name. A name that occurs twice in the caller's environment keeps its first value, as `getenv`
/// reads it.
///
/// # Examples
/// ```
/// use dsops_execenv::EnvPolicy;
/// let policy = EnvPolicy::clean().keep("NPM_*").withhold("VAULT_TOKEN");
/// # let _ = policy;
/// ```
#[derive(Clone, Debug)]
pub struct EnvPolicy {
    base: Base,
    keep: Vec<Pattern>,
    drop: Vec<Pattern>,
    withhold: Vec<Pattern>,
    allow_dangerous: Vec<String>,
    existing_wins: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Inherit,
    Clean,
    Pristine,
}

impl EnvPolicy {
    /// The child inherits everything that is not withheld.
    pub fn inherit() -> Self {
        Self::new(Base::Inherit)
    }

    /// The child inherits a short list of harmless variables. Exported shell functions (values
    /// that start with `() {`) are dropped even where a pattern keeps their name.
    pub fn clean() -> Self {
        Self::new(Base::Clean)
    }

    /// The child sees its secrets and what [`keep`](Self::keep) adds.
    pub fn pristine() -> Self {
        Self::new(Base::Pristine)
    }

    /// Inherits what matches, on top of the mode's own choice.
    #[must_use]
    pub fn keep(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.keep.push(Pattern::new(pattern));
        self
    }

    /// Inherits nothing that matches, whatever else keeps it.
    #[must_use]
    pub fn drop(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.drop.push(Pattern::new(pattern));
        self
    }

    /// Holds back a variable that is ours and not the child's: the credential of a store.
    #[must_use]
    pub fn withhold(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.withhold.push(Pattern::new(pattern));
        self
    }

    /// Accepts a secret of this name although [`crate::is_dangerous`] says so.
    #[must_use]
    pub fn allow_dangerous(mut self, name: impl Into<String>) -> Self {
        self.allow_dangerous.push(name.into());
        self
    }

    /// Lets an inherited variable win over a secret of the same name. By default the secret wins.
    #[must_use]
    pub fn existing_wins(mut self, yes: bool) -> Self {
        self.existing_wins = yes;
        self
    }

    pub(crate) fn allows_dangerous(&self, name: &str) -> bool {
        self.allow_dangerous.iter().any(|allowed| allowed == name)
    }

    fn new(base: Base) -> Self {
        Self {
            base,
            keep: Vec::new(),
            drop: Vec::new(),
            withhold: vec![Pattern::new("DSOPS_*")],
            allow_dangerous: Vec::new(),
            existing_wins: false,
        }
    }

    fn judge(&self, name: &[u8], value: &[u8]) -> Verdict {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        let kept_by_name = self.keep.iter().any(|pattern| pattern.names(name));
        if any(&self.drop) {
            return Verdict::Dropped;
        }
        if any(&self.withhold) && !kept_by_name {
            return Verdict::Withheld;
        }
        let is_function = value.starts_with(b"() {");
        let inherited = match self.base {
            Base::Inherit => true,
            Base::Clean => {
                (CLEAN.iter().any(|pattern| Pattern::new(pattern).matches(name)) || any(&self.keep))
                    && (!is_function || kept_by_name)
            }
            Base::Pristine => any(&self.keep),
        };
        if inherited { Verdict::Inherited } else { Verdict::Dropped }
    }
}

impl Default for EnvPolicy {
    fn default() -> Self {
        Self::inherit()
    }
}

/// What [`EnvPolicy::clean`] inherits.
const CLEAN: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "COLORTERM",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "PWD",
    "SSH_AUTH_SOCK",
    "NO_COLOR",
    "CI",
    "XDG_*",
];

/// Socket activation hands file descriptors over; without descriptors the names would lie.
const LISTEN: &[&str] = &["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

enum Verdict {
    Inherited,
    Withheld,
    Dropped,
}

/// Where an entry of the child's environment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The entry at this index of the caller's environment.
    Inherited(usize),
    /// The secret at this index.
    Secret(usize),
}

/// The child's environment by reference, each name once: inherited entries in the caller's order,
/// then secrets in theirs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) entries: Vec<Source>,
    /// Indices of inherited entries that [`EnvPolicy::withhold`] kept from the child.
    pub(crate) withheld: Vec<usize>,
    /// Indices of inherited entries that gave way to a secret.
    pub(crate) overridden: Vec<usize>,
}

/// Joins the caller's environment (`NAME=value` strings) with the secrets' names.
///
/// Of equal secret names the last wins. Inherited strings without a name or without a `=` are no
/// variables and are dropped: shells and C programs disagree on them.
pub(crate) fn merge(
    inherited: &[&[u8]],
    secrets: &[&Name],
    policy: &EnvPolicy,
    passes_fds: bool,
) -> Merged {
    let mut by_name: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (index, name) in secrets.iter().enumerate() {
        by_name.insert(name.as_str().as_bytes(), index);
    }
    let mut merged = Merged::default();
    let mut seen: BTreeSet<&[u8]> = BTreeSet::new();
    for (index, entry) in inherited.iter().enumerate() {
        let Some((name, value)) = split(entry) else { continue };
        if !seen.insert(name) {
            continue;
        }
        if !passes_fds && LISTEN.iter().any(|listen| listen.as_bytes() == name) {
            continue;
        }
        match policy.judge(name, value) {
            Verdict::Dropped => {}
            Verdict::Withheld => merged.withheld.push(index),
            Verdict::Inherited if !by_name.contains_key(name) => {
                merged.entries.push(Source::Inherited(index));
            }
            Verdict::Inherited if policy.existing_wins => {
                by_name.remove(name);
                merged.entries.push(Source::Inherited(index));
            }
            Verdict::Inherited => merged.overridden.push(index),
        }
    }
    let mut chosen: Vec<usize> = by_name.into_values().collect();
    chosen.sort_unstable();
    merged.entries.extend(chosen.into_iter().map(Source::Secret));
    merged
}

/// Splits `NAME=value`; `None` when there is no name or no `=`.
pub(crate) fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = entry.iter().position(|&byte| byte == b'=')?;
    (at > 0).then(|| (&entry[..at], &entry[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::new(*text).expect("valid")).collect()
    }

    /// Renders the outcome: inherited entries as they are, secrets as `NAME`.
    fn run(inherited: &[&str], secrets: &[&str], policy: &EnvPolicy) -> Vec<String> {
        let bytes: Vec<&[u8]> = inherited.iter().map(|entry| entry.as_bytes()).collect();
        let owned = names(secrets);
        let secret_names: Vec<&Name> = owned.iter().collect();
        merge(&bytes, &secret_names, policy, false)
            .entries
            .iter()
            .map(|source| match source {
                Source::Inherited(index) => inherited[*index].to_owned(),
                Source::Secret(index) => format!("{}#{index}", secrets[*index]),
            })
            .collect()
    }

    #[test]
    fn the_first_of_equal_inherited_names_stays() {
        assert_eq!(run(&["A=1", "B=x", "A=2"], &[], &EnvPolicy::inherit()), ["A=1", "B=x"]);
    }

    #[test]
    fn secrets_win_unless_told_otherwise_and_the_last_of_equals_counts() {
        let env = ["A=1", "B=2"];
        assert_eq!(run(&env, &["B", "C", "B"], &EnvPolicy::inherit()), ["A=1", "C#1", "B#2"]);
        let existing = EnvPolicy::inherit().existing_wins(true);
        assert_eq!(run(&env, &["B", "C"], &existing), ["A=1", "B=2", "C#1"]);
    }

    #[test]
    fn a_withheld_variable_does_not_win_over_a_secret() {
        let policy = EnvPolicy::inherit().existing_wins(true).withhold("T");
        assert_eq!(run(&["T=old"], &["T"], &policy), ["T#0"]);
    }

    #[test]
    fn withheld_names_come_back_by_name_only() {
        let env = ["DSOPS_ENV=dev", "VAULT_TOKEN=t", "A=1"];
        let policy = EnvPolicy::inherit().withhold("VAULT_TOKEN");
        assert_eq!(run(&env, &[], &policy), ["A=1"]);
        assert_eq!(run(&env, &[], &policy.clone().keep("*")), ["A=1"]);
        assert_eq!(run(&env, &[], &policy.keep("VAULT_TOKEN")), ["VAULT_TOKEN=t", "A=1"]);
    }

    #[test]
    fn clean_is_a_list_and_pristine_is_empty() {
        let env = ["PATH=/bin", "LC_ALL=C", "LD_PRELOAD=x", "FOO=1", "LC_X=() { :; }"];
        assert_eq!(run(&env, &["S"], &EnvPolicy::clean()), ["PATH=/bin", "LC_ALL=C", "S#0"]);
        assert_eq!(
            run(&env, &[], &EnvPolicy::clean().keep("F*").drop("PATH")),
            ["LC_ALL=C", "FOO=1"]
        );
        assert_eq!(run(&env, &["S"], &EnvPolicy::pristine().keep("FOO")), ["FOO=1", "S#0"]);
    }

    #[test]
    fn listen_names_go_with_the_descriptors() {
        let env: [&[u8]; 2] = [b"LISTEN_FDS=1", b"A=1"];
        let without = merge(&env, &[], &EnvPolicy::inherit(), false);
        assert_eq!(without.entries, [Source::Inherited(1)]);
        let with = merge(&env, &[], &EnvPolicy::inherit(), true);
        assert_eq!(with.entries, [Source::Inherited(0), Source::Inherited(1)]);
    }

    #[test]
    fn strings_that_are_no_variables_are_dropped() {
        assert_eq!(run(&["nothing", "=x", "A="], &[], &EnvPolicy::inherit()), ["A="]);
    }

    proptest! {
        #[test]
        fn every_name_occurs_once_and_every_secret_is_there(
            inherited in prop::collection::vec("[A-D]{1,2}(=[a-c]{0,2})?", 0..12),
            secrets in prop::collection::vec("[A-D]{1,2}", 0..6),
            existing in any::<bool>(),
            base in 0..3,
        ) {
            let policy = match base {
                0 => EnvPolicy::inherit(),
                1 => EnvPolicy::clean().keep("A*"),
                _ => EnvPolicy::pristine(),
            }
            .existing_wins(existing);
            let bytes: Vec<&[u8]> = inherited.iter().map(String::as_bytes).collect();
            let owned: Vec<Name> =
                secrets.iter().map(|text| Name::new(text.clone()).expect("valid")).collect();
            let secret_names: Vec<&Name> = owned.iter().collect();
            let merged = merge(&bytes, &secret_names, &policy, false);

            let mut found: Vec<&[u8]> = merged
                .entries
                .iter()
                .map(|source| match *source {
                    Source::Inherited(index) => split(bytes[index]).expect("kept ones have a name").0,
                    Source::Secret(index) => secrets[index].as_bytes(),
                })
                .collect();
            let total = found.len();
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(found.len(), total, "a name twice");
            for (index, name) in secrets.iter().enumerate() {
                let is_last = !secrets[index + 1..].contains(name);
                let chosen = merged.entries.contains(&Source::Secret(index));
                prop_assert!(!chosen || is_last);
                if !existing {
                    prop_assert_eq!(chosen, is_last);
                }
            }
            for source in &merged.entries {
                if let Source::Inherited(index) = *source {
                    let name = split(bytes[index]).expect("kept ones have a name").0;
                    let first = bytes.iter().position(|e| split(e).is_some_and(|(n, _)| n == name));
                    prop_assert_eq!(first, Some(index), "not the first of its name");
                }
            }
        }
    }
}

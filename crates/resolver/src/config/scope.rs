//! Scopes and selections: which variables of an environment are wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::ConfigErrors;
use crate::diagnostic::{Diagnostic, Place, codes, suggest};

/// Which variables of a plan are wanted; all of them by default.
///
/// Names may be patterns: `*` stands for any characters, `?` for one. A variable is kept when one
/// of the scopes has it, one of `only` fits it and none of `except` does; without scopes, or
/// without `only`, that part does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of scopes.
    pub scopes: Vec<String>,
    /// Names or patterns of variables.
    pub only: Vec<String>,
    /// Names or patterns of variables.
    pub except: Vec<String>,
}

/// A scope as the configuration has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scope {
    /// The scopes whose variables it has too.
    pub extends: Vec<String>,
    /// Names or patterns.
    pub only: Vec<String>,
    /// Names or patterns, of what the scope does not have.
    pub except: Vec<String>,
    /// Where its name stands.
    pub place: Place,
    /// Where each of `extends` stands.
    pub(super) extends_places: Vec<Place>,
}

/// The scopes of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Scopes(pub(super) BTreeMap<String, Scope>);

impl Scopes {
    pub(super) fn check(&self, problems: &mut Vec<Diagnostic>) {
        let mut sound = BTreeSet::new();
        for name in self.0.keys() {
            self.follow(name, &mut Vec::new(), &mut sound, problems);
        }
    }

    fn follow<'a>(
        &'a self,
        name: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        problems: &mut Vec<Diagnostic>,
    ) {
        const MAX_DEPTH: usize = 32;
        if !done.insert(name) {
            return;
        }
        way.push(name);
        let scope = &self.0[name];
        for (next, place) in scope.extends.iter().zip(&scope.extends_places) {
            let problem = |message| Diagnostic::error(codes::SCOPE, message).at(place.clone());
            if let Some(from) = way.iter().position(|name| name == next) {
                let circle: Vec<&str> = way[from..].iter().copied().chain([&**next]).collect();
                let message = format!("`extends` goes in a circle: {}", circle.join(" → "));
                problems.push(problem(message).help("remove one of them"));
            } else if !self.0.contains_key(next) {
                problems.push(self.unknown(next, Some(name)).at(place.clone()));
            } else if way.len() >= MAX_DEPTH {
                let message = format!("`extends` goes through more than {MAX_DEPTH} scopes");
                problems.push(problem(message).help("extend fewer of them"));
            } else {
                self.follow(next, way, done, problems);
            }
        }
        way.pop();
    }

    /// A scope that is not defined; `by` extends it, and so is not what was meant.
    fn unknown(&self, name: &str, by: Option<&str>) -> Diagnostic {
        let problem = Diagnostic::error(codes::SCOPE, format!("there is no scope `{name}`"));
        let others = self.0.keys().map(String::as_str).filter(|other| Some(*other) != by);
        let known: Vec<&str> = others.collect();
        match suggest(name, known.iter().copied()) {
            Some(likely) => problem.help(format!("did you mean `{likely}`?")),
            None if known.is_empty() => problem.help("define it under `scopes`"),
            None => problem.help(format!("there are: {}", known.join(", "))),
        }
    }

    /// Those of the names that a scope has.
    fn members<'a>(
        &'a self,
        scope: &'a str,
        names: &[&'a str],
        done: &mut BTreeMap<&'a str, BTreeSet<&'a str>>,
    ) -> BTreeSet<&'a str> {
        if let Some(members) = done.get(scope) {
            return members.clone();
        }
        let Some(Scope { extends, only, except, .. }) = self.0.get(scope) else {
            return BTreeSet::new();
        };
        let mut members: BTreeSet<&str> =
            names.iter().copied().filter(|name| any(only, name)).collect();
        for parent in extends {
            members.extend(self.members(parent, names, done));
        }
        members.retain(|name| !any(except, name));
        done.insert(scope, members.clone());
        members
    }

    /// The scopes that have a variable, sorted.
    pub(crate) fn having(&self, variable: &str) -> Vec<&str> {
        let mut done = BTreeMap::new();
        let mut having = Vec::new();
        for scope in self.0.keys() {
            if !self.members(scope, &[variable], &mut done).is_empty() {
                having.push(scope.as_str());
            }
        }
        having
    }

    /// The names that a selection keeps, and what about it is odd but works.
    pub(crate) fn select(
        &self,
        selection: &Selection,
        names: &[&str],
    ) -> Result<(BTreeSet<String>, Vec<Diagnostic>), ConfigErrors> {
        let Selection { scopes, only, except } = selection;
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let mut in_scope = BTreeSet::new();
        for scope in scopes {
            match self.0.get(scope) {
                Some(found) => {
                    in_scope.extend(self.members(scope, names, &mut BTreeMap::new()));
                    for pattern in unmatched(found.only.iter().chain(&found.except), names) {
                        let message =
                            format!("`{pattern}` of the scope `{scope}` fits no variable");
                        let warning = Diagnostic::warning(codes::SELECTION, message);
                        warnings.push(
                            warning.at(found.place.clone()).help(likely_help(pattern, names)),
                        );
                    }
                }
                None => problems.push(self.unknown(scope, None)),
            }
        }
        for pattern in unmatched(only.iter().chain(except), names) {
            let problem =
                Diagnostic::error(codes::SELECTION, format!("`{pattern}` fits no variable"));
            problems.push(problem.help(likely_help(pattern, names)));
        }
        if let Some(errors) = ConfigErrors::from_problems(problems) {
            return Err(errors);
        }
        let kept = names.iter().filter(|name| {
            (scopes.is_empty() || in_scope.contains(**name))
                && (only.is_empty() || any(only, name))
                && !any(except, name)
        });
        Ok((kept.map(|name| (*name).to_owned()).collect(), warnings))
    }
}

fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, name))
}

fn likely_help(pattern: &str, names: &[&str]) -> String {
    match suggest(pattern, names.iter().copied()) {
        Some(likely) => format!("did you mean `{likely}`?"),
        None => "`dsops plan` shows the variables of the environment".to_owned(),
    }
}

fn unmatched<'a>(
    patterns: impl Iterator<Item = &'a String>,
    names: &[&str],
) -> impl Iterator<Item = &'a String> {
    patterns.filter(|pattern| !names.iter().any(|name| fits(pattern, name)))
}

/// Whether a pattern fits a whole name: `*` any characters, `?` one.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last `*` has to take one more character.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                p = after;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        let cases = [
            ("DB_*", "DB_URL", true),
            ("DB_*", "DB", false),
            ("*", "", true),
            ("", "", true),
            ("", "A", false),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("*_URL", "DB_URL_URL", true),
            ("*A*B", "xAyAzB", true),
            ("*A*B", "xAyAz", false),
            ("db_*", "DB_URL", false),
            ("[A]", "A", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// By definition, slowly.
    fn fits_slowly(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*', rest @ ..], name) => {
                (0..=name.len()).any(|skip| fits_slowly(rest, &name[skip..]))
            }
            (['?', p @ ..], [_, n @ ..]) => fits_slowly(p, n),
            ([c, p @ ..], [d, n @ ..]) => c == d && fits_slowly(p, n),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_defined(pattern in "[AB*?]{0,8}", name in "[AB]{0,8}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(fits(&pattern, &name), fits_slowly(&p, &n));
        }
    }
}

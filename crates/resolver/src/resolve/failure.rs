//! Why an environment was not resolved: each failure once, with every variable it concerns.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::diagnostic::{Diagnostic, Place};
use crate::error::StoreError;
use crate::plan::PlannedVariable;

/// One failure, with every variable it keeps from a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolveError {
    /// The variables, sorted; at least one.
    pub variables: Vec<String>,
    /// The store's name.
    pub store: String,
    /// The reference of the first variable.
    pub reference: String,
    /// Where the first variable is defined.
    pub place: Place,
    /// What the store said; the `source()` of this error.
    pub cause: StoreError,
}

impl ResolveError {
    /// The stable code, one of [`codes`](crate::codes).
    pub fn code(&self) -> &'static str {
        self.cause.code()
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        self.cause.help()
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        if let [variable] = self.variables.as_slice() {
            return write!(f, "cannot get `{variable}` from {}", self.reference);
        }
        let shown =
            self.variables.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        write!(f, "cannot get {}", shown.join(", "))?;
        if self.variables.len() > SHOWN {
            write!(f, " and {} more", self.variables.len() - SHOWN)?;
        }
        write!(f, " from the store `{}`", self.store)
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// With the causes in its message.
impl From<ResolveError> for Diagnostic {
    fn from(error: ResolveError) -> Self {
        let causes = chain(&error.cause).collect::<Vec<_>>().join(": ");
        let diagnostic =
            Self::error(error.code(), format!("{error}: {causes}")).at(error.place.clone());
        match error.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

/// Why an environment was not resolved: every failure, in the order of the variables.
#[derive(Clone, Debug)]
pub struct ResolveErrors {
    errors: Vec<ResolveError>,
    variables: usize,
}

impl ResolveErrors {
    /// The failures; at least one.
    pub fn errors(&self) -> &[ResolveError] {
        &self.errors
    }
}

impl IntoIterator for ResolveErrors {
    type Item = ResolveError;
    type IntoIter = std::vec::IntoIter<ResolveError>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

impl fmt::Display for ResolveErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: usize = self.errors.iter().map(|error| error.variables.len()).sum();
        write!(f, "{failed} of {} variables could not be resolved", self.variables)
    }
}

impl Error for ResolveErrors {}

/// Failures in the order of the variables; what several variables share is one failure.
#[derive(Default)]
pub(super) struct Failures {
    errors: Vec<ResolveError>,
    seen: BTreeMap<(String, String), usize>,
}

impl Failures {
    /// What kept `variables` variables from being resolved; `None` if nothing did.
    pub(super) fn into_errors(self, variables: usize) -> Option<ResolveErrors> {
        (!self.errors.is_empty()).then_some(ResolveErrors { errors: self.errors, variables })
    }

    pub(super) fn add(&mut self, variable: &PlannedVariable, store: &str, error: &StoreError) {
        let text = chain(error).collect::<Vec<_>>().join("\n");
        let next = self.errors.len();
        let index = *self.seen.entry((store.to_owned(), text)).or_insert(next);
        if index == next {
            self.errors.push(ResolveError {
                variables: Vec::new(),
                store: store.to_owned(),
                reference: variable.source_text(),
                place: variable.place.clone(),
                cause: error.clone(),
            });
        }
        self.errors[index].variables.push(variable.name.clone());
    }
}

fn chain(error: &StoreError) -> impl Iterator<Item = String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
}

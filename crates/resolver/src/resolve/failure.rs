//! Why an environment was not resolved: each failure once, with every variable it concerns.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::diagnostic::{Diagnostic, Place, codes};
use crate::error::StoreError;
use crate::plan::{PlannedSource, PlannedVariable};
use crate::transform::{TransformError, TransformErrorKind};

/// One failure, with every variable it keeps from a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolveError {
    /// The variables, sorted; at least one.
    pub variables: Vec<String>,
    /// The store's name; `None` when the value stands in the configuration.
    pub store: Option<String>,
    /// The source of the first variable: its reference, or `literal`.
    pub reference: String,
    /// Where the first variable is defined.
    pub place: Place,
    /// What went wrong.
    pub cause: ResolveCause,
}

/// What kept a variable from its value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ResolveCause {
    /// The store gave none.
    Store(StoreError),
    /// The item has no such field (`#…`), or cannot be read as a document with fields.
    Field(TransformError),
    /// A transform could not be applied to it.
    Transform {
        /// Which, from 1.
        step: usize,
        /// Out of how many.
        of: usize,
        /// Why.
        error: TransformError,
    },
}

impl ResolveCause {
    /// Whether the answer is that there is no such item, or no such field in it: what lets an
    /// optional variable be left out and a default be used.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::NotFound { .. }),
            Self::Field(error) => error.is_missing(),
            Self::Transform { .. } => false,
        }
    }

    fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Store(error) => error,
            Self::Field(error) | Self::Transform { error, .. } => error,
        }
    }
}

impl ResolveError {
    /// The stable code, one of [`codes`].
    pub fn code(&self) -> &'static str {
        match &self.cause {
            ResolveCause::Store(error) => error.code(),
            ResolveCause::Field(error) | ResolveCause::Transform { error, .. } => {
                match error.kind {
                    TransformErrorKind::Memory(_) => codes::STORE_MEMORY,
                    _ => codes::VALUE_TRANSFORM,
                }
            }
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match &self.cause {
            ResolveCause::Store(StoreError::NotFound { suggestion: None, .. }) => {
                Some("put it into the store, or make the variable `optional`".to_owned())
            }
            ResolveCause::Store(error) => error.help(),
            ResolveCause::Field(error) | ResolveCause::Transform { error, .. } => {
                error.help().map(str::to_owned)
            }
        }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        if let ResolveCause::Transform { step, of, .. } = &self.cause {
            write!(f, "cannot transform `{}`", self.variables.join("`, `"))?;
            if self.store.is_some() {
                write!(f, " from {}", self.reference)?;
            }
            return if *of > 1 { write!(f, " (step {step} of {of})") } else { Ok(()) };
        }
        if let [variable] = self.variables.as_slice() {
            return write!(f, "cannot get `{variable}` from {}", self.reference);
        }
        let shown =
            self.variables.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        write!(f, "cannot get {}", shown.join(", "))?;
        if self.variables.len() > SHOWN {
            write!(f, " and {} more", self.variables.len() - SHOWN)?;
        }
        match &self.store {
            Some(store) => write!(f, " from the store `{store}`"),
            None => Ok(()),
        }
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.error())
    }
}

/// With the causes in its message.
impl From<ResolveError> for Diagnostic {
    fn from(error: ResolveError) -> Self {
        let causes = chain(error.cause.error()).collect::<Vec<_>>().join(": ");
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
    /// By store and what is said.
    seen: BTreeMap<(Option<String>, Vec<String>), usize>,
}

impl Failures {
    /// What kept `variables` variables from being resolved; `None` if nothing did.
    pub(super) fn into_errors(self, variables: usize) -> Option<ResolveErrors> {
        (!self.errors.is_empty()).then_some(ResolveErrors { errors: self.errors, variables })
    }

    pub(super) fn add(&mut self, variable: &PlannedVariable, cause: ResolveCause) {
        let (store, key) = match &variable.source {
            PlannedSource::Literal(_) => (None, ""),
            PlannedSource::Item { reference, item } => (Some(&reference.store), &*item.key),
        };
        // What the store says of itself is one failure, whichever items it kept; what is wrong
        // with a document is one for that item; a transform is the variable's own.
        let about = match &cause {
            ResolveCause::Store(_) => "",
            ResolveCause::Field(_) => key,
            ResolveCause::Transform { .. } => &variable.name,
        };
        let mut texts = vec![about.to_owned()];
        texts.extend(chain(cause.error()));
        let next = self.errors.len();
        let index = *self.seen.entry((store.cloned(), texts)).or_insert(next);
        if index == next {
            self.errors.push(ResolveError {
                variables: Vec::new(),
                store: store.cloned(),
                reference: variable.source_text(),
                place: variable.place.clone(),
                cause,
            });
        }
        self.errors[index].variables.push(variable.name.clone());
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = String> + 'a {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string)
}

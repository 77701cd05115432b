//! From a plan to values: every store opened once, every item fetched once, all failures reported.
//!
//! Nothing is handed out unless every variable has its value or may do without: fail closed. Only
//! a store's answer "there is no such item" counts as missing; a store that is locked, refuses,
//! does not answer or was tampered with fails the whole, even for an optional variable.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use dsops_secure_mem::SecretBytes;

use crate::diagnostic::{Diagnostic, Place};
use crate::error::StoreError;
use crate::plan::{Plan, PlannedSource, PlannedStore, PlannedVariable};
use crate::store::{FetchContext, Item, OpenContext, Store, StoreFactory};

/// How to resolve.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ResolveOptions {
    /// When every store has to have answered. A store's own `timeout_ms` may end earlier.
    pub deadline: Option<Instant>,
}

/// The values of an environment, sorted by name.
#[derive(Debug, Default)]
pub struct Resolved {
    values: Vec<(String, Arc<SecretBytes>)>,
    missing: Vec<String>,
    defaulted: Vec<String>,
}

impl Resolved {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&SecretBytes> {
        let index = self.values.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        Some(&self.values[index].1)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &SecretBytes)> {
        self.values.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// How many variables have a value.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no variable has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The optional variables that were left out, sorted.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The variables that got their default, sorted.
    pub fn defaulted(&self) -> &[String] {
        &self.defaulted
    }
}

impl IntoIterator for Resolved {
    type Item = (String, Arc<SecretBytes>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}

/// Fetches what a plan says.
///
/// All stores are opened first, one after the other, on the calling thread. Then each is asked
/// once for all its items: the first on the calling thread, others at the same time on threads of
/// their own. With one store no thread is started.
///
/// # Errors
/// Every failure, in the order of the variables, each once.
pub fn resolve(
    plan: &Plan,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions,
) -> Result<Resolved, ResolveErrors> {
    let opened: Vec<_> =
        plan.stores.iter().map(|store| open(store, factory, cx, options.deadline)).collect();
    let fetched = fetch_all(&plan.stores, &opened, options.deadline);
    drop(opened);
    collect(plan, fetched)
}

type Opened = Result<Box<dyn Store>, StoreError>;
/// One result for each item of a planned store.
type Fetched = Vec<Result<SecretBytes, StoreError>>;

fn open(
    store: &PlannedStore,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    deadline: Option<Instant>,
) -> Opened {
    FetchContext::new(deadline).check_deadline()?;
    guarded(|| factory.open(&store.settings, &cx.for_items(&store.items)))
        .unwrap_or(Err(StoreError::Panicked))
}

fn fetch_all(
    stores: &[PlannedStore],
    opened: &[Opened],
    deadline: Option<Instant>,
) -> Vec<Fetched> {
    let ask = |index: usize| fetch(&stores[index], &opened[index], deadline);
    let live = opened.iter().filter(|store| store.is_ok()).count();
    if live <= 1 {
        return (0..stores.len()).map(ask).collect();
    }
    thread::scope(|scope| {
        let ask = &ask;
        let first = opened.iter().position(Result::is_ok);
        let handles: Vec<_> = (0..stores.len())
            .map(|index| {
                let own_thread = Some(index) != first && opened[index].is_ok();
                // Without a thread to be had the store is asked here, after the others.
                own_thread
                    .then(|| thread::Builder::new().spawn_scoped(scope, move || ask(index)).ok())
                    .flatten()
            })
            .collect();
        let here: Vec<_> =
            handles.iter().enumerate().map(|(i, h)| h.is_none().then(|| ask(i))).collect();
        let joined =
            handles.into_iter().zip(here).zip(stores).map(|((handle, here), store)| match handle {
                Some(handle) => handle.join().unwrap_or_else(|_| all(store, &StoreError::Panicked)),
                None => here.expect("a store without a thread is asked here"),
            });
        joined.collect()
    })
}

fn fetch(store: &PlannedStore, opened: &Opened, deadline: Option<Instant>) -> Fetched {
    let open = match opened {
        Ok(open) => open,
        Err(error) => return all(store, error),
    };
    let own = store.settings.timeout().and_then(|timeout| Instant::now().checked_add(timeout));
    let cx = FetchContext::new(own.into_iter().chain(deadline).min());
    if let Err(error) = cx.check_deadline() {
        return all(store, &error);
    }
    match guarded(|| open.fetch(&store.items, &cx)) {
        Some(results) if results.len() == store.items.len() => results,
        Some(results) => {
            all(store, &StoreError::WrongCount { expected: store.items.len(), got: results.len() })
        }
        None => all(store, &StoreError::Panicked),
    }
}

/// The same failure for every item.
fn all(store: &PlannedStore, error: &StoreError) -> Fetched {
    store.items.iter().map(|_| Err(error.clone())).collect()
}

/// A panic in a store is a failure of the store.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What the store left half done is dropped with it; nothing of it is used again.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn collect(plan: &Plan, fetched: Vec<Fetched>) -> Result<Resolved, ResolveErrors> {
    let mut results: HashMap<(&str, &Item), Result<Arc<SecretBytes>, StoreError>> = HashMap::new();
    for (store, fetched) in plan.stores.iter().zip(fetched) {
        for (item, result) in store.items.iter().zip(fetched) {
            results.insert((store.settings.name(), item), result.map(Arc::new));
        }
    }
    let mut resolved = Resolved::default();
    let mut failures = Failures::default();
    for variable in &plan.variables {
        let PlannedVariable { name, source, optional, default, .. } = variable;
        let mut give =
            |value: &Arc<SecretBytes>| resolved.values.push((name.clone(), Arc::clone(value)));
        let (store, item) = match source {
            PlannedSource::Literal(value) => {
                give(value);
                continue;
            }
            PlannedSource::Item { reference, item } => (reference.store.as_str(), item),
        };
        match &results[&(store, item)] {
            Ok(value) => give(value),
            Err(StoreError::NotFound { .. }) if let Some(default) = default => {
                give(default);
                resolved.defaulted.push(name.clone());
            }
            Err(StoreError::NotFound { .. }) if *optional => resolved.missing.push(name.clone()),
            Err(error) => failures.add(variable, store, error),
        }
    }
    if failures.errors.is_empty() {
        Ok(resolved)
    } else {
        Err(ResolveErrors { errors: failures.errors, variables: plan.variables.len() })
    }
}

/// Failures in the order of the variables; what several variables share is one failure.
#[derive(Default)]
struct Failures {
    errors: Vec<ResolveError>,
    seen: BTreeMap<(String, String), usize>,
}

impl Failures {
    fn add(&mut self, variable: &PlannedVariable, store: &str, error: &StoreError) {
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

//! From `dsops.yaml` to resolved secrets: configuration, plan, fetch.
//!
//! ```text
//! dsops.yaml ──Config──▶ checked ──plan──▶ which item of which store ──resolve──▶ name → value
//!                                                                        fetch, field, transform
//! ```
//! - [`Config`] reads and checks the file and those it includes: strictly, with the place of
//!   everything that is wrong. It also explains a variable, finds credentials in clear, and says
//!   what needs trust. [`migrate`] rewrites the older forms of a file.
//! - [`format`](mod@format) describes every key as data: for the reader, the JSON schema and the
//!   reference.
//! - [`plan()`] chooses an environment and says what would be fetched, without touching a store.
//! - [`resolve()`] opens the stores the plan names and fetches every item once, in batches, as many
//!   at a time as each store takes; [`check()`] asks only what is there, [`check_stores`] how the
//!   stores do.
//! - [`Store`] and [`StoreFactory`] are what a store implements; [`store`] has a whole one.
//! - [`cache`] is what is kept of answers between runs, and when it is used.
//! - [`transform`] is what is done to a value between its store and the program.
//! - [`yaml`] is the document tree with exact places that all of this, and any store that edits
//!   documents, reads from.
//!
//! # Guarantees
//! - Values are in protected memory from where the store writes them; no message, `Debug` output
//!   or panic of this crate holds one, nor a literal or a setting that may be a secret.
//! - All or nothing: values are handed out only when every variable has one or may do without.
//!   Only "there is no such item" makes a variable optional or lets its default be used.
//! - A store the environment does not use is never opened, nor are its settings checked beyond
//!   their form. No item is fetched twice, but for one whose fetch failed for now.
//! - A store that hangs, panics, or answers wrongly costs its own items and nothing else. No call is
//!   waited for much longer than its deadline. What one item comes to does not depend on the others.
//! - No store has more calls at a time than it takes. When values are returned, no thread is left;
//!   none was started for a single call without a deadline.
//! - The same input gives the same plan and the same errors in the same order.
//! - Every input has a limit: size, depth, nodes with aliases expanded.
//!
//! # Non-guarantees
//! - A literal stands in the file in clear; this crate only takes care of it from there.
//! - What `${VAR}` brings in is as safe as the environment it comes from. The text it becomes part
//!   of is wiped when dropped.
//! - The settings of a store stay in plain memory as long as the configuration does, and are wiped
//!   with it.
//! - A call without a deadline is waited for without end; a store has one by `timeout_ms` or if it
//!   sets one itself. Nobody watches how long a store takes to open.
//! - A call that hangs is not killed: its thread is left behind, with the store it uses, until it
//!   returns or the process ends.
//!
//! # Example
//! ```
//! use dsops_resolver::{
//!     Config, Diagnostic, FetchContext, Item, NoEnvironment, OpenContext, ResolveOptions, Store,
//!     StoreError, StoreFactory, StoreSettings, plan, resolve,
//! };
//! use dsops_secure_mem::SecretBytes;
//!
//! /// A store that answers every key with the key's length.
//! struct Lengths;
//!
//! impl Store for Lengths {
//!     fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
//!         let length = |item: &Item| item.key.len().to_string();
//!         items.iter().map(|item| Ok(SecretBytes::copy_from(length(item).as_bytes())?)).collect()
//!     }
//! }
//!
//! struct Factory;
//!
//! impl StoreFactory for Factory {
//!     fn types(&self) -> &[&str] {
//!         &["lengths"]
//!     }
//!     fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
//!         settings.unknown_keys(&[])
//!     }
//!     fn open(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
//!         Ok(Box::new(Lengths))
//!     }
//! }
//!
//! let text = "
//! version: 1
//! secretStores:
//!   demo: { type: lengths }
//! envs:
//!   dev:
//!     SIZE: { from: store://demo/some/key }
//!     PORT: { literal: 8080 }
//! ";
//! let config = Config::parse("dsops.yaml", text)?;
//! let plan = plan(&config, "dev", &Factory)?;
//! assert_eq!(plan.variables[1].source_text(), "store://demo/some/key");
//!
//! let cx = OpenContext::new(config.base_dir(), &NoEnvironment);
//! let resolved = resolve(&plan, &Factory, &cx, &ResolveOptions::default())?;
//! assert_eq!(&*resolved.get("SIZE").expect("resolved").expose(), b"8");
//! assert_eq!(&*resolved.get("PORT").expect("resolved").expose(), b"8080");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cache;
mod config;
mod diagnostic;
mod error;
pub mod format;
mod plan;
mod reference;
mod resolve;
mod settings;
mod source;
pub mod store;
pub mod transform;
pub mod yaml;

pub use cache::{CacheScope, CacheSettings, CacheUse, Caching, Identity, SecretCache};
pub use config::{
    Change, Config, ConfigErrors, ConfigFile, ExplainedStore, Explanation, FILE_NAME, LoadOptions,
    MAX_CONFIG_BYTES, Migration, Origin, Scope, Selection, Template, Variables, find_config,
    migrate,
};
pub use diagnostic::{Diagnostic, Place, Severity, codes, suggest};
pub use error::{StoreError, TAMPERED_HELP};
pub use plan::{Plan, PlannedSource, PlannedStore, PlannedVariable, plan};
pub use reference::{Reference, ReferenceError, ReferenceErrorKind};
pub use resolve::{
    CheckReport, CheckedItem, FromCache, ItemState, PROGRESS_AFTER, Progress, ProgressEvent,
    ResolveCause, ResolveError, ResolveErrors, ResolveOptions, Resolved, StoreHealth, SystemTiming,
    Timing, check, check_stores, resolve,
};
pub use settings::StoreSettings;
pub use store::{
    Address, Description, Environment, FetchContext, Fields, Health, Item, Limits, NoEnvironment,
    OpenContext, Power, Store, StoreFactory,
};

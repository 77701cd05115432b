//! (being written)
mod diagnostic;
mod error;
mod settings;
mod source;
mod store;
pub mod yaml;

pub use diagnostic::{Diagnostic, Place, Severity, codes, suggest};
pub use error::StoreError;
pub use settings::StoreSettings;
pub use store::{
    Address, Environment, FetchContext, Health, Item, NoEnvironment, OpenContext, Store,
    StoreFactory,
};

//! The store `env`: variables of the environment that `dsops` was started with.

use std::ffi::OsStr;

use dsops_resolver::{
    Diagnostic, FetchContext, Health, Item, OpenContext, Store, StoreError, StoreFactory,
    StoreSettings,
};
use dsops_secure_mem::SecretBytes;

const PREFIX: &str = "prefix";

/// Makes stores of the type `env`, with the optional setting `prefix`, which is put before every
/// name that is asked for.
///
/// # Security
/// A variable is moved: the child does not inherit it under its old name, and no copy stays in our
/// own environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvFactory;

impl StoreFactory for EnvFactory {
    fn types(&self) -> &[&str] {
        &["env"]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        let mut problems = settings.unknown_keys(&[PREFIX]);
        problems.extend(settings.text(PREFIX).err());
        problems
    }

    fn open(
        &self,
        settings: &StoreSettings,
        _: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        let prefix = settings.text(PREFIX)?.unwrap_or_default().to_owned();
        Ok(Box::new(Env { prefix }))
    }
}

struct Env {
    prefix: String,
}

impl Store for Env {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        items.iter().map(|item| self.value(item)).collect()
    }

    fn check(&self, _: &FetchContext<'_>) -> Result<Health, StoreError> {
        Ok(Health::Checked("the environment is always there".to_owned()))
    }
}

impl Env {
    fn value(&self, item: &Item) -> Result<SecretBytes, StoreError> {
        if item.version.is_some() {
            return Err(StoreError::unsupported("a version"));
        }
        let name = format!("{}{}", self.prefix, item.key);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(StoreError::not_found(name));
        }
        match dsops_secure_mem::take_env(OsStr::new(&name)) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(StoreError::not_found(name)),
            Err(error @ dsops_secure_mem::Error::Threads { .. }) => Err(StoreError::unavailable(
                format!("the variable {name} cannot be moved"),
                Some(std::sync::Arc::new(error) as _),
            )),
            Err(error) => Err(error.into()),
        }
    }
}

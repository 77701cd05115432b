//! The store `env`: variables of the environment that `dsops` was started with.

use std::collections::BTreeMap;

use dsops_resolver::{
    Caching, Description, Diagnostic, FetchContext, Health, Item, Limits, OpenContext, Store,
    StoreError, StoreFactory, StoreSettings,
    format::{Kind, Setting},
};
use dsops_secure_mem::SecretBytes;

const PREFIX: &str = "prefix";

const SETTINGS: &[Setting] =
    &[Setting::new(PREFIX, Kind::Text, "What is put before every name that is asked for.")];

/// Makes stores of the type `env`, with the optional setting `prefix`, which is put before every
/// name that is asked for.
///
/// # Security
/// A variable is taken as a credential: the child does not inherit it under its old name unless the
/// user keeps it. It is read while the store is opened, before any other thread runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvFactory;

impl StoreFactory for EnvFactory {
    fn types(&self) -> &[&str] {
        &["env"]
    }

    fn settings(&self, _: &str) -> Option<&'static [Setting]> {
        Some(SETTINGS)
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        settings.check(SETTINGS)
    }

    fn limits(&self, _: &StoreSettings) -> Limits {
        Limits::immediate()
    }

    fn caching(&self, _: &StoreSettings) -> Caching {
        Caching::Refused("the environment is there in every run")
    }

    fn open(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        let prefix = settings.text(PREFIX)?.unwrap_or_default().to_owned();
        let mut values = BTreeMap::new();
        for item in cx.items {
            let name = format!("{prefix}{}", item.key);
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            if is_name && let Some(value) = cx.environment.credential(&name)? {
                values.insert(name, value);
            }
        }
        Ok(Box::new(Env { prefix, values }))
    }
}

struct Env {
    prefix: String,
    /// By name, prefix included.
    values: BTreeMap<String, SecretBytes>,
}

impl Store for Env {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        items.iter().map(|item| self.value(item)).collect()
    }

    fn describe(
        &self,
        items: &[Item],
        _: &FetchContext<'_>,
    ) -> Vec<Result<Description, StoreError>> {
        let describe = |item| self.find(item).map(|_| Description::new().with_kind("variable"));
        items.iter().map(describe).collect()
    }

    fn check(&self, _: &FetchContext<'_>) -> Result<Health, StoreError> {
        Ok(Health::checked("the environment is always there"))
    }
}

impl Env {
    fn value(&self, item: &Item) -> Result<SecretBytes, StoreError> {
        Ok(SecretBytes::copy_from(&self.find(item)?.expose())?)
    }

    fn find(&self, item: &Item) -> Result<&SecretBytes, StoreError> {
        if item.version.is_some() {
            return Err(StoreError::unsupported("a version"));
        }
        let name = format!("{}{}", self.prefix, item.key);
        self.values.get(&name).ok_or_else(|| StoreError::not_found(name))
    }
}

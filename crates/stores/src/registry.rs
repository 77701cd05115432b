//! All stores that are compiled in, behind one factory.

use dsops_resolver::{
    Address, Caching, Diagnostic, Fields, Identity, Item, Limits, OpenContext, Power, Store,
    StoreError, StoreFactory, StoreSettings, format::Setting,
};

/// Makes a store of every type that is compiled in.
///
/// Use one registry for a whole run: stores that share credentials share them through it.
#[derive(Debug, Default)]
pub struct Registry {
    #[cfg(feature = "literal")]
    literal: crate::literal::LiteralFactory,
    #[cfg(feature = "env")]
    env: crate::env::EnvFactory,
    #[cfg(feature = "sops")]
    sops: crate::sops::SopsFactory,
}

const TYPES: &[&str] = &[
    #[cfg(feature = "literal")]
    "literal",
    #[cfg(feature = "env")]
    "env",
    #[cfg(feature = "sops")]
    "sops",
];

impl Registry {
    /// A registry that has opened nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg_attr(
        not(any(feature = "literal", feature = "env", feature = "sops")),
        expect(clippy::unused_self, reason = "without stores there is nothing to find")
    )]
    fn factory(&self, store_type: &str) -> Result<&dyn StoreFactory, StoreError> {
        let factories: [&dyn StoreFactory; TYPES.len()] = [
            #[cfg(feature = "literal")]
            &self.literal,
            #[cfg(feature = "env")]
            &self.env,
            #[cfg(feature = "sops")]
            &self.sops,
        ];
        factories.into_iter().find(|factory| factory.types().contains(&store_type)).ok_or_else(
            || StoreError::Setting {
                message: format!("the store type `{store_type}` is not known"),
                help: Some(format!("known types: {}", TYPES.join(", "))),
            },
        )
    }
}

impl StoreFactory for Registry {
    fn types(&self) -> &[&str] {
        TYPES
    }

    fn missing_type_help(&self, store_type: &str) -> Option<String> {
        crate::elsewhere::help(store_type, TYPES)
    }

    fn settings(&self, store_type: &str) -> Option<&'static [Setting]> {
        self.factory(store_type).ok()?.settings(store_type)
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        match self.factory(settings.store_type()) {
            Ok(factory) => factory.validate(settings),
            Err(error) => vec![settings.error("type", error.to_string())],
        }
    }

    fn item(&self, settings: &StoreSettings, address: Address) -> Result<Item, StoreError> {
        self.factory(settings.store_type())?.item(settings, address)
    }

    fn fields(&self, settings: &StoreSettings) -> Fields {
        self.factory(settings.store_type())
            .map(|factory| factory.fields(settings))
            .unwrap_or_default()
    }

    fn powers(&self, settings: &StoreSettings) -> Vec<Power> {
        self.factory(settings.store_type())
            .map(|factory| factory.powers(settings))
            .unwrap_or_default()
    }

    fn limits(&self, settings: &StoreSettings) -> Limits {
        self.factory(settings.store_type())
            .map(|factory| factory.limits(settings))
            .unwrap_or_default()
    }

    fn caching(&self, settings: &StoreSettings) -> Caching {
        self.factory(settings.store_type())
            .map(|factory| factory.caching(settings))
            .unwrap_or_default()
    }

    fn identity(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Identity, StoreError> {
        self.factory(settings.store_type())?.identity(settings, cx)
    }

    fn open(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        self.factory(settings.store_type())?.open(settings, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_has_its_factory() {
        let registry = Registry::new();
        for store_type in registry.types() {
            assert_eq!(registry.factory(store_type).unwrap().types(), [*store_type]);
        }
        let settings = StoreSettings::parse("x", "type: vault\n").unwrap();
        assert_eq!(registry.validate(&settings).len(), 1);
    }
}

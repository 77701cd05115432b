//! Any text: a configuration loads or says why; every environment of it plans or says why; what is
//! migrated stays migrated.
#![no_main]

use dsops_resolver::{
    Config, Diagnostic, OpenContext, Store, StoreError, StoreFactory, StoreSettings, migrate, plan,
};
use libfuzzer_sys::fuzz_target;

/// Takes every setting of two types; nothing is opened.
struct Factory;

impl StoreFactory for Factory {
    fn types(&self) -> &[&str] {
        &["sops", "env"]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        let mut problems = settings.unknown_keys(&["file", "prefix"]);
        problems.extend(settings.required_text("file").err());
        problems.extend(settings.boolean("prefix").err());
        problems.extend(settings.texts("many").err());
        problems
    }

    fn open(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
        unreachable!("planning opens nothing")
    }
}

fuzz_target!(|text: &str| {
    if let Ok(migration) = migrate("dsops.yaml", text) {
        // What was done leaves nothing to be done.
        let again = migrate("dsops.yaml", &migration.text).expect("it was YAML before");
        assert!(again.changes.is_empty());
    }
    match Config::parse("dsops.yaml", text) {
        Err(errors) => errors.diagnostics().iter().for_each(|diagnostic| drop(diagnostic.render())),
        Ok(config) => {
            config.findings().iter().for_each(|finding| drop(finding.render()));
            for environment in config.environments() {
                drop(config.powers(environment, &Factory, &|name| name == "PATH"));
                for name in config.variables(environment) {
                    assert!(config.explain(environment, name).is_some());
                }
                if let Err(errors) = plan(&config, environment, &Factory) {
                    errors.diagnostics().iter().for_each(|diagnostic| drop(diagnostic.render()));
                }
            }
        }
    }
});

//! A store of one's own, and a configuration that reads from it.

use dsops_resolver::{
    Config, Diagnostic, FetchContext, Item, NoEnvironment, OpenContext, ResolveOptions, Store,
    StoreError, StoreFactory, StoreSettings, plan, resolve,
};
use dsops_secure_mem::SecretBytes;

/// Answers every key with the key itself.
struct Echo;

impl Store for Echo {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        items.iter().map(|item| Ok(SecretBytes::copy_from(item.key.as_bytes())?)).collect()
    }
}

/// Makes stores of the type `echo`, which has no settings.
struct EchoFactory;

impl StoreFactory for EchoFactory {
    fn types(&self) -> &[&str] {
        &["echo"]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        settings.unknown_keys(&[])
    }

    fn open(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Echo))
    }
}

const CONFIG: &str = "
version: 1
secretStores:
  demo: { type: echo }
envs:
  dev:
    WORD: { from: store://demo/some/key }
    PORT: { literal: 8080 }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::parse("dsops.yaml", CONFIG)?;
    let plan = plan(&config, "dev", &EchoFactory)?; // no store is opened for this

    let cx = OpenContext::new(config.base_dir(), &NoEnvironment);
    let resolved = resolve(&plan, &EchoFactory, &cx, &ResolveOptions::default())?;
    let word = resolved.get("WORD").ok_or("WORD is missing")?;
    assert_eq!(&*word.expose(), b"some/key");
    Ok(())
}

//! Resolves two variables, each from its own field of one item.

use dsops_resolver::{
    Config, Diagnostic, FetchContext, Item, NoEnvironment, OpenContext, ResolveOptions, Store,
    StoreError, StoreFactory, StoreSettings, plan, resolve,
};
use dsops_secure_mem::SecretBytes;

struct Demo; // a store of one JSON document; real ones are in `dsops-stores`

impl Store for Demo {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        let document = br#"{ "user": "app", "password": "aHVudGVyMg" }"#;
        items.iter().map(|_| Ok(SecretBytes::copy_from(document)?)).collect()
    }
}

impl StoreFactory for Demo {
    fn types(&self) -> &[&str] {
        &["demo"]
    }
    fn validate(&self, _: &StoreSettings) -> Vec<Diagnostic> {
        Vec::new()
    }
    fn open(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Demo))
    }
}

const CONFIG: &str = "
version: 1
secretStores: { db: { type: demo } }
envs:
  dev:
    DB_USER: { from: store://db/login#user }
    DB_PASSWORD: { from: store://db/login#password, transform: base64_decode }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::parse("dsops.yaml", CONFIG)?;
    let plan = plan(&config, "dev", &Demo)?;
    let cx = OpenContext::new(config.base_dir(), &NoEnvironment);
    let resolved = resolve(&plan, &Demo, &cx, &ResolveOptions::default())?;
    assert_eq!(&*resolved.get("DB_USER").ok_or("missing")?.expose(), b"app");
    assert_eq!(&*resolved.get("DB_PASSWORD").ok_or("missing")?.expose(), b"hunter2");
    Ok(())
}

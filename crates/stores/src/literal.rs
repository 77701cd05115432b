//! The store `literal`: values that stand in `dsops.yaml` itself. For what is no secret.

use std::collections::BTreeMap;

use dsops_resolver::{
    Caching, Description, Diagnostic, FetchContext, Health, Item, Limits, OpenContext, Store,
    StoreError, StoreFactory, StoreSettings, codes,
    format::{Kind, Setting},
    suggest,
    yaml::{Node, Scalar},
};
use dsops_secure_mem::SecretBytes;

const VALUES: &str = "values";

const SETTINGS: &[Setting] = &[Setting::new(
    VALUES,
    Kind::Map(&Kind::Text),
    "Names and their values, which have to be text: a number or `true` is put in quotes.",
)];

/// Makes stores of the type `literal`, with the setting `values`: names and their texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiteralFactory;

impl StoreFactory for LiteralFactory {
    fn types(&self) -> &[&str] {
        &["literal"]
    }

    fn settings(&self, _: &str) -> Option<&'static [Setting]> {
        Some(SETTINGS)
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        let mut problems = settings.unknown_keys(&[VALUES]);
        match settings.mapping(VALUES) {
            Ok(values) => {
                let values = values.unwrap_or_default().iter();
                let wrong = values.filter(|(_, value)| text(value).is_none());
                problems.extend(wrong.map(|(key, value)| not_text(settings, key, value)));
            }
            Err(problem) => problems.push(problem),
        }
        problems
    }

    fn limits(&self, _: &StoreSettings) -> Limits {
        Limits::immediate()
    }

    fn caching(&self, _: &StoreSettings) -> Caching {
        Caching::Refused("they stand in dsops.yaml")
    }

    fn open(
        &self,
        settings: &StoreSettings,
        _: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        let mut values = BTreeMap::new();
        for (key, value) in settings.mapping(VALUES)?.unwrap_or_default() {
            let text = text(value).ok_or_else(|| not_text(settings, key, value))?;
            let name = key.as_str().unwrap_or_default().to_owned();
            values.insert(name, SecretBytes::copy_from(text.as_bytes())?);
        }
        Ok(Box::new(Literal { values }))
    }
}

struct Literal {
    values: BTreeMap<String, SecretBytes>,
}

impl Store for Literal {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        items.iter().map(|item| self.value(item)).collect()
    }

    fn describe(
        &self,
        items: &[Item],
        _: &FetchContext<'_>,
    ) -> Vec<Result<Description, StoreError>> {
        let describe = |item| self.find(item).map(|_| Description::new().with_kind("in the clear"));
        items.iter().map(describe).collect()
    }

    fn check(&self, _: &FetchContext<'_>) -> Result<Health, StoreError> {
        Ok(Health::checked(format!("{} values in the configuration", self.values.len())))
    }
}

impl Literal {
    fn value(&self, item: &Item) -> Result<SecretBytes, StoreError> {
        Ok(SecretBytes::copy_from(&self.find(item)?.expose())?)
    }

    fn find(&self, item: &Item) -> Result<&SecretBytes, StoreError> {
        if item.version.is_some() {
            return Err(StoreError::unsupported("a version"));
        }
        self.values.get(&item.key).ok_or_else(|| StoreError::NotFound {
            key: item.key.clone(),
            suggestion: suggest(&item.key, self.values.keys().map(String::as_str))
                .map(str::to_owned),
        })
    }
}

/// A number or a boolean has several spellings; only text is what was meant to the byte.
fn text(value: &Node) -> Option<&str> {
    match value.scalar() {
        Some(Scalar::Str(text)) => Some(text),
        _ => None,
    }
}

fn not_text(settings: &StoreSettings, key: &Node, value: &Node) -> Diagnostic {
    let name = key.as_str().unwrap_or_default();
    let message = format!("the value of `{name}` is not text");
    settings.error_at(value, codes::STORE_SETTING, message).help("put it in quotes")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dsops_resolver::NoEnvironment;

    use super::*;

    fn settings(text: &str) -> StoreSettings {
        StoreSettings::parse("here", &format!("type: literal\n{text}")).unwrap()
    }

    fn open(text: &str) -> Result<Box<dyn Store>, StoreError> {
        let cx = OpenContext::new(Path::new("."), &NoEnvironment);
        LiteralFactory.open(&settings(text), &cx)
    }

    fn get(store: &dyn Store, key: &str, version: Option<&str>) -> Result<Vec<u8>, StoreError> {
        let item = Item { key: key.to_owned(), version: version.map(str::to_owned) };
        let mut values = store.fetch(&[item], &FetchContext::default());
        values.pop().unwrap().map(|value| value.expose().to_vec())
    }

    #[test]
    fn values_are_taken_as_written() {
        let store = open("values: {HOST: localhost, PORT: '8080', EMPTY: ''}").unwrap();
        assert_eq!(get(&*store, "HOST", None).unwrap(), b"localhost");
        assert_eq!(get(&*store, "PORT", None).unwrap(), b"8080");
        assert_eq!(get(&*store, "EMPTY", None).unwrap(), b"");
        let missing = get(&*store, "HOTS", None).unwrap_err();
        assert_eq!(missing.help().unwrap(), "did you mean `HOST`?");
        assert!(matches!(get(&*store, "HOST", Some("1")), Err(StoreError::Unsupported { .. })));
        assert!(get(&*open("").unwrap(), "HOST", None).is_err());
    }

    #[test]
    fn what_is_not_text_is_an_error_and_not_dropped() {
        for value in ["8080", "true", "[a]", "{a: b}", "~", "2001-12-14"] {
            let text = format!("values: {{A: text, B: {value}}}");
            let problems = LiteralFactory.validate(&settings(&text));
            assert_eq!(problems.len(), 1, "{value}");
            assert!(problems[0].message.contains("`B` is not text"), "{value}");
            assert!(matches!(open(&text), Err(StoreError::Setting { .. })), "{value}");
        }
        assert_eq!(LiteralFactory.validate(&settings("values: [a]")).len(), 1);
        assert_eq!(LiteralFactory.validate(&settings("value: {a: b}")).len(), 1);
    }
}

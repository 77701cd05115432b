//! Stores that answer from memory and count what they are asked.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use dsops_resolver::{
    Address, Diagnostic, FetchContext, Fields, Item, OpenContext, Store, StoreError, StoreFactory,
    StoreSettings,
};
use dsops_secure_mem::SecretBytes;

/// What happened, in the order it happened.
#[derive(Debug, Default)]
pub struct Log {
    pub opened: Vec<String>,
    /// Store, items, thread.
    pub fetched: Vec<(String, Vec<Item>, ThreadId)>,
}

/// Makes stores of the types `fake` (its items under `values`), and `field`, which joins key and
/// field with a dot. Keys that name a failure fail so.
#[derive(Default)]
pub struct Fakes {
    pub log: std::sync::Arc<Mutex<Log>>,
}

struct Fake {
    name: String,
    values: BTreeMap<String, String>,
    log: std::sync::Arc<Mutex<Log>>,
}

impl StoreFactory for Fakes {
    fn types(&self) -> &[&str] {
        &["fake", "field"]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        let mut problems = settings.unknown_keys(&["values", "broken", "token"]);
        problems.extend(settings.mapping("values").err());
        if settings.text("broken").is_ok_and(|how| how == Some("badly")) {
            problems.push(settings.error("broken", "`broken` cannot be this").help("mend it"));
        }
        problems
    }

    fn item(&self, settings: &StoreSettings, address: Address) -> Result<Item, StoreError> {
        let Address { key, field, version } = address;
        if key.starts_with('!') {
            return Err(StoreError::unsupported("a key that starts with `!`"));
        }
        match (settings.store_type(), field) {
            (_, None) => Ok(Item { key, version }),
            ("field", Some(field)) => Ok(Item { key: format!("{key}.{field}"), version }),
            _ => Err(StoreError::unsupported("a field (`#…`)")),
        }
    }

    fn fields(&self, settings: &StoreSettings) -> Fields {
        if settings.store_type() == "field" { Fields::Own } else { Fields::Extract }
    }

    fn open(
        &self,
        settings: &StoreSettings,
        _: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        self.log.lock().unwrap().opened.push(settings.name().to_owned());
        match settings.text("broken")? {
            Some("locked") => {
                return Err(StoreError::Locked {
                    reason: "no identity fits".into(),
                    help: Some("set SOPS_AGE_KEY_FILE".into()),
                });
            }
            Some("panic") => panic!("a store that panics while it is opened"),
            _ => {}
        }
        let values = settings.mapping("values")?.unwrap_or_default().iter();
        Ok(Box::new(Fake {
            name: settings.name().to_owned(),
            values: values
                .map(|(key, value)| {
                    (key.as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned())
                })
                .collect(),
            log: std::sync::Arc::clone(&self.log),
        }))
    }
}

impl Store for Fake {
    fn fetch(&self, items: &[Item], cx: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        let entry = (self.name.clone(), items.to_vec(), thread::current().id());
        self.log.lock().unwrap().fetched.push(entry);
        let asked = |key: &str| items.iter().any(|item| item.key == key);
        assert!(!asked("panic"), "a store that panics while it fetches");
        if asked("short") {
            return Vec::new();
        }
        items.iter().map(|item| self.one(item, cx)).collect()
    }
}

impl Fake {
    fn one(&self, item: &Item, cx: &FetchContext<'_>) -> Result<SecretBytes, StoreError> {
        cx.check_deadline()?;
        match item.key.as_str() {
            "tampered" => Err(StoreError::Tampered {
                what: "f.yaml".into(),
                reason: "the MAC differs".into(),
            }),
            "denied" => Err(StoreError::Denied { reason: "no permission".into(), help: None }),
            "io" => Err(StoreError::io("read", "f.yaml", std::io::Error::other("disk on fire"))),
            key => match self.values.get(key) {
                Some(value) => Ok(SecretBytes::copy_from(value.as_bytes())?),
                None => Err(StoreError::NotFound {
                    key: key.to_owned(),
                    suggestion: dsops_resolver::suggest(
                        key,
                        self.values.keys().map(String::as_str),
                    )
                    .map(str::to_owned),
                }),
            },
        }
    }
}

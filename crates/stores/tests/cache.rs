//! Answers kept between runs: when a store is asked, what stands in for it, and what is never used.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dsops_integrity_cache::ManualClock;
use dsops_resolver::{
    CacheScope, CacheUse, Config, Diagnostic, Identity, Item, ItemState, Limits, NoEnvironment,
    OpenContext, ResolveErrors, ResolveOptions, Resolved, SecretCache as _, Store, StoreError,
    StoreFactory, StoreSettings, check, plan, resolve,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::cache::{
    Note, Places, StoreCache, destroy, is_key_there, is_there, read_events, rekey,
};
use dsops_testkit::{Behaviour, Faulty, Log, Open, Script, VirtualTime};

const HOUR_MS: u64 = 3_600_000;

/// A project with a cache; each run is a process of its own as far as the cache can tell.
struct Fixture {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    settings: String,
    keys: Vec<&'static str>,
}

struct Outcome {
    result: Result<Resolved, ResolveErrors>,
    log: Log,
    notes: Vec<Note>,
}

impl Outcome {
    fn value(&self, name: &str) -> String {
        let resolved = self.result.as_ref().expect("resolves");
        String::from_utf8(resolved.get(name).expect("is there").expose().to_vec()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        let items = self.log.calls.iter().flat_map(|(_, items, _)| items);
        items.map(|item| item.key.clone()).collect()
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.result.as_ref().expect_err("fails").errors();
        errors.iter().map(|error| std::error::Error::source(error).unwrap().to_string()).collect()
    }
}

impl Fixture {
    fn new(cache: &str, keys: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("project")).unwrap();
        Self {
            folder,
            clock: Arc::new(ManualClock::new(1_700_000_000_000)),
            settings: format!("cache: {cache}, retries: 0"),
            keys: keys.to_vec(),
        }
    }

    fn places(&self) -> Places {
        let at = |name| self.folder.path().join(name);
        Places { cache_dir: at("cache"), state_dir: at("state") }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn config(&self) -> Config {
        let mut text = format!(
            "version: 1\nsecretStores:\n  s: {{ type: faulty, {} }}\nenvs:\n  dev:\n",
            self.settings
        );
        for key in &self.keys {
            writeln!(text, "    {}: store://s/{key}", key.to_uppercase()).unwrap();
        }
        Config::parse("dsops.yaml", &text).unwrap()
    }

    fn run(&self, script: Script) -> Outcome {
        self.run_as(script, CacheUse::Normal)
    }

    fn run_as(&self, script: Script, cache_use: CacheUse) -> Outcome {
        let time = Arc::new(VirtualTime::new(7));
        let factory = Faulty::new(&time).with("s", script);
        let cache = self.cache();
        let plan = plan(&self.config(), "dev", &factory).unwrap();
        let mut options = ResolveOptions::default();
        options.cache = Some(&cache);
        options.cache_use = cache_use;
        options.timing = Some(&*time);
        let project = self.project();
        let result =
            resolve(&plan, &factory, &OpenContext::new(&project, &NoEnvironment), &options);
        Outcome { result, log: factory.log(), notes: cache.notes() }
    }

    fn cache(&self) -> StoreCache {
        StoreCache::new(self.places()).with_clock(self.clock.clone())
    }

    /// The files of entries.
    fn entries(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.places().cache_dir).unwrap();
        let folders = folders.map(|entry| entry.unwrap().path());
        let folders = folders.filter(|path| path.is_dir() && !path.ends_with("quarantine"));
        folders.flat_map(|path| fs::read_dir(path).unwrap()).map(|e| e.unwrap().path()).collect()
    }
}

fn both() -> Script {
    Script::new().with_value("a", "first").with_value("b", "second")
}

fn failing(error: &StoreError) -> Script {
    Script::new()
        .with("a", Behaviour::Fails(error.clone()))
        .with("b", Behaviour::Fails(error.clone()))
}

fn unavailable() -> StoreError {
    StoreError::unavailable("connection refused", None)
}

#[test]
fn a_store_whose_answers_are_there_is_not_opened() {
    let at = Fixture::new("{ ttl: 1h }", &["a", "b"]);
    let cold = at.run(both());
    assert_eq!(cold.asked(), ["a", "b"]);
    assert!(cold.result.as_ref().unwrap().cached().is_empty());
    let warm = at.run(Script { open: Open::Panics, ..Script::new() });
    assert_eq!((warm.value("A"), warm.value("B")), ("first".into(), "second".into()));
    assert!(warm.log.opened.is_empty() && warm.notes.is_empty(), "{:?}", warm.notes);
    let told = warm.result.as_ref().unwrap().cached();
    assert_eq!((told[0].items, told[0].instead.is_none()), (2, true));
    at.clock.advance(HOUR_MS);
    let expired = at.run(both());
    assert_eq!(expired.asked(), ["a", "b"]);
}

#[test]
fn only_what_is_missing_is_asked_for_in_batches() {
    let mut at = Fixture::new("{ ttl: 1h }", &["a"]);
    at.run(both());
    at.keys = vec!["a", "b", "c", "d"];
    let script = || both().with_value("c", "3").with_value("d", "4");
    let more = at.run(script().with_limits(Limits::default().with_batch(2)));
    let mut calls: Vec<_> = more.log.calls.iter().map(|(_, items, _)| items.len()).collect();
    calls.sort_unstable();
    assert_eq!((more.asked().len(), calls), (3, vec![1, 2]));
    assert_eq!(more.value("D"), "4");
    assert!(at.run(script()).asked().is_empty());
}

#[test]
fn refresh_asks_and_keeps() {
    let at = Fixture::new("{ ttl: 1h }", &["a"]);
    at.run(both());
    let refreshed = at.run_as(Script::new().with_value("a", "newer"), CacheUse::Refresh);
    assert_eq!(refreshed.value("A"), "newer");
    assert_eq!(at.run(Script::new()).value("A"), "newer");
    let failed = at.run_as(failing(&unavailable()), CacheUse::Refresh);
    assert_eq!(failed.errors(), ["not available: connection refused"]);
}

#[test]
fn an_older_answer_stands_in_only_within_its_bound_and_only_for_no_answer() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 1h }", &["a", "b"]);
    at.run(both());
    at.clock.advance(HOUR_MS + HOUR_MS / 2);
    let stale = at.run(failing(&unavailable()));
    assert_eq!(stale.value("B"), "second");
    let told = &stale.result.as_ref().unwrap().cached()[0];
    assert_eq!(told.items, 2);
    assert_eq!(told.instead.as_ref().unwrap().to_string(), "not available: connection refused");
    assert!(told.oldest.is_some());
    for error in [
        StoreError::DeadlineExceeded,
        StoreError::Throttled { reason: "429".into(), retry_after: None },
        StoreError::io("read", "f", std::io::Error::from(std::io::ErrorKind::TimedOut)),
    ] {
        assert_eq!(at.run(failing(&error)).value("A"), "first", "{error}");
    }
    for error in [
        StoreError::Denied { reason: "403".into(), help: None },
        StoreError::Locked { reason: "sealed".into(), help: None },
        StoreError::Tampered { what: "f".into(), reason: "MAC".into() },
        StoreError::Panicked,
        StoreError::io("open", "f", std::io::Error::from(std::io::ErrorKind::PermissionDenied)),
        StoreError::io("open", "f", std::io::Error::from(std::io::ErrorKind::NotFound)),
    ] {
        assert_eq!(at.run(failing(&error)).errors(), [error.to_string()]);
    }
    at.clock.advance(HOUR_MS / 2);
    assert_eq!(at.run(failing(&unavailable())).errors(), ["not available: connection refused"]);
}

#[test]
fn an_answer_stands_in_for_a_call_that_hangs_or_a_store_that_does_not_open() {
    let mut at = Fixture::new("{ ttl: 1h, stale_if_error: 1h }", &["a"]);
    at.settings += ", timeout_ms: 200";
    at.run(both());
    at.clock.advance(HOUR_MS + 1);
    let hung = at.run(Script::new().with("a", Behaviour::Hangs));
    assert_eq!((hung.value("A"), hung.asked()), ("first".into(), vec!["a".into()]));
    let closed = at.run(Script { open: Open::Fails(unavailable()), ..Script::new() });
    assert_eq!(closed.value("A"), "first");
}

#[test]
fn without_stale_if_error_nothing_stands_in() {
    let at = Fixture::new("{ ttl: 1h, max_ttl: 9h }", &["a"]);
    at.run(both());
    at.clock.advance(HOUR_MS);
    assert_eq!(at.run(failing(&unavailable())).errors(), ["not available: connection refused"]);
}

#[test]
fn an_answer_that_there_is_no_such_item_is_believed_and_not_kept() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 9h }", &["a"]);
    at.run(both());
    at.clock.advance(HOUR_MS);
    assert_eq!(at.run(Script::new()).errors(), ["there is no item `a`"]);
    // Forgotten: it does not come back when the store is away.
    assert_eq!(at.run(failing(&unavailable())).errors(), ["not available: connection refused"]);
    assert_eq!(at.run(both()).value("A"), "first");
}

#[test]
fn offline_opens_no_store_and_says_what_is_missing() {
    let mut at = Fixture::new("{ ttl: 1h, max_ttl: 5h }", &["a"]);
    let none = at.run_as(both(), CacheUse::Offline);
    assert_eq!(
        none.errors(),
        ["not in the cache: no answer for `a` is there that is young enough"]
    );
    assert!(none.log.opened.is_empty() && !is_there(&at.places()));
    at.run(both());
    at.clock.advance(4 * HOUR_MS);
    assert_eq!(at.run_as(Script::new(), CacheUse::Offline).value("A"), "first");
    at.keys.push("b");
    let part = at.run_as(both(), CacheUse::Offline);
    assert_eq!(part.errors().len(), 1);
    assert!(part.log.opened.is_empty());
    at.clock.advance(HOUR_MS);
    assert_eq!(at.run_as(both(), CacheUse::Offline).errors().len(), 2);
    at.settings = "cache: { ttl: 1h, offline: deny }".to_owned();
    let denied = at.run_as(both(), CacheUse::Offline).errors();
    assert_eq!(denied, ["not in the cache: `offline: deny` of the store `s` forbids it"]);
    at.settings = "retries: 0".to_owned();
    let without = at.run_as(both(), CacheUse::Offline).errors();
    assert_eq!(without, ["not in the cache: nothing is kept of the store `s`"]);
}

#[test]
fn offline_a_check_says_what_the_cache_has() {
    let at = Fixture::new("{ ttl: 1h }", &["a", "b"]);
    at.run(Script::new().with_value("a", "first").with("b", Behaviour::Fails(unavailable())));
    let time = Arc::new(VirtualTime::new(7));
    let factory = Faulty::new(&time).with("s", both());
    let (cache, project) = (at.cache(), at.project());
    let plan = plan(&at.config(), "dev", &factory).unwrap();
    let mut options = ResolveOptions::default();
    options.cache = Some(&cache);
    options.cache_use = CacheUse::Offline;
    let report = check(&plan, &factory, &OpenContext::new(&project, &NoEnvironment), &options);
    assert!(matches!(&report.of("A").unwrap().state, ItemState::Exists(d) if d.changed.is_some()));
    assert!(matches!(
        &report.of("B").unwrap().state,
        ItemState::Failed(StoreError::NotCached { .. })
    ));
    assert!(factory.log().opened.is_empty());
}

#[test]
fn nothing_else_finds_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let cache = StoreCache::new(Places { cache_dir: at("cache"), state_dir: at("state") });
    for project in ["p", "q"] {
        fs::create_dir(at(project)).unwrap();
    }
    let settings = |name: &str, text: &str| StoreSettings::parse(name, text).unwrap();
    let item = |key: &str, version: Option<&str>| Item {
        key: key.to_owned(),
        version: version.map(str::to_owned),
    };
    let identity = |who: &str| Identity::new().with("token", who).unwrap();
    let hour = Duration::from_hours(1);
    let own = settings("s", "{ type: t, url: 'https://a', list: [x, y] }");
    let (p, q) = (at("p"), at("q"));
    let scope = CacheScope::new(&own, &p, identity("me"));
    let value = SecretBytes::copy_from(b"hunter2").unwrap();
    cache.keep(&scope, &[(&item("k", None), &value)], hour);
    let is_found = |settings: &StoreSettings, base: &Path, who: Identity, item: Item| {
        cache.get(&CacheScope::new(settings, base, who), &[item], hour)[0].is_some()
    };
    assert!(is_found(&own, &p, identity("me"), item("k", None)));
    // What decides how long is none of it.
    let longer = settings("s", "{ type: t, url: 'https://a', list: [x, y], cache: { ttl: 9h } }");
    assert!(is_found(&longer, &p, identity("me"), item("k", None)));
    assert!(!is_found(&own, &q, identity("me"), item("k", None)), "another project");
    assert!(!is_found(&own, &p, identity("you"), item("k", None)), "another identity");
    assert!(!is_found(&own, &p, Identity::new(), item("k", None)), "no identity");
    assert!(!is_found(&own, &p, identity("me"), item("K", None)), "another item");
    assert!(!is_found(&own, &p, identity("me"), item("k", Some(""))), "a version");
    for (name, text) in [
        ("S", "{ type: t, url: 'https://a', list: [x, y] }"),
        ("s", "{ type: u, url: 'https://a', list: [x, y] }"),
        ("s", "{ type: t, url: 'https://b', list: [x, y] }"),
        ("s", "{ type: t, uri: 'https://a', list: [x, y] }"),
        ("s", "{ type: t, url: 'https://a', list: [[x], y] }"),
        ("s", "{ type: t, url: 'https://a', list: [x], y: '' }"),
        ("s", "{ type: t, url: 'https://a' }"),
        ("s", "{ type: t, url: 'https://a', list: [x, y], port: 1 }"),
    ] {
        assert!(!is_found(&settings(name, text), &p, identity("me"), item("k", None)), "{text}");
    }
    assert!(cache.notes().is_empty());
}

#[test]
fn what_is_on_disk_tells_neither_values_nor_names() {
    let mut at = Fixture::new("{ ttl: 1h }", &["a"]);
    at.settings += ", url: 'https://vault.example'";
    // `faulty` has no such setting; only the cache looks at it here.
    let settings = StoreSettings::parse("corporate", "{ type: t, token: 'letmein' }").unwrap();
    let cache = at.cache();
    let project = at.project();
    let scope = CacheScope::new(&settings, &project, Identity::new());
    let item = Item { key: "production/database".to_owned(), version: None };
    let value = SecretBytes::copy_from(b"correct horse battery").unwrap();
    cache.keep(&scope, &[(&item, &value)], Duration::from_hours(1));
    let mut searched = 0;
    let mut folders = vec![at.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            searched += 1;
            let bytes = fs::read(&path).unwrap();
            for needle in ["correct horse", "letmein", "production", "corporate", "project"] {
                let found = bytes.windows(needle.len()).any(|at| at == needle.as_bytes());
                assert!(!found, "{needle} in {}", path.display());
            }
        }
    }
    assert!(searched >= 5, "{searched}");
}

#[test]
fn an_entry_that_was_changed_is_a_miss_a_note_and_a_record() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 1h }", &["a"]);
    at.run(both());
    let entry = at.entries().remove(0);
    let mut bytes = fs::read(&entry).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    #[allow(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(&entry, &bytes).unwrap();
    let changed = at.run(Script::new().with_value("a", "asked"));
    assert_eq!(changed.value("A"), "asked");
    let [Note::Suspicious { code: "tampered-body", entry: Some(name), .. }] = &changed.notes[..]
    else {
        panic!("{:?}", changed.notes)
    };
    assert_eq!(name.len(), 8);
    assert_eq!(read_events(&at.places().events_file()).len(), 1);
    // What the store said replaced it.
    assert!(at.run(Script::new()).notes.is_empty());
}

#[test]
fn an_entry_from_before_is_not_taken_back() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 9h }", &["a"]);
    at.run(both());
    let entry = at.entries().remove(0);
    let old = fs::read(&entry).unwrap();
    at.run_as(Script::new().with_value("a", "rotated"), CacheUse::Refresh);
    #[allow(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(&entry, old).unwrap();
    let back = at.run(failing(&unavailable()));
    assert_eq!(back.errors(), ["not available: connection refused"]);
    assert!(matches!(&back.notes[..], [Note::Suspicious { code: "rolled-back", .. }]));
}

#[test]
fn a_clock_set_back_revives_nothing() {
    let at = Fixture::new("{ ttl: 1h, max_ttl: 2h }", &["a"]);
    at.run(both());
    at.clock.advance(HOUR_MS);
    at.clock.set_wall(1_700_000_000_000);
    assert_eq!(at.run(Script::new().with_value("a", "asked")).value("A"), "asked");
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_used_costs_a_note_and_nothing_else() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let at = Fixture::new("{ ttl: 1h }", &["a"]);
    let dir = at.places().cache_dir;
    let unusable = |what: &str| {
        let outcome = at.run(both());
        assert_eq!(outcome.value("A"), "first", "{what}");
        match &outcome.notes[..] {
            [Note::Unusable(error)] => error.to_string(),
            other => panic!("{what}: {other:?}"),
        }
    };
    #[allow(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(&dir, "in the way").unwrap();
    assert!(unusable("a file").starts_with("cannot open"));
    fs::remove_file(&dir).unwrap();
    fs::create_dir(at.folder.path().join("elsewhere")).unwrap();
    symlink(at.folder.path().join("elsewhere"), &dir).unwrap();
    assert!(unusable("a link").ends_with("it is a symbolic link"));
    fs::remove_file(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(unusable("open to all").ends_with("other users have access to it"));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(dir.join("mine.txt"), "mine").unwrap();
    assert!(unusable("full of something else").ends_with("it holds other files"));
    fs::remove_file(dir.join("mine.txt")).unwrap();
    at.run(both());
    fs::set_permissions(at.places().key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(unusable("a key open to all").contains("open to others"));
    fs::remove_file(at.places().key_file()).unwrap();
    assert!(unusable("no key").contains("missing"));
    assert!(rekey(&at.places()).is_ok());
    assert!(at.run(both()).notes.is_empty());
    #[allow(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(at.places().salt_file(), "short").unwrap();
    assert!(unusable("a bad salt").ends_with("is not a salt of dsops"));
}

#[test]
fn what_is_destroyed_is_gone_with_its_key() {
    let at = Fixture::new("{ ttl: 1h }", &["a"]);
    assert!(!destroy(&at.places()).unwrap());
    at.run(both());
    assert!(destroy(&at.places()).unwrap());
    assert!(!at.places().cache_dir.exists() && !at.places().key_file().exists());
    assert!(!at.places().salt_file().exists());
    at.run(both());
    let before = fs::read(at.places().key_file()).unwrap();
    rekey(&at.places()).unwrap();
    assert_ne!(fs::read(at.places().key_file()).unwrap(), before);
    assert_eq!(at.run(Script::new()).errors(), ["there is no item `a`"]);
}

#[test]
fn what_only_has_the_name_of_a_key_is_not_destroyed() {
    let at = Fixture::new("{ ttl: 1h }", &["a"]);
    let places = at.places();
    fs::create_dir(&places.state_dir).unwrap();
    for file in [places.key_file(), places.salt_file(), places.events_file()] {
        #[allow(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(&file, "-----BEGIN PRIVATE KEY-----").unwrap();
    }
    assert!(!is_key_there(&places) && !destroy(&places).unwrap());
    assert_eq!(fs::read_dir(&places.state_dir).unwrap().count(), 3);
    // What a cache leaves whose entries somebody removed is ours.
    fs::remove_dir_all(&places.state_dir).unwrap();
    at.run(both());
    fs::remove_dir_all(&places.cache_dir).unwrap();
    assert!(is_key_there(&places) && destroy(&places).unwrap());
    assert!(!places.key_file().exists() && !places.salt_file().exists());
}

#[test]
fn a_refusal_is_believed_and_what_was_given_before_is_forgotten() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 9h, max_ttl: 1day }", &["a"]);
    at.run(both());
    let denied = StoreError::Denied { reason: "403".into(), help: None };
    let refreshed = at.run_as(failing(&denied), CacheUse::Refresh);
    assert_eq!(refreshed.errors(), [denied.to_string()]);
    assert_eq!(at.run(failing(&unavailable())).errors(), ["not available: connection refused"]);
    assert!(at.run_as(both(), CacheUse::Offline).result.is_err());
}

#[test]
fn what_cannot_be_kept_takes_what_was_kept_before_with_it() {
    let at = Fixture::new("{ ttl: 1h, stale_if_error: 9h }", &["a", "b"]);
    at.run(both());
    let large = "x".repeat((16 << 20) + 1);
    let script = || Script::new().with_value("a", &large).with_value("b", "newer");
    let refreshed = at.run_as(script(), CacheUse::Refresh);
    assert_eq!(refreshed.value("A").len(), large.len());
    assert!(matches!(&refreshed.notes[..], [Note::NotKept(_)]), "{:?}", refreshed.notes);
    // The others are kept, and nobody gets what the store does not say any more.
    let next = at.run(script());
    assert_eq!((next.asked(), next.value("B")), (vec!["a".to_owned()], "newer".to_owned()));
    assert_eq!(at.run(failing(&unavailable())).errors(), ["not available: connection refused"]);
}

/// A store whose file is changed between two looks at it.
struct Changing {
    inner: Faulty,
    looks: AtomicUsize,
}

impl StoreFactory for Changing {
    fn types(&self) -> &[&str] {
        self.inner.types()
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        self.inner.validate(settings)
    }

    fn identity(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Identity, StoreError> {
        let look = self.looks.fetch_add(1, Ordering::Relaxed);
        Ok(Identity::new().with("content", [u8::try_from(look).unwrap()])?)
    }

    fn open(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        self.inner.open(settings, cx)
    }
}

#[test]
fn what_was_read_after_a_change_is_not_kept_as_from_before() {
    let at = Fixture::new("{ ttl: 1h }", &["a"]);
    let time = Arc::new(VirtualTime::new(7));
    let factory = Changing {
        inner: Faulty::new(&time).with("s", Script::new().with_value("a", "of the second")),
        looks: AtomicUsize::new(0),
    };
    let cache = at.cache();
    let plan = plan(&at.config(), "dev", &factory).unwrap();
    let mut options = ResolveOptions::default();
    options.cache = Some(&cache);
    options.timing = Some(&*time);
    let project = at.project();
    let cx = OpenContext::new(&project, &NoEnvironment);
    assert_eq!(resolve(&plan, &factory, &cx, &options).unwrap().cached().len(), 0);
    assert_eq!(factory.looks.load(Ordering::Relaxed), 2);
    let settings = plan.stores[0].settings.clone();
    for content in [0, 1] {
        let identity = Identity::new().with("content", [content]).unwrap();
        let scope = CacheScope::new(&settings, &project, identity);
        let item = Item { key: "a".to_owned(), version: None };
        let found = cache.get(&scope, &[item], Duration::from_hours(1));
        assert!(found[0].is_none(), "{content}");
    }
}

#[test]
fn a_plan_without_cached_stores_touches_nothing() {
    let mut at = Fixture::new("{ ttl: 1h }", &["a"]);
    at.settings = "retries: 0".to_owned();
    at.run(both());
    assert!(!at.places().cache_dir.exists() && !at.places().state_dir.exists());
}

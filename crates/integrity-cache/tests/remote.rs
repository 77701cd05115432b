//! The remote tier: what two machines share by a place that nobody has to trust.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{BODIES, Place, known};
use dsops_integrity_cache::{
    EventKind, Freshness, Key, Limits, Lookup, Policy, PutOutcome, Remote, RemoteError,
    SharedCache, SharedNamespace,
};

/// A bucket in memory, and what is done to what comes out of it.
#[derive(Clone, Default)]
struct Bucket(Arc<Inside>);

#[derive(Default)]
struct Inside {
    objects: Mutex<BTreeMap<String, (Vec<u8>, Instant)>>,
    lie: Mutex<Option<Lie>>,
    down: Mutex<bool>,
    asked: AtomicUsize,
}

type Lie = Box<dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send>;

impl Bucket {
    fn lies(&self, lie: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + 'static) {
        *self.0.lie.lock().unwrap() = Some(Box::new(lie));
    }

    fn is_honest(&self) {
        *self.0.lie.lock().unwrap() = None;
    }

    fn is_down(&self, down: bool) {
        *self.0.down.lock().unwrap() = down;
    }

    fn entries(&self) -> Vec<String> {
        let objects = self.0.objects.lock().unwrap();
        objects.keys().filter(|name| name.len() == 65).cloned().collect()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.objects.lock().unwrap()[name].0.clone()
    }

    fn put_back(&self, name: &str, bytes: Vec<u8>) {
        self.0.objects.lock().unwrap().insert(name.to_owned(), (bytes, Instant::now()));
    }

    fn asked(&self) -> Result<(), RemoteError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if *self.0.down.lock().unwrap() {
            return Err(RemoteError::failed("connection refused"));
        }
        Ok(())
    }
}

impl Remote for Bucket {
    fn fetch(&self, name: &str, to: &mut dyn Write) -> Result<bool, RemoteError> {
        self.asked()?;
        let bytes = self.0.objects.lock().unwrap().get(name).map(|(bytes, _)| bytes.clone());
        let Some(mut bytes) = bytes else { return Ok(false) };
        if let Some(lie) = &*self.0.lie.lock().unwrap()
            && name != "CACHE"
        {
            bytes = lie(name, bytes);
        }
        for piece in bytes.chunks(10_000) {
            to.write_all(piece).map_err(RemoteError::failed)?;
        }
        Ok(true)
    }

    fn store(
        &self,
        name: &str,
        from: &mut dyn Read,
        len: u64,
        only_new: bool,
    ) -> Result<bool, RemoteError> {
        self.asked()?;
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        let mut objects = self.0.objects.lock().unwrap();
        if only_new && objects.contains_key(name) {
            return Ok(false);
        }
        objects.insert(name.to_owned(), (bytes, Instant::now()));
        Ok(true)
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        self.asked()?;
        self.0.objects.lock().unwrap().remove(name);
        Ok(())
    }

    fn age(&self, name: &str) -> Result<Option<Duration>, RemoteError> {
        self.asked()?;
        Ok(self.0.objects.lock().unwrap().get(name).map(|(_, stored)| stored.elapsed()))
    }
}

fn machine(place: &Place, bucket: &Bucket) -> SharedCache {
    SharedCache::open(|| place.builder().key(known()), bucket.clone()).unwrap()
}

fn namespace(cache: &SharedCache, name: &str) -> SharedNamespace {
    cache.namespace_with(name, Policy::new()).unwrap()
}

#[track_caller]
fn stored(namespace: &SharedNamespace, key: &Key, ttl: Option<Duration>, payload: &[u8]) {
    let outcome = namespace.put(key, ttl, payload).unwrap();
    assert_eq!(outcome, PutOutcome::Stored);
}

fn key(text: &str) -> Key {
    Key::new().part("key", text)
}

#[test]
fn what_one_machine_stores_another_has() {
    for body in BODIES {
        let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
        let policy = Policy::new().with(|policy| policy.body = *body);
        let here = machine(&one, &bucket).namespace_with("n", policy.clone()).unwrap();
        let cache = machine(&two, &bucket);
        let there = cache.namespace_with("n", policy).unwrap();
        for len in common::LENGTHS {
            let payload = vec![7; len];
            let key = key(&len.to_string());
            assert_eq!(here.put(&key, None, &payload).unwrap(), PutOutcome::Stored);
            assert_eq!(there.get(&key).unwrap().hit().unwrap().bytes(), payload);
            // From now on it is here.
            let asked = bucket.0.asked.load(Ordering::Relaxed);
            assert_eq!(there.get(&key).unwrap().hit().unwrap().bytes(), payload);
            assert_eq!(bucket.0.asked.load(Ordering::Relaxed), asked);
        }
        assert_eq!(cache.local().counters().remote_hits, common::LENGTHS.len() as u64);
        assert_eq!(cache.local().counters().remote_rejected, 0);
    }
}

#[test]
fn a_bucket_that_changes_any_byte_is_a_miss() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    let here = namespace(&machine(&one, &bucket), "n");
    stored(&here, &key("k"), None, b"the payload");
    let cache = machine(&two, &bucket);
    let there = namespace(&cache, "n");
    let name = bucket.entries().pop().unwrap();
    let len = bucket.bytes(&name).len();
    for at in 0..len {
        for bit in 0..8 {
            bucket.lies(move |_, mut bytes| {
                bytes[at] ^= 1 << bit;
                bytes
            });
            assert!(there.get(&key("k")).unwrap().hit().is_none(), "byte {at}, bit {bit}");
        }
        bucket.lies(move |_, bytes| bytes[..at].to_vec());
        assert!(there.get(&key("k")).unwrap().hit().is_none(), "cut at {at}");
    }
    assert_eq!(two.entries().len(), 0, "nothing of it stays here");
    assert_eq!(cache.local().counters().remote_rejected, 9 * len as u64);
    let events = two.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::Rejected(_))));
    drop(events);
    bucket.is_honest();
    assert_eq!(there.get(&key("k")).unwrap().hit().unwrap().bytes(), b"the payload");
}

#[test]
fn a_bucket_that_sends_without_end_is_cut_off() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    stored(&namespace(&machine(&one, &bucket), "n"), &key("k"), None, b"x");
    let limits = Limits::default().with(|limits| limits.max_entry_bytes = 100_000);
    let builder = || two.builder().key(known()).limits(limits);
    let cache = SharedCache::open(builder, bucket.clone()).unwrap();
    bucket.lies(|_, bytes| [bytes, vec![0; 10_000_000]].concat());
    let there = namespace(&cache, "n");
    assert!(matches!(there.get(&key("k")).unwrap(), Lookup::Miss(_)));
    assert_eq!(cache.local().counters().remote_rejected, 1);
    // It is the object that is bad: the bucket is asked again.
    bucket.is_honest();
    assert_eq!(there.get(&key("k")).unwrap().hit().unwrap().bytes(), b"x");
}

#[test]
fn entries_in_each_others_places_are_misses() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    let here = machine(&one, &bucket);
    stored(&namespace(&here, "n"), &key("a"), None, b"a");
    stored(&namespace(&here, "n"), &key("b"), None, b"b");
    stored(&namespace(&here, "m"), &key("a"), None, b"m");
    let all: Vec<_> = bucket.entries().iter().map(|name| bucket.bytes(name)).collect();
    for bytes in all {
        bucket.lies(move |_, _| bytes.clone());
        let there = namespace(&machine(&two, &bucket), "n");
        for (name, payload) in [("a", b"a"), ("b", b"b")] {
            if let Lookup::Hit(entry) = there.get(&key(name)).unwrap() {
                assert_eq!(entry.bytes(), payload);
            }
        }
    }
}

#[test]
fn an_old_entry_that_comes_back_does_not_replace_a_newer_one_here() {
    let (one, bucket) = (Place::new(), Bucket::default());
    let here = namespace(&machine(&one, &bucket), "n");
    stored(&here, &key("k"), None, b"old");
    let name = bucket.entries().pop().unwrap();
    let old = bucket.bytes(&name);
    one.clock.advance(10_000);
    stored(&here, &key("k"), None, b"new");
    bucket.put_back(&name, old);
    assert_eq!(here.get(&key("k")).unwrap().hit().unwrap().bytes(), b"new");
}

#[test]
fn time_is_over_wherever_it_comes_from() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    let minute = Some(Duration::from_mins(1));
    stored(&namespace(&machine(&one, &bucket), "n"), &key("k"), minute, b"x");
    two.clock.advance(61_000);
    let cache = machine(&two, &bucket);
    assert!(namespace(&cache, "n").get(&key("k")).unwrap().hit().is_none());
    assert_eq!(cache.local().counters().remote_rejected, 0, "getting old is no offence");
}

#[test]
fn what_is_invalidated_for_all_is_stale_on_every_machine_that_learns_of_it() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    let here = machine(&one, &bucket);
    let there = machine(&two, &bucket);
    let (a, b) = (namespace(&here, "n"), namespace(&there, "n"));
    stored(&a, &key("old"), None, b"x");
    assert!(b.get(&key("old")).unwrap().hit().is_some());
    here.local().invalidate_all().unwrap();
    stored(&a, &key("new"), None, b"y");
    assert_eq!(b.get(&key("new")).unwrap().hit().unwrap().bytes(), b"y");
    assert!(b.get(&key("old")).unwrap().hit().is_none());
    assert!(a.get(&key("old")).unwrap().hit().is_none());
}

#[test]
fn what_is_invalidated_is_gone_there_too() {
    let (one, bucket) = (Place::new(), Bucket::default());
    let here = namespace(&machine(&one, &bucket), "n");
    stored(&here, &key("k"), None, b"x");
    assert!(here.invalidate(&key("k")).unwrap());
    assert!(bucket.entries().is_empty());
    assert!(here.get(&key("k")).unwrap().hit().is_none());
}

#[test]
fn a_bucket_that_is_down_is_left_alone_for_a_while() {
    let (one, bucket) = (Place::new(), Bucket::default());
    let cache = machine(&one, &bucket);
    let here = namespace(&cache, "n");
    stored(&here, &key("before"), None, b"x");
    bucket.is_down(true);
    let asked = bucket.0.asked.load(Ordering::Relaxed);
    for n in 0..100 {
        assert!(here.get(&key(&n.to_string())).unwrap().hit().is_none());
        assert_eq!(here.put(&key(&n.to_string()), None, b"y").unwrap(), PutOutcome::Stored);
        assert!(here.get(&key(&n.to_string())).unwrap().hit().is_some());
    }
    assert_eq!(bucket.0.asked.load(Ordering::Relaxed) - asked, 1);
    assert_eq!(cache.local().counters().remote_failed, 1);
    let events = one.events.lock().unwrap();
    assert_eq!(events.iter().filter(|e| e.kind == EventKind::RemoteFailed).count(), 1);
}

#[test]
fn a_bucket_of_somebody_else_is_not_used() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    stored(&namespace(&machine(&one, &bucket), "n"), &key("k"), None, b"x");
    // Another key: what it stores here stays here.
    let cache = SharedCache::open(|| two.builder(), bucket.clone()).unwrap();
    assert!(!cache.is_shared());
    let there = namespace(&cache, "n");
    assert_eq!(there.put(&key("k"), None, b"mine").unwrap(), PutOutcome::Stored);
    assert_eq!(bucket.entries().len(), 1);
    assert_eq!(there.get(&key("k")).unwrap().hit().unwrap().bytes(), b"mine");
    let events = two.events.lock().unwrap();
    assert!(events.iter().any(|event| event.kind == EventKind::RemoteForeign));
}

#[test]
fn rubbish_in_the_superblocks_place_locks_nobody_out() {
    for rubbish in [vec![], vec![0; 255], vec![0; 256], vec![1; 5_000_000]] {
        let (one, bucket) = (Place::new(), Bucket::default());
        bucket.put_back("CACHE", rubbish);
        let here = namespace(&machine(&one, &bucket), "n");
        stored(&here, &key("k"), None, b"x");
        assert!(here.get(&key("k")).unwrap().hit().is_some());
        assert!(bucket.entries().is_empty());
    }
}

#[test]
fn secrets_stay_on_the_machine() {
    let (one, bucket) = (Place::new(), Bucket::default());
    let secret = Policy::new().with(|policy| policy.sensitive = true);
    assert!(machine(&one, &bucket).namespace_with("n", secret).is_err());
}

#[test]
fn with_strict_freshness_what_this_machine_has_had_is_the_floor() {
    let (one, two, bucket) = (Place::new(), Place::new(), Bucket::default());
    let strict = || Policy::new().with(|policy| policy.freshness = Freshness::Strict);
    let here = machine(&one, &bucket).namespace_with("n", strict()).unwrap();
    let there = machine(&two, &bucket).namespace_with("n", strict()).unwrap();
    stored(&here, &key("k"), None, b"old");
    let name = bucket.entries().pop().unwrap();
    let old = bucket.bytes(&name);
    one.clock.advance(10_000);
    two.clock.advance(10_000);
    stored(&here, &key("k"), None, b"new");
    assert_eq!(there.get(&key("k")).unwrap().hit().unwrap().bytes(), b"new");
    for entry in two.entries() {
        std::fs::remove_file(entry).unwrap();
    }
    bucket.put_back(&name, old);
    assert!(there.get(&key("k")).unwrap().hit().is_none());
}

#[test]
fn machines_that_start_at_once_agree() {
    let bucket = Bucket::default();
    let places: Vec<Place> = (0..8).map(|_| Place::new()).collect();
    let caches: Vec<SharedCache> = thread::scope(|scope| {
        let starts: Vec<_> =
            places.iter().map(|place| scope.spawn(|| machine(place, &bucket))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let identity = caches[0].local().identity().unwrap();
    for cache in &caches {
        assert!(cache.is_shared());
        assert_eq!(cache.local().identity().unwrap(), identity);
    }
}

#[test]
fn one_machine_computes_for_all() {
    let bucket = Bucket::default();
    let computed = AtomicUsize::new(0);
    let places: Vec<Place> = (0..4).map(|_| Place::new()).collect();
    let caches: Vec<SharedCache> = places.iter().map(|place| machine(place, &bucket)).collect();
    thread::scope(|scope| {
        for cache in &caches {
            let computed = &computed;
            scope.spawn(move || {
                let namespace = namespace(cache, "n");
                let value = namespace.get_or_try_put(&key("k"), None, || {
                    computed.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(300));
                    Ok::<_, std::io::Error>(b"value".to_vec())
                });
                assert_eq!(value.unwrap(), b"value");
            });
        }
    });
    assert_eq!(computed.load(Ordering::Relaxed), 1);
    let objects = bucket.0.objects.lock().unwrap();
    assert!(!objects.keys().any(|name| name.starts_with("flight/")), "the lease is given back");
}

#[test]
fn a_tier_that_never_gives_a_lease_is_not_asked_without_pause() {
    struct Stubborn(Arc<AtomicUsize>);
    impl Remote for Stubborn {
        fn fetch(&self, _: &str, _: &mut dyn Write) -> Result<bool, RemoteError> {
            Ok(false)
        }
        fn store(
            &self,
            name: &str,
            from: &mut dyn Read,
            _: u64,
            _: bool,
        ) -> Result<bool, RemoteError> {
            std::io::copy(from, &mut std::io::sink()).unwrap();
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(!name.starts_with("flight/"))
        }
        fn remove(&self, _: &str) -> Result<(), RemoteError> {
            Ok(())
        }
        fn age(&self, _: &str) -> Result<Option<Duration>, RemoteError> {
            Ok(Some(Duration::MAX))
        }
    }
    let (place, stored) = (Place::new(), Arc::new(AtomicUsize::new(0)));
    let lease = Duration::from_millis(300);
    let cache =
        SharedCache::open(|| place.builder().key(known()), Stubborn(stored.clone())).unwrap();
    let cache = cache.with_lease(lease);
    let value = namespace(&cache, "n")
        .get_or_try_put(&key("k"), None, || Ok::<_, std::io::Error>(b"v".to_vec()));
    assert_eq!(value.unwrap(), b"v");
    // The identity, the entry, and one try for each pause.
    assert!(stored.load(Ordering::Relaxed) < 10, "{stored:?}");
}

#[test]
fn what_the_tier_sees_of_an_entry() {
    let (place, bucket) = (Place::new(), Bucket::default());
    let cache = machine(&place, &bucket);
    let _ = namespace(&cache, "seen").put(&key("key-in-clear"), None, b"payload-closed").unwrap();
    let name = bucket.entries().pop().unwrap();
    let objects = bucket.0.objects.lock().unwrap();
    let holds = |text: &[u8]| objects[&name].0.windows(text.len()).any(|part| part == text);
    assert!(holds(b"seen") && holds(b"key-in-clear") && !holds(b"payload-closed"));
}

#[test]
fn a_dead_machines_lease_ends() {
    let (one, bucket) = (Place::new(), Bucket::default());
    let lease = Duration::from_millis(200);
    let cache = machine(&one, &bucket).with_lease(lease);
    let namespace = namespace(&cache, "n");
    let value = |bytes: &'static [u8]| {
        namespace.get_or_try_put(&key("k"), None, || Ok::<_, std::io::Error>(bytes.to_vec()))
    };
    assert_eq!(value(b"first").unwrap(), b"first");
    // What a machine leaves that dies while it computes.
    let flight = format!("flight/{}", bucket.entries().pop().unwrap().replace('/', ""));
    namespace.invalidate(&key("k")).unwrap();
    bucket.put_back(&flight, Vec::new());
    let start = Instant::now();
    assert_eq!(value(b"second").unwrap(), b"second");
    assert!(start.elapsed() >= lease, "it was waited for");
}

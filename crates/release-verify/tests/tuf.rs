//! Newer roots of trust from repositories that are good, old, changed, held back, and endless.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dsops_release_verify::tuf::{
    self, CacheShelf, FetchError, HttpSource, MemoryShelf, Refreshed, Shelf, Source, TufError,
};
use dsops_testkit::sigstore::{Algorithm, Key, Role, TufRepository, World};
use dsops_testkit::{HttpAnswer, HttpServer};
use dsops_transport::{Client, Url};

const DAY: Duration = Duration::from_hours(24);

/// What lies on the server at one time.
struct Files(BTreeMap<String, Vec<u8>>);

impl Source for Files {
    fn fetch(&self, path: &str, _limit_bytes: u64) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(self.0.get(path).cloned())
    }
}

/// A repository, the root that clients are given, and a shelf.
struct Setting {
    world: World,
    repository: TufRepository,
    root: Vec<u8>,
    shelf: Arc<dyn Shelf>,
}

impl Setting {
    fn new() -> Self {
        let world = World::new("tuf");
        let mut repository = TufRepository::new("tuf", world.now);
        repository.set_target("trusted_root.json", world.trusted_root().to_string().as_bytes());
        let root = repository.start();
        Self { world, repository, root, shelf: Arc::new(MemoryShelf::default()) }
    }

    fn now(&self) -> SystemTime {
        self.world.now
    }

    fn refresh(&self) -> Result<Refreshed, TufError> {
        self.refresh_at(self.now())
    }

    fn refresh_at(&self, now: SystemTime) -> Result<Refreshed, TufError> {
        tuf::refresh(Files(self.repository.files.clone()), &self.shelf, &self.root, now)
    }
}

#[test]
fn a_good_repository_gives_its_root_of_trust_and_it_stays() {
    let mut setting = Setting::new();
    assert!(tuf::stored(&*setting.shelf).unwrap().is_none());
    let refreshed = setting.refresh().unwrap();
    assert_eq!(refreshed.content, setting.world.trusted_root().to_string().into_bytes());
    assert_eq!(refreshed.versions, [1, 1, 1, 1]);
    assert_eq!(refreshed.expires, setting.now() + DAY);
    let roots = refreshed.roots("here").unwrap();
    assert_eq!(roots.iter().next().unwrap().date(), Some(setting.now()));

    // Nothing new, and something new.
    assert_eq!(setting.refresh().unwrap().versions, [1, 1, 1, 1]);
    let other = World::new("other").trusted_root().to_string().into_bytes();
    setting.repository.set_target("trusted_root.json", &other);
    setting.repository.publish_next();
    assert_eq!(setting.refresh().unwrap().versions, [1, 2, 2, 2]);

    let stored = tuf::stored(&*setting.shelf).unwrap().unwrap();
    assert_eq!((stored.content, stored.asked), (other, setting.now()));
    assert_eq!(stored.versions, [1, 2, 2, 2]);
}

#[test]
fn a_server_is_asked_for_no_more_than_needed() {
    let setting = Setting::new();
    let files = setting.repository.files.clone();
    let server = HttpServer::start(move |request| {
        let path = request.target.trim_start_matches("/repo/");
        files.get(path).map_or_else(
            || HttpAnswer::new(404, ""),
            |content| HttpAnswer::new(200, content.clone()),
        )
    });
    let source = || {
        let client = Client::builder().allow_loopback_http().build().unwrap();
        HttpSource::new(client, Url::parse(&server.url("/repo/")).unwrap())
    };
    let refreshed = tuf::refresh(source(), &setting.shelf, &setting.root, setting.now()).unwrap();
    assert!(!refreshed.content.is_empty());
    assert_eq!(server.requests().len(), 5, "next root, timestamp, snapshot, targets, the file");
    tuf::refresh(source(), &setting.shelf, &setting.root, setting.now()).unwrap();
    assert_eq!(server.requests().len(), 7, "next root and timestamp");
}

#[test]
fn root_keys_rotate_with_the_consent_of_the_old_ones() {
    let mut setting = Setting::new();
    setting.refresh().unwrap();
    let old = setting.repository.role(Role::Root).keys.clone();
    let new: Vec<_> =
        (0..3).map(|number| Key::new(Algorithm::Ed25519, &format!("new {number}"))).collect();
    let root = setting.repository.role(Role::Root);
    root.keys.clone_from(&new);
    root.signing.clone_from(&new);
    let stamping = Key::new(Algorithm::Ed25519, "new timestamp");
    *setting.repository.role(Role::Timestamp) = dsops_testkit::sigstore::tuf::Signers {
        keys: vec![stamping.clone()],
        signing: vec![stamping],
        ..setting.repository.role(Role::Timestamp).clone()
    };
    let alone = setting.repository.clone();
    setting.repository.rotate_root(&old);
    setting.repository.publish_next();
    assert_eq!(setting.refresh().unwrap().versions, [2, 2, 2, 2]);

    // The same without the old keys' signatures, by one of them, and by the old alone.
    for also in [&[][..], &old[..1]] {
        let mut setting = Setting::new();
        setting.refresh().unwrap();
        setting.repository = alone.clone();
        setting.repository.rotate_root(also);
        setting.repository.publish_next();
        assert!(matches!(
            setting.refresh(),
            Err(TufError::Signatures { role, threshold: 2, .. }) if role == "root"
        ));
    }
    let mut setting = Setting::new();
    setting.repository = alone;
    setting.repository.role(Role::Root).signing = old;
    setting.repository.rotate_root(&[]);
    assert!(matches!(setting.refresh(), Err(TufError::Signatures { .. })));
}

#[test]
fn a_root_that_skips_a_version_is_refused() {
    let mut setting = Setting::new();
    setting.repository.role(Role::Root).version = 6;
    let skipped = setting.repository.rotate_root(&[]);
    setting.repository.files.insert("2.root.json".into(), skipped);
    assert!(matches!(setting.refresh(), Err(TufError::Rejected(_))));
}

#[test]
fn too_few_signatures_are_refused_for_each_role() {
    for role in [Role::Timestamp, Role::Snapshot, Role::Targets] {
        // Nobody, someone else, and one key where two are needed, which signs twice.
        for how in 0..3 {
            let mut setting = Setting::new();
            let signers = setting.repository.role(role);
            match how {
                0 => signers.signing.clear(),
                1 => signers.signing = vec![Key::new(Algorithm::Ed25519, "someone else")],
                _ => {
                    signers.keys.push(Key::new(Algorithm::Ed25519, "a second"));
                    signers.threshold = 2;
                    signers.signing = vec![signers.keys[0].clone(); 2];
                    setting.root = setting.repository.start();
                }
            }
            setting.repository.publish();
            let error = setting.refresh().unwrap_err();
            // The same key twice is refused before it is counted.
            let is_right = match &error {
                TufError::Signatures { role: named, .. } => named == role.name(),
                TufError::Rejected(_) => how == 2,
                _ => false,
            };
            assert!(is_right, "{role:?}, {how}: {error:?}");
        }
    }
}

#[test]
fn older_versions_than_were_seen_are_refused() {
    let mut setting = Setting::new();
    let old = setting.repository.files.clone();
    setting.repository.publish_next();
    setting.refresh().unwrap();
    // All of it as it was.
    setting.repository.files = old;
    assert!(matches!(
        setting.refresh(),
        Err(TufError::Rollback { role, known: 2, found: 1 }) if role == "timestamp"
    ));
    // The same after its time: versions are compared first, in the next run too.
    let late = setting.now() + DAY * 2;
    assert!(matches!(setting.refresh_at(late), Err(TufError::Rollback { .. })));

    // A new timestamp that names an older snapshot, a new snapshot that names older targets.
    for role in [Role::Snapshot, Role::Targets] {
        let mut setting = Setting::new();
        setting.repository.publish_next();
        setting.refresh().unwrap();
        setting.repository.publish_next();
        setting.repository.role(role).version = 1;
        setting.repository.publish();
        let error = setting.refresh().unwrap_err();
        assert!(matches!(&error, TufError::Rollback { found: 1, .. }), "{role:?}: {error:?}");
    }
}

/// Who holds the keys of timestamp and snapshot, which machines use, may still not bring back what
/// was signed before by the keys of people.
#[test]
fn a_refusal_is_not_forgotten_by_trying_again() {
    let mut setting = Setting::new();
    setting.repository.publish_next();
    setting.refresh().unwrap();
    setting.repository.publish_next();
    setting.repository.role(Role::Targets).version = 1;
    setting.repository.publish();
    for _ in 0..3 {
        let error = setting.refresh().unwrap_err();
        assert!(matches!(&error, TufError::Rollback { known: 2, found: 1, .. }), "{error:?}");
        // A newer timestamp and snapshot do not help either.
        for role in [Role::Snapshot, Role::Timestamp] {
            setting.repository.role(role).version += 1;
        }
        setting.repository.publish();
    }
    // Also not when meanwhile the root changed in something else.
    let root = setting.repository.role(Role::Root).keys.clone();
    setting.repository.rotate_root(&root);
    let error = setting.refresh().unwrap_err();
    assert!(matches!(&error, TufError::Rollback { known: 2, found: 1, .. }), "{error:?}");
    // The holders of the root's keys may start versions anew, by other keys.
    let anew = Key::new(Algorithm::Ed25519, "new snapshot");
    let snapshot = setting.repository.role(Role::Snapshot);
    (snapshot.keys, snapshot.signing) = (vec![anew.clone()], vec![anew]);
    setting.repository.rotate_root(&root);
    for role in [Role::Snapshot, Role::Timestamp] {
        setting.repository.role(role).version += 1;
    }
    setting.repository.publish();
    assert_eq!(setting.refresh().unwrap().versions[3], 1);
}

#[test]
fn what_has_ended_is_refused() {
    for role in [Role::Timestamp, Role::Snapshot, Role::Targets, Role::Root] {
        let mut setting = Setting::new();
        setting.repository.role(role).expires = setting.now() - Duration::from_secs(1);
        setting.root = setting.repository.start();
        let error = setting.refresh().unwrap_err();
        assert!(
            matches!(&error, TufError::Expired { role: named, .. } if named == role.name()),
            "{role:?}: {error:?}"
        );
    }
    // A network that always gives the same: good until the timestamp's end, and then not.
    let setting = Setting::new();
    setting.refresh().unwrap();
    setting.refresh_at(setting.now() + DAY - Duration::from_secs(1)).unwrap();
    let frozen = setting.refresh_at(setting.now() + DAY + Duration::from_secs(1));
    assert!(matches!(frozen, Err(TufError::Expired { .. })));
    // What was fetched before stays.
    assert!(tuf::stored(&*setting.shelf).unwrap().is_some());
}

#[test]
fn any_changed_file_is_refused() {
    for index in 0..Setting::new().repository.files.len() {
        let mut setting = Setting::new();
        let (name, content) = setting.repository.files.iter_mut().nth(index).unwrap();
        if name == "1.root.json" {
            // The client brings it along.
            continue;
        }
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let name = name.clone();
        setting.refresh().expect_err(&name);
        assert!(tuf::stored(&*setting.shelf).unwrap().is_none(), "{name}");
    }
    // Another file of the same length; and versions that do not belong together.
    let mut setting = Setting::new();
    let name = setting.repository.files.keys().find(|name| name.starts_with("targets/")).cloned();
    let content = setting.repository.files.get_mut(&name.unwrap()).unwrap();
    content.fill(b' ');
    assert!(matches!(setting.refresh(), Err(TufError::Rejected(_))));
    let mut setting = Setting::new();
    let first = setting.repository.files["1.snapshot.json"].clone();
    setting.repository.publish_next();
    setting.repository.files.insert("2.snapshot.json".into(), first);
    assert!(matches!(setting.refresh(), Err(TufError::Rejected(_))));
}

#[test]
fn missing_files_are_named() {
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut setting = Setting::new();
        setting.repository.files.remove(name);
        let TufError::Fetch(error) = setting.refresh().unwrap_err() else { panic!("{name}") };
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn endless_files_are_cut_off() {
    for name in ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let mut setting = Setting::new();
        setting.repository.files.insert(name.into(), vec![b' '; 6_000_000]);
        assert!(matches!(setting.refresh(), Err(TufError::Fetch(_))), "{name}");
    }
    // Also when the metadata itself says so.
    let mut setting = Setting::new();
    setting.repository.set_target("trusted_root.json", &vec![b' '; 5_000_000]);
    setting.repository.publish();
    assert!(matches!(setting.refresh(), Err(TufError::Rejected(_))));

    let server = HttpServer::start(|_| HttpAnswer::new(200, vec![b' '; 6_000_000]));
    let client = Client::builder().allow_loopback_http().build().unwrap();
    let source = HttpSource::new(client, Url::parse(&server.url("/")).unwrap());
    let endless = tuf::refresh(source, &setting.shelf, &setting.root, setting.now());
    assert!(matches!(endless, Err(TufError::Fetch(_))));
}

#[test]
fn what_is_no_root_of_trust_does_not_replace_one() {
    let mut setting = Setting::new();
    setting.refresh().unwrap();
    setting.repository.set_target("trusted_root.json", b"{}");
    setting.repository.publish_next();
    assert!(matches!(setting.refresh(), Err(TufError::Root(_))));
    let stored = tuf::stored(&*setting.shelf).unwrap().unwrap();
    assert_eq!(stored.content, setting.world.trusted_root().to_string().into_bytes());
}

#[test]
fn an_authenticated_cache_keeps_the_floor_and_no_one_else_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Shelf> {
        let cache = dsops_integrity_cache::Cache::builder(folder.path().join("cache"))
            .state_dir(folder.path().join("state"))
            .open()
            .unwrap();
        let namespace = cache.namespace_with("trust", CacheShelf::policy()).unwrap();
        Arc::new(CacheShelf::new(namespace, "https://tuf.test/"))
    };
    let mut setting = Setting::new();
    let old = setting.repository.files.clone();
    setting.repository.publish_next();
    setting.shelf = open();
    setting.refresh().unwrap();

    // Another process.
    setting.shelf = open();
    assert_eq!(tuf::stored(&*setting.shelf).unwrap().unwrap().versions, [1, 2, 2, 2]);
    setting.repository.files = old;
    assert!(matches!(setting.refresh(), Err(TufError::Rollback { .. })));

    // Each file of the cache changed: nothing is there rather than something else.
    let mut folders = vec![folder.path().join("cache")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(mut content) = std::fs::read(&path)
                && let Some(last) = content.last_mut()
            {
                *last ^= 1;
                #[expect(clippy::disallowed_methods, reason = "breaks a file on purpose")]
                std::fs::write(&path, content).unwrap();
            }
        }
    }
    assert!(tuf::stored(&*setting.shelf).unwrap().is_none());
}

#[test]
fn a_shelf_that_cannot_keep_is_an_error() {
    struct Full;
    impl Shelf for Full {
        fn load(&self, _name: &str) -> Option<Vec<u8>> {
            None
        }
        fn save(&self, _name: &str, _bytes: &[u8]) -> Result<(), String> {
            Err("no space".into())
        }
    }
    let setting = Setting { shelf: Arc::new(Full), ..Setting::new() };
    assert!(matches!(setting.refresh(), Err(TufError::Shelf(why)) if why == "no space"));
}

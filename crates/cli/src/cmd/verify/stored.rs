//! Roots of trust that their repositories gave (by The Update Framework): kept in an authenticated
//! cache, newer than those that come with dsops, and renewed only when somebody asks for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use dsops_integrity_cache::{Cache, Event, EventKind, Namespace, Severity};
use dsops_release_verify::TrustRoots;
use dsops_release_verify::tuf::{
    self, CacheShelf, GITHUB, HttpSource, Refreshed, SIGSTORE, Shelf, TufError,
};
use dsops_stores::cache::{Places, is_there};
use dsops_transport::{Client, Url};
use serde_json::{Value, json};

use crate::cached;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The part of the directories that holds roots of trust.
const PART: &str = "trust";
/// The name of the list of repositories on the shelf, which is of none of them.
const LIST: &str = "repositories";

/// A repository of roots of trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// What its root of trust is called.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// The metadata that everything is verified from.
    pub root: Vec<u8>,
}

impl Repository {
    /// The two whose first metadata comes with dsops.
    pub fn known() -> [Self; 2] {
        [SIGSTORE, GITHUB].map(|instance| Self {
            name: instance.name.to_owned(),
            url: instance.url.to_owned(),
            root: instance.root.to_vec(),
        })
    }

    fn is_known(&self) -> bool {
        Self::known().iter().any(|known| known.name == self.name)
    }

    /// Asks it, and keeps what it gives.
    ///
    /// # Errors
    /// See [`TufError`]; what is in use stays.
    pub fn refresh(&self, client: &Client, kept: &Kept) -> Result<Refreshed, TufError> {
        let url = Url::parse(&self.url).map_err(|error| TufError::Shelf(error.to_string()))?;
        let source = HttpSource::new(client.clone(), url);
        tuf::refresh(source, &kept.shelf(&self.name), &self.root, SystemTime::now())
    }
}

/// A root of trust out of the cache.
#[derive(Debug)]
pub struct Stored {
    pub repository: Repository,
    pub refreshed: Refreshed,
    pub roots: TrustRoots,
}

/// The cache.
pub struct Kept {
    cache: Cache,
    namespace: Namespace,
    suspicious: Arc<Mutex<Vec<String>>>,
}

impl Kept {
    /// The cache, if there is one.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn existing(cx: &Context) -> Result<Option<Self>, Failure> {
        match places(cx).filter(is_there) {
            Some(places) => Self::open(&places).map(Some),
            None => Ok(None),
        }
    }

    /// The cache, made if there is none.
    ///
    /// # Errors
    /// There is no place for it, or it cannot be used.
    pub fn new(cx: &Context) -> Result<Self, Failure> {
        let places = places(cx).ok_or_else(|| {
            let report = Report::error("there is no place to keep roots of trust in");
            let help = "set HOME, or DSOPS_CACHE_DIR and DSOPS_STATE_DIR";
            Failure::new(Exit::Config, coded("verify/trust-cache", report.help(help)))
        })?;
        Self::open(&places)
    }

    fn open(places: &Places) -> Result<Self, Failure> {
        let suspicious = Arc::new(Mutex::new(Vec::new()));
        let noticed = Arc::clone(&suspicious);
        let sink = move |event: &Event| {
            if event.severity == Severity::Alarm {
                let text = match &event.kind {
                    EventKind::Rejected(reason) => reason.to_string(),
                    _ => "it was made with another key".to_owned(),
                };
                noticed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        };
        let failed = |error: dsops_integrity_cache::Error| {
            let mut report = Report::error("the roots of trust that were kept cannot be used");
            report = report.because(&error);
            report.help = error.help().map(str::to_owned);
            Failure::new(Exit::Store, coded("verify/trust-cache", report))
        };
        let builder = Cache::builder(&places.cache_dir).state_dir(&places.state_dir).events(sink);
        let cache = builder.open().map_err(failed)?;
        let namespace = cache.namespace_with("roots", CacheShelf::policy()).map_err(failed)?;
        Ok(Self { cache, namespace, suspicious })
    }

    fn shelf(&self, name: &str) -> Arc<dyn Shelf> {
        Arc::new(CacheShelf::new(self.namespace.clone(), name))
    }

    /// Every repository: those that are known, each where it was asked last, and own ones.
    pub fn repositories(&self) -> Vec<Repository> {
        let mut all = Repository::known().to_vec();
        for own in self.listed() {
            match all.iter_mut().find(|known| known.name == own.name) {
                Some(known) => known.url = own.url,
                None => all.push(own),
            }
        }
        all
    }

    /// Remembers a repository, with the place where it was asked.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn remember(&self, repository: &Repository) -> Result<(), TufError> {
        let mut all = self.listed();
        all.retain(|known| known.name != repository.name);
        let usual = Repository::known().contains(repository);
        if !usual {
            all.push(repository.clone());
        }
        let list: Vec<Value> = all
            .iter()
            .map(|one| {
                let root = (!one.is_known()).then(|| String::from_utf8_lossy(&one.root));
                json!({ "name": one.name, "url": one.url, "root": root })
            })
            .collect();
        let list = Value::from(list).to_string();
        self.shelf(LIST).save(LIST, list.as_bytes()).map_err(TufError::Shelf)
    }

    fn listed(&self) -> Vec<Repository> {
        let list = self.shelf(LIST).load(LIST).unwrap_or_default();
        let list: Value = serde_json::from_slice(&list).unwrap_or_default();
        let one = |value: &Value| {
            let text = |key: &str| value[key].as_str().map(str::to_owned);
            Some(Repository {
                name: text("name")?,
                url: text("url")?,
                root: text("root").unwrap_or_default().into_bytes(),
            })
        };
        list.as_array().into_iter().flatten().filter_map(one).collect()
    }

    /// What was kept for a repository.
    ///
    /// # Errors
    /// It is not what was kept.
    pub fn stored(&self, repository: &Repository) -> Result<Option<Stored>, TufError> {
        let Some(refreshed) = tuf::stored(&*self.shelf(&repository.name))? else {
            return Ok(None);
        };
        let roots = refreshed.roots(&repository.name).map_err(TufError::Root)?;
        Ok(Some(Stored { repository: repository.clone(), refreshed, roots }))
    }

    /// Everything that was kept and can be used; says what cannot.
    pub fn all(&self, cx: &Context) -> Vec<Stored> {
        let mut all = Vec::new();
        for repository in self.repositories() {
            match self.stored(&repository) {
                Ok(stored) => all.extend(stored),
                Err(error) => {
                    let text = format!("the root of trust `{}` is not used", repository.name);
                    let report = Report::warning(text).because(&error);
                    cx.ui.report(&coded("verify/trust-cache", report));
                }
            }
        }
        self.tell_suspicious(cx);
        all
    }

    /// Forgets all of it, also which versions were seen.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn forget(&self) -> Result<(), dsops_integrity_cache::Error> {
        self.cache.invalidate_all()
    }

    /// Says what was found and not used.
    pub fn tell_suspicious(&self, cx: &Context) {
        let causes =
            std::mem::take(&mut *self.suspicious.lock().unwrap_or_else(PoisonError::into_inner));
        if !causes.is_empty() {
            let text = "the roots of trust that were kept were changed by something else than \
                        dsops; what was found was not used";
            let mut report =
                Report::warning(text).help("`dsops verify trust update` gets them again");
            report.causes = causes;
            cx.ui.report(&coded("cache/tampered", report));
        }
    }
}

fn places(cx: &Context) -> Option<Places> {
    let (cache, state) = cached::folders(&cx.environment)?;
    Some(Places { cache_dir: cache.join(PART), state_dir: state.join(PART) })
}

/// What was kept and is newer than what comes with dsops. A cache that cannot be used is a warning:
/// what comes with dsops can.
pub fn newer(cx: &Context) -> Vec<Stored> {
    match Kept::existing(cx) {
        Ok(None) => Vec::new(),
        Ok(Some(kept)) => newest(kept.all(cx)),
        Err(failure) => {
            for report in failure.reports {
                let severity = crate::report::Severity::Warning;
                cx.ui.report(&Report { severity, ..report });
            }
            Vec::new()
        }
    }
}

fn newest(stored: Vec<Stored>) -> Vec<Stored> {
    let date = TrustRoots::embedded().iter().find_map(dsops_release_verify::TrustRoot::date);
    let is_newer = |one: &Stored| {
        !one.repository.is_known() || date.is_none_or(|date| one.refreshed.asked > date)
    };
    stored.into_iter().filter(is_newer).collect()
}

/// The roots that come with dsops, with newer ones in their place and own ones beside them.
pub fn in_use(stored: Vec<Stored>) -> TrustRoots {
    stored
        .into_iter()
        .fold(TrustRoots::embedded(), |roots, one| roots.updated(&one.repository.name, one.roots))
}

/// The same, after asking the repositories whose last answer has run out.
///
/// # Errors
/// A repository gives something wrong. One that cannot be reached is a warning: what is in use is
/// authentic, and the report tells its age.
pub fn refreshed(cx: &Context, client: &Client) -> Result<TrustRoots, Failure> {
    let kept = Kept::new(cx)?;
    let now = SystemTime::now();
    for repository in kept.repositories() {
        let is_current =
            matches!(kept.stored(&repository), Ok(Some(one)) if one.refreshed.expires > now);
        if is_current {
            continue;
        }
        cx.ui
            .note(format!("asking {} for the root of trust `{}`", repository.url, repository.name));
        match repository.refresh(client, &kept) {
            Ok(_) => {}
            Err(error @ TufError::Fetch(_)) => {
                let text = format!(
                    "the root of trust `{}` could not be renewed; the one that is here is used",
                    repository.name
                );
                let report = Report::warning(text).because(&error);
                cx.ui.report(&coded("verify/trust-not-renewed", report));
            }
            Err(error) => return Err(failed(&repository, &error)),
        }
    }
    Ok(in_use(newest(kept.all(cx))))
}

/// A repository that did not give a root of trust, told.
pub fn failed(repository: &Repository, error: &TufError) -> Failure {
    let text = format!("no root of trust from {}", repository.url);
    let report = Report::error(text).because(error).help(error.help());
    Failure::new(Exit::Store, coded("verify/trust-update", report))
}

fn coded(code: &'static str, mut report: Report) -> Report {
    report.code = Some(code);
    report
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dsops_release_verify::{RootSource, TrustRoot};

    use super::*;

    #[test]
    fn the_newest_of_what_is_kept_and_what_came_with_dsops_is_used() {
        let [(_, document), _] = TrustRoots::embedded_documents();
        let date = TrustRoots::embedded().iter().find_map(TrustRoot::date).unwrap();
        let day = Duration::from_hours(24);
        let used = |asked: SystemTime| {
            let content = document.as_bytes().to_vec();
            let refreshed = Refreshed { content, asked, expires: asked + day, versions: [1; 4] };
            let [repository, _] = Repository::known();
            let roots = refreshed.roots(&repository.name).unwrap();
            let roots = in_use(newest(vec![Stored { repository, refreshed, roots }]));
            let mut used: Vec<_> =
                roots.iter().map(|root| (root.name().to_owned(), root.source())).collect();
            used.sort_by(|one, other| one.0.cmp(&other.0));
            used
        };
        let github = ("github.com".to_owned(), RootSource::Embedded);
        let sigstore = |source| ("sigstore.dev".to_owned(), source);
        assert_eq!(used(date + day), [github.clone(), sigstore(RootSource::Repository)]);
        assert_eq!(used(date - day), [github, sigstore(RootSource::Embedded)]);
    }
}

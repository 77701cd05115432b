//! Answers of stores that are kept between runs: where, when they are used, and what is said of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dsops_integrity_cache::{Event, EventKind};
use dsops_resolver::{
    CacheScope, CacheUse, Config, Environment, FromCache, Identity, Item, OpenContext, Plan,
    SecretCache as _, StoreFactory as _, StoreSettings,
};
use dsops_stores::Registry;
use dsops_stores::cache::{CacheError, Note, Places, StoreCache};

use crate::context::Context;
use crate::env_vars;
use crate::report::Report;
use crate::ui::{self, Ui};

/// The part of the directories that holds values of stores.
const PART: &str = "secrets";

// The flags of commands that fetch values.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Flags {
    /// Open no store: only what stores with `cache:` answered before
    #[arg(long, conflicts_with = "refresh")]
    pub offline: bool,
    /// Ask every store, also for what is in the cache, and keep what it answers
    #[arg(long)]
    pub refresh: bool,
}

impl Flags {
    /// What they mean.
    pub fn cache_use(self) -> CacheUse {
        match (self.offline, self.refresh) {
            (true, _) => CacheUse::Offline,
            (_, true) => CacheUse::Refresh,
            _ => CacheUse::Normal,
        }
    }
}

/// Where the environment says that answers are kept; `None` when it names no place.
pub fn places(environment: &dyn Environment) -> Option<Places> {
    let (cache, state) = folders(environment)?;
    Some(Places { cache_dir: part_of(&cache), state_dir: part_of(&state) })
}

/// The folders for all that dsops keeps, and for the keys to it; `None` when there is no place.
pub fn folders(environment: &dyn Environment) -> Option<(PathBuf, PathBuf)> {
    let set = |name| environment.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = |own, xdg, below_home: &str| {
        set(own)
            .or_else(|| Some(set(xdg).filter(|path| path.is_absolute())?.join("dsops")))
            .or_else(|| Some(set(env_vars::HOME)?.join(below_home).join("dsops")))
    };
    let local = || Some(set(env_vars::LOCAL_APP_DATA)?.join("dsops"));
    let cache = folder(env_vars::CACHE_DIR, env_vars::XDG_CACHE_HOME, ".cache");
    let state = folder(env_vars::STATE_DIR, env_vars::XDG_STATE_HOME, ".local/state");
    Some((
        cache.or_else(|| Some(local()?.join("cache")))?,
        state.or_else(|| Some(local()?.join("state")))?,
    ))
}

/// Where in a folder for all that dsops keeps the answers of stores lie.
pub fn part_of(folder: &Path) -> PathBuf {
    folder.join(PART)
}

/// The cache for a plan, if one of its stores wants its answers kept.
pub fn for_plan(cx: &Context, plan: &Plan) -> Option<StoreCache> {
    plan.stores.iter().find(|store| store.settings.cache().is_some())?;
    let places = places(&cx.environment);
    if places.is_none() {
        let report = Report::warning("answers of stores are not kept: there is no place for them");
        let report = report.help("set HOME, or DSOPS_CACHE_DIR and DSOPS_STATE_DIR");
        cx.ui.report(&coded("cache/unusable", report));
    }
    places.map(StoreCache::new)
}

/// Says what the cache noticed.
pub fn tell_notes(ui: Ui, cache: &StoreCache) {
    let mut suspicious = Vec::new();
    for note in cache.notes() {
        match note {
            Note::Unusable(error) => ui.report(&failed(
                "cache/unusable",
                "answers of stores are not kept in this run",
                &error,
            )),
            Note::NotKept(error) => {
                let text = "answers of stores could not be kept";
                ui.report(&failed("cache/not-kept", text, &error));
            }
            Note::Suspicious { what, entry, .. } => suspicious.push(match entry {
                Some(entry) => format!("{entry}: {what}"),
                None => what,
            }),
            Note::Odd(text) => ui.report(&coded("cache/odd", Report::warning(text))),
            _ => {}
        }
    }
    if !suspicious.is_empty() {
        let mut report = Report::warning(
            "the cache was changed by something else than dsops; what was found was not used",
        )
        .help("`dsops cache verify` looks at all of it, `dsops cache rekey` starts anew");
        report.causes = suspicious;
        ui.report(&coded("cache/tampered", report));
    }
}

/// Says what was noticed while the cache as a whole was looked at; what it finds in entries is the
/// result.
pub fn tell_event(ui: Ui, event: &Event) {
    let text = match event.kind {
        EventKind::ForeignSuperblock => "the cache was made with another key than the one here",
        EventKind::ClockWentBack => {
            "the clock was set back; the latest time that the cache has seen counts instead"
        }
        EventKind::LedgerDamaged => {
            "the ledger of the cache is damaged; what it covered is forgotten"
        }
        EventKind::NetworkFileSystem => {
            "the cache is on a network file system, where locks may not hold"
        }
        _ => return,
    };
    ui.report(&coded("cache/odd", Report::warning(text)));
}

/// Says what came from the cache: loudly where it stands in for a store that does not answer.
pub fn tell_used(ui: Ui, used: &[FromCache]) {
    for FromCache { store, items, instead, oldest, .. } in used {
        let store = ui::one_line(store);
        let values = ui::plural(*items, "value");
        let Some(error) = instead else {
            ui.detail(format!("note: {values} of the store `{store}` from the cache"));
            continue;
        };
        let age = oldest.map(|kept| format!(", kept {} ago", age(kept))).unwrap_or_default();
        let report = Report::warning(format!(
            "the store `{store}` does not answer: {values} from the cache{age}"
        ));
        let report = report.because(error).help("`stale_if_error` in dsops.yaml allows it");
        ui.report(&coded("cache/stale", report));
    }
}

/// How long ago, to the second.
pub fn age(since: SystemTime) -> String {
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}

fn failed(code: &'static str, text: &str, error: &CacheError) -> Report {
    let mut report = Report::warning(text).because(error);
    report.help = error.help().map(str::to_owned);
    coded(code, report)
}

fn coded(code: &'static str, mut report: Report) -> Report {
    report.code = Some(code);
    report
}

/// What is kept of a store that is about to be changed.
pub struct Kept<'a> {
    cache: StoreCache,
    settings: &'a StoreSettings,
    config: &'a Config,
    identity: Identity,
}

impl<'a> Kept<'a> {
    /// To be asked before the change: what a store holds is part of what its answers are kept under.
    pub fn of(cx: &Context, config: &'a Config, settings: &'a StoreSettings) -> Option<Self> {
        settings.cache()?;
        let open = OpenContext::new(config.base_dir(), &cx.environment);
        let identity = Registry::new().identity(settings, &open).ok()?;
        let cache = StoreCache::new(places(&cx.environment)?);
        Some(Self { cache, settings, config, identity })
    }

    /// Gives up the answers for these keys. They would not be found any more: the store holds
    /// something else now. This takes them off the disk.
    pub fn forget<S: Into<String>>(self, ui: Ui, keys: impl IntoIterator<Item = S>) {
        let items: Vec<Item> =
            keys.into_iter().map(|key| Item { key: key.into(), version: None }).collect();
        let items: Vec<&Item> = items.iter().collect();
        let scope = CacheScope::new(self.settings, self.config.base_dir(), self.identity);
        self.cache.forget(&scope, &items);
        tell_notes(ui, &self.cache);
    }
}

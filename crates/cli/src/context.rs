//! What the command line means: the configuration, the environment and the way of talking of this run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dsops_execenv::is_dangerous;
use dsops_resolver::{
    CacheUse, CheckReport, Config, ConfigErrors, Environment as _, FILE_NAME, LoadOptions,
    OpenContext, Plan, Power, Progress, ResolveOptions, Resolved, SecretCache, check, codes,
    find_config, plan, resolve, suggest,
};
use dsops_stores::Registry;

use crate::args::Global;
use crate::cached;
use crate::environment::ProcessEnvironment;
use crate::exit::Exit;
use crate::progress::Line;
use crate::report::{Failure, Report};
use crate::selection::Selected;
use crate::trust::TrustStore;
use crate::ui::Ui;

/// Everything a command needs to know about this run.
#[derive(Debug)]
pub struct Context {
    pub ui: Ui,
    pub environment: ProcessEnvironment,
    pub non_interactive: bool,
    config: Option<PathBuf>,
    fetch_timeout: Option<Duration>,
    environment_name: Option<String>,
}

impl Context {
    /// Settles what the global flags mean.
    pub fn new(global: &Global) -> Self {
        let environment = ProcessEnvironment::new(!global.non_interactive);
        let colour = !global.no_color && environment.allows_colour();
        Self {
            ui: Ui::new(global, colour),
            environment,
            non_interactive: global.non_interactive,
            // A variable that is set to nothing is one that is not set.
            config: global.config.clone().filter(|path| !path.is_empty()).map(PathBuf::from),
            fetch_timeout: global.fetch_timeout,
            environment_name: global.env.clone().filter(|name| !name.is_empty()),
        }
    }

    /// The environment asked for by flag or variable.
    pub fn requested_environment(&self) -> Option<&str> {
        self.environment_name.as_deref()
    }

    /// The file asked for, or the one found by walking up.
    ///
    /// # Errors
    /// There is none.
    pub fn config_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = self.find_config()? {
            return Ok(path);
        }
        let message = format!(
            "there is no {FILE_NAME} in {} or in a folder above it",
            current_dir()?.display()
        );
        let mut report = Report::error(message)
            .help("make one with `dsops init`, or name one with `--config FILE`");
        report.code = Some(codes::NOT_FOUND);
        Err(Failure::new(Exit::Config, report))
    }

    /// The file asked for, or the one found by walking up, if there is one.
    ///
    /// # Errors
    /// The working directory cannot be found.
    pub fn find_config(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.config {
            Some(path) => Ok(Some(path.clone())),
            None => Ok(find_config(&current_dir()?)),
        }
    }

    /// Where `init` writes: the file asked for, or `dsops.yaml` here.
    pub fn new_config_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME))
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// There is none, or all that is wrong with it.
    pub fn load(&self) -> Result<Config, Failure> {
        let config = self.read_config(&self.config_path()?)?;
        for name in config.expanded_credentials() {
            // What a store's token is made of is no business of the child's.
            self.environment.credential(name).map_err(Failure::from_store)?;
        }
        for warning in config.warnings() {
            if self.ui.verbose {
                self.ui.report(&warning.clone().into());
            }
        }
        Ok(config)
    }

    /// Reads a configuration, and says nothing of its warnings.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read_config(&self, path: &Path) -> Result<Config, Failure> {
        self.parse_config(path).map_err(|errors| Failure::many(Exit::Config, errors))
    }

    /// The same, with the errors as the resolver tells them.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse_config(&self, path: &Path) -> Result<Config, ConfigErrors> {
        // The path as people know it: relative where it is in the working directory.
        let shown =
            current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
        let shown = shown.filter(|path| !path.as_os_str().is_empty());
        let variables = |name: &str| self.environment.var(name);
        let options = LoadOptions::new().variables(&variables);
        Config::load_with(shown.as_deref().unwrap_or(path), &options)
    }

    /// The environment to work on: the one asked for, else the only one there is.
    ///
    /// # Errors
    /// It is not defined, or there are several and none was asked for.
    pub fn environment_of<'a>(&'a self, config: &'a Config) -> Result<&'a str, Failure> {
        let names: Vec<&str> = config.environments().collect();
        let list = names.join(", ");
        if let Some(wanted) = self.requested_environment() {
            if names.contains(&wanted) {
                return Ok(wanted);
            }
            let help = suggest(wanted, names.iter().copied()).map_or_else(
                || format!("it has: {list}"),
                |likely| format!("did you mean `{likely}`?"),
            );
            return Err(no_environment(
                Report::error(format!("{} has no environment `{wanted}`", config.path().display()))
                    .help(help),
            ));
        }
        config.only_environment().ok_or_else(|| {
            let (message, help) = if names.is_empty() {
                ("has no environment", "add one under `envs:`".to_owned())
            } else {
                (
                    "has several environments",
                    format!("choose one with `--env` or DSOPS_ENV: {list}"),
                )
            };
            no_environment(
                Report::error(format!("{} {message}", config.path().display())).help(help),
            )
        })
    }

    /// Plans the environment to work on.
    ///
    /// # Errors
    /// All that stands in the way.
    pub fn plan(&self, config: &Config) -> Result<Plan, Failure> {
        plan(config, self.environment_of(config)?, &Registry::new())
            .map_err(|errors| Failure::many(Exit::Config, errors))
    }

    /// Plans those variables of the environment to work on that the flags select.
    ///
    /// # Errors
    /// All that stands in the way; a scope, name or pattern that fits nothing.
    pub fn plan_selected(&self, config: &Config, selected: &Selected) -> Result<Plan, Failure> {
        self.plan_selected_in(config, self.environment_of(config)?, selected)
    }

    /// The same, for an environment by name.
    ///
    /// # Errors
    /// As [`Context::plan_selected`].
    pub fn plan_selected_in(
        &self,
        config: &Config,
        environment: &str,
        selected: &Selected,
    ) -> Result<Plan, Failure> {
        let failed = |errors: ConfigErrors| Failure::many(Exit::Config, errors);
        let mut plan = plan(config, environment, &Registry::new()).map_err(failed)?;
        for warning in plan.select(&selected.into()).map_err(failed)? {
            self.ui.report(&warning.into());
        }
        Ok(plan)
    }

    /// Asks the stores of a plan what is there, without fetching a value.
    ///
    /// # Errors
    /// What stores would do that needs trust, when there is none.
    pub fn check(
        &self,
        config: &Config,
        plan: &Plan,
        offline: bool,
    ) -> Result<CheckReport, Failure> {
        self.require_trust(config, &plan.environment, concerns_fetching)?;
        let cx = OpenContext::new(config.base_dir(), &self.environment);
        let line = Line::on_stderr(self.ui);
        let mut options = self.resolve_options(line.as_ref().map(|line| -> &dyn Progress { line }));
        // Only without the stores is the cache asked what there is.
        let cache = offline.then(|| cached::for_plan(self, plan)).flatten();
        if offline {
            options.cache_use = CacheUse::Offline;
            options.cache = cache.as_ref().map(|cache| -> &dyn SecretCache { cache });
        }
        let report = check(plan, &Registry::new(), &cx, &options);
        drop(line);
        if let Some(cache) = &cache {
            cached::tell_notes(self.ui, cache);
        }
        Ok(report)
    }

    /// Refuses what `counts` of the powers of an environment, unless the configuration is trusted.
    ///
    /// # Errors
    /// Each of them, when it is not.
    pub fn require_trust(
        &self,
        config: &Config,
        environment: &str,
        counts: impl Fn(&Power) -> bool,
    ) -> Result<(), Failure> {
        let powers: Vec<Power> = powers(config, environment).into_iter().filter(counts).collect();
        // Most configurations are plain data; then no record is looked for.
        if powers.is_empty() || TrustStore::find(&self.environment).trusts(config) {
            return Ok(());
        }
        let reports = powers.into_iter().map(|power| {
            let mut report = Report::error(format!("not trusted: it {}", power.what))
                .help(if power.code == codes::POWER_VARIABLE {
                    "rename it; `dsops trust` allows exactly this content, `--allow-dangerous NAME` one run of `exec`"
                } else {
                    "read the configuration; `dsops trust` allows exactly this content"
                });
            report.code = Some(power.code);
            report.place = Some(power.place);
            report
        });
        Err(Failure::many(Exit::Config, reports))
    }

    /// Fetches what a plan says.
    ///
    /// # Errors
    /// Every failure; what stores would do that needs trust, when there is none.
    pub fn resolve(
        &self,
        config: &Config,
        plan: &Plan,
        flags: cached::Flags,
    ) -> Result<Resolved, Failure> {
        self.resolve_trusting(config, plan, flags, concerns_fetching)
    }

    /// The same for a command that minds more powers than those of fetching: what it minds is asked
    /// once, and has to hold what [`Context::resolve`] asks.
    ///
    /// # Errors
    /// As [`Context::resolve`].
    pub fn resolve_trusting(
        &self,
        config: &Config,
        plan: &Plan,
        flags: cached::Flags,
        counts: impl Fn(&Power) -> bool,
    ) -> Result<Resolved, Failure> {
        self.require_trust(config, &plan.environment, |p| concerns_fetching(p) || counts(p))?;
        let cx = OpenContext::new(config.base_dir(), &self.environment);
        let line = Line::on_stderr(self.ui);
        let mut options = self.resolve_options(line.as_ref().map(|line| -> &dyn Progress { line }));
        let cache = cached::for_plan(self, plan);
        options.cache = cache.as_ref().map(|cache| -> &dyn SecretCache { cache });
        options.cache_use = flags.cache_use();
        let result = resolve(plan, &Registry::new(), &cx, &options);
        drop(line);
        if let Some(cache) = &cache {
            cached::tell_notes(self.ui, cache);
        }
        let resolved = result.map_err(|errors| Failure::many(Exit::Store, errors))?;
        cached::tell_used(self.ui, resolved.cached());
        Ok(resolved)
    }

    /// How long stores may take, and who is told meanwhile.
    pub fn resolve_options<'a>(&self, line: Option<&'a dyn Progress>) -> ResolveOptions<'a> {
        let mut options = ResolveOptions::default();
        options.deadline = self.fetch_timeout.and_then(|limit| Instant::now().checked_add(limit));
        options.progress = line;
        options
    }
}

/// What any environment of a configuration could do that its user has to agree to.
pub fn all_powers(config: &Config) -> Vec<Power> {
    // Several environments may have the same one.
    let mut seen = BTreeSet::new();
    config
        .environments()
        .flat_map(|environment| powers(config, environment))
        .filter(|power| seen.insert((power.place.to_string(), power.code, power.what.clone())))
        .collect()
}

/// What an environment of a configuration could do that its user has to agree to.
fn powers(config: &Config, environment: &str) -> Vec<Power> {
    config.powers(environment, &Registry::new(), &is_dangerous)
}

/// What a variable is called matters where it is set, and what a template touches where it is
/// rendered: not where values are fetched.
pub fn concerns_fetching(power: &Power) -> bool {
    !matches!(power.code, codes::POWER_VARIABLE | codes::POWER_TEMPLATE)
}

fn no_environment(mut report: Report) -> Failure {
    report.code = Some(codes::UNKNOWN_ENVIRONMENT);
    Failure::new(Exit::Config, report)
}

/// The working directory.
///
/// # Errors
/// It was removed, or may not be looked at.
pub fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(
            Exit::Config,
            Report::error("the working directory cannot be found").because(&error),
        )
    })
}

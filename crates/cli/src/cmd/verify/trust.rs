//! `dsops verify trust`: the roots of trust that are used: shown, written out, renewed.

use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use clap::{Subcommand, ValueEnum, ValueHint};
use dsops_release_verify::tuf::Refreshed;
use dsops_release_verify::{Origin, RootSource, TRUST_LIMIT_BYTES, TrustRoot, TrustRoots};
use dsops_transport::{Client, Url};
use serde_json::{Value, json};

use super::stored::{self, Kept, Repository};
use super::{files, online};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const SHOW_EXAMPLES: &str = "\
Examples:
  dsops verify trust show
  dsops verify trust show --trusted-root trusted_root.json --json";

const EXPORT_EXAMPLES: &str = "\
Examples:
  dsops verify trust export > trusted_root.jsonl
  dsops verify trust export --instance sigstore > trusted_root.json";

const UPDATE_EXAMPLES: &str = "\
Examples:
  dsops verify trust update
  dsops verify trust update --instance sigstore --mirror https://tuf.acme.example/sigstore/
  dsops verify trust update --mirror https://tuf.acme.example/ --root root.json

Asks the repositories for their newest root of trust, checks it from the first metadata on that came
with dsops or with `--root`, and keeps it. From then on `dsops verify` uses it, offline. A repository
that offers something older than before, that has ended or that was changed is refused.";

const FORGET_EXAMPLES: &str = "\
Examples:
  dsops verify trust forget

Also which versions were seen is forgotten: an older root of trust would be taken again.";

// What `dsops verify trust` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

// What can be done with roots of trust.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Action {
    /// Show whom dsops trusts, and of which day that is
    Show(ShowArgs),
    /// Print the roots that dsops uses, for `--trusted-root` and for other tools
    Export(ExportArgs),
    /// Get today's roots of trust from their repositories; uses the network
    Update(UpdateArgs),
    /// Use only the roots that come with dsops again
    #[command(after_help = FORGET_EXAMPLES)]
    Forget,
}

// What `dsops verify trust show` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Show these instead
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted_root: Option<OsString>,
}

// What `dsops verify trust export` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// Only this instance; without it all, one a line
    #[arg(long, value_name = "NAME", value_enum)]
    pub instance: Option<Instance>,
}

// What `dsops verify trust update` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = UPDATE_EXAMPLES)]
pub struct UpdateArgs {
    /// Only this instance; without it all that are known, and own ones
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "root")]
    pub instance: Option<Instance>,
    /// Ask here, from now on: a copy of the instance's repository (of Sigstore's, unless `--instance`
    /// names another), or with `--root` an own repository
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub mirror: Option<String>,
    /// The first metadata of an own repository (`root.json`), got from somebody you trust: its root of
    /// trust is used besides the others
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "mirror")]
    pub root: Option<OsString>,
    /// Believe servers by the authorities in this file too (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
}

/// An instance of Sigstore whose root comes with dsops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Instance {
    /// The public one, sigstore.dev
    Sigstore,
    /// GitHub's, for attestations of private repositories and of releases
    Github,
}

impl Instance {
    fn name(self) -> &'static str {
        match self {
            Self::Sigstore => "sigstore.dev",
            Self::Github => "github.com",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A root cannot be read, or a repository does not give one.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Show(args) => show(cx, args),
        Action::Export(args) => export(cx, args),
        Action::Update(args) => update(cx, args),
        Action::Forget => forget(cx),
    }
}

/// The roots of trust for a verification, and the client when the network may be used: those of a
/// file; else those that come with dsops with newer ones in their place, which `--online` renews.
///
/// # Errors
/// The file cannot be read, or is no root of trust; a repository gives something wrong.
pub fn roots(
    cx: &Context,
    file: Option<&OsStr>,
    flags: &online::Flags,
) -> Result<(TrustRoots, Option<Client>), Failure> {
    let client = flags.online.then(|| online::client(cx, flags.ca_file.as_deref())).transpose()?;
    let roots = match (file, &client) {
        (Some(file), _) => of_file(file)?,
        (None, Some(client)) => stored::refreshed(cx, client)?,
        (None, None) => stored::in_use(stored::newer(cx)),
    };
    Ok((roots, client))
}

fn of_file(file: &OsStr) -> Result<TrustRoots, Failure> {
    let bytes = files::read(file, TRUST_LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?;
    let origin = Origin::new(file.to_string_lossy());
    TrustRoots::load(&bytes, &origin, None).map_err(|error| {
        let mut report = Report::error("this is no root of trust")
            .because(&error)
            .help("`dsops verify trust export` prints one; Sigstore's is called trusted_root.json");
        report.code = Some("verify/trusted-root");
        Failure::new(Exit::Config, report)
    })
}

fn show(cx: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let roots = match &args.trusted_root {
        Some(file) => of_file(file)?,
        None => stored::in_use(stored::newer(cx)),
    };
    let now = SystemTime::now();
    let text = if cx.ui.json {
        let list: Vec<Value> = roots.iter().map(|root| as_json(root, now)).collect();
        format!("{:#}\n", json!({ "version": JSON_VERSION, "roots": list }))
    } else {
        let head = [
            "ROOT",
            "FROM",
            "DATE",
            "DAYS",
            "AUTHORITIES",
            "LOGS",
            "CERTIFICATE LOGS",
            "TIMESTAMPS",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(roots.iter().map(|root| {
            let [authorities, logs, certificate_logs, timestamps] =
                root.counts().map(|count| count.to_string());
            let date = date(root).unwrap_or_else(|| "not known".into());
            let days = days(root, now).map_or_else(String::new, |days| days.to_string());
            let (name, from) = (ui::one_line(root.name()), from(root).to_owned());
            vec![name, from, date, days, authorities, logs, certificate_logs, timestamps]
        }));
        ui::table(&rows)
    };
    ui::print(text.as_bytes())?;
    for root in roots.iter() {
        let finding = root.finding(now);
        if finding.state == dsops_release_verify::State::Warning {
            let mut report = Report::warning(finding.message);
            report.help = finding.help;
            cx.ui.report(&report);
        }
    }
    Ok(Exit::Ok)
}

fn as_json(root: &TrustRoot, now: SystemTime) -> Value {
    let [authorities, logs, certificate_logs, timestamps] = root.counts();
    json!({
        "name": root.name(),
        "from": from(root),
        "date": date(root),
        "age_days": days(root, now),
        "certificate_authorities": authorities,
        "transparency_logs": logs,
        "certificate_logs": certificate_logs,
        "timestamp_authorities": timestamps,
    })
}

/// Where it is from, in a word.
fn from(root: &TrustRoot) -> &'static str {
    match root.source() {
        RootSource::Embedded => "dsops",
        RootSource::Repository => "repository",
        _ => "file",
    }
}

/// The day on which it is known to have been current.
fn date(root: &TrustRoot) -> Option<String> {
    root.date().map(day)
}

fn day(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

fn days(root: &TrustRoot, now: SystemTime) -> Option<u64> {
    Some(now.duration_since(root.date()?).unwrap_or_default().as_secs() / (24 * 60 * 60))
}

fn export(cx: &Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let mut stored = stored::newer(cx);
    let mut documents: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, document) in TrustRoots::embedded_documents() {
        let newer = stored.iter().position(|one| one.repository.name == name);
        let content = match newer {
            Some(newer) => stored.remove(newer).refreshed.content,
            None => document.as_bytes().to_vec(),
        };
        documents.push((name.to_owned(), content));
    }
    documents.extend(stored.into_iter().map(|one| (one.repository.name, one.refreshed.content)));
    let mut text = String::new();
    for (name, document) in documents {
        if args.instance.is_none_or(|wanted| wanted.name() == name) {
            // One line each, so that all are lines of JSON; the document itself stays as it is.
            let value: Value = serde_json::from_slice(&document)
                .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn update(cx: &Context, args: &UpdateArgs) -> Result<Exit, Failure> {
    let mirror = args.mirror.as_deref().map(folder).transpose()?;
    let root = match &args.root {
        Some(file) => Some(
            files::read(file, TRUST_LIMIT_BYTES)
                .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?,
        ),
        None => None,
    };
    let client = online::client(cx, args.ca_file.as_deref())?;
    let kept = Kept::new(cx)?;
    let (mut done, mut problems) = (Vec::new(), Vec::new());
    for repository in wanted(&kept, args.instance, mirror, root) {
        cx.ui.note(format!("asking {}", repository.url));
        let result = repository
            .refresh(&client, &kept)
            // A place that gives nothing good is not remembered.
            .and_then(|refreshed| kept.remember(&repository).map(|()| refreshed));
        match result {
            Ok(refreshed) => done.push((repository, refreshed)),
            Err(error) => problems.extend(stored::failed(&repository, &error).reports),
        }
    }
    kept.tell_suspicious(cx);
    let text = if cx.ui.json {
        let list: Vec<Value> = done.iter().map(|(one, it)| updated_json(one, it)).collect();
        format!("{:#}\n", json!({ "version": JSON_VERSION, "updated": list }))
    } else if done.is_empty() {
        String::new()
    } else {
        let head = ["ROOT", "ASKED", "GOOD UNTIL", "VERSION", "REPOSITORY"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(done.iter().map(|(repository, refreshed)| {
            let [.., targets] = refreshed.versions;
            let days = [refreshed.asked, refreshed.expires].map(day);
            let [name, url] = [&repository.name, &repository.url].map(|text| ui::one_line(text));
            let [asked, expires] = days;
            vec![name, asked, expires, targets.to_string(), url]
        }));
        ui::table(&rows)
    };
    ui::print(text.as_bytes())?;
    if problems.is_empty() { Ok(Exit::Ok) } else { Err(Failure::many(Exit::Store, problems)) }
}

fn updated_json(repository: &Repository, refreshed: &Refreshed) -> Value {
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let [root, timestamp, snapshot, targets] = refreshed.versions;
    json!({
        "name": repository.name,
        "repository": repository.url,
        "asked": time(refreshed.asked),
        "expires": time(refreshed.expires),
        "versions": {
            "root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets,
        },
    })
}

/// Which repositories are to be asked, and where.
fn wanted(
    kept: &Kept,
    instance: Option<Instance>,
    mirror: Option<String>,
    root: Option<Vec<u8>>,
) -> Vec<Repository> {
    let mut all = kept.repositories();
    match (mirror, root) {
        (None, _) => all.retain(|one| instance.is_none_or(|it| it.name() == one.name)),
        // An own repository is known by where it is.
        (Some(url), Some(root)) => all = vec![Repository { name: url.clone(), url, root }],
        (Some(url), None) => {
            let is_own = instance.is_none() && all.iter().any(|own| own.name == url);
            let name = if is_own { &url } else { instance.unwrap_or(Instance::Sigstore).name() };
            all.retain(|one| one.name == name);
            for one in &mut all {
                one.url.clone_from(&url);
            }
        }
    }
    all
}

/// The address of a folder: paths in it are appended.
fn folder(mirror: &str) -> Result<String, Failure> {
    let url = Url::parse(mirror).and_then(|url| {
        let slash = if url.path().ends_with('/') { "" } else { "/" };
        url.join(&format!("{}{slash}", url.path()))
    });
    let url = url.map_err(|error| {
        let mut report = Report::error("`--mirror` is no address of a repository").because(&error);
        report.code = Some("verify/mirror");
        Failure::new(Exit::Usage, report)
    })?;
    Ok(url.to_string())
}

fn forget(cx: &Context) -> Result<Exit, Failure> {
    let Some(kept) = Kept::existing(cx)? else {
        cx.ui.note("there is nothing to forget");
        return Ok(Exit::Ok);
    };
    kept.forget().map_err(|error| {
        let report = Report::error("the roots of trust that were kept cannot be forgotten");
        Failure::new(Exit::Store, report.because(&error))
    })?;
    cx.ui.note("only the roots of trust that come with dsops are used");
    Ok(Exit::Ok)
}

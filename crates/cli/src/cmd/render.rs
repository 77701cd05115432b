//! `dsops render`: the secrets of an environment as a file that another program reads.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dsops_formats::{Dialect, Format, Options, RenderError, RenderErrors, Template};
use dsops_resolver::{Config, Power, Resolved, codes, suggest};
use dsops_secure_mem::SecretBytes;
use dsops_stores::file;

use crate::cached;
use crate::context::Context;
use crate::exit::Exit;
use crate::git::{self, Fate};
use crate::report::{Failure, Report};
use crate::selection::Selected;
use crate::trust::TrustStore;
use crate::ui;

/// The largest template taken in.
const TEMPLATE_LIMIT_BYTES: u64 = 1 << 20;

// What `dsops render` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dsops render --env prod --out app.env
  dsops render --env prod --format k8s --secret-name app --out - | kubectl apply -f -
  dsops render --env ci --format github-env --out - >> \"$GITHUB_ENV\"
  dsops render --env prod --template nginx.conf.j2 --out nginx.conf
  dsops render --all

A file with secrets outlives the program that needed them; `dsops exec` leaves none.")]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Args {
    /// Entries of `templates` in the configuration, by name
    #[arg(conflicts_with_all = ["out", "format", "template", "all"])]
    pub templates: Vec<String>,
    /// All entries of `templates`
    #[arg(long, conflicts_with_all = ["out", "format", "template"])]
    pub all: bool,
    /// The file to write, or `-` for stdout
    #[arg(long, value_name = "FILE", required_unless_present_any = ["templates", "all"])]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub selected: Selected,
    /// The format (default: by the extension of the file, else dotenv)
    #[arg(long, value_name = "FORMAT", value_parser = known::<Format>)]
    pub format: Option<Format>,
    /// A template of your own (minijinja); an undefined name is an error
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// The mode of the file, in octal digits
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    pub permissions: u32,
    /// Write it even where git would take it into the repository
    #[arg(long)]
    pub force: bool,
    /// JSON and YAML: only the variables, without `generated_by` around them
    #[arg(long)]
    pub flat: bool,
    /// dotenv: the reader it is meant for (shell, python, node)
    #[arg(long, value_name = "READER", default_value = "shell", value_parser = known::<Dialect>)]
    pub dialect: Dialect,
    /// k8s: the name of the Secret
    #[arg(long, value_name = "NAME")]
    pub secret_name: Option<String>,
    /// k8s: its namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub cache: cached::Flags,
    /// For the shell hook: only what `dsops trust` was given
    #[arg(long, hide = true)]
    pub only_trusted: bool,
    /// Refused: a file does not delete itself
    #[arg(long, value_name = "TIME", hide = true)]
    pub ttl: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The values cannot be had, the format cannot carry them, or the file may not be written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    if args.ttl.is_some() {
        return Err(Failure::usage(
            "`--ttl` is refused: a file does not delete itself, and nothing here stays to do it",
            "hand the values over with `dsops exec` or `--out -`, or delete the file when you are done",
        ));
    }
    let config = cx.load()?;
    if args.only_trusted {
        // The hook asked before it started this run; since then the files may have changed.
        TrustStore::find(&cx.environment).require(&config)?;
    }
    let is_of_templates = |power: &Power| power.code == codes::POWER_TEMPLATE;
    if args.out.is_none() {
        // Before a template is read; which environment it is for makes no difference.
        cx.require_trust(&config, "", is_of_templates)?;
    }
    let jobs = jobs(cx, args, &config)?;
    for job in &jobs {
        cx.require_trust(&config, &job.environment, |power| !is_of_templates(power))?;
    }
    // Whatever can be known to fail does so before anything is fetched, and all of it before
    // anything is written.
    for out in jobs.iter().filter_map(|job| job.out.as_deref()) {
        check_place(cx, out, args.force)?;
    }
    let mut resolved: BTreeMap<&str, Resolved> = BTreeMap::new();
    for job in &jobs {
        if !resolved.contains_key(job.environment.as_str()) {
            let plan = cx.plan_selected_in(&config, &job.environment, &args.selected)?;
            resolved.insert(&job.environment, cx.resolve(&config, &plan, args.cache)?);
        }
    }
    let texts: Vec<SecretBytes> = jobs
        .iter()
        .map(|job| job.rendered(args, &resolved[job.environment.as_str()]))
        .collect::<Result<_, _>>()?;
    for (job, text) in jobs.iter().zip(texts) {
        job.publish(cx, args, &text, resolved[job.environment.as_str()].len())?;
    }
    Ok(Exit::Ok)
}

/// One file to write.
struct Job {
    environment: String,
    format: Format,
    /// The name and the text of a template.
    template: Option<(String, String)>,
    /// `None` is stdout.
    out: Option<PathBuf>,
}

/// What the flags ask for, or the named entries of `templates`.
fn jobs(cx: &Context, args: &Args, config: &Config) -> Result<Vec<Job>, Failure> {
    if let Some(out) = &args.out {
        let template = args.template.as_deref().map(read_template).transpose()?;
        let out = Some(out.clone()).filter(|out| out != Path::new("-"));
        let format = match (args.format, &template, &out) {
            (Some(format), _, _) => format,
            (None, Some(_), _) => Format::Template,
            (None, None, None) => Format::Dotenv,
            (None, None, Some(out)) => Format::from_path(out),
        };
        let environment = cx.environment_of(config)?.to_owned();
        return Ok(vec![Job { environment, format, template, out }]);
    }
    let (mut jobs, mut problems) = (Vec::new(), Vec::new());
    let known = config.templates();
    if known.is_empty() {
        problems.push(
            Report::error(format!("{} has no `templates`", config.path().display()))
                .help("say what to write with `--out FILE`"),
        );
    }
    for name in args.templates.iter().filter(|name| known.iter().all(|t| t.name != **name)) {
        let report = Report::error(format!("there is no template `{}`", ui::one_line(name)));
        let names = known.iter().map(|template| template.name.as_str());
        problems.push(report.help(match suggest(name, names.clone()) {
            Some(likely) => format!("did you mean `{likely}`?"),
            None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
        }));
    }
    for template in known.iter().filter(|t| args.all || args.templates.contains(&t.name)) {
        match job_of(cx, config, template) {
            Ok(job) => jobs.push(job),
            Err(failure) => problems.extend(failure.reports),
        }
    }
    if problems.is_empty() { Ok(jobs) } else { Err(Failure::many(Exit::Config, problems)) }
}

/// The job of an entry of `templates`.
fn job_of(
    cx: &Context,
    config: &Config,
    template: &dsops_resolver::Template,
) -> Result<Job, Failure> {
    let wrong = |what: String| {
        let mut report = Report::error(what);
        report.place = Some(template.place.clone());
        Failure::new(Exit::Config, report)
    };
    if !template.unusable.is_empty() {
        return Err(Failure::many(Exit::Config, template.unusable.iter().cloned()));
    }
    let text = template
        .template_path
        .as_ref()
        .map(|path| read_template(&config.base_dir().join(path)))
        .transpose()?;
    let Some(out) = template.out.as_ref().map(|out| config.base_dir().join(out)) else {
        return Err(wrong(format!("the template `{}` has no `out`", template.name)));
    };
    let format = match (&template.format, &text) {
        (Some(format), _) => {
            format.parse().map_err(|error: dsops_formats::UnknownName| wrong(error.to_string()))?
        }
        (None, Some(_)) => Format::Template,
        (None, None) => Format::from_path(&out),
    };
    let environment = match &template.environment {
        Some(environment) => environment.clone(),
        None => cx.environment_of(config)?.to_owned(),
    };
    Ok(Job { environment, format, template: text, out: Some(out) })
}

impl Job {
    /// The file, in protected memory.
    fn rendered(&self, args: &Args, resolved: &Resolved) -> Result<SecretBytes, Failure> {
        let mut options = Options::default();
        options.flat = args.flat;
        options.dialect = args.dialect;
        options.secret_name = args.secret_name.as_deref();
        options.namespace = args.namespace.as_deref();
        options.template = self.template.as_ref().map(|(name, source)| Template { name, source });
        rendered(self.format, resolved, &options)
    }

    /// Writes it where it belongs.
    fn publish(
        &self,
        cx: &Context,
        args: &Args,
        text: &SecretBytes,
        variables: usize,
    ) -> Result<(), Failure> {
        let Some(out) = &self.out else {
            if io::stdout().is_terminal() {
                cx.ui.report(&Report::warning(
                    "the secrets are on this terminal, and in its history",
                ));
            }
            return Ok(ui::print_secret(&text.expose())?);
        };
        file::publish(out, &text.expose(), args.permissions).map_err(|error| {
            let report = match &error {
                file::FileError::NotAFile { .. } => {
                    Report::error(format!("{} is no regular file", out.display()))
                        .help("a symbolic link is not followed; name the file itself")
                }
                _ => Report::error(format!("cannot write {}", out.display())).because(&error),
            };
            Failure::new(Exit::Store, report)
        })?;
        cx.ui.note(format!(
            "wrote {} to {} as {}, mode {:04o}",
            ui::plural(variables, "variable"),
            out.display(),
            self.format,
            args.permissions
        ));
        Ok(())
    }
}

/// A file in a format, in protected memory.
fn rendered(
    format: Format,
    resolved: &Resolved,
    options: &Options<'_>,
) -> Result<SecretBytes, Failure> {
    let variables: Vec<_> = resolved.iter().collect();
    dsops_formats::render(format, &variables, options).map_err(|errors: RenderErrors| {
        Failure::many(
            Exit::Config,
            errors.iter().map(|error| {
                let report = Report::from_error(error);
                match (error.help(), error) {
                    (Some(help), _) => report.help(help),
                    (None, RenderError::MissingOption { format: Format::Kubernetes, .. }) => {
                        report.help("give it one with `--secret-name NAME`")
                    }
                    (None, RenderError::MissingOption { format: Format::Template, .. }) => {
                        report.help("name a template with `--template FILE`")
                    }
                    _ => report,
                }
            }),
        )
    })
}

/// The name and text of a template. It is no secret.
fn read_template(path: &Path) -> Result<(String, String), Failure> {
    let unreadable = || Report::error(format!("cannot read the template {}", path.display()));
    let bytes = file::read(path, TEMPLATE_LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Config, unreadable().because_text("it is not UTF-8")))?;
    Ok((path.display().to_string(), text))
}

/// A file with secrets is not written where the next commit would publish it.
fn check_place(cx: &Context, path: &Path, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    let (message, help) = match git::fate(path) {
        Fate::Outside | Fate::Ignored => return Ok(()),
        Fate::Committable => (
            format!("{shown} would be in the next commit"),
            "add it to .gitignore, or write it anyway with `--force`",
        ),
        Fate::Tracked => (
            format!("{shown} is in the repository"),
            "take it out with `git rm --cached`, and add it to .gitignore; `--force` writes it anyway",
        ),
        Fate::Unknown(why) => (
            format!("it cannot be said whether git would commit {shown}: {why}"),
            "write it elsewhere, or anyway with `--force`",
        ),
    };
    if force {
        cx.ui.report(&Report::warning(message));
        return Ok(());
    }
    Err(Failure::new(Exit::Config, Report::error(message).help(help)))
}

fn known<T: FromStr<Err = dsops_formats::UnknownName>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: dsops_formats::UnknownName| error.to_string())
}

/// A mode that gives its owner at least the right to read, and nobody the right to execute.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o666 == 0 && mode & 0o400 != 0 => Ok(mode),
        _ => Err("a mode is as `0600`: three octal digits, readable by its owner, not executable"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_sane() {
        assert_eq!(mode("0600"), Ok(0o600));
        assert_eq!(mode("640"), Ok(0o640));
        for text in ["", "9", "0777", "4600", "rw", "0066", "-1", "0200"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}

//! `dsops render`: the secrets of an environment as a file that another program reads.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dsops_formats::{Dialect, Format, Options, RenderErrors, Template};
use dsops_resolver::Resolved;
use dsops_secure_mem::SecretBytes;
use dsops_stores::file;

use crate::context::Context;
use crate::exit::Exit;
use crate::git::{self, Fate};
use crate::report::{Failure, Report};
use crate::ui;

/// The largest template taken in.
const TEMPLATE_LIMIT_BYTES: u64 = 1 << 20;

/// What `dsops render` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dsops render --env prod --out app.env
  dsops render --env prod --format k8s --secret-name app --out - | kubectl apply -f -
  dsops render --env ci --format github-env --out - >> \"$GITHUB_ENV\"
  dsops render --env prod --template nginx.conf.j2 --out nginx.conf

A file with secrets outlives the program that needed them; `dsops exec` leaves none.")]
pub struct Args {
    /// The file to write, or `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
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
    let to_stdout = args.out == Path::new("-");
    let format = format(args, to_stdout);
    let template = args.template.as_deref().map(read_template).transpose()?;
    // Whatever can be known to fail does so before anything is fetched.
    if !to_stdout {
        check_place(cx, &args.out, args.force)?;
    }
    let config = cx.load()?;
    let plan = cx.plan(&config)?;
    let resolved = cx.resolve(&config, &plan)?;
    let mut options = Options::default();
    options.flat = args.flat;
    options.dialect = args.dialect;
    options.secret_name = args.secret_name.as_deref();
    options.namespace = args.namespace.as_deref();
    options.template = template.as_ref().map(|(name, source)| Template { name, source });
    let text = rendered(format, &resolved, &options)?;
    if to_stdout {
        if io::stdout().is_terminal() {
            cx.ui.report(&Report::warning("the secrets are on this terminal, and in its history"));
        }
        ui::print_secret(&text.expose())?;
        return Ok(Exit::Ok);
    }
    file::publish(&args.out, &text.expose(), args.permissions).map_err(|error| {
        let report = match &error {
            file::FileError::NotAFile { .. } => {
                Report::error(format!("{} is no regular file", args.out.display()))
                    .help("a symbolic link is not followed; name the file itself")
            }
            _ => Report::error(format!("cannot write {}", args.out.display())).because(&error),
        };
        Failure::new(Exit::Store, report)
    })?;
    cx.ui.note(format!(
        "wrote {} to {} as {format}, mode {:04o}",
        ui::plural(resolved.len(), "variable"),
        args.out.display(),
        args.permissions
    ));
    Ok(Exit::Ok)
}

fn format(args: &Args, to_stdout: bool) -> Format {
    match (args.format, &args.template) {
        (Some(format), _) => format,
        (None, Some(_)) => Format::Template,
        (None, None) if to_stdout => Format::Dotenv,
        (None, None) => Format::from_path(&args.out),
    }
}

/// The file, in protected memory.
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
                match error.help() {
                    Some(help) => report.help(help),
                    None => report,
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

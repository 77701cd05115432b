//! What people and programs read: data on stdout, talk on stderr, colour only on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use serde_json::{Value, json};

use crate::args::Global;
use crate::report::{Failure, Report, Severity};

/// The version of the JSON form of warnings and errors.
const JSON_VERSION: u32 = 1;

/// How this run talks.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Ui {
    pub quiet: bool,
    pub verbose: bool,
    /// Results, warnings and errors are JSON.
    pub json: bool,
    /// On stderr.
    colour: bool,
    /// On stdout.
    #[cfg_attr(not(feature = "verify"), expect(dead_code, reason = "only verdicts have colours"))]
    colour_data: bool,
}

impl Ui {
    /// `colour_allowed` is what flags and environment say; a stderr that is no terminal overrules.
    pub fn new(global: &Global, colour_allowed: bool) -> Self {
        // What stands between lines of JSON would have to be JSON too.
        let quiet = global.quiet || global.json;
        Self {
            quiet,
            verbose: global.verbose && !quiet,
            json: global.json,
            colour: colour_allowed && io::stderr().is_terminal(),
            colour_data: colour_allowed && io::stdout().is_terminal(),
        }
    }

    /// For what is said before the command line is understood.
    pub fn plain(json: bool) -> Self {
        Self { quiet: false, verbose: false, json, colour: false, colour_data: false }
    }

    /// Something good to know; `--quiet` and `--json` hide it.
    pub fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            say(&harmless(text.as_ref()));
        }
    }

    /// Detail that only `--verbose` shows.
    pub fn detail(self, text: impl AsRef<str>) {
        if self.verbose {
            say(&harmless(text.as_ref()));
        }
    }

    /// What was asked for by a flag of its own, where stdout is somebody else's.
    #[expect(clippy::unused_self, reason = "all talk goes through here")]
    pub fn tell(self, text: impl AsRef<str>) {
        say(&harmless(text.as_ref()));
    }

    /// The brush for data on stdout.
    #[cfg(feature = "verify")]
    pub fn paint_data(self) -> Paint {
        Paint(self.colour_data)
    }

    /// A warning, in full; never hidden.
    pub fn report(self, report: &Report) {
        if self.json {
            say(&json!({ "version": JSON_VERSION, "warnings": [as_json(report, None)] })
                .to_string());
        } else {
            say(&self.render(report));
        }
    }

    /// Why the command failed, in full; never hidden.
    pub fn failure(self, failure: &Failure) {
        if self.json {
            if !failure.reports.is_empty() {
                say(&failure_as_json(failure).to_string());
            }
        } else {
            for report in &failure.reports {
                say(&self.render(report));
            }
        }
    }

    fn render(self, report: &Report) -> String {
        let paint = Paint(self.colour);
        let tint = match report.severity {
            Severity::Error => Tint::Red,
            Severity::Warning => Tint::Yellow,
        };
        let mut head = report.severity.word().to_owned();
        if let Some(code) = report.code {
            let _ = write!(head, "[{code}]");
        }
        // Paths, names and other programs' words are in it.
        let mut text = format!("{}: {}", paint.wrap(tint, &head), harmless(&report.message));
        if let Some(place) = &report.place {
            text.push('\n');
            text.push_str(&place.render(|marks| paint.wrap(Tint::Red, marks)));
        }
        for cause in &report.causes {
            let _ = write!(text, "\n  because: {}", harmless(cause));
        }
        if let Some(help) = &report.help {
            let _ = write!(text, "\n  {}: {}", paint.wrap(Tint::Blue, "help"), harmless(help));
        }
        text
    }
}

/// A failure as one object: the exit code, and what went wrong in the order people read it.
fn failure_as_json(failure: &Failure) -> Value {
    let errors: Vec<Value> =
        failure.reports.iter().map(|report| as_json(report, Some(failure.exit.code()))).collect();
    json!({ "version": JSON_VERSION, "exit_code": failure.exit as u8, "errors": errors })
}

/// One report; `general` is the code of one that has no code of its own.
pub fn as_json(report: &Report, general: Option<&str>) -> Value {
    json!({
        "severity": report.severity.word(),
        "code": report.code.or(general),
        "message": report.message,
        "place": report.place.as_ref().map(|place| json!({
            "file": &*place.file, "line": place.line, "column": place.column, "width": place.width,
        })),
        "causes": report.causes,
        "help": report.help,
    })
}

/// Writes data to stdout.
///
/// # Errors
/// What the write says; a closed pipe too, which the caller may treat as the reader's choice.
pub fn print(data: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(data)?;
    out.flush()
}

/// Writes a secret to stdout.
///
/// # Errors
/// As [`print()`].
///
/// # Security
/// On Unix straight from where it lies: the buffer of [`io::stdout`] would keep a copy.
pub fn print_secret(secret: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        let out = io::stdout().lock().as_fd().try_clone_to_owned()?;
        std::fs::File::from(out).write_all(secret)
    }
    #[cfg(not(unix))]
    print(secret)
}

/// A table with columns as wide as their widest cell, two spaces apart, no trailing blanks.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many columns a terminal at stdout has; `None` when it is none, or does not say.
#[cfg(all(unix, feature = "verify"))]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// As on Unix.
#[cfg(all(not(unix), feature = "verify"))]
pub fn width() -> Option<usize> {
    None
}

/// `1 store`, `2 stores`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Untrusted text (a file's line, a key) on one line of a terminal: control characters escaped,
/// those that turn the direction of writing, and those that nobody sees, by which text can pose as another.
pub fn one_line(text: &str) -> String {
    escaped(text, |c| c != '\t')
}

/// The same for text of several lines.
fn harmless(text: &str) -> String {
    escaped(text, |c| !matches!(c, '\t' | '\n'))
}

fn escaped(text: &str, counts: impl Fn(char) -> bool) -> String {
    let drives = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(
                c,
                '\u{ad}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'
                    ..='\u{2064}' | '\u{feff}'
            )
            || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if drives(c) && counts(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

fn say(text: &str) {
    // A closed stderr must not end the work.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

/// The colours there are.
#[derive(Clone, Copy, Debug)]
pub enum Tint {
    Red = 31,
    #[cfg(feature = "verify")]
    Green = 32,
    Yellow = 33,
    Blue = 34,
}

impl Paint {
    /// No colours.
    #[cfg(all(test, feature = "verify"))]
    pub const NONE: Self = Self(false);

    /// The text in that colour, or as it is.
    pub fn wrap(self, tint: Tint, text: &str) -> String {
        if self.0 { format!("\x1b[1;{}m{text}\x1b[0m", tint as u8) } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use dsops_resolver::Place;

    use super::*;

    #[test]
    fn a_report_says_what_where_why_and_what_next() {
        let ui =
            Ui { quiet: false, verbose: false, json: false, colour: false, colour_data: false };
        let mut report = Report::error("unknown key `trasnform`").help("did you mean `transform`?");
        report.code = Some("config/unknown-key");
        report.place = Some(Place {
            file: "dsops.yaml".into(),
            line: 7,
            column: 9,
            width: 9,
            line_text: Some("        trasnform: trim".into()),
        });
        report.causes.push("a cause".into());
        assert_eq!(
            ui.render(&report),
            "error[config/unknown-key]: unknown key `trasnform`\n --> dsops.yaml:7:9\n  |\n7 |         trasnform: trim\n  |         ^^^^^^^^^\n  because: a cause\n  help: did you mean `transform`?"
        );
    }

    #[test]
    fn colour_is_never_the_only_carrier() {
        let ui = Ui { quiet: false, verbose: false, json: false, colour: true, colour_data: false };
        let text = ui.render(&Report::warning("careful"));
        assert_eq!(text, "\x1b[1;33mwarning\x1b[0m: careful");
    }

    #[test]
    fn a_terminal_is_not_driven_by_file_content() {
        assert_eq!(one_line("a\x1b[2Jb\tc"), "a\\u{1b}[2Jb\tc");
        assert_eq!(one_line("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(one_line("a\u{200b}b\u{2028}c\nd"), "a\\u{200b}b\\u{2028}c\\nd");
        let ui =
            Ui { quiet: false, verbose: false, json: false, colour: false, colour_data: false };
        let mut report = Report::error("a\x1bb").help("c\x1bd\ne");
        report.causes.push("f\x1bg".into());
        assert_eq!(
            ui.render(&report),
            "error: a\\u{1b}b\n  because: f\\u{1b}g\n  help: c\\u{1b}d\ne"
        );
    }

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["A".into(), "LONG".into()], vec!["BB".into(), "x".into()]];
        assert_eq!(table(&rows), "A   LONG\nBB  x\n");
    }
}

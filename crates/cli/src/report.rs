//! What went wrong, as data: one problem is one `Report`, all problems of a run are one `Failure`.

use std::error::Error;

use dsops_execenv::ExecError;
use dsops_resolver::{Diagnostic, Place, ResolveError, StoreError};

use crate::exit::Exit;

/// How much a report weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The command did not do what it was asked to.
    Error,
    /// It did, but the user should know this.
    Warning,
}

impl Severity {
    /// The word a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem: what, where, why, and what to do next.
#[derive(Clone, Debug)]
pub struct Report {
    pub severity: Severity,
    /// Stable, for scripts and searches.
    pub code: Option<&'static str>,
    pub message: String,
    pub place: Option<Place>,
    /// The chain of causes, nearest first.
    pub causes: Vec<String>,
    pub help: Option<String>,
}

impl Report {
    /// An error that has only a message so far.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: None,
            message: message.into(),
            place: None,
            causes: Vec::new(),
            help: None,
        }
    }

    /// A warning that has only a message so far.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// An error with the chain of causes that `error` carries.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut report = Self::error(error.to_string());
        report.add_causes(error.source());
        report
    }

    /// What the parser of the command line says: the first line is the problem, `tip:` lines the
    /// remedy, the rest is for people.
    pub fn from_usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let mut report = Self::error(first.strip_prefix("error: ").unwrap_or(first));
        report.code = Some("cli/usage");
        let rest: Vec<&str> = lines.map(str::trim).collect();
        for line in rest.iter().take_while(|line| !line.is_empty()) {
            report.message = format!("{} {line}", report.message);
        }
        let tips: Vec<&str> = rest.iter().filter_map(|line| line.strip_prefix("tip: ")).collect();
        report.help = (!tips.is_empty()).then(|| tips.join("; "));
        report
    }

    /// Adds what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds why, in words.
    pub fn because_text(mut self, text: impl Into<String>) -> Self {
        self.causes.push(text.into());
        self
    }

    /// Adds why.
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        self.add_causes(Some(error));
        self
    }

    /// The same with each text on one line: names of files that strangers chose are in them, and a line of its
    /// own would look like something else that is said.
    #[cfg(feature = "verify")]
    pub fn on_single_lines(&self) -> Self {
        let one = |text: &String| crate::ui::one_line(text);
        Self {
            message: one(&self.message),
            causes: self.causes.iter().map(one).collect(),
            help: self.help.as_ref().map(one),
            ..self.clone()
        }
    }

    fn add_causes(&mut self, mut cause: Option<&(dyn Error + 'static)>) {
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause in their own text; say each thing once.
            if !self.message.contains(&text) && self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        let severity = match diagnostic.severity {
            dsops_resolver::Severity::Error => Severity::Error,
            _ => Severity::Warning,
        };
        Self {
            severity,
            code: Some(diagnostic.code),
            message: diagnostic.message,
            place: diagnostic.place.map(|place| *place),
            causes: Vec::new(),
            help: diagnostic.help,
        }
    }
}

impl From<ResolveError> for Report {
    fn from(error: ResolveError) -> Self {
        let mut report = Self::from_error(&error);
        report.code = Some(error.code());
        report.help = error.help();
        report.place = Some(error.place);
        report
    }
}

impl From<StoreError> for Report {
    fn from(error: StoreError) -> Self {
        let mut report = Self::from_error(&error);
        report.code = Some(error.code());
        report.help = error.help();
        report
    }
}

impl From<ExecError> for Report {
    fn from(error: ExecError) -> Self {
        let mut report = Self::from_error(&error);
        report.code = match &error {
            ExecError::NotFound { .. } => Some("exec/not-found"),
            ExecError::NotExecutable { .. } => Some("exec/not-executable"),
            ExecError::Dangerous { .. } => Some("exec/dangerous-name"),
            _ => None,
        };
        // Where a flag is the answer, name the flag.
        report.help = match &error {
            ExecError::Dangerous { name } => {
                Some(format!("rename the secret, or run with `--allow-dangerous {name}`"))
            }
            ExecError::NeedsParent { .. } => {
                Some("use `--mode supervise`, or leave it out".to_owned())
            }
            _ => error.help().map(str::to_owned),
        };
        report
    }
}

/// Why a command ended without doing what it was asked to.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub reports: Vec<Report>,
}

impl Failure {
    /// One problem.
    pub fn new(exit: Exit, report: Report) -> Self {
        Self { exit, reports: vec![report] }
    }

    /// Many problems of one kind.
    pub fn many(exit: Exit, reports: impl IntoIterator<Item = impl Into<Report>>) -> Self {
        Self { exit, reports: reports.into_iter().map(Into::into).collect() }
    }

    /// The command line asks for something that makes no sense.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, Report::error(message).help(help))
    }

    /// A store failed.
    pub fn from_store(error: StoreError) -> Self {
        Self::new(Exit::Store, error.into())
    }

    /// The same problems under another exit code.
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// Data that could not be written to stdout. Only commands that print use `?` on such an error.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Who reads has seen enough: that is a choice, not a fault.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::ClosedPipe, reports: Vec::new() };
        }
        Self::new(Exit::Store, Report::error("writing to stdout failed").because(&error))
    }
}

impl From<dsops_secure_mem::Error> for Failure {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::new(Exit::Protection, Report::from_error(&error))
    }
}

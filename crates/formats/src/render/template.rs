//! Templates by minijinja: what is printed goes from protected memory to protected memory.
//!
//! A variable is an object that prints itself, not a string of the engine. Our filters give such objects, too. What the
//! engine's own filters and operators make of one (`upper`, `~`, `string`) is an ordinary string on the heap until the
//! template is done; so is what `{% set %}` captures.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use dsops_secure_mem::{SecretBytes, Writer};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value,
    syntax::SyntaxConfig,
    value::{Enumerator, Object, ObjectRepr},
};

use super::{Options, base64, json, shell};
use crate::{
    error::{RenderError, ValueProblem},
    format::Format,
};

/// Nothing that a template does may print more.
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Renders the template of `options`.
pub(super) fn write(
    out: &mut Writer,
    options: &Options<'_>,
    sorted: &[(&str, &SecretBytes)],
) -> Result<(), RenderError> {
    let format = Format::Template;
    let template =
        options.template.ok_or(RenderError::MissingOption { format, option: "a template" })?;
    let trouble = Arc::new(Trouble::default());
    let variables = Variables::new(sorted, &trouble)?;
    let mut environment = environment()?;
    environment.add_global("env", Value::from_object(variables.clone()));
    let globals: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();

    let mut sink = Sink { out, written: 0, error: None };
    let result = environment
        .template_from_named_str(template.name, template.source)
        .and_then(|parsed| parsed.render_captured_to(Value::from_object(variables), &mut sink));
    if let Some(error) = sink.error {
        return Err(error.into());
    }
    let Err(error) = result else { return Ok(()) };
    if let Some(name) = trouble.take_not_text() {
        return Err(RenderError::Value { name, format, problem: ValueProblem::NotUtf8 });
    }
    let message = match (error.kind(), trouble.last_missing(&globals)) {
        (ErrorKind::UndefinedError, Some(name)) => format!("there is no variable {name}"),
        _ => message(&error, template.source),
    };
    let line = error.line().unwrap_or(1);
    Err(RenderError::Template { name: template.name.to_owned(), line, message })
}

/// The instructions that one template may take: seconds of work.
const FUEL: u64 = 10_000_000;

fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A loop in a loop in a loop ends.
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // A file ends with the newline that its template ends with.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|_| RenderError::InvalidOption {
        option: "the template's syntax",
        reason: "the engine refuses it",
    })?);
    environment.add_filter("base64", |value: &Value| {
        secret(value, |out, bytes| Ok(base64::push(out, bytes)?))
    });
    environment.add_filter("sh_quote", |value: &Value| {
        secret(value, |out, bytes| {
            if bytes.contains(&0) {
                Err(FilterError::Nul)
            } else {
                Ok(shell::push_posix(out, bytes)?)
            }
        })
    });
    for name in ["json", "tojson"] {
        environment.add_filter(name, |value: &Value| {
            secret(value, |out, bytes| {
                let text = std::str::from_utf8(bytes).map_err(|_| FilterError::NotUtf8)?;
                Ok(json::push_string(out, text)?)
            })
        });
    }
    environment.add_filter("required", |value: Value| {
        let is_missing = value.is_undefined() || value.is_none() || !value.is_true();
        if is_missing { Err(filter_error(FilterError::Required)) } else { Ok(value) }
    });
    Ok(environment)
}

/// What is wrong, in words that hold no value: the engine's details are used only where they quote the template.
fn message(error: &Error, source: &str) -> String {
    use std::error::Error as _;
    if let Some(own) = error.source().and_then(|source| source.downcast_ref::<FilterError>()) {
        return own.to_string();
    }
    let quotes_template = matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::BadEscape
    );
    let kind = error.kind();
    let mut message = match error.detail().filter(|_| quotes_template) {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    let line = error.line().and_then(|line| source.lines().nth(line.saturating_sub(1)));
    let is_go = line.is_some_and(|line| line.contains("{{.") || line.contains("{{ ."));
    if kind == ErrorKind::SyntaxError && is_go {
        message.push_str(" (this looks like a Go template: write `{{ NAME }}`, not `{{ .NAME }}`)");
    }
    message
}

/// Why one of our filters failed.
#[derive(Debug, thiserror::Error)]
enum FilterError {
    #[error("a value that is required is missing or empty")]
    Required,
    #[error("a value has a NUL byte, which `sh_quote` cannot carry")]
    Nul,
    #[error("a value is not UTF-8 text, which `json` cannot carry")]
    NotUtf8,
    #[error("a filter of text was given something else")]
    NotAText,
    #[error("cannot keep a value in protected memory")]
    Memory(#[from] dsops_secure_mem::Error),
}

fn filter_error(error: FilterError) -> Error {
    Error::new(ErrorKind::InvalidOperation, "").with_source(error)
}

/// Makes a secret of another, or of a string, number or boolean.
fn secret(
    value: &Value,
    write: impl FnOnce(&mut Writer, &[u8]) -> Result<(), FilterError>,
) -> Result<Value, Error> {
    let make = || {
        let mut out = Writer::new();
        let trouble = if let Some(variable) = value.downcast_object_ref::<Variable>() {
            write(&mut out, &variable.value.try_expose()?)?;
            Some((variable.name.clone(), Arc::clone(&variable.trouble)))
        } else {
            let text = match value.as_str() {
                Some(text) => Cow::Borrowed(text),
                None if value.is_number()
                    || matches!(value.kind(), minijinja::value::ValueKind::Bool) =>
                {
                    Cow::Owned(value.to_string())
                }
                None => return Err(FilterError::NotAText),
            };
            write(&mut out, text.as_bytes())?;
            None
        };
        let (name, trouble) = trouble.unwrap_or_default();
        Ok(Value::from_object(Variable { name, value: out.finish()?, trouble }))
    };
    make().map_err(filter_error)
}

/// What went wrong where the engine's errors have no room for it.
#[derive(Debug, Default)]
struct Trouble {
    /// Names that were looked up and not found.
    missing: Mutex<Vec<String>>,
    /// The variable that was to be printed and is no text.
    not_text: Mutex<Option<String>>,
}

impl Trouble {
    /// The name that made the engine stop.
    fn last_missing(&self, globals: &[String]) -> Option<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.iter().rev().find(|name| !globals.contains(name)).cloned()
    }

    fn take_not_text(&self) -> Option<String> {
        self.not_text.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// All variables, as a mapping.
#[derive(Clone)]
struct Variables {
    values: BTreeMap<String, Value>,
    trouble: Arc<Trouble>,
}

impl Variables {
    /// Copies within protected memory: the engine wants to own what it prints.
    fn new(sorted: &[(&str, &SecretBytes)], trouble: &Arc<Trouble>) -> Result<Self, RenderError> {
        let mut values = BTreeMap::new();
        for (name, value) in sorted {
            let value = SecretBytes::copy_from(&value.try_expose()?)?;
            let variable =
                Variable { name: (*name).to_owned(), value, trouble: Arc::clone(trouble) };
            values.insert((*name).to_owned(), Value::from_object(variable));
        }
        Ok(Self { values, trouble: Arc::clone(trouble) })
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.values.len())
    }
}

impl Object for Variables {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let value = self.values.get(name).cloned();
        if value.is_none() {
            let missing = &self.trouble.missing;
            missing.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        }
        value
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.keys().map(Value::from).collect())
    }
}

/// A value that prints itself.
struct Variable {
    name: String,
    value: SecretBytes,
    trouble: Arc<Trouble>,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({}, REDACTED)", self.name)
    }
}

impl Object for Variable {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.value.is_empty()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.value.try_expose().map_err(|_| fmt::Error)?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            return f.write_str(text);
        }
        let mut not_text = self.trouble.not_text.lock().unwrap_or_else(PoisonError::into_inner);
        not_text.get_or_insert_with(|| self.name.clone());
        Err(fmt::Error)
    }
}

/// Where the engine prints to.
struct Sink<'a> {
    out: &'a mut Writer,
    written: usize,
    error: Option<dsops_secure_mem::Error>,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = if bytes.len() > LIMIT_BYTES - self.written {
            Err(dsops_secure_mem::Error::TooLarge { limit_bytes: LIMIT_BYTES })
        } else {
            self.out.push(bytes)
        };
        match result {
            Ok(()) => {
                self.written += bytes.len();
                Ok(bytes.len())
            }
            Err(error) => {
                self.error.get_or_insert(error);
                Err(io::Error::other("protected memory"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

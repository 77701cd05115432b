//! Transforms: what is done to a value between its store and the program.
//!
//! A chain is read once, when the configuration is; every mistake in it has its place there. Each
//! transform takes a [`SecretBytes`] and makes a new one. Values stay in protected memory on the
//! way: documents are scanned where they lie, results are written straight into their slot. The one
//! exception is YAML, see [`Transform::apply`].
//!
//! ```
//! use dsops_resolver::transform::{Transform, parse_chain};
//! use dsops_secure_mem::SecretBytes;
//!
//! let mut value = SecretBytes::copy_from(br#"{"users": [{"name": "app "}]}"#)?;
//! for step in parse_chain("json_extract:.users[0].name, trim")? {
//!     value = Transform::build(&step)?.apply(&value)?;
//! }
//! assert_eq!(&*value.expose(), b"app");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod document;
mod encoding;
mod error;
mod json;
mod path;
mod pem;
mod text;

use std::fmt;

use dsops_secure_mem::SecretBytes;

pub use chain::{RawStep, parse_chain, parse_step};
pub use error::{TransformError, TransformErrorKind, TransformParseError, TransformParseErrorKind};
use path::Path;

/// A value that goes into a transform, and one that comes out, is at most this long.
pub const MAX_VALUE_BYTES: usize = 8 << 20;

/// Every transform: name, form, least and most arguments, what it takes in words.
const SPECS: &[Spec] = &[
    Spec::new("trim", "trim", 0, 0),
    Spec::new("multiline_to_single", "multiline_to_single", 0, 0),
    Spec::new("json_extract", "json_extract:PATH", 1, 1),
    Spec::new("yaml_extract", "yaml_extract:PATH", 1, 1),
    Spec::new("base64_encode", "base64_encode", 0, 0),
    Spec::new("base64_decode", "base64_decode", 0, 0),
    Spec::new("base64url_encode", "base64url_encode", 0, 0),
    Spec::new("base64url_decode", "base64url_decode", 0, 0),
    Spec::new("hex_encode", "hex_encode", 0, 0),
    Spec::new("hex_decode", "hex_decode", 0, 0),
    Spec::new("url_encode", "url_encode", 0, 0),
    Spec::new("url_decode", "url_decode", 0, 0),
    Spec::new("replace", "replace:FROM:TO", 2, 2),
    Spec::new("split", "split:SEPARATOR:INDEX", 2, 2),
    Spec::new("join", "join:SEPARATOR", 1, 1),
    Spec::new("prefix", "prefix:TEXT", 1, 1),
    Spec::new("suffix", "suffix:TEXT", 1, 1),
    Spec::new("upper", "upper", 0, 0),
    Spec::new("lower", "lower", 0, 0),
    Spec::new("pem", "pem` or `pem:LABEL", 0, 1),
];

struct Spec {
    name: &'static str,
    form: &'static str,
    least: usize,
    most: usize,
}

impl Spec {
    const fn new(name: &'static str, form: &'static str, least: usize, most: usize) -> Self {
        Self { name, form, least, most }
    }

    fn of(name: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.name == name)
    }

    fn takes(&self) -> &'static str {
        match (self.least, self.most) {
            (_, 0) => "no argument",
            (0, _) => "at most one argument",
            (1, _) => "one argument",
            _ => "two arguments",
        }
    }
}

/// The names of all transforms, in the order of the reference.
pub fn names() -> impl Iterator<Item = &'static str> {
    SPECS.iter().map(|spec| spec.name)
}

/// How a transform is written, as `replace:FROM:TO`.
fn form(name: &str) -> &'static str {
    Spec::of(name).map_or("", |spec| spec.form)
}

/// How many arguments the text of a step can have; as many as there are colons if no one knows.
fn max_arguments(name: &str) -> Option<usize> {
    Spec::of(name).map(|spec| spec.most)
}

/// Makes a result of at most `len` bytes in place.
fn build(
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, TransformErrorKind>,
) -> Result<SecretBytes, TransformErrorKind> {
    if len > MAX_VALUE_BYTES {
        return Err(TransformErrorKind::TooLarge { limit_bytes: MAX_VALUE_BYTES });
    }
    SecretBytes::build(len, fill)
}

/// One transform, checked and ready to be applied.
///
/// `Display` writes it as a step of a list, which reads back as the same; a field of a reference
/// shows as `#field`. Arguments come from the configuration and are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform(Op);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Trim,
    MultilineToSingle,
    JsonExtract(Path),
    YamlExtract(Path),
    Field { field: String, path: Option<Path> },
    Base64Encode,
    Base64Decode,
    Base64UrlEncode,
    Base64UrlDecode,
    HexEncode,
    HexDecode,
    UrlEncode,
    UrlDecode,
    Replace { from: String, to: String },
    Split { separator: String, index: i64 },
    Join(String),
    Prefix(String),
    Suffix(String),
    Upper,
    Lower,
    Pem(Option<String>),
}

impl Transform {
    /// Checks a step: its name, the number of its arguments and what each of them says.
    ///
    /// # Errors
    /// What is wrong, and where. [`TransformParseError::unknown_name`] tells a name that the
    /// configuration may define itself from a mistake.
    pub fn build(step: &RawStep) -> Result<Self, TransformParseError> {
        let Some(spec) = Spec::of(&step.name) else {
            let width = step.name.chars().count();
            let kind = TransformParseErrorKind::Unknown { name: step.name.clone() };
            return Err(TransformParseError { kind, column: step.column, width });
        };
        let (name, found) = (spec.name, step.args.len());
        if !(spec.least..=spec.most).contains(&found) {
            let kind = TransformParseErrorKind::ArgumentCount { name, takes: spec.takes(), found };
            return Err(step.error(kind));
        }
        let argument = |index: usize| step.args[index].clone();
        let not_empty = |index: usize, reason| match argument(index) {
            text if text.is_empty() => {
                let kind = TransformParseErrorKind::Argument { name, reason };
                Err(step.argument_error(index, 0..0, kind))
            }
            text => Ok(text),
        };
        let path = || {
            Path::parse(&step.args[0]).map_err(|error| {
                let kind = TransformParseErrorKind::Path { reason: error.reason };
                step.argument_error(0, error.at, kind)
            })
        };
        Ok(Self(match name {
            "trim" => Op::Trim,
            "multiline_to_single" => Op::MultilineToSingle,
            "json_extract" => Op::JsonExtract(path()?),
            "yaml_extract" => Op::YamlExtract(path()?),
            "base64_encode" => Op::Base64Encode,
            "base64_decode" => Op::Base64Decode,
            "base64url_encode" => Op::Base64UrlEncode,
            "base64url_decode" => Op::Base64UrlDecode,
            "hex_encode" => Op::HexEncode,
            "hex_decode" => Op::HexDecode,
            "url_encode" => Op::UrlEncode,
            "url_decode" => Op::UrlDecode,
            "replace" => {
                Op::Replace { from: not_empty(0, "there is nothing to replace")?, to: argument(1) }
            }
            "split" => Op::Split {
                separator: not_empty(0, "the separator is empty")?,
                index: argument(1).trim().parse().map_err(|_| {
                    let reason = "the index is not a whole number";
                    let kind = TransformParseErrorKind::Argument { name, reason };
                    step.argument_error(1, 0..argument(1).chars().count(), kind)
                })?,
            },
            "join" => Op::Join(argument(0)),
            "prefix" => Op::Prefix(argument(0)),
            "suffix" => Op::Suffix(argument(0)),
            "upper" => Op::Upper,
            "lower" => Op::Lower,
            "pem" => Op::Pem(match step.args.first() {
                None => None,
                Some(label) if pem::is_label(label) => Some(label.clone()),
                Some(label) => {
                    let reason = "a label is capital letters and digits, as `RSA PRIVATE KEY`";
                    let kind = TransformParseErrorKind::Argument { name, reason };
                    return Err(step.argument_error(0, 0..label.chars().count(), kind));
                }
            }),
            _ => unreachable!("`{name}` has a spec but no operation"),
        }))
    }

    /// The step that takes the field of a reference, `#field`, out of a JSON or YAML document.
    ///
    /// A key that is exactly `field` wins; else `field` is read as a path.
    pub fn field(field: &str) -> Self {
        let path = Path::parse(field).ok().filter(|path| *path != Path::key(field));
        Self(Op::Field { field: field.to_owned(), path })
    }

    /// The name of the transform; `#field` for the field of a reference.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Op::Trim => "trim",
            Op::MultilineToSingle => "multiline_to_single",
            Op::JsonExtract(_) => "json_extract",
            Op::YamlExtract(_) => "yaml_extract",
            Op::Field { .. } => "#field",
            Op::Base64Encode => "base64_encode",
            Op::Base64Decode => "base64_decode",
            Op::Base64UrlEncode => "base64url_encode",
            Op::Base64UrlDecode => "base64url_decode",
            Op::HexEncode => "hex_encode",
            Op::HexDecode => "hex_decode",
            Op::UrlEncode => "url_encode",
            Op::UrlDecode => "url_decode",
            Op::Replace { .. } => "replace",
            Op::Split { .. } => "split",
            Op::Join(_) => "join",
            Op::Prefix(_) => "prefix",
            Op::Suffix(_) => "suffix",
            Op::Upper => "upper",
            Op::Lower => "lower",
            Op::Pem(_) => "pem",
        }
    }

    /// Whether this is [`Transform::field`]: a part of the reference, not something done to its value.
    pub fn is_field(&self) -> bool {
        matches!(self.0, Op::Field { .. })
    }

    /// Makes the transformed value.
    ///
    /// # Errors
    /// The value is not what the transform reads, has nothing where the path points, or is too
    /// large; there is no protected memory.
    ///
    /// # Security
    /// `yaml_extract`, and a field of a YAML document, run the YAML parser, which works on ordinary
    /// memory. The texts of its tree are wiped when it returns; what the parser itself frees on the
    /// way is wiped where the program uses [`dsops_secure_mem::ZeroizingAlloc`], as `dsops` does.
    /// All others read the value where it lies and write only to protected memory. The stack and
    /// the vector registers are wiped afterwards.
    pub fn apply(&self, value: &SecretBytes) -> Result<SecretBytes, TransformError> {
        let result = self.run(value);
        // Loops over bytes run in vector registers, which keep the last of them.
        dsops_secure_mem::scrub_stack();
        result.map_err(|kind| TransformError { transform: self.name(), kind })
    }

    #[inline(never)]
    fn run(&self, value: &SecretBytes) -> Result<SecretBytes, TransformErrorKind> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(TransformErrorKind::TooLarge { limit_bytes: MAX_VALUE_BYTES });
        }
        let bytes = &*value.try_expose()?;
        match &self.0 {
            Op::Trim => Ok(SecretBytes::copy_from(text::trim(bytes))?),
            Op::MultilineToSingle => text::multiline_to_single(bytes),
            Op::JsonExtract(path) => json::extract(bytes, path),
            Op::YamlExtract(path) => document::extract_yaml(bytes, path),
            Op::Field { field, path } => document::field(bytes, field, path.as_ref()),
            Op::Base64Encode => encoding::base64_encode(bytes),
            Op::Base64Decode => encoding::base64_decode(bytes),
            Op::Base64UrlEncode => encoding::base64url_encode(bytes),
            Op::Base64UrlDecode => encoding::base64url_decode(bytes),
            Op::HexEncode => encoding::hex_encode(bytes),
            Op::HexDecode => encoding::hex_decode(bytes),
            Op::UrlEncode => encoding::url_encode(bytes),
            Op::UrlDecode => encoding::url_decode(bytes),
            Op::Replace { from, to } => text::replace(bytes, from.as_bytes(), to.as_bytes()),
            Op::Split { separator, index } => text::split(bytes, separator.as_bytes(), *index),
            Op::Join(separator) => text::join(bytes, separator.as_bytes()),
            Op::Prefix(prefix) => text::concat(prefix.as_bytes(), bytes),
            Op::Suffix(suffix) => text::concat(bytes, suffix.as_bytes()),
            Op::Upper => text::upper(bytes),
            Op::Lower => text::lower(bytes),
            Op::Pem(label) => pem::normalise(bytes, label.as_deref()),
        }
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Op::Field { field, .. } = &self.0 {
            return write!(f, "#{field}");
        }
        f.write_str(self.name())?;
        match &self.0 {
            Op::JsonExtract(path) | Op::YamlExtract(path) => {
                write!(f, ":{}", Argument(&path.to_string(), true))
            }
            Op::Replace { from, to } => {
                write!(f, ":{}:{}", Argument(from, false), Argument(to, true))
            }
            Op::Split { separator, index } => write!(f, ":{}:{index}", Argument(separator, false)),
            Op::Join(text) | Op::Prefix(text) | Op::Suffix(text) => {
                write!(f, ":{}", Argument(text, true))
            }
            Op::Pem(Some(label)) => write!(f, ":{label}"),
            _ => Ok(()),
        }
    }
}

/// An argument as one would write it, in quotes where it needs them; whether it is the last one.
struct Argument<'a>(&'a str, bool);

impl fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, is_last) = *self;
        let blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
        let plain = !blank(text.chars().next())
            && !blank(text.chars().next_back())
            && !text.starts_with(['\'', '"'])
            && !text.contains([',', '|'])
            && !text.contains(char::is_control)
            && (is_last || !(text.is_empty() || text.contains(':')));
        if plain {
            return f.write_str(text);
        }
        f.write_str("\"")?;
        for c in text.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Takes a field out of a value that is a JSON or YAML document, for stores without fields of
/// their own.
///
/// # Errors
/// As [`Transform::apply`]; [`TransformError::is_missing`] tells a document without the field.
///
/// # Security
/// As [`Transform::apply`].
pub fn extract_field(value: &SecretBytes, field: &str) -> Result<SecretBytes, TransformError> {
    Transform::field(field).apply(value)
}

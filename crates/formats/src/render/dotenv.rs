//! dotenv lines: the form that all readers take alike where there is one, else the dialect's escapes.
//!
//! What the readers do:
//! - POSIX shells: `'…'` is literal; in `"…"` a backslash counts before `` $ ` " \ `` and a newline.
//! - python-dotenv 1.x: `\\` and `\'` count in `'…'`; `` \\ \' \" \a \b \f \n \r \t \v `` in `"…"`; `${…}` is replaced
//!   in both; a carriage return in the file becomes a newline.
//! - npm dotenv 16 and 17: `'…'` and `` `…` `` are literal; `\n` and `\r` count in `"…"`, nothing else does; a carriage
//!   return in the file becomes a newline.

use dsops_secure_mem::{Error, Writer};

use super::{Refused, push_escaped, refuse_nul, text};
use crate::{error::ValueProblem, format::Dialect};

/// `NAME=value`.
pub(super) fn line(
    out: &mut Writer,
    dialect: Dialect,
    name: &str,
    value: &[u8],
) -> Result<(), Refused> {
    refuse_nul(value)?;
    text(value)?;
    let quoting = quoting(dialect, value)?;
    out.push(name.as_bytes())?;
    out.push(b"=")?;
    quoting.push(out, value)?;
    out.push(b"\n")?;
    Ok(())
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    /// As it is.
    Bare,
    /// Between two of these, as it is.
    Literal(&'static str),
    /// In double quotes, with a backslash before `` $ ` " \ ``.
    Shell,
    /// In double quotes, with `\\`, `\"` and `\r`.
    Python,
    /// In double quotes, with `\r`.
    NodeReturn,
}

impl Quoting {
    fn push(self, out: &mut Writer, value: &[u8]) -> Result<(), Error> {
        match self {
            Self::Bare => out.push(value),
            Self::Literal(quote) => {
                out.push(quote.as_bytes())?;
                out.push(value)?;
                out.push(quote.as_bytes())
            }
            Self::Shell | Self::Python | Self::NodeReturn => {
                out.push(b"\"")?;
                push_escaped(out, value, |byte| self.escape(byte))?;
                out.push(b"\"")
            }
        }
    }

    fn escape(self, byte: u8) -> Option<&'static str> {
        match (self, byte) {
            (Self::Shell | Self::Python, b'\\') => Some("\\\\"),
            (Self::Shell | Self::Python, b'"') => Some("\\\""),
            (Self::Shell, b'$') => Some("\\$"),
            (Self::Shell, b'`') => Some("\\`"),
            (Self::Python | Self::NodeReturn, b'\r') => Some("\\r"),
            _ => None,
        }
    }
}

fn quoting(dialect: Dialect, value: &[u8]) -> Result<Quoting, ValueProblem> {
    let has = |byte| value.contains(&byte);
    let has_pair = |pair: &[u8; 2]| value.windows(2).any(|window| window == pair);
    if dialect == Dialect::Python && has_pair(b"${") {
        return Err(ValueProblem::Interpolation);
    }
    let keeps_returns = dialect == Dialect::Shell || !has(b'\r');
    if !value.is_empty() && value.iter().copied().all(is_plain) {
        return Ok(Quoting::Bare);
    }
    // A backslash must not meet the closing quote, nor another one: python-dotenv would make one of two.
    let is_literal = !has(b'\'') && !has_pair(b"\\\\") && value.last() != Some(&b'\\');
    if keeps_returns && is_literal {
        return Ok(Quoting::Literal("'"));
    }
    if keeps_returns && !value.iter().any(|byte| b"\"\\$`".contains(byte)) {
        return Ok(Quoting::Literal("\""));
    }
    match dialect {
        Dialect::Shell => Ok(Quoting::Shell),
        Dialect::Python => Ok(Quoting::Python),
        Dialect::Node => quoting_for_node(value),
    }
}

/// npm dotenv has no escapes, but three kinds of quotes.
fn quoting_for_node(value: &[u8]) -> Result<Quoting, ValueProblem> {
    let ends_with_backslash = value.last() == Some(&b'\\');
    let closes = |quote: u8| value.contains(&quote) || ends_with_backslash;
    if value.contains(&b'\r') {
        let is_safe =
            !closes(b'"') && !value.windows(2).any(|pair| pair == b"\\n" || pair == b"\\r");
        return if is_safe { Ok(Quoting::NodeReturn) } else { Err(ValueProblem::CarriageReturn) };
    }
    match [(b'\'', "'"), (b'`', "`")].into_iter().find(|(quote, _)| !closes(*quote)) {
        Some((_, quote)) => Ok(Quoting::Literal(quote)),
        None => Err(ValueProblem::Quotes),
    }
}

/// Bytes that no reader gives a meaning.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./:@%+,-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dialect: Dialect, value: &str) -> Result<String, ValueProblem> {
        let mut out = Writer::new();
        match line(&mut out, dialect, "A", value.as_bytes()) {
            Ok(()) => Ok(String::from_utf8(out.finish().unwrap().expose().to_vec()).unwrap()),
            Err(Refused::Problem(problem)) => Err(problem),
            Err(Refused::Memory(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn all_dialects_write_the_common_forms_alike() {
        for (value, want) in [
            ("", "A=''\n"),
            ("plain-1.2:/@x", "A=plain-1.2:/@x\n"),
            ("a b", "A='a b'\n"),
            ("a=b", "A='a=b'\n"),
            ("~", "A='~'\n"),
            ("$HOME `id` \"x\" \\n", "A='$HOME `id` \"x\" \\n'\n"),
            ("two\nlines\n", "A='two\nlines\n'\n"),
            ("it's", "A=\"it's\"\n"),
            ("# no comment", "A='# no comment'\n"),
        ] {
            for dialect in Dialect::ALL {
                assert_eq!(written(dialect, value).unwrap(), want, "{dialect}");
            }
        }
    }

    #[test]
    fn dialects_differ_where_readers_do() {
        let of = |value| Dialect::ALL.map(|dialect| written(dialect, value));
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(
            of("it's $5"),
            [ok("A=\"it's \\$5\"\n"), ok("A=\"it's $5\"\n"), ok("A=`it's $5`\n")]
        );
        assert_eq!(
            of("a\\\\b"),
            [ok("A=\"a\\\\\\\\b\"\n"), ok("A=\"a\\\\\\\\b\"\n"), ok("A='a\\\\b'\n")]
        );
        assert_eq!(of("a\rb"), [ok("A='a\rb'\n"), ok("A=\"a\\rb\"\n"), ok("A=\"a\\rb\"\n")]);
        assert_eq!(
            of("${A}"),
            [ok("A='${A}'\n"), Err(ValueProblem::Interpolation), ok("A='${A}'\n")]
        );
        assert_eq!(of("'\"`")[2], Err(ValueProblem::Quotes));
        assert_eq!(of("a\\")[2], Err(ValueProblem::Quotes));
        assert_eq!(of("\\n\r")[2], Err(ValueProblem::CarriageReturn));
    }
}

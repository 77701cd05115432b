//! A value in the clear as each format writes it: for a document that a person edits.

use dsops_secure_mem::{Error as MemoryError, Writer};
use zeroize::Zeroizing;

use super::{Format, dotenv, ini_edit, json_edit, quote, text::line_start, yaml};
use crate::sops::value::Kind;

/// Why a value was not written.
pub(in crate::sops) enum Unwritten {
    Memory(MemoryError),
    /// The format cannot hold it.
    Form(&'static str),
}

impl From<MemoryError> for Unwritten {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

/// Writes a value that takes the place of what starts at `at` in `text`. Every piece goes straight
/// into protected memory, but for INI, where the ways to write a value are tried in memory that is
/// wiped.
pub(in crate::sops) fn push_value(
    format: Format,
    text: &str,
    at: usize,
    kind: Kind,
    value: &[u8],
    out: &mut Writer,
) -> Result<(), Unwritten> {
    let value = std::str::from_utf8(value)
        .map_err(|_| Unwritten::Form("its bytes are not text; change it with `dsops set`"))?;
    let bare = matches!(kind, Kind::Int | Kind::Float | Kind::Bool | Kind::Time);
    match format {
        Format::Yaml if bare => {
            let written = match value {
                "+Inf" => ".inf",
                "-Inf" => "-.inf",
                "NaN" => ".nan",
                // Without a fraction it would be a whole number, which has no such zero.
                "-0" => "-0.0",
                other => other,
            };
            Ok(out.push(written.as_bytes())?)
        }
        Format::Yaml => push_yaml(text, at, value, out),
        Format::Json | Format::Binary if bare && kind != Kind::Time => {
            if matches!(value, "+Inf" | "-Inf" | "NaN") {
                return Err(Unwritten::Form("JSON has no such number"));
            }
            Ok(out.push(value.as_bytes())?)
        }
        Format::Json | Format::Binary => {
            out.push(b"\"")?;
            let mut result = Ok(());
            json_edit::push_escaped(value, &mut |part| {
                if result.is_ok() {
                    result = out.push(part.as_bytes());
                }
            });
            result?;
            Ok(out.push(b"\"")?)
        }
        Format::Dotenv => {
            dotenv::check_value(value).map_err(Unwritten::Form)?;
            for (index, line) in value.split('\n').enumerate() {
                if index > 0 {
                    out.push(b"\\n")?;
                }
                out.push(line.as_bytes())?;
            }
            Ok(())
        }
        Format::Ini => {
            let written = Zeroizing::new(ini_edit::value_text(value).map_err(Unwritten::Form)?);
            Ok(out.push(written.as_bytes())?)
        }
    }
}

fn push_yaml(text: &str, at: usize, value: &str, out: &mut Writer) -> Result<(), Unwritten> {
    if quote::is_plain(value) {
        return Ok(out.push(value.as_bytes())?);
    }
    let start = line_start(text, at);
    let lead = text[start..at].len() - text[start..at].trim_start_matches([' ', '-']).len();
    let flow = text[at..].starts_with(['"', '\'']);
    if !flow && yaml::is_literal(value) {
        out.push(if value.ends_with('\n') { b"|" } else { b"|-" })?;
        let indent = " ".repeat(lead + yaml::DEFAULT_STEP);
        for line in value.lines() {
            out.push(b"\n")?;
            if !line.is_empty() {
                out.push(indent.as_bytes())?;
                out.push(line.as_bytes())?;
            }
        }
        return Ok(());
    }
    out.push(b"\"")?;
    let mut character = [0u8; 4];
    for c in value.chars() {
        match c {
            '"' => out.push(b"\\\"")?,
            '\\' => out.push(b"\\\\")?,
            '\n' => out.push(b"\\n")?,
            '\t' => out.push(b"\\t")?,
            c if quote::needs_escape(c) => {
                out.push(format!("\\u{:04x}", u32::from(c)).as_bytes())?;
            }
            c => out.push(c.encode_utf8(&mut character).as_bytes())?,
        }
    }
    Ok(out.push(b"\"")?)
}

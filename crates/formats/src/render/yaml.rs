//! YAML in the part that 1.1 and 1.2 readers take alike: a block mapping of double-quoted strings.

use dsops_secure_mem::Writer;

use super::{Braces, Place, Refused, text};

/// What stands around the variables.
pub(super) const BRACES: Braces = Braces {
    open: "",
    generated_at: "generated_at: \"",
    after_time: "\"\n",
    generated_by: "generated_by: \"dsops\"\nvariables:",
    no_variables: " {}",
    open_variables: "\n",
    close_variables: "",
    close_flat: "",
    close: "",
};

/// `"NAME": "value"`.
pub(super) fn entry(
    out: &mut Writer,
    place: &Place,
    name: &str,
    value: &[u8],
) -> Result<(), Refused> {
    let value = text(value)?;
    if !place.is_first {
        out.push(b"\n")?;
    }
    for _ in 1..place.depth {
        out.push(b"  ")?;
    }
    push_key(out, name)?;
    out.push(b": ")?;
    push_string(out, value)?;
    Ok(())
}

/// A key: plain where no reader could take it for anything else, as for most variables.
fn push_key(out: &mut Writer, name: &str) -> Result<(), dsops_secure_mem::Error> {
    // `NO`, `ON`, `Y` and the like are booleans to YAML 1.1; an underscore is in none of them.
    let is_plain = name.contains('_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { out.push(name.as_bytes()) } else { push_string(out, name) }
}

/// A double-quoted scalar: what is not printable (YAML 1.2 §5.1) is escaped, on one line.
pub(super) fn push_string(out: &mut Writer, text: &str) -> Result<(), dsops_secure_mem::Error> {
    out.push(b"\"")?;
    let mut done = 0;
    for (index, c) in text.char_indices() {
        let escape = match c {
            '"' => Escape::Short("\\\""),
            '\\' => Escape::Short("\\\\"),
            '\n' => Escape::Short("\\n"),
            '\r' => Escape::Short("\\r"),
            '\t' => Escape::Short("\\t"),
            '\0' => Escape::Short("\\0"),
            '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{a0}' => Escape::Hex(b'x', 2),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => Escape::Hex(b'u', 4),
            _ => continue,
        };
        out.push(&text.as_bytes()[done..index])?;
        match escape {
            Escape::Short(short) => out.push(short.as_bytes())?,
            Escape::Hex(letter, digits) => {
                out.push(&[b'\\', letter])?;
                for place in (0..digits).rev() {
                    let digit = char::from_digit((u32::from(c) >> (4 * place)) & 0xf, 16);
                    out.push(&[digit.map_or(b'0', |digit| digit as u8)])?;
                }
            }
        }
        done = index + c.len_utf8();
    }
    out.push(&text.as_bytes()[done..])?;
    out.push(b"\"")
}

enum Escape {
    Short(&'static str),
    /// The letter after the backslash, and how many digits follow.
    Hex(u8, u32),
}

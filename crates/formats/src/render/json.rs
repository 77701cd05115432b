//! JSON, RFC 8259, two spaces a level.

use dsops_secure_mem::Writer;

use super::{Braces, Place, Refused, text};

/// What stands around the variables.
pub(super) const BRACES: Braces = Braces {
    open: "{\n",
    generated_at: "  \"generated_at\": \"",
    after_time: "\",\n",
    generated_by: "  \"generated_by\": \"dsops\",\n  \"variables\": ",
    no_variables: "{}",
    open_variables: "{\n",
    close_variables: "\n  }",
    close_flat: "\n}",
    close: "\n}",
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
        out.push(b",\n")?;
    }
    for _ in 0..place.depth {
        out.push(b"  ")?;
    }
    push_string(out, name)?;
    out.push(b": ")?;
    push_string(out, value)?;
    Ok(())
}

/// A JSON string. U+2028 and U+2029 are escaped, too: to JavaScript they end a line.
pub(super) fn push_string(out: &mut Writer, text: &str) -> Result<(), dsops_secure_mem::Error> {
    out.push(b"\"")?;
    let mut done = 0;
    for (index, c) in text.char_indices() {
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{2028}' => "\\u2028",
            '\u{2029}' => "\\u2029",
            '\0'..='\u{1f}' | '\u{7f}' => "",
            _ => continue,
        };
        out.push(&text.as_bytes()[done..index])?;
        if short.is_empty() {
            push_hex_escape(out, c)?;
        } else {
            out.push(short.as_bytes())?;
        }
        done = index + c.len_utf8();
    }
    out.push(&text.as_bytes()[done..])?;
    out.push(b"\"")
}

/// `\u00xx`.
fn push_hex_escape(out: &mut Writer, c: char) -> Result<(), dsops_secure_mem::Error> {
    let digit = |value: u32| char::from_digit(value & 0xf, 16).map_or(b'0', |digit| digit as u8);
    let code = u32::from(c);
    out.push(&[b'\\', b'u', digit(code >> 12), digit(code >> 8), digit(code >> 4), digit(code)])
}

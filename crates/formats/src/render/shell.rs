//! Lines for shells to evaluate: one assignment each, the value in single quotes.

use dsops_secure_mem::Writer;

use super::{Refused, push_escaped, refuse_nul, text};

/// sh, dash, bash, ksh, zsh: nothing counts between single quotes (POSIX 2.2.2), so a quote is put between two strings.
pub(super) fn posix(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    out.push(b"export ")?;
    out.push(name.as_bytes())?;
    out.push(b"=")?;
    push_posix(out, value)?;
    out.push(b"\n")?;
    Ok(())
}

/// One word of a POSIX shell.
pub(super) fn push_posix(out: &mut Writer, value: &[u8]) -> Result<(), dsops_secure_mem::Error> {
    out.push(b"'")?;
    push_escaped(out, value, |byte| (byte == b'\'').then_some("'\\''"))?;
    out.push(b"'")
}

/// fish: a backslash counts before a quote and a backslash.
pub(super) fn fish(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    out.push(b"set -gx ")?;
    out.push(name.as_bytes())?;
    out.push(b" '")?;
    push_escaped(out, value, |byte| match byte {
        b'\'' => Some("\\'"),
        b'\\' => Some("\\\\"),
        _ => None,
    })?;
    out.push(b"'\n")?;
    Ok(())
}

/// `PowerShell`: a quote is doubled, and it takes the typographic ones for quotes, too.
pub(super) fn power_shell(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    let value = text(value)?;
    out.push(b"$env:")?;
    out.push(name.as_bytes())?;
    out.push(b" = '")?;
    let mut done = 0;
    for (index, c) in value.char_indices().filter(|(_, c)| is_power_shell_quote(*c)) {
        let end = index + c.len_utf8();
        out.push(&value.as_bytes()[done..end])?;
        out.push(&value.as_bytes()[index..end])?;
        done = end;
    }
    out.push(&value.as_bytes()[done..])?;
    out.push(b"'\n")?;
    Ok(())
}

/// `CharExtensions.IsSingleQuote` of its tokenizer.
fn is_power_shell_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}'..='\u{201b}')
}

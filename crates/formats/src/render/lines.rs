//! Formats where everything after `=` is the value: no quotes, so what the reader cuts off cannot be carried.

use dsops_secure_mem::Writer;

use super::{Refused, refuse_nul, text};
use crate::{error::ValueProblem, format::is_posix_name};

/// docker reads lines with Go's `bufio.Scanner`, which takes less than this.
const DOCKER_LINE_LIMIT_BYTES: usize = 64 * 1024;

/// `docker run --env-file`: a line ends at `\n` or `\r\n`, and must be UTF-8.
pub(super) fn docker(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    text(value)?;
    if value.contains(&b'\n') {
        return Err(ValueProblem::NewLine.into());
    }
    if value.ends_with(b"\r") {
        return Err(ValueProblem::CarriageReturn.into());
    }
    // One less for `=`, one for the end of the line, one because the limit itself is too long.
    let limit_bytes = DOCKER_LINE_LIMIT_BYTES.saturating_sub(name.len() + 3);
    if value.len() > limit_bytes {
        return Err(ValueProblem::TooLong { limit_bytes }.into());
    }
    push(out, name, value)
}

/// A dotenv report of a GitLab job: blanks around a value are cut off, quotes are part of it, and the variable is one
/// that later jobs expand (`$NAME`, `${NAME}`, `%NAME%`).
pub(super) fn gitlab(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    text(value)?;
    if value.contains(&b'\n') {
        return Err(ValueProblem::NewLine.into());
    }
    let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| b" \t\x0b\x0c\r".contains(byte));
    if is_blank(value.first()) || is_blank(value.last()) {
        return Err(ValueProblem::OuterBlanks.into());
    }
    if value.contains(&b'$') || has_percent_name(value) {
        return Err(ValueProblem::Interpolation.into());
    }
    push(out, name, value)
}

/// Whether there are two `%` with a name, or nothing, between them.
fn has_percent_name(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'%');
    // What stands before the first and after the last is not between two.
    parts.next();
    parts.next_back();
    parts.any(|part| part.is_empty() || is_posix_name(part))
}

fn push(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    out.push(name.as_bytes())?;
    out.push(b"=")?;
    out.push(value)?;
    out.push(b"\n")?;
    Ok(())
}

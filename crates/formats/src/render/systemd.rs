//! systemd: a credential file, and an `EnvironmentFile=`.
//!
//! There is no `SetCredential=`: every user of the machine can read the text of a unit.

use dsops_secure_mem::Writer;

use super::{Refused, push_escaped, refuse_nul, text};
use crate::error::ValueProblem;

/// `CREDENTIAL_SIZE_MAX` of systemd.
const CREDENTIAL_LIMIT_BYTES: usize = 1024 * 1024;

/// The value, byte for byte.
pub(super) fn credential(out: &mut Writer, _: &str, value: &[u8]) -> Result<(), Refused> {
    if value.len() > CREDENTIAL_LIMIT_BYTES {
        return Err(ValueProblem::TooLong { limit_bytes: CREDENTIAL_LIMIT_BYTES }.into());
    }
    Ok(out.push(value)?)
}

/// `systemd.exec(5)`: between double quotes a backslash counts before ``" \ ` $``; newlines are kept.
pub(super) fn environment(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    if text(value)?.contains(is_noncharacter) {
        return Err(ValueProblem::Noncharacter.into());
    }
    out.push(name.as_bytes())?;
    out.push(b"=\"")?;
    push_escaped(out, value, |byte| match byte {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        b'`' => Some("\\`"),
        b'$' => Some("\\$"),
        _ => None,
    })?;
    out.push(b"\"\n")?;
    Ok(())
}

/// What `unichar_is_valid` of systemd refuses besides surrogates.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

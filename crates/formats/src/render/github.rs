//! GitHub's file of environment variables: a here-document for each, ended by a word that the value does not have.

use dsops_secure_mem::Writer;

use super::{Refused, refuse_nul, text};

/// How the word starts.
const DELIMITER: &str = "DSOPS_END";

/// `NAME<<WORD`, the value, `WORD`.
pub(super) fn entry(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    refuse_nul(value)?;
    let delimiter = delimiter(text(value)?);
    out.push(name.as_bytes())?;
    out.push(b"<<")?;
    out.push(delimiter.as_bytes())?;
    out.push(b"\n")?;
    out.push(value)?;
    out.push(b"\n")?;
    out.push(delimiter.as_bytes())?;
    out.push(b"\n")?;
    Ok(())
}

/// A word that is nowhere in the value: one more `_` than follow it anywhere there. The same value always gives the
/// same word.
fn delimiter(value: &str) -> String {
    let underscores = |rest: &str| rest.bytes().take_while(|byte| *byte == b'_').count() + 1;
    let longest = value.split(DELIMITER).skip(1).map(underscores).max();
    format!("{DELIMITER}{}", "_".repeat(longest.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_not_in_the_value() {
        for (value, want) in [
            ("a", "DSOPS_END"),
            ("a\nDSOPS_END\nb", "DSOPS_END_"),
            ("DSOPS_END__ DSOPS_END_\nDSOPS_END", "DSOPS_END___"),
            ("DSOPS_ENDDSOPS_END", "DSOPS_END_"),
        ] {
            assert_eq!(delimiter(value), want);
            assert!(!value.contains(&delimiter(value)));
        }
    }
}

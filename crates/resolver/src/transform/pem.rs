//! PEM (RFC 7468) that lost its line breaks on the way through one-line variables.

use dsops_secure_mem::{SecretBytes, Writer};

use super::{MAX_VALUE_BYTES, TransformErrorKind, build};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Body lines as most programs write them.
const LINE: usize = 64;

/// Whether a text can be the label of a block.
pub(super) fn is_label(label: &str) -> bool {
    let sound = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    !label.is_empty() && label.trim() == label && label.bytes().all(sound)
}

/// Blocks with real line breaks; what stands outside of them is dropped.
///
/// A block whose body is on one line is wrapped anew; one with lines keeps them. A value without a
/// block is the body of one if there is a label for it.
pub(super) fn normalise(
    bytes: &[u8],
    label: Option<&str>,
) -> Result<SecretBytes, TransformErrorKind> {
    let unfolded = build(bytes.len(), |out| {
        let mut used = 0;
        for (place, (_, byte)) in out.iter_mut().zip(unfold(bytes)) {
            *place = byte;
            used += 1;
        }
        Ok(used)
    })?;
    let mut writer = Writer::with_limit(MAX_VALUE_BYTES);
    rewrite(&unfolded.try_expose()?, label, &mut writer).map_err(|error| match error {
        Wrong::Form(reason, place) => {
            let offset = unfold(bytes).nth(place).map_or(bytes.len(), |(offset, _)| offset);
            TransformErrorKind::Malformed { format: "PEM", reason, offset }
        }
        Wrong::Kind(kind) => kind,
    })?;
    Ok(writer.finish()?)
}

/// What is wrong, and where in the unfolded value.
enum Wrong {
    Form(&'static str, usize),
    Kind(TransformErrorKind),
}

impl From<dsops_secure_mem::Error> for Wrong {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::Kind(error.into())
    }
}

/// The bytes with `\n` (after however many backslashes) as a line feed and without carriage
/// returns, each with its offset.
fn unfold(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let byte = *bytes.get(start)?;
            at += 1;
            if byte == b'\r' {
                continue;
            }
            if byte == b'\\' {
                let run = bytes[start..].iter().take_while(|&&b| b == b'\\').count();
                match bytes.get(start + run) {
                    Some(b'n') => {
                        at = start + run + 1;
                        return Some((start, b'\n'));
                    }
                    Some(b'r') => {
                        at = start + run + 1;
                        continue;
                    }
                    _ => {}
                }
            }
            return Some((start, byte));
        }
    })
}

fn rewrite(source: &[u8], label: Option<&str>, out: &mut Writer) -> Result<(), Wrong> {
    let Some(mut at) = find(source, BEGIN, 0) else {
        let Some(label) = label else { return Err(Wrong::Form("there is no `-----BEGIN`", 0)) };
        edge(out, BEGIN, label.as_bytes())?;
        wrapped(source, 0, out)?;
        edge(out, END, label.as_bytes())?;
        return Ok(());
    };
    loop {
        let label_start = at + BEGIN.len();
        let label_end = find(source, DASHES, label_start)
            .ok_or(Wrong::Form("the end of a `-----BEGIN` line is missing", at))?;
        let label = &source[label_start..label_end];
        if !std::str::from_utf8(label).is_ok_and(is_label) {
            return Err(Wrong::Form("the label of a `-----BEGIN` line is wrong", label_start));
        }
        let body_start = label_end + DASHES.len();
        let end = find(source, END, body_start)
            .ok_or(Wrong::Form("there is no `-----END`", source.len()))?;
        let after = source[end + END.len()..]
            .strip_prefix(label)
            .and_then(|rest| rest.strip_prefix(DASHES))
            .ok_or(Wrong::Form("the label of an `-----END` line is another", end))?;
        edge(out, BEGIN, label)?;
        let body = &source[body_start..end];
        if body.trim_ascii().contains(&b'\n') {
            lines(body, body_start, out)?;
        } else {
            wrapped(body, body_start, out)?;
        }
        edge(out, END, label)?;
        match find(source, BEGIN, source.len() - after.len()) {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
}

fn edge(out: &mut Writer, start: &[u8], label: &[u8]) -> Result<(), Wrong> {
    for piece in [start, label, DASHES, b"\n"] {
        out.push(piece)?;
    }
    Ok(())
}

/// A body that has its lines: base64, headers (RFC 1421 §4.6), an armor checksum.
fn lines(body: &[u8], start: usize, out: &mut Writer) -> Result<(), Wrong> {
    let mut place = start + (body.len() - body.trim_ascii_start().len());
    for line in body.trim_ascii().split(|&b| b == b'\n') {
        let text = line.trim_ascii_end();
        let is_header = text.contains(&b':') || text.starts_with(b" ");
        let bad = text.iter().position(|&b| !is_digit(b) && b != b'=');
        if let Some(bad) = bad.filter(|_| !is_header) {
            return Err(Wrong::Form("a character that is not base64", place + bad));
        }
        out.push(text)?;
        out.push(b"\n")?;
        place += line.len() + 1;
    }
    Ok(())
}

/// A body whose line breaks are gone, or became blanks.
fn wrapped(body: &[u8], start: usize, out: &mut Writer) -> Result<(), Wrong> {
    let digits = || body.iter().enumerate().filter(|(_, b)| !b.is_ascii_whitespace());
    let (mut count, mut padding) = (0, 0);
    for (place, &byte) in digits() {
        match byte {
            b'=' => padding += 1,
            b':' => {
                return Err(Wrong::Form(
                    "headers without line breaks can't be told apart",
                    start + place,
                ));
            }
            _ if !is_digit(byte) || padding > 0 => {
                return Err(Wrong::Form("a character that is not base64", start + place));
            }
            _ => count += 1,
        }
    }
    if count == 0 || padding > 2 || (count + padding) % 4 != 0 {
        return Err(Wrong::Form("the base64 is cut off", start + body.len()));
    }
    for (index, (_, byte)) in digits().enumerate() {
        if index > 0 && index % LINE == 0 {
            out.push(b"\n")?;
        }
        out.push(std::slice::from_ref(byte))?;
    }
    out.push(b"\n")?;
    Ok(())
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

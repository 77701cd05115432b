//! Transforms that cut and join bytes and text.

use dsops_secure_mem::{SecretBytes, Writer};

use super::{MAX_VALUE_BYTES, TransformErrorKind, build, json};

/// Without Unicode white space at both ends; bytes that are not text stop it.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let first = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    &bytes[first.len() - first.trim_start().len()..]
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    match bytes.utf8_chunks().last() {
        Some(last) if last.invalid().is_empty() => {
            &bytes[..bytes.len() - (last.valid().len() - last.valid().trim_end().len())]
        }
        _ => bytes,
    }
}

/// A line feed becomes the two characters `\n`, a carriage return goes.
pub(super) fn multiline_to_single(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    let len = bytes
        .iter()
        .map(|byte| match byte {
            b'\n' => 2,
            b'\r' => 0,
            _ => 1,
        })
        .sum();
    build(len, |out| {
        let mut used = 0;
        for &byte in bytes {
            let piece: &[u8] = match &byte {
                b'\n' => b"\\n",
                b'\r' => b"",
                other => std::slice::from_ref(other),
            };
            out[used..used + piece.len()].copy_from_slice(piece);
            used += piece.len();
        }
        Ok(used)
    })
}

/// Every occurrence, from the left, of `from`, which is not empty.
pub(super) fn replace(
    bytes: &[u8],
    from: &[u8],
    to: &[u8],
) -> Result<SecretBytes, TransformErrorKind> {
    let count = Parts::new(bytes, from).count() - 1;
    // What is removed is there; what overflows is too large in any case.
    let len = count
        .checked_mul(to.len())
        .and_then(|added| added.checked_add(bytes.len() - count * from.len()))
        .unwrap_or(usize::MAX);
    build(len, |out| {
        let mut used = 0;
        for (index, part) in Parts::new(bytes, from).enumerate() {
            if index > 0 {
                out[used..used + to.len()].copy_from_slice(to);
                used += to.len();
            }
            out[used..used + part.len()].copy_from_slice(part);
            used += part.len();
        }
        Ok(used)
    })
}

/// Part `index` between separators; from the end if negative.
pub(super) fn split(
    bytes: &[u8],
    separator: &[u8],
    index: i64,
) -> Result<SecretBytes, TransformErrorKind> {
    let wanted = if index >= 0 {
        usize::try_from(index).ok()
    } else {
        let count = Parts::new(bytes, separator).count();
        usize::try_from(index.unsigned_abs()).ok().and_then(|back| count.checked_sub(back))
    };
    let part = wanted.and_then(|wanted| Parts::new(bytes, separator).nth(wanted));
    let part = part.ok_or(TransformErrorKind::NoPart { index })?;
    Ok(SecretBytes::copy_from(part)?)
}

/// A JSON array's items, or the parts of a text that is a list by its looks, with another separator.
pub(super) fn join(bytes: &[u8], separator: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    let mut out = Joined::new(separator);
    if let Some(items) = json::items(bytes) {
        for item in items {
            out.start()?;
            item.write(&mut out.writer)?;
        }
        return Ok(out.writer.finish()?);
    }
    for delimiter in [b"\n", b",", b";", b"|", b" "] {
        let parts = || Parts::new(bytes, delimiter).map(trim).filter(|part| !part.is_empty());
        if parts().nth(1).is_some() {
            for part in parts() {
                out.start()?;
                out.writer.push(part)?;
            }
            return Ok(out.writer.finish()?);
        }
    }
    Ok(SecretBytes::copy_from(trim(bytes))?)
}

struct Joined<'a> {
    separator: &'a [u8],
    writer: Writer,
    started: bool,
}

impl<'a> Joined<'a> {
    fn new(separator: &'a [u8]) -> Self {
        Self { separator, writer: Writer::with_limit(MAX_VALUE_BYTES), started: false }
    }

    fn start(&mut self) -> Result<(), TransformErrorKind> {
        if std::mem::replace(&mut self.started, true) {
            self.writer.push(self.separator)?;
        }
        Ok(())
    }
}

pub(super) fn concat(first: &[u8], second: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    let len = first.len() + second.len();
    build(len, |out| {
        out[..first.len()].copy_from_slice(first);
        out[first.len()..].copy_from_slice(second);
        Ok(len)
    })
}

pub(super) fn upper(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    each_char(bytes, char::to_uppercase)
}

/// Without the rule for a final sigma, as in Go.
pub(super) fn lower(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    each_char(bytes, char::to_lowercase)
}

fn each_char<I: Iterator<Item = char>>(
    bytes: &[u8],
    change: impl Fn(char) -> I,
) -> Result<SecretBytes, TransformErrorKind> {
    let text = text(bytes)?;
    let len = text.chars().flat_map(&change).map(char::len_utf8).sum();
    build(len, |out| {
        let mut used = 0;
        for c in text.chars().flat_map(&change) {
            used += c.encode_utf8(&mut out[used..]).len();
        }
        Ok(used)
    })
}

/// The value as text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, TransformErrorKind> {
    std::str::from_utf8(bytes)
        .map_err(|error| TransformErrorKind::NotText { offset: error.valid_up_to() })
}

/// What stands between separators; always at least one part.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    separator: &'a [u8],
}

impl<'a> Parts<'a> {
    fn new(bytes: &'a [u8], separator: &'a [u8]) -> Self {
        Self { rest: Some(bytes), separator }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let at = rest.windows(self.separator.len()).position(|window| window == self.separator);
        let Some(at) = at else {
            self.rest = None;
            return Some(rest);
        };
        self.rest = Some(&rest[at + self.separator.len()..]);
        Some(&rest[..at])
    }
}

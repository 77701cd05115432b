//! The ASCII armor of age files: strict PEM (RFC 7468 §3, C2SP age §"ASCII armor").

use base64ct::{Base64, Encoding};

use super::Error;

pub(super) const BEGIN: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";
/// Characters of base64 in a full line, and the bytes they stand for.
const LINE_CHARS: usize = 64;
const LINE_BYTES: usize = 48;

/// Takes the armor off. White space is accepted only before and after the block; lines may end in
/// LF or CRLF.
pub(super) fn decode(armored: &[u8]) -> Result<Vec<u8>, Error> {
    let lead = armored.iter().take_while(|byte| is_space(**byte)).count();
    let first_line = armored[..lead].split(|byte| *byte == b'\n').count();
    let mut lines = armored[lead..].split_inclusive(|byte| *byte == b'\n').enumerate();
    let fail = |index: usize, reason| Error::Armor { line: first_line + index, reason };

    match lines.next() {
        // The last line of the block needs no line ending, the first does.
        Some((_, line)) if line_content(line) == Some(BEGIN) && line.ends_with(b"\n") => {}
        _ => return Err(fail(0, "it does not start with the line of an age file")),
    }
    let mut decoded = Vec::with_capacity(armored.len() / 4 * 3);
    let mut full = true;
    for (index, line) in lines.by_ref() {
        let content = line_content(line).ok_or_else(|| fail(index, "stray carriage return"))?;
        if content == END {
            let after: usize = lines.flat_map(|(_, rest)| rest).filter(|b| !is_space(**b)).count();
            let same_line = &line[END.len()..];
            return if after == 0 && same_line.iter().all(|byte| is_space(*byte)) {
                Ok(decoded)
            } else {
                Err(fail(index, "something follows the end line"))
            };
        }
        if !full {
            return Err(fail(index, "a short line is followed by another"));
        }
        if content.is_empty() || content.len() > LINE_CHARS {
            return Err(fail(index, "a line is empty or longer than 64 characters"));
        }
        full = content.len() == LINE_CHARS;
        let mut bytes = [0u8; LINE_BYTES];
        let bytes = Base64::decode(content, &mut bytes)
            .map_err(|_| fail(index, "a line is not canonical base64"))?;
        // Padding belongs to the end: a full line with padding is a last line.
        full &= bytes.len() == LINE_BYTES;
        decoded.extend_from_slice(bytes);
    }
    Err(Error::Armor { line: first_line, reason: "the end line is missing" })
}

/// Puts the armor on, with LF line endings.
pub(super) fn encode(file: &[u8]) -> String {
    let mut text = String::with_capacity(file.len() / 3 * 4 + file.len() / LINE_BYTES + 80);
    text.push_str(as_text(BEGIN));
    text.push('\n');
    for chunk in file.chunks(LINE_BYTES) {
        let mut line = [0u8; LINE_CHARS];
        text.push_str(Base64::encode(chunk, &mut line).expect("48 bytes are 64 characters"));
        text.push('\n');
    }
    text.push_str(as_text(END));
    text.push('\n');
    text
}

/// A line without its ending, or `None` if a carriage return stands anywhere else.
fn line_content(line: &[u8]) -> Option<&[u8]> {
    let line =
        line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    // White space after the end line on its own line is outside of the block.
    let line = if line.starts_with(END) { trim_end(line) } else { line };
    (!line.contains(&b'\r')).then_some(line)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let kept = line.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &line[..kept]
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn as_text(marker: &'static [u8]) -> &'static str {
    std::str::from_utf8(marker).expect("the markers are ASCII")
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn every_length_comes_back() {
        for length in [0usize, 1, 2, 3, 47, 48, 49, 95, 96, 97, 1000] {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let armored = encode(&bytes);
            assert!(armored.lines().all(|line| line.len() <= 64));
            assert_eq!(decode(armored.as_bytes()).unwrap(), bytes);
            assert_eq!(decode(armored.replace('\n', "\r\n").as_bytes()).unwrap(), bytes);
        }
    }

    #[test]
    fn the_error_names_the_line() {
        let armored = encode(&[7; 100]).replacen("Bw", "B!", 1);
        let error = decode(format!("\n\n{armored}").as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "age armor, line 4: a line is not canonical base64");
    }
}

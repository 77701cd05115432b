//! Base64 and PEM (RFC 4648, RFC 7468) as they occur in evidence.

use super::EvidenceError;

/// Decodes base64 with padding; white space anywhere in it is skipped, as signature files wrap and
/// end their lines in every way. `None` for anything else, and for nothing.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let packed = String::from_utf8(packed).ok().filter(|text| !text.is_empty())?;
    crate::json::base64(&packed)
}

/// One block of a PEM file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub label: &'a str,
    pub bytes: Vec<u8>,
}

/// All blocks of a PEM file. Text between blocks is skipped, as RFC 7468 allows; a block that does
/// not end, or whose content is not base64, is an error.
pub(crate) fn pem(text: &str) -> Result<Vec<Block<'_>>, EvidenceError> {
    let malformed = |problem| EvidenceError::malformed("a PEM file", problem);
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) =
            line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))
        else {
            continue;
        };
        let mut body = String::new();
        loop {
            let line = lines.next().ok_or_else(|| malformed("a block does not end"))?;
            match line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) {
                Some(end) if end == label => break,
                Some(_) => return Err(malformed("a block ends as another kind")),
                None => body.push_str(line),
            }
        }
        let bytes = base64(body.as_bytes()).ok_or_else(|| malformed("a block is not base64"))?;
        blocks.push(Block { label, bytes });
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_in_lines() {
        assert_eq!(base64(b"aGVs\r\nbG8=\n").as_deref(), Some(&b"hello"[..]));
        for bad in [&b""[..], b"\n", b"aGVsbG8", b"aGVsbG8*", b"aGVsbG9=", b"aGVsbG8=aGVsbG8="] {
            assert_eq!(base64(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn blocks_of_a_pem_file() {
        let text = "explanation\n-----BEGIN A-----\r\naGVs\r\nbG8=\r\n-----END A-----\n\n\
                    -----BEGIN B C-----\nAA==\n-----END B C-----";
        let blocks = pem(text).unwrap();
        assert_eq!(blocks[0], Block { label: "A", bytes: b"hello".to_vec() });
        assert_eq!(blocks[1], Block { label: "B C", bytes: vec![0] });
        assert_eq!(pem("no block").unwrap(), []);
    }

    #[test]
    fn blocks_that_are_broken() {
        for bad in [
            "-----BEGIN A-----\nAA==\n",
            "-----BEGIN A-----\nAA==\n-----END B-----",
            "-----BEGIN A-----\n-----END A-----",
            "-----BEGIN A-----\nA\n-----END A-----",
            "-----BEGIN A-----\n-----BEGIN A-----\nAA==\n-----END A-----",
        ] {
            assert!(pem(bad).is_err(), "{bad}");
        }
    }
}

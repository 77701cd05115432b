//! The data types of SSH (RFC 4251, section 5), read from untrusted bytes.

/// Reads from the front; `None` when the bytes end too early.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A `byte`.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// A `uint32`.
    pub(super) fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// A `string`: bytes with their length in front.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    /// An `mpint` that is positive, without the zero byte in front of it.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        let number = self.string()?;
        match number {
            [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Some(rest),
            [1..0x80, ..] => Some(number),
            _ => None,
        }
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Appends a `string`.
///
/// # Panics
/// For more than 4 GiB, which no caller has.
pub(super) fn push_string(bytes: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("what is signed is short");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(string);
}

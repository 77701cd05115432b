//! Lays the secrets out as `NAME=value\0` strings in one piece of protected memory.

use std::sync::Arc;

use dsops_secure_mem::{Exposed, SecretBytes};

use crate::{error::ExecError, name::Name};

/// All secret entries of an environment, end to end. Dropping it wipes them.
pub(crate) struct EnvBlock {
    bytes: Option<SecretBytes>,
    offsets: Vec<usize>,
}

/// The block opened for the time of a spawn.
pub(crate) struct OpenBlock<'a> {
    guard: Option<Exposed<'a>>,
    offsets: &'a [usize],
}

impl EnvBlock {
    /// Copies each value once, straight from its slot into the block's.
    pub(crate) fn build(secrets: &[(&Name, &Arc<SecretBytes>)]) -> Result<Self, ExecError> {
        let mut offsets = Vec::with_capacity(secrets.len());
        let mut total = 0;
        for (name, value) in secrets {
            offsets.push(total);
            total += entry_len(name, value.len()) + 1;
        }
        if total == 0 {
            return Ok(Self { bytes: None, offsets });
        }
        let bytes = SecretBytes::build(total, |block| {
            let mut rest = &mut *block;
            for (name, value) in secrets {
                let entry;
                (entry, rest) = rest.split_at_mut(entry_len(name, value.len()) + 1);
                let (head, tail) = entry.split_at_mut(name.as_str().len() + 1);
                let (equals, name_part) = head.split_last_mut().expect("has room for the `=`");
                name_part.copy_from_slice(name.as_str().as_bytes());
                *equals = b'=';
                let (nul, value_part) = tail.split_last_mut().expect("has room for the NUL");
                value_part.copy_from_slice(&value.try_expose()?);
                *nul = 0;
                if value_part.contains(&0) {
                    return Err(ExecError::NulInValue { name: (*name).clone() });
                }
            }
            Ok::<usize, ExecError>(total)
        })?;
        Ok(Self { bytes: Some(bytes), offsets })
    }

    pub(crate) fn open(&self) -> Result<OpenBlock<'_>, ExecError> {
        let guard = self.bytes.as_ref().map(SecretBytes::try_expose).transpose()?;
        Ok(OpenBlock { guard, offsets: &self.offsets })
    }
}

impl OpenBlock<'_> {
    /// Where the entry at `index` starts; good while the block is open.
    pub(crate) fn entry(&self, index: usize) -> *const libc::c_char {
        let bytes = self.guard.as_deref().expect("a block with entries has bytes");
        bytes[self.offsets[index]..].as_ptr().cast()
    }
}

/// Length of `NAME=value` without its NUL.
pub(crate) fn entry_len(name: &Name, value_len: usize) -> usize {
    name.as_str().len() + 1 + value_len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &[u8]) -> Arc<SecretBytes> {
        Arc::new(SecretBytes::copy_from(value).expect("memory"))
    }

    #[test]
    fn entries_lie_end_to_end_each_with_its_nul() {
        let (a, empty) = (Name::new("A").expect("valid"), Name::new("EMPTY").expect("valid"));
        let (one, none) = (secret(b"one=1"), secret(b""));
        let block = EnvBlock::build(&[(&a, &one), (&empty, &none)]).expect("memory");
        let bytes = block.bytes.as_ref().expect("not empty").expose();
        assert_eq!(&*bytes, b"A=one=1\0EMPTY=\0");
        assert_eq!(block.offsets, [0, 8]);
    }

    #[test]
    fn a_nul_in_a_value_is_named_and_never_shown() {
        let (name, value) = (Name::new("A").expect("valid"), secret(b"topsecret\0x"));
        let error = EnvBlock::build(&[(&name, &value)]).err().expect("has a NUL");
        assert!(matches!(&error, ExecError::NulInValue { name } if name.as_str() == "A"));
        assert!(!format!("{error} {error:?}").contains("topsecret"));
    }

    #[test]
    fn no_secrets_no_block() {
        assert!(EnvBlock::build(&[]).expect("nothing to do").bytes.is_none());
    }
}

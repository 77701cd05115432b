//! Whether arguments and environment fit before the kernel says E2BIG without a name.

use crate::error::ExecError;

/// What the system passes to a new program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLimits {
    /// Longest single string without its NUL; `None` where only the sum counts.
    pub(crate) string_bytes: Option<usize>,
    /// All strings with their NULs, and the pointers to them.
    pub(crate) total_bytes: usize,
}

impl SizeLimits {
    /// Linux (`fs/exec.c`, `bprm_stack_limits` and `copy_strings`): a string has at most 32 pages
    /// with its NUL, the whole at most a quarter of the stack limit, yet never more than 6 MiB and
    /// never less than 128 KiB.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn linux(stack_limit_bytes: Option<u64>) -> Self {
        const ARG_MAX: u64 = 131_072;
        const CAP: u64 = 6 * 1024 * 1024;
        let quarter = stack_limit_bytes.map_or(CAP, |bytes| bytes / 4);
        let total = quarter.clamp(ARG_MAX, CAP);
        Self {
            string_bytes: Some(131_071),
            total_bytes: usize::try_from(total).expect("at most 6 MiB"),
        }
    }
}

/// The lengths of what will be passed, none counting its NUL.
pub(crate) struct Sizes<'a> {
    pub(crate) path_bytes: usize,
    pub(crate) arguments: &'a [usize],
    /// Name and length of each `NAME=value`.
    pub(crate) entries: &'a [(&'a [u8], usize)],
    /// What the kernel adds for a script: its interpreter, the argument, the path once more.
    pub(crate) script_bytes: usize,
}

impl Sizes<'_> {
    pub(crate) fn total_bytes(&self) -> usize {
        let strings: usize = self
            .arguments
            .iter()
            .copied()
            .chain(self.entries.iter().map(|&(_, len)| len))
            .map(|len| len + 1)
            .sum();
        let pointers = self.arguments.len().max(1) + self.entries.len();
        strings + self.path_bytes + 1 + self.script_bytes + pointers * size_of::<usize>()
    }

    pub(crate) fn check(&self, limits: SizeLimits) -> Result<(), ExecError> {
        if let Some(limit_bytes) = limits.string_bytes {
            for (index, &len_bytes) in self.arguments.iter().enumerate() {
                if len_bytes > limit_bytes {
                    return Err(ExecError::ArgumentTooLong { index, len_bytes, limit_bytes });
                }
            }
            for &(name, len_bytes) in self.entries {
                if len_bytes > limit_bytes {
                    let name = String::from_utf8_lossy(name).into_owned();
                    return Err(ExecError::EntryTooLong { name, len_bytes, limit_bytes });
                }
            }
        }
        let total_bytes = self.total_bytes();
        if total_bytes > limits.total_bytes {
            let largest = self.entries.iter().max_by_key(|&&(_, len)| len);
            let (name, largest_bytes) = largest.copied().unwrap_or((b"(no variable)", 0));
            return Err(ExecError::TooLongTogether {
                total_bytes,
                limit_bytes: limits.total_bytes,
                largest: String::from_utf8_lossy(name).into_owned(),
                largest_bytes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn sizes<'a>(arguments: &'a [usize], entries: &'a [(&'a [u8], usize)]) -> Sizes<'a> {
        Sizes { path_bytes: 4, arguments, entries, script_bytes: 0 }
    }

    #[test]
    fn the_total_is_a_quarter_of_the_stack_within_bounds() {
        for (stack, total) in
            [(Some(8 * MIB), 2 * MIB), (Some(MIB), MIB / 4), (None, 6 * MIB), (Some(4096), 131_072)]
        {
            let limits = SizeLimits::linux(stack);
            assert_eq!(limits.total_bytes as u64, total, "{stack:?}");
        }
    }

    #[test]
    fn a_string_has_131071_bytes_at_most() {
        let limits = SizeLimits::linux(Some(8 * MIB));
        sizes(&[4], &[(b"A", 131_071)]).check(limits).expect("just fits");
        let error = sizes(&[4], &[(b"B", 1), (b"A", 131_072)]).check(limits);
        assert!(matches!(error, Err(ExecError::EntryTooLong { name, .. }) if name == "A"));
        let error = sizes(&[4, 131_072], &[]).check(limits);
        assert!(matches!(error, Err(ExecError::ArgumentTooLong { index: 1, .. })));
    }

    #[test]
    fn the_sum_counts_ends_and_pointers_and_names_the_largest() {
        let limits = SizeLimits { string_bytes: None, total_bytes: 100 };
        // path 4+1, argument 4+1, entry x+1, two pointers of a word each
        let room = 100 - 5 - 5 - 1 - 2 * size_of::<usize>();
        sizes(&[4], &[(b"A", room)]).check(limits).expect("just fits");
        let error = sizes(&[4], &[(b"A", room + 1)]).check(limits);
        assert!(matches!(
            error,
            Err(ExecError::TooLongTogether { largest, total_bytes: 101, .. }) if largest == "A"
        ));
    }
}

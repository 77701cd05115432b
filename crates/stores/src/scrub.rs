//! Wipes the stack that a computation on secrets has used.

/// How much stack below the caller is wiped: more than the deepest of our key operations uses
/// (X25519 with its tables, HKDF, an AES key schedule), with room for unoptimised builds.
const STACK_BYTES: usize = 16 * 1024;

/// Runs `compute` in a stack frame of its own and wipes that part of the stack afterwards.
///
/// Key schedules, shared secrets and intermediate keys live on the stack while they are used. The
/// types that hold them wipe themselves, but moves leave copies behind; this wipes those.
///
/// # Security
/// Best effort, as any wiping of the stack in Rust: the compiler may keep values in registers that
/// it spills elsewhere. What `compute` returns is not wiped.
pub fn scrubbed<R>(compute: impl FnOnce() -> R) -> R {
    let result = in_own_frame(compute);
    zeroize::zeroize_stack::<STACK_BYTES>();
    result
}

#[inline(never)]
fn in_own_frame<R>(compute: impl FnOnce() -> R) -> R {
    compute()
}

#[cfg(test)]
mod tests {
    use super::scrubbed;

    #[test]
    fn hands_the_result_through() {
        assert_eq!(scrubbed(|| 6 * 7), 42);
    }
}

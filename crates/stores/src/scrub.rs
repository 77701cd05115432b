//! Wipes the stack that a computation on secrets has used.

/// Runs `compute` in a stack frame of its own and wipes that part of the stack afterwards.
///
/// Key schedules, shared secrets and intermediate keys live on the stack while they are used. The
/// types that hold them wipe themselves, but moves leave copies behind; this wipes those.
///
/// # Security
/// Best effort, as any wiping of the stack in Rust. What `compute` returns is not wiped.
pub fn scrubbed<R>(compute: impl FnOnce() -> R) -> R {
    let result = in_own_frame(compute);
    dsops_secure_mem::scrub_stack();
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

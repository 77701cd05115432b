//! Wiping, copying and scrubbing that leave nothing behind in memory, on the stack or in registers.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

/// Up to this size a copy doesn't go through vector registers, which end up in core files.
#[cfg(target_arch = "x86_64")]
const SMALL_COPY_BYTES: usize = 256;

/// Up to this many granules a loop is quicker than `memset`.
const FEW_GRANULES: usize = 8;

/// How much stack [`scrub_stack`] clears.
const SCRUB_BYTES: usize = 64 * 1024;

/// Writes zeros the optimiser may not leave out.
///
/// # Safety
/// `start..start + len` must be writable and ours alone.
#[inline]
pub(crate) unsafe fn wipe(start: *mut u8, len: usize) {
    // SAFETY: the caller promises a writable range.
    unsafe { ptr::write_bytes(start, 0, len) };
    // The barrier takes the pointer, so the compiler must assume the zeros are read.
    // SAFETY: the range was just written, so it is initialised and readable.
    zeroize::optimization_barrier(unsafe { std::slice::from_raw_parts(start, len) });
}

/// As [`wipe`] for granules of 16 bytes; spares a few of them the call of `memset`.
///
/// # Safety
/// `count` granules from `start` must be writable and ours alone.
#[inline]
pub(crate) unsafe fn wipe_granules(start: NonNull<u128>, count: usize) {
    if count > FEW_GRANULES {
        // SAFETY: the caller promises a writable range.
        unsafe { wipe(start.as_ptr().cast(), count * size_of::<u128>()) };
        return;
    }
    for index in 0..count {
        // SAFETY: the caller promises that many granules.
        unsafe { start.as_ptr().wrapping_add(index).write_volatile(0) };
    }
}

/// Copies between two ranges without leaving the bytes in a vector register.
///
/// # Safety
/// `from` must be readable and `to` writable for `len` bytes, and they must not overlap.
#[inline]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len <= SMALL_COPY_BYTES {
        // SAFETY: the caller promises both ranges and that the length is theirs.
        unsafe { x86::copy_by_words(from, to, len) };
        return;
    }
    // SAFETY: the caller promises both ranges.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
    clear_vector_registers();
}

/// Clears the stack below the caller and the vector registers.
///
/// For the caller of a library that handles keys or plain text on the stack: call the library in a function
/// marked `#[inline(never)]`, then this. It clears 64 KiB and takes about a microsecond.
///
/// # Examples
/// ```
/// # fn derive_a_key() {}
/// #[inline(never)]
/// fn with_key() { derive_a_key() }
///
/// with_key();
/// dsops_secure_mem::scrub_stack();
/// ```
#[inline(never)]
pub fn scrub_stack() {
    zeroize::zeroize_stack::<SCRUB_BYTES>();
    clear_vector_registers();
}

/// Zeroes the vector registers a copy or a cipher may have left secrets in.
#[inline]
pub(crate) fn clear_vector_registers() {
    #[cfg(target_arch = "x86_64")]
    x86::clear_vector_registers();
}

/// Copies without vector registers; and the vector state: SSE always, AVX and AVX-512 where the CPU has them.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::{asm, naked_asm, x86_64::__cpuid};
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    /// Copies through one general register, which is zero afterwards. For a few words faster than `rep movsb`.
    ///
    /// # Safety
    /// `from` must be readable and `to` writable for `len` bytes, and they must not overlap.
    #[inline]
    pub(super) unsafe fn copy_by_words(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the loops touch `len` bytes of either range and nothing else.
        unsafe {
            asm!(
                "2:",
                "sub {left}, 8",
                "jb 3f",
                "mov {word}, qword ptr [{from}]",
                "mov qword ptr [{to}], {word}",
                "add {from}, 8",
                "add {to}, 8",
                "jmp 2b",
                "3:",
                "add {left}, 8",
                "jz 5f",
                "4:",
                "mov {word:l}, byte ptr [{from}]",
                "mov byte ptr [{to}], {word:l}",
                "inc {from}",
                "inc {to}",
                "dec {left}",
                "jnz 4b",
                "5:",
                "xor {word:e}, {word:e}",
                left = inout(reg) len => _,
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                word = out(reg) _,
                options(nostack),
            );
        }
    }

    pub(super) fn clear_vector_registers() {
        match widest() {
            // SAFETY: the CPU has AVX-512, which is all the function needs.
            AVX512 => unsafe { clear_avx512() },
            // SAFETY: the CPU has AVX, which is all the function needs.
            AVX => unsafe { clear_avx() },
            // SAFETY: every x86-64 CPU has SSE2.
            _ => unsafe { clear_sse() },
        }
    }

    const UNKNOWN: u8 = 0;
    const SSE: u8 = 1;
    const AVX: u8 = 2;
    const AVX512: u8 = 3;

    /// The widest registers that programs may use here.
    ///
    /// Asks one CPUID leaf and XCR0 instead of the eight leaves of the standard library's detection: in a
    /// virtual machine each leaf is a trap of about 4 µs, and the start of a program is counted in those.
    fn widest() -> u8 {
        static WIDEST: AtomicU8 = AtomicU8::new(UNKNOWN);
        match WIDEST.load(Relaxed) {
            UNKNOWN => {
                let found = detect();
                WIDEST.store(found, Relaxed);
                found
            }
            known => known,
        }
    }

    fn detect() -> u8 {
        const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
        // XCR0 (Intel SDM vol. 1 §13.3): SSE and AVX state; with mask registers and both halves of AVX-512's.
        const AVX_STATE: u32 = 0x06;
        const AVX512_STATE: u32 = 0xe6;
        if __cpuid(1).ecx & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
            return SSE;
        }
        let state: u32;
        // SAFETY: OSXSAVE says that XGETBV is there; it only reads.
        unsafe {
            asm!("xgetbv", in("ecx") 0, out("eax") state, out("edx") _, options(nomem, nostack, preserves_flags));
        }
        // The state of AVX-512 can be on only where the CPU has AVX-512.
        if state & AVX512_STATE == AVX512_STATE {
            AVX512
        } else if state & AVX_STATE == AVX_STATE {
            AVX
        } else {
            SSE
        }
    }

    // Under the System V convention every vector register belongs to the callee, so these may clear them all.
    #[unsafe(naked)]
    unsafe extern "sysv64" fn clear_avx512() {
        naked_asm!(
            "vzeroall",
            "vpxord zmm16, zmm16, zmm16",
            "vpxord zmm17, zmm17, zmm17",
            "vpxord zmm18, zmm18, zmm18",
            "vpxord zmm19, zmm19, zmm19",
            "vpxord zmm20, zmm20, zmm20",
            "vpxord zmm21, zmm21, zmm21",
            "vpxord zmm22, zmm22, zmm22",
            "vpxord zmm23, zmm23, zmm23",
            "vpxord zmm24, zmm24, zmm24",
            "vpxord zmm25, zmm25, zmm25",
            "vpxord zmm26, zmm26, zmm26",
            "vpxord zmm27, zmm27, zmm27",
            "vpxord zmm28, zmm28, zmm28",
            "vpxord zmm29, zmm29, zmm29",
            "vpxord zmm30, zmm30, zmm30",
            "vpxord zmm31, zmm31, zmm31",
            "ret",
        )
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn clear_avx() {
        naked_asm!("vzeroall", "ret")
    }

    #[unsafe(naked)]
    unsafe extern "sysv64" fn clear_sse() {
        naked_asm!(
            "pxor xmm0, xmm0",
            "pxor xmm1, xmm1",
            "pxor xmm2, xmm2",
            "pxor xmm3, xmm3",
            "pxor xmm4, xmm4",
            "pxor xmm5, xmm5",
            "pxor xmm6, xmm6",
            "pxor xmm7, xmm7",
            "pxor xmm8, xmm8",
            "pxor xmm9, xmm9",
            "pxor xmm10, xmm10",
            "pxor xmm11, xmm11",
            "pxor xmm12, xmm12",
            "pxor xmm13, xmm13",
            "pxor xmm14, xmm14",
            "pxor xmm15, xmm15",
            "ret",
        )
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn detection_agrees_with_the_standard_library() {
            let expected = if std::arch::is_x86_feature_detected!("avx512f") {
                super::AVX512
            } else if std::arch::is_x86_feature_detected!("avx") {
                super::AVX
            } else {
                super::SSE
            };
            assert_eq!(super::detect(), expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_every_length_and_wipes_it() {
        for len in [0usize, 1, 15, 16, 17, 255, 256, 257, 5000] {
            let from: Vec<u8> = (1..=251).cycle().take(len).collect();
            let mut to = vec![0u8; len];
            // SAFETY: two vectors of `len` bytes.
            unsafe { copy(from.as_ptr(), to.as_mut_ptr(), len) };
            assert_eq!(from, to);
            // SAFETY: a vector of `len` bytes.
            unsafe { wipe(to.as_mut_ptr(), len) };
            assert!(to.iter().all(|&b| b == 0));
        }
    }
}

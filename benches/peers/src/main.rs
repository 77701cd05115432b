//! Prints what a secret costs with us and with the peers: fastest and median of 25 batches, in nanoseconds.
//!
//! `cargo run --release` in this folder.

use dsops_secure_mem::{AtRest, Backend, Vault};
use std::{hint::black_box, ptr, slice, time::Instant};
use zeroize::{Zeroize, Zeroizing};

const BATCHES: usize = 25;
const SIZES: [(usize, u32); 3] = [(32, 2000), (4096, 1000), (1 << 20, 20)];

fn main() {
    println!("{:52} {:>12} {:>12}", "nanoseconds", "fastest", "median");
    lifecycles();
    openings();
}

fn lifecycles() {
    for (size, runs) in SIZES {
        let source = vec![7u8; size];
        let ours = [
            ("ours, open", Vault::builder().at_rest(AtRest::Open)),
            ("ours, no access", Vault::builder().at_rest(AtRest::NoAccess)),
            ("ours, encrypted", Vault::builder().at_rest(AtRest::Encrypted)),
            ("ours, locked and encrypted", Vault::builder().best_backend(Backend::Locked)),
        ];
        for (name, builder) in ours {
            let vault = builder.build().expect("a vault");
            line(&format!("make, read, free {size} B: {name}"), runs, || {
                let secret = vault.copy_from(black_box(&source)).expect("room");
                black_box(secret.expose().first());
            });
        }
        line(&format!("make, read, free {size} B: secrets (libsodium)"), runs, || {
            let secret = secrets::SecretVec::<u8>::new(size, |room| room.copy_from_slice(&source));
            black_box(secret.borrow().first());
        });
        line(&format!("make, read, free {size} B: memsec malloc"), runs, || {
            // SAFETY: the block has `size` bytes and is freed once.
            unsafe {
                let mut block = memsec::malloc_sized(size).expect("room");
                ptr::copy_nonoverlapping(source.as_ptr(), block.as_mut().as_mut_ptr(), size);
                black_box(block.as_ref().first());
                memsec::free(block);
            }
        });
        #[cfg(feature = "memsec-hidden")]
        line(&format!("make, read, free {size} B: memsec memfd_secret"), runs.min(300), || {
            // SAFETY: the block has `size` bytes and is freed once.
            unsafe {
                let mut block = memsec::memfd_secret_sized(size).expect("room");
                ptr::copy_nonoverlapping(source.as_ptr(), block.as_mut().as_mut_ptr(), size);
                black_box(block.as_ref().first());
                memsec::free_memfd_secret(block);
            }
        });
        line(&format!("make, read, free {size} B: zeroize (heap, wiped)"), runs, || {
            let secret = Zeroizing::new(black_box(&source).clone());
            black_box(secret.first());
        });
        line(&format!("make, read, free {size} B: Vec (heap, nothing)"), runs, || {
            black_box(black_box(&source).clone().first());
        });
    }
}

fn openings() {
    let value = [7u8; 32];
    for (name, at_rest) in
        [("open", AtRest::Open), ("no access", AtRest::NoAccess), ("encrypted", AtRest::Encrypted)]
    {
        let vault = Vault::builder().at_rest(at_rest).build().expect("a vault");
        let secret = vault.copy_from(&value).expect("room");
        line(&format!("open 32 B: ours, {name}"), 5000, || {
            black_box(black_box(&secret).expose().first());
        });
    }
    let secret = secrets::SecretVec::<u8>::new(32, |room| room.copy_from_slice(&value));
    line("open 32 B: secrets, borrow", 5000, || {
        black_box(black_box(&secret).borrow().first());
    });
    // SAFETY: the block has 32 bytes, is readable whenever it is read, and is freed once.
    unsafe {
        let block = memsec::malloc_sized(32).expect("room");
        let first = block.cast::<u8>();
        line("open 32 B: memsec, mprotect read and none", 5000, || {
            memsec::mprotect(block, memsec::Prot::ReadOnly);
            black_box(slice::from_raw_parts(first.as_ptr(), 32).first());
            memsec::mprotect(block, memsec::Prot::NoAccess);
        });
        memsec::mprotect(block, memsec::Prot::ReadWrite);
        memsec::free(block);
    }
    let mut plain = vec![7u8; 32];
    line("open 32 B: a slice", 5000, || {
        black_box(black_box(&plain).first());
    });
    plain.zeroize();
}

fn line(name: &str, runs: u32, mut work: impl FnMut()) {
    for _ in 0..runs.div_ceil(10) {
        work();
    }
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..runs {
                work();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    println!("{name:52} {:>12.1} {:>12.1}", batches[0], batches[BATCHES / 2]);
}

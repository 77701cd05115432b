//! Looks for a secret in its own memory before, during and after a run. For the tests.
//!
//! The secret is made at run time, so it is in no file of the program; and what is searched for is
//! kept masked, so that the search does not find itself.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a test program")]

use std::{
    error::Error,
    fs::{self, File},
    io::Read,
    os::unix::fs::FileExt,
};

use dsops_execenv::{Exec, Mode, Name, Outcome};
use dsops_secure_mem::SecretBytes;

const LEN: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut random = File::open("/dev/urandom")?;
    let secret = SecretBytes::build(LEN, |bytes| -> Result<usize, dsops_secure_mem::Error> {
        random.read_exact(bytes).map_err(dsops_secure_mem::Error::Read)?;
        for byte in &mut *bytes {
            *byte = b'a' + *byte % 26;
        }
        Ok(LEN)
    })?;
    let mut scanner = Scanner::new(&secret)?;

    let mut copy = secret.expose().to_vec();
    println!("with a plain copy: {}", scanner.hits(&copy)?);
    copy.fill(0);
    std::hint::black_box(&copy);
    println!("without the copy: {}", scanner.hits(&copy)?);

    let running = Exec::new("sh")
        .args(["-c", "read wait; test ${#SECRET} = 64"])
        .mode(Mode::Supervise)
        .secret(Name::new("SECRET")?, secret)
        .spawn()?;
    println!("while the child runs: {}", scanner.hits(&copy)?);
    let outcome = running.wait()?;
    println!("after the end: {}", scanner.hits(&copy)?);
    let answer = if outcome == Outcome::Exited(0) { "yes" } else { "no" };
    println!("the child had it: {answer}");
    Ok(())
}

struct Scanner {
    mask: u64,
    /// The secret's words at every offset, masked.
    words: Vec<u64>,
    /// Which low 16 bits occur among the masked words.
    filter: Vec<bool>,
    buffer: Vec<u8>,
}

impl Scanner {
    fn new(secret: &SecretBytes) -> Result<Self, Box<dyn Error>> {
        let mut mask = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut mask)?;
        let mask = u64::from_ne_bytes(mask);
        let guard = secret.expose();
        let words: Vec<u64> = guard.windows(8).map(|window| word(window) ^ mask).collect();
        let mut filter = vec![false; 1 << 16];
        for &word in &words {
            filter[low(word)] = true;
        }
        Ok(Self { mask, words, filter, buffer: vec![0; 1 << 20] })
    }

    /// How many places in this process's writable memory hold 16 bytes of the secret in a row.
    /// `_alive` is there to be found or not.
    fn hits(&mut self, _alive: &[u8]) -> Result<usize, Box<dyn Error>> {
        self.buffer.fill(0);
        let memory = File::open("/proc/self/mem")?;
        let mut hits = 0;
        for line in fs::read_to_string("/proc/self/maps")?.lines() {
            let Some((range, rest)) = line.split_once(' ') else { continue };
            let Some((start, end)) = range.split_once('-') else { continue };
            if !rest.starts_with("rw") {
                continue;
            }
            let (mut at, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
            while at < end {
                let want = usize::try_from(end - at)?.min(self.buffer.len());
                // Memory that not even we can read this way holds no copy anybody else could.
                let Ok(len) = memory.read_at(&mut self.buffer[..want], at) else { break };
                hits += self.count(len);
                if len < 16 || len < want {
                    break;
                }
                at += if at + len as u64 == end { len as u64 } else { len as u64 - 15 };
            }
        }
        self.buffer.fill(0);
        Ok(hits)
    }

    fn count(&self, len: usize) -> usize {
        let masked = |at: usize| word(&self.buffer[at..at + 8]) ^ self.mask;
        (0..len.saturating_sub(15))
            .filter(|&at| {
                let first = masked(at);
                self.filter[low(first)]
                    && self.words[..LEN - 15]
                        .iter()
                        .position(|&word| word == first)
                        .is_some_and(|index| self.words[index + 8] == masked(at + 8))
            })
            .count()
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))
}

fn low(word: u64) -> usize {
    usize::try_from(word & 0xffff).expect("16 bits")
}

//! Reads another process' memory from outside, in the two ways Linux offers.

use std::{
    fs::{self, File},
    io::{IoSliceMut, Read as _, Seek as _},
    ops::Range,
    os::unix::fs::FileExt as _,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::uio::{RemoteIoVec, process_vm_readv},
    unistd::Pid,
};

const PAGE_BYTES: usize = 4096;

/// A way to read another process' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `/proc/PID/mem`, which also reads what the process itself may not (`FOLL_FORCE`).
    ProcMem,
    /// The system call `process_vm_readv`.
    VmReadv,
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// First address.
    pub start: usize,
    /// Address behind the last.
    pub end: usize,
    /// The line as the kernel wrote it.
    pub line: String,
}

impl Mapping {
    /// Whether this is executable and a file's, and can't be written.
    fn is_text(&self) -> bool {
        let mut words = self.line.split_whitespace();
        words.nth(1) == Some("r-xp") && words.nth(3).is_some_and(|path| path.starts_with('/'))
    }
}

/// Adjacent readable pages.
#[derive(Debug)]
pub struct Run<'a> {
    /// Address of the first byte.
    pub start: usize,
    /// What was read.
    pub bytes: &'a [u8],
}

/// A view of one process, opened while it may still be read and kept open.
#[derive(Debug)]
pub struct Memory {
    pid: Pid,
    maps: File,
    mem: File,
    /// What was read last, kept so that the next look need not ask the system for memory.
    buffer: Vec<u8>,
    /// The ways in which the program's own text was read. Nobody can write there, so once is enough.
    text_read: Vec<Way>,
}

impl Memory {
    /// Opens `/proc/PID/maps` and `/proc/PID/mem`. They stay bound to the program the process runs
    /// now: after an `execve` they read as ended.
    pub fn open(pid: Pid) -> anyhow::Result<Self> {
        let open = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            File::open(&path).with_context(|| format!("cannot open {path}"))
        };
        let (buffer, text_read) = (Vec::new(), Vec::new());
        Ok(Self { pid, maps: open("maps")?, mem: open("mem")?, buffer, text_read })
    }

    /// The mappings there are now.
    pub fn mappings(&mut self) -> anyhow::Result<Vec<Mapping>> {
        let mut text = String::new();
        self.maps.rewind().context("maps cannot be read again")?;
        self.maps.read_to_string(&mut text).context("cannot read maps")?;
        text.lines()
            .map(|line| parse_mapping(line).with_context(|| format!("a line of maps: `{line}`")))
            .collect()
    }

    /// Everything that can be read, as runs of adjacent pages: a secret that lies across two
    /// mappings lies in one run. Text of the program itself is read the first time only.
    pub fn runs(&mut self, way: Way) -> anyhow::Result<Vec<Run<'_>>> {
        let mut mappings = self.mappings()?;
        if self.text_read.contains(&way) {
            mappings.retain(|mapping| !mapping.is_text());
        } else {
            self.text_read.push(way);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let total = mappings.iter().map(|mapping| mapping.end - mapping.start).sum();
        if buffer.len() < total {
            buffer.resize(total, 0);
        }
        let mut used = 0;
        let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
        for mapping in mappings {
            let mut at = mapping.start;
            while at < mapping.end {
                let read = self.read(way, at, &mut buffer[used..used + (mapping.end - at)]);
                match runs.last_mut() {
                    Some((start, run)) if *start + run.len() == at => run.end += read,
                    _ if read == 0 => {}
                    _ => runs.push((at, used..used + read)),
                }
                used += read;
                at += read;
                if at < mapping.end {
                    // Refused here: go on behind this page.
                    at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
                }
            }
        }
        self.buffer = buffer;
        let run = |(start, range): (usize, Range<usize>)| Run { start, bytes: &self.buffer[range] };
        Ok(runs.into_iter().map(run).collect())
    }

    /// Reads from `at` on, as far as the kernel allows; returns how many bytes.
    pub fn read(&self, way: Way, at: usize, bytes: &mut [u8]) -> usize {
        match way {
            Way::ProcMem => self.mem.read_at(bytes, at as u64).unwrap_or(0),
            Way::VmReadv => self.vm_readv(at, bytes).unwrap_or(0),
        }
    }

    /// `process_vm_readv`, with the reason when nothing can be read.
    pub fn vm_readv(&self, at: usize, bytes: &mut [u8]) -> Result<usize, Errno> {
        vm_readv(self.pid, at, bytes)
    }

    /// A C string at `at`, where it can be read.
    pub fn c_string(&self, at: usize) -> Option<String> {
        const LONGEST_BYTES: usize = PAGE_BYTES;
        let mut bytes = vec![0; LONGEST_BYTES];
        let read = self.read(Way::ProcMem, at, &mut bytes);
        let end = bytes[..read].iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// The mapping that holds `address`, as the kernel's own line.
    pub fn name_of(&mut self, address: usize) -> String {
        self.mappings()
            .ok()
            .and_then(|all| all.into_iter().find(|m| (m.start..m.end).contains(&address)))
            .map_or_else(|| "no mapping".into(), |mapping| squeeze(&mapping.line))
    }
}

/// `process_vm_readv` for one piece.
pub fn vm_readv(pid: Pid, at: usize, bytes: &mut [u8]) -> Result<usize, Errno> {
    let remote = [RemoteIoVec { base: at, len: bytes.len() }];
    process_vm_readv(pid, &mut [IoSliceMut::new(bytes)], &remote)
}

/// A field of `/proc/PID/status`, in KiB.
pub fn status_kib(pid: Pid, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The same words with one space between them.
fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The addresses in a line of maps.
fn parse_mapping(line: &str) -> Option<Mapping> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    Some(Mapping { start, end, line: line.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process_both_ways() {
        let marker: Vec<u8> = (0..20_000_u32).flat_map(|n| (n ^ 0x5a5a).to_le_bytes()).collect();
        let mut memory = Memory::open(nix::unistd::getpid()).unwrap();
        for way in [Way::ProcMem, Way::VmReadv] {
            let at = marker.as_ptr().addr();
            let runs = memory.runs(way).unwrap();
            let run = runs
                .iter()
                .find(|run| (run.start..run.start + run.bytes.len()).contains(&at))
                .expect("the marker lies in a readable run");
            let from = at - run.start;
            assert_eq!(run.bytes[from..from + marker.len()], marker, "{way:?}");
        }
    }

    #[test]
    fn text_is_read_the_first_time_only() {
        let mut memory = Memory::open(nix::unistd::getpid()).unwrap();
        memory.runs(Way::VmReadv).unwrap();
        let here = text_is_read_the_first_time_only as fn() as usize;
        let runs = memory.runs(Way::VmReadv).unwrap();
        assert!(!runs.iter().any(|run| (run.start..run.start + run.bytes.len()).contains(&here)));
        let runs = memory.runs(Way::ProcMem).unwrap();
        assert!(runs.iter().any(|run| (run.start..run.start + run.bytes.len()).contains(&here)));
    }

    #[test]
    fn runs_do_not_touch() {
        let mut memory = Memory::open(nix::unistd::getpid()).unwrap();
        let runs = memory.runs(Way::ProcMem).unwrap();
        for pair in runs.windows(2) {
            assert!(pair[0].start + pair[0].bytes.len() < pair[1].start);
        }
    }

    #[test]
    fn maps_lines_are_understood() {
        let line = "7f00a000-7f00c000 rw-p 00000000 00:00 0   [heap]";
        let mapping = parse_mapping(line).unwrap();
        assert_eq!((mapping.start, mapping.end), (0x7f00_a000, 0x7f00_c000));
        assert_eq!(mapping.line, line);
        assert!(!mapping.is_text());
        let text = |line| parse_mapping(line).unwrap().is_text();
        assert!(text("00325000-0081a000 r-xp 00124000 fe:00 1179 /tmp/dsops"));
        assert!(!text("00325000-0081a000 rwxp 00124000 fe:00 1179 /tmp/dsops"));
        assert!(!text("00325000-0081a000 r-xp 00000000 00:00 0"));
        assert!(!text("00325000-0081a000 r-xp 00000000 00:00 0 [vdso]"));
        assert!(parse_mapping("nonsense").is_none());
        let vsyscall = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]";
        assert!(parse_mapping(vsyscall).is_some());
    }

    #[test]
    fn status_fields_are_read() {
        let pid = nix::unistd::getpid();
        assert!(status_kib(pid, "VmHWM").unwrap() > 100);
        assert_eq!(status_kib(pid, "NoSuchField"), None);
    }
}

//! The smallest program there is: what starting any process at all costs here.

/// A static ELF program for x86-64 Linux whose only instructions are `exit(0)`.
///
/// No libc, no interpreter, one page. Source: System V ABI, ELF-64 (file header 64 bytes, one
/// program header of 56).
pub fn exit_zero() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS_BYTES: u16 = 64 + 56;
    // xor edi, edi; push 60 (exit); pop rax; syscall
    const CODE: [u8; 7] = [0x31, 0xff, 0x6a, 60, 0x58, 0x0f, 0x05];
    let file_bytes = u64::from(HEADERS_BYTES) + CODE.len() as u64;
    let mut elf = Vec::new();
    // e_ident: magic, 64-bit, little-endian, version 1, System V.
    elf.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat()); // ET_EXEC, EM_X86_64
    elf.extend(1_u32.to_le_bytes()); // e_version
    elf.extend([BASE + u64::from(HEADERS_BYTES), 64, 0].map(u64::to_le_bytes).concat()); // entry, phoff, shoff
    elf.extend(0_u32.to_le_bytes()); // e_flags
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat()); // sizes and counts
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat()); // PT_LOAD, readable and executable
    elf.extend([0, BASE, BASE, file_bytes, file_bytes, 4096].map(u64::to_le_bytes).concat());
    elf.extend_from_slice(&CODE);
    elf
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    #[test]
    fn it_runs_and_exits_with_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit-zero");
        fs::write(&path, exit_zero()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new(path).status().unwrap().success());
    }
}

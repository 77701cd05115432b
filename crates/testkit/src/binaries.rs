//! Programs of a few bytes: the three formats with nothing in them but one section, for readers of
//! sections. They do not run.

/// A 64-bit ELF file with one section of that name, at most 24 letters.
///
/// # Panics
/// When the name is longer.
pub fn elf(name: &str, content: &[u8]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const LONGEST: usize = 24;
    assert!(name.len() <= LONGEST, "the name of a section is short");
    let mut names = vec![0];
    names.extend(name.as_bytes());
    names.push(0);
    let own_name = u32::try_from(names.len()).expect("a few bytes");
    names.extend(b".shstrtab\0");
    let names_at = HEADER + content.len() as u64;
    let table_at = names_at + names.len() as u64;
    let section = |name: u32, kind: u32, at: u64, size: u64| {
        let mut entry = Vec::new();
        entry.extend(name.to_le_bytes());
        entry.extend(kind.to_le_bytes());
        entry.extend([0; 16]);
        entry.extend(at.to_le_bytes());
        entry.extend(size.to_le_bytes());
        entry.extend([0; 24]);
        entry
    };
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // An executable for x86-64.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend([0; 16]);
    file.extend(table_at.to_le_bytes());
    // Sizes of the header, of a segment (none) and of a section; three of those, the last with
    // their names.
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
    file.extend(content);
    file.extend(&names);
    file.extend(section(0, 0, 0, 0));
    file.extend(section(1, 1, HEADER, content.len() as u64));
    file.extend(section(own_name, 3, names_at, names.len() as u64));
    file
}

/// A 64-bit PE file with one section of that name, at most 8 letters.
///
/// # Panics
/// When the name is longer, or the content does not fit in 32 bits.
pub fn pe(name: &str, content: &[u8]) -> Vec<u8> {
    const PE_AT: u32 = 64;
    const CONTENT_AT: u32 = PE_AT + 24 + 40;
    let size = u32::try_from(content.len()).expect("a small file");
    let mut file = b"MZ".to_vec();
    file.resize(0x3c, 0);
    file.extend(PE_AT.to_le_bytes());
    file.extend(b"PE\0\0");
    // For x86-64, with one section.
    file.extend([0x64, 0x86, 1, 0]);
    file.extend([0; 16]);
    file.extend(padded::<8>(name));
    file.extend(size.to_le_bytes());
    file.extend([0; 4]);
    file.extend(size.to_le_bytes());
    file.extend(CONTENT_AT.to_le_bytes());
    file.extend([0; 16]);
    file.extend(content);
    file
}

/// A 64-bit Mach-O file with one section of those names, at most 16 letters each.
///
/// # Panics
/// When a name is longer, or the content does not fit in 32 bits.
pub fn mach_o(segment: &str, section: &str, content: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 32;
    const COMMAND: u32 = 72 + 80;
    const CONTENT_AT: u32 = HEADER + COMMAND;
    let size = u64::from(u32::try_from(content.len()).expect("a small file"));
    let mut file = Vec::new();
    // Magic, x86-64, an executable, one command.
    for word in [0xfeed_facf, 0x0100_0007, 3, 2, 1, COMMAND, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    // LC_SEGMENT_64
    file.extend(0x19_u32.to_le_bytes());
    file.extend(COMMAND.to_le_bytes());
    file.extend(padded::<16>(segment));
    for word in [0, size, u64::from(CONTENT_AT), size] {
        file.extend(word.to_le_bytes());
    }
    for word in [3, 3, 1, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend(padded::<16>(section));
    file.extend(padded::<16>(segment));
    file.extend([0; 8]);
    file.extend(size.to_le_bytes());
    file.extend(CONTENT_AT.to_le_bytes());
    file.extend([0; 28]);
    file.extend(content);
    file
}

fn padded<const N: usize>(name: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..name.len()].copy_from_slice(name.as_bytes());
    field
}

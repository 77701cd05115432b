//! Keeps a value in protected memory, looks at it, and says what protects it.

use std::io::{self, Write as _};

use dsops_secure_mem::{SecretBytes, harden_process, protection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    harden_process(); // first of all: no core dumps, no other process looks in

    // From any reader, with a limit. No buffer lies between the reader and protected memory.
    let secret = SecretBytes::from_reader(&mut "correct horse".as_bytes(), 1024)?;
    assert_eq!(secret.len(), 13);
    assert_eq!(format!("{secret:?}"), "SecretBytes(13 bytes, REDACTED)");
    secret.expose_with(|bytes| assert!(bytes.starts_with(b"correct")));

    let mut out = io::stdout();
    writeln!(out, "it lies in {}", protection().backend)?;
    for missing in &protection().degradations {
        writeln!(out, "missing: {missing}; {}", missing.remedy)?;
    }
    Ok(()) // dropped here, and wiped
}

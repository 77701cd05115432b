//! No panic reaches a user: the hook reports where, never what with, and wipes every secret.

use std::panic;

/// Replaces the standard hook, which prints the payload: a payload may hold anything.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(
            || "an unknown place".to_owned(),
            |location| format!("{}:{}", location.file(), location.line()),
        );
        // Wipe first: writing may block.
        dsops_secure_mem::wipe_all();
        eprintln_quietly(&format!(
            "dsops: internal error at {place}. Secrets in memory were wiped. Please report this place."
        ));
    }));
}

fn eprintln_quietly(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

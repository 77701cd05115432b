//! The leak scan's control: hands a secret to a child the way most programs do.
//!
//! It reads the value into a `String`, passes it on with `std::process::Command::env` and waits.
//! The leak scan must find the value in this program's memory; if it does not, the scan sees
//! nothing and its zeroes mean nothing.
//!
//! Usage: `naive-control FILE NAME COMMAND [ARGUMENT]…`

use std::{env, fs, process};

fn main() -> Result<process::ExitCode, Box<dyn std::error::Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(file), Some(name), Some(command)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: naive-control FILE NAME COMMAND [ARGUMENT]...".into());
    };
    let value = fs::read_to_string(file)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "the control does what the rest of the workspace must not"
    )]
    let status = process::Command::new(command)
        .args(args)
        .env(name, value.trim_end_matches('\n'))
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(process::ExitCode::from(code))
}

//! The defects of other secret stores, each tried on ours from outside or in a process of its own.
//!
//! Every case starts this program again as a probe. A case that looks for secrets has a control: the same search
//! must find a value that lies in ordinary memory, or the case fails.
#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod probes;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, rest @ ..] = &arguments[..]
        && flag == "--probe"
    {
        probes::run(name, rest);
        return std::process::ExitCode::SUCCESS;
    }
    let filter = arguments.into_iter().find(|argument| !argument.starts_with('-'));
    cases::run(filter.as_deref())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not run: the probes know Linux only");
}

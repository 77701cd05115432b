//! `dsops`: run programs with secrets that provably stay secret.
mod args;
mod declare;
mod env_vars;
mod environment;
mod exit;
mod observer;
mod panic;
mod prompt;
mod report;
mod ui;

fn main() {}

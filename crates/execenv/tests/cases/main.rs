//! What a program run with secrets may rely on, one test for each case, numbered as in the list
//! the crate was designed from. Every case runs the crate in a process of its own (the example
//! `execenv-run`), because signals, descriptors and environments belong to processes.
//!
//! A case that the machine cannot show prints `not run: NAME: reason`.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests start plain children and write plain files")]

mod environment;
mod exit;
mod memory;
mod signals;
mod state;
mod support;
mod terminal;
mod tree;

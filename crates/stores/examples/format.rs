//! Prints what is written from the description of the configuration's format: `schema` (the JSON
//! schema, checked in as `schema/dsops.schema.json`) or `tables` (those of `docs/reference/config.md`).
#![allow(clippy::print_stdout, reason = "it prints what is asked for")]

use dsops_resolver::StoreFactory as _;
use dsops_resolver::format::{schema, sections, table};
use dsops_stores::Registry;

fn main() {
    let registry = Registry::new();
    match std::env::args().nth(1).as_deref() {
        Some("tables") => {
            for (name, settings) in sections() {
                println!("{name}\n{}", table(settings));
            }
            for store_type in registry.types() {
                println!(
                    "{store_type}\n{}",
                    table(registry.settings(store_type).unwrap_or_default())
                );
            }
        }
        _ => print!("{}", schema(&registry)),
    }
}

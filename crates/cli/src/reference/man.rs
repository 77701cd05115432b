//! The manual pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{commands, examples};
use crate::env_vars;

/// The pages by the words of their command joined with `-`; the one of dsops itself has no words.
pub fn pages(command: &Command) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::from([(String::new(), page(command, "dsops", true))]);
    for (words, sub) in commands(command) {
        let name = words.join("-");
        pages.insert(name.clone(), page(sub, &format!("dsops-{name}"), false));
    }
    pages
}

/// The file of a page.
pub fn file_name(name: &str) -> String {
    if name.is_empty() { "dsops.1".to_owned() } else { format!("dsops-{name}.1") }
}

/// The pages as a list that the binary holds.
pub fn list(pages: &BTreeMap<String, String>) -> String {
    let mut lines = String::new();
    for name in pages.keys() {
        let _ = writeln!(lines, "    (\"{name}\", include_str!(\"{}\")),", file_name(name));
    }
    format!(
        "//! Every manual page by its command. Written by `cargo xtask docs`.\n\n\
         /// The page of dsops itself has the empty name.\n\
         pub const PAGES: &[(&str, &str)] = &[\n{lines}];\n"
    )
}

fn page(command: &Command, name: &str, is_top: bool) -> String {
    let declared = command.clone().display_name(name.to_owned());
    let man = Man::new(declared).section("1").manual("dsops").source("dsops");
    let mut text = Vec::new();
    let mut write = || -> std::io::Result<()> {
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut text)?;
        }
        let mut rest = Roff::new();
        let examples = examples(command);
        if !examples.is_empty() {
            rest.control("SH", ["EXAMPLES"]);
            for example in examples {
                rest.control("PP", []).control("nf", []).text([roman(example)]).control("fi", []);
            }
        }
        if is_top {
            rest.control("SH", ["EXIT STATUS"]);
            for line in
                command.get_after_help().map(ToString::to_string).unwrap_or_default().lines()
            {
                rest.control("PP", []).text([roman(line)]);
            }
            rest.control("SH", ["ENVIRONMENT"]);
            for (variable, meaning) in env_vars::ALL {
                rest.control("TP", []).text([bold(*variable)]).text([roman(meaning.trim())]);
            }
        } else {
            rest.control("SH", ["SEE ALSO"]).text([bold("dsops"), roman("(1)")]);
        }
        rest.to_writer(&mut text)
    };
    write().expect("a vector takes all");
    String::from_utf8(text).expect("made of text")
}

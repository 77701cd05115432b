//! The files for GitHub's and GitLab's jobs, read by the rules of their readers.
//!
//! Neither reader can be had alone, so their rules are written down here again, from the sources named below: this is
//! weaker than the tests in `interop_readers`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use dsops_formats::{Format, Options, render};
use dsops_secure_mem::SecretBytes;
use proptest::prelude::*;

/// `SetEnvFileCommand` of actions/runner, `src/Runner.Worker/FileCommandManager.cs`, on Linux and macOS.
fn read_github(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut variables = BTreeMap::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let line = line.strip_suffix('\n').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                variables.insert(line[..equals].to_owned(), line[equals + 1..].to_owned());
            }
            (_, Some(heredoc)) => {
                let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
                if name.is_empty() || delimiter.is_empty() {
                    return Err(format!("no name or delimiter in {line}"));
                }
                let mut value = String::new();
                loop {
                    let line = lines.next().ok_or("no delimiter")?;
                    if line.strip_suffix('\n').unwrap_or(line) == delimiter {
                        break;
                    }
                    value.push_str(line);
                }
                // All but the newline before the delimiter.
                value.pop();
                variables.insert(name.to_owned(), value);
            }
            _ => return Err(format!("neither = nor << in {line}")),
        }
    }
    Ok(variables)
}

/// `Ci::ParseDotenvArtifactService` of GitLab, `app/services/ci/parse_dotenv_artifact_service.rb`.
fn read_gitlab(text: &str) -> Result<BTreeMap<String, String>, String> {
    let is_blank = |c: char| "\0\t\n\u{b}\u{c}\r ".contains(c);
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').ok_or_else(|| format!("no = in {line}"))?;
        Ok((name.trim_matches(is_blank).to_owned(), value.trim_matches(is_blank).to_owned()))
    };
    text.split_terminator('\n').map(variable).collect()
}

fn rendered(format: Format, variables: &BTreeMap<String, String>) -> Option<String> {
    let secrets: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), SecretBytes::copy_from(value.as_bytes()).unwrap()))
        .collect();
    let borrowed: Vec<_> = secrets.iter().map(|(name, value)| (*name, value)).collect();
    let file = render(format, &borrowed, &Options::default()).ok()?;
    Some(String::from_utf8(file.expose().to_vec()).unwrap())
}

fn variables() -> impl Strategy<Value = BTreeMap<String, String>> {
    let pieces = vec![
        "a",
        "\n",
        "\r",
        "\r\n",
        "=",
        "<<",
        "A=b",
        "A<<B",
        "DSOPS_END",
        "DSOPS_END_",
        "_",
        "'",
        "\"",
        " ",
        "\t",
        "#",
        "%",
        "$",
        "é",
        "\u{feff}",
        "\\",
    ];
    let value = proptest::collection::vec(proptest::sample::select(pieces), 0..12);
    let name = "[A-Z][A-Z0-9_]{0,6}".prop_filter("reserved", |name| !name.starts_with("RUNNER_"));
    proptest::collection::btree_map(name, value.prop_map(|pieces| pieces.concat()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn github_reads_every_text(variables in variables()) {
        let file = rendered(Format::GithubEnv, &variables).unwrap();
        prop_assert_eq!(read_github(&file), Ok(variables));
    }

    #[test]
    fn gitlab_reads_what_is_not_refused(variables in variables()) {
        if let Some(file) = rendered(Format::GitlabEnv, &variables) {
            prop_assert!(!file.contains('$'));
            prop_assert_eq!(read_gitlab(&file), Ok(variables));
        }
    }
}

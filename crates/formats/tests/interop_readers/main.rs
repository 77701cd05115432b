//! The real readers of every format get back what was written.
//!
//! Shells and other programs are found on the search path, Python and Node packages in the folder that
//! `DSOPS_TEST_READERS` names. What is not there is "not run", which is no pass.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod corpus;
mod docker;
mod tools;

use std::{collections::BTreeMap, fs, path::Path};

use dsops_formats::{Dialect, Format, Options};

use crate::{
    corpus::{assert_same, bytes, carried, parse_environment, parse_json, texts},
    tools::{file, node, output, program, python, shell},
};

/// How many mixtures each reader gets, besides the fixed values.
const MIXTURES: usize = 1500;

fn options(dialect: Dialect) -> Options<'static> {
    let mut options = Options::default();
    options.dialect = dialect;
    options
}

/// Runs `script` in a shell with the file as `$1`, and compares the environment it leaves to `env`.
fn check_shell(name: &str, format: Format, flags: &[&str], scripts: &[&str], values: Vec<Vec<u8>>) {
    let Some(program) = program(name) else { return };
    let (want, text) = carried(format, &Options::default(), values);
    let (_folder, path) = file("file", &text);
    for script in scripts {
        for locale in ["C", "C.UTF-8"] {
            let script = script.replace("FILE", path.to_str().unwrap());
            let mut args = flags.to_vec();
            args.extend(["-c", &script]);
            let got = output(shell(&program, &args).env("LC_ALL", locale));
            assert_same(&format!("{name} {locale}: {script}"), &parse_environment(&got), &want);
        }
    }
}

/// Sourced, and evaluated as people do in their start-up files.
const POSIX_SCRIPTS: &[&str] = &[". FILE; exec env -0", "eval \"$(cat FILE)\"; exec env -0"];

#[test]
fn sh_reads_shell() {
    check_shell("sh", Format::Shell, &[], POSIX_SCRIPTS, bytes(MIXTURES));
}

#[test]
fn dash_reads_shell() {
    check_shell("dash", Format::Shell, &[], POSIX_SCRIPTS, bytes(MIXTURES));
}

#[test]
fn bash_reads_shell() {
    let history = "set -o history; set -H; eval \"$(cat FILE)\"; exec env -0";
    let scripts = [POSIX_SCRIPTS, &[history]].concat();
    check_shell("bash", Format::Shell, &["--norc"], &scripts, bytes(MIXTURES));
    check_shell("bash", Format::Shell, &["--posix"], POSIX_SCRIPTS, bytes(MIXTURES));
}

#[test]
fn zsh_reads_shell() {
    let quotes = "setopt RC_QUOTES EXTENDED_GLOB MAGIC_EQUAL_SUBST; . FILE; exec env -0";
    let scripts = [POSIX_SCRIPTS, &[quotes]].concat();
    check_shell("zsh", Format::Shell, &["-f"], &scripts, bytes(MIXTURES));
}

#[test]
fn fish_reads_fish() {
    let scripts = ["source FILE; env -0", "cat FILE | source; env -0"];
    check_shell("fish", Format::Fish, &["--no-config"], &scripts, bytes(MIXTURES));
}

#[test]
fn power_shell_reads_powershell() {
    let Some(program) = program("pwsh") else { return };
    // Before 7.5 it takes an empty value for none.
    let values = texts(MIXTURES).into_iter().filter(|value| !value.is_empty()).collect();
    let (want, text) = carried(Format::PowerShell, &Options::default(), values);
    let (_folder, path) = file("file.ps1", &text);
    let script = format!(". {}; & env -0", path.display());
    let args = ["-NoProfile", "-NonInteractive", "-Command", script.as_str()];
    let got = output(&mut shell(&program, &args));
    assert_same("pwsh", &parse_environment(&got), &want);
}

#[test]
fn shells_read_dotenv() {
    for name in ["sh", "dash", "bash"] {
        let scripts = ["set -a; . FILE; exec env -0"];
        check_shell(name, Format::Dotenv, &[], &scripts, texts(MIXTURES));
    }
    check_shell("zsh", Format::Dotenv, &["-f"], &["set -a; . FILE; exec env -0"], texts(MIXTURES));
}

const PYTHON_DOTENV: &str = "import json, sys; from dotenv import dotenv_values; \
                             json.dump(dotenv_values(sys.argv[1]), sys.stdout)";

#[test]
fn python_dotenv_reads_its_dialect() {
    let Some(mut python) = python(PYTHON_DOTENV) else { return };
    let (want, text) = carried(Format::Dotenv, &options(Dialect::Python), texts(MIXTURES));
    let (_folder, path) = file(".env", &text);
    assert_same("python-dotenv", &parse_json(&output(python.arg(path))), &want);
}

/// Both major versions that are in use.
const NODE_PACKAGES: [&str; 2] = ["dotenv", "dotenv16"];

fn node_dotenv(package: &str) -> String {
    format!(
        "const text = require('fs').readFileSync(process.argv[1], 'utf8'); \
         process.stdout.write(JSON.stringify(require('{package}').parse(text)))"
    )
}

#[test]
fn npm_dotenv_reads_its_dialect() {
    for package in NODE_PACKAGES {
        let Some(mut node) = node(&node_dotenv(package)) else { return };
        let (want, text) = carried(Format::Dotenv, &options(Dialect::Node), texts(MIXTURES));
        let (_folder, path) = file(".env", &text);
        assert_same(package, &parse_json(&output(node.arg(path))), &want);
    }
}

#[test]
fn what_all_dialects_write_alike_all_readers_read_alike() {
    let mut alike = texts(MIXTURES);
    alike.retain(|value| {
        let variables = BTreeMap::from([("A".to_owned(), value.clone())]);
        let secret = dsops_secure_mem::SecretBytes::copy_from(value).unwrap();
        let takes_all = Dialect::ALL.iter().all(|dialect| {
            dsops_formats::render(Format::Dotenv, &[("A", &secret)], &options(*dialect)).is_ok()
        });
        takes_all && {
            let file = |dialect| corpus::write(Format::Dotenv, &options(dialect), &variables);
            Dialect::ALL.iter().all(|dialect| file(*dialect) == file(Dialect::Shell))
        }
    });
    assert!(alike.len() > 1000, "only {} values", alike.len());
    let (want, text) = carried(Format::Dotenv, &options(Dialect::Shell), alike);
    let (_folder, path) = file(".env", &text);
    let Some(mut python) = python(PYTHON_DOTENV) else { return };
    assert_same("python-dotenv", &parse_json(&output(python.arg(&path))), &want);
    for package in NODE_PACKAGES {
        let Some(mut node) = node(&node_dotenv(package)) else { return };
        assert_same(package, &parse_json(&output(node.arg(&path))), &want);
    }
    let Some(sh) = program("sh") else { return };
    let script = format!("set -a; . {}; exec env -0", path.display());
    let got = output(&mut shell(&sh, &["-c", &script]));
    assert_same("sh", &parse_environment(&got), &want);
}

/// With NUL, which JSON and YAML can carry.
fn texts_with_nul() -> Vec<Vec<u8>> {
    let mut values = texts(MIXTURES);
    values.extend([b"\0".to_vec(), b"a\0b\n".to_vec()]);
    values
}

#[test]
fn python_reads_json_and_yaml() {
    let script = "import json, sys, yaml; text = open(sys.argv[1], newline='').read(); \
                  data = (json.loads if sys.argv[2] == 'json' else yaml.safe_load)(text); \
                  assert data['generated_by'] == 'dsops'; json.dump(data['variables'], sys.stdout)";
    for format in [Format::Json, Format::Yaml] {
        let Some(mut python) = python(script) else { return };
        let (want, text) = carried(format, &Options::default(), texts_with_nul());
        let (_folder, path) = file("file", &text);
        let got = output(python.arg(path).arg(format.name()));
        assert_same(&format!("python {format}"), &parse_json(&got), &want);
    }
}

#[test]
fn node_reads_json_and_yaml() {
    let script = "const text = require('fs').readFileSync(process.argv[1], 'utf8'); \
                  const data = process.argv[2] === 'json' ? JSON.parse(text) : require('yaml').parse(text); \
                  process.stdout.write(JSON.stringify(data.variables))";
    for format in [Format::Json, Format::Yaml] {
        let Some(mut node) = node(script) else { return };
        let (want, text) = carried(format, &Options::default(), texts_with_nul());
        let (_folder, path) = file("file", &text);
        let got = output(node.arg(path).arg(format.name()));
        assert_same(&format!("node {format}"), &parse_json(&got), &want);
    }
}

#[test]
fn jq_reads_json() {
    let Some(jq) = program("jq") else { return };
    let mut flat = Options::default();
    flat.flat = true;
    let (want, text) = carried(Format::Json, &flat, texts_with_nul());
    let (_folder, path) = file("file.json", &text);
    let got = output(shell(&jq, &["-c", "."]).arg(path));
    assert_same("jq", &parse_json(&got), &want);
}

#[test]
fn python_reads_kubernetes_manifests() {
    let script = "import base64, json, sys, yaml; data = yaml.safe_load(open(sys.argv[1])); \
                  assert data['kind'] == 'Secret' and data['metadata'] == {'name': 'app', 'namespace': 'prod'}; \
                  decode = lambda text: base64.b64decode(text, validate=True).hex(); \
                  json.dump({name: decode(text) for name, text in data['data'].items()}, sys.stdout)";
    let Some(mut python) = python(script) else { return };
    let mut options = Options::default();
    options.secret_name = Some("app");
    options.namespace = Some("prod");
    let mut values = bytes(MIXTURES);
    values.extend([b"\0".to_vec(), (0..=255).collect()]);
    let (want, text) = carried(Format::Kubernetes, &options, values);
    let (_folder, path) = file("secret.yaml", &text);
    let hex: BTreeMap<String, String> = serde_json::from_slice(&output(python.arg(path))).unwrap();
    let from_hex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    };
    let got = hex.iter().map(|(name, text)| (name.clone(), from_hex(text))).collect();
    assert_same("PyYAML, base64", &got, &want);
}

/// systemd's own parser of `EnvironmentFile=`, and the check that it makes of each assignment before it uses it.
const SYSTEMD: &str = r"
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
strings = ctypes.POINTER(ctypes.c_char_p)()
error = library.load_env_file(None, sys.argv[2].encode(), ctypes.byref(strings))
assert error >= 0, error
index = 0
while strings[index]:
    assert library.env_assignment_is_valid(strings[index]), strings[index]
    sys.stdout.buffer.write(strings[index] + b'\0')
    index += 1
";

#[test]
fn systemd_reads_its_environment_file() {
    let library = |folder: &str| {
        let files = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
        let name = |path: &Path| {
            path.file_name()?.to_str().map(|name| name.starts_with("libsystemd-shared"))
        };
        files.filter(|path| name(path) == Some(true)).min()
    };
    let folders = [
        "/usr/lib/x86_64-linux-gnu/systemd",
        "/usr/lib/aarch64-linux-gnu/systemd",
        "/usr/lib/systemd",
    ];
    let Some(library) = folders.into_iter().find_map(library) else {
        println!("not run: libsystemd-shared is not installed");
        return;
    };
    let Some(python) = program("python3") else { return };
    let (want, text) = carried(Format::SystemdEnvironment, &Options::default(), texts(MIXTURES));
    let (_folder, path) = file("service.env", &text);
    let got = output(shell(&python, &["-c", SYSTEMD]).arg(&library).arg(path));
    let reader = library.file_name().unwrap().to_string_lossy();
    assert_same(&reader, &parse_environment(&got), &want);
}

#[test]
fn systemd_creds_reads_a_credential() {
    let Some(program) = program("systemd-creds") else { return };
    let value: Vec<u8> = (0..=255).collect();
    let want = BTreeMap::from([("app.token".to_owned(), value)]);
    let text = corpus::write(Format::SystemdCredential, &Options::default(), &want);
    let (folder, _) = file("app.token", &text);
    let mut command = shell(&program, &["cat", "--newline=no", "app.token"]);
    let got = output(command.env("CREDENTIALS_DIRECTORY", folder.path()));
    assert_same("systemd-creds", &BTreeMap::from([("app.token".to_owned(), got)]), &want);
}

#[test]
fn docker_reads_its_env_file() {
    let Some(program) = program("docker") else { return };
    let (want, text) = carried(Format::Docker, &Options::default(), texts(MIXTURES));
    let (_folder, path) = file("env.list", &text);
    let entries = docker::created_with(&program, &path);
    let joined: Vec<u8> =
        entries.iter().flat_map(|entry| [entry.as_bytes(), b"\0"].concat()).collect();
    assert_same("docker", &parse_environment(&joined), &want);
}

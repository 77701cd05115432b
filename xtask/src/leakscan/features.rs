//! A project with what a configuration can ask for: transforms, fields, documents in every format
//! of sops, identities of every kind, answers that are kept. Its runs are watched like those of the plain project.

mod cached;
mod commands;

use std::{
    fs,
    os::unix::fs::chown,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use super::{
    cases::{Case, make_home, with_home},
    keys::{self, Key},
    needles::{Secret, base64_text},
    observe::Search,
    project::{Project, run},
    report::Report,
    stages::Marked,
    tracer::Launch,
};
use crate::{process::is_on_path, tools};

/// The project and what it keeps secret.
#[derive(Debug)]
pub struct Features {
    /// The project, with all secrets set.
    pub project: Project,
    /// Search for all that is secret in it.
    pub search: Search,
    /// The values themselves, in the order of [`VALUES`].
    values: Vec<Secret>,
    /// Keys besides the project's own, each a recipient of the store.
    keys: Vec<(&'static str, Key)>,
    /// What locks some of them.
    passphrase: Secret,
    /// The formats in which there is a document by the real sops.
    documents: Vec<&'static str>,
}

/// Where a value is found in what is stored.
const VALUES: [&str; 6] = ["TOKEN", "IN_JSON", "IN_YAML", "IN_LIST", "IN_PEM", "NEW"];

/// Each with an environment of its own, so that a leak says where it comes from: the stored item,
/// and the transform, its steps as a list where `|` separates them.
const TRANSFORMS: [(&str, &str, &str); 24] = [
    ("json_extract", "JSON", "json_extract:.db.password"),
    ("json_extract of a list", "JSON", "json_extract:.list"),
    ("json_extract by pointer", "JSON", "json_extract:/list/1"),
    ("yaml_extract", "YAML", "yaml_extract:.db.password"),
    ("yaml_extract of a mapping", "YAML", "yaml_extract:.db"),
    ("base64_encode", "TOKEN", "base64_encode"),
    ("base64_decode", "BASE64", "base64_decode"),
    ("base64url both ways", "TOKEN", "base64url_encode,base64url_decode"),
    ("hex both ways", "TOKEN", "hex_encode,hex_decode"),
    ("url both ways", "TOKEN", "url_encode,url_decode"),
    ("trim", "PADDED", "trim"),
    ("multiline_to_single", "LINES", "multiline_to_single"),
    ("replace, longer", "TOKEN", "replace:S:SSSS"),
    ("replace, shorter", "TOKEN", "replace:S:"),
    ("split", "LIST", "split:\";\":1"),
    ("join of a list", "LIST", "join:\",\""),
    ("join of JSON", "JSON", "json_extract:.list|join:\",\""),
    ("prefix and suffix", "TOKEN", "prefix:\"Bearer \"|suffix:\";\""),
    ("upper", "TOKEN", "upper"),
    ("lower", "TOKEN", "lower"),
    ("pem of one line", "PEM", "pem"),
    ("pem of a body", "PEM_BODY", "pem:PRIVATE KEY"),
    ("a named chain", "BASE64", "unpack"),
    ("a long chain", "BASE64", "unpack,base64_encode,base64_decode,prefix:x,suffix:y,trim"),
];

/// The same for what cannot work: the reason is told, never the value.
const BAD_TRANSFORMS: [(&str, &str, &str); 9] = [
    ("json_extract of no JSON", "TOKEN", "json_extract:.a"),
    ("json_extract of what is not there", "JSON", "json_extract:.db.user"),
    ("json_extract of broken JSON", "BROKEN", "json_extract:.a"),
    ("yaml_extract of broken YAML", "BROKEN", "yaml_extract:.a"),
    ("base64_decode of another alphabet", "ODD", "base64_decode"),
    ("hex_decode of no hex", "TOKEN", "hex_decode"),
    ("split past the end", "LIST", "split:\";\":7"),
    ("pem of no PEM", "TOKEN", "pem"),
    ("the second step", "BASE64", "base64_decode,json_extract:.a"),
];

impl Features {
    /// Makes the project beside the plain one of `marked`, for the same user.
    ///
    /// # Errors
    /// A program fails. Tools that are not installed are left out, and reported by
    /// [`Self::cases`].
    pub fn create(marked: &Marked) -> anyhow::Result<Self> {
        let project = Project::create(&marked.dsops, marked.project.user())?;
        let values = VALUES
            .into_iter()
            .map(|name| Secret::random(name, 48))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let passphrase = Secret::random("passphrase", 24)?;
        let keys = other_keys(&project, &passphrase)?;
        fs::write(project.work().join("dsops.yaml"), configuration(&[]))?;
        for (name, value) in stored(&values) {
            let stdin = value.into_bytes();
            must(&Launch { stdin, ..project.launch(&["--env", "all", "set", name]) })?;
        }
        let mut secrets = values.clone();
        let of_case = |name: &str, text: String| Secret { name: name.into(), bytes: text.into() };
        secrets.push(of_case("TOKEN in capitals", values[0].text().to_uppercase()));
        secrets.push(of_case("TOKEN in small letters", values[0].text().to_lowercase()));
        secrets.extend(project.identity()?);
        secrets.push(passphrase.clone());
        secrets.extend(keys.iter().flat_map(|(_, key)| key.secrets.clone()));
        secrets.extend(data_key(&project)?);
        for (_, key) in &keys {
            must(&project.launch(&["recipients", "add", &key.recipient]))?;
        }
        let documents = documents(&project, &values)?;
        fs::write(project.work().join("dsops.yaml"), configuration(&documents))?;
        let search = Search::new(secrets)?;
        Ok(Self { project, search, values, keys, passphrase, documents })
    }

    /// All runs of it, and what could not be made.
    ///
    /// # Errors
    /// The files of a case cannot be prepared.
    pub fn cases(&self, report: &mut Report) -> anyhow::Result<Vec<Case>> {
        for (what, missing) in [
            ("documents of the real sops", self.documents.is_empty()),
            ("SSH keys", !self.keys.iter().any(|(kind, _)| kind.starts_with("ssh"))),
            ("age key behind a passphrase", !self.keys.iter().any(|(kind, _)| *kind == "age")),
        ] {
            if missing {
                report.not_run(what, "the program that makes them is not installed");
            }
        }
        let exec = |env: &str| self.project.launch(&["exec", "--env", env, "--", "/bin/true"]);
        let mut cases = Vec::new();
        for (index, (name, ..)) in TRANSFORMS.iter().enumerate() {
            cases.push(Case::works(&format!("exec, {name}"), exec(&format!("works-{index}"))));
        }
        for (index, (name, ..)) in BAD_TRANSFORMS.iter().enumerate() {
            let environment = format!("fails-{index}");
            cases.push(Case::fails(&format!("exec, {name}"), exec(&environment)));
            let json = ["--json", "get", "--env", &environment, "V"];
            cases.push(Case::fails(&format!("get --json, {name}"), self.project.launch(&json)));
        }
        for name in ["fields", "defaults"] {
            cases.push(Case::works(&format!("exec, {name}"), exec(name)));
        }
        cases.push(Case::fails("exec, a field that is not there", exec("no-field")));
        for format in &self.documents {
            cases.push(Case::works(&format!("exec, {format} document"), exec(format)));
        }
        cases.extend(self.given_values());
        cases.extend(self.identities()?);
        cases.extend(self.low_memlock());
        // While the store is what it is: its content is part of what answers are kept under.
        cases.extend(cached::all(self)?);
        cases.extend(commands::all(self)?);
        Ok(cases)
    }

    /// Fields of a value of the store `env`, which has none of its own.
    fn given_values(&self) -> Vec<Case> {
        let given = [&self.values[1], &self.values[3]].map(|secret| secret.name.clone());
        let stored = stored(&self.values);
        let text = stored.iter().find(|(name, _)| *name == "JSON").map(|(_, text)| text.clone());
        ["fields-of-env", "no-field-of-env"]
            .into_iter()
            .map(|environment| {
                let words = ["exec", "--env", environment, "--", "/bin/true"];
                let mut launch = self.project.launch(&words);
                launch.environment.push(("GIVEN".into(), text.clone().unwrap_or_default().into()));
                let name = format!("exec, {environment}");
                let case = match environment {
                    "fields-of-env" => Case::works(&name, launch),
                    _ => Case::fails(&name, launch),
                };
                Case { given: given.to_vec(), ..case }
            })
            .collect()
    }

    /// Each key alone, and locked ones with the right passphrase, a wrong one and none.
    fn identities(&self) -> anyhow::Result<Vec<Case>> {
        let mut cases = Vec::new();
        for (kind, key) in &self.keys {
            let path = match *kind {
                "age" => ".config/sops/age/keys.txt",
                "ssh rsa" => ".ssh/id_rsa",
                _ => ".ssh/id_ed25519",
            };
            let home = make_home(&self.project, &kind.replace(' ', "-"), path, &key.file)?;
            let exec = self.project.launch(&["exec", "--env", "works-5", "--", "/bin/true"]);
            let exec = with_home(exec, &home);
            let name = format!("exec, {kind} key");
            if *kind != "age" && !kind.ends_with("locked") {
                cases.push(Case::works(&name, exec));
                continue;
            }
            let with = |text: &str| {
                let mut exec = exec.clone();
                exec.environment.push(("DSOPS_AGE_PASSPHRASE".into(), text.into()));
                exec
            };
            let given = vec![self.passphrase.name.clone()];
            cases.extend([
                Case {
                    given,
                    ..Case::works(
                        &format!("{name} and its passphrase"),
                        with(self.passphrase.text()),
                    )
                },
                Case::fails(&format!("{name} and a wrong passphrase"), with("not this one")),
                Case::fails(&format!("{name} without its passphrase"), exec),
            ]);
        }
        Ok(cases)
    }

    /// Where nothing can be locked, `--require-protection` lets nothing be read. The superuser may
    /// lock all the same.
    fn low_memlock(&self) -> Vec<Case> {
        let words = ["exec", "--env", "works-5", "--require-protection", "--", "/bin/true"];
        let mut cases = Vec::new();
        for (flag, name) in [("--verbose", "text"), ("--json", "JSON")] {
            let words = [&[flag], &words[..]].concat();
            let launch = Launch { memlock_bytes: Some(0), ..self.project.launch(&words) };
            let name = format!("exec --require-protection, nothing can be locked, {name}");
            let privileged = self.project.user().is_none() && crate::process::is_root();
            let case = if privileged { Case::works } else { Case::fails };
            cases.push(case(&name, launch));
        }
        cases
    }
}

/// What is put into the store: name and value.
fn stored(values: &[Secret]) -> Vec<(&'static str, String)> {
    let [token, in_json, in_yaml, in_list, in_pem, _] = values else {
        unreachable!("there are as many values as names")
    };
    // Large enough that whoever copies it needs more memory, and so stops at a system call.
    let filler = "x".repeat(20_000);
    let body = base64_text(&in_pem.bytes.repeat(4));
    let list = in_list.text();
    vec![
        ("TOKEN", token.text().into()),
        (
            "JSON",
            format!(
                "{{\"filler\": \"{filler}\", \"db\": {{\"password\": \"{}\", \"port\": 5432}}, \"list\": [\"a\", \"{list}\"]}}",
                in_json.text()
            ),
        ),
        (
            "YAML",
            format!(
                "filler: {filler}\ndb:\n  password: \"{0}\"\n  copy: |\n    {0}\nlist: [a, {list}]\n",
                in_yaml.text()
            ),
        ),
        ("BASE64", base64_text(&token.bytes)),
        ("PADDED", format!("  {} \n\n", token.text())),
        ("LINES", format!("{}\n{list}\n", token.text())),
        ("LIST", format!("first; {list};third")),
        ("PEM", format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----\\n")),
        ("PEM_BODY", body),
        ("BROKEN", format!("{{\"a\": \"{list}\", {list}: [")),
        ("ODD", format!("{list}-_-_")),
        ("NESTED", token.text().into()),
    ]
}

/// The configuration: an environment for each case.
#[allow(clippy::format_push_string, reason = "it reads better, and takes no time")]
fn configuration(documents: &[&str]) -> String {
    let mut text = String::from(
        "version: 1\n\nsecretStores:\n  secrets: { type: sops, path: secrets.sops.yaml }\n  \
         given: { type: env }\n",
    );
    for format in documents {
        text.push_str(&format!("  {format}: {{ type: sops, path: documents/secrets.{format} }}\n"));
    }
    text.push_str("\ntransforms:\n  unpack: [ base64_decode, trim ]\n\nenvs:\n  all:\n");
    let names: Vec<&str> = ["TOKEN", "JSON", "YAML", "BASE64", "PADDED", "LINES", "LIST"]
        .into_iter()
        .chain(["PEM", "PEM_BODY", "BROKEN", "ODD"])
        .collect();
    for name in names {
        text.push_str(&format!("    {name}: store://secrets/{name}\n"));
    }
    text.push_str("    NESTED: store://secrets/nested/item\n");
    let mut environment = |name: &str, index: usize, item: &str, transform: &str| {
        let steps: Vec<String> = transform.split('|').map(|step| format!("'{step}'")).collect();
        let steps = match &steps[..] {
            [one] => one.clone(),
            several => format!("[ {} ]", several.join(", ")),
        };
        text.push_str(&format!(
            "  {name}-{index}:\n    V: {{ from: store://secrets/{item}, transform: {steps} }}\n"
        ));
    };
    for (index, (_, item, transform)) in TRANSFORMS.iter().enumerate() {
        environment("works", index, item, transform);
    }
    for (index, (_, item, transform)) in BAD_TRANSFORMS.iter().enumerate() {
        environment("fails", index, item, transform);
    }
    text.push_str(
        "  fields:\n    V: \"store://secrets/nested#item\"\n    W: store://secrets/TOKEN\n",
    );
    text.push_str(
        "  no-field:\n    V: \"store://secrets/nested#other\"\n    W: store://secrets/TOKEN\n",
    );
    text.push_str(
        "  defaults:\n    V: { from: store://secrets/NONE, default: x, transform: upper }\n    \
             W: { from: store://secrets/NONE, optional: true }\n    X: store://secrets/TOKEN\n",
    );
    text.push_str(
        "  fields-of-env:\n    V: \"store://given/GIVEN#db.password\"\n    \
             W: \"store://given/GIVEN#list\"\n",
    );
    text.push_str("  no-field-of-env:\n    V: \"store://given/GIVEN#db.user\"\n");
    for format in documents {
        let item = if *format == "ini" { "main/TOKEN" } else { "TOKEN" };
        text.push_str(&format!("  {format}:\n    V: store://{format}/{item}\n"));
    }
    text
}

/// Documents that the real sops wrote, by the name of their format.
fn documents(project: &Project, values: &[Secret]) -> anyhow::Result<Vec<&'static str>> {
    let Some(sops) = tools::installed_sops() else { return Ok(Vec::new()) };
    let store = fs::read_to_string(project.work().join("secrets.sops.yaml"))?;
    let recipient = store.split_whitespace().find(|word| word.starts_with("age1"));
    let recipient = recipient.context("the store names no recipient")?;
    let (token, other) = (values[0].text(), values[1].text());
    let clear = project.folder().join("clear");
    let folder = project.work().join("documents");
    for path in [&clear, &folder] {
        fs::create_dir(path)?;
        chown(path, project.user(), project.user())?;
    }
    let plain = [
        ("json", format!("{{\"TOKEN\": \"{token}\", \"more\": [\"{other}\"]}}\n")),
        ("env", format!("TOKEN={token}\nMORE={other}\n")),
        ("ini", format!("[main]\nTOKEN = {token}\nMORE = {other}\n")),
        ("yaml", format!("TOKEN: {token}\nmore:\n  - {other}\n")),
    ];
    let mut made = Vec::new();
    for (format, text) in plain {
        let name = format!("secrets.{format}");
        let source = clear.join(&name);
        fs::write(&source, text)?;
        let mut command = Command::new(&sops);
        command.args(["encrypt", "--age", recipient]).arg(&source).current_dir(&clear);
        let target = folder.join(&name);
        fs::write(&target, crate::process::output(&mut command)?)?;
        chown(&target, project.user(), project.user())?;
        made.push(format);
    }
    Ok(made)
}

/// Keys of all kinds that can be made here.
fn other_keys(project: &Project, passphrase: &Secret) -> anyhow::Result<Vec<(&'static str, Key)>> {
    let folder = tempfile::tempdir_in(project.folder())?;
    let mut keys = Vec::new();
    if is_on_path("ssh-keygen") {
        keys.push(("ssh ed25519", keys::ssh(folder.path(), "ed25519", None)?));
        keys.push(("ssh rsa", keys::ssh(folder.path(), "rsa", None)?));
        let locked = keys::ssh(folder.path(), "ed25519", Some(passphrase))?;
        keys.push(("ssh ed25519 locked", locked));
    }
    if ["age", "age-keygen", "script"].into_iter().all(is_on_path) {
        keys.push(("age", keys::age_behind(folder.path(), passphrase)?));
    }
    Ok(keys)
}

/// The data key of the project's store, opened by the real `age`.
fn data_key(project: &Project) -> anyhow::Result<Option<Secret>> {
    if !is_on_path("age") {
        return Ok(None);
    }
    let text = fs::read_to_string(project.work().join("secrets.sops.yaml"))?;
    let mut armor = String::new();
    for line in text.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN AGE")) {
        armor.extend([line, "\n"]);
        if line.starts_with("-----END AGE") {
            break;
        }
    }
    let file = tempfile::NamedTempFile::new_in(project.folder())?;
    fs::write(file.path(), armor)?;
    let output = Command::new("age")
        .args(["--decrypt", "--identity"])
        .args([project.identity_file().as_path(), file.path()])
        .stdin(Stdio::null())
        .output()?;
    anyhow::ensure!(output.status.success(), "age does not open the data key");
    Ok(Some(Secret { name: "data key".into(), bytes: output.stdout }))
}

/// A folder of its own for what a case reads or writes.
fn folder(project: &Project, name: &str) -> anyhow::Result<PathBuf> {
    let path = project.folder().join(name);
    fs::create_dir(&path).with_context(|| format!("two cases are called `{name}`"))?;
    chown(&path, project.user(), project.user())?;
    Ok(path)
}

/// A run that must succeed, unwatched.
fn must(launch: &Launch) -> anyhow::Result<()> {
    let ran = run(launch)?;
    let said = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.status.success(), "{:?}: {}\n{said}", launch.command, ran.status);
    Ok(())
}

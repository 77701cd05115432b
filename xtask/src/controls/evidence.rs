//! `docs/security/controls.toml`: which control is held by what. Every piece of evidence is looked at: what is not
//! there is an error, not a gap in a table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::rules::Workflow;
use super::scorecard::{FULL, Score};
use crate::tidy::proofs::Tests;

/// One control of a list.
#[derive(Clone, Debug)]
pub struct Control {
    pub id: String,
    /// What it asks for, in our words.
    pub asks: String,
    pub evidence: Vec<Evidence>,
    pub state: State,
}

/// A list of controls.
#[derive(Clone, Debug)]
pub struct Set {
    pub title: String,
    pub about: String,
    pub controls: Vec<Control>,
}

/// How far a control is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// By what the evidence says, looked at in each run.
    Held,
    /// As far as files can; the rest is a setting that nobody can see from here.
    Host(String),
    /// By a stand-in; the real thing happens with the first release.
    Release(String),
    /// It is not.
    Open(String),
    /// It asks for something that does not exist here.
    None(String),
}

/// What holds a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    File(PathBuf),
    /// A file with certain words in it.
    Text(PathBuf, String),
    /// A test in a file.
    Test(PathBuf, String),
    /// A job of a workflow.
    Job(String, String),
    /// A stage of `cargo xtask ci`.
    Stage(String),
    /// A command of `cargo xtask`.
    Command(String),
    /// A check of Scorecard that has all points.
    Score(String),
}

/// What evidence is looked for in.
pub struct Ground<'a> {
    pub root: &'a Path,
    pub files: &'a [PathBuf],
    pub workflows: &'a [Workflow],
    pub scores: &'a [Score],
    pub tests: &'a Tests,
    pub stages: Vec<&'static str>,
    pub commands: Vec<&'static str>,
}

/// Reads the lists.
///
/// # Errors
/// They are not as they should be, or a control occurs twice.
pub fn read(text: &str) -> anyhow::Result<Vec<Set>> {
    let table: toml::Table = text.parse().context("no TOML")?;
    let mut ids = BTreeSet::new();
    let sets = table.get("set").and_then(toml::Value::as_array).context("no `[[set]]`")?;
    sets.iter().map(|set| read_set(set, &mut ids)).collect()
}

fn read_set(set: &toml::Value, ids: &mut BTreeSet<String>) -> anyhow::Result<Set> {
    let title = text_of(set, "title")?;
    let controls = set.get("control").and_then(toml::Value::as_array);
    let controls = controls.with_context(|| format!("{title}: no `[[set.control]]`"))?;
    let controls = controls
        .iter()
        .map(|control| {
            let control = read_control(control).with_context(|| title.clone())?;
            if !ids.insert(control.id.clone()) {
                bail!("{} occurs twice", control.id);
            }
            Ok(control)
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Set { about: text_of(set, "about")?, title, controls })
}

fn read_control(control: &toml::Value) -> anyhow::Result<Control> {
    let id = text_of(control, "id")?;
    for (key, _) in control.as_table().context("a control is a table")? {
        if !["id", "asks", "evidence", "host", "release", "open", "none"].contains(&key.as_str()) {
            bail!("{id}: unknown key `{key}`");
        }
    }
    let listed = control.get("evidence").and_then(toml::Value::as_array);
    let evidence = listed
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|line| parse(line.as_str().context("evidence is text")?))
        .collect::<anyhow::Result<Vec<_>>>()
        .with_context(|| id.clone())?;
    let reason = |key: &str| control.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut states = [
        reason("open").map(State::Open),
        reason("none").map(State::None),
        reason("host").map(State::Host),
        reason("release").map(State::Release),
    ]
    .into_iter()
    .flatten();
    let state = states.next().unwrap_or(State::Held);
    if states.next().is_some() {
        bail!("{id}: two states");
    }
    if evidence.is_empty() && matches!(state, State::Held | State::Release(_)) {
        bail!("{id}: held by nothing");
    }
    Ok(Control { asks: text_of(control, "asks")?, id, evidence, state })
}

fn text_of(table: &toml::Value, key: &str) -> anyhow::Result<String> {
    let text = table.get(key).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).with_context(|| format!("no `{key}`"))
}

/// Reads `KIND WHERE [WHAT]`.
fn parse(line: &str) -> anyhow::Result<Evidence> {
    let (kind, rest) = line.split_once(' ').with_context(|| format!("`{line}`: only one word"))?;
    let (place, words) = rest.split_once(' ').unwrap_or((rest, ""));
    let both = |make: fn(PathBuf, String) -> Evidence| {
        if words.is_empty() {
            bail!("`{line}`: a word is missing")
        }
        Ok(make(place.into(), words.to_owned()))
    };
    match kind {
        "text" => both(Evidence::Text),
        "test" => both(Evidence::Test),
        "job" => both(|file, job| Evidence::Job(file.display().to_string(), job)),
        _ if !words.is_empty() => bail!("`{line}`: a word too many"),
        "file" => Ok(Evidence::File(place.into())),
        "stage" => Ok(Evidence::Stage(place.to_owned())),
        "command" => Ok(Evidence::Command(place.to_owned())),
        "score" => Ok(Evidence::Score(place.to_owned())),
        _ => bail!("`{line}`: no kind of evidence"),
    }
}

impl Evidence {
    /// Why this is no evidence, if it is none.
    pub fn missing(&self, ground: &Ground<'_>) -> Option<String> {
        let there = match self {
            Self::File(path) => ground.files.contains(path),
            Self::Text(path, words) => {
                let text = std::fs::read_to_string(ground.root.join(path)).unwrap_or_default();
                ground.files.contains(path) && text.contains(words.as_str())
            }
            Self::Test(path, name) => ground.tests.has(name, Some(path)),
            Self::Job(file, job) => ground.workflows.iter().any(|workflow| {
                workflow.file.file_name().is_some_and(|name| name == file.as_str())
                    && workflow.jobs().iter().any(|(name, _)| name == job)
            }),
            Self::Stage(name) => ground.stages.contains(&name.as_str()),
            Self::Command(name) => ground.commands.contains(&name.as_str()),
            Self::Score(check) => {
                ground.scores.iter().any(|score| score.check == check && score.points == FULL)
            }
        };
        (!there).then(|| format!("{self:?} is not there"))
    }

    /// As Markdown, in a document of `docs/security`.
    pub fn markdown(&self) -> String {
        let link = |path: &Path, text: &str| {
            let target = match path.strip_prefix("docs/security") {
                Ok(beside) => beside.display().to_string(),
                Err(_) => format!("../../{}", path.display()),
            };
            format!("[{text}]({target})")
        };
        match self {
            Self::File(path) => link(path, &path.display().to_string()),
            Self::Text(path, words) => {
                let words = words.trim_start_matches(['#', ' ']).replace('|', "\\|");
                format!("{}: “{words}”", link(path, &path.display().to_string()))
            }
            Self::Test(path, name) => link(path, &format!("`{name}`")),
            Self::Job(file, job) => {
                let path = Path::new(".github/workflows").join(file);
                format!("job `{job}` of {}", link(&path, file))
            }
            Self::Stage(name) => format!("`cargo xtask ci --only {name}`"),
            Self::Command(name) => format!("`cargo xtask {name}`"),
            Self::Score(check) => format!("Scorecard {check}: {FULL}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(control: &str) -> anyhow::Result<Control> {
        let text = format!("[[set]]\ntitle = 't'\nabout = 'a'\n[[set.control]]\n{control}");
        Ok(read(&text)?.remove(0).controls.remove(0))
    }

    #[test]
    fn a_control_and_its_state() {
        let control =
            one("id = 'A'\nasks = 'x'\nevidence = ['text SECURITY.md ## What to send']\n").unwrap();
        assert_eq!(control.state, State::Held);
        assert_eq!(
            control.evidence,
            [Evidence::Text("SECURITY.md".into(), "## What to send".into())]
        );
        assert_eq!(
            control.evidence[0].markdown(),
            "[SECURITY.md](../../SECURITY.md): “What to send”"
        );
        let open = one("id = 'A'\nasks = 'x'\nopen = 'nobody did it'\n").unwrap();
        assert_eq!(open.state, State::Open("nobody did it".into()));
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "id = 'A'\nasks = 'x'\n",
            "id = 'A'\nevidence = ['file x']\n",
            "id = 'A'\nasks = 'x'\nevidence = ['words of mine']\n",
            "id = 'A'\nasks = 'x'\nevidence = ['test x']\n",
            "id = 'A'\nasks = 'x'\nevidence = ['file x y']\n",
            "id = 'A'\nasks = 'x'\nopen = 'a'\nhost = 'b'\n",
            "id = 'A'\nasks = 'x'\nopen = 'a'\nclosed = 'b'\n",
            "id = 'A'\nasks = 'x'\nopen = 'a'\n[[set.control]]\nid = 'A'\nasks = 'y'\nopen = 'b'\n",
        ] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn evidence_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.md"), "## Here\n").unwrap();
        let files = [PathBuf::from("a.md")];
        let mut tests = Tests::default();
        tests.read(Path::new("t.rs"), "#[test]\nfn it_holds() {}\n");
        let workflow = "jobs:\n  build:\n    steps: []\n";
        let workflows = [Workflow::read(Path::new(".github/workflows/ci.yml"), workflow).unwrap()];
        let scores = [("License", FULL), ("SAST", 9)].map(|(check, points)| Score {
            check,
            what: "",
            points,
            lacks: Vec::new(),
        });
        let ground = Ground {
            root: folder.path(),
            files: &files,
            workflows: &workflows,
            scores: &scores,
            tests: &tests,
            stages: vec!["deny"],
            commands: vec!["dist"],
        };
        for (line, there) in [
            ("file a.md", true),
            ("file b.md", false),
            ("text a.md ## Here", true),
            ("text a.md ## There", false),
            ("text b.md ## Here", false),
            ("test t.rs it_holds", true),
            ("test t.rs it_fails", false),
            ("test u.rs it_holds", false),
            ("job ci.yml build", true),
            ("job ci.yml sign", false),
            ("job cd.yml build", false),
            ("stage deny", true),
            ("stage dist", false),
            ("command dist", true),
            ("command deny", false),
            ("score License", true),
            ("score SAST", false),
        ] {
            assert_eq!(parse(line).unwrap().missing(&ground).is_none(), there, "{line}");
        }
    }
}

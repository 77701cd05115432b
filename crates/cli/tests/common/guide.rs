//! Documents whose commands are run: `console` blocks with `$ command`, `? code` where it is not 0, and
//! what is printed, where `...` stands for anything.

use std::path::Path;
use std::process::Command;

use super::Project;

/// A block of a document, and a script that comes before it: `<!-- before: … -->`.
pub struct Block {
    pub line: usize,
    pub before: Option<String>,
    pub steps: Vec<Step>,
}

/// A command with the exit code and the output that the document promises.
pub struct Step {
    pub command: String,
    pub code: i32,
    pub output: String,
}

/// A document of the repository.
pub fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// All blocks that show a console.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(script) = line.strip_prefix("<!-- before: ") {
            before = Some(script.strip_suffix(" -->").unwrap().to_owned());
        } else if line == "```console" {
            let mut steps: Vec<Step> = Vec::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                match (line.strip_prefix("$ "), line.strip_prefix("? "), steps.last_mut()) {
                    (Some(command), ..) => steps.push(Step {
                        command: command.to_owned(),
                        code: 0,
                        output: String::new(),
                    }),
                    (_, Some(code), Some(step)) => step.code = code.parse().unwrap(),
                    (_, _, Some(step)) if step.command.ends_with('\\') => {
                        step.command.extend(["\n", line]);
                    }
                    (_, _, Some(step)) => step.output.extend([line, "\n"]),
                    _ => panic!("line {number}: output before any command"),
                }
            }
            blocks.push(Block { line: number + 1, before: before.take(), steps });
        }
    }
    blocks
}

/// Files that a document shows: `<!-- file: NAME -->` before the block.
pub fn files(text: &str) -> Vec<(&str, &str)> {
    let shown = text.split("<!-- file: ").skip(1);
    shown
        .map(|part| {
            let (name, rest) = part.split_once(" -->\n").unwrap();
            let (_, rest) = rest.split_once('\n').unwrap();
            (name, rest.split_once("```\n").unwrap().0)
        })
        .collect()
}

/// A script in the project, with the program that is tested as `dsops`.
pub fn shell(project: &Project, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_dsops"));
    let path = std::env::var_os("PATH").unwrap();
    let folders =
        std::iter::once(program.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .current_dir(project.folder.path())
        .env_clear()
        .env("PATH", std::env::join_paths(folders).unwrap())
        .env("NO_COLOR", "1")
        .env("HOME", project.path("home"));
    command
}

/// What a document has in place of something that is another in each run: (there, here).
pub type Names<'a> = &'a [(&'a str, &'a str)];

/// Runs all commands of a document in one folder, in their order, and answers how many there were.
pub fn tour(project: &Project, text: &str, env: Names<'_>, names: Names<'_>) -> usize {
    let home = project.path("home").display().to_string();
    for (name, content) in files(text) {
        project.write(name, content);
    }
    let mut count = 0;
    for block in blocks(text) {
        if let Some(script) = &block.before {
            let output = shell(project, script).output().unwrap();
            assert!(output.status.success(), "{script}: {}", super::stderr(&output));
        }
        for step in &block.steps {
            let command = names
                .iter()
                .fold(step.command.clone(), |text, (name, real)| text.replace(name, real));
            let output = shell(project, &format!("exec 2>&1\n{command}"))
                .envs(env.iter().copied())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).replace(&home, "~");
            let said = names.iter().fold(said, |text, (name, real)| text.replace(real, name));
            let at = format!("line {}: {}\n{said}", block.line, step.command);
            assert_eq!(output.status.code(), Some(step.code), "{at}");
            assert!(fits(&step.output, &said), "{at}\nis not\n{}", step.output);
            count += 1;
        }
    }
    count
}

/// Whether `text` is `pattern`, where `...` stands for anything; empty lines at the end do not count.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (one_newline(pattern), one_newline(text));
    let parts: Vec<&str> = pattern.split("...").collect();
    let last = parts.len() - 1;
    let mut rest = text.as_str();
    for (index, part) in parts.iter().enumerate() {
        // On a line of its own it may stand for no line.
        let part = if index > 0 { part.trim_start_matches('\n') } else { part };
        let found = match index {
            0 if last == 0 => return part == rest,
            0 => rest.starts_with(part).then_some(0),
            _ if index == last => return rest.ends_with(part),
            _ => rest.find(part),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

fn one_newline(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    if text.is_empty() { String::new() } else { text.to_owned() + "\n" }
}

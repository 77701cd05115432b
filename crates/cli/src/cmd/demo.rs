//! `dsops demo`: the main job on a throw-away project, and what an observer sees of it.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

#[cfg(target_os = "linux")]
use dsops_execenv::HeldSignals;
use dsops_execenv::{Exec, Mode};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_stores::age::Identity;
use dsops_stores::file;
use dsops_stores::sops::OpenDocument;
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::declare;
use crate::exit::Exit;
use crate::observer::{self, Sight};
use crate::report::{Failure, Report};
use crate::trust::hex;
use crate::ui;

const NAMES: [&str; 2] = ["API_TOKEN", "DATABASE_URL"];
const STORE_FILE: &str = "secrets.sops.yaml";
const KEY_FILE: &str = "keys.txt";
/// The child ends with this, to show that its code comes through.
const CHILD_CODE: u8 = 42;
/// Random bytes per value; each becomes two characters.
const RANDOM_BYTES: usize = 24;

const EXAMPLES: &str = "\
Examples:
  dsops demo";

// What `dsops demo` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The program that gets the secrets; not for people
    #[arg(long, hide = true)]
    pub child: bool,
    /// The steps themselves, in this folder; not for people
    #[arg(long, hide = true, value_name = "DIR")]
    pub inside: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A step failed. A secret that was found where it must not be is exit code 1.
pub fn run(cx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let done = match &args.inside {
        _ if args.child => return child(cx),
        Some(folder) => steps(folder).map(ExitCode::from),
        None => around(),
    };
    done.map_err(|error| Failure::from_demo(&error))
}

/// Has the steps run in a folder of their own, and removes it however they end: a supervisor stays
/// when ^C is pressed. The folder is made by the steps, so before there is a supervisor there is
/// nothing to remove.
fn around() -> Result<ExitCode, DemoError> {
    let name = random_text().map_err(|error| DemoError::Step("choose a folder", error))?;
    let name =
        name.expose_with(|name| format!("dsops-demo-{}", String::from_utf8_lossy(&name[..12])));
    let folder = std::env::temp_dir().join(name);
    let exec = Exec::new(own_path()?)
        .args([OsStr::new("demo"), OsStr::new("--inside"), folder.as_os_str()])
        .mode(Mode::Supervise);
    // A second ^C, or the same one come late, must not end this before the folder is gone.
    #[cfg(target_os = "linux")]
    let held = HeldSignals::hold().map_err(DemoError::step("hold signals"))?;
    #[cfg(target_os = "linux")]
    let exec = exec.with_held_signals(&held);
    let outcome = exec.run().map_err(DemoError::step("run its steps"));
    remove(&folder).map_err(DemoError::step("remove the folder"))?;
    let code = outcome?.exit_code();
    if code == Exit::Ok as u8 {
        say("6. removed the project and its key\n\n\
             Try it on your own: `dsops init`, `dsops set NAME`, `dsops exec -- COMMAND`.\n")?;
    }
    Ok(ExitCode::from(code))
}

/// Removes the folder. After ^C a step of the demo may still be on its way out, and writing.
fn remove(folder: &Path) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut result = fs::remove_dir_all(folder);
    for _ in 0..100 {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                thread::sleep(PAUSE);
                result = fs::remove_dir_all(folder);
            }
            _ => break,
        }
    }
    result.or_else(
        |error| {
            if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
        },
    )
}

/// The program that gets the secrets: says what it got, then waits until it may end.
fn child(cx: &Context) -> Result<ExitCode, Failure> {
    let mut text = format!("pid {}\n", std::process::id());
    // Kept until the end, as a program that uses its secrets would.
    let mut kept = Vec::new();
    for name in NAMES {
        if let Some(value) = cx.environment.var(name) {
            let value = value.into_encoded_bytes();
            let _ = writeln!(text, "{name} {} {}", value.len(), hex(&Sha256::digest(&value)));
            kept.push(value);
        }
    }
    ui::print(text.as_bytes())?;
    // The end of stdin or a line: either way it is over.
    let _ = io::stdin().read(&mut [0]);
    drop(kept);
    Ok(ExitCode::from(CHILD_CODE))
}

fn steps(folder: &Path) -> Result<Exit, DemoError> {
    file::private_folder(folder).map_err(DemoError::step("make a folder"))?;
    say(&format!("A throw-away project in {}\n\n", folder.display()))?;
    let secrets = make_project(folder)?;
    let values: Vec<&SecretBytes> = secrets.iter().collect();
    let plan = dsops(folder, &["plan"])?.output().map_err(DemoError::step("run `dsops plan`"))?;
    if !plan.status.success() {
        let said = String::from_utf8_lossy(&plan.stderr).into_owned();
        return Err(DemoError::Failed("`dsops plan`", said));
    }
    say(&format!(
        "3. the plan, which touches no secret (`dsops plan`)\n{}",
        indented(&plan.stdout)
    ))?;
    if run_and_observe(folder, &values, &plan.stdout)? {
        Ok(Exit::Ok)
    } else {
        say("The demo did not go as it must, see above.\n")?;
        Ok(Exit::Found)
    }
}

/// Makes identity, store and configuration. Returns the values.
fn make_project(folder: &Path) -> Result<Vec<SecretBytes>, DemoError> {
    let identity = Identity::generate().map_err(DemoError::step("make an age identity"))?;
    let key_text = identity.to_text().map_err(DemoError::step("write the identity"))?;
    file::publish_new(&folder.join(KEY_FILE), &key_text.expose(), 0o600)
        .map_err(DemoError::step("write the key file"))?;
    let mut document =
        OpenDocument::create(STORE_FILE, &[identity.recipient().clone()], SystemTime::now())
            .map_err(DemoError::step("make the encrypted store"))?;
    say(&format!(
        "1. made an age identity and an encrypted store, {STORE_FILE}\n     recipient {}\n",
        identity.recipient()
    ))?;
    let mut secrets = Vec::new();
    let mut config = format!(
        "version: 1\nsecretStores:\n  secrets: {{ type: sops, path: {STORE_FILE}, age_key_file: {KEY_FILE} }}\nenvs:\n  demo:\n"
    );
    for name in NAMES {
        let value = random_text().map_err(|error| DemoError::Step("make a secret", error))?;
        document.set(name, &value, SystemTime::now()).map_err(DemoError::step("store a secret"))?;
        let declaration = declare::declaration(name, &format!("store://secrets/{name}"));
        let _ = writeln!(config, "    {declaration}");
        secrets.push(value);
    }
    file::publish_new(&folder.join(STORE_FILE), document.text().as_bytes(), 0o644)
        .map_err(DemoError::step("write the store"))?;
    file::publish_new(&folder.join("dsops.yaml"), config.as_bytes(), 0o644)
        .map_err(DemoError::step("write dsops.yaml"))?;
    say(&format!(
        "2. stored two secrets of {} random characters: {}\n",
        2 * RANDOM_BYTES,
        NAMES.join(", ")
    ))?;
    Ok(secrets)
}

/// Runs the program under `dsops exec`, looks around while it runs, and says what was seen.
fn run_and_observe(
    folder: &Path,
    secrets: &[&SecretBytes],
    earlier: &[u8],
) -> Result<bool, DemoError> {
    let program = own_path()?;
    let program = program.to_string_lossy();
    let mut running =
        dsops(folder, &["exec", "--mode", "supervise", "--", &program, "demo", "--child"])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(DemoError::step("run `dsops exec`"))?;
    say("4. ran a program with them (`dsops exec --mode supervise -- PROGRAM`)\n")?;
    let got = hear_child(&mut running, secrets)?;
    for line in &got.lines {
        say(&format!("     {line}\n"))?;
    }
    // Look now, while the program runs and dsops waits for it.
    let dsops_memory = observer::look_at_memory(running.id(), secrets);
    let arguments = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap_or_default();
    let control = got.pid.map(|pid| observer::look_at_memory(pid, secrets));
    let (file_hits, files) =
        observer::search_files(folder, secrets).map_err(DemoError::step("search the files"))?;
    let ended = running.wait_with_output().map_err(DemoError::step("wait for `dsops exec`"))?;
    let code = ended.status.code();
    let mirrored = code == Some(i32::from(CHILD_CODE));
    let code_text = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    say(&format!("     it ended with code {CHILD_CODE}, dsops ended with code {code_text}\n"))?;
    if !mirrored {
        say(&indented(&ended.stderr))?;
    }
    let output_hits = observer::count(&ended.stdout, secrets)
        + observer::count(&ended.stderr, secrets)
        + observer::count(earlier, secrets);

    say("5. meanwhile an observer looked for every 16-byte part of the values\n")?;
    let mut rows = vec![vec!["     in the memory of dsops".into(), describe(&dsops_memory)]];
    rows.push(vec![
        "     in the arguments of dsops".into(),
        found(observer::count(&arguments, secrets)),
    ]);
    rows.push(vec!["     in the output of dsops".into(), found(output_hits)]);
    rows.push(vec![
        "     in the files of the project".into(),
        format!("{} ({})", found(file_hits), ui::plural(files, "file")),
    ]);
    rows.push(vec!["     control: the program itself".into(), describe_control(control.as_ref())]);
    say(&ui::table(&rows))?;
    // A search that finds nothing anywhere proves nothing: where the observer may look at the
    // program, it has to find what the program holds.
    let control_works = !matches!(control, Some(Sight::Seen { hits: 0, .. }));
    let hidden = !matches!(dsops_memory, Sight::Seen { hits, .. } if hits > 0);
    let nothing_else = file_hits + output_hits + observer::count(&arguments, secrets) == 0;
    Ok(hidden && nothing_else && control_works && mirrored && got.right)
}

/// What the child says it got, compared with what was stored.
struct Heard {
    pid: Option<u32>,
    lines: Vec<String>,
    right: bool,
}

fn hear_child(running: &mut Child, secrets: &[&SecretBytes]) -> Result<Heard, DemoError> {
    let mut heard = Heard { pid: None, lines: Vec::new(), right: true };
    let stdout = running.stdout.as_mut().expect("it was piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut next = || lines.next().transpose().map_err(DemoError::step("hear the program"));
    heard.pid = next()?.and_then(|line| line.strip_prefix("pid ")?.parse().ok());
    for (name, secret) in NAMES.iter().zip(secrets) {
        let digest = secret.expose_with(|bytes| hex(&Sha256::digest(bytes)));
        let expected = format!("{name} {} {digest}", secret.len());
        let right = next()?.is_some_and(|line| line == expected);
        heard.right &= right;
        let verdict =
            if right { "its SHA-256 is that of the stored value" } else { "NOT the stored value" };
        heard.lines.push(format!("the program got {name}: {} bytes, {verdict}", secret.len()));
    }
    Ok(heard)
}

fn describe(sight: &Sight) -> String {
    match sight {
        Sight::Refused(kind) => format!("the kernel refused to show it ({kind})"),
        Sight::Seen { hits, searched_bytes, hidden_mappings } => format!(
            "{} ({} KiB read, {} hidden even from this reader)",
            found(*hits),
            searched_bytes / 1024,
            ui::plural(*hidden_mappings, "mapping"),
        ),
    }
}

/// The program holds the values, so an observer that may look has to find them there.
fn describe_control(sight: Option<&Sight>) -> String {
    match sight {
        Some(sight @ Sight::Seen { hits, .. }) => {
            let verdict = if *hits > 0 { "as it must be" } else { "so the observer is blind" };
            format!("{}, {verdict}", describe(sight))
        }
        Some(Sight::Refused(kind)) => {
            format!(
                "not checked: the kernel refused here too ({kind}), so the memory rows prove little"
            )
        }
        None => "not checked: the program did not say who it is".to_owned(),
    }
}

fn found(hits: usize) -> String {
    if hits == 0 { "nothing found".to_owned() } else { format!("FOUND {hits} times") }
}

/// Random text in protected memory.
fn random_text() -> Result<SecretBytes, Box<dyn Error>> {
    SecretBytes::build(2 * RANDOM_BYTES, |slot: &mut [u8]| {
        getrandom::fill(&mut slot[..RANDOM_BYTES])?;
        // From the back, so that no byte is overwritten before it is spelled out.
        for index in (0..RANDOM_BYTES).rev() {
            let byte = slot[index];
            slot[2 * index] = nibble(byte >> 4);
            slot[2 * index + 1] = nibble(byte);
        }
        Ok(slot.len())
    })
}

fn nibble(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value & 0xf)]
}

/// This program, to be run on the project in `folder` whatever the caller's environment says.
fn dsops(folder: &Path, args: &[&str]) -> Result<Command, DemoError> {
    let mut command = Command::new(own_path()?);
    command.current_dir(folder).args(["--config", "dsops.yaml", "--env", "demo"]).args(args);
    Ok(command)
}

fn own_path() -> Result<std::path::PathBuf, DemoError> {
    std::env::current_exe().map_err(DemoError::step("find this program"))
}

fn indented(text: &[u8]) -> String {
    let mut indented = String::new();
    for line in String::from_utf8_lossy(text).lines() {
        let _ = writeln!(indented, "     {line}");
    }
    indented
}

fn say(text: &str) -> Result<(), DemoError> {
    ui::print(text.as_bytes()).map_err(DemoError::step("write to stdout"))
}

/// A step of the demo that failed.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("the demo could not {0}")]
    Step(&'static str, #[source] Box<dyn Error>),
    #[error("{0} failed: {1}")]
    Failed(&'static str, String),
}

impl DemoError {
    fn step<E: Error + 'static>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Step(what, Box::new(error))
    }
}

impl Failure {
    fn from_demo(error: &DemoError) -> Self {
        Self::new(Exit::Store, Report::from_error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_is_text_and_random() {
        let (a, b) = (random_text().expect("random"), random_text().expect("random"));
        assert!(a.expose().iter().all(u8::is_ascii_hexdigit));
        assert_eq!(a.len(), 2 * RANDOM_BYTES);
        assert!(*a.expose() != *b.expose());
    }
}

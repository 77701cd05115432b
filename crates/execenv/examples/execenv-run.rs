//! A thin command line over the crate, for its tests.
//!
//! `execenv-run [OPTION…] -- COMMAND [ARGUMENT…]`; the options are in `parse` below. Secrets on a
//! command line are no secrets: never do this outside a test.
#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::struct_excessive_bools,
    reason = "a test program"
)]

use std::{error::Error, ffi::OsString, fs, os::unix::ffi::OsStringExt, time::Duration};

use dsops_execenv::{EnvPolicy, Exec, ExecError, Mode, Name};
use dsops_secure_mem::SecretBytes;

fn main() {
    let code = match run() {
        Ok(never) => match never {},
        Err(error) => {
            let code = error.downcast_ref::<ExecError>().map_or(125, ExecError::exit_code);
            let mut text = format!("execenv-run: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text += &format!(": {error}");
                cause = error.source();
            }
            eprintln!("{text}");
            code
        }
    };
    std::process::exit(i32::from(code))
}

#[derive(Default)]
struct Options {
    mode: Mode,
    policy: EnvPolicy,
    secrets: Vec<(Name, Vec<u8>)>,
    dir: Option<OsString>,
    keep_fds: Vec<i32>,
    timeout: Option<Duration>,
    grace: Option<Duration>,
    kill_tree: bool,
    no_core: bool,
    no_adopt: bool,
    held: bool,
    harden: bool,
    fetched: Option<OsString>,
    command: Vec<OsString>,
}

fn run() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let options = parse()?;
    if options.harden {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    let mut exec = Exec::new(options.command.first().ok_or("no command")?)
        .args(&options.command[1..])
        .env_policy(options.policy)
        .mode(options.mode)
        .kill_tree(options.kill_tree)
        .adopt_orphans(!options.no_adopt)
        .child_no_core(options.no_core);
    if let Some(dir) = options.dir {
        exec = exec.current_dir(dir);
    }
    if let Some(limit) = options.timeout {
        exec = exec.timeout(limit, options.grace.unwrap_or(Exec::DEFAULT_GRACE));
    }
    for fd in options.keep_fds {
        exec = exec.keep_fd(fd);
    }
    for (name, _) in &options.secrets {
        exec = exec.announce(name.clone());
    }
    exec.plan()?;
    if let Some(path) = options.fetched {
        fs::write(path, "fetched")?;
    }
    for (name, mut value) in options.secrets {
        exec = exec.secret(name, SecretBytes::adopt(&mut value)?);
    }
    #[cfg(target_os = "linux")]
    if options.held {
        let held = dsops_execenv::HeldSignals::hold()?;
        let outcome = exec.with_held_signals(&held).run()?;
        println!("over");
        // What the caller sends now is late, and waits.
        let mut fds = [rustix::event::PollFd::new(&held, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None)?;
        println!("put right");
        drop(held);
        outcome.exit_like_child();
    }
    exec.run()?.exit_like_child()
}

fn parse() -> Result<Options, Box<dyn Error>> {
    let mut options = Options::default();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let arg = arg.into_string().map_err(|_| "options are UTF-8")?;
        if arg == "--" {
            options.command = args.collect();
            return Ok(options);
        }
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let mut text = || value()?.into_string().map_err(|_| "not UTF-8".to_owned());
        let policy = options.policy.clone();
        match arg.as_str() {
            "--replace" => options.mode = Mode::Replace,
            "--supervise" => options.mode = Mode::Supervise,
            "--clean" => options.policy = EnvPolicy::clean(),
            "--pristine" => options.policy = EnvPolicy::pristine(),
            "--keep" => options.policy = policy.keep(text()?),
            "--drop" => options.policy = policy.drop(text()?),
            "--withhold" => options.policy = policy.withhold(text()?),
            "--allow" => options.policy = policy.allow_dangerous(text()?),
            "--existing-wins" => options.policy = policy.existing_wins(true),
            "--secret" => {
                // NAME then VALUE, so that odd names can be tried.
                let name = Name::new(text()?).map_err(ExecError::from)?;
                options.secrets.push((name, value()?.into_vec()));
            }
            "--secret-file" => {
                let name = Name::new(text()?).map_err(ExecError::from)?;
                options.secrets.push((name, fs::read(value()?)?));
            }
            "--secret-of" => {
                let name = Name::new(text()?).map_err(ExecError::from)?;
                options.secrets.push((name, vec![b'x'; text()?.parse()?]));
            }
            "--chdir" => options.dir = Some(value()?),
            "--keep-fd" => options.keep_fds.push(text()?.parse()?),
            "--timeout" => options.timeout = Some(Duration::from_millis(text()?.parse()?)),
            "--grace" => options.grace = Some(Duration::from_millis(text()?.parse()?)),
            "--kill-tree" => options.kill_tree = true,
            "--no-core" => options.no_core = true,
            "--held" => options.held = true,
            "--no-adopt" => options.no_adopt = true,
            "--harden" => options.harden = true,
            "--fetched" => options.fetched = Some(value()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    Err("no command".into())
}

//! Runs from worker threads and from a large process. For the tests.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a test program")]

use std::{
    error::Error,
    fs, thread,
    time::{Duration, Instant},
};

use dsops_execenv::{Exec, Mode, Outcome};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("wait") => {
            let worker = thread::spawn(|| sleeper().map(dsops_execenv::Running::wait));
            worker.join().map_err(|_| "the worker panicked")?.map_err(|text| text.clone())??;
        }
        Some("leave") => {
            // Forgotten, not dropped: only the kernel knows of the bond now.
            let worker = thread::spawn(|| sleeper().map(std::mem::forget));
            worker.join().map_err(|_| "the worker panicked")??;
            thread::sleep(Duration::from_mins(5));
        }
        Some("many") => many(),
        Some("large") => large()?,
        _ => return Err("wait, leave, many or large".into()),
    }
    Ok(())
}

fn sleeper() -> Result<dsops_execenv::Running, String> {
    let running = Exec::new("sleep").args(["300"]).mode(Mode::Supervise).spawn();
    let running = running.map_err(|error| error.to_string())?;
    println!("child {}", running.id());
    Ok(running)
}

/// 50 threads of 20 runs, each with an end of its own.
fn many() {
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    let workers: Vec<_> = (0..50_u8)
        .map(|worker| {
            thread::spawn(move || {
                (0..20_u8)
                    .filter(|run| {
                        let (script, expected) = if run % 4 == 0 {
                            ("kill -9 $$".to_owned(), Outcome::Signaled(9))
                        } else {
                            let code = worker.wrapping_mul(5).wrapping_add(*run);
                            (format!("exit {code}"), Outcome::Exited(code))
                        };
                        let exec = Exec::new("/bin/sh").args(["-c", &script]);
                        exec.mode(Mode::Supervise).run().is_ok_and(|outcome| outcome == expected)
                    })
                    .count()
            })
        })
        .collect();
    let good: usize = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
    println!("ends as expected: {good} of 1000");
    let word = if open() == before { "equal" } else { "different" };
    println!("open descriptors before and after: {word}");
}

fn large() -> Result<(), Box<dyn Error>> {
    let mut ballast = vec![0_u8; 1 << 30];
    for page in ballast.chunks_mut(4096) {
        page[0] = 1;
    }
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let running = Exec::new("/bin/true").mode(Mode::Supervise).spawn()?;
        best = best.min(start.elapsed());
        running.wait()?;
    }
    std::hint::black_box(&ballast);
    println!("microseconds: {}", best.as_micros());
    Ok(())
}

//! What the leak scan prints, and whether it passed.

use crate::process::report_part_not_run;

use super::observe::{Observed, Stage, Tally};

/// Collects failures while it prints.
#[derive(Debug, Default)]
pub struct Report {
    failures: Vec<String>,
    not_run: usize,
    held: usize,
}

impl Report {
    /// Something that must hold, with what was seen.
    pub fn check(&mut self, holds: bool, what: &str, seen: &str) {
        println!("{} {what}: {seen}", if holds { "  ok  " } else { "  FAIL" });
        if holds {
            self.held += 1;
        } else {
            self.failures.push(format!("{what}: {seen}"));
        }
    }

    /// A part that could not be made here.
    pub fn not_run(&mut self, what: &str, why: &str) {
        self.not_run += 1;
        report_part_not_run(&format!("  {what}"), why);
    }

    /// The verdict.
    ///
    /// # Errors
    /// Something did not hold.
    pub fn finish(self) -> anyhow::Result<()> {
        println!("\n{} held, {} failed, {} not run", self.held, self.failures.len(), self.not_run);
        for failure in &self.failures {
            println!("  FAIL {failure}");
        }
        anyhow::ensure!(
            self.failures.is_empty(),
            "the leak scan found {} faults",
            self.failures.len()
        );
        Ok(())
    }
}

/// A heading.
pub fn section(title: &str) {
    println!("\n{title}");
}

/// The head of the table that [`stages`] fills.
pub fn stages_head() {
    println!(
        "{:<34} {:<14} {:>6} {:>9} {:>9} {:>17} {:>9}",
        "run", "stage", "stops", "MiB read", "mem hits", "vm_readv MiB/hits", "registers"
    );
}

/// The rows of one run.
pub fn stages(run: &str, observed: &Observed) {
    for (stage, tally) in &observed.stages {
        stage_row(run, *stage, tally);
    }
}

fn stage_row(run: &str, stage: Stage, tally: &Tally) {
    println!(
        "{run:<34} {stage:<14} {:>6} {:>9.1} {:>9} {:>10.1} / {:<4} {:>9}",
        tally.stops,
        mib(tally.mem_bytes),
        tally.mem_hits,
        mib(tally.readv_bytes),
        tally.readv_hits,
        tally.register_hits,
    );
}

/// Details behind a failure, a few of them.
pub fn details(details: &[String]) {
    const MOST: usize = 4;
    for detail in details.iter().take(MOST) {
        println!("         {detail}");
    }
    if details.len() > MOST {
        println!("         … and {} more", details.len() - MOST);
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

//! Measures what one bundle costs in process: `verify_bench ROUNDS BUNDLE FILE [TRUSTED_ROOT]`
//! reads and authenticates the bundle that often, and prints the time of one round.

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::error::Error;
use std::time::Instant;

use dsops_release_verify::{Artifact, Bundle, Leniency, Origin, TrustRoots, Verifier};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rounds, bundle, file, root @ ..] = arguments.as_slice() else {
        return Err("usage: verify_bench ROUNDS BUNDLE FILE [TRUSTED_ROOT]".into());
    };
    let rounds: u32 = rounds.parse()?;
    let content = std::fs::read(bundle)?;
    let origin = Origin::new(bundle);
    let file = std::fs::read(file)?;
    let roots = match root {
        [path, ..] => TrustRoots::load(&std::fs::read(path)?, &Origin::new(path), None)?,
        [] => TrustRoots::embedded(),
    };
    let verifier = Verifier::new(roots);
    let read = Bundle::read(&content, &origin, Leniency::default())?;
    let artifact = Artifact::read("file", &file[..], &read.algorithms())?;
    let start = Instant::now();
    for _ in 0..rounds {
        let bundle = Bundle::read(&content, &origin, Leniency::default())?;
        let outcome = verifier.authenticate(&bundle, &artifact, Some(&file));
        if outcome.authenticated.is_none() {
            return Err(format!("not good: {:?}", outcome.findings).into());
        }
    }
    println!("{} ns each", (start.elapsed() / rounds).as_nanos());
    Ok(())
}

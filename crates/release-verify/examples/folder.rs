//! Says of each file in a folder whether its publisher signed it, and of those that fail why.

use std::io::{self, Write as _};
use std::path::Path;

use dsops_release_verify::{
    Demands, IdentityRule, Options, Origin, ReleaseVerifier, SignerPolicy, SignerRule, State,
    TrustRoots, Verdict, Verifier,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, publisher, root) = match args.as_slice() {
        [folder, publisher] => (folder, publisher, None),
        [folder, publisher, root] => (folder, publisher, Some(root)),
        _ => return Err("usage: folder FOLDER OWNER/REPO[@REF] [TRUSTED_ROOT]".into()),
    };

    // Who may vouch for signers: the public services, or those of a file.
    let roots = match root {
        Some(file) => TrustRoots::load(&std::fs::read(file)?, &Origin::new(file), None)?,
        None => TrustRoots::embedded(),
    };
    // Who must have signed: workflows of this repository.
    let signer = SignerRule::Certificate(IdentityRule::github(publisher)?);
    let demands = Demands::new(SignerPolicy::new(signer));
    let sigstore = Verifier::new(roots);
    let verifier = ReleaseVerifier::new(sigstore, Vec::new(), demands, Options::default());

    let report = verifier.verify_directory(Path::new(folder))?;
    let mut out = io::stdout();
    for file in &report.files {
        // Names and findings are others' words: `{:?}` keeps control characters off the terminal.
        writeln!(out, "{}: {:?}", file.verdict().word(), file.name)?;
        let findings = file.result.iter().flat_map(|report| &report.findings);
        for finding in findings.filter(|finding| finding.state == State::Failed) {
            writeln!(out, "  {} {:?}", finding.code, finding.message)?;
        }
    }
    match report.verdict() {
        Verdict::Verified => Ok(()),
        _ => Err("not every file is what its publisher signed".into()), // undecided is no pass
    }
}

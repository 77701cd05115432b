//! The Sigstore services on loopback, for a run of a client by hand or by a script:
//! `sigstore_services FOLDER OWNER/REPOSITORY WORKFLOW REF COMMIT`.
//!
//! Writes into the folder `trusted_root.json`, `signing_config.json` (Rekor v1),
//! `signing_config_rekor2.json`, `trust_config.json` and `token`, an identity token of that workflow;
//! prints `ready URL`, and answers until standard input ends.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for tests")]

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::SystemTime;

use dsops_testkit::sigstore::{Services, World, server};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, repository, workflow, reference, commit] = args.as_slice() else {
        return Err("sigstore_services FOLDER OWNER/REPOSITORY WORKFLOW REF COMMIT".into());
    };
    let services = Services::start(World::at("services", SystemTime::now()));
    let world = services.world();
    let claims = server::workflow_claims(world, repository, workflow, reference, commit);
    let files = [
        ("trusted_root.json", world.trusted_root().to_string()),
        ("signing_config.json", services.signing_config(1).to_string()),
        ("signing_config_rekor2.json", services.signing_config(2).to_string()),
        ("trust_config.json", services.trust_config(1).to_string()),
        ("token", server::token(&claims)),
    ];
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    for (name, content) in files {
        fs::write(folder.join(name), content)?;
    }
    println!("ready {}", services.url());
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

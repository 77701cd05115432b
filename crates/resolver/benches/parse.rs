//! How long it takes to read 300 secrets: the SOPS document, the configuration, the plan.
//!
//! `cargo bench -p dsops-resolver`; each figure is the median of 500 runs. Nothing here decides a
//! test.
#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use dsops_resolver::{
    Config, Diagnostic, OpenContext, Reference, Store, StoreError, StoreFactory, StoreSettings,
    plan, yaml,
};

const SECRETS: usize = 300;

struct AnyFile;

impl StoreFactory for AnyFile {
    fn types(&self) -> &[&str] {
        &["sops"]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        settings.unknown_keys(&["file"])
    }

    fn open(&self, _: &StoreSettings, _: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
        Err(StoreError::unsupported("opening"))
    }
}

fn sops_document() -> String {
    let mut text = String::new();
    for i in 0..SECRETS {
        let (data, iv, tag) = ("Qm9vYmFy".repeat(4), "x".repeat(44), "y".repeat(24));
        writeln!(text, "SECRET_{i:03}: ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]")
            .expect("a string takes all");
    }
    text + "sops:\n    age:\n        - recipient: age1\n          enc: |\n            -----BEGIN\n            -----END\n    version: 3.9.0\n"
}

fn configuration() -> String {
    let mut text = "version: 1\nsecretStores:\n  local: { type: sops, file: secrets.sops.yaml }\nenvs:\n  dev:\n".to_owned();
    for i in 0..SECRETS {
        writeln!(text, "    SECRET_{i:03}: {{ from: store://local/SECRET_{i:03} }}")
            .expect("a string takes all");
    }
    text
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let document = sops_document();
    let text = configuration();
    let config = Config::parse("dsops.yaml", &text).expect("it is sound");
    let show =
        |what: &str, time: Duration| println!("{what:<44} {:>7.1} µs", time.as_secs_f64() * 1e6);
    show(
        &format!("yaml::parse, {} bytes of SOPS", document.len()),
        median(|| drop(black_box(yaml::parse(black_box(&document))))),
    );
    show(
        &format!("Config::parse, {} bytes, {SECRETS} variables", text.len()),
        median(|| drop(black_box(Config::parse("dsops.yaml", black_box(&text))))),
    );
    show(
        &format!("plan, {SECRETS} variables"),
        median(|| drop(black_box(plan(&config, "dev", &AnyFile)))),
    );
    show(
        "one reference",
        median(|| drop(black_box("store://local/db/main#password?version=3".parse::<Reference>()))),
    );
}

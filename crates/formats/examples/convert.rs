//! Turns a `.env` file into a Kubernetes manifest, and says what other readers would have done.

use std::io::{self, Write as _};

use dsops_formats::{Format, ImportFormat, Options, import, render};
use dsops_secure_mem::{SecretBytes, harden_process};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    harden_process();

    let mut file = "TOKEN='a b' # from the vault\nURL=\"https://${HOST}/\"\n".as_bytes();
    let file = SecretBytes::from_reader(&mut file, 1024)?;
    let imported = import(ImportFormat::Dotenv, &file.expose())?;

    let mut out = io::stdout();
    for note in &imported.notes {
        writeln!(out, "# {note}")?;
    }
    let variables: Vec<_> =
        imported.values.iter().map(|value| (value.name.as_str(), &value.value)).collect();
    let mut options = Options::default();
    options.secret_name = Some("app");
    let manifest = render(Format::Kubernetes, &variables, &options)?;
    assert!(manifest.expose().ends_with(b"  \"URL\": \"aHR0cHM6Ly8ke0hPU1R9Lw==\"\n"));
    out.write_all(&manifest.expose())?; // in protected memory until here
    Ok(())
}

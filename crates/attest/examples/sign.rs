//! Signs a file with a new key, says how it was built, and prints both as Sigstore bundles.

use std::io::{self, Write as _};

use dsops_attest::{Algorithm, Dependency, Provenance, Signer, SigningKey, Subject};
use dsops_secure_mem::harden_process;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    harden_process();
    let key = SigningKey::generate(Algorithm::EcdsaP256)?;
    let signer = Signer::Key(&key);
    let bundle = signer.sign_artifact(&mut "the program\n".as_bytes())?;

    let mut provenance = Provenance::local(); // a machine of ours: SLSA build level 1
    provenance.dependencies.push(Dependency {
        uri: "git+https://github.com/octo/demo@refs/tags/v1.2.3".into(),
        digests: vec![("gitCommit".into(), "0123456789abcdef0123456789abcdef01234567".into())],
    });
    let digest = "97b8e1db6d1e0c8ae3c8a2d3b1a0e6e1c6a9e39a5b0f4a7f6f2c1d5c8e3b7a90";
    let subject = Subject::new("app", [("sha256".into(), digest.into())])?;
    let built = signer.sign_statement(&provenance.statement(&[subject])?)?;

    let mut out = io::stdout();
    write!(out, "{}{bundle}\n{built}\n", key.public_pem())?; // for `app.pub`, `app.sigstore.json` …
    Ok(())
}

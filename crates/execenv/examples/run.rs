//! Runs a program with one secret, and ends as the program ends.

use dsops_execenv::{EnvPolicy, Exec, Name};
use dsops_secure_mem::{SecretBytes, harden_process};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    harden_process();
    let name = Name::new("DB_PASSWORD")?;
    let exec = Exec::new("sh")
        .args(["-c", "test ${#DB_PASSWORD} -eq 7"])
        .env_policy(EnvPolicy::inherit().withhold("VAULT_TOKEN"))
        .announce(name.clone());
    exec.plan()?; // a typo in the command ends here, before any secret is fetched

    let secret = SecretBytes::copy_from(b"hunter2")?;
    let running = exec.secret(name, secret).spawn()?; // the secret is gone from this process
    running.wait()?.exit_like_child()
}

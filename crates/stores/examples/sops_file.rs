//! Makes an encrypted file, sets a value in it, and fetches the value through a configuration.

use std::{fs, time::SystemTime};

use dsops_resolver::{Config, NoEnvironment, OpenContext, ResolveOptions, plan, resolve};
use dsops_secure_mem::SecretBytes;
use dsops_stores::{Registry, age::Identity, file, sops};

const CONFIG: &str = "
version: 1
secretStores:
  local: { type: sops, path: secrets.sops.yaml, age_key_file: key.txt }
envs:
  dev:
    TOKEN: { from: store://local/TOKEN }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let key_file = folder.path().join("key.txt");
    let secrets = folder.path().join("secrets.sops.yaml");

    let identity = Identity::generate()?;
    file::publish_new(&key_file, &identity.to_text()?.expose(), 0o600)?;
    sops::create(&secrets, &[identity.recipient().clone()])?;
    let keyring = sops::Keyring::default().with_file(&key_file);
    sops::change(&secrets, &keyring, |document| {
        document.set("TOKEN", &SecretBytes::copy_from(b"hunter2")?, SystemTime::now())
    })?;
    assert!(!fs::read_to_string(&secrets)?.contains("hunter2"));

    let config_file = folder.path().join("dsops.yaml");
    file::publish_new(&config_file, CONFIG.as_bytes(), 0o644)?;
    let config = Config::load(&config_file)?;
    let registry = Registry::new();
    let plan = plan(&config, "dev", &registry)?;
    let cx = OpenContext::new(config.base_dir(), &NoEnvironment);
    let resolved = resolve(&plan, &registry, &cx, &ResolveOptions::default())?;
    let token = resolved.get("TOKEN").ok_or("TOKEN is missing")?;
    assert_eq!(&*token.expose(), b"hunter2");
    Ok(())
}

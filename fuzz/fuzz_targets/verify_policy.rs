//! Feeds arbitrary text to the reader of policy files, and to the patterns in them.
#![no_main]

use dsops_release_verify::registry::npm::RegistryKeys;
use dsops_release_verify::{IdentityRule, Origin, Pattern, PolicyFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(policy) = PolicyFile::read(bytes, &Origin::new("fuzz"), |_| Ok(bytes.to_vec())) {
        assert!(policy.rules.iter().all(|rule| rule.demands.signers().threshold() > 0));
        let _ = policy.rule_for("dist/file.tar.gz");
        let _ = policy.warnings(std::time::SystemTime::UNIX_EPOCH);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (IdentityRule::github(text), IdentityRule::gitlab(text));
        let _ = PolicyFile::short(text, &RegistryKeys::default());
        for pattern in [Pattern::exact(text), Pattern::glob(text), Pattern::regex(text)].into_iter().flatten() {
            let _ = pattern.matches(text);
        }
    }
});

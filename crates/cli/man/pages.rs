//! Every manual page by its command. Written by `cargo xtask docs`.

/// The page of dsops itself has the empty name.
pub const PAGES: &[(&str, &str)] = &[
    ("", include_str!("dsops.1")),
    ("completion", include_str!("dsops-completion.1")),
    ("demo", include_str!("dsops-demo.1")),
    ("doctor", include_str!("dsops-doctor.1")),
    ("edit", include_str!("dsops-edit.1")),
    ("exec", include_str!("dsops-exec.1")),
    ("get", include_str!("dsops-get.1")),
    ("hook", include_str!("dsops-hook.1")),
    ("import", include_str!("dsops-import.1")),
    ("init", include_str!("dsops-init.1")),
    ("list", include_str!("dsops-list.1")),
    ("login", include_str!("dsops-login.1")),
    ("man", include_str!("dsops-man.1")),
    ("plan", include_str!("dsops-plan.1")),
    ("providers", include_str!("dsops-providers.1")),
    ("recipients", include_str!("dsops-recipients.1")),
    ("recipients-add", include_str!("dsops-recipients-add.1")),
    ("recipients-list", include_str!("dsops-recipients-list.1")),
    ("recipients-remove", include_str!("dsops-recipients-remove.1")),
    ("rekey", include_str!("dsops-rekey.1")),
    ("render", include_str!("dsops-render.1")),
    ("set", include_str!("dsops-set.1")),
    ("trust", include_str!("dsops-trust.1")),
    ("unset", include_str!("dsops-unset.1")),
];

//! What `exec` says of the environment it makes: names, and how long values are; never a value.

use std::ffi::OsString;

use dsops_execenv::{Exec, Plan};
use dsops_resolver::Resolved;
use serde_json::json;

use crate::context::Context;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// A secret as `--print` shows it.
pub struct Shown {
    name: String,
    length: &'static str,
}

/// What `--print` shows of all secrets, taken before they are handed over.
pub fn shown(resolved: &Resolved) -> Vec<Shown> {
    let one = |(name, value): (&str, &dsops_secure_mem::SecretBytes)| Shown {
        name: name.to_owned(),
        length: length_class(value.len()),
    };
    resolved.iter().map(one).collect()
}

/// How long a value is, in classes so wide that they tell little of it.
fn length_class(len_bytes: usize) -> &'static str {
    match len_bytes {
        0 => "empty",
        1..=15 => "1 to 15 bytes",
        16..=63 => "16 to 63 bytes",
        64..=1023 => "64 to 1023 bytes",
        _ => "1 KiB or more",
    }
}

/// `--print`: the secrets that the program gets. On stderr: stdout is the program's.
pub fn print(cx: &Context, shown: &[Shown], exec: &Exec) {
    let Ok(plan) = exec.plan() else { return };
    let gets = |name: &str| plan.variables.iter().any(|known| known.secret && known.name == *name);
    if cx.ui.json {
        let variables: Vec<_> = shown
            .iter()
            .map(|one| json!({ "name": one.name, "length": one.length, "set": gets(&one.name) }))
            .collect();
        cx.ui.tell(json!({ "version": JSON_VERSION, "variables": variables }).to_string());
        return;
    }
    let mut rows = vec![vec!["VARIABLE".to_owned(), "VALUE".to_owned()]];
    rows.extend(shown.iter().map(|one| {
        let value = if gets(&one.name) { one.length } else { "was set already, and stays" };
        vec![ui::one_line(&one.name), value.to_owned()]
    }));
    cx.ui.tell(ui::table(&rows).trim_end());
}

/// `--verbose`: what the program does not get, and what a secret took the place of.
pub fn explain(cx: &Context, exec: &Exec) {
    if !cx.ui.verbose {
        return;
    }
    let Ok(Plan { mut withheld, overridden, unportable, program, .. }) = exec.plan() else {
        return;
    };
    // What a store took out of the environment is no longer there to be withheld.
    let taken = cx.environment.credentials();
    withheld.extend(
        taken.into_iter().filter(|name| cx.environment.has_credential(name)).map(OsString::from),
    );
    withheld.retain(|name| !exec_keeps(exec, name));
    withheld.sort();
    withheld.dedup();
    let list = |names: &[OsString]| {
        let names: Vec<String> =
            names.iter().map(|name| ui::one_line(&name.to_string_lossy())).collect();
        names.join(", ")
    };
    cx.ui.detail(format!("note: the program is {}", program.display()));
    if !withheld.is_empty() {
        cx.ui.detail(format!("note: not passed on: {}", list(&withheld)));
    }
    if !overridden.is_empty() {
        cx.ui.detail(format!("note: secrets take the place of: {}", list(&overridden)));
    }
    for name in unportable {
        cx.ui.detail(format!("note: some shells drop a variable named {name}"));
    }
}

/// Whether the program inherits a variable after all, by `--keep NAME`.
fn exec_keeps(exec: &Exec, name: &OsString) -> bool {
    exec.plan()
        .is_ok_and(|plan| plan.variables.iter().any(|known| !known.secret && known.name == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_no_gap() {
        let classes: Vec<&str> = [0, 1, 15, 16, 63, 64, 1023, 1024].map(length_class).to_vec();
        let mut unique = classes.clone();
        unique.dedup();
        assert_eq!(unique.len(), 5, "{classes:?}");
    }
}

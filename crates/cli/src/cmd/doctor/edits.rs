//! Plaintext that an edit left behind because it was killed.

use super::Finding;
use crate::context::Context;
use crate::editor::leftovers;

/// One warning for each folder.
pub fn findings(cx: &Context) -> Vec<Finding> {
    leftovers(&cx.environment)
        .iter()
        .map(|left| {
            let message =
                format!("an edit that was killed left its plaintext in {}", left.path.display());
            Finding::warning("edit", message)
                .help("the next `dsops edit` wipes and removes it, even where an editor that is a server still shows it; or remove it yourself")
        })
        .collect()
}

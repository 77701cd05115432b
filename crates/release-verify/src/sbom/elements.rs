//! The minimum elements that a list of ingredients should have (NTIA, July 2021): worth a note,
//! never a failure.

use std::fmt::Write as _;

use super::{Component, Sbom};
use crate::{Finding, State};

pub(super) fn check(sbom: &Sbom) -> Finding {
    const CODE: &str = "sbom/minimum-elements";
    let mut missing = Vec::new();
    let packages: Vec<&Component> =
        sbom.components.iter().filter(|component| !component.is_file).collect();
    let mut lacking = |what: &str, has: &dyn Fn(&Component) -> bool| {
        let count = packages.iter().filter(|component| !has(component)).count();
        if count > 0 {
            missing.push(format!("{count} of {} have no {what}", packages.len()));
        }
    };
    lacking("name", &|component| !component.name.is_empty());
    lacking("version", &|component| component.version.is_some());
    lacking("supplier", &|component| component.supplied);
    lacking("unique identifier", &|component| component.identified);
    if packages.is_empty() {
        missing.push("no component is listed".to_owned());
    }
    if sbom.relationships == 0 {
        missing.push("it says nothing about what depends on what".to_owned());
    }
    if sbom.authors == 0 {
        missing.push("its author is not named".to_owned());
    }
    if sbom.created.is_none() {
        missing.push("it has no date".to_owned());
    }
    let mut message = format!("{} {} with {} ", sbom.format.name(), sbom.version, packages.len());
    message.push_str(if packages.len() == 1 { "component" } else { "components" });
    if missing.is_empty() {
        message.push_str(" has the minimum elements");
    } else {
        // Writing to a `String` cannot fail.
        let _ = write!(message, " lacks minimum elements: {}", missing.join("; "));
    }
    Finding::new(CODE, State::Note, message)
}

//! Templates: the files that `render` writes by name.

use std::path::PathBuf;

use super::read::Reader;
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::format::{self, TEMPLATE};
use crate::yaml::Node;

/// One entry of `templates`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Template {
    /// Its name; no two have the same.
    pub name: String,
    /// The format as written, if it says one.
    pub format: Option<String>,
    /// The environment it is for, if it says one. It is defined.
    pub environment: Option<String>,
    /// The file that is written; relative to the folder of the configuration.
    pub out: Option<PathBuf>,
    /// The template itself; relative to the folder of the configuration.
    pub template_path: Option<PathBuf>,
    /// Where its name stands.
    pub place: Place,
    /// Why it cannot be rendered, as a `${…}` that cannot be put in; the part is `None` then.
    pub unusable: Vec<Diagnostic>,
    /// Where the environment's name stands.
    pub(super) environment_place: Place,
}

impl Reader<'_> {
    pub(super) fn templates(&mut self, node: &Node) -> Vec<Template> {
        if node.is_null() {
            return Vec::new();
        }
        let Some(items) = node.as_sequence() else {
            let message = format!("`templates` has to be a list, but is {}", node.kind());
            self.problem(node.span, codes::WRONG_TYPE, message);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.template(item.clone())).collect()
    }

    fn template(&mut self, node: Node) -> Option<Template> {
        let span = node.span;
        let mut texts: [Option<(String, Place)>; 5] = Default::default();
        let mut unusable = Vec::new();
        let mut sound = node.as_mapping().is_some();
        for (key, mut value) in self.entries(node, "a template") {
            let name = key.as_str().unwrap_or_default();
            let Some(index) = TEMPLATE.iter().position(|setting| setting.name == name) else {
                let message = format!("unknown key `{name}` in a template");
                let problem = self.error(key.span, codes::UNKNOWN_KEY, message);
                self.push(problem.help(format::unknown_help(name, TEMPLATE)));
                sound = false;
                continue;
            };
            if !self.expand_here(&mut value, &mut unusable) {
                continue;
            }
            if let Some(text) = value.as_str().filter(|_| !value.is_null()) {
                texts[index] = Some((text.to_owned(), self.source().place(value.span)));
            } else {
                let message = format!("`{name}` has to be text, but is {}", value.kind());
                self.problem(value.span, codes::WRONG_TYPE, message);
                sound = false;
            }
        }
        let [name, format, environment, out, template_path] = texts;
        let Some((name, place)) = name.filter(|(name, _)| !name.is_empty()) else {
            if sound {
                self.problem(span, codes::MISSING_KEY, "the template has no `name`");
            }
            return None;
        };
        let text = |text: Option<(String, Place)>| text.map(|(text, _)| text);
        let environment_place =
            environment.as_ref().map_or_else(|| place.clone(), |(_, place)| place.clone());
        Some(Template {
            name,
            format: text(format),
            environment: text(environment),
            out: text(out).map(PathBuf::from),
            template_path: text(template_path).map(PathBuf::from),
            place,
            unusable,
            environment_place,
        })
    }
}

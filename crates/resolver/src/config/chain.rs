//! Chains of transforms: how a variable and the section `transforms` write them, and what the
//! names in them stand for.

use std::collections::BTreeMap;

use super::foreign;
use super::read::{Reader, inner_span};
use crate::diagnostic::{Diagnostic, Place, codes, suggest};
use crate::transform::{self, RawStep, Transform, TransformParseError, parse_chain, parse_step};
use crate::yaml::{Node, Span};

/// Steps of one chain, with those of the chains it names.
const MAX_STEPS: usize = 64;

/// A chain as written.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
    /// Where its name stands, if it has one.
    pub(super) place: Option<Place>,
}

/// One step of a chain.
#[derive(Debug)]
pub(super) enum Step {
    Built(Transform),
    /// The name of another chain, or of nothing.
    Named {
        name: String,
        place: Place,
        /// What is wrong if it is not a chain.
        error: TransformParseError,
        has_arguments: bool,
    },
}

impl Reader<'_> {
    /// Reads `trim,base64_decode` or a list of steps.
    pub(super) fn chain(&mut self, node: &Node) -> Vec<Step> {
        if let Some(items) = node.as_sequence() {
            return items.iter().filter_map(|item| self.list_step(item)).collect();
        }
        if node.is_null() {
            return Vec::new();
        }
        let Some(text) = node.as_str() else {
            self.not_a_chain(node);
            return Vec::new();
        };
        match parse_chain(text) {
            Ok(steps) => steps.iter().filter_map(|step| self.step(step, node)).collect(),
            Err(error) => {
                self.bad_step(node, &error);
                Vec::new()
            }
        }
    }

    /// `trim`, `join:","` or `{ join: "," }`.
    fn list_step(&mut self, node: &Node) -> Option<Step> {
        if let Some(entries) = node.as_mapping() {
            let keys: Vec<&str> = entries.iter().filter_map(|(key, _)| key.as_str()).collect();
            let of_type = node.get("type").and_then(Node::as_str);
            if let Some(help) = foreign::step(&keys, of_type) {
                let message = "a step is named by its transform, not by `type`";
                let problem = self.error(node.span, codes::TRANSFORM, message);
                self.push(problem.help(help));
                return None;
            }
            let [(name, arguments)] = entries else {
                self.not_a_chain(node);
                return None;
            };
            let texts = match arguments.as_sequence() {
                Some(items) => items.iter().collect(),
                None if arguments.is_null() => Vec::new(),
                None => vec![arguments],
            };
            let mut args = Vec::with_capacity(texts.len());
            for text in texts {
                let Some(argument) = text.as_str().filter(|_| !text.is_null()) else {
                    self.not_a_chain(text);
                    return None;
                };
                args.push(argument.to_owned());
            }
            return self.step(&RawStep::new(name.as_str().unwrap_or_default(), args), node);
        }
        match node.as_str().filter(|_| !node.is_null()).map(parse_step) {
            Some(Ok(step)) => self.step(&step, node),
            Some(Err(error)) => {
                self.bad_step(node, &error);
                None
            }
            None => {
                self.not_a_chain(node);
                None
            }
        }
    }

    fn step(&mut self, step: &RawStep, node: &Node) -> Option<Step> {
        match Transform::build(step) {
            Ok(transform) => Some(Step::Built(transform)),
            Err(error) if error.unknown_name().is_some() => {
                let place = self.source().place(step_span(node, &error));
                let has_arguments = !step.args.is_empty();
                Some(Step::Named { name: step.name.clone(), place, error, has_arguments })
            }
            Err(error) => {
                self.bad_step(node, &error);
                None
            }
        }
    }

    fn bad_step(&mut self, node: &Node, error: &TransformParseError) {
        let place = self.source().place(step_span(node, error));
        self.push(diagnostic(error).at(place));
    }

    fn not_a_chain(&mut self, node: &Node) {
        let message = format!(
            "a transform is text, or one name with its arguments, but this is {}",
            node.kind()
        );
        let problem = self.error(node.span, codes::WRONG_TYPE, message);
        self.push(problem.help("write `[ trim, base64_decode ]`, or `- join: \",\"`"));
    }
}

/// A step that is written as a mapping has no place inside its text.
fn step_span(node: &Node, error: &TransformParseError) -> Span {
    if error.width == 0 && error.column == 1 {
        return node.span;
    }
    inner_span(node, error.column - 1, error.width)
}

fn diagnostic(error: &TransformParseError) -> Diagnostic {
    let problem = Diagnostic::error(codes::TRANSFORM, error.kind.to_string());
    match error.help() {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// The named chains of a configuration, each as the transforms it comes to.
#[derive(Debug, Default)]
pub(super) struct Chains {
    chains: BTreeMap<String, Vec<Transform>>,
}

impl Chains {
    /// Follows the names in the chains.
    pub(super) fn new(written: &BTreeMap<String, Chain>, problems: &mut Vec<Diagnostic>) -> Self {
        let mut chains = Self::default();
        for name in written.keys() {
            chains.follow(name, written, &mut Vec::new(), problems);
        }
        for (name, chain) in written {
            if let Some(place) = &chain.place
                && transform::names().any(|known| known == name)
            {
                let message =
                    format!("`{name}` is a transform of dsops: a chain cannot have its name");
                problems.push(
                    Diagnostic::error(codes::BAD_NAME, message)
                        .at(place.clone())
                        .help("rename the chain"),
                );
            }
        }
        chains
    }

    fn follow<'a>(
        &mut self,
        name: &'a str,
        written: &'a BTreeMap<String, Chain>,
        way: &mut Vec<&'a str>,
        problems: &mut Vec<Diagnostic>,
    ) {
        if self.chains.contains_key(name) {
            return;
        }
        way.push(name);
        for step in &written[name].steps {
            let Step::Named { name: next, place, .. } = step else { continue };
            if let Some(from) = way.iter().position(|name| name == next) {
                let circle: Vec<&str> = way[from..].iter().copied().chain([&**next]).collect();
                let message = format!("the chain goes in a circle: {}", circle.join(" → "));
                problems.push(
                    Diagnostic::error(codes::TRANSFORM, message)
                        .at(place.clone())
                        .help("remove one of the names"),
                );
                // Without what the circle would add, which nobody will see.
                self.chains.entry(next.clone()).or_default();
            } else if written.contains_key(next) && way.len() <= MAX_STEPS {
                self.follow(next, written, way, problems);
            }
        }
        way.pop();
        let transforms = self.expand(&written[name].steps, problems);
        self.chains.insert(name.to_owned(), transforms);
    }

    /// The transforms that steps come to.
    pub(super) fn expand(&self, steps: &[Step], problems: &mut Vec<Diagnostic>) -> Vec<Transform> {
        let mut transforms = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                Step::Built(transform) => transforms.push(transform.clone()),
                Step::Named { name, place, error, has_arguments } => match self.chains.get(name) {
                    Some(_) if *has_arguments => {
                        let message = format!("the chain `{name}` takes no argument");
                        problems
                            .push(Diagnostic::error(codes::TRANSFORM, message).at(place.clone()));
                    }
                    Some(chain) => transforms.extend(chain.iter().cloned()),
                    None => {
                        let mut problem = diagnostic(error).at(place.clone());
                        if let Some(likely) = suggest(name, self.chains.keys().map(String::as_str))
                        {
                            problem = problem.help(format!("did you mean `{likely}`?"));
                        }
                        problems.push(problem);
                    }
                },
            }
            if transforms.len() > MAX_STEPS {
                let message = format!("more than {MAX_STEPS} transforms in a chain");
                let problem = Diagnostic::error(codes::TRANSFORM, message);
                problems.push(match step {
                    Step::Named { place, .. } => problem.at(place.clone()),
                    Step::Built(_) => problem,
                });
                transforms.clear();
                break;
            }
        }
        transforms
    }
}

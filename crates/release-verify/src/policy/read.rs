//! Fields of a policy file, taken by name; what is left in the end is an error that says what may
//! have been meant.

use std::fmt;
use std::time::SystemTime;

use super::yaml::{Node, Place, Value};

/// Nothing could be meant by it, or everything.
const EMPTY: &str = "nothing is named here: name something, or leave it out";

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) place: Place,
    pub(super) problem: String,
    pub(super) help: Option<String>,
}

impl Trouble {
    pub(super) fn at(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into(), help: None }
    }
}

/// A text and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) place: Place,
    pub(super) text: &'a str,
}

impl Text<'_> {
    pub(super) fn wrong(&self, problem: impl Into<String>) -> Trouble {
        Trouble::at(self.place, problem)
    }

    /// It as the name of a file that is to be read.
    pub(super) fn path(&self) -> Result<&str, Trouble> {
        let problem = match self.text {
            "" => "the name of a file belongs here",
            "-" => "a policy names files: standard input is none",
            text if text.contains("://") => "a policy names files: nothing is fetched",
            text => return Ok(text),
        };
        Err(self.wrong(problem))
    }

    /// What came of using it.
    pub(super) fn trouble(&self, error: &dyn fmt::Display) -> Trouble {
        self.wrong(format!("{}: {error}", self.text.escape_debug()))
    }

    /// That it is none of `known`, with the one most like it.
    pub(super) fn unknown<'k>(
        &self,
        what: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Trouble {
        let known: Vec<&str> = known.into_iter().collect();
        let like = known
            .iter()
            .map(|own| (strsim::osa_distance(own, self.text), *own))
            .min()
            .filter(|(distance, own)| *distance <= own.len().max(3) / 2);
        let mut trouble =
            self.wrong(format!("`{}` is no {what} that is known", self.text.escape_debug()));
        trouble.help = Some(match like {
            Some((_, own)) => format!("did you mean `{own}`?"),
            None => format!("known: {}", known.join(", ")),
        });
        trouble
    }
}

/// A value and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) place: Place,
    node: &'a Node,
}

impl<'a> Field<'a> {
    pub(super) fn text(&self) -> Result<Text<'a>, Trouble> {
        match &self.node.value {
            Value::Text(text) => Ok(Text { place: self.place, text }),
            _ => Err(Trouble::at(self.place, "a text belongs here")),
        }
    }

    pub(super) fn section(&self) -> Result<Section<'a>, Trouble> {
        Section::of(self.node, "this")
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// The sections of a list.
    pub(super) fn items(&self) -> Result<Vec<Section<'a>>, Trouble> {
        match &self.node.value {
            Value::List(items) => items.iter().map(|item| Section::of(item, "this")).collect(),
            _ => Err(Trouble::at(self.place, "a list belongs here")),
        }
    }

    /// The names and values of a mapping that says something.
    pub(super) fn filled(&self) -> Result<Vec<(Text<'a>, Field<'a>)>, Trouble> {
        let entries = self.entries()?;
        if entries.is_empty() {
            return Err(Trouble::at(self.place, EMPTY));
        }
        Ok(entries)
    }

    /// The names and values of a mapping.
    pub(super) fn entries(&self) -> Result<Vec<(Text<'a>, Field<'a>)>, Trouble> {
        let Value::Mapping(entries) = &self.node.value else {
            return Err(Trouble::at(self.place, "`name: value` lines belong here"));
        };
        entries
            .iter()
            .map(|(key, value)| {
                let key = Field { place: key.place, node: key }.text()?;
                Ok((key, Field { place: value.place, node: value }))
            })
            .collect()
    }
}

/// A mapping whose names are known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    field: Field<'a>,
    entries: Vec<(Text<'a>, Field<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn of(node: &'a Node, what: &str) -> Result<Self, Trouble> {
        let field = Field { place: node.place, node };
        let entries = field.entries().map_err(|trouble| {
            Trouble::at(trouble.place, format!("{what} is made of `name: value` lines"))
        })?;
        Ok(Self { field, entries, known: Vec::new() })
    }

    pub(super) fn place(&self) -> Place {
        self.field.place
    }

    pub(super) fn optional(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        self.entries.iter().find(|(own, _)| own.text == name).map(|(_, value)| *value)
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<Field<'a>, Trouble> {
        self.optional(name).ok_or_else(|| Trouble::at(self.place(), format!("`{name}` is missing")))
    }

    pub(super) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Text<'a>>, Trouble> {
        self.optional(name).map(|field| field.text()).transpose()
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Text<'a>, Trouble> {
        self.required(name)?.text()
    }

    /// A list of texts with something in it, or one text.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<Text<'a>>, Trouble> {
        let Some(field) = self.optional(name) else { return Ok(Vec::new()) };
        match &field.node.value {
            Value::List(items) if items.is_empty() => Err(Trouble::at(field.place, EMPTY)),
            Value::List(items) => {
                items.iter().map(|item| Field { place: item.place, node: item }.text()).collect()
            }
            _ => Ok(vec![field.text()?]),
        }
    }

    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<usize>, Trouble> {
        self.optional_text(name)?
            .map(|text| {
                // A number with a zero before it is another one in some readers of YAML.
                let plain = text.text == "0" || !text.text.starts_with(['0', '+']);
                text.text
                    .parse()
                    .ok()
                    .filter(|number| plain && *number <= 1000)
                    .ok_or_else(|| text.wrong("a small number belongs here"))
            })
            .transpose()
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Trouble> {
        match self.optional_text(name)? {
            Some(Text { text: "true", .. }) => Ok(true),
            None | Some(Text { text: "false", .. }) => Ok(false),
            Some(text) => Err(text.wrong("true or false belongs here")),
        }
    }

    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<SystemTime>, Trouble> {
        self.optional_text(name)?
            .map(|text| {
                humantime::parse_rfc3339_weak(text.text)
                    .map_err(|_| text.wrong("a time belongs here, as 2026-01-31T00:00:00Z"))
            })
            .transpose()
    }

    /// Refuses names that nobody asked for.
    pub(super) fn end(&self) -> Result<(), Trouble> {
        match self.entries.iter().find(|(name, _)| !self.known.contains(&name.text)) {
            None => Ok(()),
            Some((name, _)) => {
                let is_there = |own: &str| self.entries.iter().any(|(name, _)| name.text == own);
                Err(name.unknown("name", self.known.iter().copied().filter(|own| !is_there(own))))
            }
        }
    }
}

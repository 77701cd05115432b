//! Paths into a document: JSON Pointer, and the form with dots and brackets.
//!
//! ```text
//! path    = "/" …                      ; RFC 6901
//!         | "."                        ; the whole document
//!         | [ "." ] key *( "." key | "[" digits "]" | "[" quoted "]" )
//! key     = quoted | text without "." and "["
//! quoted  = "\"" … "\""                ; \" and \\ inside
//! ```
//! A key of digits also counts a list's items: `.a.0` is `.a[0]` where `.a` is a list.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// The way to one value of a document.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Path {
    pointer: bool,
    pub(super) steps: Vec<Step>,
}

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of an object, or, if it is a number, an item of a list.
    Key(String),
    /// An item of a list.
    Index(usize),
}

/// What is wrong with a path, and at which of its characters (from 0).
#[derive(Debug)]
pub(super) struct PathError {
    pub(super) reason: &'static str,
    pub(super) at: Range<usize>,
}

impl Step {
    /// The item of a list that this step means.
    pub(super) fn index(&self) -> Option<usize> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Key(key) => list_index(key),
        }
    }
}

impl Path {
    /// The whole document.
    pub(super) fn root() -> Self {
        Self { pointer: false, steps: Vec::new() }
    }

    /// A single key, whatever characters it has.
    pub(super) fn key(key: &str) -> Self {
        Self { pointer: false, steps: vec![Step::Key(key.to_owned())] }
    }

    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        let chars: Vec<char> = text.chars().collect();
        match chars.first() {
            None => {
                Err(PathError { reason: "the path is empty; `.` is the whole document", at: 0..0 })
            }
            Some('/') => pointer(&chars),
            Some(_) => Dots { chars: &chars, at: 0 }.path(),
        }
    }

    /// The first `count` steps, as one would write them.
    pub(super) fn up_to(&self, count: usize) -> String {
        let mut text = String::new();
        let steps = &self.steps[..count.min(self.steps.len())];
        for step in steps {
            // Writing to a string does not fail.
            let _ = match step {
                Step::Key(key) if self.pointer => {
                    write!(text, "/{}", key.replace('~', "~0").replace('/', "~1"))
                }
                Step::Key(key) if needs_quotes(key) => {
                    write!(text, ".\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
                }
                Step::Key(key) => write!(text, ".{key}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
        }
        if text.is_empty() { ".".to_owned() } else { text }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.up_to(self.steps.len()))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

fn needs_quotes(key: &str) -> bool {
    key.is_empty() || key.contains(['.', '[', '"']) || key.contains(char::is_whitespace)
}

/// RFC 6901 §4: digits without leading zeros.
fn list_index(text: &str) -> Option<usize> {
    let sound = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if sound { text.parse().ok() } else { None }
}

fn pointer(chars: &[char]) -> Result<Path, PathError> {
    let mut steps = Vec::new();
    for (at, &c) in chars.iter().enumerate() {
        let after_tilde = at > 0 && chars[at - 1] == '~';
        match (c, steps.last_mut()) {
            ('/', _) => steps.push(String::new()),
            ('~', _) if !matches!(chars.get(at + 1), Some('0' | '1')) => {
                let reason = "`~` in a pointer is followed by `0` or `1`";
                return Err(PathError { reason, at: at..at + 1 });
            }
            ('~', _) | (_, None) => {}
            ('0', Some(key)) if after_tilde => key.push('~'),
            ('1', Some(key)) if after_tilde => key.push('/'),
            (c, Some(key)) => key.push(c),
        }
    }
    Ok(Path { pointer: true, steps: steps.into_iter().map(Step::Key).collect() })
}

struct Dots<'a> {
    chars: &'a [char],
    at: usize,
}

impl Dots<'_> {
    fn path(mut self) -> Result<Path, PathError> {
        let mut steps = Vec::new();
        if self.chars == ['.'] {
            return Ok(Path { pointer: false, steps });
        }
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                '[' => steps.push(self.bracket()?),
                '.' => {
                    self.at += 1;
                    // `.[0]` is `[0]`, as in jq.
                    if !(steps.is_empty() && self.chars.get(self.at) == Some(&'[')) {
                        steps.push(self.key()?);
                    }
                }
                _ if steps.is_empty() => steps.push(self.key()?),
                _ => return Err(self.error("expected `.` or `[`")),
            }
        }
        Ok(Path { pointer: false, steps })
    }

    fn key(&mut self) -> Result<Step, PathError> {
        if self.chars.get(self.at) == Some(&'"') {
            return Ok(Step::Key(self.quoted()?));
        }
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| !matches!(c, '.' | '[')) {
            self.at += 1;
        }
        if start == self.at {
            return Err(self.error("a key is missing in the path"));
        }
        Ok(Step::Key(self.chars[start..self.at].iter().collect()))
    }

    fn bracket(&mut self) -> Result<Step, PathError> {
        let start = self.at;
        self.at += 1;
        let step = if self.chars.get(self.at) == Some(&'"') {
            Step::Key(self.quoted()?)
        } else {
            let digits: String = self.chars[self.at..].iter().take_while(|&&c| c != ']').collect();
            let Some(index) = list_index(&digits) else {
                let at = start..(self.at + digits.chars().count() + 1).min(self.chars.len());
                let reason = "`[…]` holds a whole number from 0, or a key in quotes";
                return Err(PathError { reason, at });
            };
            self.at += digits.len();
            Step::Index(index)
        };
        if self.chars.get(self.at) != Some(&']') {
            return Err(PathError {
                reason: "the bracket `[` is not closed",
                at: start..start + 1,
            });
        }
        self.at += 1;
        Ok(step)
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let start = self.at;
        let mut key = String::new();
        loop {
            self.at += 1;
            match self.chars.get(self.at) {
                Some('"') => break,
                Some('\\') if matches!(self.chars.get(self.at + 1), Some('"' | '\\')) => {
                    self.at += 1;
                    key.push(self.chars[self.at]);
                }
                Some(c) => key.push(*c),
                None => {
                    let reason = "the quote in the path is not closed";
                    return Err(PathError { reason, at: start..start + 1 });
                }
            }
        }
        self.at += 1;
        Ok(key)
    }

    fn error(&self, reason: &'static str) -> PathError {
        let end = (self.at + 1).min(self.chars.len());
        PathError { reason, at: self.at.min(end)..end }
    }
}

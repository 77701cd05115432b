//! The text of a chain: steps, names, arguments, quotes.
//!
//! ```text
//! chain = step *( "," step )          ; or, if no comma separates anything,
//!       | step *( "|" step )
//! step  = name *( ":" argument )
//! argument = "'" … "'"                ; '' is a quote
//!          | "\"" … "\""              ; with \n \r \t \\ \"
//!          | text                     ; as it is
//! ```
//! Blanks around a step and around quotes do not count. The last argument a transform takes holds
//! all the rest of its step, colons included: `prefix:https://` and `replace:a:b:c` need no quotes.
//! A `,` or `|` right after the colon that opens an argument, and right before another colon or the
//! end of the chain, could not separate anything, and so is the argument: `join:,`, `replace:,:;`.

use std::ops::Range;

use super::error::{TransformParseError, TransformParseErrorKind as Kind};
use super::max_arguments;

/// Steps of one chain.
const MAX_STEPS: usize = 64;

/// One transform as it was written: not checked beyond its form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawStep {
    /// The name before the first colon.
    pub name: String,
    /// The arguments with their quotes undone.
    pub args: Vec<String>,
    /// Where the step starts: characters of the text, from 1.
    pub column: usize,
    /// How many characters it spans.
    pub width: usize,
    /// Column and width of each argument.
    pub(super) places: Vec<(usize, usize)>,
}

impl RawStep {
    /// A step that was written in some other way, as `{ json_extract: .a }` in a list.
    pub fn new(name: impl Into<String>, args: Vec<String>) -> Self {
        Self { name: name.into(), args, column: 1, width: 0, places: Vec::new() }
    }

    pub(super) fn error(&self, kind: Kind) -> TransformParseError {
        TransformParseError { kind, column: self.column, width: self.width }
    }

    /// An error in argument `index`, in `inner` (characters of it) where that can be told.
    pub(super) fn argument_error(
        &self,
        index: usize,
        inner: Range<usize>,
        kind: Kind,
    ) -> TransformParseError {
        let Some(&(column, width)) = self.places.get(index) else { return self.error(kind) };
        // With quotes or escapes the argument does not stand in the text as it is.
        let as_written = self.args.get(index).is_some_and(|arg| arg.chars().count() == width);
        let (from, width) = if as_written { (inner.start, inner.len()) } else { (0, width) };
        TransformParseError { kind, column: column + from, width }
    }
}

/// Reads a chain in its string form; a blank text is the empty chain.
///
/// ```
/// use dsops_resolver::transform::parse_chain;
///
/// let steps = parse_chain("trim, join:\",\"")?;
/// assert_eq!(steps[1].name, "join");
/// assert_eq!(steps[1].args, [","]);
/// # Ok::<(), dsops_resolver::transform::TransformParseError>(())
/// ```
///
/// # Errors
/// An empty step, a quote that is not closed, or too many steps, with the place.
pub fn parse_chain(text: &str) -> Result<Vec<RawStep>, TransformParseError> {
    let chars: Vec<char> = text.trim_end().chars().collect();
    if chars.is_empty() {
        return Ok(Vec::new());
    }
    let by_comma = Parser { chars: &chars, separator: Some(',') }.steps();
    if by_comma.as_ref().is_ok_and(|steps| steps.len() > 1) {
        return by_comma;
    }
    let by_bar = Parser { chars: &chars, separator: Some('|') }.steps();
    match by_bar {
        // The comma was in quotes, as in `join:"," | trim`.
        Ok(steps) if steps.len() > 1 => Ok(steps),
        by_bar => by_comma.and(by_bar),
    }
}

/// Reads one element of the list form: a step without separators.
///
/// # Errors
/// An empty step or a quote that is not closed, with the place.
pub fn parse_step(text: &str) -> Result<RawStep, TransformParseError> {
    let chars: Vec<char> = text.trim_end().chars().collect();
    let parser = Parser { chars: &chars, separator: None };
    parser.step(0).map(|(step, _)| step)
}

struct Parser<'a> {
    /// Without blanks at the end.
    chars: &'a [char],
    separator: Option<char>,
}

impl Parser<'_> {
    fn steps(&self) -> Result<Vec<RawStep>, TransformParseError> {
        let mut steps = Vec::new();
        let mut at = 0;
        loop {
            let (step, end) = self.step(at)?;
            if steps.len() == MAX_STEPS {
                return Err(step.error(Kind::TooManySteps { limit: MAX_STEPS }));
            }
            steps.push(step);
            if end == self.chars.len() {
                return Ok(steps);
            }
            at = end + 1;
        }
    }

    /// The step that starts at `from`, and where its separator or the end is.
    fn step(&self, from: usize) -> Result<(RawStep, usize), TransformParseError> {
        let start = self.skip_blanks(from);
        let name_end = self.find(start, true);
        let name = self.trimmed(start..name_end);
        let (mut args, mut places) = (Vec::new(), Vec::new());
        if name.is_empty() {
            let at = start.min(name_end);
            let width = usize::from(at < self.chars.len());
            return Err(TransformParseError { kind: Kind::EmptyStep, column: at + 1, width });
        }
        let limit = max_arguments(&name);
        let mut at = name_end;
        while self.chars.get(at) == Some(&':') {
            let is_last = limit.is_some_and(|limit| args.len() + 1 >= limit);
            let (argument, place, end) = self.argument(at + 1, is_last)?;
            places.push((place.start + 1, place.len()));
            args.push(argument);
            at = end;
        }
        let end = self.trim_end(start..at);
        let step = RawStep { name, args, column: start + 1, width: end - start, places };
        Ok((step, at))
    }

    /// The argument after a colon, where it stands, and where the next colon or separator is.
    fn argument(
        &self,
        from: usize,
        is_last: bool,
    ) -> Result<(String, Range<usize>, usize), TransformParseError> {
        let quoted = self.skip_blanks(from);
        if let Some(&quote @ ('\'' | '"')) = self.chars.get(quoted) {
            let (text, end) = self.quoted(quoted, quote)?;
            let next = self.skip_blanks(end);
            if next < self.chars.len() && !self.ends(next) && self.chars[next] != ':' {
                let stop = self.find(next, true).max(next + 1);
                let width = self.trim_end(next..stop) - next;
                return Err(TransformParseError {
                    kind: Kind::AfterQuote,
                    column: next + 1,
                    width,
                });
            }
            return Ok((text, quoted..end, next));
        }
        let mut scan = from;
        if self.ends(from) && matches!(self.chars.get(from + 1), None | Some(':')) {
            scan += 1;
        }
        let end = self.find(scan, !is_last);
        let stop = if self.chars.get(end) == Some(&':') { end } else { self.trim_end(from..end) };
        Ok((self.chars[from..stop].iter().collect(), from..stop, end))
    }

    /// What is between quotes, and the place after the closing one.
    fn quoted(&self, open: usize, quote: char) -> Result<(String, usize), TransformParseError> {
        let mut text = String::new();
        let mut at = open + 1;
        while let Some(&c) = self.chars.get(at) {
            let next = self.chars.get(at + 1);
            at += 1;
            match c {
                '\'' if quote == '\'' && next == Some(&'\'') => at += 1,
                c if c == quote => return Ok((text, at)),
                '\\' if quote == '"' => {
                    text.push(match next {
                        Some('n') => '\n',
                        Some('r') => '\r',
                        Some('t') => '\t',
                        Some('\\') => '\\',
                        Some('"') => '"',
                        _ => {
                            return Err(TransformParseError {
                                kind: Kind::Escape,
                                column: at,
                                width: 1,
                            });
                        }
                    });
                    at += 1;
                    continue;
                }
                _ => {}
            }
            text.push(c);
        }
        Err(TransformParseError { kind: Kind::UnclosedQuote { quote }, column: open + 1, width: 1 })
    }

    /// The next separator, or colon if one counts, or the end.
    fn find(&self, from: usize, colons: bool) -> usize {
        let fits = |&at: &usize| self.ends(at) || (colons && self.chars[at] == ':');
        (from..self.chars.len()).find(fits).unwrap_or(self.chars.len())
    }

    fn ends(&self, at: usize) -> bool {
        self.separator.is_some() && self.chars.get(at).copied() == self.separator
    }

    fn skip_blanks(&self, from: usize) -> usize {
        (from..self.chars.len())
            .find(|&at| !self.chars[at].is_whitespace())
            .unwrap_or(self.chars.len())
    }

    fn trim_end(&self, range: Range<usize>) -> usize {
        let is_blank = |&at: &usize| self.chars[at - 1].is_whitespace();
        (range.start + 1..=range.end).rev().find(|at| !is_blank(at)).unwrap_or(range.start)
    }

    fn trimmed(&self, range: Range<usize>) -> String {
        self.chars[range.start..self.trim_end(range)].iter().collect()
    }
}

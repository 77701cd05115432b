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

#[cfg(test)]
mod tests {
    use super::super::Transform;
    use super::*;
    use proptest::prelude::*;

    fn steps(text: &str) -> Vec<(String, Vec<String>)> {
        let steps = parse_chain(text).expect(text);
        steps.into_iter().map(|step| (step.name, step.args)).collect()
    }

    #[test]
    fn chains_are_read_as_written() {
        type Steps = &'static [(&'static str, &'static [&'static str])];
        let cases: &[(&str, Steps)] = &[
            ("", &[]),
            ("  ", &[]),
            ("trim", &[("trim", &[])]),
            (" trim , base64_decode ", &[("trim", &[]), ("base64_decode", &[])]),
            ("trim|base64_decode", &[("trim", &[]), ("base64_decode", &[])]),
            ("a|b,c", &[("a|b", &[]), ("c", &[])]),
            ("replace:a:b:c", &[("replace", &["a", "b:c"])]),
            ("replace: a : b ,trim", &[("replace", &[" a ", " b"]), ("trim", &[])]),
            ("prefix:https://", &[("prefix", &["https://"])]),
            ("prefix:it's,trim", &[("prefix", &["it's"]), ("trim", &[])]),
            ("join:,", &[("join", &[","])]),
            ("join:|", &[("join", &["|"])]),
            ("trim,join:,", &[("trim", &[]), ("join", &[","])]),
            ("trim | join:|", &[("trim", &[]), ("join", &["|"])]),
            ("join:,trim", &[("join", &[""]), ("trim", &[])]),
            ("join: ", &[("join", &[""])]),
            ("replace:,:;", &[("replace", &[",", ";"])]),
            ("replace:-:|", &[("replace", &["-", "|"])]),
            ("split:,:0, trim", &[("split", &[",", "0"]), ("trim", &[])]),
            ("split:\",\":0", &[("split", &[",", "0"])]),
            ("join:\",\"", &[("join", &[","])]),
            ("join:\",\" | trim", &[("join", &[","]), ("trim", &[])]),
            ("trim | join: ',' ", &[("trim", &[]), ("join", &[","])]),
            ("replace:\"a:b\":\"c\"", &[("replace", &["a:b", "c"])]),
            ("replace:'it''s':\"\\n\\r\\t\\\\\\\"\"", &[("replace", &["it's", "\n\r\t\\\""])]),
            ("chain:a:\",\":c", &[("chain", &["a", ",", "c"])]),
            ("trim:a:b", &[("trim", &["a:b"])]),
        ];
        for (text, expected) in cases {
            let expected: Vec<(String, Vec<String>)> = expected
                .iter()
                .map(|(name, args)| ((*name).into(), args.iter().map(|&arg| arg.into()).collect()))
                .collect();
            assert_eq!(steps(text), expected, "{text}");
        }
    }

    #[test]
    fn every_mistake_has_its_place() {
        let cases = [
            (",", "a transform is missing", 1, 1),
            ("trim,", "a transform is missing", 6, 0),
            ("trim, ,x", "a transform is missing", 7, 1),
            (":x", "a transform is missing", 1, 1),
            ("é,join:\"x", "the quote `\"` that is opened here is not closed", 8, 1),
            ("join:'x", "the quote `'` that is opened here is not closed", 6, 1),
            ("join:'x'yz,trim", "text after the closing quote", 9, 2),
            ("join:\"a\\x\"", "`\\` is not followed by `n`, `r`, `t`, `\\` or `\"`", 8, 1),
            ("trim, trmi", "unknown transform `trmi`", 7, 4),
            ("trmi:x", "unknown transform `trmi`", 1, 4),
            ("trim:x", "`trim` takes no argument, found 1", 1, 6),
            ("trim,replace:a", "`replace` takes two arguments, found 1", 6, 9),
            ("join", "`join` takes one argument, found 0", 1, 4),
            ("replace::b", "`replace`: there is nothing to replace", 9, 0),
            ("split:/:x", "`split`: the index is not a whole number", 9, 1),
            ("split:'/':\"x\"", "`split`: the index is not a whole number", 11, 3),
            ("split:\"\":0", "`split`: the separator is empty", 7, 2),
            (
                "pem:Cert",
                "`pem`: a label is capital letters and digits, as `RSA PRIVATE KEY`",
                5,
                4,
            ),
            ("json_extract:", "the path is empty; `.` is the whole document", 14, 0),
            ("json_extract:.a..b", "a key is missing in the path", 17, 1),
            ("json_extract:.a.", "a key is missing in the path", 17, 0),
            ("json_extract:.a[x]", "`[…]` holds a whole number from 0, or a key in quotes", 16, 3),
            ("json_extract:.a[-1]", "`[…]` holds a whole number from 0, or a key in quotes", 16, 4),
            ("json_extract:.a[", "`[…]` holds a whole number from 0, or a key in quotes", 16, 1),
            ("json_extract:.a[0", "the bracket `[` is not closed", 16, 1),
            ("json_extract:.a[0]b", "expected `.` or `[`", 19, 1),
            ("json_extract:.\"a", "the quote in the path is not closed", 15, 1),
            ("json_extract:'.a..b'", "a key is missing in the path", 14, 7),
            ("json_extract:/a~2", "`~` in a pointer is followed by `0` or `1`", 16, 1),
            ("json_extract:/a~", "`~` in a pointer is followed by `0` or `1`", 16, 1),
        ];
        for (text, message, column, width) in cases {
            let result = parse_chain(text).and_then(|steps| {
                steps.iter().map(Transform::build).collect::<Result<Vec<_>, _>>()
            });
            let error = result.expect_err(text);
            assert_eq!(
                (error.kind.to_string().as_str(), error.column, error.width),
                (message, column, width),
                "{text}"
            );
            assert!(error.help().is_some(), "{text}");
        }
        let help = |text| Transform::build(&parse_step(text).unwrap()).unwrap_err().help().unwrap();
        assert_eq!(help("trmi"), "did you mean `trim`?");
        assert_eq!(help("json_extrct:.a"), "did you mean `json_extract`?");
        assert_eq!(
            help("b64"),
            format!("there are: {}", super::super::names().collect::<Vec<_>>().join(", "))
        );
        assert_eq!(help("a | b"), "separate by `,` or by `|`, not by both");
        assert_eq!(help("split:x"), "write `split:SEPARATOR:INDEX`");
        let unknown = Transform::build(&parse_step("chain").unwrap()).unwrap_err();
        assert_eq!(unknown.unknown_name(), Some("chain"));
        assert!(parse_chain(&"trim,".repeat(65)).is_err());
        assert_eq!(parse_chain(&vec!["trim"; 64].join(",")).unwrap().len(), 64);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            which in 0..6, a in "[^\\p{Cc}]{1,6}|[,|:'\"\\\\ \n\t.\\[\\]/~a0]{1,6}", b in "[,|:'\"\\\\ \n\r.a0]{0,6}", index in -9i64..9,
        ) {
            let step = match which {
                0 => RawStep::new("replace", vec![a, b]),
                1 => RawStep::new("split", vec![a, index.to_string()]),
                2 => RawStep::new("join", vec![b]),
                3 => RawStep::new("prefix", vec![b]),
                4 => RawStep::new("json_extract", vec![a]),
                _ => RawStep::new("yaml_extract", vec![format!("/{b}")]),
            };
            if let Ok(transform) = Transform::build(&step) {
                let text = transform.to_string();
                let read = parse_step(&text).and_then(|step| Transform::build(&step));
                prop_assert_eq!(read.as_ref(), Ok(&transform), "{}", text);
                for separator in [",", "|"] {
                    let chain = format!("trim{separator}{text}{separator}trim");
                    let steps = parse_chain(&chain).expect(&chain);
                    prop_assert_eq!(steps.len(), 3, "{}", chain);
                    prop_assert_eq!(Transform::build(&steps[1]), Ok(transform.clone()), "{}", chain);
                }
            }
        }

        #[test]
        fn no_text_panics(text in "([a-z_]{1,5}|trim|join|replace|split|json_extract|[:,|'\" .\\[\\]/~\\\\]|\\PC){0,12}") {
            let columns = text.chars().count();
            let check = |error: TransformParseError| {
                prop_assert!(error.column >= 1 && error.column - 1 + error.width <= columns, "{}", error);
                Ok(())
            };
            match parse_chain(&text) {
                Err(error) => check(error)?,
                Ok(steps) => for step in steps {
                    prop_assert!(step.column - 1 + step.width <= columns);
                    if let Err(error) = Transform::build(&step) { check(error)?; }
                },
            }
            if let Err(error) = parse_step(&text) { check(error)?; }
        }
    }
}

//! JSON as a tree whose every node knows its bytes: a scanner that keeps order, numbers and spans.
//!
//! Stricter than JSON where a document of secrets must be unambiguous: no key twice in an object,
//! nothing after the document. The limits are those of YAML documents.

use std::collections::HashMap;

use dsops_resolver::yaml::{
    Limits, Node, Position, Span, Style, SyntaxError, SyntaxErrorKind, Text, Value,
};

/// Forces the type of a number that a YAML reader would take for a whole one.
const FLOAT_TAG: &str = "tag:yaml.org,2002:float";

/// Parses the one document of a text.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let limits = Limits::default();
    let mut scanner = Scanner { text, at: 0, known: Position::START, depth: 0, nodes: 0, limits };
    if text.len() > limits.text_bytes {
        let limit = limits.text_bytes;
        return Err(scanner.fail_at(0, SyntaxErrorKind::TooLarge { bytes: text.len(), limit }));
    }
    let root = scanner.value()?;
    scanner.blank();
    if scanner.at < text.len() {
        return Err(scanner.fail("nothing may follow the end of the document"));
    }
    Ok(root)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The last place that was asked for; places are asked for in order, so each line is counted
    /// once.
    known: Position,
    depth: usize,
    nodes: usize,
    limits: Limits,
}

impl Scanner<'_> {
    fn value(&mut self) -> Result<Node, SyntaxError> {
        self.blank();
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(self.fail_kind(SyntaxErrorKind::TooManyNodes { limit: self.limits.nodes }));
        }
        let start = self.here();
        let value = match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => return self.string_node(),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node::new(value, Span { start, end: self.here() }))
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        self.enter()?;
        let mut entries = Vec::new();
        let mut seen: HashMap<String, Position> = HashMap::new();
        self.blank();
        if !self.take(b'}') {
            loop {
                self.blank();
                if self.peek() != Some(b'"') {
                    return Err(self.fail("a key in double quotes was expected"));
                }
                let key = self.string_node()?;
                let name = key.as_str().unwrap_or_default().to_owned();
                if let Some(first) = seen.insert(name.clone(), key.span.start) {
                    let kind = SyntaxErrorKind::DuplicateKey { key: name, first };
                    return Err(SyntaxError { kind, span: key.span });
                }
                self.blank();
                if !self.take(b':') {
                    return Err(self.fail("`:` was expected after the key"));
                }
                let value = self.value()?;
                entries.push((key, value));
                self.blank();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fail("`,` or `}` was expected"));
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Mapping(entries))
    }

    fn array(&mut self) -> Result<Value, SyntaxError> {
        self.enter()?;
        let mut items = Vec::new();
        self.blank();
        if !self.take(b']') {
            loop {
                items.push(self.value()?);
                self.blank();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fail("`,` or `]` was expected"));
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Sequence(items))
    }

    fn enter(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        self.at += 1;
        if self.depth > self.limits.depth {
            return Err(self.fail_kind(SyntaxErrorKind::TooDeep { limit: self.limits.depth }));
        }
        Ok(())
    }

    fn string_node(&mut self) -> Result<Node, SyntaxError> {
        let start = self.here();
        let text = self.string()?;
        let value = Value::Scalar { text, style: Style::DoubleQuoted, tag: None };
        Ok(Node::new(value, Span { start, end: self.here() }))
    }

    fn string(&mut self) -> Result<Text, SyntaxError> {
        let open = self.at;
        self.at += 1;
        let body = &self.text[self.at..];
        let end = closing_quote(body).ok_or_else(|| {
            self.at = open;
            self.fail_kind(SyntaxErrorKind::UnclosedQuote)
        })?;
        // Never longer than what is written, so it does not grow and leave a copy behind.
        let mut decoded = String::with_capacity(end);
        let mut rest = &body[..end];
        while let Some(special) = rest.find(|c: char| c == '\\' || c < ' ') {
            decoded.push_str(&rest[..special]);
            let at = self.at + (end - rest.len()) + special;
            rest = &rest[special..];
            if !rest.starts_with('\\') {
                let code = rest.as_bytes()[0];
                return Err(self.fail_at(at, SyntaxErrorKind::ControlCharacter { code }));
            }
            let (c, len) = escape(rest).ok_or_else(|| {
                let message = "this escape is none of JSON".to_owned();
                self.fail_at(at, SyntaxErrorKind::Other { message })
            })?;
            decoded.push(c);
            rest = &rest[len..];
        }
        decoded.push_str(rest);
        self.at += end + 1;
        Ok(Text::from(decoded))
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let rest = &self.text[self.at..];
        let len = rest
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        let text = &rest[..len];
        let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
        if !is_number(text) || !finite {
            return Err(self.fail("this is not a number of JSON"));
        }
        self.at += len;
        // Only among numbers with a fraction is there a zero below zero.
        let text = if text == "-0" { "-0.0" } else { text };
        let tag = text.parse::<i64>().is_err().then(|| FLOAT_TAG.to_owned());
        Ok(Value::Scalar { text: text.into(), style: Style::Plain, tag })
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let rest = &self.text[self.at..];
        let Some(word) = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word))
        else {
            return Err(self.fail("a value was expected"));
        };
        self.at += word.len();
        Ok(Value::Scalar { text: word.into(), style: Style::Plain, tag: None })
    }

    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        let blank = rest.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += blank.count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn here(&mut self) -> Position {
        self.known = self.known.advance(self.text, self.at);
        self.known
    }

    fn fail(&mut self, message: &str) -> SyntaxError {
        self.fail_kind(SyntaxErrorKind::Other { message: message.to_owned() })
    }

    fn fail_kind(&mut self, kind: SyntaxErrorKind) -> SyntaxError {
        self.fail_at(self.at, kind)
    }

    fn fail_at(&mut self, at: usize, kind: SyntaxErrorKind) -> SyntaxError {
        let place = Position::START.advance(self.text, at);
        SyntaxError { kind, span: Span { start: place, end: place } }
    }
}

/// Where the quote stands that ends a string.
fn closing_quote(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// The character of an escape, and how many bytes it takes. Half of a pair of surrogates is the
/// replacement character, as Go reads it.
fn escape(text: &str) -> Option<(char, usize)> {
    let c = match *text.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = unit(text)?;
            if let Some(c) = char::from_u32(high) {
                return Some((c, 6));
            }
            let low = text.get(6..).filter(|rest| rest.starts_with("\\u")).and_then(unit);
            return Some(match low {
                Some(low @ 0xdc00..=0xdfff) if high < 0xdc00 => {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code)?, 12)
                }
                _ => (char::REPLACEMENT_CHARACTER, 6),
            });
        }
        _ => return None,
    };
    Some((c, 2))
}

/// The four hexadecimal digits after `\u`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.get(2..6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The grammar of RFC 8259 §6.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use dsops_resolver::yaml::Scalar;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_with_their_types_and_places() {
        let text = "{\"a\": [1, -0.5, 1e3, true, null, \"x\\ny\"],\n \"b\": {}}";
        let root = parse(text).unwrap();
        let items = root.get("a").unwrap().as_sequence().unwrap();
        let scalars: Vec<_> = items.iter().map(|item| item.scalar().unwrap()).collect();
        assert_eq!(
            scalars,
            [
                Scalar::Int(1),
                Scalar::Float(-0.5),
                Scalar::Float(1000.0),
                Scalar::Bool(true),
                Scalar::Null,
                Scalar::Str("x\ny")
            ]
        );
        assert_eq!(&text[items[5].span.range()], "\"x\\ny\"");
        let (name, value) = &root.as_mapping().unwrap()[1];
        assert_eq!((name.span.start.line, name.span.start.column), (2, 2));
        assert_eq!(&text[value.span.range()], "{}");
    }

    #[test]
    fn a_zero_keeps_its_sign() {
        let scalar = parse("-0").unwrap().scalar().map(crate::sops::value::clear_form);
        assert_eq!(scalar, Some(Ok("-0".to_owned())));
    }

    #[test]
    fn strings_that_look_like_other_types_stay_text() {
        for text in ["true", "12", "null", "", "1e3"] {
            let json = format!("\"{text}\"");
            assert_eq!(parse(&json).unwrap().scalar(), Some(Scalar::Str(text)));
        }
    }

    #[test]
    fn escapes() {
        for (json, want) in [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\ud83d\ude00""#, "é😀"),
            (r#""\ud83d x""#, "\u{fffd} x"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(parse(json).unwrap().as_str(), Some(want), "{json}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, column) in [
            ("", 1),
            ("{", 2),
            ("{\"a\"}", 5),
            ("{\"a\": 1,}", 9),
            ("{\"a\": 1 \"b\": 2}", 9),
            ("[1 2]", 4),
            ("[1,]", 4),
            ("{a: 1}", 2),
            ("'a'", 1),
            ("01", 1),
            ("1.", 1),
            ("1e999", 1),
            ("-", 1),
            ("nul", 1),
            ("{} x", 4),
            ("\"a", 1),
            ("\"\\x\"", 2),
            ("\"a\u{1}\"", 3),
            ("{\"a\": 1, \"a\": 2}", 10),
            ("// no\n{}", 1),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.span.start.column, column, "{text}: {error}");
        }
        let deep = "[".repeat(100);
        assert!(matches!(parse(&deep).unwrap_err().kind, SyntaxErrorKind::TooDeep { .. }));
    }

    proptest! {
        #[test]
        fn strings_are_read_as_serde_json_reads_them(text in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let node = parse(&json).unwrap();
            prop_assert_eq!(node.as_str(), Some(text.as_str()));
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}:,\" 0-9eE.+-]{0,12}") {
            // Duplicate keys and numbers out of range are refused by one side only.
            if parse(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }
}

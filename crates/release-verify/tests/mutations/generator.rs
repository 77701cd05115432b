//! Makes mutants of a JSON document: each with one thing changed, and a name for the kind of
//! change (the place, with numbers of list items left out, and what was done there).

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

/// A document with one change.
pub struct Mutant {
    /// `verificationMaterial.tlogEntries[].logIndex: one more`.
    pub kind: String,
    /// The document.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Item(usize),
}

type Path = Vec<Step>;

/// Every mutant of `document`. Values are also taken from the same place of `others`.
pub fn mutants(document: &Value, others: &[&Value]) -> Vec<Mutant> {
    let mut made = Vec::new();
    for path in paths(document) {
        let place = pattern(&path);
        let value = at(document, &path).expect("the path is the document's own");
        let mut add = |what: &str, text: String| {
            made.push(Mutant { kind: format!("{place}: {what}"), text });
        };
        for (what, other) in replacements(value) {
            add(&what, replaced(document, &path, &other).to_string());
        }
        for other in others.iter().filter(|_| !path.is_empty()) {
            match at(other, &path) {
                Some(other) if other != value => {
                    add("another's", replaced(document, &path, other).to_string());
                }
                _ => {}
            }
        }
        match path.last() {
            Some(Step::Key(key)) => {
                add("removed", removed(document, &path).to_string());
                let mut text = String::new();
                write(document, &path, &mut text);
                add("key twice", text);
                let renamed = renamed(document, &path, &key.to_uppercase());
                add("key in capitals", renamed.to_string());
            }
            Some(Step::Item(index)) => {
                add("removed", removed(document, &path).to_string());
                let mut list = parent_list(document, &path);
                list.insert(*index, value.clone());
                let parent = &path[..path.len() - 1];
                add("twice", replaced(document, parent, &Value::Array(list)).to_string());
            }
            None => {}
        }
        if let Value::Object(fields) = value {
            let mut more = fields.clone();
            more.insert("unheardOf".to_owned(), json!("x"));
            add("field added", replaced(document, &path, &Value::Object(more)).to_string());
        }
        if let Value::Array(list) = value
            && list.len() > 1
        {
            let mut turned = list.clone();
            turned.reverse();
            add("turned round", replaced(document, &path, &Value::Array(turned)).to_string());
        }
    }
    let text = document.to_string();
    for (what, text) in [
        ("more behind it", format!("{text} {{}}")),
        ("cut short", text[..text.len() - 1].to_owned()),
        ("in a list", format!("[{text}]")),
        ("with a byte order mark", format!("\u{feff}{text}")),
        ("as UTF-16", text.chars().flat_map(|c| [c, '\0']).collect()),
    ] {
        made.push(Mutant { kind: format!("document: {what}"), text });
    }
    made
}

/// Other values for one place.
fn replacements(value: &Value) -> Vec<(String, Value)> {
    let mut made = vec![("null".to_owned(), Value::Null)];
    let mut add = |what: &str, value: Value| made.push((what.to_owned(), value));
    match value {
        Value::String(text) => {
            add("a number", json!(7));
            add("a list", json!([text]));
            add("empty", json!(""));
            add("newline behind", json!(format!("{text}\n")));
            add("blank before", json!(format!(" {text}")));
            add("letter behind", json!(format!("{text}A")));
            add("other case", json!(other_case(text)));
            if let Ok(number) = text.parse::<i64>() {
                for (what, other) in [
                    ("one more", (i128::from(number) + 1).to_string()),
                    ("one less", (i128::from(number) - 1).to_string()),
                    ("zero", "0".to_owned()),
                    ("negative", format!("-{number}")),
                    ("zero before", format!("0{number}")),
                    ("plus before", format!("+{number}")),
                    ("huge", "9223372036854775807".to_owned()),
                    ("beyond", "18446744073709551617".to_owned()),
                    ("fraction", format!("{number}.5")),
                ] {
                    add(what, json!(other));
                }
                add("as a number", json!(number));
            } else if let Some(bytes) = Base64::decode_vec(text).ok().filter(|b| b.len() >= 16) {
                encoded(text, &bytes, &mut add);
            } else if text.contains('\n') {
                lines(text, &mut add);
            } else if let Some(first) = text.chars().next() {
                add("without its first", json!(&text[first.len_utf8()..]));
                add(
                    "without its last",
                    json!(&text[..text.len() - text.chars().last().map_or(0, char::len_utf8)]),
                );
            }
        }
        Value::Array(_) => {
            add("empty", json!([]));
            add("an object", json!({}));
        }
        Value::Object(_) => {
            add("empty", json!({}));
            add("a list", json!([]));
        }
        _ => add("a string", json!("x")),
    }
    made.retain(|(_, other)| other != value);
    made
}

/// How many bits of a long value are turned.
const SAMPLES: usize = 10;

/// Other spellings of the same bytes, and other bytes.
fn encoded(text: &str, bytes: &[u8], add: &mut impl FnMut(&str, Value)) {
    add("without padding", json!(text.trim_end_matches('=')));
    add("URL alphabet", json!(text.replace('+', "-").replace('/', "_")));
    add("line break in it", json!(format!("{}\n{}", &text[..8], &text[8..])));
    add("one byte more", json!(Base64::encode_string(&[bytes, &[0]].concat())));
    add("one byte less", json!(Base64::encode_string(&bytes[..bytes.len() - 1])));
    // Bits that the last character holds too many of.
    if let Some(body) = text.strip_suffix('=') {
        let body = body.trim_end_matches('=');
        let next = |c: char| char::from_u32(c as u32 + 1).filter(char::is_ascii_alphanumeric);
        if let Some(last) = body.chars().last().and_then(next) {
            let padding = &text[body.len()..];
            add("stray bits", json!(format!("{}{last}{padding}", &body[..body.len() - 1])));
        }
    }
    // In bytes from the first to the last, at even distances.
    for sample in 0..SAMPLES {
        let index = sample * (bytes.len() - 1) / (SAMPLES - 1);
        let mut other = bytes.to_vec();
        other[index] ^= 1 << (sample % 8);
        add("a bit", json!(Base64::encode_string(&other)));
    }
}

/// Changes to lines of text.
fn lines(text: &str, add: &mut impl FnMut(&str, Value)) {
    let lines: Vec<&str> = text.split('\n').collect();
    let place = |index: usize| if lines[index].starts_with('—') { "signature" } else { "line" };
    for index in 0..lines.len() {
        let place = place(index);
        let mut fewer = lines.clone();
        fewer.remove(index);
        add(&format!("{place} removed"), json!(fewer.join("\n")));
        let mut more = lines.clone();
        more.insert(index, lines[index]);
        add(&format!("{place} twice"), json!(more.join("\n")));
        let mut blank = lines.clone();
        let padded = format!("{} ", lines[index]);
        blank[index] = &padded;
        add(&format!("blank behind a {place}"), json!(blank.join("\n")));
    }
    for (number, line) in lines.iter().enumerate() {
        // A prime stride, so that each part of a line is met.
        for (index, c) in line.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).step_by(11)
        {
            let mut changed = (*line).to_owned();
            changed.replace_range(index..=index, if c == 'A' { "B" } else { "A" });
            let mut other = lines.clone();
            other[number] = &changed;
            add(&format!("a character of a {}", place(number)), json!(other.join("\n")));
        }
    }
}

fn other_case(text: &str) -> String {
    text.chars()
        .map(
            |c| {
                if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
            },
        )
        .collect()
}

fn paths(value: &Value) -> Vec<Path> {
    fn walk(value: &Value, path: &mut Path, all: &mut Vec<Path>) {
        all.push(path.clone());
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    path.push(Step::Key(key.clone()));
                    walk(inner, path, all);
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    path.push(Step::Item(index));
                    walk(inner, path, all);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(value, &mut Vec::new(), &mut all);
    all
}

fn pattern(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(_) => text.push_str("[]"),
        }
    }
    text
}

fn at<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(index) => value.get(index),
    })
}

fn change(document: &Value, path: &[Step], with: impl FnOnce(&mut Value)) -> Value {
    let mut document = document.clone();
    let mut value = &mut document;
    for step in path {
        value = match step {
            Step::Key(key) => &mut value[key.as_str()],
            Step::Item(index) => &mut value[*index],
        };
    }
    with(value);
    document
}

fn replaced(document: &Value, path: &[Step], other: &Value) -> Value {
    change(document, path, |value| *value = other.clone())
}

fn removed(document: &Value, path: &[Step]) -> Value {
    let (last, parent) = path.split_last().expect("only called below the top");
    change(document, parent, |value| match (last, value) {
        (Step::Key(key), Value::Object(fields)) => drop(fields.remove(key)),
        (Step::Item(index), Value::Array(items)) => drop(items.remove(*index)),
        _ => unreachable!("the path is the document's own"),
    })
}

fn renamed(document: &Value, path: &[Step], name: &str) -> Value {
    let (last, parent) = path.split_last().expect("only called below the top");
    change(document, parent, |value| {
        if let (Step::Key(key), Value::Object(fields)) = (last, value)
            && let Some(inner) = fields.remove(key)
        {
            fields.insert(name.to_owned(), inner);
        }
    })
}

fn parent_list(document: &Value, path: &[Step]) -> Vec<Value> {
    at(document, &path[..path.len() - 1]).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Writes the document with the key at `twice` written twice, which a [`Value`] cannot hold.
fn write(value: &Value, twice: &[Step], text: &mut String) {
    match value {
        Value::Object(fields) => {
            text.push('{');
            let mut first = true;
            for (key, inner) in fields {
                let here = twice.first() == Some(&Step::Key(key.clone()));
                let below = if here { &twice[1..] } else { &[] };
                for _ in 0..if here && below.is_empty() { 2 } else { 1 } {
                    if !std::mem::take(&mut first) {
                        text.push(',');
                    }
                    text.push_str(&json!(key).to_string());
                    text.push(':');
                    write(inner, below, text);
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, inner) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                let here = twice.first() == Some(&Step::Item(index));
                write(inner, if here { &twice[1..] } else { &[] }, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

//! Values that are hard to quote: every awkward piece alone, in pairs, and thousands of mixtures.

use std::collections::BTreeMap;

use dsops_formats::{Format, Options, render};
use dsops_secure_mem::SecretBytes;

/// Names and values.
pub type Variables = BTreeMap<String, Vec<u8>>;

/// What quoting stumbles over.
const PIECES: &[&str] = &[
    "",
    "a",
    "Z9",
    " ",
    "  ",
    "\t",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "'",
    "''",
    "\"",
    "\"\"",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\r",
    "\\\n",
    "`",
    "``",
    "`id`",
    "$",
    "$$",
    "$A",
    "${A}",
    "${A:-x}",
    "$(id)",
    "$((1+1))",
    "!",
    "!!",
    "!-1",
    "#",
    " #",
    " # x",
    "=",
    "==",
    "export A=b",
    "\nA=b",
    "~",
    "~root",
    ":~",
    "*",
    "?",
    "[a]",
    "{a,b}",
    ";",
    "&",
    "|",
    "<",
    ">",
    "<<EOF",
    "(",
    ")",
    "%",
    "%s",
    "%%",
    "@",
    "^",
    "-",
    "--",
    "-n",
    "+",
    ",",
    ".",
    "/",
    "\u{1}",
    "\u{2}",
    "\u{3}",
    "\u{4}",
    "\u{5}",
    "\u{6}",
    "\u{7}",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\u{e}",
    "\u{1a}",
    "\u{1b}",
    "\u{1b}[31m",
    "\u{1f}",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{2018}",
    "\u{2019}",
    "\u{201a}",
    "\u{201b}",
    "\u{201c}",
    "\u{2028}",
    "\u{2029}",
    "\u{200b}",
    "\u{202e}",
    "\u{e000}",
    "\u{f601}",
    "\u{f8ff}",
    "\u{feff}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    "é",
    "e\u{301}",
    "漢字",
    "😀",
    "\u{10ffff}",
    "null",
    "true",
    "1e3",
    "0x1f",
    "DSOPS_END",
    "DSOPS_END_",
];

/// A fixed sequence of numbers (xorshift64*), so that a failure can be seen again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }
}

/// Text without NUL: the pieces, all pairs of ASCII pieces, `count` mixtures.
pub fn texts(count: usize) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = PIECES.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..count {
        let pieces = (0..numbers.below(9)).map(|_| PIECES[numbers.below(PIECES.len())]);
        let pieces: Vec<_> = pieces.collect();
        values.push(pieces.concat().into_bytes());
    }
    for first in 1..=127_u8 {
        values.push(vec![first]);
        values.push(vec![b'a', first, b'b']);
    }
    values
}

/// Bytes without NUL: as [`texts`], and values of any bytes.
pub fn bytes(count: usize) -> Vec<Vec<u8>> {
    let mut values = texts(count);
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    for _ in 0..count {
        let length = numbers.below(40);
        let byte = |_| u8::try_from(1 + numbers.below(255)).unwrap();
        values.push((0..length).map(byte).collect());
    }
    values.extend((1..=255_u8).map(|byte| vec![byte]));
    values.push((1..=255_u8).collect());
    values.push(vec![b'x'; 100_000]);
    values
}

/// Gives each value a name.
pub fn named(values: Vec<Vec<u8>>) -> Variables {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| (format!("VAR_{index:05}"), value))
        .collect()
}

/// The values that a format can carry, and the file with them.
pub fn carried(
    format: Format,
    options: &Options<'_>,
    values: Vec<Vec<u8>>,
) -> (Variables, Vec<u8>) {
    let mut all = named(values);
    let count = all.len();
    all.retain(|name, value| {
        let secret = SecretBytes::copy_from(value).unwrap();
        render(format, &[(name, &secret)], options).is_ok()
    });
    assert!(all.len() * 4 > count, "{format} carries only {} of {count} values", all.len());
    let file = write(format, options, &all);
    (all, file)
}

/// The file with all of these.
pub fn write(format: Format, options: &Options<'_>, variables: &Variables) -> Vec<u8> {
    let secrets: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), SecretBytes::copy_from(value).unwrap()))
        .collect();
    let borrowed: Vec<_> = secrets.iter().map(|(name, value)| (*name, value)).collect();
    render(format, &borrowed, options).unwrap().expose().to_vec()
}

/// The variables of `NAME=value\0` lines, of those that were set.
pub fn parse_environment(output: &[u8]) -> Variables {
    let pairs = output.split(|byte| *byte == 0).filter(|pair| pair.starts_with(b"VAR_"));
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap();
        (String::from_utf8(pair[..at].to_vec()).unwrap(), pair[at + 1..].to_vec())
    };
    pairs.map(pair).collect()
}

/// The strings of a JSON object.
pub fn parse_json(output: &[u8]) -> Variables {
    let object: BTreeMap<String, String> = serde_json::from_slice(output).unwrap();
    object.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

/// Fails with the first values that differ.
pub fn assert_same(reader: &str, got: &Variables, want: &Variables) {
    let differs = |name: &&String| got.get(*name) != want.get(*name);
    let names: Vec<_> = want.keys().filter(differs).take(5).collect();
    let show = |value: Option<&Vec<u8>>| value.map(|value| value.escape_ascii().to_string());
    for name in &names {
        println!("{reader} {name}: {:?} is not {:?}", show(got.get(*name)), show(want.get(*name)));
    }
    assert!(names.is_empty(), "{reader} read something else");
    assert_eq!(got.len(), want.len(), "{reader} read more than was written");
    println!("{reader} read {} values", want.len());
}

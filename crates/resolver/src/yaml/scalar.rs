//! The type of a scalar: Go's yaml.v3 rules, which `sops` and the first dsops follow.

use zeroize::Zeroizing;

use super::Style;

/// A scalar with its type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar<'a> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, decimal, `0x`, `0o`, `0b`, or octal with a leading zero.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A date, with or without a time; the text as written.
    Timestamp(&'a str),
    /// Base64 data (tag `!!binary`); the text as written.
    Binary(&'a str),
    /// Anything else.
    Str(&'a str),
}

const CORE: &str = "tag:yaml.org,2002:";

pub(super) fn resolve<'a>(text: &'a str, style: Style, tag: Option<&str>) -> Scalar<'a> {
    match tag.map(|tag| tag.strip_prefix(CORE).unwrap_or(tag)) {
        None if style == Style::Plain => plain(text),
        None | Some("str" | "!") => Scalar::Str(text),
        Some("binary") => Scalar::Binary(text),
        // An int is a float too when the tag says so.
        Some("float") => match plain(text) {
            #[expect(clippy::cast_precision_loss, reason = "what the tag asks for")]
            Scalar::Int(int) => Scalar::Float(int as f64),
            other => other,
        },
        Some("null" | "bool" | "int" | "timestamp") => plain(text),
        Some(_) if style == Style::Plain => plain(text),
        Some(_) => Scalar::Str(text),
    }
}

fn plain(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'0'..=b'9' | b'+' | b'-' => {
            if is_timestamp(text) {
                return Scalar::Timestamp(text);
            }
            let without_marks = text.contains('_').then(|| Zeroizing::new(text.replace('_', "")));
            let digits = without_marks.as_ref().map_or(text, |digits| digits.as_str());
            if let Some(int) = int(digits) {
                return Scalar::Int(int);
            }
            float(digits).map_or(Scalar::Str(text), Scalar::Float)
        }
        b'.' => float(text).map_or(Scalar::Str(text), Scalar::Float),
        _ => Scalar::Str(text),
    }
}

/// What Go's `ParseInt(text, 0, 64)` or `ParseUint` takes.
fn int(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    // A sign after the first is not a digit, though `from_str_radix` takes it.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -magnitude } else { magnitude };
    (value >= i128::from(i64::MIN)).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if mantissa_ok && exponent_ok { text.parse().ok() } else { None }
}

/// `2006-1-2`, alone or followed by `T`, `t` or blanks and a time.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_at_checked(4) else { return false };
    let date_end = rest.find(['T', 't', ' ']).unwrap_or(rest.len());
    let (date, time) = rest.split_at(date_end);
    let mut parts = date.splitn(3, '-');
    let number = |text: &str, min: u32, max: u32| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse().is_ok_and(|n: u32| (min..=max).contains(&n))
    };
    let date_ok = year.bytes().all(|b| b.is_ascii_digit())
        && parts.next() == Some("")
        && parts.next().is_some_and(|month| number(month, 1, 12))
        && parts.next().is_some_and(|day| number(day, 1, 31));
    if !date_ok || time.is_empty() {
        return date_ok;
    }
    let clock = time[1..].trim_start();
    let clock_end = clock.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(clock.len());
    let mut fields = clock[..clock_end].split(':');
    fields.next().is_some_and(|hour| number(hour, 0, 23))
        && fields.next().is_some_and(|minute| number(minute, 0, 59))
        && fields.next().is_some_and(|second| number(second, 0, 59))
        && fields.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_yaml_v3() {
        let cases = [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("null", Scalar::Null),
            ("nULL", Scalar::Str("nULL")),
            ("true", Scalar::Bool(true)),
            ("False", Scalar::Bool(false)),
            ("yes", Scalar::Str("yes")),
            ("on", Scalar::Str("on")),
            ("0", Scalar::Int(0)),
            ("-12", Scalar::Int(-12)),
            ("+12", Scalar::Int(12)),
            ("1_000", Scalar::Int(1000)),
            ("0x1F", Scalar::Int(31)),
            ("-0x1f", Scalar::Int(-31)),
            ("0o17", Scalar::Int(15)),
            ("017", Scalar::Int(15)),
            ("0b101", Scalar::Int(5)),
            ("08", Scalar::Float(8.0)),
            ("0x", Scalar::Str("0x")),
            ("--1", Scalar::Str("--1")),
            ("-+1", Scalar::Str("-+1")),
            ("18446744073709551615", Scalar::Int(18_446_744_073_709_551_615)),
            ("-9223372036854775808", Scalar::Int(-9_223_372_036_854_775_808)),
            ("18446744073709551616", Scalar::Float(18_446_744_073_709_551_616.0)),
            ("1.5", Scalar::Float(1.5)),
            ("1.", Scalar::Float(1.0)),
            (".5", Scalar::Float(0.5)),
            ("-.5e-3", Scalar::Float(-0.0005)),
            (".", Scalar::Str(".")),
            ("1e3", Scalar::Float(1000.0)),
            ("1e", Scalar::Str("1e")),
            ("1.2.3", Scalar::Str("1.2.3")),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("-.INF", Scalar::Float(f64::NEG_INFINITY)),
            ("infinity", Scalar::Str("infinity")),
            ("2001-12-14", Scalar::Timestamp("2001-12-14")),
            ("2001-1-2T3:4:5Z", Scalar::Timestamp("2001-1-2T3:4:5Z")),
            ("2001-12-14 21:59:43.10 -5", Scalar::Timestamp("2001-12-14 21:59:43.10 -5")),
            ("2001-13-14", Scalar::Str("2001-13-14")),
            ("2001-12-14T", Scalar::Str("2001-12-14T")),
            ("12é4-1-1", Scalar::Str("12é4-1-1")),
            ("-", Scalar::Str("-")),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, Style::Plain, None), expected, "{text}");
        }
        assert!(matches!(resolve(".nan", Style::Plain, None), Scalar::Float(f) if f.is_nan()));
    }

    #[test]
    fn quotes_and_tags_decide_first() {
        assert_eq!(resolve("12", Style::SingleQuoted, None), Scalar::Str("12"));
        assert_eq!(resolve("", Style::DoubleQuoted, None), Scalar::Str(""));
        assert_eq!(resolve("12", Style::Plain, Some("tag:yaml.org,2002:str")), Scalar::Str("12"));
        assert_eq!(resolve("12", Style::Plain, Some("!")), Scalar::Str("12"));
        assert_eq!(
            resolve("12", Style::DoubleQuoted, Some("tag:yaml.org,2002:int")),
            Scalar::Int(12)
        );
        assert_eq!(
            resolve("12", Style::Plain, Some("tag:yaml.org,2002:float")),
            Scalar::Float(12.0)
        );
        assert_eq!(
            resolve("aGk=", Style::Plain, Some("tag:yaml.org,2002:binary")),
            Scalar::Binary("aGk=")
        );
        assert_eq!(resolve("12", Style::Plain, Some("!Sub")), Scalar::Int(12));
        assert_eq!(resolve("12", Style::Literal, Some("!Sub")), Scalar::Str("12"));
    }
}

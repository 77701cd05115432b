//! `WWW-Authenticate`: how a server wants to be shown who asks (RFC 9110, section 11.6.1).

/// Longer headers are not read.
const LIMIT_BYTES: usize = 8 * 1024;
/// How many challenges and parameters are kept.
const LIMIT: usize = 32;

/// One way to show who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// In lower case: `bearer`, `basic`.
    scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Reads every challenge of a header. What is no challenge ends the reading.
    pub fn read_all(header: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        if header.len() > LIMIT_BYTES {
            return challenges;
        }
        let mut rest = header.trim_start_matches([' ', ',', '\t']);
        while !rest.is_empty() && challenges.len() < LIMIT {
            let (word, after) = token(rest);
            if word.is_empty() {
                break;
            }
            let spaced = after.trim_start_matches([' ', '\t']);
            match (spaced.strip_prefix('='), challenges.last_mut()) {
                // `name=value` belongs to the scheme before it.
                (Some(value), Some(challenge)) => {
                    let Some((value, after)) = value_of(value.trim_start_matches([' ', '\t']))
                    else {
                        break;
                    };
                    if challenge.parameters.len() < LIMIT {
                        challenge.parameters.push((word.to_ascii_lowercase(), value));
                    }
                    rest = after;
                }
                (Some(_), None) => break,
                (None, _) => {
                    let scheme = word.to_ascii_lowercase();
                    challenges.push(Self { scheme, parameters: Vec::new() });
                    rest = after;
                }
            }
            rest = rest.trim_start_matches([' ', ',', '\t']);
        }
        challenges
    }

    /// Whether it is of that scheme, in lower case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme == scheme
    }

    /// A parameter, when it is there exactly once.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.parameters.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// A token (RFC 9110, section 5.6.2) and what follows it.
fn token(text: &str) -> (&str, &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// A quoted string or a token, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str) -> Vec<String> {
        Challenge::read_all(header)
            .into_iter()
            .map(|challenge| {
                let parameters: Vec<_> = challenge
                    .parameters
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                format!("{} {}", challenge.scheme, parameters.join(";"))
            })
            .collect()
    }

    #[test]
    fn headers_as_they_occur() {
        assert_eq!(
            read(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b,c""#
            ),
            ["bearer realm=https://auth.docker.io/token;service=registry.docker.io;scope=a:b,c"]
        );
        assert_eq!(read("Basic realm=x"), ["basic realm=x"]);
        assert_eq!(
            read(r#"Negotiate, Basic realm = "a \"b\" c" , Bearer Realm="x""#),
            ["negotiate ", r#"basic realm=a "b" c"#, "bearer realm=x"]
        );
        assert_eq!(read(r#"Bearer realm="open"#), ["bearer "]);
        assert!(read(r#"realm="x""#).is_empty() && read("").is_empty() && read("=").is_empty());
        assert!(read(&"Basic ".repeat(10_000)).is_empty());
    }

    #[test]
    fn a_parameter_that_occurs_twice_is_none() {
        let twice = &Challenge::read_all(r#"Bearer realm="a",realm="b""#)[0];
        assert_eq!(twice.parameter("realm"), None);
    }

    proptest! {
        #[test]
        fn anything_ends(header in "\\PC{0,80}") {
            prop_assert!(Challenge::read_all(&header).len() <= LIMIT);
        }
    }
}

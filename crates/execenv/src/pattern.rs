//! Name patterns of the environment policy: `*` and `?`, nothing more.

/// Matches variable names; `*` stands for any bytes, `?` for one.
///
/// A pattern without either is a name and means exactly that variable. Only such a pattern brings
/// back what is withheld: `*` never hands a store's credential to a child by accident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    /// Makes a pattern from its text. Every text is one.
    pub(crate) fn new(text: impl AsRef<[u8]>) -> Self {
        Self(text.as_ref().to_vec())
    }

    /// Tells whether a name matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        matches_glob(&self.0, name)
    }

    /// Tells whether the pattern is this very name, without wildcards.
    pub(crate) fn names(&self, name: &[u8]) -> bool {
        self.0 == name && !self.0.iter().any(|byte| matches!(byte, b'*' | b'?'))
    }
}

/// Linear in both lengths times one retry point, so no pattern makes it slow.
pub(crate) fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what followed the last `*` did not fit: let that star take one byte more.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t + 1));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, next)) => {
                    retry = Some((after_star, next + 1));
                    (p, t) = (after_star, next);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, without cleverness.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                reference(rest, text) || (!text.is_empty() && reference(pattern, &text[1..]))
            }
            (Some((b'?', rest)), Some((_, text))) => reference(rest, text),
            (Some((p, rest)), Some((t, text))) => p == t && reference(rest, text),
            _ => false,
        }
    }

    #[test]
    fn only_a_plain_pattern_names_a_variable() {
        assert!(Pattern::new("VAULT_TOKEN").names(b"VAULT_TOKEN"));
        assert!(!Pattern::new("*").names(b"VAULT_TOKEN"));
        assert!(!Pattern::new("*").names(b"*"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab*]{0,8}") {
            prop_assert_eq!(
                matches_glob(pattern.as_bytes(), text.as_bytes()),
                reference(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}

//! `Link`: where the next page of a list is (RFC 8288).

/// The target of the first link of a header to the next page.
pub(super) fn next(header: &str) -> Option<String> {
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        // A target may hold commas, and what is quoted may hold anything.
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (parameters, after) = until(after, ',');
        if is_next(parameters) {
            return Some(target.to_owned());
        }
        rest = after;
    }
}

fn is_next(mut parameters: &str) -> bool {
    while !parameters.is_empty() {
        let (parameter, after) = until(parameters, ';');
        parameters = after;
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        if name.trim().eq_ignore_ascii_case("rel") {
            // Only the first counts (section 3.3).
            return relations.any(|relation| relation.eq_ignore_ascii_case("next"));
        }
    }
    false
}

/// What stands before the first `end` outside of quotes, and what behind it.
fn until(text: &str, end: char) -> (&str, &str) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if character == end && !is_quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links() {
        for (header, target) in [
            (r#"</v2/x?n=1>; rel="next""#, "/v2/x?n=1"),
            ("</a>; rel=prev, </b>;foo=1; rel=next", "/b"),
            (r#"</a?last=b,c>; rel="next""#, "/a?last=b,c"),
            (r#"</a>; title="x, </y>; rel=next"; rel=prev,</b>; Rel = "prev NEXT""#, "/b"),
            (r#"</a>; title="a \" ; rel=next, "; rel=up, </b>; rel=next"#, "/b"),
        ] {
            assert_eq!(next(header).as_deref(), Some(target), "{header}");
        }
        for none in [
            "",
            "<",
            "</a>",
            r#"</a>; rel="prev""#,
            "/a; rel=next",
            "</a>; rel=prev; rel=next",
            "</a>; relation=next",
            "</a>; rel",
            ",,,",
        ] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn anything_ends(header in "[<>;,=\"\\\\ a-zé]{0,60}") {
            let _ = next(&header);
        }
    }
}

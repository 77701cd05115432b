//! Edits of an INI text in place, and the `sops` section as INI.

use dsops_resolver::yaml::{Node, Position};
use zeroize::Zeroizing;

use super::{
    Refused, flat,
    ini::{self, Ini, Section},
    section::Item,
    text::{insert, insert_line_after, line_end_with_break, line_start, newline, splice},
};
use crate::sops::path::SOPS_SECTION;

/// Writes `value`, which is INI, as the value of the key, adding what is missing of its path.
pub(super) fn set(
    text: &str,
    root: &Node,
    parts: &[String],
    value: &str,
) -> Result<String, Refused> {
    let [section, name] = parts else {
        return Err(refuse(root, "a key of an INI file has two parts: `section/key`"));
    };
    if let Some(node) = root.get(section).and_then(|group| group.get(name)) {
        let range = node.span.range();
        let space =
            if text[..range.start].ends_with(['=', ':']) && range.is_empty() { " " } else { "" };
        return Ok(splice(text, range, &format!("{space}{value}")));
    }
    let written = name_text(name).map_err(|reason| refuse(root, reason))?;
    let ini = read(text, root)?;
    let there = ini.sections.iter().find(|known| {
        known.name == *section && !(known.header.is_empty() && known.entries.is_empty())
    });
    let newline = newline(text);
    if let Some(there) = there {
        let line = format!("{} = {value}", padded(text, there, &written));
        let end = there.entries.last().map_or(there.header.end, |entry| entry.range.end);
        return Ok(insert_line_after(text, end, &line));
    }
    if section == ini::DEFAULT {
        return Ok(insert(text, 0, &format!("{written} = {value}{newline}{newline}")));
    }
    if section.contains(['\n', '\r']) || section.is_empty() {
        return Err(refuse(root, "the name of a section is one line"));
    }
    let block = format!("[{section}]{newline}{written} = {value}{newline}");
    Ok(match ini.sections.iter().find(|known| known.name == SOPS_SECTION) {
        Some(sops) => insert(text, sops.header.start, &format!("{block}{newline}")),
        None => format!("{text}{block}"),
    })
}

/// Removes a key with its line, or a section from its header to its last key.
pub(super) fn unset(text: &str, root: &Node, parts: &[String]) -> Result<String, Refused> {
    let ini = read(text, root)?;
    let missing = || refuse(root, "there is no such key");
    let (name, key) = match parts {
        [name] => (name, None),
        [name, key] => (name, Some(key)),
        _ => return Err(missing()),
    };
    let section = ini
        .sections
        .iter()
        .find(|known| known.name == *name && !(known.header.is_empty() && known.entries.is_empty()))
        .ok_or_else(missing)?;
    let (start, end) = if let Some(key) = key {
        let entry = section.entries.iter().find(|known| known.name == *key).ok_or_else(missing)?;
        (entry.name_range.start, entry.range.end)
    } else {
        let first = section.entries.first().map_or(0, |entry| entry.name_range.start);
        let start = if section.header.is_empty() { first } else { section.header.start };
        (start, section.entries.last().map_or(section.header.end, |entry| entry.range.end))
    };
    Ok(splice(text, line_start(text, start)..line_end_with_break(text, end), ""))
}

/// Replaces the section `sops`, or adds it at the end.
pub(super) fn write_section(text: &str, section: &Item) -> String {
    let newline = newline(text);
    let mut result = text.to_owned();
    for range in without_section(text).into_iter().rev() {
        result.replace_range(range, "");
    }
    // A blank line before the section; what is there stays.
    if !result.is_empty() && !result.ends_with('\n') {
        result.push_str(newline);
    }
    if !result.is_empty() && !result.ends_with("\n\n") && !result.ends_with("\n\r\n") {
        result.push_str(newline);
    }
    let lines = flat::flatten(section);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    result.extend(["[", SOPS_SECTION, "]", newline]);
    for (name, value) in lines {
        let padding = " ".repeat(width - name.len());
        result.extend([&name, padding.as_str(), " = ", &value, newline]);
    }
    result
}

/// Where the section of sops stands, from its header to its last key.
pub(super) fn without_section(text: &str) -> Vec<std::ops::Range<usize>> {
    let Ok(ini) = Ini::parse(text) else { return Vec::new() };
    let sections = ini.sections.iter().filter(|section| section.name == SOPS_SECTION);
    sections
        .map(|section| {
            let end = section.entries.last().map_or(section.header.end, |entry| entry.range.end);
            section.header.start..line_end_with_break(text, end)
        })
        .collect()
}

/// Comments on lines of their own and at the ends of lines.
pub(super) fn comments(text: &str) -> Vec<std::ops::Range<usize>> {
    let ini = Ini::parse(text);
    ini.map(|ini| ini.comments.into_iter().map(|comment| comment.range).collect())
        .unwrap_or_default()
}

/// A value as it is written, in the first way that reads back. Ways that do not are wiped.
pub(super) fn value_text(value: &str) -> Result<String, &'static str> {
    for quote in ["", "`", "\"", "'", "\"\"\""] {
        // On a line of its own, before another one that must not be taken into it.
        let text = Zeroizing::new(["k = ", quote, value, quote, "\nz = z\n"].concat());
        let Ok(ini) = Ini::parse(&text) else { continue };
        let reads_back = ini.sections.first().is_some_and(|section| {
            let entries = &section.entries;
            entries.len() == 2 && &*entries[0].value == value && &*entries[1].value == "z"
        });
        if reads_back {
            return Ok([quote, value, quote].concat());
        }
    }
    Err("an INI file has no way to write such a value")
}

/// A name as it is written, in the first way that reads back.
pub(super) fn name_text(name: &str) -> Result<String, &'static str> {
    let ways = [
        name.to_owned(),
        format!("`{name}`"),
        format!("\"{name}\""),
        format!("\"\"\"{name}\"\"\""),
    ];
    let reads_back = |written: &&String| {
        let line = format!("{written} = v");
        !line.starts_with(['#', ';', '['])
            && !line.starts_with(char::is_whitespace)
            && !line.contains(['\n', '\r'])
            && ini::read_name(&line).is_ok_and(|(read, written_len, offset)| {
                read == name && written_len == written.len() && line[offset..] == *" v"
            })
    };
    let way = ways.iter().find(reads_back).cloned();
    way.filter(|_| !name.is_empty() && name != "-")
        .ok_or("an INI file has no way to write such a name")
}

/// Aligned with the other keys of the section, as sops does.
fn padded(text: &str, section: &Section, name: &str) -> String {
    let column = section.entries.last().map(|entry| {
        let after = &text[entry.name_range.end..];
        entry.name_range.len() + (after.len() - after.trim_start_matches(' ').len())
    });
    let width = column.filter(|column| *column > 1).map_or(0, |column| column - 1);
    format!("{name:width$}")
}

fn read(text: &str, root: &Node) -> Result<Ini, Refused> {
    Ini::parse(text).map_err(|_| refuse(root, "it is not an INI file"))
}

fn refuse(_: &Node, reason: &'static str) -> Refused {
    Refused { position: Position::START, reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOPS: &str = "[sops]\nmac = m\n";

    fn edit(text: &str, key: &str, set_it: bool) -> String {
        let text = format!("{text}{SOPS}");
        let root = ini::parse(&text).unwrap();
        let parts: Vec<String> = key.split('/').map(str::to_owned).collect();
        let edited =
            if set_it { set(&text, &root, &parts, "N") } else { unset(&text, &root, &parts) };
        let Ok(new) = edited else { return "refused".to_owned() };
        ini::parse(&new).unwrap();
        new.strip_suffix(SOPS).unwrap().to_owned()
    }

    #[test]
    fn values_are_set_where_they_stand_or_after_the_last() {
        for (text, key, want) in [
            ("[a]\nk = `x;y` ; c\n", "a/k", "[a]\nk = N ; c\n"),
            ("[a]\nk =\nl = 1\n", "a/k", "[a]\nk = N\nl = 1\n"),
            ("[a]\nk = \"\"\"x\ny\"\"\"\n", "a/k", "[a]\nk = N\n"),
            ("[a]\nlong = 1\n; end\n[b]\n", "a/k", "[a]\nlong = 1\nk    = N\n; end\n[b]\n"),
            ("[a]\n\n", "a/k", "[a]\nk = N\n\n"),
            ("[a]\nk = 1\n\n", "b/k", "[a]\nk = 1\n\n[b]\nk = N\n\n"),
            ("", "b/k=1", "[b]\n`k=1` = N\n\n"),
            ("x = 1\n", "DEFAULT/x", "x = N\n"),
            ("x = 1\n", "DEFAULT/y", "x = 1\ny = N\n"),
            ("", "DEFAULT/y", "y = N\n\n"),
            ("", "y", "refused"),
            ("", "a/b/c", "refused"),
        ] {
            assert_eq!(edit(text, key, true), want, "{text} {key}");
        }
    }

    #[test]
    fn keys_and_sections_are_removed() {
        for (text, key, want) in [
            ("[a]\n; c\nk = 1 ; x\nl = 2\n", "a/k", "[a]\n; c\nl = 2\n"),
            ("[a]\nk = \"\"\"x\ny\"\"\"\n", "a/k", "[a]\n"),
            ("[a]\nk = 1\nl = 2\n\n[b]\nm = 1\n", "a", "\n[b]\nm = 1\n"),
            ("[a]\n", "b", "refused"),
            ("[a]\n", "a/k", "refused"),
        ] {
            assert_eq!(edit(text, key, false), want, "{text} {key}");
        }
    }

    #[test]
    fn the_section_is_replaced_or_added() {
        let section = Item::map([("mac", "new"), ("version", "3")]);
        let want = "[a]\nk = 1\n\n[sops]\nmac     = new\nversion = 3\n";
        assert_eq!(write_section("[a]\nk = 1\n", &section), want);
        assert_eq!(write_section("[sops]\nmac = old\n[a]\nk = 1\n", &section), want);
        assert_eq!(write_section("", &section), want.split_once("\n\n").unwrap().1);
    }

    proptest! {
        #[test]
        fn names_and_values_read_back_or_are_refused(name in ".{1,12}", value in "(.|\n){0,20}") {
            let (Ok(name_text), Ok(value_text)) = (name_text(&name), value_text(&value)) else {
                return Ok(());
            };
            let text = format!("[s]\n{name_text} = {value_text}\nlast = 1\n");
            let root = ini::parse(&text).unwrap();
            let section = root.get("s").unwrap();
            prop_assert_eq!(section.get(&name).and_then(Node::as_str), Some(value.as_str()));
        }

        #[test]
        fn ordinary_values_can_be_written(value in "[a-zA-Z0-9 =:#;'\"`.,/+-]{0,30}") {
            prop_assume!(!(value.contains('`') && value.contains('"')));
            prop_assert!(value_text(&value).is_ok(), "{}", value);
        }
    }
}

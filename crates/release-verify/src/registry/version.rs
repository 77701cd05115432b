//! Names and versions of Python packages, compared as the index compares them.
//!
//! Source: PEP 440, PEP 503, PEP 625, the wheel specification.

use std::collections::BTreeSet;

/// What the name of a distribution's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Distribution {
    name: String,
    version: Version,
    wheel: Option<Wheel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wheel {
    build: Option<(String, String)>,
    /// Every combination of interpreter, interface and platform.
    tags: BTreeSet<(String, String, String)>,
}

impl Distribution {
    /// Reads `name-1.0.tar.gz`, `name-1.0.zip` or `name-1.0-py3-none-any.whl`.
    pub(super) fn parse(file: &str) -> Option<Self> {
        if let Some(stem) = file.strip_suffix(".whl") {
            return Self::wheel(stem);
        }
        let stem = file.strip_suffix(".tar.gz").or_else(|| file.strip_suffix(".zip"))?;
        let (name, version) = stem.rsplit_once('-')?;
        Some(Self { name: normal_name(name)?, version: Version::parse(version)?, wheel: None })
    }

    fn wheel(stem: &str) -> Option<Self> {
        /// How many combinations of tags a name may stand for.
        const MOST: usize = 4096;
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, build, tags) = match parts.as_slice() {
            [name, version, tags @ ..] if tags.len() == 3 => (name, version, None, tags),
            [name, version, build, tags @ ..] if tags.len() == 3 => {
                (name, version, Some(*build), tags)
            }
            _ => return None,
        };
        if name.contains("__") {
            return None;
        }
        let build = match build {
            None => None,
            Some(build) => {
                let digits = build.bytes().take_while(u8::is_ascii_digit).count();
                let (number, rest) = build.split_at(digits);
                if number.is_empty() {
                    return None;
                }
                Some((number.trim_start_matches('0').to_owned(), rest.to_owned()))
            }
        };
        let set = |text: &str| -> Option<Vec<String>> {
            let plain = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            text.split('.').map(|part| plain(part).then(|| part.to_ascii_lowercase())).collect()
        };
        let (interpreters, interfaces, platforms) = (set(tags[0])?, set(tags[1])?, set(tags[2])?);
        if interpreters.len() * interfaces.len() * platforms.len() > MOST {
            return None;
        }
        let mut all = BTreeSet::new();
        for interpreter in &interpreters {
            for interface in &interfaces {
                for platform in &platforms {
                    all.insert((interpreter.clone(), interface.clone(), platform.clone()));
                }
            }
        }
        Some(Self {
            name: normal_name(name)?,
            version: Version::parse(version)?,
            wheel: Some(Wheel { build, tags: all }),
        })
    }
}

/// Small letters, and one hyphen for each run of hyphens, underscores and dots (PEP 503).
fn normal_name(name: &str) -> Option<String> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let plain = edge(name.bytes().next())
        && edge(name.bytes().last())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    plain.then(|| {
        let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
    })
}

/// A version (PEP 440), in the one spelling that equal versions share.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    epoch: String,
    release: Vec<String>,
    pre: Option<(&'static str, String)>,
    post: Option<String>,
    dev: Option<String>,
    local: Vec<String>,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let (public, local) =
            text.split_once('+').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        let local = match local {
            None => Vec::new(),
            Some(local) => local
                .split(['.', '-', '_'])
                .map(|part| {
                    let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
                    plain.then(|| if is_number(part) { number(part) } else { part.to_owned() })
                })
                .collect::<Option<Vec<_>>>()?,
        };
        let public = public.strip_prefix('v').unwrap_or(public);
        let (epoch, rest) = match public.split_once('!') {
            Some((epoch, rest)) if is_number(epoch) => (number(epoch), rest),
            Some(_) => return None,
            None => ("0".to_owned(), public),
        };
        let mut cursor = Cursor(rest);
        let mut release = vec![cursor.digits()?];
        while let Some(part) = cursor.dotted_digits() {
            release.push(part);
        }
        while release.len() > 1 && release.last().is_some_and(|part| part == "0") {
            release.pop();
        }
        let pre = cursor.labelled(&[
            ("alpha", "a"),
            ("beta", "b"),
            ("preview", "rc"),
            ("pre", "rc"),
            ("rc", "rc"),
            ("a", "a"),
            ("b", "b"),
            ("c", "rc"),
        ]);
        let post = cursor
            .implicit_post()
            .or_else(|| Some(cursor.labelled(&[("post", "p"), ("rev", "p"), ("r", "p")])?.1));
        let dev = cursor.labelled(&[("dev", "d")]).map(|(_, number)| number);
        cursor.0.is_empty().then_some(Self { epoch, release, pre, post, dev, local })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Digits without zeros in front.
fn number(digits: &str) -> String {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn digits(&mut self) -> Option<String> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(number(digits))
    }

    fn dotted_digits(&mut self) -> Option<String> {
        let rest = self.0.strip_prefix('.')?;
        rest.bytes().next().filter(u8::is_ascii_digit)?;
        self.0 = rest;
        self.digits()
    }

    /// A label with a separator before and behind it or not, and a number that may be left away.
    fn labelled(&mut self, labels: &[(&str, &'static str)]) -> Option<(&'static str, String)> {
        let separator = |text: &str| text.starts_with(['.', '-', '_']);
        let rest = if separator(self.0) { &self.0[1..] } else { self.0 };
        let (label, name) = labels.iter().find(|(label, _)| rest.starts_with(label))?;
        let mut cursor = Cursor(&rest[label.len()..]);
        if separator(cursor.0) && cursor.0[1..].starts_with(|c: char| c.is_ascii_digit()) {
            cursor.0 = &cursor.0[1..];
        }
        let number = cursor.digits().unwrap_or_else(|| "0".to_owned());
        let left = rest.len() - cursor.0.len();
        let skipped = self.0.len() - rest.len();
        self.0 = &self.0[skipped + left..];
        Some((name, number))
    }

    /// `-1`, an old way to write `.post1`.
    fn implicit_post(&mut self) -> Option<String> {
        let rest = self.0.strip_prefix('-')?;
        rest.bytes().next().filter(u8::is_ascii_digit)?;
        self.0 = rest;
        self.digits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_versions_are_equal() {
        let same = |a: &str, b: &str| {
            let (a, b) = (Version::parse(a), Version::parse(b));
            a.is_some() && a == b
        };
        for (a, b) in [
            ("1.0", "1"),
            ("1.0.0", "1.0"),
            ("v1.0", "1.0"),
            ("1.0RC1", "1.0rc1"),
            ("1.0-c.1", "1.0rc1"),
            ("1.0alpha", "1.0a0"),
            ("1.0-1", "1.0.post1"),
            ("1.0.r4", "1.0post4"),
            ("1.0.DEV", "1.0dev0"),
            ("0!1.0", "1.0"),
            ("01.02", "1.2"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            ("1.0a1.post2.dev3", "1.0alpha1-post2_dev3"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("1.0", "1.1"),
            ("1.0a1", "1.0b1"),
            ("1.0", "1.0.post0"),
            ("1.0", "1.0.dev0"),
            ("1!1.0", "1.0"),
            ("1.0+a", "1.0"),
            ("1.10", "1.1"),
            ("1.0a1", "1.0a10"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
        for bad in
            ["", "x", "1.", "1..0", "1.0-", "1.0+", "1.0 ", "1.0\n", "!1", "1.0gamma", "1.0a1x"]
        {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn file_names_of_distributions() {
        let same = |a: &str, b: &str| {
            let (a, b) = (Distribution::parse(a), Distribution::parse(b));
            a.is_some() && a == b
        };
        assert!(same("My_Tool-1.0.tar.gz", "my-tool-1.0.0.tar.gz"));
        assert!(same("my_tool-1.0-py2.py3-none-any.whl", "my_tool-1.0-py3.py2-none-any.whl"));
        assert!(same("my_tool-1.0-01-py3-none-any.whl", "my_tool-1.0-1-py3-none-any.whl"));
        for (a, b) in [
            ("my_tool-1.0.tar.gz", "my_tool-1.1.tar.gz"),
            ("my_tool-1.0.tar.gz", "my_too1-1.0.tar.gz"),
            ("my_tool-1.0.tar.gz", "my_tool-1.0-py3-none-any.whl"),
            ("my_tool-1.0-py3-none-any.whl", "my_tool-1.0-py3-none-linux_x86_64.whl"),
            ("my_tool-1.0-py3-none-any.whl", "my_tool-1.0-1-py3-none-any.whl"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
        for bad in [
            "",
            "tool",
            "tool.tar.gz",
            "tool-1.0.tar.bz2",
            "tool-1.0.TAR.GZ",
            "tool-1.0-py3-none.whl",
            "tool-1.0-x1-py3-none-any.whl",
            "to__ol-1.0-py3-none-any.whl",
            "../tool-1.0.tar.gz",
            "tool-1.0.tar.gz\n",
            "-1.0.tar.gz",
            "tool-1.0-py3-none-.whl",
            "tool-1.0-py3-none-a b.whl",
        ] {
            assert_eq!(Distribution::parse(bad), None, "{bad:?}");
        }
    }
}

//! `cargo xtask api`: the public interface of every library crate as text, compared with the checked-in listing.
//!
//! Read from what rustdoc writes: the declaration of every public item, and the public methods of its own
//! (not those of traits it implements). A change of the interface shows as a change of `docs/api/*.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::{process, workspace};

/// Where the listings are.
const FOLDER: &str = "docs/api";

/// The crates: package, and its folder in the documentation.
const CRATES: &[(&str, &str)] = &[
    ("dsops-secure-mem", "dsops_secure_mem"),
    ("dsops-integrity-cache", "dsops_integrity_cache"),
    ("dsops-formats", "dsops_formats"),
    ("dsops-resolver", "dsops_resolver"),
    ("dsops-execenv", "dsops_execenv"),
    ("dsops-stores", "dsops_stores"),
    ("dsops-release-verify", "dsops_release_verify"),
    ("dsops-transport", "dsops_transport"),
    ("dsops-json", "dsops_json"),
    ("dsops-sbom", "dsops_sbom"),
    ("dsops-attest", "dsops_attest"),
];

/// Builds the documentation, in which a warning is an error, and compares; `--update` writes.
///
/// # Errors
/// The documentation does not build, or an interface is not the listed one.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let update = match args {
        [] => false,
        [flag] if flag == "--update" => true,
        _ => bail!("`cargo xtask api` takes `--update` or nothing"),
    };
    let mut cargo = process::cargo();
    cargo.current_dir(workspace::root()).env("RUSTDOCFLAGS", "-D warnings");
    process::run(cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--workspace"]))?;
    let folder = workspace::root().join(FOLDER);
    let mut changed = Vec::new();
    for (package, name) in CRATES {
        let listing = listing(package, &workspace::target_dir().join("doc").join(name))?;
        let path = folder.join(format!("{package}.txt"));
        if fs::read_to_string(&path).ok().as_deref() == Some(&listing) {
            continue;
        }
        if update {
            fs::create_dir_all(&folder).context("cannot make the folder of the listings")?;
            fs::write(&path, &listing).with_context(|| format!("{}", path.display()))?;
        } else {
            println!("the public interface of {package} is not what {FOLDER}/{package}.txt says");
            changed.push(*package);
        }
    }
    if changed.is_empty() {
        Ok(())
    } else {
        bail!("review the change, then write it down: `cargo xtask api --update`")
    }
}

/// The interface of one crate.
fn listing(package: &str, folder: &Path) -> anyhow::Result<String> {
    let index = read(&folder.join("all.html"))?;
    let mut items = BTreeMap::new();
    for href in between(&index, "href=\"", "\"") {
        let Some(path) = href.strip_suffix(".html") else { continue };
        let (modules, file) = path.rsplit_once('/').unwrap_or(("", path));
        // A page of an item is called after its kind and name, as `struct.Config.html`.
        let Some((kind, name)) = file.split_once('.') else { continue };
        if modules.starts_with("..") {
            continue;
        }
        let module = modules.split('/').filter(|part| !part.is_empty());
        let place: Vec<&str> = module.chain([name]).collect();
        items.insert((place.join("::"), kind.to_owned()), item(&read(&folder.join(href))?));
    }
    if items.is_empty() {
        bail!(
            "{} lists no item: rustdoc writes it otherwise now",
            folder.join("all.html").display()
        );
    }
    let mut text = format!(
        "# The public interface of {package}, written by `cargo xtask api --update`.\n\
         # Declarations and own methods; what traits add is not listed.\n"
    );
    for ((place, kind), lines) in items {
        let _ = write!(text, "\n{kind} {place}\n");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    Ok(text)
}

/// The declaration of an item, and its own methods.
fn item(page: &str) -> Vec<String> {
    let declaration = between(page, "<pre class=\"rust item-decl\"><code>", "</code></pre>").next();
    let mut lines: Vec<String> = declaration
        .map(plain)
        .unwrap_or_default()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let sections = page.split("<section id=\"method.").skip(1);
    for section in sections.filter(|section| section.contains("class=\"method\"")) {
        // Methods of traits have another class; this one is that of the section itself.
        let own = section.split_once('>').is_some_and(|(tag, _)| tag.ends_with("class=\"method\""));
        if let Some(header) = between(section, "<h4 class=\"code-header\">", "</h4>").next()
            && own
        {
            lines.push(plain(header).split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// The parts of a text between two marks.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0))
}

/// HTML as text: tags gone, entities replaced.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for c in html.replace("<br>", "\n").replace("</div>", "\n").chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            _ if !in_tag => text.push(c),
            _ => {}
        }
    }
    for (entity, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, c);
    }
    text
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_declaration_and_own_methods() {
        let page = "<pre class=\"rust item-decl\"><code>pub struct <a href=\"x\">A</a>&lt;T&gt; {\n    <span>pub a</span>: T,\n}</code></pre>\
            <section id=\"method.new\" class=\"method\"><h4 class=\"code-header\">pub fn <a>new</a>(a: T) -&gt; Self</h4></section>\
            <section id=\"method.fmt\" class=\"method trait-impl\"><h4 class=\"code-header\">fn fmt()</h4></section>";
        assert_eq!(
            item(page),
            ["pub struct A<T> {", "    pub a: T,", "}", "pub fn new(a: T) -> Self"]
        );
    }
}

//! From the graph of `cargo metadata` to a document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dsops_json::{Json, parse};

use super::{CargoError, Lockfile, Options, top};
use crate::license;
use crate::model::{Checksum, Document, Kind, Package, Party, Relation, Relationship};
use crate::purl::of_crate;
use crate::source::{self, Source};

/// How many packages, nodes or edges are read.
const MOST: usize = 1_000_000;

/// A package as cargo tells of it.
struct Member<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
    manifest: &'a str,
    authors: Vec<&'a str>,
    license: Option<&'a str>,
    description: Option<&'a str>,
    homepage: Option<&'a str>,
    /// The programs in it.
    bins: Vec<&'a str>,
    is_macro: bool,
}

fn members(json: &Json) -> Result<Vec<Member<'_>>, CargoError> {
    let mut members = Vec::new();
    for mut package in top(json)?.objects("packages", MOST)? {
        let (mut bins, mut is_macro) = (Vec::new(), false);
        for mut target in package.objects("targets", MOST)? {
            let name = target.text("name")?;
            for kind in target.list("kind", 100)? {
                match kind.as_str() {
                    Some("bin") => bins.push(name),
                    Some("proc-macro") => is_macro = true,
                    _ => {}
                }
            }
        }
        let page = package.optional_text("homepage")?;
        let repository = package.optional_text("repository")?;
        members.push(Member {
            id: package.text("id")?,
            name: package.text("name")?,
            version: package.text("version")?,
            source: package.optional_text("source")?,
            manifest: package.text("manifest_path")?,
            authors: package.list("authors", 10_000)?.iter().filter_map(Json::as_str).collect(),
            license: package.optional_text("license")?,
            description: package.optional_text("description")?,
            homepage: page.or(repository).filter(|page| !page.is_empty()),
            bins,
            is_macro,
        });
    }
    Ok(members)
}

/// Where the lock file lies.
pub(super) fn workspace_root(metadata: &[u8]) -> Result<PathBuf, CargoError> {
    let json = parse(metadata)?;
    Ok(PathBuf::from(top(&json)?.text("workspace_root")?))
}

/// The manifest of the package that is meant, by the members of the workspace of `asked`.
pub(super) fn manifest_of(
    metadata: &[u8],
    options: &Options,
    asked: &Path,
) -> Result<PathBuf, CargoError> {
    let json = parse(metadata)?;
    let members = members(&json)?;
    let found = |what, name: &String, fits: &dyn Fn(&&Member<'_>) -> bool, known: Vec<&str>| {
        let no_such = || CargoError::NoSuch {
            what,
            name: name.clone(),
            known: known.iter().map(|name| (*name).to_owned()).collect(),
        };
        members.iter().find(fits).map(|member| PathBuf::from(member.manifest)).ok_or_else(no_such)
    };
    let names = || members.iter().map(|member| member.name).collect();
    match (&options.package, &options.bin) {
        (Some(name), Some(bin)) => {
            found("program", bin, &|m| m.name == name && m.bins.contains(&bin.as_str()), names())
        }
        (Some(name), None) => found("package", name, &|m| m.name == name, names()),
        (None, Some(bin)) => {
            let bins = members.iter().flat_map(|member| member.bins.iter().copied()).collect();
            found("program", bin, &|m| m.bins.contains(&bin.as_str()), bins)
        }
        (None, None) => {
            let real = std::fs::canonicalize(asked);
            let same = |member: &&Member<'_>| {
                real.as_ref().is_ok_and(|real| {
                    std::fs::canonicalize(member.manifest).is_ok_and(|own| own == *real)
                })
            };
            if let Some(own) = members.iter().find(same) {
                return Ok(PathBuf::from(own.manifest));
            }
            let defaults = top(&json)?.list("workspace_default_members", MOST)?;
            let is_default =
                |member: &&Member<'_>| defaults.iter().any(|id| id.as_str() == Some(member.id));
            let mut likely = members.iter().filter(is_default);
            match (likely.next(), likely.next()) {
                (Some(only), None) => Ok(PathBuf::from(only.manifest)),
                _ => Err(CargoError::WhichPackage {
                    known: members.iter().map(|member| member.name.to_owned()).collect(),
                }),
            }
        }
    }
}

/// The document about the package whose manifest is at `own`.
pub(super) fn document(
    metadata: &[u8],
    lockfile: &Lockfile,
    own: &Path,
    options: &Options,
) -> Result<Document, CargoError> {
    let json = parse(metadata)?;
    let members = members(&json)?;
    let known: BTreeMap<&str, &Member<'_>> = members.iter().map(|one| (one.id, one)).collect();
    let root = members.iter().find(|member| Path::new(member.manifest) == own);
    let root = root.ok_or_else(|| CargoError::NoSuch {
        what: "package with the manifest",
        name: own.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        known: Vec::new(),
    })?;
    let edges = edges(&json, &known)?;
    let reached = reach(root.id, &edges);

    // In the order of names, so that a name for the document is given in the same way each time.
    let mut order: Vec<&Member<'_>> =
        reached.keys().filter_map(|id| known.get(id).copied()).collect();
    order.sort_by_key(|member| (member.name, member.version, source_key(member.source)));
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for member in &order {
        ids.insert(member.id, source::unique_id(member.name, member.version, &mut taken));
    }
    let mut document = Document {
        name: format!("{}-{}", root.name, root.version),
        described: vec![ids[root.id].clone()],
        ..Document::default()
    };
    for member in order {
        let build_only = reached.get(member.id) == Some(&false);
        let is_root = member.id == root.id;
        document.packages.push(Package {
            id: ids[member.id].clone(),
            kind: Some(if is_root && !member.bins.is_empty() {
                Kind::Application
            } else {
                Kind::Library
            }),
            build_only,
            ..package(member, lockfile, options)
        });
        for (to, for_build) in edges.get(member.id).into_iter().flatten() {
            // Of what is only built with, everything is.
            let first = *for_build && !build_only;
            let kind = if first { Relation::BuildDependsOn } else { Relation::DependsOn };
            let (from, to) = (ids[member.id].clone(), ids[to].clone());
            document.relationships.push(Relationship { from, to, kind });
        }
    }
    document.sort();
    Ok(document)
}

/// Paths of this machine must not decide: of packages without a source there is one of a name and version.
fn source_key(source: Option<&str>) -> &str {
    source.unwrap_or_default()
}

/// Who needs whom, and whether only for the build: a build script's dependency, or a macro.
type Edges<'a> = BTreeMap<&'a str, Vec<(&'a str, bool)>>;

fn edges<'a>(json: &'a Json, known: &BTreeMap<&str, &Member<'_>>) -> Result<Edges<'a>, CargoError> {
    let mut edges = Edges::new();
    for mut node in top(json)?.object("resolve")?.objects("nodes", MOST)? {
        let id = node.text("id")?;
        let mut list = Vec::new();
        for mut dep in node.objects("deps", MOST)? {
            let to = dep.text("pkg")?;
            let member = known.get(to).ok_or_else(|| dep.error("pkg", "is no package"))?;
            for mut kind in dep.objects("dep_kinds", 1000)? {
                match kind.optional_text("kind")? {
                    None => list.push((to, member.is_macro)),
                    Some("build") => list.push((to, true)),
                    Some("dev") => {}
                    Some(_) => return Err(kind.error("kind", "is of no known kind").into()),
                }
            }
        }
        edges.insert(id, list);
    }
    Ok(edges)
}

/// What is reached from the root, and whether by a way that gets it into what is built.
fn reach<'a>(root: &'a str, edges: &Edges<'a>) -> BTreeMap<&'a str, bool> {
    let mut reached: BTreeMap<&str, bool> = BTreeMap::new();
    let mut next = vec![(root, true)];
    while let Some((id, linked)) = next.pop() {
        let before = reached.get(id).copied();
        if before == Some(true) || before == Some(linked) {
            continue;
        }
        reached.insert(id, linked);
        for (to, for_build) in edges.get(id).into_iter().flatten() {
            next.push((to, linked && !for_build));
        }
    }
    reached
}

fn package(member: &Member<'_>, lockfile: &Lockfile, options: &Options) -> Package {
    let source = Source::of_lock(member.source);
    let checksum = lockfile.checksum(member.name, member.version, member.source);
    let author = member.authors.first().and_then(|author| party(author));
    let own = options.supplier.clone().filter(|_| source == Source::Local);
    let supplier = own.or(author).or_else(|| source.supplier());
    let clean = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Package {
        name: member.name.to_owned(),
        version: Some(member.version.to_owned()),
        purl: Some(of_crate(member.name, member.version, source.qualifier())),
        // A package of the workspace has none: its own checksum is that of what was built.
        checksums: checksum.map(Checksum::sha256).into_iter().collect(),
        supplier,
        license: member.license.and_then(license::from_manifest),
        download_location: source.download(member.name, member.version),
        homepage: member.homepage.filter(|page| is_url(page)).map(ToOwned::to_owned),
        description: member.description.map(clean).filter(|text| !text.is_empty()),
        ..Package::default()
    }
}

fn is_url(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://"))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An author of a manifest, `Name <mail>`. The mail address is nobody's business here.
fn party(author: &str) -> Option<Party> {
    const SEVERAL: [&str; 8] = [
        "developers",
        "contributors",
        "authors",
        "team",
        "project",
        "community",
        "foundation",
        "inc",
    ];
    let name = author.split('<').next().unwrap_or_default();
    let name: String =
        name.chars().filter(|c| !matches!(c, '(' | ')') && !c.is_control()).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = name.to_lowercase();
    let several = lower.split([' ', ',', '.']).any(|word| SEVERAL.contains(&word));
    (!name.is_empty())
        .then(|| if several { Party::organization(name) } else { Party::person(name) })
}

#[cfg(test)]
mod tests;

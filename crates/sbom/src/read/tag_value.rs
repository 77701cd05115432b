//! SPDX 2.2 and 2.3 as lines of tags and values.
//!
//! Source: SPDX specification 2.3, chapter 6.2 and annex C.

use super::draft::{DOCUMENT, Draft};
use super::spdx::{checksum, creator, identify, license, party, stated, version};
use super::{Form, LIMIT_ENTRIES, Reading};
use crate::error::ReadError;
use crate::model::{Kind, Package};

pub(super) fn read(data: &[u8]) -> Result<Reading, ReadError> {
    let text = std::str::from_utf8(data)
        .map_err(|_| malformed(0, "the text is not UTF-8"))?
        .trim_start_matches('\u{feff}');
    let mut lines = Lines { rest: text, number: 0 };
    let mut reader = Reader {
        draft: Draft::new(Form::SpdxTagValue, ""),
        name: None,
        section: Section::Document,
        package: Package::default(),
        versions: 0,
        has_data_license: false,
        entries: 0,
    };
    while let Some((number, tag, value)) = lines.next()? {
        reader.take(tag, &value).map_err(|error| match error {
            Fault::Here(problem) => malformed(number, problem),
            Fault::Whole(error) => error,
        })?;
    }
    reader.close().map_err(|problem| malformed(lines.number, problem))?;
    if reader.versions == 0 {
        return Err(malformed(lines.number, "there is no `SPDXVersion`"));
    }
    reader.draft.document.name = reader.name.unwrap_or_default();
    let document = &reader.draft.document;
    let has = [
        ("DataLicense", reader.has_data_license),
        ("DocumentNamespace", document.namespace.as_deref().is_some_and(|name| !name.is_empty())),
        ("Creator", !document.creators.is_empty()),
        ("Created", document.created.is_some()),
    ];
    for (tag, _) in has.into_iter().filter(|(_, is_there)| !is_there) {
        reader.draft.fault(super::Fault::Missing(tag));
    }
    Ok(reader.draft.finish())
}

fn malformed(line: usize, problem: impl Into<String>) -> ReadError {
    let path = if line == 0 { String::new() } else { format!("line {line}") };
    ReadError::Malformed { path, problem: problem.into() }
}

/// What is wrong with a line, or with the whole.
enum Fault {
    Here(&'static str),
    Whole(ReadError),
}

impl From<&'static str> for Fault {
    fn from(problem: &'static str) -> Self {
        Self::Here(problem)
    }
}

/// The tags of a text, values that span lines put together.
struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    fn next(&mut self) -> Result<Option<(usize, &'a str, String)>, ReadError> {
        while let Some(line) = self.line() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = self.number;
            let (tag, value) =
                line.split_once(':').ok_or_else(|| malformed(number, "no tag and value"))?;
            if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(malformed(number, "no tag and value"));
            }
            let value = value.trim();
            let Some(first) = value.strip_prefix("<text>") else {
                return Ok(Some((number, tag, value.to_owned())));
            };
            let mut whole = first.to_owned();
            loop {
                if let Some((text, after)) = whole.split_once("</text>") {
                    if !after.trim().is_empty() {
                        return Err(malformed(self.number, "there is text behind `</text>`"));
                    }
                    return Ok(Some((number, tag, text.to_owned())));
                }
                let next = self.line().ok_or_else(|| malformed(number, "`<text>` does not end"))?;
                whole.push('\n');
                whole.push_str(next);
            }
        }
        Ok(None)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Document,
    Package,
    File,
    Snippet,
    /// Licences, annotations: nothing of them is needed.
    Other,
}

struct Reader {
    draft: Draft,
    name: Option<String>,
    section: Section,
    package: Package,
    versions: usize,
    has_data_license: bool,
    entries: usize,
}

impl Reader {
    fn take(&mut self, tag: &str, value: &str) -> Result<(), Fault> {
        self.entries += 1;
        if self.entries > LIMIT_ENTRIES * 16 {
            return Err("there are too many lines".into());
        }
        match tag {
            "PackageName" => self.open(Section::Package, value)?,
            "FileName" => self.open(Section::File, value)?,
            "SnippetSPDXID" => {
                self.close()?;
                self.section = Section::Snippet;
                self.draft.others.insert(value.to_owned());
            }
            "LicenseID" => {
                self.close()?;
                self.section = Section::Other;
            }
            "Relationship" => {
                let mut words = value.split_whitespace();
                match (words.next(), words.next(), words.next(), words.next()) {
                    (Some(from), Some(kind), Some(to), None) => self.draft.relate(from, kind, to),
                    _ => return Err("a relationship has three words".into()),
                }
            }
            "SPDXVersion" => {
                self.versions += 1;
                if self.versions > 1 {
                    return Err("`SPDXVersion` occurs twice".into());
                }
                version(value).map_err(Fault::Whole)?.clone_into(&mut self.draft.version);
            }
            "DocumentName" => once(&mut self.name, value)?,
            "Created" => once(&mut self.draft.document.created, value)?,
            "Creator" => self.draft.document.creators.push(creator(value)),
            "DocumentNamespace" => once(&mut self.draft.document.namespace, value)?,
            "SPDXID" => self.id(value)?,
            "PackageVersion" if self.section == Section::Package => {
                once(&mut self.package.version, value)?;
            }
            "PackageSupplier" if self.section == Section::Package => {
                self.package.supplier = stated(value).map(|text| party(&text));
            }
            "PackageChecksum" if self.section == Section::Package => self.checksum(value)?,
            "FileChecksum" if self.section == Section::File => self.checksum(value)?,
            "ExternalRef" if self.section == Section::Package => {
                let mut words = value.split_whitespace();
                if let (Some(_), Some(kind), Some(locator)) =
                    (words.next(), words.next(), words.next())
                    && identify(&mut self.package, kind, locator)
                {
                    return Ok(());
                }
                self.draft.drop_one("ExternalRef");
            }
            "PackageLicenseDeclared" if self.section == Section::Package => {
                self.package.license = stated(value).map(license);
            }
            "PackageDownloadLocation" if self.section == Section::Package => {
                self.package.download_location = stated(value);
            }
            "PackageHomePage" if self.section == Section::Package => {
                self.package.homepage = stated(value);
            }
            "PackageFileName" if self.section == Section::Package => {
                self.package.file_name = stated(value);
            }
            "PackageCopyrightText" if self.section == Section::Package => {
                self.package.copyright = stated(value);
            }
            "PrimaryPackagePurpose" if self.section == Section::Package => {
                self.package.kind = Some(Kind::from_spdx(value));
            }
            "DataLicense" => self.has_data_license = !value.is_empty(),
            // Says nothing.
            "FilesAnalyzed" if value == "false" => {}
            other => self.draft.drop_one(other),
        }
        Ok(())
    }

    fn open(&mut self, section: Section, name: &str) -> Result<(), Fault> {
        self.close()?;
        self.section = section;
        self.package = Package {
            name: name.to_owned(),
            kind: (section == Section::File).then_some(Kind::File),
            ..Package::default()
        };
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        if matches!(self.section, Section::Package | Section::File) {
            let mut package = std::mem::take(&mut self.package);
            if package.id.is_empty() {
                return Err("the package or file that ends here has no `SPDXID`");
            }
            package.version = package.version.as_deref().and_then(stated);
            self.draft.add(package).map_err(|_| "an `SPDXID` occurs twice")?;
        }
        self.section = Section::Other;
        Ok(())
    }

    fn id(&mut self, value: &str) -> Result<(), Fault> {
        match self.section {
            Section::Document if value != DOCUMENT => {
                Err("the `SPDXID` is not that of a document".into())
            }
            Section::Package | Section::File if !self.package.id.is_empty() => {
                Err("`SPDXID` occurs twice".into())
            }
            Section::Package | Section::File => {
                value.clone_into(&mut self.package.id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn checksum(&mut self, value: &str) -> Result<(), Fault> {
        let (algorithm, digits) = value.split_once(':').ok_or("no algorithm and value")?;
        self.package.checksums.push(checksum(algorithm.trim(), digits.trim())?);
        Ok(())
    }
}

fn once(slot: &mut Option<String>, value: &str) -> Result<(), Fault> {
    if slot.replace(value.to_owned()).is_some() {
        return Err("a tag that may occur once occurs twice".into());
    }
    Ok(())
}

//! Who asks Fulcio for a certificate, and what the certificate then says about them.
//!
//! Source: Fulcio's `docs/oid-info.md`; 1.3.6.1.4.1.57264.1.N, called claim N here.

use super::certificate::{Extension, San};
use super::der;

/// An identity: its names and claims, all of which can be exchanged.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Subject alternative names. Fulcio gives exactly one.
    pub names: Vec<San>,
    /// Claims as extensions, in this order; others can be pushed, also twice.
    pub extensions: Vec<Extension>,
}

impl Identity {
    /// A person who signed in with a mail address.
    pub fn email(address: &str, issuer: &str) -> Self {
        Self { names: vec![San::Email(address.to_owned())], extensions: Vec::new() }
            .claim(1, issuer)
            .claim(8, issuer)
    }

    /// A user name, which Fulcio writes as `otherName`.
    pub fn username(name: &str, issuer: &str) -> Self {
        Self { names: vec![San::Username(name.to_owned())], ..Self::email("", issuer) }
    }

    /// A service, by its URI.
    pub fn uri(uri: &str, issuer: &str) -> Self {
        Self { names: vec![San::Uri(uri.to_owned())], ..Self::email("", issuer) }
    }

    /// A GitHub workflow: `owner/repository`, the file in `.github/workflows`, and the ref.
    ///
    /// All claims are there; the commit is forty times `a`, the run 1, hosted by GitHub, public.
    pub fn github(repository: &str, workflow: &str, reference: &str) -> Self {
        let issuer = "https://token.actions.githubusercontent.com";
        let owner = repository.split('/').next().unwrap_or(repository);
        let commit = "a".repeat(40);
        let source = format!("https://github.com/{repository}");
        let file = format!("{source}/.github/workflows/{workflow}@{reference}");
        let run = format!("{source}/actions/runs/1/attempts/1");
        let owner_uri = format!("https://github.com/{owner}");
        let claims: [(u8, &str); 22] = [
            (1, issuer),
            (2, "push"),
            (3, &commit),
            (4, "release"),
            (5, repository),
            (6, reference),
            (8, issuer),
            (9, &file),
            (10, &commit),
            (11, "github-hosted"),
            (12, &source),
            (13, &commit),
            (14, reference),
            (15, "1001"),
            (16, &owner_uri),
            (17, "2002"),
            (18, &file),
            (19, &commit),
            (20, "push"),
            (21, &run),
            (22, "public"),
            (24, &format!("repo:{repository}:ref:{reference}")),
        ];
        let names = vec![San::Uri(file.clone())];
        claims.iter().fold(Self { names, extensions: Vec::new() }, |identity, (number, value)| {
            identity.claim(*number, value)
        })
    }

    /// With a claim set: replaces the one of that number, or adds it.
    #[must_use]
    pub fn claim(mut self, number: u8, value: &str) -> Self {
        // The first six are bare strings, the later ones are DER.
        let bytes = if number <= 6 { value.as_bytes().to_vec() } else { der::utf8(value) };
        let extension = Extension::new(&claim_oid(number), bytes);
        match self.extensions.iter_mut().find(|known| known.oid == extension.oid) {
            Some(known) => *known = extension,
            None => self.extensions.push(extension),
        }
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without_claim(mut self, number: u8) -> Self {
        self.extensions.retain(|extension| extension.oid != claim_oid(number));
        self
    }

    /// With one more extension, even if one of that kind is there.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With one more name.
    #[must_use]
    pub fn name(mut self, name: San) -> Self {
        self.names.push(name);
        self
    }
}

/// The OID of a claim.
pub fn claim_oid(number: u8) -> String {
    format!("1.3.6.1.4.1.57264.1.{number}")
}

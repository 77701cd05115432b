//! Images in a registry (OCI distribution specification 1.1).

mod challenge;
mod link;
mod login;
mod push;
mod text;
mod token;

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use dsops_secure_mem::SecretBytes;
use dsops_transport::{Client, Redirects, Request, Response, Url};

use super::manifest::{
    DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Document, MANIFEST_LIMIT_BYTES, OCI_INDEX,
    OCI_MANIFEST,
};
use super::source::{Fetch, Fetched, Source};
use super::{OciError, Reference};
use crate::Digest;
pub use challenge::Challenge;
pub use login::{DockerConfig, Keychain, Login};

/// How many pages a list of referrers may have.
const PAGE_LIMIT: usize = 32;
/// How many referrers an image may have.
const REFERRER_LIMIT: usize = 5_000;
/// How often a blob's request may be redirected.
const BLOB_REDIRECTS: u32 = 5;

/// How requests show who asks.
enum Access {
    /// Not at all.
    Anonymous,
    /// By user name and password, with a colon between them.
    Basic(SecretBytes),
    /// By a token.
    Bearer(SecretBytes),
}

impl Access {
    fn show<'r>(&self, request: Request<'r>) -> Result<Request<'r>, OciError> {
        Ok(match self {
            Self::Anonymous => request,
            Self::Bearer(token) => request.bearer(token)?,
            Self::Basic(both) => request.basic(both)?,
        })
    }
}

/// One page of a list of referrers.
struct Page {
    manifests: Vec<Descriptor>,
    next: Option<Url>,
}

/// A repository in a registry.
///
/// Every request stays on the registry's own host, but for two: the token is fetched where the
/// registry says, over `https`; and a blob may be sent by another server, which sees no
/// credentials and is believed only as far as the digest goes.
///
/// # Security
/// The registry's credentials are shown to the registry, and to a token server on the same host, on
/// one below it (`auth.docker.io` for `docker.io`) or on the one it is below (`gitlab.com` for
/// `registry.gitlab.com`): whoever owns a domain decides over what is below it. Any other host that
/// a registry names has to be allowed with [`Registry::allow_token_host`]; until then it is asked
/// without credentials.
pub struct Registry<'a> {
    client: &'a Client,
    keychain: &'a dyn Keychain,
    reference: Reference,
    base: Url,
    access: Mutex<Access>,
    /// Hosts beside its own that may see its credentials.
    token_hosts: Vec<String>,
}

impl<'a> Registry<'a> {
    /// The repository of a reference. Nothing is asked yet.
    ///
    /// A registry on this machine's loopback is spoken to by `http`, which the client has to
    /// allow; all others by `https`.
    ///
    /// # Errors
    /// When the registry's host is none.
    pub fn new(
        client: &'a Client,
        keychain: &'a dyn Keychain,
        reference: &Reference,
    ) -> Result<Self, OciError> {
        let host = reference.api_host();
        let https = Url::parse(&format!("https://{host}/"))?;
        let scheme = if https.is_loopback() { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{}/", reference.repository()))?;
        let access = Mutex::new(Access::Anonymous);
        let token_hosts = Vec::new();
        Ok(Self { client, keychain, reference: reference.clone(), base, access, token_hosts })
    }

    /// The same, where the token server on that host may be shown the registry's credentials.
    #[must_use]
    pub fn allow_token_host(mut self, host: impl AsRef<str>) -> Self {
        self.token_hosts.push(host.as_ref().to_ascii_lowercase());
        self
    }

    /// Asks once what the reference names: its digest, or else its tag, or else `latest`.
    ///
    /// # Errors
    /// [`OciError::NotFound`], and everything that goes wrong on the way.
    pub fn resolve(&self) -> Result<Fetched, OciError> {
        let fetch = Fetch(self);
        if let Some(digest) = self.reference.digest() {
            return fetch.manifest(digest);
        }
        let tag = self.reference.tag().unwrap_or("latest");
        let what = || format!("{}:{tag}", self.name());
        fetch.tagged(tag)?.ok_or_else(|| OciError::NotFound { what: what() })
    }

    fn url(&self, path: &str) -> Result<Url, OciError> {
        Ok(self.base.join(path)?)
    }

    fn manifest_by(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");
        let url = self.url(&format!("manifests/{name}"))?;
        let answer = self.get(&url, &accept, Redirects::SameOrigin)?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer = answer.require_success()?;
        let what = format!("manifest {name}");
        let is_index = match media_type(&answer).as_deref() {
            Some(OCI_INDEX | DOCKER_INDEX) => true,
            Some(OCI_MANIFEST | DOCKER_MANIFEST) => false,
            other => {
                let problem = format!("sent as `{}`", other.unwrap_or("nothing"));
                return Err(OciError::malformed(what, problem));
            }
        };
        let announced = answer.header("docker-content-digest").and_then(Digest::parse);
        let bytes = answer.bytes(limit_bytes)?;
        if let Some(expected) = announced {
            super::manifest::check(&what, &expected, None, &bytes)?;
        }
        if matches!(Document::read(&bytes, &what)?, Document::Index(_)) != is_index {
            return Err(OciError::malformed(what, "sent as another kind than it is"));
        }
        Ok(Some(bytes))
    }

    /// A `GET`, with whatever access is needed.
    fn get(&self, url: &Url, accept: &str, redirects: Redirects) -> Result<Response, OciError> {
        self.ask("pull", || {
            let request = self.client.get(url).header("accept", accept)?;
            Ok(request.redirects(redirects, BLOB_REDIRECTS))
        })
    }

    /// A request with whatever access we have; when that is not enough, it is got for these actions
    /// and the request made once more.
    fn ask<'r>(
        &'r self,
        actions: &str,
        make: impl Fn() -> Result<Request<'r>, OciError>,
    ) -> Result<Response, OciError> {
        let answer = self.access().show(make()?)?.send()?;
        // Only the registry may ask who we are, and say where to prove it: the server of a redirect
        // would name one of its own.
        if answer.status() != 401 || !answer.url().same_origin(&self.base) {
            return Ok(answer);
        }
        let (access, withheld) = self.gain_access(&answer, actions)?;
        let answer = access.show(make()?)?.send()?;
        if let Some(host) = withheld.filter(|_| matches!(answer.status(), 401 | 403)) {
            return Err(self.foreign(host));
        }
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
        Ok(answer)
    }

    /// What was good for the last request.
    fn access(&self) -> Access {
        let kept = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |secret: &SecretBytes| SecretBytes::copy_from(&secret.try_expose()?);
        // Without a copy the request is refused, and access is gained again.
        match &*kept {
            Access::Anonymous => Access::Anonymous,
            Access::Basic(both) => copy(both).map_or(Access::Anonymous, Access::Basic),
            Access::Bearer(token) => copy(token).map_or(Access::Anonymous, Access::Bearer),
        }
    }

    /// What is good for the next request, and the host that was not shown our credentials.
    fn gain_access(
        &self,
        answer: &Response,
        actions: &str,
    ) -> Result<(Access, Option<String>), OciError> {
        let challenges: Vec<Challenge> =
            answer.headers("www-authenticate").flat_map(Challenge::read_all).collect();
        let of = |scheme: &str| challenges.iter().find(|challenge| challenge.is(scheme));
        let login = self.login()?;
        if let Some(challenge) = of("bearer") {
            let scope = format!("repository:{}:{actions}", self.reference.repository());
            let realm = token::realm(challenge, &self.base)?;
            let withheld = (login.is_some() && !self.may_see_credentials(&realm))
                .then(|| realm.host().to_owned());
            let login = login.filter(|_| withheld.is_none());
            return match token::fetch(self.client, challenge, &realm, &scope, login.as_ref()) {
                Ok(token) => Ok((Access::Bearer(token), withheld)),
                Err(OciError::Transport(error)) if matches!(error.status(), Some(401 | 403)) => {
                    Err(withheld.map_or(error.into(), |host| self.foreign(host)))
                }
                Err(error) => Err(error),
            };
        }
        match (of("basic"), login) {
            (Some(_), Some(Login::Password(both))) => Ok((Access::Basic(both), None)),
            (Some(_), _) => Err(answer.status_error().into()),
            (None, _) => Err(OciError::Challenge {
                registry: self.reference.registry().to_owned(),
                challenge: answer.header("www-authenticate").unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Whether a token server may be shown the credentials: it is the registry's own, or allowed.
    fn may_see_credentials(&self, realm: &Url) -> bool {
        let host = realm.host();
        let named = self.reference.registry();
        // By the name it is known by, too: Docker Hub's server has another than its images.
        let named = named.rsplit_once(':').map_or(named, |(host, _)| host);
        [self.base.host(), named].into_iter().any(|own| is_related(own, host))
            || self.token_hosts.iter().any(|allowed| allowed == host)
    }

    fn foreign(&self, host: String) -> OciError {
        OciError::ForeignRealm { registry: self.reference.registry().to_owned(), host }
    }

    fn login(&self) -> Result<Option<Login>, OciError> {
        self.keychain.login(self.reference.registry(), self.reference.repository())
    }

    /// One page of referrers, and where the next one is. `None` when the registry has no such list.
    fn page(&self, url: &Url) -> Result<Option<Page>, OciError> {
        let answer = self.get(url, OCI_INDEX, Redirects::SameOrigin)?;
        // The specification says 404; others were seen from registries that do not know the path.
        if matches!(answer.status(), 400 | 404 | 405) {
            return Ok(None);
        }
        let answer = answer.require_success()?;
        if media_type(&answer).as_deref() != Some(OCI_INDEX) {
            return Ok(None);
        }
        let next = answer.headers("link").find_map(link::next).map(|link| url.join(&link));
        let next = next.transpose()?;
        let bytes = answer.bytes(MANIFEST_LIMIT_BYTES)?;
        match Document::read(&bytes, "the list of referrers")? {
            Document::Index(index) => Ok(Some(Page { manifests: index.manifests, next })),
            Document::Manifest(_) => {
                Err(OciError::malformed("the list of referrers", "not an index"))
            }
        }
    }
}

impl Source for Registry<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.reference.registry(), self.reference.repository())
    }

    fn is_registry(&self) -> bool {
        true
    }

    fn manifest(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        self.manifest_by(&digest.to_string(), limit_bytes)
    }

    fn tagged(&self, tag: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        self.manifest_by(tag, limit_bytes)
    }

    fn blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, OciError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self.get(&url, "*/*", Redirects::Anywhere)?;
        if answer.status() == 404 {
            return Err(OciError::NotFound { what: format!("blob {digest}") });
        }
        Ok(answer.require_success()?.bytes(limit_bytes)?)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, OciError> {
        let mut url = self.url(&format!("referrers/{subject}"))?;
        let own = url.path().to_owned();
        let mut seen = Vec::new();
        let mut found = Vec::new();
        loop {
            let Some(Page { manifests, next }) = self.page(&url)? else {
                if seen.is_empty() {
                    return self.referrers_by_tag(subject);
                }
                let problem = "a page that it names is not there";
                return Err(OciError::malformed("the list of referrers", problem));
            };
            found.extend(manifests);
            if found.len() > REFERRER_LIMIT {
                return Err(OciError::TooMany { what: "the referrers", limit: REFERRER_LIMIT });
            }
            let Some(next) = next else { return Ok(found) };
            if !next.same_origin(&self.base) || next.path() != own {
                let problem = format!("its next page is {next}");
                return Err(OciError::malformed("the list of referrers", problem));
            }
            seen.push(url);
            if seen.contains(&next) {
                return Err(OciError::malformed(
                    "the list of referrers",
                    "its pages go in circles",
                ));
            }
            if seen.len() >= PAGE_LIMIT {
                let what = "the pages of the list of referrers";
                return Err(OciError::TooMany { what, limit: PAGE_LIMIT });
            }
            url = next;
        }
    }
}

impl Registry<'_> {
    /// The list that clients keep themselves where the registry does not (distribution
    /// specification, "Referrers Tag Schema").
    fn referrers_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>, OciError> {
        let tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
        match Fetch(self).tagged(&tag)?.map(|fetched| fetched.document) {
            Some(Document::Index(index)) => Ok(index.manifests),
            Some(Document::Manifest(_)) => Err(OciError::malformed(
                format!("the list of referrers, tag `{tag}`"),
                "not an index",
            )),
            None => Ok(Vec::new()),
        }
    }
}

impl std::fmt::Debug for Registry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// Whether one host is the other, below it or above it. Addresses are only themselves.
fn is_related(own: &str, other: &str) -> bool {
    let is_below = |low: &str, high: &str| {
        high.contains('.')
            && low.strip_suffix(high).is_some_and(|rest| rest.ends_with('.'))
            && low.parse::<IpAddr>().is_err()
    };
    own == other || is_below(own, other) || is_below(other, own)
}

/// The media type of an answer, without parameters, in lower case.
fn media_type(answer: &Response) -> Option<String> {
    let whole = answer.header("content-type")?;
    Some(whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_belong_together() {
        for (own, other) in [
            ("ghcr.io", "ghcr.io"),
            ("docker.io", "auth.docker.io"),
            ("registry.gitlab.com", "gitlab.com"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert!(is_related(own, other), "{own} {other}");
        }
        for (own, other) in [
            ("registry.example.org", "auth.example.org"),
            ("docker.io", "docker.io.example.org"),
            ("docker.io", "authdocker.io"),
            ("example.com", "com"),
            ("shop.co.uk", "other.co.uk"),
            ("10.0.0.1", "0.0.1"),
            ("127.0.0.1", "127.0.0.2"),
            ("localhost", "evil.localhost"),
        ] {
            assert!(!is_related(own, other), "{own} {other}");
        }
    }
}

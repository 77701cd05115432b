//! A registry of images in this process, for tests: it keeps what is pushed, asks for credentials if told to,
//! and lies on demand (OCI distribution specification 1.1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::http::{HttpAnswer, HttpRequest, HttpServer};
use crate::sigstore::{base64, hex, sha256};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a registry lists what is about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// By the API, all at once.
    Api,
    /// By the API, one on each page.
    Pages,
    /// Not at all: clients keep the list under a tag.
    Tag,
}

/// Whom a registry lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    Open,
    /// Who knows `user:password`.
    Basic(String),
    /// Who brings a token; tokens are for everybody, or for who knows `user:password`.
    Token(Option<String>),
    /// Who brings a token that was exchanged for this identity token.
    Refresh(String),
}

struct Stored {
    media_type: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Content {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<(String, String), Stored>,
    tags: BTreeMap<(String, String), String>,
}

/// Answers instead of the registry when it wants to.
type Lie = dyn Fn(&HttpRequest) -> Option<HttpAnswer> + Send + Sync;

struct Shared {
    content: Mutex<Content>,
    referrers: Referrers,
    door: Door,
    lie: Mutex<Option<Box<Lie>>>,
}

/// A registry on this machine's loopback.
pub struct ImageRegistry {
    server: HttpServer,
    shared: Arc<Shared>,
}

impl ImageRegistry {
    /// A registry with nothing in it.
    pub fn start(referrers: Referrers, door: Door) -> Self {
        let shared =
            Arc::new(Shared { content: Mutex::default(), referrers, door, lie: Mutex::new(None) });
        let answering = shared.clone();
        let server = HttpServer::start(move |request| answering.answer(request));
        Self { server, shared }
    }

    /// The name of a repository in it.
    pub fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.server.address())
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.server.requests()
    }

    /// From now on `lie` answers what it has an answer for.
    pub fn lie(&self, lie: impl Fn(&HttpRequest) -> Option<HttpAnswer> + Send + Sync + 'static) {
        *self.shared.lie.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(lie));
    }

    /// A manifest or index, by tag or digest.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        let content = self.shared.content();
        let key = |name: &str| (repository.to_owned(), name.to_owned());
        let digest = content.tags.get(&key(name)).map_or(name, String::as_str);
        content.manifests.get(&key(digest)).map(|stored| stored.bytes.clone())
    }

    /// A blob, by its digest.
    pub fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.shared.content().blobs.get(digest).cloned()
    }

    /// Keeps a blob and answers its digest.
    pub fn push_blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.shared.content().blobs.insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// Keeps a manifest or an index and answers its digest. Where there is no API for referrers, one with a
    /// subject is put into the tag that stands in for it, as clients do.
    ///
    /// # Panics
    /// Never: the list of referrers is a list.
    pub fn push(&self, repository: &str, tag: Option<&str>, document: &Value) -> String {
        let bytes = document.to_string().into_bytes();
        let digest = digest(&bytes);
        let is_index = document.get("manifests").is_some();
        let media_type =
            document["mediaType"].as_str().unwrap_or(if is_index { INDEX } else { MANIFEST });
        let mut content = self.shared.content();
        let key = |name: &str| (repository.to_owned(), name.to_owned());
        if let Some(tag) = tag {
            content.tags.insert(key(tag), digest.clone());
        }
        let size = bytes.len();
        let stored = Stored { media_type: media_type.to_owned(), bytes };
        content.manifests.insert(key(&digest), stored);
        drop(content);
        if let (Referrers::Tag, Some(subject)) =
            (self.shared.referrers, document["subject"]["digest"].as_str())
        {
            let tag = subject.replace(':', "-");
            let mut index = self.shared.referrers(repository, subject, Some(&tag));
            index["manifests"].as_array_mut().expect("it is a list").push(json!({
                "mediaType": media_type, "digest": digest, "size": size, "artifactType": document["artifactType"],
            }));
            self.push(repository, Some(&tag), &index);
        }
        digest
    }

    /// A small image with that content.
    pub fn push_image(&self, repository: &str, tag: Option<&str>, content: &[u8]) -> String {
        let config = self.descriptor("application/vnd.oci.image.config.v1+json", b"{}");
        let layer = self.descriptor("application/vnd.oci.image.layer.v1.tar", content);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        self.push(repository, tag, &manifest)
    }

    /// An artifact with these layers, about `subject` if there is one.
    pub fn push_artifact(
        &self,
        repository: &str,
        tag: Option<&str>,
        artifact_type: &str,
        layers: &[Value],
        subject: Option<(&str, usize)>,
    ) -> String {
        let config = self.descriptor("application/vnd.oci.empty.v1+json", b"{}");
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "config": config, "layers": layers,
        });
        if let Some((digest, size)) = subject {
            manifest["subject"] = json!({"mediaType": MANIFEST, "digest": digest, "size": size});
        }
        self.push(repository, tag, &manifest)
    }

    /// Keeps a blob and answers a descriptor of it.
    pub fn descriptor(&self, media_type: &str, bytes: &[u8]) -> Value {
        json!({"mediaType": media_type, "digest": self.push_blob(bytes), "size": bytes.len()})
    }
}

impl Shared {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &HttpRequest) -> HttpAnswer {
        if let Some(lie) = &*self.lie.lock().unwrap_or_else(PoisonError::into_inner)
            && let Some(answer) = lie(request)
        {
            return answer;
        }
        if request.path() == "/token" {
            return self.token(request);
        }
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        let answer = match request.method.as_str() {
            "GET" | "HEAD" => self.find(request),
            _ => self.keep(request),
        };
        answer.unwrap_or_else(|| HttpAnswer::new(404, r#"{"errors":[]}"#))
    }

    /// Takes in what is pushed: a blob in two steps, a manifest in one.
    fn keep(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        let path = request.path().strip_prefix("/v2/")?;
        let refused = || Some(HttpAnswer::new(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#));
        let own = digest(&request.body);
        if let Some((repository, _)) = path.split_once("/blobs/uploads/") {
            if request.method == "POST" {
                let to = format!("/v2/{repository}/blobs/uploads/1?state=begun");
                return Some(HttpAnswer::new(202, "").with("location", to));
            }
            let is_begun = request.query("state") == Some("begun");
            if !is_begun || request.query("digest") != Some(&own) {
                return refused();
            }
            self.content().blobs.insert(own, request.body.clone());
            return Some(HttpAnswer::new(201, ""));
        }
        let (repository, name) = path.split_once("/manifests/")?;
        if name.contains(':') && name != own {
            return refused();
        }
        let media_type = request.header("content-type")?.to_owned();
        let document: Value = serde_json::from_slice(&request.body).ok()?;
        let mut content = self.content();
        if !name.contains(':') {
            content.tags.insert((repository.to_owned(), name.to_owned()), own.clone());
        }
        let stored = Stored { media_type, bytes: request.body.clone() };
        content.manifests.insert((repository.to_owned(), own), stored);
        let answer = HttpAnswer::new(201, "");
        Some(match document["subject"]["digest"].as_str() {
            Some(subject) if self.referrers != Referrers::Tag => {
                answer.with("oci-subject", subject)
            }
            _ => answer,
        })
    }

    fn find(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        let path = request.path().strip_prefix("/v2/")?;
        let (rest, last) = path.rsplit_once('/')?;
        let (repository, kind) = rest.rsplit_once('/')?;
        let content = self.content();
        let key = |name: &str| (repository.to_owned(), name.to_owned());
        match kind {
            "blobs" => content.blobs.get(last).map(|bytes| HttpAnswer::new(200, bytes.clone())),
            "manifests" => {
                let digest = content.tags.get(&key(last)).map_or(last, String::as_str);
                let stored = content.manifests.get(&key(digest))?;
                let answer = HttpAnswer::new(200, stored.bytes.clone());
                Some(
                    answer
                        .with("content-type", &*stored.media_type)
                        .with("docker-content-digest", digest),
                )
            }
            "referrers" if self.referrers != Referrers::Tag => {
                drop(content);
                let mut index = self.referrers(repository, last, None);
                let mut link = None;
                if self.referrers == Referrers::Pages {
                    let all = index["manifests"].as_array().cloned().unwrap_or_default();
                    let page: usize =
                        request.query("page").and_then(|text| text.parse().ok()).unwrap_or(0);
                    index["manifests"] = all.get(page).into_iter().cloned().collect();
                    link = (page + 1 < all.len())
                        .then(|| format!("<{}?page={}>; rel=\"next\"", request.path(), page + 1));
                }
                let answer = HttpAnswer::new(200, index.to_string()).with("content-type", INDEX);
                Some(match link {
                    Some(link) => answer.with("link", link),
                    None => answer,
                })
            }
            _ => None,
        }
    }

    /// The list of what is about `subject`: made of the manifests, or as it stands under a tag.
    fn referrers(&self, repository: &str, subject: &str, tag: Option<&str>) -> Value {
        let content = self.content();
        let key = |name: &str| (repository.to_owned(), name.to_owned());
        let kept = tag.map(|tag| {
            content.tags.get(&key(tag)).and_then(|digest| content.manifests.get(&key(digest)))
        });
        let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
        match kept {
            Some(Some(stored)) => serde_json::from_slice(&stored.bytes).unwrap_or(empty),
            Some(None) => empty,
            None => {
                let mut index = empty;
                for ((_, digest), stored) in
                    content.manifests.iter().filter(|((own, _), _)| own == repository)
                {
                    let Ok(document) = serde_json::from_slice::<Value>(&stored.bytes) else {
                        continue;
                    };
                    if document["subject"]["digest"] == subject {
                        index["manifests"].as_array_mut().expect("it is a list").push(json!({
                            "mediaType": stored.media_type, "digest": digest, "size": stored.bytes.len(),
                            "artifactType": document["artifactType"],
                        }));
                    }
                }
                index
            }
        }
    }

    fn refusal(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        let brought = request.header("authorization");
        let host = request.header("host").unwrap_or_default();
        let (wanted, challenge) = match &self.door {
            Door::Open => return None,
            Door::Basic(both) => {
                (format!("Basic {}", base64(both.as_bytes())), "Basic realm=\"images\"".to_owned())
            }
            // Who may push may pull.
            Door::Token(_) | Door::Refresh(_) if brought == Some("Bearer push-token") => {
                return None;
            }
            Door::Token(_) | Door::Refresh(_) => (
                match request.method.as_str() {
                    "GET" | "HEAD" => "Bearer pull-token".to_owned(),
                    _ => "Bearer push-token".to_owned(),
                },
                format!(
                    "Bearer realm=\"http://{host}/token\",service=\"images\",scope=\"repository:x:pull,push\""
                ),
            ),
        };
        (brought != Some(&wanted))
            .then(|| HttpAnswer::new(401, "{}").with("www-authenticate", challenge))
    }

    fn token(&self, request: &HttpRequest) -> HttpAnswer {
        let is_known = match &self.door {
            Door::Token(None) => true,
            Door::Token(Some(both)) => {
                request.header("authorization")
                    == Some(&format!("Basic {}", base64(both.as_bytes())))
            }
            Door::Refresh(token) => {
                let form = String::from_utf8_lossy(&request.body).into_owned();
                request.method == "POST"
                    && form.split('&').any(|pair| pair == format!("refresh_token={token}"))
            }
            Door::Open | Door::Basic(_) => false,
        };
        if is_known {
            let scope = request.query("scope").map(str::to_owned);
            let scope =
                scope.unwrap_or_else(|| String::from_utf8_lossy(&request.body).into_owned());
            let kind = if scope.contains("push") { "push" } else { "pull" };
            HttpAnswer::new(200, format!(r#"{{"token":"{kind}-token"}}"#))
        } else {
            HttpAnswer::new(401, "{}")
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&sha256(bytes)))
}

//! HTTP over TLS, with one policy for retries, redirects, proxies, deadlines and sizes.
//!
//! ```no_run
//! use dsops_secure_mem::SecretBytes;
//! use dsops_transport::{Client, Url};
//!
//! let client = Client::new()?;
//! let token = SecretBytes::copy_from(b"s.3cr3t")?;
//! let url = Url::parse("https://vault.example:8200/v1/secret/data/app")?;
//! let value = client
//!     .get(&url)
//!     .secret_header("x-vault-token", "", &token)?
//!     .send()?
//!     .require_success()?
//!     .secret(1024 * 1024)?; // straight into protected memory
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it guarantees
//! - Nothing leaves unencrypted, except to this machine's loopback and only when that was asked
//!   for. TLS 1.2 or 1.3 by rustls with aws-lc; certificates are judged as the platform judges
//!   them, or by a CA file.
//! - Every call ends: in time (connecting, silence, all of it), in size (headers, body), in number
//!   (attempts, redirects).
//! - A redirect never leaves the origin unless the call allows it, never leads from `https` to
//!   `http`, and never takes credentials along to another origin.
//! - Only calls that may be repeated are, and only when nothing was answered, or the server asks
//!   for it.
//! - A body that was cut off is an error, also one without a length: the end must be signed by
//!   the server's TLS.
//! - No global state, no environment variable read by this crate: proxies are values.
//! - Errors show neither a header, nor a body, nor the query of a URL.
//!
//! # Where a secret lies on its way
//! - Received: in a buffer of the connection, wiped as soon as it is read from, then in protected
//!   memory ([`Response::secret`]). rustls hands each decrypted record out in a vector of its own
//!   that is freed at once; only an allocator that wipes ([`dsops_secure_mem::ZeroizingAlloc`], as
//!   in the binary) makes that trace go.
//! - Sent: a header's value is copied once into ordinary memory and wiped when the call ends; a
//!   body goes from protected memory into the connection's buffer. That buffer is wiped when it
//!   was sent.
//! - These buffers are not locked into memory. Keys of the TLS session are the library's.
//!
//! # What it does not
//! HTTP/2, compression, cookies, SOCKS.

mod client;
mod error;
mod proxy;
mod request;
mod response;
mod roots;
mod url;
mod wire;

pub use client::{Builder, Client, Retry};
pub use error::{Error, ErrorKind, Phase};
pub use proxy::Proxy;
pub use request::{Redirects, Request};
pub use response::{BodyReader, Received, Response};
pub use roots::{ClientIdentity, Roots};
pub use url::{Scheme, Url};

//! Opens connections: address, socket, tunnel, TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};

use super::socket::Socket;
use super::tls::Tls;
use super::{Deadline, Link, Wire, tunnel};
use crate::Url;
use crate::error::{Error, ErrorKind, Phase};
use crate::proxy::Proxy;
use crate::url::{Scheme, bracketed};

/// Opens a connection for a URL.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) proxy: Option<Arc<Proxy>>,
}

impl Connector<()> for Dialer {
    type Out = Link;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Link>, ureq::Error> {
        let url = url_of(details.uri)?;
        let deadline = Deadline::overall(details.timeout);
        let mut wire: Box<dyn Wire> = Box::new(Socket::connect(&details.addrs, &deadline)?);
        if let Some(proxy) = proxy_for(self.proxy.as_deref(), &url) {
            if proxy.scheme() == Scheme::Https {
                let tls = Tls::handshake(wire, self.tls.clone(), proxy.host(), &deadline)?;
                wire = Box::new(tls);
            }
            let target = format!("{}:{}", bracketed(url.host()), url.port());
            tunnel::open(&mut *wire, proxy, &target, &deadline)?;
        }
        let encrypted = url.scheme() == Scheme::Https;
        if encrypted {
            wire = Box::new(Tls::handshake(wire, self.tls.clone(), url.host(), &deadline)?);
        }
        Ok(Some(Link::new(wire, encrypted)))
    }
}

/// Looks up the address to connect to: the proxy's, or the host's own.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) system: DefaultResolver,
    pub(crate) proxy: Option<Arc<Proxy>>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let url = url_of(uri)?;
        let (host, port, uri) = match proxy_for(self.proxy.as_deref(), &url) {
            Some(proxy) => {
                let text = format!("http://{}:{}/", bracketed(proxy.host()), proxy.port());
                let uri: Uri = text.parse().map_err(ureq::http::Error::from)?;
                (proxy.host(), proxy.port(), uri)
            }
            None => (url.host(), url.port(), uri.clone()),
        };
        let found = match host.parse::<IpAddr>() {
            Ok(address) => std::iter::once(SocketAddr::new(address, port)).collect(),
            Err(_) => self
                .system
                .resolve(&uri, config, timeout)
                .map(|found| found.iter().copied().collect::<Vec<_>>())
                .map_err(not_found)?,
        };
        let mut addresses = self.empty();
        // What goes out in the clear stays on this machine, whatever a name is said to mean.
        let clear = url.scheme() == Scheme::Http;
        for address in found.iter().filter(|address| !clear || address.ip().is_loopback()) {
            addresses.push(*address);
        }
        if addresses.is_empty() {
            return Err(Error::new(Phase::Resolve, ErrorKind::HostNotFound).into());
        }
        Ok(addresses)
    }
}

/// The proxy for a URL. This machine is never asked for through one.
pub(crate) fn proxy_for<'a>(proxy: Option<&'a Proxy>, url: &Url) -> Option<&'a Proxy> {
    proxy.filter(|proxy| url.scheme() == Scheme::Https && !url.is_loopback() && proxy.applies(url))
}

fn url_of(uri: &Uri) -> Result<Url, Error> {
    Url::parse(&uri.to_string())
}

fn not_found(error: ureq::Error) -> ureq::Error {
    match error {
        // The system's resolver has one error for names that do not exist and for no network.
        ureq::Error::Io(_) => Error::new(Phase::Resolve, ErrorKind::HostNotFound).into(),
        other => Error::from_ureq(other, Phase::Resolve).into(),
    }
}

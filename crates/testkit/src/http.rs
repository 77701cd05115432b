//! A small HTTP/1.1 server in this process, for tests: answers what a closure says, also nonsense.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// No request of a test is larger.
const LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`.
    pub method: String,
    /// The path with its query, or `host:port` of a `CONNECT`.
    pub target: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body, if it had a `Content-Length`.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a key of the query, as it stands there.
    pub fn query(&self, key: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    /// Reads one from a connection; `None` at its end.
    ///
    /// # Errors
    /// Those of the connection, and for what is not a request.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other("not a request line"));
        };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let mut request = Self { method, target, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok());
        if let Some(length) = length {
            stream.take(LIMIT_BYTES.min(length)).read_to_end(&mut request.body)?;
        }
        Ok(Some(request))
    }
}

/// What is written by hand.
type Script = Arc<dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync>;

/// What the server answers.
#[derive(Clone)]
pub enum HttpAnswer {
    /// A response with a `Content-Length`; the connection stays open.
    Full {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Whatever the closure writes; then the connection is closed.
    Script(Script),
}

impl HttpAnswer {
    /// A response with that status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Full { status, headers: Vec::new(), body: body.into() }
    }

    /// These bytes, and then the end.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::script(move |stream| stream.write_all(&bytes))
    }

    /// What the closure writes, and then the end.
    pub fn script(
        write: impl Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::Script(Arc::new(write))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }
}

/// How a server answers.
pub type HttpHandler = dyn Fn(&HttpRequest) -> HttpAnswer + Send + Sync;

/// Answers the requests of one connection until either side ends it; each is put into `log`.
///
/// # Errors
/// Those of the connection.
pub fn serve(
    stream: impl Read + Write,
    handler: &HttpHandler,
    log: &Mutex<Vec<HttpRequest>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = HttpRequest::read(&mut stream)? {
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        match handler(&request) {
            HttpAnswer::Full { status, headers, body } => {
                let mut message = Vec::new();
                write!(message, "HTTP/1.1 {status} As the test says\r\n")?;
                for (name, value) in &headers {
                    write!(message, "{name}: {value}\r\n")?;
                }
                if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                    write!(message, "content-length: {}\r\n", body.len())?;
                }
                message.extend(b"\r\n");
                if request.method != "HEAD" {
                    message.extend(body);
                }
                stream.get_mut().write_all(&message)?;
                stream.get_mut().flush()?;
            }
            HttpAnswer::Script(write) => {
                write(stream.get_mut())?;
                return stream.get_mut().flush();
            }
        }
    }
    Ok(())
}

/// Serves one accepted connection.
type Accept = dyn Fn(TcpStream) + Send + Sync;

/// A listener on this machine's loopback with a thread for each connection. Ends when dropped.
pub struct HttpServer {
    address: SocketAddr,
    log: Arc<Mutex<Vec<HttpRequest>>>,
    ended: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves plain HTTP.
    ///
    /// # Panics
    /// When there is no loopback.
    pub fn start(handler: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let to = log.clone();
        let accept = move |stream| {
            // Clients of tests break connections on purpose.
            let _ = serve(stream, &handler, &to);
        };
        Self::listen(log, Arc::new(accept))
    }

    /// Hands each connection to `accept`, which may speak TLS before it calls [`serve`] with the
    /// log it is given.
    ///
    /// # Panics
    /// When there is no loopback.
    pub fn start_with(
        accept: impl Fn(TcpStream, &Mutex<Vec<HttpRequest>>) + Send + Sync + 'static,
    ) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let to = log.clone();
        Self::listen(log, Arc::new(move |stream| accept(stream, &to)))
    }

    fn listen(log: Arc<Mutex<Vec<HttpRequest>>>, accept: Arc<Accept>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
        let address = listener.local_addr().expect("it is bound");
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), accept) = (stream, accept.clone()) else { continue };
                // A thread never outlives its test by more than this.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                std::thread::spawn(move || accept(stream));
            }
        });
        Self { address, log, ended, listener: Some(listener) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener up.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

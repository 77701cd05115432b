//! A registry of others: Debian's `docker-registry`, for as long as a test runs.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that whoever runs the tests named in a variable. Without it they are not run, and that is printed.
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "for tests only")]
pub fn named_program(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    if named.is_none() {
        println!("not run: {variable} names no program");
    }
    named
}

/// The registry, on this machine's loopback. It ends when this is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    address: String,
}

impl DockerRegistry {
    /// Starts the program; what it keeps is kept in `folder`.
    ///
    /// # Panics
    /// It does not start.
    #[allow(clippy::disallowed_methods, reason = "for tests only")]
    pub fn start(program: &Path, folder: &Path) -> Self {
        // Free a moment ago.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.expect("loopback has free ports");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"}}\n",
            folder.join("registry").display()
        );
        std::fs::write(&config, text).expect("the test's folder can be written");
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program that was named starts");
        let registry = Self { child, address: address.to_string() };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "the registry does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

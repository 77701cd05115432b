//! Fetches a secret from a server on this machine, straight into protected memory.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use dsops_secure_mem::{SecretBytes, harden_process};
use dsops_transport::{Client, Url};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    harden_process();
    // A server for the example; yours speaks TLS, and needs no `allow_loopback_http`.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = Url::parse(&format!("http://{}/v1/secret", listener.local_addr()?))?;
    let server = thread::spawn(move || -> std::io::Result<()> {
        let (mut connection, _) = listener.accept()?;
        let _ = connection.read(&mut [0; 4096])?;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhunter2")
    });

    let client =
        Client::builder().allow_loopback_http().deadline(Duration::from_secs(10)).build()?;
    let token = SecretBytes::copy_from(b"s.3cr3t")?;
    let value = client
        .get(&url)
        .secret_header("x-vault-token", "", &token)? // wiped when the call ends
        .send()?
        .require_success()?
        .secret(1024)?; // at most so many bytes
    assert_eq!(&*value.expose(), b"hunter2");
    server.join().map_err(|_| "the server panicked")??;
    Ok(())
}

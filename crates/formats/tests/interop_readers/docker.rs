//! The real `docker run --env-file`, talking to a daemon that only notes what it is asked to create.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use crate::tools::shell;

/// The `Env` of the container that docker wants to create.
pub fn created_with(docker: &Path, env_file: &Path) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let daemon = thread::spawn(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            if let Some(body) = serve(stream) {
                return body;
            }
        }
    });
    let args = ["run", "--pull", "never", "--env-file", env_file.to_str().unwrap(), "image"];
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell(docker, &["--host", &address]);
    // It fails: the daemon refuses to create anything.
    let result = command.args(args).env("HOME", folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr).into_owned();
    // When docker refused the file it never asked; then this ends the daemon.
    let _ = ask(&address, "POST /containers/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
    let body: serde_json::Value = serde_json::from_slice(&daemon.join().unwrap()).unwrap();
    let Some(entries) = body["Env"].as_array() else { panic!("docker: {errors}") };
    entries.iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

fn ask(address: &str, request: &str) -> std::io::Result<()> {
    TcpStream::connect(address.trim_start_matches("tcp://"))?.write_all(request.as_bytes())
}

/// Answers requests of one connection; the body of the one that creates ends it.
fn serve(stream: TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut request, mut length, mut is_chunked) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let header = line.trim().to_ascii_lowercase();
            if request.is_empty() {
                request = header;
            } else if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            } else if header.is_empty() {
                break;
            } else {
                is_chunked |= header == "transfer-encoding: chunked";
            }
        }
        let body = if is_chunked { chunks(&mut reader)? } else { exactly(&mut reader, length)? };
        if request.contains("/containers/create") {
            let _ = respond(&mut writer, "500 Internal Server Error", "{\"message\":\"noted\"}");
            return Some(body);
        }
        let is_head = request.starts_with("head");
        respond(&mut writer, "200 OK", if is_head { "" } else { "OK" }).ok()?;
    }
}

fn respond(writer: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    write!(
        writer,
        "HTTP/1.1 {status}\r\nApi-Version: 1.43\r\nOstype: linux\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn exactly(reader: &mut impl std::io::Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        body.extend(exactly(reader, length)?);
        exactly(reader, 2)?;
        if length == 0 {
            return Some(body);
        }
    }
}

//! The servers that a comparison starts: one that throws bytes away, and the emulator.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{Fallible, cost};

/// The first argument of a process that is the server which throws bytes away.
pub(crate) const ROLE: &str = "null-server";

/// The key pair that the servers accept.
pub(crate) const ACCESS_KEY_ID: &str = "bench";
/// The secret of [`ACCESS_KEY_ID`].
pub(crate) const ACCESS_KEY_SECRET: &str = "bench-secret";

/// A running server, ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: String,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Server {
    /// Starts a server that takes any upload and throws the bytes away.
    pub(crate) fn null(folder: &Path, tls: bool) -> Fallible<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE);
        let mut ca_file = None;
        if tls {
            let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
            std::fs::write(&certificate, made.cert.pem())?;
            std::fs::write(&key, made.signing_key.serialize_pem())?;
            command.args([&certificate, &key]);
            ca_file = Some(certificate);
        }
        Self::start(&mut command, ca_file)
    }

    /// Starts the emulator, which keeps no bytes.
    pub(crate) fn emulator(folder: &Path) -> Fallible<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossup"));
        command.args(["emulator", "--listen", "127.0.0.1:0", "--discard", "--bucket", "bench"]);
        command.args(["--access-key-id", ACCESS_KEY_ID, "--access-key-secret", ACCESS_KEY_SECRET, "--data"]);
        Self::start(command.arg(folder.join("store")), None)
    }

    fn start(command: &mut Command, ca_file: Option<PathBuf>) -> Fallible<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("the server has no stdout")?).lines();
        let mut server = Self { child, endpoint: String::new(), ca_file };
        for line in lines {
            if let Some((_, endpoint)) = line?.split_once("OSS_ENDPOINT=") {
                endpoint.trim_matches('\'').clone_into(&mut server.endpoint);
                return Ok(server);
            }
        }
        Err("the server ended without saying where it listens".into())
    }

    /// Returns the CPU seconds that it has taken.
    pub(crate) fn cpu(&self) -> Fallible<f64> {
        cost::cpu_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with the bench in any case; its exit status does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the server. `identity` is the certificate and the key for TLS.
pub(crate) fn run(identity: &[&str]) -> Fallible<()> {
    let tls = match identity {
        [certificate, key] => Some(Arc::new(server_config(certificate, key)?)),
        _ => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("OSS_ENDPOINT={scheme}://{}", listener.local_addr()?);
    for tcp in listener.incoming() {
        let (tcp, tls) = (tcp?, tls.clone());
        std::thread::spawn(move || {
            // A client that disconnects is not an error of this program.
            let _ = serve(tcp, tls);
        });
    }
    Ok(())
}

fn server_config(certificate: &str, key: &str) -> Fallible<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    Ok(rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

/// A connection whose incoming bytes can be thrown away.
trait Discard: Read + Write {
    /// Throws up to `buffer.len()` incoming bytes away and returns how many.
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Discard for TcpStream {
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // On a TCP socket TRUNC drops the bytes in the kernel, so that the server costs little.
        let flags = RecvFlags::TRUNC | RecvFlags::WAITALL;
        let (_, count) = rustix::net::recv(&*self, &mut *buffer, flags)?;
        Ok(count)
    }
}

impl Discard for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(64 << 10);
        self.read(&mut buffer[..count])
    }
}

fn serve(tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) -> Fallible<()> {
    tcp.set_nodelay(true)?;
    match tls {
        None => answer_all(tcp),
        Some(config) => answer_all(rustls::StreamOwned::new(rustls::ServerConnection::new(config)?, tcp)),
    }
}

fn answer_all(mut wire: impl Discard) -> Fallible<()> {
    let mut buffer = vec![0u8; 1 << 20];
    let mut have = 0;
    loop {
        let head = loop {
            match buffer[..have].windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if have == buffer.len() => return Err("the head is too long".into()),
                None => match wire.read(&mut buffer[have..])? {
                    0 => return Ok(()),
                    count => have += count,
                },
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
        if header(&text, "expect").is_some() {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length: usize = header(&text, "content-length").map_or(Ok(0), str::parse)?;
        let mut left = length - length.min(have - head);
        let used = head + length - left;
        buffer.copy_within(used..have, 0);
        have -= used;
        while left > 0 {
            let most = left.min(buffer.len() - have);
            match wire.discard(&mut buffer[have..have + most])? {
                0 => return Err("the body was cut".into()),
                count => left -= count,
            }
        }
        wire.write_all(answer(&text).as_bytes())?;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Answers as OSS and S3 do where an upload is concerned, and reports every object as missing.
fn answer(head: &str) -> String {
    const ETAG: &str = "\"D41D8CD98F00B204E9800998ECF8427E\"";
    const ID: &str = "<UploadId>0004B9894A22E5B1888A1E29F8236E2D</UploadId>";
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let names = format!("<Bucket>{bucket}</Bucket><Key>{key}</Key>");
    let xml = |root: &str, inner: &str| format!("<{root}>{names}{inner}</{root}>");
    let (status, body) = match method {
        "POST" if asks("uploads") => ("200 OK", xml("InitiateMultipartUploadResult", ID)),
        "POST" if asks("uploadId") => {
            ("200 OK", xml("CompleteMultipartUploadResult", &format!("<ETag>{ETAG}</ETag>")))
        }
        "GET" if asks("uploadId") => {
            ("200 OK", xml("ListPartsResult", &format!("{ID}<IsTruncated>false</IsTruncated>")))
        }
        "PUT" => ("200 OK", String::new()),
        "DELETE" => ("204 No Content", String::new()),
        "HEAD" => ("404 Not Found", String::new()),
        _ => ("404 Not Found", "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>".to_owned()),
    };
    let length =
        if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!(
        "HTTP/1.1 {status}\r\nx-oss-request-id: 5C06A3B67B8B5A3DA422299D\r\nETag: {ETAG}\r\n\
         Content-Type: application/xml\r\n{length}\r\n{body}"
    )
}

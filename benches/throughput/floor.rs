//! The floor: no more than reading, hashing and writing, in 64 MiB parts of 256 KiB blocks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::Fallible;
use crate::cost::{self, Cost};
use crate::options::Options;
use crate::target::Target;

/// The first argument of a process that is the floor.
pub(crate) const ROLE: &str = "floor";

const PART: u64 = 64 << 20;
const BLOCK: usize = 256 << 10;

/// Runs the floor as a process and returns what it took, without opening the upload and without signing.
pub(crate) fn measure(options: &Options, target: &Target, image: &Path) -> Fallible<Cost> {
    target.with_parts(options.size, PART, |urls| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).arg(image).arg(options.floor_threads.to_string()).args(&target.ca_file);
        cost::measure(&mut command, Some(urls))
    })
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// What all threads of the floor share.
struct Job {
    file: File,
    size: u64,
    /// A presigned URL for each part.
    urls: Vec<String>,
    next: AtomicUsize,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// Is the floor: sends the parts whose URLs come by stdin.
pub(crate) fn run(file: &Path, threads: usize, ca: Option<&Path>) -> Fallible<()> {
    let urls: Vec<String> = std::io::stdin().lines().collect::<Result<_, _>>()?;
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    let tls =
        urls.first().is_some_and(|url| url.starts_with("https:")).then(|| client_config(ca)).transpose()?;
    let job = Job { file, size, urls, next: AtomicUsize::new(0), tls };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| send(&job))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread of the floor panicked")?)
    })
}

fn client_config(ca: Option<&Path>) -> Fallible<Arc<rustls::ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let config = match ca {
        Some(file) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file)?)?;
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => {
            let system = rustls_platform_verifier::Verifier::new(provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(system)).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

/// Splits a URL into host with port, and path with query.
fn split(url: &str) -> Fallible<(&str, &str)> {
    let (_, rest) = url.split_once("://").ok_or("a URL has no scheme")?;
    let slash = rest.find('/').ok_or("a URL has no path")?;
    Ok(rest.split_at(slash))
}

fn connect(job: &Job, authority: &str) -> Fallible<Box<dyn Wire>> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse()?),
        None => (authority, if job.tls.is_some() { 443 } else { 80 }),
    };
    let tcp = TcpStream::connect((host, port))?;
    tcp.set_nodelay(true)?;
    let Some(config) = &job.tls else { return Ok(Box::new(tcp)) };
    let connection = rustls::ClientConnection::new(Arc::clone(config), host.to_owned().try_into()?)?;
    Ok(Box::new(rustls::StreamOwned::new(connection, tcp)))
}

fn send(job: &Job) -> Fallible<()> {
    let Some(first) = job.urls.first() else { return Ok(()) };
    let (authority, _) = split(first)?;
    let mut wire = connect(job, authority)?;
    let mut block = vec![0u8; BLOCK];
    loop {
        let part = job.next.fetch_add(1, Ordering::Relaxed);
        let Some(url) = job.urls.get(part) else { return Ok(()) };
        let (_, path) = split(url)?;
        let (mut at, end) = (part as u64 * PART, ((part as u64 + 1) * PART).min(job.size));
        write!(wire, "PUT {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n", end - at)?;
        let mut hasher = ossup::checksum::Hasher::new();
        while at < end {
            let count = (end - at).min(BLOCK as u64) as usize;
            job.file.read_exact_at(&mut block[..count], at)?;
            hasher.update(&block[..count]);
            wire.write_all(&block[..count])?;
            at += count as u64;
        }
        std::hint::black_box(hasher.value());
        wire.flush()?;
        answer(&mut *wire)?;
    }
}

/// Reads the head of an answer, which has no body when it is good.
fn answer(wire: &mut dyn Wire) -> Fallible<()> {
    let (mut head, mut have) = ([0u8; 4096], 0);
    while !head[..have].windows(4).any(|window| window == b"\r\n\r\n") {
        match wire.read(&mut head[have..])? {
            0 => return Err("the server closed the connection".into()),
            count => have += count,
        }
    }
    if head.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(format!("the floor's part was refused: {}", String::from_utf8_lossy(&head[..have])).into())
}

//! A TCP proxy that cuts connections and corrupts bytes, by a plan.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What is done to the bytes that pass.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// After so many bytes towards the server, over all connections, one connection is cut; and again.
    pub(crate) cut_every: Option<u64>,
    /// A bit of the byte at this offset of all bytes towards the server is flipped.
    pub(crate) corrupt_at: Option<u64>,
    /// After so many bytes towards the server, over all connections, a bit of a part is flipped; and again.
    pub(crate) corrupt_every: Option<u64>,
    /// After so many bytes towards the client, over all connections, one connection is cut; and again.
    pub(crate) cut_answers_every: Option<u64>,
}

/// A proxy, ended when it is dropped.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
}

#[derive(Default)]
struct Shared {
    target: Mutex<String>,
    faults: Faults,
    up: AtomicU64,
    down: AtomicU64,
    cuts: AtomicU64,
    requests: AtomicU64,
    in_vain: AtomicU64,
    /// The requests of all connections.
    open: Mutex<Vec<Arc<Mutex<Open>>>>,
    /// Whether a bit is to be flipped at the next chance.
    corrupts: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    /// Starts a proxy in front of `http://HOST:PORT`.
    pub(crate) fn start(target: &str, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { target: Mutex::new(host(target)), faults, ..Shared::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let target = accepting.target.lock().unwrap().clone();
                // A server that is gone looks to the client as it would without the proxy, but for the moment.
                let Ok(server) = TcpStream::connect(target) else { continue };
                accepting.clone().serve(client, server);
            }
        });
        Self { endpoint: format!("http://{address}"), shared, address }
    }

    /// Forwards new connections to another server.
    pub(crate) fn retarget(&self, target: &str) {
        *self.shared.target.lock().unwrap() = host(target);
    }

    /// Returns how many bytes went towards the server.
    pub(crate) fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }

    /// Returns how many requests went towards the server.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of requests were in vain: in flight when their connection ended, damaged, or refused. To
    /// be asked when no client runs: what has no answer then gets none, though a server that does not read may keep
    /// the connection.
    pub(crate) fn bytes_in_vain(&self) -> u64 {
        let open: u64 = self.shared.open.lock().unwrap().iter().map(|open| open.lock().unwrap().bytes).sum();
        self.shared.in_vain.load(Ordering::Relaxed) + open
    }

    /// Returns how many connections were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // The thread that accepts looks at the mark once more.
        let _ = TcpStream::connect(self.address);
    }
}

/// Most that is the head of a request.
const HEAD: u64 = 4 << 10;

/// The request of a connection that has no answer yet. Both directions look at it, each at all of it at once.
#[derive(Default)]
struct Open {
    bytes: u64,
    damaged: bool,
    /// It was refused, perhaps before all of it had passed: what follows belongs to it until another one begins.
    refused: bool,
}

/// Whether these are the first bytes of a request.
fn begins_request(bytes: &[u8]) -> bool {
    [&b"PUT "[..], b"POST ", b"GET ", b"HEAD ", b"DELETE "].iter().any(|method| bytes.starts_with(method))
}

fn host(endpoint: &str) -> String {
    endpoint.trim_start_matches("http://").to_owned()
}

impl Shared {
    fn serve(self: Arc<Self>, client: TcpStream, server: TcpStream) {
        let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (both, open) = (self.clone(), Arc::new(Mutex::<Open>::default()));
        let request = Arc::clone(&open);
        self.open.lock().unwrap().push(Arc::clone(&open));
        std::thread::spawn(move || both.copy(up.0, up.1, &request, true));
        std::thread::spawn(move || self.copy(server, client, &open, false));
    }

    /// Copies one direction until either ends.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, open: &Mutex<Open>, upwards: bool) {
        let (count, every) = match upwards {
            true => (&self.up, self.faults.cut_every),
            false => (&self.down, self.faults.cut_answers_every),
        };
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let before = count.fetch_add(read as u64, Ordering::Relaxed);
            let after = before + read as u64;
            let mut request = open.lock().unwrap();
            match upwards {
                true if request.refused && !begins_request(&buffer[..read]) => {
                    self.in_vain.fetch_add(read as u64, Ordering::Relaxed);
                }
                true => {
                    request.refused = false;
                    let already = request.bytes;
                    request.bytes += read as u64;
                    self.requests.fetch_add(u64::from(already == 0), Ordering::Relaxed);
                    if self.faults.corrupt_every.is_some_and(|every| before / every != after / every) {
                        self.corrupts.store(true, Ordering::Relaxed);
                    }
                    if already >= HEAD && self.corrupts.swap(false, Ordering::Relaxed) {
                        buffer[0] ^= 1;
                        request.damaged = true;
                    }
                }
                // The first bytes of an answer; of a longer one the rest finds nothing open.
                false => {
                    let bytes = std::mem::take(&mut request.bytes);
                    let damaged = std::mem::take(&mut request.damaged);
                    let refused = bytes > 0 && !buffer.starts_with(b"HTTP/1.1 2");
                    request.refused |= refused;
                    self.in_vain.fetch_add(if damaged || refused { bytes } else { 0 }, Ordering::Relaxed);
                }
            }
            drop(request);
            if let Some(at) = self.faults.corrupt_at.filter(|at| upwards && (before..after).contains(at)) {
                buffer[(at - before) as usize] ^= 1;
            }
            if every.is_some_and(|every| before / every != after / every) {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // Whatever ended one direction ends both.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
        let left = std::mem::take(&mut open.lock().unwrap().bytes);
        self.in_vain.fetch_add(left, Ordering::Relaxed);
    }
}

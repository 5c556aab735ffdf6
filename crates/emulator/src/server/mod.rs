//! The door over TCP: HTTP/1.1 in clear text, bounded against oversized heads and slow or silent clients, and closed
//! to web pages.

mod body;
mod guard;
mod lobby;
mod stream;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Disconnect, Emulator};
use body::IdleLimit;
use guard::Guard;
use lobby::{Lobby, Visitor};
use stream::LingeringStream;

/// Largest head of a request in bytes.
pub const MAX_HEAD: usize = 64 << 10;
/// How many connections are open at a time. A further one takes the place of the one that has been waiting longest
/// for a request; if none is, it waits itself.
pub const MAX_CONNECTIONS: usize = 1024;
/// How long the head of the next request may take, and how long a body or a reader may pause.
pub const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How long requests in flight may take to end once the server shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long accepting pauses when the system is out of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// An emulator that listens on a port.
#[derive(Debug)]
pub struct Server {
    emulator: Emulator,
    listener: TcpListener,
    address: SocketAddr,
    max_connections: usize,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub async fn bind(emulator: Emulator, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { emulator, listener, address, max_connections: MAX_CONNECTIONS })
    }

    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn bind_loopback(emulator: Emulator) -> io::Result<Self> {
        Self::bind(emulator, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Serves until `shutdown` ends, and then lets requests in flight end for a few seconds.
    ///
    /// # Errors
    ///
    /// When the listener breaks.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops all connections.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let permits = Arc::new(Semaphore::new(self.max_connections));
        let lobby = Arc::new(Lobby::default());
        let hosts = &self.emulator.options().hosts;
        let cnames = self.emulator.options().cnames.keys();
        let guard = Arc::new(Guard::new(self.address.ip(), hosts.iter().chain(cnames).cloned()));
        let stop = CancellationToken::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    if permits.available_permits() == 0 {
                        lobby.dismiss_one();
                    }
                    let permit = tokio::select! {
                        () = &mut shutdown => break,
                        permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore stays open"),
                    };
                    let (emulator, guard) = (self.emulator.clone(), Arc::clone(&guard));
                    let (visitor, stop) = (Visitor::enter(&lobby), stop.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = connection(emulator, guard, stream, &visitor, stop) => {}
                            () = visitor.dismissed() => {}
                        }
                        visitor.leave();
                        drop(permit);
                    });
                }
                // The client is gone already, or descriptors are short: neither ends the server.
                Err(error) if is_passing(&error) => tokio::time::sleep(ACCEPT_BACKOFF).await,
                Err(error) => return Err(error),
            }
        }
        drop(self.listener);
        stop.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        // What has not ended by then is dropped with the set.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, ended).await;
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

async fn connection(
    emulator: Emulator,
    guard: Arc<Guard>,
    stream: TcpStream,
    visitor: &Arc<Visitor>,
    stop: CancellationToken,
) {
    if stream.set_nodelay(true).is_err() {
        // The connection broke already.
        return;
    }
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (emulator, guard, answering) = (emulator.clone(), Arc::clone(&guard), visitor.served());
        async move {
            let response = match guard.refusal(request.headers()) {
                Some(reason) => emulator.refuse(&request, reason),
                None => {
                    let request =
                        request.map(|body| ossup_core::http::Body::new(IdleLimit::new(body, IDLE_LIMIT)));
                    emulator.handle(request).await?
                }
            };
            Ok::<_, Disconnect>(response.map(|body| answering.with(body)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT).max_header_size(MAX_HEAD);
    let mut served =
        pin!(http.serve_connection(TokioIo::new(LingeringStream::new(stream, IDLE_LIMIT)), service));
    let outcome: Result<(), hyper::Error> = tokio::select! {
        outcome = &mut served => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    // A broken connection is the client's affair; a cut one is what was asked for.
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

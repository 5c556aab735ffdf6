//! Whether a host can be reached at all, without a request: what is measured is the name service and the way there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How far it got on the way to a host.
#[derive(Debug)]
pub(super) struct Reached {
    /// The host's addresses and how long the name service took, or what it said.
    pub(super) resolved: Result<(Vec<IpAddr>, Duration), String>,
    /// How long the first connection took that stands, or why none does; nothing if there is no address.
    pub(super) connected: Option<Result<Duration, String>>,
}

/// Resolves a host and connects to it, directly. Each step may take `limit`.
pub(super) async fn reach(host: &str, port: u16, limit: Duration) -> Reached {
    let began = Instant::now();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = match timeout(limit, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect::<Vec<SocketAddr>>()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    };
    let took = began.elapsed();
    let connected = match &resolved {
        Ok(addresses) if !addresses.is_empty() => Some(connect(addresses, limit).await),
        _ => None,
    };
    let resolved = resolved.map(|all| (all.iter().map(SocketAddr::ip).collect(), took));
    Reached { resolved, connected }
}

/// Tries one address after the other, as one that waits does not know which will do.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<Duration, String> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    let deadline = Instant::now() + limit;
    for address in addresses {
        let began = Instant::now();
        match tokio::time::timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(began.elapsed()),
            Ok(Err(error)) => last = error,
            Err(_) => return Err(format!("no connection within {} s", limit.as_secs())),
        }
    }
    Err(last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_listener_is_reached_and_a_closed_port_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let there = reach("127.0.0.1", port, LIMIT).await;
        assert_eq!(there.resolved.unwrap().0, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(there.connected.unwrap().is_ok());
        drop(listener);
        assert!(reach("127.0.0.1", port, LIMIT).await.connected.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_not_connected_to() {
        let nowhere = reach("no such host", 1, LIMIT).await;
        assert!(nowhere.resolved.is_err() && nowhere.connected.is_none());
    }
}

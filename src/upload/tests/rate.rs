//! What the receiver sees of a bandwidth limit.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::*;
use crate::http::{Body, TransportError};
use crate::transfer::Limits;

/// When how many bytes arrived.
type Arrivals = Arc<Mutex<Vec<(Instant, u64)>>>;

/// The emulator, which notes when bytes arrive.
#[derive(Debug)]
struct Receiver {
    emulator: Emulator,
    arrivals: Arrivals,
}

impl Transport for Receiver {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        let arrivals = Arc::clone(&self.arrivals);
        self.emulator.send(request.map(|inner| Body::new(Noted { inner, arrivals })))
    }
}

struct Noted {
    inner: Body,
    arrivals: Arrivals,
}

impl http_body::Body for Noted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let count = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            this.arrivals.lock().unwrap().push((Instant::now(), count));
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Returns the bytes per second that arrived in each five seconds, a second apart, from `from` to `to` seconds.
fn rates(arrivals: &[(f64, u64)], from: u32, to: u32) -> Vec<f64> {
    let within = |start: f64| arrivals.iter().filter(move |(at, _)| (start..start + 5.0).contains(at));
    (from..=to - 5)
        .map(|start| within(f64::from(start)).map(|(_, count)| *count as f64).sum::<f64>() / 5.0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_receiver_sees_the_bandwidth_limit_kept_and_changed() {
    const RATE: f64 = 4.0 * MIB as f64;
    let limits = Limits::default();
    limits.set_bandwidth(Some(RATE as u64));
    let arrivals = Arrivals::default();
    let began = Instant::now();
    let world = World::new(112 * MIB);
    let receiver = Receiver { emulator: world.emulator.clone(), arrivals: arrivals.clone() };
    let credentials = Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET);
    let options = world.client.options();
    let client = Client::new(ClientOptions::new(
        options.endpoint.clone(),
        options.region.clone(),
        Arc::new(StaticCredentials::new(credentials)),
        Arc::new(receiver),
    ));
    let faster = limits.clone();
    let later = async move {
        tokio::time::sleep(Duration::from_secs(12)).await;
        faster.set_bandwidth(Some(2 * RATE as u64));
        std::future::pending::<()>().await;
    };
    let source = Arc::new(FileSource::open(world.file()).unwrap());
    let upload = Upload::new(client, source, world.object()).with_limits(limits);
    tokio::select! {
        report = upload.run() => drop(report.unwrap()),
        () = later => unreachable!("it never ends"),
    }
    world.assert_stored().await;

    let seen: Vec<(f64, u64)> =
        arrivals.lock().unwrap().iter().map(|(at, count)| ((*at - began).as_secs_f64(), *count)).collect();
    // 48 MiB in the first twelve seconds, the other 64 in eight more.
    for (rates, limit) in [(rates(&seen, 2, 12), RATE), (rates(&seen, 12, 20), 2.0 * RATE)] {
        assert!(!rates.is_empty());
        for rate in rates {
            let share = rate / limit;
            assert!(share <= 1.05, "{share} of the limit");
        }
    }
    let end = seen.last().unwrap().0;
    assert!(end <= 20.0 / 0.95, "95 % of what is allowed: {end} s");
}

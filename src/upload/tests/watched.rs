//! What is noticed while requests are under way: a machine that slept, and silence.

use super::*;

/// A clock that runs with the paused one, and can be set.
#[derive(Debug)]
struct Settable {
    began: (jiff::Timestamp, Instant),
    ahead: std::sync::atomic::AtomicI64,
}

impl Settable {
    fn new() -> Arc<Self> {
        let began = (crate::clock::SystemClock.now(), Instant::now());
        Arc::new(Self { began, ahead: 0.into() })
    }
}

impl Clock for Settable {
    fn now(&self) -> jiff::Timestamp {
        let ahead = self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        self.began.0 + self.began.1.elapsed() + jiff::SignedDuration::from_secs(ahead)
    }
}

/// Sets the clock ahead and never answers, as a network does to a machine that slept.
fn sleep(clock: &Arc<Settable>, seconds: i64) -> Effect {
    let clock = Arc::clone(clock);
    Effect::First(Arc::new(move || {
        clock.ahead.store(seconds, std::sync::atomic::Ordering::Relaxed);
        Box::pin(std::future::pending())
    }))
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_makes_its_connections_anew() {
    for operation in ["Initiate", "UploadPart", "Complete"] {
        for seconds in [3600, -3600] {
            let (clock, began) = (Settable::new(), Instant::now());
            let world = World::with(3 * MIB, |options| options.with_clock(clock.clone()));
            world.script.rule(operation, 0, 1, sleep(&clock, seconds));
            let (sink, said) = listening();
            world.upload().with_events(sink).run().await.unwrap();
            world.assert_stored().await;
            assert_eq!(world.script.resets(), 1);
            assert!(began.elapsed() < Duration::from_secs(5), "no limit was waited for");
            assert!(said.lock().unwrap()[0].contains("slept"), "{said:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_corrected_a_little_drops_nothing() {
    let clock = Settable::new();
    let world = World::with(3 * MIB, |options| options.with_clock(clock.clone()));
    world.script.rule("UploadPart", 0, 1, sleep(&clock, 5));
    world.upload().run().await.unwrap();
    assert_eq!(world.script.resets(), 0);
}

/// Connections that fall silent together are no reason to drop those that were made since.
#[tokio::test(start_paused = true)]
async fn after_a_time_out_idle_connections_are_dropped_once() {
    for (effect, resets) in [(Effect::Silence, 1), (Effect::LostRequest, 0)] {
        let world = World::new(8 * MIB);
        world.script.rule("UploadPart", 0, 3, effect);
        world.upload().with_parallel(3).run().await.unwrap();
        world.assert_stored().await;
        assert_eq!(world.script.resets(), resets);
    }
}

/// Whatever stalls, a notice reports it every 30 s.
#[tokio::test(start_paused = true)]
async fn silence_is_explained_every_thirty_seconds() {
    let explained = async |operation: &'static str, effect: Effect| {
        let world = World::with(3 * MIB, |options| options.with_dice(Arc::new(|| 0.5)));
        world.script.rule(operation, 0, usize::MAX, effect);
        let (sink, said) = listening();
        let upload = world.upload().with_events(sink);
        let _ = tokio::time::timeout(Duration::from_secs(95), upload.run()).await;
        let said = said.lock().unwrap();
        said.clone()
    };
    let lines = explained("UploadPart", Effect::Silence).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("30 s: ") && lines[2].starts_with("90 s: "), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains("did not answer") || line.contains("no byte")),
        "{lines:?}"
    );
    let refused = Effect::Answer(503, "<Error><Code>ServiceUnavailable</Code></Error>".to_owned());
    let lines = explained("UploadPart", refused).await;
    assert!(lines.len() == 3 && lines[0].contains("ServiceUnavailable"), "{lines:?}");
    let lines = explained("Initiate", Effect::Silence).await;
    assert!(lines[0].contains("asked for") && lines[1].contains("did not answer"), "{lines:?}");
    let lines = explained("Complete", Effect::Silence).await;
    assert!(lines.len() == 3 && lines[0].contains("puts the object together"), "{lines:?}");
}

/// A disk that hangs is not taken for a network that does.
#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_is_not_blamed_on_the_network() {
    let world = World::with(3 * MIB, |options| options.with_dice(Arc::new(|| 0.5)));
    let progress = Arc::new(Progress::new());
    let (sink, said) = listening();
    let reading = progress.reading(1_048_576);
    let stalled = crate::transfer::Watch::over(
        &world.client,
        &progress,
        &sink,
        "nothing",
        std::future::pending::<()>(),
    );
    let _ = tokio::time::timeout(Duration::from_secs(35), stalled).await;
    assert!(said.lock().unwrap()[0].contains("a read at offset 1048576 has taken 30 s"), "{said:?}");
    drop(reading);
    assert_eq!(progress.longest_read(), None);
}

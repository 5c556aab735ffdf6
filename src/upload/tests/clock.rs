//! A clock that is wrong, and a token that ends.

use super::*;

/// A clock that is eight hours ahead.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> jiff::Timestamp {
        crate::clock::SystemClock.now() + jiff::SignedDuration::from_hours(8)
    }
}

#[tokio::test]
async fn a_skewed_clock_is_corrected_from_the_answer() {
    let world = World::with(3 * MIB, |options| options.with_clock(Arc::new(Ahead)));
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(report.stored.size, 3 * MIB);
    assert!((-28_805..=-28_795).contains(&world.client.clock_correction()));
    assert_eq!(world.script.count("Initiate"), 2, "refused once, and then signed by the right time");
}

/// A clock that somebody sets right while requests are under way.
#[derive(Debug, Default)]
struct SetRight(std::sync::atomic::AtomicBool);

impl Clock for SetRight {
    fn now(&self) -> jiff::Timestamp {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) {
            crate::clock::SystemClock.now()
        } else {
            Ahead.now()
        }
    }
}

#[tokio::test]
async fn parts_that_a_set_clock_refuses_all_at_once_all_get_in() {
    let clock = Arc::new(SetRight::default());
    let world = World::with(3 * MIB, |options| options.with_clock(clock.clone()));
    let sink = EventSink::new(move |event| {
        // Initiate has taught the eight hours by now, and no part is signed yet. Nor is the clock watched at this
        // moment: a jump that is noticed has all parts sent again.
        if matches!(event, Event::Opened { .. }) {
            clock.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let all = Arc::new(tokio::sync::Barrier::new(3));
    let wait = move || -> BoxFuture<'static, ()> {
        let all = Arc::clone(&all);
        Box::pin(async move {
            all.wait().await;
        })
    };
    world.script.rule("UploadPart", 0, 3, Effect::First(Arc::new(wait)));
    world.upload().with_events(sink).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.client.clock_correction(), 0);
    assert_eq!(world.script.count("UploadPart"), 6, "each refused once");
}

/// A clock that is three hours behind while it is said so.
#[derive(Debug, Default)]
struct Behind(std::sync::atomic::AtomicBool);

impl Behind {
    fn set(&self, behind: bool) {
        self.0.store(behind, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for Behind {
    fn now(&self) -> jiff::Timestamp {
        let hours = if self.0.load(std::sync::atomic::Ordering::Relaxed) { 3 } else { 0 };
        crate::clock::SystemClock.now() - jiff::SignedDuration::from_hours(hours)
    }
}

#[tokio::test]
async fn a_clock_that_is_set_right_before_the_refusal_comes_is_no_other_trouble() {
    let clock = Arc::new(Behind::default());
    let world = World::with(MIB, |options| options.with_clock(clock.clone()));
    let wakes = Arc::clone(&clock);
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::Opened { .. }) {
            wakes.set(true);
        }
    });
    // It was signed three hours behind, and before it arrives the clock is right.
    let right = Effect::First(Arc::new(move || {
        clock.set(false);
        Box::pin(std::future::ready(()))
    }));
    world.script.rule("UploadPart", 0, 1, right);
    world.upload().with_events(sink).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.client.clock_correction(), 0);
    assert_eq!(world.script.count("UploadPart"), 2);
}

/// A clock that somebody sets again and again, hours to and fro.
#[derive(Debug)]
struct Restless(Instant);

impl Clock for Restless {
    fn now(&self) -> jiff::Timestamp {
        let hours = [0, -3, 5][(self.0.elapsed().as_millis() / 120 % 3) as usize];
        crate::clock::SystemClock.now() + jiff::SignedDuration::from_hours(hours)
    }
}

#[tokio::test]
async fn a_clock_that_jumps_all_the_time_ends_no_upload() {
    let world = World::with(16 * MIB, |options| options.with_clock(Arc::new(Restless(Instant::now()))));
    for _ in 0..3 {
        world.upload().with_parallel(2).with_overwrite(true).run().await.unwrap();
        world.assert_stored().await;
    }
}

#[tokio::test]
async fn a_skew_that_cannot_be_corrected_is_no_missing_permission() {
    let world = World::new(MIB);
    let document =
        "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>1970-01-01T00:00:00Z</ServerTime></Error>";
    world.script.rule("UploadPart", 0, usize::MAX, Effect::Answer(403, document.to_owned()));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_resumable());
}

/// A provider whose first token is dead; it counts how often it had to make a new one.
#[derive(Debug, Default)]
struct Renewing {
    renewals: std::sync::atomic::AtomicUsize,
}

impl CredentialsProvider for Renewing {
    fn credentials<'a>(
        &'a self,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>> {
        use std::sync::atomic::Ordering;
        let old = |credentials: &Credentials| credentials.access_key_id == "STS.old";
        if rejected.is_some_and(old) {
            self.renewals.store(1, Ordering::Relaxed);
        }
        let name = if self.renewals.load(Ordering::Relaxed) == 0 { "old" } else { "new" };
        let credentials = Credentials::new(format!("STS.{name}"), "secret").with_token(name);
        Box::pin(std::future::ready(Ok(Some(credentials))))
    }
}

#[tokio::test]
async fn sixty_four_parts_whose_token_ends_at_once_all_get_in() {
    let provider = Arc::new(Renewing::default());
    let world = World::with(64 * MIB, |mut options| {
        options.credentials = provider.clone();
        options
    });
    let token = |name: &str, expires: &str| {
        Credentials::new(format!("STS.{name}"), "secret")
            .with_token(name)
            .with_expiry(expires.parse().unwrap())
    };
    // The old token is good for Initiate, and dead when the parts arrive.
    world.emulator.add_credentials(token("old", "2100-01-01T00:00:00Z"));
    world.emulator.add_credentials(token("new", "2100-01-01T00:00:00Z"));
    let emulator = world.emulator.clone();
    let killed = token("old", "2020-01-01T00:00:00Z");
    let kill: Effect = Effect::First(Arc::new(move || {
        emulator.add_credentials(killed.clone());
        Box::pin(std::future::ready(()))
    }));
    world.script.rule("UploadPart", 0, 1, kill);
    let report = world.upload().with_parallel(64).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(report.parts, 64);
    assert!(report.retries <= 64);
}

#[tokio::test]
async fn a_static_token_that_dies_ends_resumably() {
    let world = World::new(3 * MIB);
    world.script.rule(
        "UploadPart",
        1,
        usize::MAX,
        Effect::Answer(403, "<Error><Code>SecurityTokenExpired</Code></Error>".to_owned()),
    );
    let error = world.upload().with_parallel(1).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.is_resumable());
    world.script.clear();
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 1);
}

//! What servers do to those who read from them: each failure, and what is made of it.

mod open;
mod site;
#[cfg(feature = "emulator")]
mod upload;
mod wire;

use std::io;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::header;
use proptest::prelude::*;
use site::{FILE, Fault, Site};
use tokio::time::Instant;

use super::*;
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError};
use crate::source::{Change, Source, SourceStream};

/// The text of an error with all its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns a range of a file.
fn part(source: &WebSource, range: ByteRange) -> SourceStream {
    source.stream(range).unwrap()
}

/// Reads a stream to its end or its failure.
async fn read(mut stream: SourceStream) -> (Vec<u8>, Option<WebError>) {
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        match bytes {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return (all, Some(error.downcast().expect("the room's own error"))),
        }
    }
    (all, None)
}

#[tokio::test(start_paused = true)]
async fn ranges_are_asked_for_one_version_and_join_to_the_file() {
    let site = Site::new(100_000);
    let source = site.source().await;
    assert_eq!((source.length(), source.url().to_string().as_str()), (100_000, FILE));
    let (first, none) = read(part(&source, ByteRange::new(0, 30_000))).await;
    assert!(none.is_none());
    let (second, _) = read(part(&source, ByteRange::new(30_000, 100_000))).await;
    assert_eq!([first, second].concat(), site.content());
    assert!(read(part(&source, ByteRange::new(5, 5))).await.0.is_empty());
    site.with(|state| {
        let ranges: Vec<_> = state.seen.iter().map(|seen| seen.header(header::RANGE).unwrap()).collect();
        assert_eq!(ranges, ["bytes=0-1023", "bytes=0-29999", "bytes=30000-99999"]);
        for seen in &state.seen {
            assert_eq!(seen.header(header::ACCEPT_ENCODING), Some("identity"));
            assert_eq!(seen.header(header::AUTHORIZATION), None);
        }
        assert_eq!(state.seen[1].header(header::IF_MATCH), Some("\"one\""));
    });
}

#[tokio::test(start_paused = true)]
async fn a_date_that_is_old_enough_pins_a_version_too() {
    let site = Site::new(5000);
    site.with(|state| state.headers = vec![("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT".to_owned())]);
    let source = site.source().await;
    assert!(read(part(&source, ByteRange::new(0, 5000))).await.1.is_none());
    let date = site.with(|state| state.seen[1].header(header::IF_UNMODIFIED_SINCE).map(str::to_owned));
    assert_eq!(date.as_deref(), Some("Wed, 01 Jan 2025 00:00:00 GMT"));
    site.change();
    assert!(read(part(&source, ByteRange::new(0, 5000))).await.1.unwrap().is_change());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_never_mixes_with_what_it_was() {
    type Act = fn(&Site);
    let changes: [(Act, &str); 5] = [
        (Site::change, "no longer the version"),
        (
            |site| (site.change(), site.with(|state| state.careless = true)).1,
            "its ETag was \"one\" and is \"two\"",
        ),
        (|site| site.with(|state| state.content.truncate(9000)), "it had 10000 bytes and has 9000"),
        (|site| site.with(|state| state.content.truncate(3000)), "it had 10000 bytes and has 3000"),
        (|site| site.with(|state| state.content.push(0)), "it had 10000 bytes and has 10001"),
    ];
    for (change, words) in changes {
        let site = Site::new(10_000);
        let old = site.content();
        let source = site.source().await;
        site.fail([Fault::Cut(4000)]);
        let mut stream = part(&source, ByteRange::new(0, 10_000));
        let mut all = stream.next().await.unwrap().unwrap().to_vec();
        change(&site);
        let (rest, error) = read(stream).await;
        all.extend(rest);
        let error = error.unwrap();
        assert!(error.is_change() && chain(&error).contains(words), "{words}: {}", chain(&error));
        assert_eq!(all, old[..4000]);
        let now = source.ask().await.unwrap();
        let difference = now.difference(source.identity().unwrap());
        assert!(matches!(difference, Some(Change::Size | Change::Version)), "{words}: {difference:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_right_is_an_error() {
    for (fault, words) in [
        (Fault::Whole, "the whole file where a range was asked for"),
        (Fault::Shifted(10), "others came"),
        (Fault::Longer(1), "longer than the range"),
        (Fault::Without("content-range"), "without a Content-Range"),
        (Fault::Without("etag"), "no longer says which version"),
        (Fault::WrongLength, "Content-Length is not that of its Content-Range"),
    ] {
        let site = Site::new(5000);
        let source = site.source().await;
        site.fail([fault]);
        let (all, error) = read(part(&source, ByteRange::new(1000, 4000))).await;
        let error = chain(&error.unwrap());
        assert!(error.contains(words), "{fault:?}: {error}");
        assert_eq!(all, site.content()[1000..1000 + all.len()], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_to_wait_is_waited() {
    let site = Site::new(5000);
    let source = site.source().await;
    for status in [503, 429] {
        site.fail([Fault::Status(status, Some(77))]);
        let began = Instant::now();
        assert!(read(part(&source, ByteRange::new(0, 5000))).await.1.is_none());
        assert_eq!(began.elapsed().as_secs(), 77);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up_after_the_budget() {
    let site = Site::new(5000);
    let source = site.source().await;
    site.fail([Fault::Cut(2000)]);
    site.fail([Fault::Status(500, None), Fault::Mute, Fault::Unreachable, Fault::Stall(0)].repeat(1000));
    let began = Instant::now();
    let (all, error) = read(part(&source, ByteRange::new(0, 5000))).await;
    assert_eq!(all, site.content()[..2000]);
    assert!(matches!(error, Some(WebError::GivenUp { attempts: 10.., .. })), "{error:?}");
    let took = began.elapsed();
    assert!(
        took >= DEFAULT_RETRY_TIMEOUT && took <= DEFAULT_RETRY_TIMEOUT + DEFAULT_STALL_TIMEOUT,
        "{took:?}"
    );

    let site = Site::new(5000);
    site.fail([Fault::Unreachable; 1000]);
    let began = Instant::now();
    let error = WebObject::open(FILE.parse().unwrap(), site.options()).await.unwrap_err();
    assert!(matches!(error, WebError::GivenUp { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), DEFAULT_FIRST_CONTACT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_expires_is_renewed_by_the_url_that_was_given() {
    let site = Site::new(9000);
    let place = |name: &str| format!("https://cdn.example/{name}?signature=secret");
    let lead = |status: u16, to: &str| (status, Some(place(to)));
    site.with(|state| state.elsewhere.insert(FILE.to_owned(), lead(302, "one")));
    let source = site.source().await;
    site.fail([Fault::Cut(1000)]);
    let mut stream = part(&source, ByteRange::new(0, 9000));
    let mut all = stream.next().await.unwrap().unwrap().to_vec();
    site.with(|state| {
        state.elsewhere.insert(place("one"), (403, None));
        state.elsewhere.insert(FILE.to_owned(), lead(307, "two"));
    });
    let began = Instant::now();
    let (rest, error) = read(stream).await;
    assert!(error.is_none(), "{error:?}");
    all.extend(rest);
    assert_eq!(all, site.content());
    assert!(began.elapsed() < Duration::from_secs(1), "the new link is asked for at once");
    // Once it leads to a refusal again, that is the answer.
    site.with(|state| state.elsewhere.insert(place("two"), (403, None)));
    let (_, error) = read(part(&source, ByteRange::new(0, 9000))).await;
    let error = chain(&error.unwrap());
    assert!(
        error.contains("403") && error.contains("may have expired") && !error.contains("secret"),
        "{error}"
    );
}

/// Faults after which a download goes on.
fn passing() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Good),
        Just(Fault::Unreachable),
        Just(Fault::Mute),
        Just(Fault::Status(503, Some(3))),
        Just(Fault::Status(429, None)),
        Just(Fault::Status(500, None)),
        (0..5000_usize).prop_map(Fault::Cut),
        (0..5000_usize).prop_map(Fault::Short),
        (0..5000_usize).prop_map(Fault::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_breaks_a_range_arrives_whole_and_no_byte_is_sent_twice(
        faults in prop::collection::vec(passing(), 0..12),
        (start, end) in (0..10_000_u64, 0..10_000_u64).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let site = Site::new(10_000);
            let source = site.source().await;
            site.with(|state| state.sent = 0);
            site.fail(faults);
            let (all, error) = read(part(&source, ByteRange::new(start, end))).await;
            prop_assert!(error.is_none(), "{:?}", error);
            prop_assert_eq!(&all[..], &site.content()[start as usize..end as usize]);
            prop_assert_eq!(site.with(|state| state.sent), all.len());
            Ok(())
        })?;
    }
}

#[test]
fn small_reads_share_requests_and_large_ones_have_their_own() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let site = Site::new((5 << 20) + 17);
    let source = runtime.block_on(site.source());
    let content = site.content();
    let requests = || site.with(|state| state.seen.len()) - 1;
    let check = |at: usize, length: usize| {
        let mut buffer = vec![0; length];
        source.read_at(at as u64, &mut buffer).unwrap();
        assert_eq!(buffer, content[at..at + length]);
    };
    for at in [0, 512, 70_000, (1 << 20) - 100] {
        check(at, 100);
    }
    assert_eq!(requests(), 1);
    check((1 << 20) - 1, 2);
    check(content.len() - 1, 1);
    check(content.len(), 0);
    assert_eq!(requests(), 3);
    check(100_000, 3 << 20);
    assert_eq!(requests(), 4);
    check(5, 5);
    assert_eq!(requests(), 4, "what was read first is still held");
    let end = source.read_at(content.len() as u64, &mut [0]).unwrap_err();
    assert!(matches!(end, ReadError::PastEnd { .. }), "{end}");
    site.change();
    check(7, 7);
    let error = io::Error::from(source.read_at(2 << 20, &mut [0; 9]).unwrap_err());
    assert!(error.downcast::<WebError>().unwrap().is_change());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_ranges_gives_a_stream_that_cannot_be_continued() {
    let plain = |fault: Option<Fault>| {
        let site = Site::new(5000);
        site.with(|state| state.no_ranges = true);
        site.fail([Fault::Good].into_iter().chain(fault));
        site
    };
    for fault in [None, Some(Fault::Cut(0)), Some(Fault::Status(503, None)), Some(Fault::Unreachable)] {
        let site = plain(fault);
        let object = site.open().await.by_ranges().unwrap_err();
        assert_eq!(object.length(), Some(5000));
        let (all, error) = read(object.stream()).await;
        assert!(error.is_none(), "{fault:?}: {error:?}");
        assert_eq!(all, site.content());
    }
    for (fault, words) in [
        (Fault::Cut(3000), "cannot continue a download"),
        (Fault::Stall(3000), "was silent for 60 s"),
        (Fault::Short(3000), "ended too early at byte 3000"),
        (Fault::Longer(1), "longer than the server said"),
    ] {
        let site = plain(Some(fault));
        let (all, error) = read(site.open().await.stream()).await;
        let error = chain(&error.unwrap());
        assert!(error.contains(words), "{fault:?}: {error}");
        assert_eq!(all, site.content()[..all.len()]);
    }
    let site = plain(None);
    let object = site.open().await;
    site.change();
    assert!(read(object.stream()).await.1.unwrap().is_change());
    let site = plain(None);
    let object = site.open().await;
    site.with(|state| state.content.push(1));
    assert!(read(object.stream()).await.1.unwrap().is_change());
}

#[tokio::test(start_paused = true)]
async fn a_file_without_length_or_version_is_read_in_one_go() {
    let site = Site::new(5000);
    site.with(|state| (state.no_ranges, state.no_length, state.headers) = (true, true, Vec::new()));
    let object = site.open().await.by_ranges().unwrap_err();
    assert_eq!(object.length(), None);
    assert_eq!(read(object.stream()).await.0, site.content());

    for version in [vec![], vec![("etag", "W/\"one\"".to_owned())]] {
        let site = Site::new(5000);
        site.with(|state| state.headers = version);
        let object = site.open().await.by_ranges().unwrap_err();
        assert_eq!(object.length(), Some(5000));
        site.fail([Fault::Cut(1000)]);
        assert!(matches!(read(object.stream()).await.1, Some(WebError::NoContinuation(_))));
    }
}

#[test]
fn a_thread_reads_what_the_stream_gives_and_a_failure_never_looks_like_an_end() {
    use std::io::Read;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let site = Site::new(50_000);
    let object = runtime.block_on(site.open());
    let entered = runtime.enter();
    let (mut good, mut bad) = (object.reader(), object.reader());
    drop(entered);
    let mut all = Vec::new();
    good.read_to_end(&mut all).unwrap();
    assert_eq!(all, site.content());
    assert_eq!(good.read(&mut [0]).unwrap(), 0);
    site.fail([Fault::Longer(7)]);
    assert!(bad.read_to_end(&mut Vec::new()).is_err());
    assert!(bad.read(&mut [0]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_small_file_is_read_whole_and_a_large_one_is_not() {
    let site = Site::new(5000);
    assert_eq!(site.open().await.small(5000).await.unwrap(), site.content());
    let too_long = |error: io::Error| matches!(error.downcast(), Ok(WebError::TooLong { limit: 4999, .. }));
    assert!(too_long(site.open().await.small(4999).await.unwrap_err()));
    site.with(|state| (state.no_ranges, state.no_length) = (true, true));
    assert!(too_long(site.open().await.small(4999).await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn a_whole_file_comes_in_order_over_several_connections() {
    const PIECE: usize = 4 << 20;
    let site = Site::new(6 * PIECE + 5);
    let object = site.open().await;
    // The first one needs several connections, and what comes after it waits.
    site.fail([Fault::Cut(100), Fault::Good, Fault::Unreachable]);
    let mut stream = object.stream();
    let first = stream.next().await.unwrap().unwrap();
    site.with(|state| {
        let ranges: Vec<_> = state.seen.iter().map(|seen| seen.header(header::RANGE).unwrap()).collect();
        assert_eq!(
            ranges[1..5],
            [0, 1, 2, 3].map(|at| format!("bytes={}-{}", at * PIECE, (at + 1) * PIECE - 1))
        );
        assert!(
            !ranges.iter().any(|range| range.starts_with(&format!("bytes={}-", 4 * PIECE))),
            "{ranges:?}"
        );
    });
    let (rest, none) = read(stream).await;
    assert!(none.is_none());
    assert!([first.to_vec(), rest].concat() == site.content());
}

#[tokio::test(start_paused = true)]
async fn a_whole_file_that_changes_ends_where_the_old_one_was_read() {
    let site = Site::new(24 << 20);
    let old = site.content();
    let mut stream = site.open().await.stream();
    let mut all = stream.next().await.unwrap().unwrap().to_vec();
    site.change();
    let (rest, error) = read(stream).await;
    all.extend(rest);
    assert!(error.unwrap().is_change());
    assert!(all.len() < old.len() && old.starts_with(&all));
}

//! The controller over simulated links. Rates are MB/s (10^6 bytes), latencies milliseconds.

use proptest::prelude::*;

use super::simulation::{Link, Run, run};
use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// As the default memory allows.
const MAX: usize = 64;

/// Runs over the link with parts that differ little, and with parts that differ much, a few times each.
fn runs(link: &Link, bytes: u64) -> Vec<Run> {
    let variants = [0.05, 0.2].into_iter().flat_map(|jitter| (1..=3).map(move |seed| (jitter, seed)));
    variants
        .map(|(jitter, seed)| {
            run(&Link { jitter, seed, ..link.clone() }, Control::adaptive(MAX, None), bytes, None)
        })
        .collect()
}

/// The share of what the link can carry, in percent: the median of some runs, and the worst.
fn efficiency(link: &Link, bytes: u64, runs: &[Run]) -> (f64, f64) {
    let ideal = |run: &Run| 100.0 * bytes as f64 / link.carries(run.seconds, MAX);
    let mut all: Vec<f64> = runs.iter().map(ideal).collect();
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[0])
}

#[test]
fn a_distant_link_is_filled_from_default_settings() {
    let link = Link::new(20.0, 500.0, 40.0);
    for (bytes, median, worst) in [(2 * GIB, 91.0, 90.0), (6 * GIB, 97.0, 96.0)] {
        let (of_median, of_worst) = efficiency(&link, bytes, &runs(&link, bytes));
        assert!(of_median >= median && of_worst >= worst, "{bytes}: {of_median:.1} {of_worst:.1}");
    }
}

#[test]
fn an_upload_starts_where_an_earlier_one_ended() {
    let link = Link::new(20.0, 500.0, 40.0);
    // Requests before the first part and after the last take 200 ms, of 4.3 s and of 12.9 s.
    for (bytes, least) in [(2 * GIB, 94.5), (6 * GIB, 97.5)] {
        let mut control = Control::adaptive(MAX, None);
        simulation::run_with(&link, &mut control, bytes, None);
        let learnt = control.learnt();
        assert!(learnt.is_some_and(|parallel| (25..=MAX).contains(&parallel)), "{learnt:?}");
        let again = |(jitter, seed)| {
            let control = Control::adaptive(MAX, None).starting_at(learnt);
            run(&Link { jitter, seed, ..link.clone() }, control, bytes, None)
        };
        let runs: Vec<Run> = [(0.05, 1), (0.05, 2), (0.2, 1), (0.2, 2)].into_iter().map(again).collect();
        let (median, worst) = efficiency(&link, bytes, &runs);
        assert!(worst >= least, "{bytes}: {median:.1} {worst:.1}");
    }
}

#[test]
fn what_was_learnt_of_another_link_does_no_harm() {
    for queue in [50.0, 400.0] {
        let link = Link { jitter: 0.05, ..Link::shared(20.0, queue) };
        let mut control = Control::adaptive(MAX, None).starting_at(Some(MAX));
        let run = simulation::run_with(&link, &mut control, 256 * MIB, None);
        let sent = run.sent / (256 * MIB) as f64;
        assert!(sent <= 1.05 && run.peak_between(run.seconds / 2.0, run.seconds) <= 32, "{sent:.3}");
        assert_eq!(control.learnt(), None, "few connections fill it");
    }
}

#[test]
fn slow_connections_are_added_up() {
    let link = Link::new(5.0, 50.0, 0.1);
    let (median, worst) = efficiency(&link, GIB, &runs(&link, GIB));
    assert!(median >= 95.0 && worst >= 93.0, "{median:.1} {worst:.1}");
}

#[test]
fn a_line_that_few_connections_fill_gets_few() {
    let link = Link::new(1000.0, 20.0, 0.1);
    let runs = runs(&link, 256 * MIB);
    let (_, worst) = efficiency(&link, 256 * MIB, &runs);
    assert!(worst >= 97.0, "{worst:.1}");
    for run in &runs {
        let late = run.peak_between(run.seconds / 2.0, run.seconds);
        assert!(run.peak() <= 8 && late <= 4, "{} {late}", run.peak());
    }
}

#[test]
fn a_fast_link_gets_large_parts_at_once() {
    let link = Link::new(600.0, 1500.0, 0.1);
    for run in runs(&link, 6 * GIB) {
        assert!((4..=16).contains(&run.peak()), "{}", run.peak());
        let small =
            run.parts.iter().filter(|(at, bytes, _)| *at < 4.0 && *bytes < LARGEST_PART - MIB).count();
        assert!(small <= 32, "{small} of {}", run.parts.len());
        assert!(run.parts.len() < 500, "{}", run.parts.len());
    }
}

#[test]
fn a_busy_machine_is_not_taken_for_a_better_link() {
    let mut link = Link::new(600.0, 1500.0, 0.1);
    let mut dice = fastrand::Rng::with_seed(7);
    for step in 1..200 {
        link = link.then(f64::from(step) * 0.1, 600.0, 1500.0 * (0.3 + dice.f64()));
    }
    for run in runs(&link, 12 * GIB) {
        assert!(run.peak() <= 16, "{}", run.peak());
    }
}

#[test]
fn more_capacity_is_found_after_minutes() {
    let link = Link::new(20.0, 50.0, 40.0).then(120.0, 20.0, 500.0);
    for run in runs(&link, 40 * GIB) {
        assert!(run.goodput(160.0, 170.0) > 0.85 * 500e6, "{:.0}", run.goodput(160.0, 170.0));
    }
    // Not a trace of it can be seen without a try: each connection is as fast as before.
    let link = Link::new(5.0, 50.0, 40.0).then(120.0, 5.0, 200.0);
    for run in runs(&link, 20 * GIB) {
        assert!(run.goodput(180.0, 190.0) > 0.85 * 200e6, "{:.0}", run.goodput(180.0, 190.0));
    }
}

#[test]
fn less_capacity_sets_connections_free() {
    let link = Link::new(20.0, 500.0, 40.0).then(60.0, 20.0, 50.0);
    for run in runs(&link, 40 * GIB) {
        assert!(run.peak_between(40.0, 60.0) >= 25);
        assert!(run.peak_between(180.0, 230.0) <= 8, "{}", run.peak_between(180.0, 230.0));
        assert!(run.goodput(70.0, 230.0) > 0.9 * 50e6, "{:.0}", run.goodput(70.0, 230.0));
    }
}

#[test]
fn a_link_that_changes_all_the_time_is_followed() {
    let (mut link, mut at) = (Link::new(25.0, 400.0, 40.0), 0.0);
    for (connection, seconds) in [(5.0, 40.0), (80.0, 40.0), (25.0, 40.0), (5.0, 40.0), (80.0, 1000.0)] {
        at += seconds;
        link = link.then(at, connection, 400.0);
    }
    let (median, worst) = efficiency(&link, 50 * GIB, &runs(&link, 50 * GIB));
    assert!(median >= 90.0 && worst >= 85.0, "{median:.1} {worst:.1}");
}

#[test]
fn a_line_that_all_share_is_filled_and_nothing_goes_out_twice() {
    let lines =
        [(0.256, 8), (1.0, 16), (2.0, 32), (4.0, 64), (10.0, 128), (20.0, 256), (50.0, 512), (100.0, 1024)];
    for (mbit, mebibytes) in lines {
        for queue in [50.0, 400.0, 2000.0] {
            let (link, bytes) = (Link::shared(mbit, queue), mebibytes * MIB);
            for run in runs(&link, bytes) {
                let sent = run.sent / bytes as f64;
                let time = bytes as f64 / link.carries(run.seconds, MAX);
                let what = format!("{mbit} Mbit/s, {queue} ms: {sent:.3} {time:.3} {}", run.peak());
                assert!(sent <= 1.05 && time >= 1.0 / 1.1 && run.peak() <= 32, "{what}");
            }
        }
    }
}

#[test]
fn a_broken_connection_now_and_then_changes_nothing() {
    let link = Link { bytes_per_break: Some(1e9), ..Link::new(20.0, 500.0, 40.0) };
    let runs = runs(&link, 20 * GIB);
    let (median, worst) = efficiency(&link, 20 * GIB, &runs);
    assert!(median >= 95.0 && worst >= 90.0, "{median:.1} {worst:.1}");
    for run in &runs {
        assert!(run.sent < 1.02 * (20 * GIB) as f64, "{:.3}", run.sent / (20 * GIB) as f64);
    }
}

#[test]
fn a_service_that_throttles_gets_less_and_then_is_asked_again() {
    let link = Link { throttled_above: Some(16), ..Link::new(20.0, 500.0, 40.0) };
    for run in runs(&link, 40 * GIB) {
        let settled = run.goodput(30.0, run.seconds - 10.0);
        assert!(settled > 0.7 * 16.0 * 20e6, "{:.0}", settled / 1e6);
        assert!(run.refused < 60, "{}", run.refused);
    }
}

#[test]
fn a_stalled_connection_out_of_eight_delays_the_end_by_less_than_one_parts_time() {
    let (size, parts) = (8 * MIB, 128);
    let link = Link { jitter: 0.05, ..Link::new(5.0, 1000.0, 1.0) };
    let part_time = size as f64 / 5e6;
    for control in [Control::fixed(8, Some(size)), Control::fixed(8, None)] {
        let part_size = control.part_size;
        let undisturbed = run(&link, control.clone(), parts * size, part_size);
        for stalled in 0..undisturbed.parts.len() {
            let link = Link { stalled_part: Some(stalled), ..link.clone() };
            let run = run(&link, control.clone(), parts * size, part_size);
            let delay = run.seconds - undisturbed.seconds;
            assert!(
                delay < part_time,
                "{part_size:?}: part {stalled} costs {delay:.2} s of {part_time:.2} s"
            );
            assert!(run.cut >= 1, "{part_size:?}: part {stalled} waited for the idle limit");
        }
    }
}

#[test]
fn parts_that_merely_differ_are_not_sent_twice() {
    let link = Link::new(5.0, 50.0, 40.0).then(60.0, 1.0, 10.0).then(120.0, 5.0, 50.0);
    for run in runs(&link, 4 * GIB) {
        assert!(run.sent < 1.01 * (4 * GIB) as f64, "{:.3}, {} cut", run.sent / (4 * GIB) as f64, run.cut);
    }
}

#[test]
fn a_small_file_is_one_part() {
    for mut control in [Control::adaptive(MAX, None), Control::fixed(8, None)] {
        assert_eq!(control.next_size(MIB), MIB);
    }
    assert_eq!(Control::adaptive(2, None).target(), 2);
    assert_eq!(Control::adaptive(0, None).target(), 1);
}

#[test]
fn a_given_part_size_is_kept_to_the_end() {
    let mut control = Control::fixed(8, Some(5 * MIB));
    assert_eq!(control.next_size(GIB), 5 * MIB);
    assert_eq!(control.next_size(MIB), 5 * MIB);
}

proptest! {
    #[test]
    fn whatever_happens_the_number_stays_within_its_bounds(
        max in 1usize..100,
        steps in prop::collection::vec((0u8..4, 1u64..64 * MIB, 0u64..30_000, 0usize..120, 0u64..GIB), 1..300),
    ) {
        let mut control = Control::adaptive(max, None);
        let mut now = Duration::ZERO;
        for (kind, bytes, millis, others, waiting) in steps {
            now += Duration::from_millis(millis);
            let took = Duration::from_millis(millis);
            let others = vec![Unfinished { bytes, age: took }; others];
            match kind {
                0 => control.trouble(Trouble::Throttled, now),
                1 => control.trouble(Trouble::Broken, now),
                _ => control.acknowledged(Acknowledged { bytes, took, others: &others, waiting }, now),
            }
            prop_assert!((1..=max).contains(&control.target()));
            prop_assert!((FIRST_PART..=LARGEST_PART).contains(&control.next_size(waiting)));
        }
    }
}

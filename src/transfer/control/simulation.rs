//! A link, and the coordinator's loop over it, without clock or socket: events in order of their time.
//!
//! Parts in flight share the line, each up to the rate of one connection; an answer comes some time after the last
//! byte. They share it evenly, or, with a [queue](Link::queue) before a line that they fill, as TCP connections do:
//! some get many times what others get, for seconds on end, and where the queue has few packets for each, some
//! wait for a time-out. Only answers reach the controller, as in life: what socket buffers swallow shows nowhere.

use std::time::Duration;

use super::{Acknowledged, Control, OnItsWay, Trouble, Unfinished};
use crate::plan::{CutRule, Part, Plan};
use crate::transfer::schedule::Schedule;

/// How often stragglers are looked for, in seconds.
const TICK: f64 = 0.1;
/// After this long without a byte, in seconds, the client gives a connection up while others make progress.
const IDLE_LIMIT: f64 = 20.0;
/// The progress of the others that counts, in bytes for each.
const OTHERS_GET_ON: f64 = 8.0 * 1024.0 * 1024.0;
/// After this long without a byte, in seconds, the client gives a connection up in any case.
const STILL_LIMIT: f64 = 40.0;

/// Bytes that the client's libraries take from a body before they ask for more.
const TAKEN_AT_ONCE: f64 = 512.0 * 1024.0;
/// Up to this rate of one connection, in bytes per second, they get only this many bytes at a time.
const TAKEN_WHEN_SLOW: (f64, f64) = (1e6, 128.0 * 1024.0);
/// Bytes of a packet.
const PACKET: f64 = 1500.0;
/// By how much connections that share a line differ: two of three have between 1/5 and 5 times the usual share.
const UNFAIR: f64 = 1.5;

/// What a link can do from some moment on, in bytes per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) connection: f64,
    pub(super) total: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Link {
    /// In order of their seconds; the first is at 0.
    pub(super) capacity: Vec<(f64, Capacity)>,
    /// Seconds from the last byte of a request to its answer.
    pub(super) latency: f64,
    /// Seconds that a new connection needs before its first byte.
    pub(super) handshake: f64,
    /// How much the rates of parts differ: 0.3 means from 0.7 to 1.3 times.
    pub(super) jitter: f64,
    /// Mean bytes between two broken connections.
    pub(super) bytes_per_break: Option<f64>,
    /// More parts at a time than this are answered with 503.
    pub(super) throttled_above: Option<usize>,
    /// The connection that is dealt this part, counted from 0, moves no byte any more.
    pub(super) stalled_part: Option<usize>,
    /// Seconds of the line's rate that wait before it. Connections that share it get unequal shares.
    pub(super) queue: Option<f64>,
    pub(super) seed: u64,
}

impl Link {
    /// Rates in MB/s (10^6 bytes), latency in milliseconds.
    pub(super) fn new(connection: f64, total: f64, latency: f64) -> Self {
        Self {
            capacity: vec![(0.0, Capacity { connection: connection * 1e6, total: total * 1e6 })],
            latency: latency / 1e3,
            handshake: latency / 1e3,
            jitter: 0.0,
            bytes_per_break: None,
            throttled_above: None,
            stalled_part: None,
            queue: None,
            seed: 1,
        }
    }

    /// A line that all connections share, in Mbit/s, behind a queue given in milliseconds.
    pub(super) fn shared(mbit: f64, queue: f64) -> Self {
        Self { queue: Some(queue / 1e3), ..Self::new(1e4, mbit / 8.0, 20.0) }
    }

    /// Returns what part of the line a connection pulls to itself from now on, compared with others, and for how
    /// long, when `sending` share it.
    fn pull(&self, dice: &mut fastrand::Rng, sending: usize, now: f64) -> (f64, f64) {
        let Some(queue) = self.queue else { return (1.0, f64::INFINITY) };
        let packets = self.at(now).total * queue / PACKET / sending.max(1) as f64;
        if dice.f64() < (0.3 / packets).min(0.3) {
            // It lost its last packet, and waits ever longer before it repeats it.
            return (0.0, now + 0.2 * f64::from(1 << dice.u32(..6)));
        }
        let normal = (-2.0 * (1.0 - dice.f64()).ln()).sqrt() * (std::f64::consts::TAU * dice.f64()).cos();
        let mean = 5.0 + 10.0 * (self.latency + queue);
        ((UNFAIR * normal).exp(), now - mean * (1.0 - dice.f64()).ln())
    }

    pub(super) fn then(mut self, at: f64, connection: f64, total: f64) -> Self {
        self.capacity.push((at, Capacity { connection: connection * 1e6, total: total * 1e6 }));
        self
    }

    /// Returns how many bytes it carries in `seconds` with up to `connections`.
    pub(super) fn carries(&self, seconds: f64, connections: usize) -> f64 {
        let until = self.capacity.iter().skip(1).map(|(at, _)| *at).chain([f64::INFINITY]);
        let spans = self.capacity.iter().zip(until);
        spans
            .map(|((from, capacity), until)| {
                (until.min(seconds) - from).max(0.0)
                    * capacity.total.min(capacity.connection * connections as f64)
            })
            .sum()
    }

    fn at(&self, now: f64) -> Capacity {
        self.capacity.iter().rev().find(|(from, _)| *from <= now).expect("the first is at 0").1
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Waits before it sends: handshake or backoff.
    Pause {
        until: f64,
    },
    /// Its first bytes wait behind those of others.
    Queued {
        until: f64,
    },
    Sending {
        left: f64,
    },
    Answer {
        at: f64,
        throttled: bool,
    },
    Stalled {
        since: f64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    part: Part,
    began: f64,
    factor: f64,
    state: State,
    stalls: bool,
    retries: i32,
    /// The part of a shared line that it pulls to itself, and until when.
    pull: (f64, f64),
    /// When it was last asked for more bytes.
    asked: Asked,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: f64,
    /// How many bytes were left,
    left: f64,
    /// and how many all connections together had sent.
    together: f64,
}

impl Flight {
    /// Returns its weight among those that share the line.
    fn pulls(&self) -> f64 {
        self.factor * self.pull.0
    }
}

/// The result of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) seconds: f64,
    /// Parts in flight and their target, from each moment on.
    pub(super) levels: Vec<(f64, usize, usize)>,
    /// Moment, bytes and seconds of each part.
    pub(super) parts: Vec<(f64, u64, f64)>,
    pub(super) sent: f64,
    /// Parts that were dropped as stragglers.
    pub(super) cut: usize,
    /// Attempts that were answered with 503.
    pub(super) refused: usize,
    /// Attempts that were given up because their connection took no byte for too long.
    pub(super) idle: usize,
}

impl Run {
    /// Bytes per second from one moment to another, as acknowledged.
    pub(super) fn goodput(&self, from: f64, to: f64) -> f64 {
        let overlap = |end: f64, took: f64| (end.min(to) - (end - took).max(from)).max(0.0) / took.max(1e-9);
        let bytes: f64 =
            self.parts.iter().map(|(end, bytes, took)| *bytes as f64 * overlap(*end, *took)).sum();
        bytes / (to - from)
    }

    /// The most parts in flight.
    pub(super) fn peak(&self) -> usize {
        self.peak_between(0.0, self.seconds)
    }

    /// The most parts in flight from one moment to another.
    pub(super) fn peak_between(&self, from: f64, to: f64) -> usize {
        let until = self.levels.iter().skip(1).map(|level| level.0).chain([f64::INFINITY]);
        let during = self.levels.iter().zip(until).filter(|(level, until)| level.0 < to && *until > from);
        during.map(|(level, _)| level.1).max().unwrap_or(0)
    }
}

/// Sends `bytes` over `link`.
pub(super) fn run(link: &Link, mut control: Control, bytes: u64, part_size: Option<u64>) -> Run {
    run_with(link, &mut control, bytes, part_size)
}

/// The same, with a controller that can be asked afterwards.
pub(super) fn run_with(link: &Link, control: &mut Control, bytes: u64, part_size: Option<u64>) -> Run {
    let mut dice = fastrand::Rng::with_seed(link.seed);
    let plan = Plan::new(bytes, CutRule::new(bytes, part_size).expect("a usual size")).expect("a usual rule");
    let mut schedule = Schedule::new(plan, plan.remaining([]));
    let mut flights: Vec<Flight> = Vec::new();
    let mut result =
        Run { seconds: 0.0, levels: Vec::new(), parts: Vec::new(), sent: 0.0, cut: 0, refused: 0, idle: 0 };
    // Initiate has made the first connection.
    let (mut now, mut idle, mut dealt, mut tick) = (2.0 * link.latency, 1, 0, TICK);
    let mut rate_of_one = None;
    let mut until_break = link.bytes_per_break.map(|mean| -mean * (1.0 - dice.f64()).ln());
    let start = now;
    let time = |at: f64| Duration::from_secs_f64((at - start).max(0.0));
    loop {
        while flights.len() < control.target() {
            let Some(part) = schedule.deal(control.next_size(schedule.waiting()), None) else { break };
            let fresh = idle == 0;
            idle -= usize::from(!fresh);
            let state = State::Pause { until: if fresh { now + link.handshake } else { now } };
            let factor = 1.0 + link.jitter * (2.0 * dice.f64() - 1.0);
            let stalls = link.stalled_part == Some(dealt);
            let pull = link.pull(&mut dice, flights.len() + 1, now);
            let asked = Asked { at: now, left: 0.0, together: result.sent };
            flights.push(Flight { part, began: now, factor, state, stalls, retries: 0, pull, asked });
            dealt += 1;
        }
        if flights.is_empty() {
            break;
        }
        if result.levels.last().is_none_or(|last| (last.1, last.2) != (flights.len(), control.target())) {
            result.levels.push((now, flights.len(), control.target()));
        }

        let sending = || flights.iter().filter(|flight| matches!(flight.state, State::Sending { .. }));
        let busy = sending().count();
        let pulls: f64 = sending().map(Flight::pulls).sum();
        let capacity = link.at(now);
        let rate = |flight: &Flight| {
            (capacity.connection * flight.factor).min(capacity.total * flight.pulls() / pulls.max(1e-3))
        };
        let mut next = tick;
        if let Some((at, _)) = link.capacity.iter().find(|(at, _)| *at > now) {
            next = next.min(*at);
        }
        for flight in &flights {
            next = next.min(match flight.state {
                State::Queued { .. } if busy == 0 => now,
                State::Pause { until } | State::Queued { until } => until.max(now),
                State::Sending { left } => (now + left / rate(flight).max(1e-3)).min(flight.pull.1).max(now),
                State::Answer { at, .. } => at,
                State::Stalled { since } => since + IDLE_LIMIT,
            });
        }
        let passed = next - now;
        now = next;

        let fast = rate_of_one.is_some_and(|rate: f64| rate > TAKEN_WHEN_SLOW.0);
        let taken = if fast { TAKEN_AT_ONCE } else { TAKEN_WHEN_SLOW.1 };
        let mut moved = 0.0;
        for flight in &mut flights {
            let bytes = passed * rate(flight);
            if let State::Sending { left } = &mut flight.state {
                let bytes = bytes.min(*left);
                *left -= bytes;
                moved += bytes;
                if *left <= flight.asked.left - taken {
                    flight.asked = Asked { at: now, left: *left, together: result.sent };
                }
                if now >= flight.pull.1 {
                    flight.pull = link.pull(&mut dice, busy, now);
                }
            }
        }
        result.sent += moved;
        if let Some(left) = &mut until_break {
            *left -= moved;
            let sending: Vec<usize> =
                (0..flights.len()).filter(|n| matches!(flights[*n].state, State::Sending { .. })).collect();
            if *left <= 0.0 && !sending.is_empty() {
                let broken = &mut flights[sending[dice.usize(..sending.len())]];
                broken.state = State::Pause { until: now + link.handshake + 0.2 * dice.f64() };
                control.trouble(Trouble::Broken, time(now));
                *left = -link.bytes_per_break.expect("it was there before") * (1.0 - dice.f64()).ln();
            }
        }

        let (sent, slow) = (result.sent, taken * 8.0 / rate_of_one.unwrap_or(32e3));
        let stands_still = |asked: &Asked, now: f64| {
            let others_get_on = sent - asked.together >= OTHERS_GET_ON * (busy - 1) as f64 && busy > 1;
            now >= asked.at + if others_get_on { IDLE_LIMIT } else { STILL_LIMIT + slow }
        };
        let (mut index, mut admitted) = (0, busy);
        while index < flights.len() {
            let flight = &mut flights[index];
            let length = flight.part.range.len();
            match flight.state {
                State::Pause { until } if until <= now => {
                    let refused = link.throttled_above.is_some_and(|most| admitted >= most);
                    admitted += usize::from(!refused);
                    flight.state = if refused {
                        State::Answer { at: now + link.latency, throttled: true }
                    } else {
                        flight.asked = Asked { at: now, left: length as f64, together: result.sent };
                        match link.queue {
                            None => State::Sending { left: length as f64 },
                            Some(queue) => State::Queued { until: now + queue },
                        }
                    };
                }
                State::Queued { until } if until <= now || busy == 0 => {
                    flight.state = State::Sending { left: length as f64 };
                    // No time has passed for the others.
                    break;
                }
                State::Sending { left } if left > taken && stands_still(&flight.asked, now) => {
                    result.idle += 1;
                    flight.state = State::Pause { until: now + link.handshake };
                    control.trouble(Trouble::Broken, time(now));
                }
                State::Sending { left } if flight.stalls && left < length as f64 / 2.0 => {
                    flight.state = State::Stalled { since: now };
                }
                State::Sending { left } if left < 0.5 => {
                    flight.state = State::Answer { at: now + link.latency, throttled: false };
                }
                State::Answer { at, throttled: true } if at <= now => {
                    flight.retries += 1;
                    result.refused += 1;
                    let bound = (0.5 * f64::from(2 << flight.retries.min(6))).min(60.0);
                    flight.state = State::Pause { until: now + bound * dice.f64() };
                    control.trouble(Trouble::Throttled, time(now));
                }
                State::Answer { at, throttled: false } if at <= now => {
                    let took = now - flight.began;
                    result.parts.push((now, length, took));
                    let rate = length as f64 / took;
                    rate_of_one = Some(rate_of_one.map_or(rate, |before: f64| 0.8 * before + 0.2 * rate));
                    flights.swap_remove(index);
                    idle += 1;
                    let others: Vec<Unfinished> = flights
                        .iter()
                        .map(|flight| Unfinished {
                            bytes: flight.part.range.len(),
                            age: Duration::from_secs_f64((now - flight.began).max(0.0)),
                        })
                        .collect();
                    let part = Acknowledged {
                        bytes: length,
                        took: Duration::from_secs_f64(took),
                        others: &others,
                        waiting: schedule.waiting(),
                    };
                    control.acknowledged(part, time(now));
                    // One at a time: the next part is dealt before another answer is looked at.
                    break;
                }
                State::Stalled { since } if now >= since + IDLE_LIMIT => {
                    flight.stalls = false;
                    flight.state = State::Pause { until: now + link.handshake };
                    control.trouble(Trouble::Broken, time(now));
                }
                _ => {}
            }
            index += 1;
        }

        if now >= tick {
            tick = now + TICK;
            let others = flights.len() - 1.min(flights.len());
            let waiting = schedule.waiting();
            let all: u64 = flights.iter().map(|flight| flight.part.range.len()).sum();
            let mut late = |flight: &Flight| {
                let age = Duration::from_secs_f64((now - flight.began).max(0.0));
                let bytes = flight.part.range.len();
                let part = OnItsWay { bytes, age, others, others_bytes: all - bytes, waiting };
                control.is_straggler(part, time(now))
            };
            let (gone, kept): (Vec<_>, Vec<_>) = flights.iter().partition(|flight| late(flight));
            flights = kept;
            for flight in gone {
                result.cut += 1;
                schedule.give_back_in(flight.part.range, control.dropped(flight.part.range.len()));
            }
        }
    }
    // Complete.
    result.seconds = now + link.latency;
    result.levels.push((now, 0, control.target()));
    result
}

//! When to send again and how long to wait first. Pure: time and random numbers are arguments.

mod backoff;
mod policy;

pub use backoff::{Backoff, Rng, random_dice};
pub use policy::{Decision, RetryState};

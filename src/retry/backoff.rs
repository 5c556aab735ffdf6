use std::sync::Arc;
use std::time::Duration;

/// Gives numbers from 0 (included) to 1 (excluded). Tests pass their own.
pub type Rng = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Returns a source of new random numbers.
pub fn random_dice() -> Rng {
    Arc::new(fastrand::f64)
}

/// Delays that double up to a limit, with full jitter: each is drawn between nothing and the current bound, so
/// that many parts that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first delay.
    pub base: Duration,
    /// The bound that no delay passes.
    pub cap: Duration,
}

impl Backoff {
    /// After a failed connection or a server error.
    pub const NORMAL: Self = Self { base: Duration::from_millis(200), cap: Duration::from_secs(20) };
    /// After the service asked for fewer requests.
    pub const THROTTLED: Self = Self { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

    /// Returns the delay before retry `retry`, which counts from 1, by a throw between 0 and 1.
    pub fn delay(self, retry: u32, throw: f64) -> Duration {
        let doubled = 2f64.powi(retry.clamp(1, 31) as i32 - 1);
        self.cap.min(self.base.mul_f64(doubled)).mul_f64(throw.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let at = |retry| Backoff::NORMAL.delay(retry, 1.0).as_millis();
        assert_eq!([at(1), at(2), at(3), at(7), at(8), at(1000)], [200, 400, 800, 12_800, 20_000, 20_000]);
        assert_eq!(Backoff::THROTTLED.delay(1, 0.5).as_millis(), 500);
        assert_eq!(Backoff::NORMAL.delay(9, 0.0), Duration::ZERO);
    }

    #[test]
    fn dice_stay_between_0_and_1() {
        let dice = random_dice();
        let throws: Vec<f64> = (0..1000).map(|_| dice()).collect();
        assert!(throws.iter().all(|throw| (0.0..1.0).contains(throw)));
        assert!(throws.iter().any(|throw| *throw > 0.5) && throws.iter().any(|throw| *throw < 0.5));
    }
}

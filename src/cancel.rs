//! How what runs is asked to stop.

use tokio_util::sync;

/// Asks an upload or a publish to stop gently. Clones are handles of the same token.
///
/// Give one to the operation and call [`CancellationToken::cancel`] on another: from a signal handler, a button, a time
/// limit. What was uploaded is kept, and the same operation goes on from there later.
#[derive(Debug, Clone, Default)]
pub struct CancellationToken(sync::CancellationToken);

impl CancellationToken {
    /// Returns a token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop; for good.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether anybody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until somebody asks to stop.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// Waits as [`cancelled`](Self::cancelled) does, for a task that outlives this handle.
    pub async fn cancelled_owned(self) {
        self.0.cancelled_owned().await;
    }

    /// Runs `future` to its end; `None` if somebody asks to stop before, which drops it.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.run_until_cancelled(future).await
    }

    /// Returns a token that is cancelled with this one, and can be without it.
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self(self.0.child_token())
    }
}

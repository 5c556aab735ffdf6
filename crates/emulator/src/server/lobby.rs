//! Which connections wait for a request. When all places are taken, the one that waited longest gives way: clients
//! that open connections and say nothing cannot keep others out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use ossup_core::http::Body;

/// The connections that wait, in the order in which they began to.
#[derive(Debug, Default)]
pub(super) struct Lobby(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    ends: BTreeMap<u64, CancellationToken>,
}

impl Lobby {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// Ends the connection that waits longest, if one does.
    pub(super) fn dismiss_one(&self) {
        if let Some((_, end)) = self.waiting().ends.pop_first() {
            end.cancel();
        }
    }
}

/// A connection, as the lobby sees it.
#[derive(Debug)]
pub(super) struct Visitor {
    lobby: Arc<Lobby>,
    /// Cancelled when the connection has to give way.
    end: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(u64),
    Served,
    Gone,
}

impl Visitor {
    /// Begins to wait.
    pub(super) fn enter(lobby: &Arc<Lobby>) -> Arc<Self> {
        let visitor = Self {
            lobby: Arc::clone(lobby),
            end: CancellationToken::new(),
            state: Mutex::new(State::Served),
        };
        visitor.wait();
        Arc::new(visitor)
    }

    /// Returns when the connection has to give way.
    pub(super) async fn dismissed(&self) {
        self.end.cancelled().await;
    }

    /// A request has come: it does not wait until the answer that this makes is sent, or given up.
    pub(super) fn served(self: &Arc<Self>) -> Answering {
        self.change(State::Served);
        Answering(Arc::clone(self))
    }

    /// The connection has ended.
    pub(super) fn leave(&self) {
        self.change(State::Gone);
    }

    fn wait(&self) {
        let mut state = self.state();
        if matches!(*state, State::Served) {
            let mut waiting = self.lobby.waiting();
            let place = waiting.next;
            waiting.next += 1;
            waiting.ends.insert(place, self.end.clone());
            *state = State::Waiting(place);
        }
    }

    fn change(&self, to: State) {
        let mut state = self.state();
        if let State::Waiting(place) = *state {
            self.lobby.waiting().ends.remove(&place);
        }
        *state = to;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

/// Lets its connection wait again when it is dropped.
#[derive(Debug)]
pub(super) struct Answering(Arc<Visitor>);

impl Answering {
    /// Ties this to the body of the answer.
    pub(super) fn with(self, body: Body) -> Answer {
        Answer { body, _answering: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _answering: Answering,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Decisions, as lines for whoever wants to know.
//!
//! Guarantees: a call never waits for the log. What a worker notes goes into a bounded queue, or is
//! counted as lost where that is full; one thread, which reaches nothing but the descriptors that it
//! was given, makes lines of it and writes them. A disk that is full, a file system that hangs, a
//! journal that takes nothing: decisions are lost and counted, and nothing else happens.
//!
//! What it does not do: keep what has not been written where the supervisor is killed.

mod destination;
mod sink;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use brig_policy::decide::{Decision, Operation};
use brig_policy::log::{Caller, Note, Outcome};
use brig_policy::policy::LogLevel;

use super::caller::Call;
pub use destination::{SECOND_HALF, STATE_FILE, Target};
pub use writer::Writer;

/// How many decisions may wait for being written.
const QUEUE: usize = 512;

/// Where workers note decisions.
#[derive(Debug)]
pub struct Log {
    level: LogLevel,
    /// `None`: decisions go nowhere.
    queue: Option<Queue>,
}

/// The workers' end of what the writer reads.
#[derive(Clone, Debug)]
struct Queue {
    sender: SyncSender<Message>,
    shared: Arc<Counts>,
}

/// What workers and the writer count together.
#[derive(Debug, Default)]
struct Counts {
    /// Decisions that wait.
    waiting: AtomicUsize,
    /// Decisions that were not logged and have not been reported yet.
    lost: AtomicU64,
}

/// What the writer is told.
#[derive(Debug)]
enum Message {
    /// A decision.
    Note(Box<Note>),
    /// Write what there is, and say when that is done.
    End(SyncSender<()>),
}

/// Ends the log.
#[derive(Debug)]
pub struct Closer(Option<Queue>);

impl Log {
    /// A log that goes nowhere.
    pub fn nowhere() -> (Self, Closer) {
        (Self { level: LogLevel::None, queue: None }, Closer(None))
    }

    fn open(level: LogLevel) -> (Self, Closer, Receiver<Message>, Arc<Counts>) {
        let (sender, receiver) = sync_channel(QUEUE);
        let shared = Arc::new(Counts::default());
        let queue = Queue { sender, shared: Arc::clone(&shared) };
        let closer = Closer(Some(queue.clone()));
        (Self { level, queue: Some(queue) }, closer, receiver, shared)
    }

    /// Whether what is allowed is logged, too: if not, nobody needs to know why it is.
    pub fn has_allowed(&self) -> bool {
        self.queue.is_some() && Outcome::Allow.is_logged(self.level)
    }

    /// Notes a decision. Nothing is read of a caller, and nothing allocated, for one that is not
    /// logged or cannot be taken.
    pub fn note(&self, call: &Call<'_>, operation: Operation, decision: Decision) {
        let Some(queue) = &self.queue else { return };
        if !Outcome::of(&decision).is_logged(self.level) {
            return;
        }
        if queue.shared.waiting.load(Ordering::Relaxed) >= QUEUE {
            queue.lose();
            return;
        }
        let (caller, syscall) = (caller(call), call.syscall.name());
        queue.put(Note { caller, syscall, operation, decision });
    }
}

impl Queue {
    fn put(&self, note: Note) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(Message::Note(Box::new(note))).is_err() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lose();
        }
    }

    fn lose(&self) {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who asks. Whoever is gone by now is nobody.
fn caller(call: &Call<'_>) -> Option<Caller> {
    let (pid, _) = call.ids_in_container().ok()?;
    let status = call.status().ok()?;
    Some(Caller { pid, comm: status.name.clone(), uid: status.uids[1] })
}

impl Closer {
    /// Has everything written that waits, as far as that is done within `limit`.
    pub fn close(self, limit: Duration) {
        let Some(queue) = self.0 else { return };
        let deadline = Instant::now() + limit;
        let (done, ended) = sync_channel(1);
        let mut message = Message::End(done);
        while let Err(TrySendError::Full(back)) = queue.sender.try_send(message) {
            if Instant::now() >= deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        // whether it came to that or not: nobody is left to be told
        ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_default();
    }
}

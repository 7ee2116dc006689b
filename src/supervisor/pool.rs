// SPDX-License-Identifier: Apache-2.0
//! The workers: threads that receive calls and answer them.
//!
//! A worker receives a call and answers it itself: nothing is handed from thread to thread on the
//! way. As many work at once as there are processors, where calls come at once ([`Queue`]); one that
//! waits for something else than a processor (a connection, the other end of a FIFO) is replaced
//! meanwhile, so that no call waits for another one's peer. The [`Minder`] looks after all of them.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::answer::give;
use super::caller::Worker;
use super::minder::{Minder, STACK};
use super::queue::{Place, Queue};
use super::slot::Slot;
use super::standing::Standing;
use super::task::Tasks;
use super::{Shared, dispatch};
use crate::sys::notify;

/// How long the minder may take to look, on a machine that has much else to do.
pub const LATE: Duration = Duration::from_secs(10);

/// Ends what a worker waits for.
pub const CANCEL: i32 = libc::SIGUSR1;

/// What the minder is asked for.
#[derive(Debug)]
pub enum Request {
    /// A thread for this listener.
    Worker(Arc<Queue>),
    /// A worker waits: look after it.
    Look,
}

/// Where calls are sent to work.
#[derive(Clone, Debug)]
pub struct Pool {
    minder: Sender<Request>,
    asleep: Arc<AtomicBool>,
    /// When the minder began its last turn, in microseconds since the pool began.
    turned: Arc<AtomicU64>,
    /// Whether it has been asked to look and has not begun to.
    to_look: Arc<AtomicBool>,
    /// Since when it has been asked for something, likewise; 0: it has not.
    asked: Arc<AtomicU64>,
    began: Instant,
    processors: usize,
}

impl Pool {
    /// Starts the minder.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (minder, requests) = std::sync::mpsc::channel();
        let (asleep, processors) = (Arc::default(), shared.processors);
        let (turned, to_look, asked) = (Arc::default(), Arc::default(), Arc::default());
        let began = Instant::now();
        let pool = Self { minder, asleep, turned, to_look, asked, began, processors };
        let minder = Minder::new(pool.clone(), shared);
        std::thread::Builder::new()
            .name("brig-minder".to_owned())
            .stack_size(STACK)
            .spawn(move || minder.run(&requests))?;
        Ok(pool)
    }

    /// Serves a listener until it is closed.
    pub fn serve(&self, listener: OwnedFd) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(listener, self.processors));
        self.ask(Request::Worker(Arc::clone(&queue)));
        queue
    }

    /// Microseconds since the pool began.
    pub fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Asks the minder, which ends with the process only. However often it is asked to look, it does
    /// so once.
    pub fn ask(&self, request: Request) {
        if matches!(request, Request::Look) && self.to_look.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.asked.load(Ordering::Relaxed) == 0 {
            self.asked.store(self.age().max(1), Ordering::Relaxed);
        }
        self.minder.send(request).unwrap_or_default();
    }

    /// The minder begins a turn, and has heard what it was asked for until then.
    pub fn turn(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.turned.store(self.age(), Ordering::Relaxed);
    }

    /// The minder begins to look because it was asked to: from here on it may be asked again.
    pub fn begin_look(&self) {
        self.to_look.store(false, Ordering::Release);
    }

    /// Whether the minder does not look any more, although it is awake or has been asked to.
    pub fn is_unminded(&self) -> bool {
        let late = |since| Duration::from_micros(self.age().saturating_sub(since)) > LATE;
        let asked = self.asked.load(Ordering::Relaxed);
        let awake = !self.asleep.load(Ordering::Acquire);
        (awake && late(self.turned.load(Ordering::Relaxed))) || (asked != 0 && late(asked))
    }

    /// Somebody works: the minder has to look.
    pub fn wake(&self) {
        if self.asleep.load(Ordering::Acquire) {
            self.ask(Request::Look);
        }
    }

    /// The minder is about to sleep.
    pub fn sleep(&self) {
        self.asleep.store(true, Ordering::Release);
    }

    /// The minder is awake.
    pub fn awake(&self) {
        self.turn();
        self.asleep.store(false, Ordering::Release);
    }
}

/// Receives and answers until the listener is over or others suffice.
pub fn work(pool: &Pool, shared: &Shared, slot: &Slot) {
    slot.occupy();
    let queue = &slot.queue;
    let prepared = shared.prepare_worker();
    let (standing, tasks) = (Standing::new(shared.permitted), Tasks::default());
    while prepared.is_ok() && queue.take_place(|| pool.age()) == Place::Receive {
        let received = notify::receive(queue.listener());
        let was_last = queue.leave_place();
        let notification = match received {
            Ok(notification) => notification,
            Err(_) if queue.is_over() => break,
            Err(_) => continue,
        };
        slot.begin(&notification);
        if was_last && queue.takes_several(slot.since()) && queue.may_grow() {
            pool.ask(Request::Worker(Arc::clone(queue)));
        }
        let worker = Worker { standing: &standing, tasks: &tasks, slot };
        let outcome = dispatch::answer(shared, worker, queue.listener(), &notification);
        slot.answering();
        give(queue.listener(), notification.id, outcome);
        slot.end();
    }
    slot.leave();
    queue.remove_worker();
}

#[cfg(test)]
impl Pool {
    /// One whose minder is the caller.
    pub fn unminded() -> (Self, std::sync::mpsc::Receiver<Request>) {
        let (minder, requests) = std::sync::mpsc::channel();
        let (asleep, turned, to_look, asked) = Default::default();
        let began = Instant::now();
        (Self { minder, asleep, turned, to_look, asked, began, processors: 1 }, requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_been_asked_to_look_is_asked_again_when_it_has_begun_to() {
        let (pool, requests) = Pool::unminded();
        for _ in 0..3 {
            pool.ask(Request::Look);
        }
        assert_eq!(requests.try_iter().count(), 1);
        pool.begin_look();
        pool.ask(Request::Look);
        assert_eq!(requests.try_iter().count(), 1);
    }

    #[test]
    fn a_minder_is_late_only_long_after_it_was_needed() {
        let (pool, _requests) = Pool::unminded();
        pool.sleep();
        assert!(!pool.is_unminded(), "nobody has asked it for anything");
        pool.ask(Request::Look);
        assert!(!pool.is_unminded(), "it has time");
        pool.asked.store(1, Ordering::Relaxed);
        let long_ago = Instant::now().checked_sub(LATE + Duration::from_secs(1)).unwrap();
        let mut pool = pool;
        pool.began = long_ago;
        assert!(pool.is_unminded());
        pool.turn();
        assert!(!pool.is_unminded());
    }
}

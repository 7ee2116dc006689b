// SPDX-License-Identifier: Apache-2.0
//! One listener, and which of its workers wait for calls.
//!
//! As a rule one worker does: a caller that waits for its answer makes no other call meanwhile, and
//! each further thread that the kernel wakes for a call costs more than the call. The others stand
//! aside. When a call is seen to wait while another one is being answered, several receive, as many
//! as there are processors and one, until it is worth looking again. A worker that waits for
//! something else than a call is replaced at once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The most threads: what is beyond that waits in the kernel.
const MOST_WORKERS: usize = 512;
/// How many may wait for calls at once, beside the processors.
const SPARE: usize = 1;
/// For how many microseconds several receive calls after some have come at once.
const SEVERAL: u64 = 1_000_000;

/// One listener, and who serves it.
#[derive(Debug)]
pub struct Queue {
    listener: OwnedFd,
    processors: usize,
    /// Those that wait for a call.
    receiving: AtomicUsize,
    /// Those that wait for something else than a call or a processor.
    waiting: AtomicUsize,
    workers: AtomicUsize,
    closed: AtomicBool,
    /// When something last took long unexpectedly, in microseconds since the pool began; 0: never.
    surprised: AtomicU64,
    /// Until when several receive, likewise.
    several_until: AtomicU64,
    aside: Mutex<Aside>,
    called: Condvar,
}

/// Workers that stand aside.
#[derive(Debug, Default)]
struct Aside {
    count: usize,
    /// How many of them have been called back and have not come yet.
    called: usize,
}

/// What a worker without a call is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Receive one.
    Receive,
    /// End: there are enough.
    Leave,
}

impl Queue {
    /// Of a listener that nobody serves yet.
    pub fn new(listener: OwnedFd, processors: usize) -> Self {
        Self {
            listener,
            processors,
            receiving: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            surprised: AtomicU64::new(0),
            several_until: AtomicU64::new(0),
            aside: Mutex::new(Aside::default()),
            called: Condvar::new(),
        }
    }

    /// The listener.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Nobody is left who could call.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // RACE: whoever is about to stand aside holds this, and looks again before it does
        drop(self.aside());
        self.called.notify_all();
    }

    /// Whether it is known that nobody is left who could call.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether nobody is left who could call.
    pub fn is_over(&self) -> bool {
        self.is_closed() || self.poll().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Whether a call waits to be received.
    pub fn has_call(&self) -> bool {
        self.poll().contains(PollFlags::IN)
    }

    fn poll(&self) -> PollFlags {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// Stands aside until a worker is wanted; counts it among those that wait for a call.
    pub fn take_place(&self, now: impl Fn() -> u64) -> Place {
        loop {
            let before = self.receiving.fetch_add(1, Ordering::AcqRel);
            let several = || self.takes_several(now()) && before < self.processors + SPARE;
            if before == 0 || several() {
                return Place::Receive;
            }
            // INVARIANT: another one receives, or has received by now and comes back
            self.receiving.fetch_sub(1, Ordering::AcqRel);
            if !self.stand_aside() {
                return Place::Leave;
            }
        }
    }

    /// The worker has received a call; whether no other one waits for the next.
    pub fn leave_place(&self) -> bool {
        self.receiving.fetch_sub(1, Ordering::AcqRel) == 1
    }

    fn stand_aside(&self) -> bool {
        let mut aside = self.aside();
        if aside.count > self.processors {
            return false;
        }
        aside.count += 1;
        while aside.called == 0 && !self.is_closed() {
            aside = self.called.wait(aside).unwrap_or_else(PoisonError::into_inner);
        }
        aside.count -= 1;
        aside.called = aside.called.saturating_sub(1);
        !self.is_closed()
    }

    /// Calls back one that stands aside, if one does.
    pub fn call_back(&self) -> bool {
        let mut aside = self.aside();
        if aside.count == aside.called {
            return false;
        }
        aside.called += 1;
        self.called.notify_one();
        true
    }

    fn aside(&self) -> std::sync::MutexGuard<'_, Aside> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls have come at once: several receive for a while.
    pub fn take_several(&self, now: u64) {
        self.several_until.store(now.saturating_add(SEVERAL), Ordering::Release);
    }

    /// Whether several receive.
    pub fn takes_several(&self, now: u64) -> bool {
        now < self.several_until.load(Ordering::Acquire)
    }

    /// Whether a worker waits for calls.
    pub fn is_served(&self) -> bool {
        self.receiving.load(Ordering::Acquire) > 0
    }

    /// Whether one more is wanted: nobody waits for calls, and nobody will soon, or several should.
    pub fn wants_worker(&self, now: u64) -> bool {
        !self.is_served() && (self.takes_several(now) || self.busy() == 0)
    }

    /// Whether there may be one more thread.
    pub fn may_grow(&self) -> bool {
        self.busy() <= self.processors && self.workers.load(Ordering::Acquire) < MOST_WORKERS
    }

    /// How many workers receive, or take a processor.
    fn busy(&self) -> usize {
        let aside = self.aside().count;
        let away = self.waiting.load(Ordering::Acquire).saturating_add(aside);
        self.workers.load(Ordering::Acquire).saturating_sub(away)
    }

    /// A worker waits for something else.
    pub fn add_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// It does no more.
    pub fn remove_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Something takes long that was not expected to.
    pub fn surprise(&self, now: u64) {
        self.surprised.store(now, Ordering::Relaxed);
    }

    /// When that was so last.
    pub fn was_surprised(&self) -> u64 {
        self.surprised.load(Ordering::Relaxed)
    }

    /// There is one worker more.
    pub fn add_worker(&self) {
        self.workers.fetch_add(1, Ordering::AcqRel);
    }

    /// There is one worker less.
    pub fn remove_worker(&self) {
        self.workers.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn queue() -> Arc<Queue> {
        let null = std::fs::File::open("/dev/null").unwrap();
        Arc::new(Queue::new(null.into(), 2))
    }

    #[test]
    fn one_receives_and_the_others_stand_aside_until_they_are_called() {
        let queue = queue();
        assert_eq!(queue.take_place(|| 0), Place::Receive);
        let (places, seen) = channel();
        let other = Arc::clone(&queue);
        let thread = std::thread::spawn(move || places.send(other.take_place(|| 0)).unwrap());
        assert!(seen.recv_timeout(Duration::from_millis(50)).is_err());
        assert!(queue.leave_place());
        assert!(queue.call_back());
        assert!(!queue.call_back(), "nobody else stands aside");
        assert_eq!(seen.recv().unwrap(), Place::Receive);
        thread.join().unwrap();
    }

    #[test]
    fn several_receive_for_a_while_and_no_more_than_processors_and_one() {
        let queue = queue();
        queue.take_several(10);
        for _ in 0..3 {
            assert_eq!(queue.take_place(|| 11), Place::Receive);
        }
        queue.close();
        assert_eq!(queue.take_place(|| 11), Place::Leave);
        assert!(!queue.takes_several(10 + SEVERAL));
    }

    #[test]
    fn who_waits_for_something_else_is_replaced_and_who_is_at_work_is_not() {
        let queue = queue();
        queue.add_worker();
        assert!(!queue.wants_worker(0), "the one will be back");
        queue.add_waiting();
        assert!(queue.wants_worker(0) && queue.may_grow());
        queue.remove_waiting();
        queue.take_several(0);
        assert!(queue.wants_worker(1));
    }
}

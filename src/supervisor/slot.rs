// SPDX-License-Identifier: Apache-2.0
//! What a worker is doing, as the [`super::minder`] sees it, and how the minder ends what a worker
//! waits for.
//!
//! A signal ends it. It must not come at any other time: a kernel that is interrupted while it hands
//! a descriptor over leaves the caller with another one. So worker and minder agree, by one atomic
//! value, on when it may be sent: the minder announces it, and a worker that is no longer waiting by
//! then stands still until it has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::pool::{CANCEL, Pool, Request};
use super::queue::Queue;
use crate::sys::notify;
use crate::sys::pidfd::signal_thread;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It has no call.
    Idle,
    /// It reads or writes the caller's memory: it may have to wait for a page of it.
    Copying,
    /// It answers.
    Acting,
    /// It may wait for somebody else.
    Waiting,
    /// The same, and the minder is about to send the signal that ends this.
    Ending,
    /// The same, and the signal has been sent.
    Ended,
    /// It hands the answer over.
    Answering,
}

/// Where a worker's work is seen.
#[derive(Debug)]
pub struct Slot {
    phase: AtomicU8,
    id: AtomicU64,
    /// Microseconds since the pool began.
    since: AtomicU64,
    /// When it last began to read or write the caller's memory, likewise.
    copying_since: AtomicU64,
    caller: AtomicI32,
    /// 0: it has ended; negative: it has not begun.
    thread: AtomicI32,
    /// The call that is ended because of a signal.
    interrupted: AtomicU64,
    whose: AtomicU8,
    /// Whether it is counted as waiting.
    slow: AtomicBool,
    /// Whose calls it answers.
    pub queue: Arc<Queue>,
    pool: Pool,
}

/// How waiting ended.
#[derive(Debug)]
pub enum Wait<T> {
    /// It is done, or it failed.
    Done(rustix::io::Result<T>),
    /// The caller has a signal to handle.
    Interrupted(Signal),
    /// The caller does not wait any more.
    Gone,
}

/// Whose a signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The caller's own.
    Own,
    /// The caller's or another thread's of its process.
    Shared,
}

/// How many microseconds a surprise is remembered.
const WARY: u64 = 1_000_000;
/// No call: the kernel counts from 1 on.
const NONE: u64 = 0;

impl Slot {
    /// Of a worker that is about to begin.
    pub fn new(queue: Arc<Queue>, pool: Pool) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Idle as u8),
            id: AtomicU64::new(NONE),
            since: AtomicU64::new(0),
            copying_since: AtomicU64::new(0),
            caller: AtomicI32::new(0),
            thread: AtomicI32::new(-1),
            interrupted: AtomicU64::new(NONE),
            whose: AtomicU8::new(0),
            slow: AtomicBool::new(false),
            queue,
            pool,
        }
    }

    /// The calling thread is the worker.
    pub fn occupy(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.store(thread, Ordering::Release);
    }

    /// The worker ends.
    pub fn leave(&self) {
        self.end();
        self.thread.store(0, Ordering::Release);
    }

    /// Whether the worker has ended.
    pub fn is_left(&self) -> bool {
        self.thread.load(Ordering::Acquire) == 0
    }

    /// A call has come.
    pub fn begin(&self, notification: &notify::Notification) {
        self.since.store(self.pool.age(), Ordering::Relaxed);
        self.caller.store(notification.tid, Ordering::Relaxed);
        self.id.store(notification.id, Ordering::Release);
        self.acting();
        self.pool.wake();
    }

    /// What the call gets is known.
    pub fn answering(&self) {
        self.set_phase(Phase::Answering);
    }

    /// The call has been answered.
    pub fn end(&self) {
        self.set_phase(Phase::Idle);
        self.count_as_working();
    }

    /// Whether it was not counted before.
    fn count_as_waiting(&self) -> bool {
        let first = !self.slow.swap(true, Ordering::AcqRel);
        if first {
            self.queue.add_waiting();
        }
        first
    }

    fn count_as_working(&self) {
        if self.slow.load(Ordering::Acquire) && self.slow.swap(false, Ordering::AcqRel) {
            self.queue.remove_waiting();
        }
    }

    /// From here on the worker may have to wait for a page of the caller's.
    pub fn copying(&self) {
        self.copying_since.store(self.pool.age(), Ordering::Relaxed);
        self.set_phase(Phase::Copying);
    }

    /// From here on it does not.
    pub fn acting(&self) {
        self.set_phase(Phase::Acting);
    }

    /// Does what waits for somebody else. Another worker takes this one's place meanwhile.
    ///
    /// Ends with [`Wait::Interrupted`] where a signal for the caller is the reason that it was ended,
    /// and with [`Wait::Gone`] where the caller is not there any more.
    pub fn wait<T>(&self, act: impl FnMut() -> rustix::io::Result<T>) -> Wait<T> {
        self.count_as_waiting();
        self.pool.ask(Request::Look);
        let done = self.may_wait(act);
        self.count_as_working();
        done
    }

    /// The same for what hardly ever waits: another worker takes this one's place once it is seen
    /// that it does. Not to be used where that [was so lately](Self::is_wary).
    pub fn may_wait<T>(&self, mut act: impl FnMut() -> rustix::io::Result<T>) -> Wait<T> {
        loop {
            self.set_phase(Phase::Waiting);
            let done = act();
            self.stand_up();
            if !matches!(done, Err(rustix::io::Errno::INTR)) {
                return Wait::Done(done);
            }
            if let Some(signal) = self.interruption() {
                return Wait::Interrupted(signal);
            }
            if !notify::is_valid(self.queue.listener(), self.id()) {
                return Wait::Gone;
            }
        }
    }

    /// The same, where it need not be known beforehand.
    pub fn rarely_waits<T>(&self, act: impl FnMut() -> rustix::io::Result<T>) -> Wait<T> {
        if self.is_wary() { self.wait(act) } else { self.may_wait(act) }
    }

    /// Whether something that hardly ever waits did so lately: then it is better to know beforehand.
    pub fn is_wary(&self) -> bool {
        self.queue.was_surprised() > self.since().saturating_sub(WARY)
    }

    /// Ends the phase in which the signal may come.
    fn stand_up(&self) {
        loop {
            match self.phase() {
                Phase::Waiting if self.replace_phase(Phase::Waiting, Phase::Acting).is_ok() => {
                    return;
                }
                // RACE: the minder may be about to send another one: it has announced it then
                Phase::Ended if self.replace_phase(Phase::Ended, Phase::Acting).is_ok() => break,
                // it is on its way
                _ => std::thread::yield_now(),
            }
        }
        // RACE: the signal has been sent, and comes at the latest when this call returns
        std::thread::yield_now();
    }

    fn interruption(&self) -> Option<Signal> {
        if self.interrupted.load(Ordering::Acquire) != self.id() {
            return None;
        }
        Some(match self.whose.load(Ordering::Acquire) {
            0 => Signal::Own,
            _ => Signal::Shared,
        })
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn replace_phase(&self, old: Phase, new: Phase) -> Result<(), Phase> {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        match self.phase.compare_exchange(old as u8, new as u8, order.0, order.1) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.phase()),
        }
    }
}

/// What the minder sees and does.
impl Slot {
    /// The call.
    pub fn id(&self) -> u64 {
        self.id.load(Ordering::Acquire)
    }

    /// Who calls.
    pub fn caller(&self) -> i32 {
        self.caller.load(Ordering::Acquire)
    }

    /// When it came, in microseconds since the pool began.
    pub fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// How long it has been at work on the call.
    pub fn elapsed(&self) -> Duration {
        self.elapsed_from(self.since())
    }

    /// How long it has been at the caller's memory, where it is.
    pub fn copying_for(&self) -> Option<Duration> {
        // RACE: the phase comes first: of a time that belongs to a later one only less is thought
        let copying = self.phase() == Phase::Copying;
        copying.then(|| self.elapsed_from(self.copying_since.load(Ordering::Relaxed)))
    }

    fn elapsed_from(&self, since: u64) -> Duration {
        Duration::from_micros(self.pool.age().saturating_sub(since))
    }

    /// The call that the worker is answering and takes a processor for, if there is one.
    pub fn at_work(&self) -> Option<u64> {
        let id = self.id();
        let idle = matches!(self.phase(), Phase::Idle | Phase::Answering);
        (!idle && !self.slow.load(Ordering::Acquire) && self.id() == id).then_some(id)
    }

    /// What the worker is doing.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Copying,
            2 => Phase::Acting,
            3 => Phase::Waiting,
            4 => Phase::Ending,
            5 => Phase::Ended,
            _ => Phase::Answering,
        }
    }

    /// It takes so long that it counts as waiting.
    pub fn count_as_slow(&self) {
        if self.count_as_waiting() && self.phase() == Phase::Waiting {
            self.queue.surprise(self.pool.age());
        }
    }

    /// A signal is why this call is to be ended.
    pub fn interrupt(&self, id: u64, signal: Signal) {
        self.whose.store(u8::from(signal == Signal::Shared), Ordering::Release);
        self.interrupted.store(id, Ordering::Release);
        self.cancel();
    }

    /// Ends what the worker waits for.
    ///
    /// RACE: the signal may come before the worker has begun to wait in the kernel, or end the wait
    /// of another call: that one begins anew, and where this one goes on the minder comes again.
    pub fn cancel(&self) {
        let waits = self.replace_phase(Phase::Waiting, Phase::Ending);
        if waits.or_else(|_| self.replace_phase(Phase::Ended, Phase::Ending)).is_ok() {
            self.signal();
            self.set_phase(Phase::Ended);
        }
    }

    /// Ends a worker's waiting for calls that nobody can make any more.
    pub fn dismiss(&self) {
        // INVARIANT: nobody is left to whom it could be handing a descriptor over
        self.signal();
    }

    fn signal(&self) {
        let thread = self.thread.load(Ordering::Acquire);
        if thread > 0 {
            // it may have ended
            signal_thread(thread, CANCEL).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> (Slot, std::sync::mpsc::Receiver<Request>) {
        let (pool, requests) = Pool::unminded();
        let null = std::fs::File::open("/dev/null").unwrap();
        (Slot::new(Arc::new(Queue::new(null.into(), 1)), pool), requests)
    }

    const CALL: notify::Notification =
        notify::Notification { id: 7, tid: 1, number: 0, arch: 0, args: [0; 6] };

    #[test]
    fn the_time_for_memory_begins_with_the_look_at_it_and_not_with_the_call() {
        let (slot, _requests) = slot();
        slot.begin(&CALL);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(slot.copying_for(), None);
        slot.copying();
        let time = slot.copying_for().unwrap();
        assert!(slot.elapsed() >= time + Duration::from_millis(30), "{time:?}");
        slot.acting();
        assert_eq!(slot.copying_for(), None);
    }

    #[test]
    fn what_waited_unexpectedly_is_remembered_for_a_second() {
        let (slot, _requests) = slot();
        slot.begin(&CALL);
        assert!(!slot.is_wary());
        slot.set_phase(Phase::Waiting);
        std::thread::sleep(Duration::from_millis(1));
        slot.count_as_slow();
        slot.end();
        slot.begin(&CALL);
        assert!(slot.is_wary());
        slot.since.store(slot.since() + WARY + 1_000_000, Ordering::Relaxed);
        assert!(!slot.is_wary());
    }

    #[test]
    fn only_who_waits_is_signalled_and_stands_up_when_that_is_over() {
        let (slot, _requests) = slot();
        slot.begin(&CALL);
        slot.cancel();
        assert_eq!(slot.phase(), Phase::Acting, "it does not wait");
        slot.set_phase(Phase::Waiting);
        slot.cancel();
        assert_eq!(slot.phase(), Phase::Ended);
        slot.stand_up();
        assert_eq!(slot.phase(), Phase::Acting);
        // RACE: the minder announces another signal: the worker waits until it has been sent
        slot.set_phase(Phase::Ending);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| slot.stand_up());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!worker.is_finished());
            slot.set_phase(Phase::Ended);
        });
        assert_eq!(slot.phase(), Phase::Acting);
    }

    #[test]
    fn a_signal_interrupts_the_call_that_it_was_for() {
        let (slot, _requests) = slot();
        slot.begin(&CALL);
        slot.interrupt(CALL.id, Signal::Shared);
        assert_eq!(slot.interruption(), Some(Signal::Shared));
        slot.begin(&notify::Notification { id: 8, ..CALL });
        assert_eq!(slot.interruption(), None);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Who looks after the workers.
//!
//! It makes one where the others wait, ends what a caller that is gone or has been interrupted had
//! begun, and answers for a worker that does not come back from the caller's memory. While nobody
//! works, it sleeps.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use brig_policy::call::status::Status;
use brig_policy::policy::Errno;
use rustix::fs::{Mode, OFlags, openat};

use super::Shared;
use super::answer::{errno, give};
use super::caller::read_whole;
use super::pool::{Pool, Request, work};
use super::queue::Queue;
use super::slot::{Phase, Signal, Slot};
use super::standing::Standing;
use crate::sys::notify;

/// Of each worker's stack.
pub const STACK: usize = 128 * 1024;
/// How often workers are looked after: to see whether calls come at once, while one waits, and else.
const FAST_TICK: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_millis(10);
const SLOW_TICK: Duration = Duration::from_millis(50);
/// How many times as long as a look the next one is put off, since there may be hundreds to look
/// after; and the longest.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_millis(100);
/// How long there must have been no call for the next one to wake the minder, and for it to sleep
/// until then.
const PAUSE: Duration = Duration::from_millis(10);
const QUIET: Duration = Duration::from_secs(1);
/// How long the caller's memory may take: a page of it may be somebody's to deliver.
const MEMORY_DEADLINE: Duration = Duration::from_secs(1);
/// What takes longer than this is waited for, whatever it is.
const SLOW: Duration = Duration::from_millis(20);

/// Looks after the workers.
#[derive(Debug)]
pub struct Minder {
    pool: Pool,
    shared: Arc<Shared>,
    slots: Vec<Arc<Slot>>,
    /// When it last looked.
    looked: Instant,
    /// How long it must not look again.
    rest: Duration,
    /// Which calls there were when it last saw one, and when that was.
    calls: u64,
    called: Instant,
}

impl Minder {
    /// Of a pool that has no workers yet.
    pub fn new(pool: Pool, shared: Arc<Shared>) -> Self {
        let (slots, looked) = (Vec::new(), Instant::now());
        Self { pool, shared, slots, looked, rest: TICK, calls: 0, called: looked }
    }

    /// Serves requests until the process ends.
    pub fn run(mut self, requests: &Receiver<Request>) {
        let standing = Standing::new(self.shared.permitted);
        loop {
            self.pool.turn();
            self.note_calls();
            match self.next(requests) {
                Ok(Request::Worker(queue)) => self.add(&queue),
                Ok(Request::Look) => {
                    self.pool.begin_look();
                    self.replace_waiting();
                }
                Err(RecvTimeoutError::Timeout) => self.look(&standing),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn note_calls(&mut self) {
        let calls = self.slots.iter().fold(0, |sum: u64, slot| sum.wrapping_add(slot.id()));
        if calls != self.calls || self.slots.iter().any(|slot| slot.at_work().is_some()) {
            (self.calls, self.called) = (calls, Instant::now());
        }
    }

    fn next(&self, requests: &Receiver<Request>) -> Result<Request, RecvTimeoutError> {
        let pause = self.called.elapsed();
        if pause < PAUSE {
            return self.next_within(requests, self.tick());
        }
        self.pool.sleep();
        // RACE: a worker may have begun before it could see that nobody looks: look once more
        let request = match self.is_quiet() {
            true if pause > QUIET => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            true => self.next_within(requests, SLOW_TICK),
            false => self.next_within(requests, TICK),
        };
        self.pool.awake();
        request
    }

    fn next_within(
        &self,
        requests: &Receiver<Request>,
        tick: Duration,
    ) -> Result<Request, RecvTimeoutError> {
        // however many requests there are: without a look nothing that waits ends
        match tick.max(self.rest).checked_sub(self.looked.elapsed()) {
            Some(left) => requests.recv_timeout(left),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// How soon to look again while there are calls.
    fn tick(&self) -> Duration {
        let now = self.pool.age();
        let several = self.slots.iter().all(|slot| slot.queue.takes_several(now));
        match several {
            false => FAST_TICK,
            true if self.is_quiet() => SLOW_TICK,
            true => TICK,
        }
    }

    /// Whether no worker works on anything.
    fn is_quiet(&self) -> bool {
        let rests = |slot: &Arc<Slot>| slot.phase() == Phase::Idle && !slot.queue.is_closed();
        self.slots.iter().all(rests)
    }

    fn add(&mut self, queue: &Arc<Queue>) {
        self.slots.retain(|slot| !slot.is_left());
        if queue.is_served() || queue.call_back() || !queue.may_grow() {
            return;
        }
        let slot = Arc::new(Slot::new(Arc::clone(queue), self.pool.clone()));
        let (pool, shared, own) = (self.pool.clone(), Arc::clone(&self.shared), Arc::clone(&slot));
        queue.add_worker();
        let spawned = std::thread::Builder::new()
            .name("brig-worker".to_owned())
            .stack_size(STACK)
            .spawn(move || work(&pool, &shared, &own));
        match spawned {
            Ok(_) => self.slots.push(slot),
            // the others go on; where there is none, it is tried again at the next look
            Err(_) => queue.remove_worker(),
        }
    }

    /// A worker for each listener that nobody is left to serve.
    fn replace_waiting(&mut self) {
        let now = self.pool.age();
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for slot in &self.slots {
            if slot.queue.wants_worker(now)
                && !queues.iter().any(|one| Arc::ptr_eq(one, &slot.queue))
            {
                queues.push(Arc::clone(&slot.queue));
            }
        }
        queues.iter().for_each(|queue| self.add(queue));
    }

    fn look(&mut self, standing: &Standing) {
        let begun = Instant::now();
        // those that have ended keep nobody awake
        self.slots.retain(|slot| !slot.is_left());
        for slot in &self.slots {
            let elapsed = slot.elapsed();
            answer_for_memory(slot);
            match slot.phase() {
                Phase::Idle if slot.queue.is_closed() => slot.dismiss(),
                Phase::Idle => {}
                Phase::Waiting | Phase::Ending | Phase::Ended => {
                    if elapsed > SLOW {
                        slot.count_as_slow();
                        self.end_if_useless(slot, standing);
                    }
                }
                // a page of the caller's, an autofs, a file system of another host
                Phase::Copying | Phase::Acting | Phase::Answering if elapsed > SLOW => {
                    slot.count_as_slow();
                }
                Phase::Copying | Phase::Acting | Phase::Answering => {}
            }
        }
        self.see_calls_at_once();
        self.replace_waiting();
        self.looked = Instant::now();
        self.rest = (self.looked - begun).saturating_mul(REST).min(LONGEST_REST);
    }

    /// Where a call waits while another one is being answered, one worker is not enough.
    fn see_calls_at_once(&self) {
        let now = self.pool.age();
        for slot in &self.slots {
            let queue = &slot.queue;
            if queue.takes_several(now) || queue.is_served() {
                continue;
            }
            // RACE: the call that waits could be the answered one's caller's next
            let at_work = slot.at_work();
            if at_work.is_some() && queue.has_call() && slot.at_work() == at_work {
                queue.take_several(now);
            }
        }
    }

    /// Ends what a caller that is gone, or has a signal to handle, had begun.
    fn end_if_useless(&self, slot: &Slot, standing: &Standing) {
        let id = slot.id();
        if !notify::is_valid(slot.queue.listener(), id) {
            slot.cancel();
        } else if let Some(signal) = self.signal_of(slot, standing)
            && slot.id() == id
        {
            slot.interrupt(id, signal);
        }
    }

    /// Whose signal a caller has to handle, if it has one.
    ///
    /// What is sent to a process wakes its first thread, if that takes it (`complete_signal` of the
    /// kernel's signal.c), and else another one, of which nobody can tell which.
    fn signal_of(&self, slot: &Slot, standing: &Standing) -> Option<Signal> {
        standing.privileged().ok()?;
        let tid = slot.caller();
        let caller = self.status(tid).ok()?;
        let first = if caller.tgid == tid { caller.shared_signals } else { 0 };
        if (caller.own_signals | first) & caller.taken_signals != 0 {
            return Some(Signal::Own);
        }
        let shared = caller.shared_signals & caller.taken_signals;
        if shared == 0 {
            return None;
        }
        let taken_by_first = self.status(caller.tgid).map_or(0, |first| first.taken_signals);
        (shared & !taken_by_first != 0).then_some(Signal::Shared)
    }

    fn status(&self, tid: i32) -> Result<Status, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let task = openat(&self.shared.proc, tid.to_string(), flags, Mode::empty());
        Status::parse(&read_whole(&task.map_err(errno)?, "status")?)
    }
}

/// Answers a call for a worker that does not come back from the caller's memory.
fn answer_for_memory(slot: &Slot) {
    // RACE: the call comes first: one that has taken this one's place in between is not answered
    let id = slot.id();
    if slot.copying_for().is_some_and(|time| time > MEMORY_DEADLINE) {
        give(slot.queue.listener(), id, Err(Errno::EFAULT));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The workers: threads that receive calls and answer them.
//!
//! A worker receives a call and answers it itself: nothing is handed from thread to thread on the
//! way. As many work at once as there are processors; one that waits for something else than a
//! processor (a connection, the other end of a FIFO) is replaced meanwhile, so that no call waits
//! for another one's peer. The [`Minder`] looks after those that wait: it ends what a caller that is
//! gone or has been interrupted had begun, and answers for a worker that does not come back from
//! the caller's memory.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use brig_policy::call::status::Status;
use brig_policy::policy::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, openat};

use super::answer::give;
use super::caller::{Worker, read_whole};
use super::standing::Standing;
use super::task::Tasks;
use super::{Shared, dispatch};
use crate::sys::pidfd::signal_thread;
use crate::sys::{notify, signal};

/// The most threads: what is beyond that waits in the kernel.
const MOST_WORKERS: usize = 512;
/// How many may wait for calls at once, beside the processors.
const SPARE: usize = 1;
const STACK: usize = 128 * 1024;
/// Ends what a worker waits for.
pub const CANCEL: i32 = libc::SIGUSR1;
/// How often workers that wait are looked after, and those that work.
const TICK: Duration = Duration::from_millis(10);
const SLOW_TICK: Duration = Duration::from_millis(50);
/// How many times as long as a look the next one is put off, since there may be hundreds to look
/// after; and the longest.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_millis(100);
/// How long nobody must have worked for the minder to sleep until somebody does.
const QUIET: Duration = Duration::from_secs(1);
/// How long the caller's memory may take: a page of it may be somebody's to deliver.
const MEMORY_DEADLINE: Duration = Duration::from_secs(1);
/// What takes longer than this is waited for, whatever it is.
const SLOW: Duration = Duration::from_millis(20);

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Idle,
    Reading,
    Acting,
    Waiting,
}

/// Where a worker's work is seen.
#[derive(Debug)]
pub struct Slot {
    phase: AtomicU8,
    id: AtomicU64,
    /// Microseconds since the pool began.
    since: AtomicU64,
    caller: AtomicI32,
    thread: AtomicI32,
    interrupted: AtomicBool,
    /// Whether it is counted as waiting without having said so.
    slow: AtomicBool,
    queue: Arc<Queue>,
    pool: Pool,
}

/// One listener, and who serves it.
#[derive(Debug)]
pub struct Queue {
    listener: OwnedFd,
    idle: AtomicUsize,
    /// Those that wait for something else than a call or a processor.
    waiting: AtomicUsize,
    workers: AtomicUsize,
    closed: AtomicBool,
}

/// What the minder is asked for.
enum Request {
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
    began: Instant,
}

impl Pool {
    /// Starts the minder.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (minder, requests) = std::sync::mpsc::channel();
        let asleep = Arc::new(AtomicBool::new(false));
        let pool = Self { minder, asleep, began: Instant::now() };
        let (slots, looked) = (Vec::new(), Instant::now());
        let minder = Minder { pool: pool.clone(), shared, slots, looked, rest: TICK };
        std::thread::Builder::new()
            .name("brig-minder".to_owned())
            .stack_size(STACK)
            .spawn(move || minder.run(&requests))?;
        Ok(pool)
    }

    /// Serves a listener until it is closed.
    pub fn serve(&self, listener: OwnedFd) -> Arc<Queue> {
        let queue = Arc::new(Queue {
            listener,
            idle: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        self.ask(Request::Worker(Arc::clone(&queue)));
        queue
    }

    /// The minder ends with the process only.
    fn ask(&self, request: Request) {
        self.minder.send(request).unwrap_or_default();
    }
}

impl Queue {
    /// The listener.
    pub fn listener(&self) -> &OwnedFd {
        &self.listener
    }

    /// Nobody is left who could call.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        if self.closed.load(Ordering::Acquire) {
            return true;
        }
        let mut fds = [PollFd::new(&self.listener, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let [fd] = match poll(&mut fds, Some(&now)) {
            Ok(_) => fds,
            Err(_) => return false,
        };
        fd.revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

impl Slot {
    /// From here on the worker may have to wait for a page of the caller's.
    pub fn reading(&self) {
        self.phase.store(Phase::Reading as u8, Ordering::Relaxed);
    }

    /// From here on it does not.
    pub fn acting(&self) {
        self.phase.store(Phase::Acting as u8, Ordering::Relaxed);
    }

    /// Does what may wait for somebody else. Another worker takes this one's place meanwhile.
    ///
    /// Ends with [`Wait::Interrupted`] where a signal for the caller is the reason that it was ended,
    /// and with [`Wait::Gone`] where the caller is not there any more.
    pub fn wait<T>(&self, mut act: impl FnMut() -> rustix::io::Result<T>) -> Wait<T> {
        self.phase.store(Phase::Waiting as u8, Ordering::Release);
        self.queue.waiting.fetch_add(1, Ordering::AcqRel);
        self.pool.ask(Request::Look);
        // INVARIANT: only here can the minder end what a worker does; above all not while the kernel
        // hands a descriptor over, which would leave the caller with another one
        signal::unblock(CANCEL).unwrap_or_default();
        let done = loop {
            match act() {
                Err(rustix::io::Errno::INTR) => {
                    if self.interrupted.load(Ordering::Acquire) {
                        break Wait::Interrupted;
                    }
                    if !notify::is_valid(self.queue.listener.as_fd(), self.id()) {
                        break Wait::Gone;
                    }
                }
                other => break Wait::Done(other),
            }
        };
        signal::block(CANCEL).unwrap_or_default();
        self.queue.waiting.fetch_sub(1, Ordering::AcqRel);
        self.acting();
        done
    }

    fn id(&self) -> u64 {
        self.id.load(Ordering::Acquire)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Reading,
            2 => Phase::Acting,
            _ => Phase::Waiting,
        }
    }

    fn begin(&self, notification: &notify::Notification) {
        let now = self.pool.began.elapsed();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
        self.caller.store(notification.tid, Ordering::Relaxed);
        self.interrupted.store(false, Ordering::Relaxed);
        self.id.store(notification.id, Ordering::Release);
        self.acting();
        if self.pool.asleep.load(Ordering::Acquire) {
            self.pool.ask(Request::Look);
        }
    }

    fn end(&self) {
        self.phase.store(Phase::Idle as u8, Ordering::Release);
        if self.slow.swap(false, Ordering::AcqRel) {
            self.queue.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn is_slow(&self) {
        if !self.slow.swap(true, Ordering::AcqRel) {
            self.queue.waiting.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// How waiting ended.
#[derive(Debug)]
pub enum Wait<T> {
    /// It is done, or it failed.
    Done(rustix::io::Result<T>),
    /// The caller has a signal to handle.
    Interrupted,
    /// The caller does not wait any more.
    Gone,
}

/// Receives and answers until the listener is over or others suffice.
fn work(pool: &Pool, shared: &Shared, slot: &Slot) {
    let queue = &slot.queue;
    let prepared = shared.prepare_worker();
    let (standing, tasks) = (Standing::new(shared.permitted), Tasks::default());
    while prepared.is_ok() {
        queue.idle.fetch_add(1, Ordering::AcqRel);
        let received = receive(queue, shared.receiving);
        let others = queue.idle.fetch_sub(1, Ordering::AcqRel) - 1;
        let notification = match received {
            Ok(notification) => notification,
            Err(_) if queue.is_over() => break,
            Err(_) => continue,
        };
        if others == 0 && may_grow(queue, shared.processors) {
            pool.ask(Request::Worker(Arc::clone(queue)));
        }
        slot.begin(&notification);
        let worker = Worker { standing: &standing, tasks: &tasks, slot };
        let outcome = dispatch::answer(shared, worker, queue.listener.as_fd(), &notification);
        give(queue.listener.as_fd(), notification.id, outcome);
        slot.end();
        if queue.idle.load(Ordering::Acquire) > shared.processors + SPARE {
            break;
        }
    }
    slot.end();
    slot.thread.store(0, Ordering::Release);
    queue.workers.fetch_sub(1, Ordering::AcqRel);
}

/// Whether waiting for a call ends by itself when nobody is left who could make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// It does. KERNEL(6.11).
    Ends,
    /// The minder has to end it.
    HasToBeEnded,
}

fn receive(queue: &Queue, receiving: Receiving) -> std::io::Result<notify::Notification> {
    if receiving == Receiving::Ends {
        return notify::receive(queue.listener.as_fd());
    }
    signal::unblock(CANCEL)?;
    let received = notify::receive(queue.listener.as_fd());
    signal::block(CANCEL)?;
    received
}

/// Whether another worker could do something that the present ones do not.
fn may_grow(queue: &Queue, processors: usize) -> bool {
    let workers = queue.workers.load(Ordering::Acquire);
    let busy = workers.saturating_sub(queue.waiting.load(Ordering::Acquire));
    busy <= processors && workers < MOST_WORKERS
}

/// Looks after the workers.
struct Minder {
    pool: Pool,
    shared: Arc<Shared>,
    slots: Vec<Arc<Slot>>,
    /// When it last looked.
    looked: Instant,
    /// How long it must not look again.
    rest: Duration,
}

impl Minder {
    fn run(mut self, requests: &Receiver<Request>) {
        let standing = Standing::new(self.shared.permitted);
        let mut quiet_since = Instant::now();
        loop {
            if !self.is_quiet() {
                quiet_since = Instant::now();
            }
            match self.next(requests, quiet_since.elapsed()) {
                Ok(Request::Worker(queue)) => self.add(&queue),
                Ok(Request::Look) => self.replace_waiting(),
                Err(RecvTimeoutError::Timeout) => self.look(&standing),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(
        &self,
        requests: &Receiver<Request>,
        quiet: Duration,
    ) -> Result<Request, RecvTimeoutError> {
        if quiet < QUIET {
            let waits = self.slots.iter().any(|slot| slot.phase() == Phase::Waiting);
            let tick = if waits { TICK } else { SLOW_TICK };
            // however many requests there are: without a look nothing that waits ends
            return match tick.max(self.rest).checked_sub(self.looked.elapsed()) {
                Some(left) => requests.recv_timeout(left),
                None => Err(RecvTimeoutError::Timeout),
            };
        }
        self.pool.asleep.store(true, Ordering::Release);
        // RACE: a worker may have begun before it could see that nobody looks: look once more
        let request = match self.is_quiet() {
            true => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => Err(RecvTimeoutError::Timeout),
        };
        self.pool.asleep.store(false, Ordering::Release);
        request
    }

    /// Whether no worker works on anything.
    fn is_quiet(&self) -> bool {
        let rests = |slot: &Arc<Slot>| {
            slot.phase() == Phase::Idle && !slot.queue.closed.load(Ordering::Acquire)
        };
        self.slots.iter().all(rests)
    }

    fn add(&mut self, queue: &Arc<Queue>) {
        self.slots.retain(|slot| slot.thread.load(Ordering::Acquire) != 0);
        if !may_grow(queue, self.shared.processors) || queue.idle.load(Ordering::Acquire) > 0 {
            return;
        }
        queue.workers.fetch_add(1, Ordering::AcqRel);
        let slot = Arc::new(Slot {
            phase: AtomicU8::new(Phase::Idle as u8),
            id: AtomicU64::new(0),
            since: AtomicU64::new(0),
            caller: AtomicI32::new(0),
            thread: AtomicI32::new(-1),
            interrupted: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            queue: Arc::clone(queue),
            pool: self.pool.clone(),
        });
        let (pool, shared, own) = (self.pool.clone(), Arc::clone(&self.shared), Arc::clone(&slot));
        let spawned = std::thread::Builder::new()
            .name("brig-worker".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                own.thread
                    .store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
                work(&pool, &shared, &own);
            });
        match spawned {
            Ok(_) => self.slots.push(slot),
            // the others go on; where there is none, the calls wait until the watcher sees it
            Err(_) => {
                queue.workers.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// A worker for each listener that nobody is left to serve.
    fn replace_waiting(&mut self) {
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        for slot in &self.slots {
            let served = slot.queue.idle.load(Ordering::Acquire) > 0;
            if !served && !queues.iter().any(|one| Arc::ptr_eq(one, &slot.queue)) {
                queues.push(Arc::clone(&slot.queue));
            }
        }
        queues.iter().for_each(|queue| self.add(queue));
    }

    fn look(&mut self, standing: &Standing) {
        let begun = Instant::now();
        // those that have ended keep nobody awake
        self.slots.retain(|slot| slot.thread.load(Ordering::Acquire) != 0);
        let now = self.pool.began.elapsed();
        for slot in &self.slots {
            let since = Duration::from_micros(slot.since.load(Ordering::Relaxed));
            let elapsed = now.saturating_sub(since);
            match slot.phase() {
                Phase::Idle if slot.queue.closed.load(Ordering::Acquire) => cancel(slot),
                Phase::Idle => {}
                Phase::Reading if elapsed > MEMORY_DEADLINE => {
                    slot.is_slow();
                    give(slot.queue.listener.as_fd(), slot.id(), Err(Errno::EFAULT));
                }
                Phase::Waiting => self.end_if_useless(slot, standing),
                // an autofs, a file system of another host
                Phase::Reading | Phase::Acting if elapsed > SLOW => slot.is_slow(),
                Phase::Reading | Phase::Acting => {}
            }
        }
        self.replace_waiting();
        self.looked = Instant::now();
        self.rest = (self.looked - begun).saturating_mul(REST).min(LONGEST_REST);
    }

    /// Ends what a caller that is gone, or has a signal to handle, had begun.
    fn end_if_useless(&self, slot: &Slot, standing: &Standing) {
        if !notify::is_valid(slot.queue.listener.as_fd(), slot.id()) {
            cancel(slot);
        } else if slot.phase() == Phase::Waiting && self.has_signal(slot, standing) {
            slot.interrupted.store(true, Ordering::Release);
            cancel(slot);
        }
    }

    fn has_signal(&self, slot: &Slot, standing: &Standing) -> bool {
        let read = || -> Result<Status, Errno> {
            standing.privileged()?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let name = slot.caller.load(Ordering::Acquire).to_string();
            let task = openat(&self.shared.proc, name, flags, Mode::empty())
                .map_err(super::answer::errno)?;
            Status::parse(&read_whole(&task, "status")?)
        };
        read().is_ok_and(|status| status.signals != 0)
    }
}

/// RACE: the worker may not wait yet: the minder comes again at the next tick.
fn cancel(slot: &Slot) {
    let thread = slot.thread.load(Ordering::Acquire);
    if thread > 0 {
        // it may have ended
        signal_thread(thread, CANCEL).unwrap_or_default();
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The workers: threads that receive calls and answer them.
//!
//! A worker receives a call and answers it itself: nothing is handed from thread to thread on the
//! way. As many work at once as there are processors; one that waits for something else than a
//! processor (a connection, the other end of a FIFO) is replaced meanwhile, so that no call waits
//! for another one's peer. The [`Minder`] looks after those that wait.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answer::give;
use super::caller::Worker;
use super::minder::{Minder, STACK};
use super::slot::Slot;
use super::standing::Standing;
use super::task::Tasks;
use super::{Shared, dispatch};
use crate::sys::notify;

/// The most threads: what is beyond that waits in the kernel.
const MOST_WORKERS: usize = 512;
/// How many may wait for calls at once, beside the processors.
const SPARE: usize = 1;
/// Ends what a worker waits for.
pub const CANCEL: i32 = libc::SIGUSR1;

/// One listener, and who serves it.
#[derive(Debug)]
pub struct Queue {
    listener: OwnedFd,
    idle: AtomicUsize,
    /// Those that wait for something else than a call or a processor.
    waiting: AtomicUsize,
    workers: AtomicUsize,
    closed: AtomicBool,
    /// When something last took long unexpectedly, in microseconds since the pool began; 0: never.
    surprised: AtomicU64,
}

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
        let minder = Minder::new(pool.clone(), shared);
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
            surprised: AtomicU64::new(0),
        });
        self.ask(Request::Worker(Arc::clone(&queue)));
        queue
    }

    /// How long there has been this pool.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Asks the minder, which ends with the process only.
    pub fn ask(&self, request: Request) {
        self.minder.send(request).unwrap_or_default();
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
        self.asleep.store(false, Ordering::Release);
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

    /// Whether it is known that nobody is left who could call.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether a worker waits for calls.
    pub fn is_served(&self) -> bool {
        self.idle.load(Ordering::Acquire) > 0
    }

    /// A worker waits for something else.
    pub fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// It does no more.
    pub fn waits_no_more(&self) {
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

    fn is_over(&self) -> bool {
        if self.is_closed() {
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

/// Receives and answers until the listener is over or others suffice.
pub fn work(pool: &Pool, shared: &Shared, slot: &Slot) {
    slot.occupy();
    let queue = &slot.queue;
    let prepared = shared.prepare_worker();
    let (standing, tasks) = (Standing::new(shared.permitted), Tasks::default());
    while prepared.is_ok() {
        queue.idle.fetch_add(1, Ordering::AcqRel);
        let received = notify::receive(queue.listener.as_fd());
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
    slot.leave();
    queue.remove_worker();
}

/// Whether another worker could do something that the present ones do not.
pub fn may_grow(queue: &Queue, processors: usize) -> bool {
    let workers = queue.workers.load(Ordering::Acquire);
    let busy = workers.saturating_sub(queue.waiting.load(Ordering::Acquire));
    busy <= processors && workers < MOST_WORKERS
}

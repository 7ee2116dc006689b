// SPDX-License-Identifier: Apache-2.0
//! Tasks that have called: what is known of them, and how long it stays true.
//!
//! Looking at a task anew at each call would cost more than the call. What is kept is bound to the
//! task and not to its number: `/proc/TID` and a pidfd fail once it is gone. Its ids and capabilities
//! are asked for at each call; its groups can only change by setgroups(2), which is why that call is
//! mediated: from the moment that one is seen, no groups that were read before are believed. Nor are
//! those of a thread whose number another one of its process can get.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use brig_policy::call::status::Status;
use brig_policy::policy::Errno;
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::Pid;

use super::answer::errno;
use super::caller::read_whole;
use super::standing::Identity;
use crate::sys::pidfd::{self, Credentials, Sharing};

/// How many tasks a worker remembers, two descriptors each.
const MOST: usize = 8;

/// How often some task has changed its groups.
#[derive(Debug, Default)]
pub struct GroupChanges(AtomicU64);

impl GroupChanges {
    /// A task is about to change its groups.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A task.
#[derive(Debug)]
pub struct Task {
    tid: i32,
    /// `/proc/TID`.
    pub directory: OwnedFd,
    /// Of the thread, or, KERNEL(6.9), of its process where it has that one's descriptors.
    pidfd: OnceCell<OwnedFd>,
    /// As they were when it was last made sure that the task is alive; for one call.
    credentials: Cell<Option<Credentials>>,
    groups: RefCell<Vec<u32>>,
    /// The count of changes before the groups were read.
    groups_as_of: Cell<Option<u64>>,
}

/// The tasks that a worker remembers, the last first.
#[derive(Debug, Default)]
pub struct Tasks(RefCell<Vec<Rc<Task>>>);

impl Tasks {
    /// The task of this number, if it is remembered and has not ended.
    ///
    /// INVARIANT: the number is that of a task that waits, so that one which is alive and has it is
    /// the same.
    pub fn recall(&self, tid: i32) -> Option<Rc<Task>> {
        let mut tasks = self.0.borrow_mut();
        let place = tasks.iter().position(|task| task.tid == tid)?;
        let task = tasks.remove(place);
        if !task.is_alive() {
            return None;
        }
        tasks.insert(0, Rc::clone(&task));
        Some(task)
    }

    /// Remembers a task.
    pub fn remember(&self, task: Rc<Task>) {
        let mut tasks = self.0.borrow_mut();
        tasks.retain(|other| other.tid != task.tid);
        tasks.truncate(MOST - 1);
        tasks.insert(0, task);
    }
}

impl Task {
    /// The task that has this number now.
    ///
    /// # Errors
    /// There is none.
    pub fn open(proc: &OwnedFd, tid: i32) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(proc, tid.to_string(), flags, Mode::empty()).map_err(errno)?;
        Ok(Self {
            tid,
            directory,
            pidfd: OnceCell::new(),
            credentials: Cell::new(None),
            groups: RefCell::default(),
            groups_as_of: Cell::new(None),
        })
    }

    fn is_alive(&self) -> bool {
        let credentials = |pidfd: &OwnedFd| pidfd::credentials(pidfd.as_fd()).ok();
        self.credentials.set(self.pidfd.get().and_then(credentials));
        self.credentials.get().is_some()
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    /// It is gone.
    pub fn status(&self) -> Result<Status, Errno> {
        Status::parse(&read_whole(&self.directory, "status")?)
    }

    /// A descriptor of the thread: its descriptors may be other ones than those of its process.
    ///
    /// # Errors
    /// The kernel's; EBADF where it cannot tell the thread's descriptors from its process's.
    pub fn pidfd(&self) -> Result<&OwnedFd, Errno> {
        if let Some(pidfd) = self.pidfd.get() {
            return Ok(pidfd);
        }
        let opened = match pidfd::open_thread(self.tid) {
            // KERNEL(6.9): before, only of processes
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.pidfd_of_process()?,
            other => other.map_err(errno)?,
        };
        Ok(self.pidfd.get_or_init(|| opened))
    }

    fn pidfd_of_process(&self) -> Result<OwnedFd, Errno> {
        let tgid = self.status()?.tgid;
        if self.tid != tgid {
            match pidfd::share_descriptors(self.tid, tgid).map_err(errno)? {
                Sharing::Same => {}
                Sharing::Different => return Err(Errno::EBADF),
            }
        }
        pidfd::open_process(tgid).map_err(errno)
    }

    /// Who it is. Its capabilities are those that it has in its own user namespace.
    ///
    /// # Errors
    /// It is gone.
    pub fn identity(&self, changes: &GroupChanges) -> Result<Identity, Errno> {
        let fresh = match self.credentials.take() {
            Some(credentials) => Ok(credentials),
            None => pidfd::credentials(self.pidfd()?.as_fd()),
        };
        let Ok(credentials) = fresh else {
            // KERNEL(6.13): before, only /proc says it
            let status = self.status()?;
            return Ok(Identity::new(&status));
        };
        let now = changes.count();
        if self.groups_as_of.get() != Some(now) {
            let status = self.status()?;
            // RACE: a thread that executes a program takes its leader's number, and may have changed
            // its groups before the leader's were read
            let lasts = now == 0 || status.threads == 1 || status.tgid != self.tid;
            self.groups.replace(status.groups);
            self.groups_as_of.set(lasts.then_some(now));
        }
        let sets = rustix::thread::capabilities(Pid::from_raw(self.tid)).map_err(errno)?;
        Ok(Identity {
            uids: credentials.uids,
            gids: credentials.gids,
            groups: self.groups.borrow().clone(),
            effective: sets.effective.bits(),
        })
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A caller: the thread that waits for an answer, its memory, its descriptors, its directories.
//!
//! Guarantees: nothing is done because of what was read of a caller before it is known that the
//! notification was still waiting after the reading, so that it was not another task with the same
//! number; no pointer is read twice; no length is believed.

use std::cell::{Cell, OnceCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use brig_policy::call::files::Base;
use brig_policy::call::ids::{self, Ids};
use brig_policy::call::status::Status;
use brig_policy::call::string::{Progress, Reading};
use brig_policy::call::{Layout, Pointer, Span};
use brig_policy::policy::Errno;
use brig_policy::seccomp::Syscall;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::process::PidfdGetfdFlags;

use super::answer::{NO_DESCRIPTORS, errno};
use super::slot::Slot;
use super::standing::{Identity, Standing};
use super::task::{Task, Tasks};
use super::{Nesting, Shared};
use crate::sys::memory;
use crate::sys::notify::{self, Notification};

/// No system call of the table has more in one piece.
const MOST: usize = 1 << 20;
/// What is copied without asking for memory first: most strings.
const FEW: usize = 256;

/// What belongs to the thread that answers.
#[derive(Clone, Copy, Debug)]
pub struct Worker<'a> {
    /// Whom it acts as.
    pub standing: &'a Standing,
    /// Whom it remembers.
    pub tasks: &'a Tasks,
    /// Where its work is seen.
    pub slot: &'a Slot,
}

/// One mediated call, and all that its answer is made with.
pub struct Call<'a> {
    /// What all workers share.
    pub shared: &'a Shared,
    /// Whom the worker acts as.
    pub standing: &'a Standing,
    /// Where its work is seen.
    pub slot: &'a Slot,
    /// Where it came from.
    pub listener: BorrowedFd<'a>,
    /// What the kernel says of it.
    pub notification: Notification,
    /// Which call it is.
    pub syscall: Syscall,
    /// How wide the caller's words are.
    pub layout: Layout,
    /// The tasks that the worker remembers.
    tasks: &'a Tasks,
    task: OnceCell<Rc<Task>>,
    /// Whether the task, known from an earlier call, was alive after the last look at its memory.
    outlived: Cell<bool>,
    /// Whether something could not be looked at for want of a descriptor.
    starved: Cell<bool>,
    status: OnceCell<Status>,
    identity: OnceCell<Identity>,
}

impl<'a> Call<'a> {
    /// A call that has been received.
    pub fn new(
        shared: &'a Shared,
        Worker { standing, tasks, slot }: Worker<'a>,
        listener: BorrowedFd<'a>,
        notification: Notification,
        (syscall, layout): (Syscall, Layout),
    ) -> Self {
        let (task, status, identity) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self {
            shared,
            standing,
            slot,
            listener,
            notification,
            syscall,
            layout,
            tasks,
            task,
            outlived: Cell::new(false),
            starved: Cell::new(false),
            status,
            identity,
        }
    }

    /// That the caller still waits, so that what has been read was its own.
    ///
    /// # Errors
    /// ESRCH where it does not; nobody sees that.
    pub fn still_waits(&self) -> Result<(), Errno> {
        match notify::is_valid(self.listener, self.notification.id) {
            true => Ok(()),
            false => Err(Errno::ESRCH),
        }
    }

    /// That what has been read was the caller's own: enough for what has no effect but for who gets
    /// the answer, which the kernel gives to nobody who does not wait.
    ///
    /// RACE: the number could have been another task's when its memory was read. Not that of one
    /// that was known by it before this call came, and was alive afterwards.
    ///
    /// # Errors
    /// ESRCH where it was not; nobody sees that.
    pub fn was_read(&self) -> Result<(), Errno> {
        if self.outlived.get() { Ok(()) } else { self.still_waits() }
    }

    /// Takes note of what could not be looked at for want of a descriptor.
    pub fn looked<T>(&self, found: Result<T, Errno>) -> Result<T, Errno> {
        if matches!(found, Err(NO_DESCRIPTORS)) {
            self.starved.set(true);
        }
        found
    }

    /// Whether something could not.
    pub fn is_starved(&self) -> bool {
        self.starved.get()
    }

    /// The task that waits.
    ///
    /// RACE: the number may be another task's by now; what is opened for a task stays with it, and
    /// that was this one if the call still waits afterwards.
    pub fn task(&self) -> Result<&Rc<Task>, Errno> {
        if let Some(task) = self.task.get() {
            return Ok(task);
        }
        let tid = self.notification.tid;
        if let Some(known) = self.tasks.recall(tid) {
            self.outlived.set(true);
            return Ok(self.task.get_or_init(|| known));
        }
        let task = Rc::new(Task::open(&self.shared.proc, tid)?);
        task.pidfd()?;
        self.still_waits()?;
        self.tasks.remember(Rc::clone(&task));
        Ok(self.task.get_or_init(|| task))
    }

    /// What the kernel says of the caller.
    pub fn status(&self) -> Result<&Status, Errno> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = self.task()?.status()?;
        Ok(self.status.get_or_init(|| status))
    }

    /// Who the caller is.
    pub fn identity(&self) -> Result<&Identity, Errno> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let mut identity = self.task()?.identity(&self.shared.group_changes)?;
        if identity.effective != 0 && self.shared.nesting == Nesting::Possible {
            // its capabilities are in force there, not here
            if self.has_own_user_namespace()? {
                identity.effective = 0;
            }
        }
        Ok(self.identity.get_or_init(|| identity))
    }

    /// Becomes the caller, as far as files, sockets and signals are concerned.
    pub fn assume(&self) -> Result<(), Errno> {
        self.standing.assume(self.identity()?)
    }

    /// Whether the caller has made itself a user namespace.
    fn has_own_user_namespace(&self) -> Result<bool, Errno> {
        let directory = &self.task()?.directory;
        let theirs = self.looking(|| readlinkat(directory, "ns/user", Vec::new()))?;
        Ok(theirs.as_bytes() != self.shared.user_namespace)
    }

    /// An id that the caller names, as it is here.
    ///
    /// # Errors
    /// EINVAL: its user namespace has no such id.
    pub fn id(&self, ids: Ids, id: u32) -> Result<u32, Errno> {
        if self.shared.nesting == Nesting::Refused || !self.has_own_user_namespace()? {
            return Ok(id);
        }
        let name = match ids {
            Ids::Users => "uid_map",
            Ids::Groups => "gid_map",
        };
        let map = read_whole(&self.task()?.directory, name)?;
        ids::outside(&map, id).ok_or(Errno::EINVAL)
    }

    /// Copies memory of the caller.
    ///
    /// # Errors
    /// EFAULT where not all of it can be read.
    pub fn copy(&self, span: Span) -> Result<Vec<u8>, Errno> {
        if span.length() > MOST {
            return Err(Errno::EFAULT);
        }
        let mut bytes = vec![0; span.length()];
        match self.read_some(span.address().0, &mut bytes)? {
            count if count == bytes.len() => Ok(bytes),
            _ => Err(Errno::EFAULT),
        }
    }

    /// Copies a path of the caller, without its NUL.
    ///
    /// # Errors
    /// EFAULT, and ENAMETOOLONG where it is longer than a path can be.
    pub fn path(&self, pointer: Pointer) -> Result<Vec<u8>, Errno> {
        self.string(Reading::path(self.layout, pointer))
    }

    /// Copies a string of the caller, without its NUL.
    ///
    /// # Errors
    /// EFAULT, and what the string's kind has for one that is too long.
    pub fn string(&self, mut reading: Reading) -> Result<Vec<u8>, Errno> {
        loop {
            let span = reading.wanted()?;
            let (mut few, mut many) = ([0; FEW], Vec::new());
            let bytes = match few.get_mut(..span.length()) {
                Some(bytes) => bytes,
                None => {
                    many.resize(span.length(), 0);
                    &mut many
                }
            };
            let count = self.read_some(span.address().0, bytes)?;
            match reading.take(bytes.get(..count).unwrap_or(bytes))? {
                Progress::Complete(string) => return Ok(string),
                Progress::More(rest) => reading = rest,
            }
        }
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let tid = self.notification.tid;
        self.outlived.set(false);
        self.slot.copying();
        let mut read = memory::read(tid, address, buffer);
        if read.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPERM)) {
            self.standing.privileged()?;
            read = memory::read(tid, address, buffer);
        }
        self.slot.acting();
        // RACE: the number may have been another task's: whatever is done because of what was read is
        // done only after it has been made sure that the caller still waited
        read.map_err(errno)
    }

    /// Copies bytes into the caller's memory.
    ///
    /// # Errors
    /// EFAULT where not all of it can be written.
    pub fn write(&self, pointer: Pointer, bytes: &[u8]) -> Result<(), Errno> {
        let memory = self.memory()?;
        self.slot.copying();
        let written = rustix::io::pwrite(&memory, bytes, pointer.0);
        self.slot.acting();
        match written.map_err(|_| Errno::EFAULT)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    /// The caller's memory, for writing.
    ///
    /// RACE: what is opened stays that of the task that `/proc/TID` was opened for, or of nobody; a
    /// number could be another task's, even one of the host's, by the time that something is written.
    fn memory(&self) -> Result<OwnedFd, Errno> {
        let task = Rc::clone(self.task()?);
        let open =
            || openat(&task.directory, "mem", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        self.assume()?;
        self.standing.privileged()?;
        let opened = match open() {
            Err(rustix::io::Errno::ACCESS) => {
                self.standing.root_of_procfs()?;
                open()
            }
            other => other,
        };
        self.still_waits()?;
        opened.map_err(errno)
    }

    /// A duplicate of a descriptor of the caller's.
    ///
    /// # Errors
    /// EBADF where it has none of this number.
    pub fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        if number < 0 {
            return Err(Errno::EBADF);
        }
        let pidfd = self.task()?.pidfd()?;
        let flags = PidfdGetfdFlags::empty();
        let fd = self.looking(|| rustix::process::pidfd_getfd(pidfd, number, flags))?;
        self.still_waits()?;
        Ok(fd)
    }

    /// The caller's root directory.
    pub fn root(&self) -> Result<OwnedFd, Errno> {
        match self.shared.roots.are_one() {
            true => self.shared.root.try_clone().map_err(errno),
            false => self.link("root"),
        }
    }

    /// Looks at the caller: as whoever the worker is at the moment, or, where that does not do,
    /// with the supervisor's own capabilities.
    fn looking<T>(&self, look: impl Fn() -> rustix::io::Result<T>) -> Result<T, Errno> {
        match look() {
            Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {
                self.standing.privileged()?;
                look().map_err(errno)
            }
            other => other.map_err(errno),
        }
    }

    /// Where a relative path begins.
    pub fn base(&self, base: Base) -> Result<OwnedFd, Errno> {
        match base {
            Base::Cwd => self.link("cwd"),
            Base::Descriptor(number) => self.descriptor(number),
        }
    }

    /// What a magic link of `/proc/TID` leads to.
    pub fn link(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let directory = &self.task()?.directory;
        self.looking(|| openat(directory, name, flags, Mode::empty()))
    }

    /// Whether a file of this size would be larger than the caller's `RLIMIT_FSIZE`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn exceeds_file_size(&self, size: u64) -> Result<bool, Errno> {
        let text = read_whole(&self.task()?.directory, "limits")?;
        let limit = brig_policy::call::limits::soft(&text, "Max file size");
        Ok(limit.is_some_and(|limit| size > limit))
    }

    /// Sends the caller's thread a signal, as the kernel does for what a call did.
    ///
    /// # Errors
    /// The kernel's.
    pub fn signal(&self, signal: i32) -> Result<(), Errno> {
        self.standing.privileged()?;
        let thread = self.task()?.pidfd()?;
        self.still_waits()?;
        crate::sys::signal::send(thread.as_fd(), signal).map_err(errno)
    }
}

/// A file of procfs, whose size nobody knows before.
pub fn read_whole(directory: &OwnedFd, name: &str) -> Result<Vec<u8>, Errno> {
    const LIMIT: usize = 1 << 20;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).map_err(errno)?;
    let mut text = Vec::with_capacity(4096);
    while text.len() < LIMIT {
        text.reserve(4096);
        let count = rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text));
        if count.map_err(errno)? == 0 {
            return Ok(text);
        }
    }
    Err(Errno::ENOMEM)
}

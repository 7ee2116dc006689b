// SPDX-License-Identifier: Apache-2.0
//! A caller: the thread that waits for an answer, its memory, its descriptors, its directories.
//!
//! Guarantees: nothing that is read of a caller is used before it is known that the notification was
//! still waiting after the reading, so that it is not another task with the same number; no pointer
//! is read twice; no length is believed.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::call::files::Base;
use brig_policy::call::status::Status;
use brig_policy::call::string::{Progress, Reading};
use brig_policy::call::{Layout, Pointer, Span};
use brig_policy::policy::Errno;
use brig_policy::seccomp::Syscall;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::process::PidfdGetfdFlags;

use super::Shared;
use super::answer::errno;
use super::pool::Slot;
use super::standing::{Identity, Standing};
use crate::sys::notify::{self, Notification};
use crate::sys::{memory, pidfd};

/// No system call of the table has more in one piece.
const MOST: usize = 1 << 20;

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
    /// `/proc/TID`, of a task that was waiting after it had been opened.
    task: OnceCell<OwnedFd>,
    status: OnceCell<Status>,
}

impl<'a> Call<'a> {
    /// A call that has been received.
    pub fn new(
        shared: &'a Shared,
        standing: &'a Standing,
        slot: &'a Slot,
        listener: BorrowedFd<'a>,
        notification: Notification,
        (syscall, layout): (Syscall, Layout),
    ) -> Self {
        let (task, status) = (OnceCell::new(), OnceCell::new());
        Self { shared, standing, slot, listener, notification, syscall, layout, task, status }
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

    /// `/proc/TID`.
    ///
    /// RACE: the number may be another task's by now; the directory that was opened stays with the
    /// task that it was opened for, and that was this one if the call still waits afterwards.
    pub fn task(&self) -> Result<&OwnedFd, Errno> {
        if let Some(task) = self.task.get() {
            return Ok(task);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name = self.notification.tid.to_string();
        let task = openat(&self.shared.proc, name, flags, Mode::empty()).map_err(errno)?;
        self.still_waits()?;
        Ok(self.task.get_or_init(|| task))
    }

    /// What the kernel says of the caller.
    pub fn status(&self) -> Result<&Status, Errno> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let text = read_whole(self.task()?, "status")?;
        let status = Status::parse(&text)?;
        Ok(self.status.get_or_init(|| status))
    }

    /// Becomes the caller, as far as files, sockets and signals are concerned.
    pub fn assume(&self) -> Result<(), Errno> {
        let status = self.status()?;
        let effective = match status.effective {
            0 => 0,
            some => self.in_own_user_namespace(some)?,
        };
        self.standing.assume(&Identity::new(status, effective))
    }

    /// The capabilities of a caller that has made itself a user namespace are in force there, not
    /// here.
    fn in_own_user_namespace(&self, effective: u64) -> Result<u64, Errno> {
        self.standing.privileged()?;
        let theirs = readlinkat(self.task()?, "ns/user", Vec::new()).map_err(errno)?;
        Ok(if theirs.as_bytes() == self.shared.user_namespace { effective } else { 0 })
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
            let mut bytes = vec![0; span.length()];
            let count = self.read_some(span.address().0, &mut bytes)?;
            match reading.take(bytes.get(..count).unwrap_or(&bytes))? {
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
        self.slot.reading();
        let mut read = memory::read(tid, address, buffer);
        if read.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPERM)) {
            self.standing.privileged()?;
            read = memory::read(tid, address, buffer);
        }
        self.slot.acting();
        let count = read.map_err(errno)?;
        // RACE: the number may have been another task's: then what was read is not used
        self.still_waits()?;
        Ok(count)
    }

    /// Copies bytes into the caller's memory.
    ///
    /// # Errors
    /// EFAULT where not all of it can be written.
    pub fn write(&self, pointer: Pointer, bytes: &[u8]) -> Result<(), Errno> {
        self.standing.privileged()?;
        // RACE: a caller that waits is alive and has its number: the kernel takes the number after
        // this, so that what is written could only reach another task if this one were killed in
        // between and its number were given away at once; the caller's address is then written in
        // a task of the same container
        self.still_waits()?;
        match memory::write(self.notification.tid, pointer.0, bytes).map_err(errno)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    /// A duplicate of a descriptor of the caller's.
    ///
    /// # Errors
    /// EBADF where it has none of this number.
    pub fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        self.standing.privileged()?;
        let task = self.pidfd()?;
        let flags = PidfdGetfdFlags::empty();
        let fd = rustix::process::pidfd_getfd(&task, number, flags).map_err(errno)?;
        self.still_waits()?;
        Ok(fd)
    }

    /// A pidfd of the thread: its descriptors may be other ones than those of its process.
    fn pidfd(&self) -> Result<OwnedFd, Errno> {
        let tid = self.notification.tid;
        match pidfd::open_thread(tid) {
            // KERNEL(6.9): before, only of processes
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.pidfd_of_process(tid),
            other => other.map_err(errno),
        }
    }

    fn pidfd_of_process(&self, tid: i32) -> Result<OwnedFd, Errno> {
        let tgid = self.status()?.tgid;
        if tid != tgid {
            match pidfd::share_descriptors(tid, tgid).map_err(errno)? {
                pidfd::Sharing::Same => {}
                pidfd::Sharing::Different => return Err(Errno::EBADF),
            }
        }
        pidfd::open_process(tgid).map_err(errno)
    }

    /// The caller's root directory.
    pub fn root(&self) -> Result<OwnedFd, Errno> {
        self.link("root")
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
        self.standing.privileged()?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat(self.task()?.as_fd(), name, flags, Mode::empty()).map_err(errno)
    }

    /// `RLIMIT_FSIZE` of the caller, who gets SIGXFSZ for going beyond it, as from the kernel.
    ///
    /// # Errors
    /// EFBIG.
    pub fn check_file_size(&self, size: u64) -> Result<(), Errno> {
        let text = read_whole(self.task()?, "limits")?;
        match brig_policy::call::limits::soft(&text, "Max file size") {
            Some(limit) if size > limit => {
                self.standing.privileged()?;
                let thread = self.pidfd()?;
                crate::sys::signal::send(thread.as_fd(), libc::SIGXFSZ).map_err(errno)?;
                Err(Errno::EFBIG)
            }
            _ => Ok(()),
        }
    }

    /// A register as an `int`.
    #[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
    pub fn int(&self, index: usize) -> i32 {
        (self.notification.args.get(index).copied().unwrap_or_default() as u32).cast_signed()
    }

    /// A register as a pointer.
    pub fn pointer(&self, index: usize) -> Pointer {
        self.layout.pointer(self.notification.args.get(index).copied().unwrap_or_default())
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

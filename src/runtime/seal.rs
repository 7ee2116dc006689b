// SPDX-License-Identifier: Apache-2.0
//! Protecting brig's own executable from the container.
//!
//! While brig's code runs in the container, `/proc/self/exe` there is brig's file on the host. A
//! workload that gets hold of it must not be able to write it. So the commands that enter a
//! container first execute themselves again from a read-only view of the file: a clone of its
//! mount, read-only and attached nowhere (`open_tree`, `mount_setattr`, `execveat`; microseconds).
//! Where the container's root could make a mount writable again, or where no mount can be cloned,
//! a sealed copy in memory takes its place; an executable that the caller cannot write needs
//! neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::Context as _;
use rustix::fs::{
    Access, AtFlags, CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, accessat,
    fcntl_add_seals, fcntl_get_seals, fstatvfs, memfd_create, open,
};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::sys::exec::{StringArray, fexecve};

/// How much protection is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// A read-only mount is enough.
    ReadOnlyMount,
    /// The container has CAP_SYS_ADMIN in the host's user namespace: a sealed copy.
    SealedCopy,
}

/// Executes brig again from a protected file, unless it already runs from one that is strong
/// enough. Returns where nothing had to be done. The descriptors from 3 on that the workload is to
/// inherit come along.
///
/// # Errors
///
/// No protection could be had: nothing has been started then.
pub fn ensure(strength: Strength, preserve_fds: i32) -> anyhow::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let exe = open("/proc/self/exe", flags, Mode::empty()).context("open /proc/self/exe")?;
    if current(&exe)? >= Some(strength) {
        return Ok(());
    }
    if strength == Strength::ReadOnlyMount {
        if let Some(view) = read_only_clone(&exe) {
            return execute(&view, preserve_fds);
        }
        let writable = accessat(CWD, "/proc/self/exe", Access::WRITE_OK, AtFlags::EACCESS);
        // ETXTBSY is not what access(2) says of a running program: the answer is about permission
        if writable.is_err() && !rustix::process::geteuid().is_root() {
            return Ok(());
        }
    }
    let copy = sealed_copy(exe).context("copy brig's executable into memory")?;
    execute(&copy, preserve_fds)
}

/// The protection of the file that is running now.
fn current(exe: &OwnedFd) -> anyhow::Result<Option<Strength>> {
    let sealed = fcntl_get_seals(exe).is_ok_and(|seals| seals.contains(SealFlags::WRITE));
    if sealed {
        return Ok(Some(Strength::SealedCopy));
    }
    let found = fstatvfs(exe).context("fstatvfs /proc/self/exe")?;
    let read_only = found.f_flag.contains(StatVfsMountFlags::RDONLY);
    Ok(read_only.then_some(Strength::ReadOnlyMount))
}

fn read_only_clone(exe: &OwnedFd) -> Option<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let view = open_tree(exe.as_fd(), "", flags).ok()?;
    crate::sys::mount::set_read_only(view.as_fd(), crate::sys::mount::Tree::One).ok()?;
    Some(view)
}

fn sealed_copy(exe: OwnedFd) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // KERNEL(6.3): MFD_EXEC; without it vm.memfd_noexec could make the copy not executable
    let copy =
        memfd_create("brig", flags | MemfdFlags::EXEC).or_else(|_| memfd_create("brig", flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut File::from(exe), &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

fn execute(file: &OwnedFd, preserve_fds: i32) -> anyhow::Result<()> {
    let argv = StringArray::new(std::env::args_os().map(|one| one.as_bytes().to_vec()))
        .context("arguments")?;
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut one = name.as_bytes().to_vec();
        one.push(b'=');
        one.extend(value.as_bytes());
        one
    });
    let envp = StringArray::new(environment).context("environment")?;
    for fd in 3..3 + preserve_fds {
        crate::sys::descriptors::keep_over_exec(fd)
            .with_context(|| format!("--preserve-fds: descriptor {fd}"))?;
    }
    let error = fexecve(file.as_fd(), &argv, &envp);
    Err(error).with_context(|| format!("execveat({}, \"\", AT_EMPTY_PATH)", file.as_raw_fd()))
}

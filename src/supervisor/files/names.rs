// SPDX-License-Identifier: Apache-2.0
//! mkdir(2), mknod(2), symlink(2), link(2), rename(2), unlink(2), rmdir(2) and their kin: calls that
//! make, move and remove names.
//!
//! Each is done in directories that are held, by names without any link, so that what is done is
//! what was decided about. What a rename moves or overwrites is looked at before: no other call of
//! the workload's that changes names is under way meanwhile, as far as names are brig's to change.

use std::os::fd::AsFd;

use brig_policy::call::Pointer;
use brig_policy::call::files::{At, Empty, Request};
use brig_policy::decide::{FileKind, FileOperation, RenameTarget};
use brig_policy::policy::{Access, Errno};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, RenameFlags, linkat, mkdirat, mknodat, renameat_with, symlinkat,
    unlinkat,
};

use super::to_kernel;
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Entry, Found, Limits};

/// All that these calls can take.
const NEEDS: [Access; 3] = [Access::Create, Access::Delete, Access::Device];

/// Answers.
pub fn change(call: &Call<'_>, request: &Request) -> Outcome {
    match *request {
        Request::MakeDirectory { at, mode } => make(call, &at, &[Access::Create], |entry, _| {
            mkdirat(entry.directory.fd.as_fd(), &*entry.name, Mode::from_raw_mode(mode))
        }),
        Request::MakeNode { at, mode, device } => make_node(call, &at, mode, device),
        Request::MakeSymlink { target, at } => make_symlink(call, target, &at),
        Request::Link { from, to } => link(call, &from, &to),
        Request::Rename { from, to, flags } => rename(call, &from, &to, flags),
        Request::Unlink { at } => remove(call, &at, AtFlags::empty()),
        Request::RemoveDirectory { at } => remove(call, &at, AtFlags::REMOVEDIR),
        _ => Err(Errno::ENOSYS),
    }
}

/// The entry that a path names, with what must hold for brig to do something there.
fn entry(call: &Call<'_>, at: &At) -> Result<Entry, Errno> {
    entry_of(call, at, &call.path(at.path)?)
}

fn entry_of(call: &Call<'_>, at: &At, path: &[u8]) -> Result<Entry, Errno> {
    let entry = call.find_entry(at, path, Limits::NONE)?;
    if matches!(entry.last(), b"" | b"." | b"..") {
        // the kernel's to answer: each call has its own errno for these
        return Err(Errno::EINVAL);
    }
    Ok(entry)
}

fn make(
    call: &Call<'_>,
    at: &At,
    needs: &[Access],
    act: impl FnOnce(&Entry, &[Permitted]) -> rustix::io::Result<()>,
) -> Outcome {
    let Ok(entry) = entry(call, at) else { return to_kernel(call, &NEEDS) };
    let Ok(path) = entry.path() else { return to_kernel(call, &NEEDS) };
    let judge = &call.shared.judge;
    let ours = needs.iter().any(|access| judge.is_mixed(&path, *access));
    if !ours && !judge.audits() {
        return to_kernel(call, &NEEDS);
    }
    // that something is there is what the kernel says first
    if ours && entry.is_taken() {
        return Err(Errno::EEXIST);
    }
    let permitted = needs.iter().map(|access| judge.access(call, *access, &path));
    let permitted = permitted.collect::<Result<Vec<_>, _>>()?;
    if !ours {
        return to_kernel(call, &NEEDS);
    }
    call.standing.set_umask(call.status()?.umask);
    call.assume()?;
    let _names = call.shared.names.hold();
    call.still_waits()?;
    act(&entry, &permitted).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn make_node(call: &Call<'_>, at: &At, mode: u32, device: u32) -> Outcome {
    let kind = match mode & 0o170_000 {
        0 => FileType::RegularFile,
        other => FileType::from_raw_mode(other),
    };
    let needs: &[Access] = match kind {
        FileType::CharacterDevice | FileType::BlockDevice => &[Access::Create, Access::Device],
        FileType::RegularFile | FileType::Fifo | FileType::Socket => &[Access::Create],
        _ => return to_kernel(call, &NEEDS),
    };
    make(call, at, needs, |entry, _| {
        let mode = Mode::from_raw_mode(mode);
        mknodat(entry.directory.fd.as_fd(), &*entry.name, kind, mode, wide_device(device))
    })
}

/// The system call's device number as the C library has it.
fn wide_device(device: u32) -> u64 {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    rustix::fs::makedev(major, minor)
}

fn make_symlink(call: &Call<'_>, target: Pointer, at: &At) -> Outcome {
    let Ok(target) = call.path(target) else { return to_kernel(call, &NEEDS) };
    make(call, at, &[Access::Create], |entry, _| {
        symlinkat(&*target, entry.directory.fd.as_fd(), &*entry.name)
    })
}

fn remove(call: &Call<'_>, at: &At, flags: AtFlags) -> Outcome {
    let Ok(entry) = entry(call, at) else { return to_kernel(call, &NEEDS) };
    let Ok(path) = entry.path() else { return to_kernel(call, &NEEDS) };
    let judge = &call.shared.judge;
    let ours = judge.is_mixed(&path, Access::Delete);
    if (!ours && !judge.audits()) || !entry.is_taken() {
        return to_kernel(call, &NEEDS);
    }
    let _permitted = judge.access(call, Access::Delete, &path)?;
    if !ours {
        return to_kernel(call, &NEEDS);
    }
    call.assume()?;
    let _names = call.shared.names.hold();
    call.still_waits()?;
    unlinkat(entry.directory.fd.as_fd(), &*entry.name, flags).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn link(call: &Call<'_>, from: &At, to: &At) -> Outcome {
    let kernel = || to_kernel(call, &NEEDS);
    // nothing is held while memory is read: the source may be the device of the server that has to
    // deliver the target's path
    let (Ok(old), Ok(new)) = (call.path(from.path), call.path(to.path)) else { return kernel() };
    let source = match call.find(from, &old, Limits::NONE) {
        Ok(source) => source,
        // KERNEL(6.10): with AT_EMPTY_PATH it says ENOENT of descriptors that somebody else opened,
        // as brig does for callers
        Err(errno) if from.empty == Empty::Base => return Err(errno),
        Err(_) => return kernel(),
    };
    let Ok(entry) = entry_of(call, to, &new) else { return kernel() };
    let Ok(new) = entry.path() else { return kernel() };
    let judge = &call.shared.judge;
    let mixed = |path| judge.is_mixed(path, Access::Create) || judge.is_mixed(path, Access::Delete);
    let ours = mixed(&new) || source.path.as_ref().is_some_and(mixed);
    if !ours && !judge.audits() {
        return kernel();
    }
    if ours && entry.is_taken() {
        return Err(Errno::EEXIST);
    }
    let _permitted = match &source.path {
        // a file that never had a name gains nothing by getting its first
        Some(old) if source.stat.st_nlink > 0 => {
            judge.file(call, FileOperation::Link { from: old.clone(), to: new })?
        }
        _ => judge.access(call, Access::Create, &new)?,
    };
    if !ours {
        return kernel();
    }
    call.assume()?;
    let _names = call.shared.names.hold();
    call.still_waits()?;
    let (directory, old) = (entry.directory.fd.as_fd(), source.by_descriptor());
    linkat(CWD, old, directory, &*entry.name, AtFlags::SYMLINK_FOLLOW).map_err(errno)?;
    Ok(Reply::Value(0))
}

/// What a name in a directory is, for a rename.
fn look(call: &Call<'_>, entry: &Entry) -> Result<Option<Found>, Errno> {
    match entry.open() {
        Ok(fd) => call.hold(fd).map(Some),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(errno(error)),
    }
}

fn rename(call: &Call<'_>, from: &At, to: &At, flags: u32) -> Outcome {
    let kernel = || to_kernel(call, &NEEDS);
    let Some(flags) = RenameFlags::from_bits(flags) else { return kernel() };
    let others = RenameFlags::NOREPLACE | RenameFlags::WHITEOUT;
    if flags.contains(RenameFlags::EXCHANGE) && flags.intersects(others) {
        return kernel();
    }
    if flags.contains(RenameFlags::WHITEOUT) {
        return rename_whiteout(call, from, to);
    }
    let (Ok(old), Ok(new)) = (call.path(from.path), call.path(to.path)) else { return kernel() };
    let (Ok(old), Ok(new)) = (entry_of(call, from, &old), entry_of(call, to, &new)) else {
        return kernel();
    };
    let (Ok(old_path), Ok(new_path)) = (old.path(), new.path()) else { return kernel() };
    let judge = &call.shared.judge;
    let mixed = |path| judge.is_mixed(path, Access::Create) || judge.is_mixed(path, Access::Delete);
    let ours = mixed(&old_path) || mixed(&new_path);
    if !ours && !judge.audits() {
        return kernel();
    }
    // RACE: what is moved or overwritten could become something else: where names are brig's to
    // change nobody changes them now, and where they are not, the worst is taken
    let alone = call.shared.names.hold_alone();
    let Ok(Some(source)) = call.looked(look(call, &old)) else { return kernel() };
    let Ok(target) = call.looked(look(call, &new)) else { return kernel() };
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    let kind = match (mixed(&old_path) && (!exchange || mixed(&new_path)), &target) {
        (true, Some(target)) if exchange && target.is_directory() => FileKind::Directory,
        (true, _) if !source.is_directory() => FileKind::File,
        _ => FileKind::Directory,
    };
    let (what, flags) = match (&target, exchange) {
        (Some(_), true) => (RenameTarget::Exchanged, flags),
        (None, true) => return kernel(),
        (Some(_), false) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EEXIST),
        (Some(_), false) => (RenameTarget::Replaced, flags),
        (None, false) => (RenameTarget::New, flags | RenameFlags::NOREPLACE),
    };
    let operation = FileOperation::Rename { from: old_path, to: new_path, target: what, kind };
    let _permitted = judge.file(call, operation)?;
    if !ours {
        return kernel();
    }
    call.assume()?;
    call.still_waits()?;
    let (from, to) = (old.directory.fd.as_fd(), new.directory.fd.as_fd());
    let renamed = alone.move_names(|| renameat_with(from, &*old.name, to, &*new.name, flags));
    renamed.map_err(errno)?;
    Ok(Reply::Value(0))
}

/// `RENAME_WHITEOUT` makes a device, which is for file systems that lie over others.
fn rename_whiteout(call: &Call<'_>, from: &At, to: &At) -> Outcome {
    let judge = &call.shared.judge;
    let paths = [from, to].map(|at| entry(call, at).and_then(|entry| entry.path()));
    let ours = |path: &Result<_, _>| {
        path.as_ref().is_ok_and(|path| NEEDS.iter().any(|access| judge.is_mixed(path, *access)))
    };
    if paths.iter().any(ours) { Err(Errno::EPERM) } else { to_kernel(call, &NEEDS) }
}

// SPDX-License-Identifier: Apache-2.0
//! mkdir(2), mknod(2), symlink(2), link(2), rename(2), unlink(2), rmdir(2) and their kin: calls that
//! make, move and remove names.
//!
//! Each is done in directories that are held, by names without any link, so that what is done is
//! what was decided about. What a rename moves or overwrites is looked at before: no other call of
//! the workload's that changes names is under way meanwhile, as far as names are brig's to change.
//!
//! Where the policy decides by names about what no right of the kernel's is for (metadata, sockets),
//! renames and links are never left to the kernel, which would let them change the answer.

use std::os::fd::{AsFd, OwnedFd};

use brig_policy::call::Pointer;
use brig_policy::call::files::{At, Empty, Request};
use brig_policy::decide::{FileKind, FileOperation, RenameTarget};
use brig_policy::policy::{Access, Errno};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, RenameFlags, StatxFlags, linkat, mkdirat, mknodat, renameat_with,
    statx, symlinkat, unlinkat,
};

use super::to_kernel;
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Entry, Found, Limits, has_name};

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
    // the kernel's to answer: each call has its own errno for these
    if is_fixed(&entry) { Err(Errno::EINVAL) } else { Ok(entry) }
}

/// Whether nothing can get or lose the name: it is `.`, `..` or the root.
fn is_fixed(entry: &Entry) -> bool {
    matches!(entry.last(), b"" | b"." | b"..")
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
    // RACE: before the name is gone: what gets it next must not count as granted. If it stays, the
    // supervisor does what the kernel would have done
    judge.lose_name(&path);
    unlinkat(entry.directory.fd.as_fd(), &*entry.name, flags).map_err(errno)?;
    Ok(Reply::Value(0))
}

/// Leaves a call that gives a name to the kernel, if that decides about names; else it has failed.
fn kernel_or(call: &Call<'_>, errno: Errno) -> Outcome {
    if call.shared.judge.gives_names() { Err(errno) } else { to_kernel(call, &NEEDS) }
}

fn link(call: &Call<'_>, from: &At, to: &At) -> Outcome {
    // nothing is held while memory is read: the source may be the device of the server that has to
    // deliver the target's path
    let new = call.path(to.path);
    let old = match call.path(from.path) {
        Ok(old) => old,
        Err(errno) => return kernel_or(call, errno),
    };
    let source = match call.find(from, &old, Limits::NONE) {
        Ok(source) => source,
        // KERNEL(6.10): with AT_EMPTY_PATH it says ENOENT of descriptors that somebody else opened,
        // as brig does for callers
        Err(errno) if from.empty == Empty::Base => return Err(errno),
        Err(errno) => return kernel_or(call, errno),
    };
    let entry = new.and_then(|new| call.find_entry(to, &new, Limits::NONE));
    let found = entry.and_then(|entry| match is_fixed(&entry) {
        true => Err(Errno::EEXIST),
        false => Ok((entry.path()?, entry)),
    });
    let (new, entry) = match found {
        Ok(found) => found,
        Err(errno) => return kernel_or(call, errno),
    };
    let judge = &call.shared.judge;
    let ours =
        judge.gives_name(&new) || source.path.as_ref().is_some_and(|old| judge.gives_name(old));
    if !ours && !judge.audits() {
        return to_kernel(call, &NEEDS);
    }
    if ours && entry.is_taken() {
        return Err(Errno::EEXIST);
    }
    // a file that never had a name gains nothing by getting its first
    let old = source.path.as_ref().filter(|_| source.stat.st_nlink > 0);
    let _permitted = match old {
        Some(old) => {
            let kind = match source.kind() {
                FileType::Socket => FileKind::Socket,
                _ => FileKind::File,
            };
            judge.file(call, FileOperation::Link { from: old.clone(), to: new, kind })?
        }
        None => judge.access(call, Access::Create, &new)?,
    };
    if !ours {
        return to_kernel(call, &NEEDS);
    }
    call.assume()?;
    let names = &call.shared.names;
    let _held = names.hold();
    // RACE: what had the old name when it was decided about may have been moved to another, of
    // which less is allowed; from here on nothing is moved
    if old.is_some_and(|old| !has_name(names, source.fd.as_fd(), old)) || !entry.stays(names) {
        return Err(Errno::ENOENT);
    }
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
    let Some(flags) = RenameFlags::from_bits(flags) else { return kernel_or(call, Errno::EINVAL) };
    if flags.contains(RenameFlags::WHITEOUT) {
        return rename_whiteout(call, from, to);
    }
    let entries = both_entries(call, from, to);
    match entries {
        Ok((old, new)) if is_fixed(&old) => kernel_or(call, apart(call, &old, &new, Errno::EBUSY)),
        Ok((old, new)) if is_fixed(&new) => {
            let taken = flags.contains(RenameFlags::NOREPLACE);
            let errno = if taken { Errno::EEXIST } else { Errno::EBUSY };
            kernel_or(call, apart(call, &old, &new, errno))
        }
        Ok(entries) => move_name(call, entries, flags),
        Err(errno) => kernel_or(call, errno),
    }
}

fn both_entries(call: &Call<'_>, from: &At, to: &At) -> Result<(Entry, Entry), Errno> {
    let (old, new) = (call.path(from.path)?, call.path(to.path)?);
    let entry = |at, path: &[u8]| call.find_entry(at, path, Limits::NONE);
    Ok((entry(from, &old)?, entry(to, &new)?))
}

/// Of a rename that fails anyhow: that it leads to another mount is what the kernel says first.
fn apart(call: &Call<'_>, old: &Entry, new: &Entry, errno: Errno) -> Errno {
    // KERNEL(5.8): STATX_MNT_ID; before, it is 0
    let of = |fd: &OwnedFd| statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    let mount = |entry: &Entry| match entry.last() {
        // the root is in no directory
        b"" => call.root().map_or(0, |root| of(&root).map_or(0, |found| found.stx_mnt_id)),
        _ => of(&entry.directory.fd).map_or(0, |found| found.stx_mnt_id),
    };
    if mount(old) == mount(new) { errno } else { Errno::EXDEV }
}

fn move_name(call: &Call<'_>, (old, new): (Entry, Entry), flags: RenameFlags) -> Outcome {
    // RACE: what is moved or overwritten could become something else: where names are brig's to
    // change nobody changes them now, and where they are not, the worst is taken. A directory that
    // was moved since it was found has the name now that counts
    let alone = call.shared.names.hold_alone();
    let renewed = old.renewed(call).and_then(|old| Ok((old, new.renewed(call)?)));
    let (old, new) = match renewed {
        Ok(entries) => entries,
        Err(errno) => return kernel_or(call, errno),
    };
    let (old_path, new_path) = match old.path().and_then(|old| Ok((old, new.path()?))) {
        Ok(paths) => paths,
        Err(errno) => return kernel_or(call, errno),
    };
    let judge = &call.shared.judge;
    let ours = judge.gives_name(&old_path) || judge.gives_name(&new_path);
    if !ours && !judge.audits() {
        return to_kernel(call, &NEEDS);
    }
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    let looked = call.looked(look(call, &old));
    let looked = looked.and_then(|old| Ok((old, call.looked(look(call, &new))?)));
    let (source, target) = match looked {
        Ok((Some(source), target)) if target.is_some() || !exchange => (source, target),
        Ok(_) => return kernel_or(call, apart(call, &old, &new, Errno::ENOENT)),
        Err(errno) => return kernel_or(call, errno),
    };
    if target.is_some() && flags.contains(RenameFlags::NOREPLACE) {
        return Err(apart(call, &old, &new, Errno::EEXIST));
    }
    let held = judge.holds_name(&old_path) && (!exchange || judge.holds_name(&new_path));
    let kind = |found: &Found| match (found.kind(), held) {
        (FileType::Directory, _) => FileKind::Directory,
        (FileType::Socket, _) if judge.gives_names() => FileKind::Socket,
        (_, true) => FileKind::File,
        (_, false) => FileKind::Unsure,
    };
    let kind = match &target {
        Some(target) if exchange => kind(&source).max(kind(target)),
        _ => kind(&source),
    };
    let what = match (&target, exchange) {
        (Some(_), true) => RenameTarget::Exchanged,
        (Some(_), false) => RenameTarget::Replaced,
        (None, _) => RenameTarget::New,
    };
    let permit = |target| {
        let (from, to) = (old_path.clone(), new_path.clone());
        judge.file(call, FileOperation::Rename { from, to, target, kind })
    };
    let _permitted = permit(what)?;
    if !ours {
        return to_kernel(call, &NEEDS);
    }
    // what the kernel grants to a directory would follow it to where less may be allowed, and be
    // granted to what is made there later, too: programs copy it, then
    let keeps = |found: &Found, path| found.is_directory() && judge.grants_beneath(path);
    let other = target.as_ref().filter(|_| exchange);
    if keeps(&source, &old_path) || other.is_some_and(|found| keeps(found, &new_path)) {
        return Err(Errno::EXDEV);
    }
    call.assume()?;
    call.still_waits()?;
    judge.lose_name(&old_path);
    judge.lose_name(&new_path);
    let (from, to) = (old.directory.fd.as_fd(), new.directory.fd.as_fd());
    let act = |flags| alone.move_names(|| renameat_with(from, &*old.name, to, &*new.name, flags));
    let moved = match what {
        // nothing is overwritten that has not been decided about
        RenameTarget::New => match act(flags | RenameFlags::NOREPLACE) {
            // not every filesystem knows how
            Err(rustix::io::Errno::INVAL) if !flags.contains(RenameFlags::NOREPLACE) => {
                let _permitted = permit(RenameTarget::Replaced)?;
                act(flags)
            }
            moved => moved,
        },
        RenameTarget::Replaced | RenameTarget::Exchanged => act(flags),
    };
    moved.map_err(errno)?;
    Ok(Reply::Value(0))
}

/// `RENAME_WHITEOUT` makes a device, which is for file systems that lie over others.
fn rename_whiteout(call: &Call<'_>, from: &At, to: &At) -> Outcome {
    let judge = &call.shared.judge;
    if judge.gives_names() {
        return Err(Errno::EPERM);
    }
    let paths = [from, to].map(|at| entry(call, at).and_then(|entry| entry.path()));
    let ours = |path: &Result<_, _>| {
        path.as_ref().is_ok_and(|path| NEEDS.iter().any(|access| judge.is_mixed(path, *access)))
    };
    if paths.iter().any(ours) { Err(Errno::EPERM) } else { to_kernel(call, &NEEDS) }
}

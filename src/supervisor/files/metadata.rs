// SPDX-License-Identifier: Apache-2.0
//! chmod(2), chown(2), utimensat(2), setxattr(2) and their kin: changes of metadata.
//!
//! Nothing in the kernel decides about these for brig, so that none of them is ever left to it: the
//! file is held, decided by its real name, and changed through the descriptor, as the caller.

use std::os::fd::AsFd;

use brig_policy::call::Pointer;
use brig_policy::call::files::{Request, Target, Times};
use brig_policy::policy::{Access, Errno};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid, XattrFlags, fcntl_getfl,
};

use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Found, Limits};
use crate::sys::attributes;

/// The longest name of an extended attribute, with its NUL: `XATTR_NAME_MAX` of linux/limits.h.
const ATTRIBUTE_NAME: usize = 256;
/// The largest value: `XATTR_SIZE_MAX` of linux/limits.h.
const ATTRIBUTE_VALUE: u64 = 65_536;

/// Answers.
pub fn change(call: &Call<'_>, request: &Request) -> Outcome {
    match *request {
        Request::SetMode { target, mode } => {
            let found = permitted(call, &target, Missing::Refused)?;
            set_mode(call, &found, mode)
        }
        Request::SetOwner { target, uid, gid } => {
            let found = permitted(call, &target, Missing::Refused)?;
            set_owner(call, &found, uid, gid)
        }
        Request::SetTimes { target, times, kind } => set_times(call, &target, times, kind),
        Request::SetAttribute { target, name, value, size, flags } => {
            set_attribute(call, &target, name, (value, size, flags))
        }
        Request::SetAttributeWith { target, name, arguments, size } => {
            let arguments = read_arguments(call, arguments, size)?;
            set_attribute(call, &target, name, arguments)
        }
        Request::RemoveAttribute { target, name } => {
            let name = attribute_name(call, name)?;
            let found = permitted(call, &target, Missing::Refused)?;
            begin(call)?;
            let path = found.0.by_descriptor();
            rustix::fs::removexattr(path, &*name).map_err(errno)?;
            Ok(Reply::Value(0))
        }
        Request::SetFileAttributes { target, arguments, size } => {
            set_file_attributes(call, &target, arguments, size)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// What an empty or absent path means to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// ENOENT or EFAULT.
    Refused,
    /// With `AT_EMPTY_PATH` a null pointer is an empty path. KERNEL(6.11).
    MayBeNull,
}

/// The file, decided about.
fn permitted(
    call: &Call<'_>,
    target: &Target,
    missing: Missing,
) -> Result<(Found, Permitted), Errno> {
    let found = find(call, target, missing)?;
    let permitted = match &found.path {
        Some(path) => call.shared.judge.access(call, Access::Modify, path)?,
        None => call.shared.judge.unnamed(),
    };
    Ok((found, permitted))
}

fn find(call: &Call<'_>, target: &Target, missing: Missing) -> Result<Found, Errno> {
    use brig_policy::call::files::Empty;
    match target {
        Target::At(at) if missing == Missing::MayBeNull && at.path == Pointer(0) => {
            match at.empty {
                Empty::Base => call.find(at, b"", Limits::NONE),
                Empty::Refused => Err(Errno::EFAULT),
            }
        }
        Target::At(at) => {
            let path = call.path(at.path)?;
            call.find(at, &path, Limits::NONE)
        }
        Target::Descriptor(number) => {
            let fd = call.descriptor(*number)?;
            if fcntl_getfl(&fd).map_err(errno)?.contains(OFlags::PATH) {
                return Err(Errno::EBADF);
            }
            call.hold(fd)
        }
    }
}

/// Everything is known and decided: the next step changes something.
fn begin(call: &Call<'_>) -> Result<(), Errno> {
    call.assume()?;
    call.still_waits()
}

fn set_mode(call: &Call<'_>, (found, _): &(Found, Permitted), mode: u32) -> Outcome {
    begin(call)?;
    let mode = Mode::from_raw_mode(mode);
    rustix::fs::chmodat(CWD, found.by_descriptor(), mode, AtFlags::empty()).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn set_owner(call: &Call<'_>, (found, _): &(Found, Permitted), uid: u32, gid: u32) -> Outcome {
    begin(call)?;
    let uid = (uid != u32::MAX).then(|| Uid::from_raw(uid));
    let gid = (gid != u32::MAX).then(|| Gid::from_raw(gid));
    let fd = found.fd.as_fd();
    rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH).map_err(errno)?;
    Ok(Reply::Value(0))
}

const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

fn read_times(call: &Call<'_>, pointer: Pointer, kind: Times) -> Result<Timestamps, Errno> {
    let words = if kind == Times::Utimbuf { 2 } else { 4 };
    let bytes = call.read(pointer, words * 8)?;
    let word = |index: usize| {
        let bytes = bytes.get(index * 8..index * 8 + 8).and_then(|word| word.try_into().ok());
        bytes.map_or(0, i64::from_ne_bytes)
    };
    let time = |index: usize| -> Result<Timespec, Errno> {
        let (tv_sec, tv_nsec) = match kind {
            Times::Utimbuf => (word(index), 0),
            Times::Timeval if !(0..1_000_000).contains(&word(2 * index + 1)) => {
                return Err(Errno::EINVAL);
            }
            Times::Timeval => (word(2 * index), word(2 * index + 1) * 1000),
            Times::Timespec => (word(2 * index), word(2 * index + 1)),
        };
        Ok(Timespec { tv_sec, tv_nsec })
    };
    Ok(Timestamps { last_access: time(0)?, last_modification: time(1)? })
}

fn read_arguments(call: &Call<'_>, arguments: Pointer, size: u64) -> Result<Value, Errno> {
    if size != 16 {
        return Err(Errno::EINVAL);
    }
    let bytes = call.read(arguments, 16)?;
    let word = |index: usize| {
        let bytes = bytes.get(index * 8..index * 8 + 8).and_then(|word| word.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    };
    Ok((Pointer(word(0)), word(1) & 0xffff_ffff, (word(1) >> 32) as u32))
}

fn set_times(call: &Call<'_>, target: &Target, times: Pointer, kind: Times) -> Outcome {
    let times = match times {
        Pointer(0) => NOW,
        pointer => read_times(call, pointer, kind)?,
    };
    let found = permitted(call, target, Missing::MayBeNull)?;
    begin(call)?;
    let fd = found.0.fd.as_fd();
    rustix::fs::utimensat(fd, "", &times, AtFlags::EMPTY_PATH).map_err(errno)?;
    Ok(Reply::Value(0))
}

/// The value of an attribute, where it is, and flags.
type Value = (Pointer, u64, u32);

fn attribute_name(call: &Call<'_>, name: Pointer) -> Result<Vec<u8>, Errno> {
    match call.string(name, ATTRIBUTE_NAME, Errno::ERANGE)? {
        name if name.is_empty() => Err(Errno::ERANGE),
        name => Ok(name),
    }
}

fn set_attribute(call: &Call<'_>, target: &Target, name: Pointer, value: Value) -> Outcome {
    let (pointer, size, flags) = value;
    let flags = XattrFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let name = attribute_name(call, name)?;
    if size > ATTRIBUTE_VALUE {
        return Err(Errno(libc::E2BIG));
    }
    let size = usize::try_from(size).map_err(|_| Errno(libc::E2BIG))?;
    let value = call.read(pointer, size)?;
    let found = permitted(call, target, Missing::MayBeNull)?;
    begin(call)?;
    rustix::fs::setxattr(found.0.by_descriptor(), &*name, &value, flags).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn set_file_attributes(call: &Call<'_>, target: &Target, arguments: Pointer, size: u64) -> Outcome {
    let size = usize::try_from(size).map_err(|_| Errno(libc::E2BIG))?;
    if size > 4096 {
        return Err(Errno(libc::E2BIG));
    }
    let arguments = call.read(arguments, size)?;
    let found = permitted(call, target, Missing::MayBeNull)?;
    begin(call)?;
    attributes::file_setattr(found.0.fd.as_fd(), &arguments).map_err(errno)?;
    Ok(Reply::Value(0))
}

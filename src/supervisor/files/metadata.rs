// SPDX-License-Identifier: Apache-2.0
//! chmod(2), chown(2), utimensat(2), setxattr(2) and their kin: changes of metadata.
//!
//! Nothing in the kernel decides about these for brig, so that none of them is ever left to it: the
//! file is held, decided by its real name, and changed through the descriptor, as the caller.

use std::os::fd::AsFd;

use brig_policy::call::files::{Base, Empty, Request, Target};
use brig_policy::call::ids::{self, Ids};
use brig_policy::call::string::Reading;
use brig_policy::call::time::{self, Form, Time, Times};
use brig_policy::call::xattr::{self, Value};
use brig_policy::call::{Pointer, attribute};
use brig_policy::policy::{Access, Errno};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
    fcntl_getfl,
};

use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Found, Limits};
use crate::sys::paths;

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
        Request::SetTimes { target, times, form } => set_times(call, &target, times, form),
        Request::SetAttribute { target, name, value, size, flags } => {
            set_attribute(call, &target, name, Value::new(value, size, flags)?)
        }
        Request::SetAttributeWith { target, name, arguments, size } => {
            let arguments = read_arguments(call, arguments, size)?;
            set_attribute(call, &target, name, arguments)
        }
        Request::RemoveAttribute { target, name } => {
            let name = attribute_name(call, name)?;
            let found = permitted(call, &target, Missing::IsOpened)?;
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
    /// With `AT_EMPTY_PATH` a null pointer is an empty path, and an empty path is an opened file.
    /// KERNEL(6.13).
    MayBeNull,
    /// The same, and no directory is one that is not opened.
    IsOpened,
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
    let at = match target {
        Target::At(at) => at,
        Target::Descriptor(number) => return opened(call, *number),
    };
    if missing == Missing::Refused || at.empty == Empty::Refused {
        return call.find(at, &call.path(at.path)?, Limits::NONE);
    }
    let path = if at.path.is_null() { Vec::new() } else { call.path(at.path)? };
    match (missing, at.base) {
        _ if !path.is_empty() => call.find(at, &path, Limits::NONE),
        (_, Base::Descriptor(number)) => opened(call, number),
        (Missing::IsOpened, Base::Cwd) => Err(Errno::EBADF),
        (_, Base::Cwd) => call.find(at, &path, Limits::NONE),
    }
}

/// What a descriptor refers to that was opened for something.
fn opened(call: &Call<'_>, number: i32) -> Result<Found, Errno> {
    let fd = call.descriptor(number)?;
    if fcntl_getfl(&fd).map_err(errno)?.contains(OFlags::PATH) {
        return Err(Errno::EBADF);
    }
    call.hold(fd)
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
    let id = |ids, id| (id != u32::MAX).then(|| call.id(ids, id)).transpose();
    let uid = id(Ids::Users, uid)?.map(Uid::from_raw);
    let gid = id(Ids::Groups, gid)?.map(Gid::from_raw);
    begin(call)?;
    let fd = found.fd.as_fd();
    rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn read_times(call: &Call<'_>, pointer: Pointer, form: Form) -> Result<Times, Errno> {
    match time::plan(call.layout, form, pointer)? {
        None => Ok(Times::NOW),
        Some(span) => time::parse(call.layout, form, &call.copy(span)?),
    }
}

/// As utimensat(2) takes it.
fn timespec(time: Time) -> Timespec {
    match time {
        Time::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Time::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Time::At { seconds, nanoseconds } => {
            Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() }
        }
    }
}

fn set_times(call: &Call<'_>, target: &Target, times: Pointer, form: Form) -> Outcome {
    let times = read_times(call, times, form)?;
    if times.is_nothing() {
        return Ok(Reply::Value(0));
    }
    let found = permitted(call, target, Missing::Refused)?;
    begin(call)?;
    let fd = found.0.fd.as_fd();
    let times = Timestamps {
        last_access: timespec(times.accessed),
        last_modification: timespec(times.modified),
    };
    rustix::fs::utimensat(fd, "", &times, AtFlags::EMPTY_PATH).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn read_arguments(call: &Call<'_>, arguments: Pointer, size: u64) -> Result<Value, Errno> {
    let span = xattr::plan(call.layout, arguments, size)?;
    xattr::parse(&call.copy(span)?)
}

fn attribute_name(call: &Call<'_>, name: Pointer) -> Result<Vec<u8>, Errno> {
    xattr::name(call.string(Reading::xattr_name(call.layout, name))?)
}

fn set_attribute(call: &Call<'_>, target: &Target, name: Pointer, value: Value) -> Outcome {
    let flags = XattrFlags::from_bits(value.flags()).ok_or(Errno::EINVAL)?;
    let name = attribute_name(call, name)?;
    let mut value = match value.plan(call.layout)? {
        Some(span) => call.copy(span)?,
        None => Vec::new(),
    };
    let found = permitted(call, target, Missing::MayBeNull)?;
    if ids::are_in(&name) {
        ids::replace(&mut value, |ids, id| call.id(ids, id))?;
    }
    begin(call)?;
    rustix::fs::setxattr(found.0.by_descriptor(), &*name, &value, flags).map_err(errno)?;
    Ok(Reply::Value(0))
}

fn set_file_attributes(call: &Call<'_>, target: &Target, arguments: Pointer, size: u64) -> Outcome {
    let span = attribute::plan(call.layout, arguments, size)?;
    let attributes = attribute::parse(&call.copy(span)?)?;
    let found = permitted(call, target, Missing::MayBeNull)?;
    begin(call)?;
    let path = found.0.by_descriptor();
    paths::file_setattr(path.as_c_str(), &attributes.encode()).map_err(errno)?;
    Ok(Reply::Value(0))
}

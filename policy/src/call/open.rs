// SPDX-License-Identifier: Apache-2.0
//! What open(2), openat(2), creat(2) and openat2(2) ask for.
//!
//! The old calls drop what they do not know; openat2(2) refuses it. Both become one [`Open`], which
//! says what is asked for ([`Open::access`]) and is performed with openat2(2). KERNEL(6.18):
//! `build_open_how`, `build_open_flags`.
//!
//! Numbers are those of the machine that this is built for: a kernel has one set of them for all the
//! architectures that it runs.

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use super::sized;
use crate::policy::Errno;

/// Flags of open(2), as the kernel numbers them.
#[allow(missing_docs)] // the names of open(2)
pub mod flags {
    /// Whether the numbers are those of ARM and PowerPC, which moved four flags.
    const MOVED: bool = cfg!(any(
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "powerpc64",
        target_arch = "powerpc"
    ));

    pub const O_ACCMODE: u64 = 0o3;
    pub const O_WRONLY: u64 = 0o1;
    pub const O_RDWR: u64 = 0o2;
    pub const O_CREAT: u64 = 0o100;
    pub const O_EXCL: u64 = 0o200;
    pub const O_NOCTTY: u64 = 0o400;
    pub const O_TRUNC: u64 = 0o1000;
    pub const O_APPEND: u64 = 0o2000;
    pub const O_NONBLOCK: u64 = 0o4000;
    pub const O_DSYNC: u64 = 0o10000;
    pub const O_ASYNC: u64 = 0o20000;
    pub const O_DIRECTORY: u64 = if MOVED { 0o40000 } else { 0o200_000 };
    pub const O_NOFOLLOW: u64 = if MOVED { 0o100_000 } else { 0o400_000 };
    pub const O_DIRECT: u64 = if MOVED { 0o200_000 } else { 0o40000 };
    pub const O_LARGEFILE: u64 = if MOVED { 0o400_000 } else { 0o100_000 };
    pub const O_NOATIME: u64 = 0o1_000_000;
    pub const O_CLOEXEC: u64 = 0o2_000_000;
    /// The bit that `O_SYNC` has beside `O_DSYNC`.
    pub const SYNC: u64 = 0o4_000_000;
    pub const O_PATH: u64 = 0o10_000_000;
    /// The bit that `O_TMPFILE` has beside `O_DIRECTORY`.
    pub const TMPFILE: u64 = 0o20_000_000;

    /// `VALID_OPEN_FLAGS`.
    pub const KNOWN: u64 = O_ACCMODE
        | O_CREAT
        | O_EXCL
        | O_NOCTTY
        | O_TRUNC
        | O_APPEND
        | O_NONBLOCK
        | O_DSYNC
        | O_ASYNC
        | O_DIRECTORY
        | O_NOFOLLOW
        | O_DIRECT
        | O_LARGEFILE
        | O_NOATIME
        | O_CLOEXEC
        | SYNC
        | O_PATH
        | TMPFILE;
    /// `O_PATH_FLAGS`: what O_PATH goes with.
    pub const WITH_PATH: u64 = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    /// What makes a file, so that a mode means something.
    pub const CREATING: u64 = O_CREAT | TMPFILE;
}
use flags::{
    CREATING, KNOWN, O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_LARGEFILE, O_PATH, O_RDWR,
    O_TRUNC, O_WRONLY, TMPFILE, WITH_PATH,
};

/// `RESOLVE_*` of openat2(2).
#[allow(missing_docs)] // the names of openat2(2)
pub mod resolve {
    pub const NO_XDEV: u64 = 0x01;
    pub const NO_MAGICLINKS: u64 = 0x02;
    pub const NO_SYMLINKS: u64 = 0x04;
    pub const BENEATH: u64 = 0x08;
    pub const IN_ROOT: u64 = 0x10;
    pub const CACHED: u64 = 0x20;
    /// All of them.
    pub const KNOWN: u64 = 0x3f;
}

/// Permission bits, with set-user-ID, set-group-ID and sticky.
const MODES: u64 = 0o7777;
/// `OPEN_HOW_SIZE_VER0`.
const HOW_LENGTH: usize = 24;

/// What is asked for. Flags are known and agree with each other, as openat2(2) wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// What may be done with the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Reading: a file's content, a directory's entries.
    pub read: Asked,
    /// Writing, or truncating at once.
    pub write: Asked,
    /// Making the file if it is not there, or one without a name.
    pub create: Asked,
    /// Cutting off what is in it.
    pub truncate: Asked,
}

/// Whether something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl Asked {
    const fn any(flags: u64, of: u64) -> Self {
        if flags & of == 0 { Self::No } else { Self::Yes }
    }
}

/// open(2) and openat(2), with their registers.
///
/// # Errors
///
/// `EINVAL` for flags that contradict each other.
pub fn old(layout: Layout, flags: u64, mode: u64) -> Result<Open, Errno> {
    let mut flags = flags & 0xffff_ffff & KNOWN;
    if layout == Layout::Bits64 {
        flags |= O_LARGEFILE;
    }
    if flags & O_PATH != 0 {
        flags &= WITH_PATH;
    }
    let mode = if flags & CREATING == 0 { 0 } else { mode & MODES };
    checked(Open { flags, mode, resolve: 0 })
}

/// creat(2), with its register.
///
/// # Errors
///
/// None today; as [`old`].
pub fn creat(layout: Layout, mode: u64) -> Result<Open, Errno> {
    old(layout, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

/// Which bytes to copy of a `struct open_how`.
///
/// # Errors
///
/// `EINVAL` where it is shorter than its first version, `E2BIG` where it is longer than a page.
pub fn plan(layout: Layout, address: Pointer, size: u64) -> Result<Span, Errno> {
    sized::plan(layout, address, size, HOW_LENGTH)
}

/// A copied `struct open_how`.
///
/// # Errors
///
/// `E2BIG` for what is longer and not zero, `EINVAL` for what openat2(2) does not know and for
/// what contradicts itself, `EAGAIN` for what is not done from caches.
pub fn parse(layout: Layout, bytes: &[u8]) -> Result<Open, Errno> {
    let mut fields = Fields::new(sized::known(bytes, HOW_LENGTH)?);
    let (mut flags, mode, resolve) = (fields.u64()?, fields.u64()?, fields.u64()?);
    if layout == Layout::Bits64 && flags & O_PATH == 0 {
        flags |= O_LARGEFILE;
    }
    let modes = if flags & CREATING == 0 { 0 } else { MODES };
    if flags & !KNOWN != 0 || resolve & !resolve::KNOWN != 0 || mode & !modes != 0 {
        return Err(Errno::EINVAL);
    }
    let scopes = resolve::BENEATH | resolve::IN_ROOT;
    if resolve & scopes == scopes {
        return Err(Errno::EINVAL);
    }
    let open = checked(Open { flags, mode, resolve })?;
    match resolve & resolve::CACHED {
        0 => Ok(open),
        _ if flags & (O_TRUNC | CREATING) != 0 => Err(Errno::EAGAIN),
        _ => Ok(open),
    }
}

/// What flags must not contradict. KERNEL(6.4): a directory cannot be created.
fn checked(open: Open) -> Result<Open, Errno> {
    let has = |flag| open.flags & flag != 0;
    let writes = open.flags & O_ACCMODE != 0;
    let directory = has(O_CREAT) && has(O_DIRECTORY);
    let nameless = has(TMPFILE) && !(has(O_DIRECTORY) && writes);
    let path = has(O_PATH) && open.flags & !WITH_PATH != 0;
    if directory || nameless || path { Err(Errno::EINVAL) } else { Ok(open) }
}

impl Open {
    /// The flags, for openat2(2).
    #[must_use]
    pub const fn flags(&self) -> u64 {
        self.flags
    }

    /// The mode of a file that is made; 0 if none is.
    #[must_use]
    pub const fn mode(&self) -> u64 {
        self.mode
    }

    /// `RESOLVE_*` that the caller asks for.
    #[must_use]
    pub const fn resolve(&self) -> u64 {
        self.resolve
    }

    /// Whether the descriptor is to be closed by execve(2).
    #[must_use]
    pub const fn close_on_exec(&self) -> Asked {
        Asked::any(self.flags, O_CLOEXEC)
    }

    /// What is asked for. `O_PATH` asks for nothing. The access mode 3 asks for reading and writing,
    /// though neither can be done (it is for ioctl(2) on devices).
    #[must_use]
    pub const fn access(&self) -> Access {
        let flags = self.flags;
        if flags & O_PATH != 0 {
            let no = Asked::No;
            return Access { read: no, write: no, create: no, truncate: no };
        }
        Access {
            read: if flags & O_ACCMODE == O_WRONLY { Asked::No } else { Asked::Yes },
            write: Asked::any(flags, O_WRONLY | O_RDWR | O_TRUNC),
            create: Asked::any(flags, CREATING),
            truncate: Asked::any(flags, O_TRUNC),
        }
    }
}

#[cfg(test)]
mod tests;

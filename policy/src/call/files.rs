// SPDX-License-Identifier: Apache-2.0
//! The calls about files: which of their arguments is what.
//!
//! A call is a row of a table: which registers are directory descriptors, paths, flags and values,
//! and what is done. [`decode`] turns registers into a [`Request`]; pointers are left as what they
//! are, claims of the workload, and are to be read once by whoever has its memory.
//!
//! Guarantees: [`decode`] is total; flags that the kernel refuses are refused with its errno, so
//! that no flag reaches a system call that brig does not know the meaning of. Those of open(2) and
//! setxattr(2) are left as they are: [`super::open`] and [`super::xattr`] refuse them.
//!
//! What it does not do: read memory, or look at files.

use super::time::Form;
use super::{Layout, Pointer};
use crate::policy::Errno;
use crate::seccomp::Syscall;

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// At the working directory.
    Cwd,
    /// At this descriptor of the caller's.
    Descriptor(i32),
}

/// Whether a symbolic link in the last place is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It is.
    Follow,
    /// It is taken as what it is.
    NoFollow,
}

/// What an empty path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// ENOENT.
    Refused,
    /// What the descriptor refers to (`AT_EMPTY_PATH`).
    Base,
}

/// A path, as a call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Where it begins.
    pub base: Base,
    /// Its bytes, in the caller's memory.
    pub path: Pointer,
    /// A link in the last place.
    pub last: Last,
    /// No bytes at all.
    pub empty: Empty,
}

/// A file whose metadata is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// By path.
    At(At),
    /// By descriptor; one that was opened with `O_PATH` will not do.
    Descriptor(i32),
}

/// Where open flags are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In registers: flags and mode.
    Registers {
        /// As given.
        flags: u64,
        /// As given.
        mode: u64,
    },
    /// In a `struct open_how` of this size.
    Struct {
        /// Where it is.
        pointer: Pointer,
        /// How large the caller says it is.
        size: u64,
    },
}

/// What is asked for, with pointers that have not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the man pages' names
pub enum Request {
    Open { at: At, how: How },
    Truncate { at: At, length: i64 },
    MakeDirectory { at: At, mode: u32 },
    MakeNode { at: At, mode: u32, device: u32 },
    MakeSymlink { target: Pointer, at: At },
    Link { from: At, to: At },
    Rename { from: At, to: At, flags: u32 },
    Unlink { at: At },
    RemoveDirectory { at: At },
    SetMode { target: Target, mode: u32 },
    SetOwner { target: Target, uid: u32, gid: u32 },
    SetTimes { target: Target, times: Pointer, form: Form },
    SetAttribute { target: Target, name: Pointer, value: Pointer, size: u64, flags: u32 },
    SetAttributeWith { target: Target, name: Pointer, arguments: Pointer, size: u64 },
    RemoveAttribute { target: Target, name: Pointer },
    SetFileAttributes { target: Target, arguments: Pointer, size: u64 },
}

/// How a call names a path: the registers of its parts.
#[derive(Clone, Copy, Debug)]
enum Spot {
    /// A path from the working directory.
    Path(u8, Last),
    /// A directory and a path; a link in the last place.
    In(u8, u8, Last),
    /// A directory and a path; the register of flags that say more.
    Flagged(u8, u8, u8, &'static FlagRule),
    /// A descriptor.
    Descriptor(u8),
}

/// What `AT_…` flags a call takes.
#[derive(Debug)]
struct FlagRule {
    /// All that are known.
    known: u32,
    /// What holds without any.
    default: Last,
}

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_REMOVEDIR: u32 = 0x200;
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const AT_EMPTY_PATH: u32 = 0x1000;
const AT_FDCWD: i32 = -100;
const RENAME_NOREPLACE: u32 = 1;
const RENAME_EXCHANGE: u32 = 2;
const RENAME_WHITEOUT: u32 = 4;

const NOFOLLOW_OR_EMPTY: FlagRule =
    FlagRule { known: AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, default: Last::Follow };
const FOLLOW_OR_EMPTY: FlagRule =
    FlagRule { known: AT_SYMLINK_FOLLOW | AT_EMPTY_PATH, default: Last::NoFollow };

/// What is done, and the registers of its values.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Open {
        flags: u8,
        mode: u8,
    },
    Create {
        mode: u8,
    },
    OpenHow {
        how: u8,
        size: u8,
    },
    Truncate {
        length: u8,
    },
    /// The length is in two registers.
    TruncateInHalves {
        low: u8,
        high: u8,
    },
    MakeDirectory {
        mode: u8,
    },
    MakeNode {
        mode: u8,
        device: u8,
    },
    MakeSymlink {
        target: u8,
    },
    Link {
        to: Spot,
    },
    Rename {
        to: Spot,
        flags: Option<u8>,
    },
    Unlink,
    UnlinkAt {
        flags: u8,
    },
    RemoveDirectory,
    SetMode {
        mode: u8,
    },
    /// Ids of 32 bits.
    SetOwner {
        uid: u8,
        gid: u8,
    },
    SetTimes {
        times: u8,
        form: Form,
    },
    /// A path that is absent means the descriptor.
    SetTimesAt {
        times: u8,
        form: Form,
    },
    SetAttribute {
        name: u8,
        value: u8,
        size: u8,
        flags: u8,
    },
    SetAttributeAt {
        name: u8,
        arguments: u8,
        size: u8,
    },
    RemoveAttribute {
        name: u8,
    },
    SetFileAttributes {
        arguments: u8,
        size: u8,
    },
}

/// A call: a row of the table.
#[derive(Debug)]
pub struct Row {
    name: &'static str,
    spot: Spot,
    operation: Operation,
}

const fn row(name: &'static str, spot: Spot, operation: Operation) -> Row {
    Row { name, spot, operation }
}

use Last::{Follow, NoFollow};
use Operation as Op;
use Spot::{Descriptor, Flagged, In, Path};

/// Every call about files that a plan can mediate.
static TABLE: &[Row] = &[
    row("open", Path(0, Follow), Op::Open { flags: 1, mode: 2 }),
    row("openat", In(0, 1, Follow), Op::Open { flags: 2, mode: 3 }),
    row("openat2", In(0, 1, Follow), Op::OpenHow { how: 2, size: 3 }),
    row("creat", Path(0, Follow), Op::Create { mode: 1 }),
    row("truncate", Path(0, Follow), Op::Truncate { length: 1 }),
    row("truncate64", Path(0, Follow), Op::TruncateInHalves { low: 1, high: 2 }),
    row("mkdir", Path(0, NoFollow), Op::MakeDirectory { mode: 1 }),
    row("mkdirat", In(0, 1, NoFollow), Op::MakeDirectory { mode: 2 }),
    row("mknod", Path(0, NoFollow), Op::MakeNode { mode: 1, device: 2 }),
    row("mknodat", In(0, 1, NoFollow), Op::MakeNode { mode: 2, device: 3 }),
    row("symlink", Path(1, NoFollow), Op::MakeSymlink { target: 0 }),
    row("symlinkat", In(1, 2, NoFollow), Op::MakeSymlink { target: 0 }),
    row("link", Path(0, NoFollow), Op::Link { to: Path(1, NoFollow) }),
    row("linkat", Flagged(0, 1, 4, &FOLLOW_OR_EMPTY), Op::Link { to: In(2, 3, NoFollow) }),
    row("rename", Path(0, NoFollow), Op::Rename { to: Path(1, NoFollow), flags: None }),
    row("renameat", In(0, 1, NoFollow), Op::Rename { to: In(2, 3, NoFollow), flags: None }),
    row("renameat2", In(0, 1, NoFollow), Op::Rename { to: In(2, 3, NoFollow), flags: Some(4) }),
    row("unlink", Path(0, NoFollow), Op::Unlink),
    row("unlinkat", In(0, 1, NoFollow), Op::UnlinkAt { flags: 2 }),
    row("rmdir", Path(0, NoFollow), Op::RemoveDirectory),
    row("chmod", Path(0, Follow), Op::SetMode { mode: 1 }),
    row("fchmod", Descriptor(0), Op::SetMode { mode: 1 }),
    row("fchmodat", In(0, 1, Follow), Op::SetMode { mode: 2 }),
    row("fchmodat2", Flagged(0, 1, 3, &NOFOLLOW_OR_EMPTY), Op::SetMode { mode: 2 }),
    row("chown", Path(0, Follow), Op::SetOwner { uid: 1, gid: 2 }),
    row("chown32", Path(0, Follow), Op::SetOwner { uid: 1, gid: 2 }),
    row("lchown", Path(0, NoFollow), Op::SetOwner { uid: 1, gid: 2 }),
    row("lchown32", Path(0, NoFollow), Op::SetOwner { uid: 1, gid: 2 }),
    row("fchown", Descriptor(0), Op::SetOwner { uid: 1, gid: 2 }),
    row("fchown32", Descriptor(0), Op::SetOwner { uid: 1, gid: 2 }),
    row("fchownat", Flagged(0, 1, 4, &NOFOLLOW_OR_EMPTY), Op::SetOwner { uid: 2, gid: 3 }),
    row("utime", Path(0, Follow), Op::SetTimes { times: 1, form: Form::Utimbuf }),
    row("utimes", Path(0, Follow), Op::SetTimes { times: 1, form: Form::Timeval }),
    row("futimesat", In(0, 1, Follow), Op::SetTimesAt { times: 2, form: Form::Timeval }),
    row(
        "utimensat",
        Flagged(0, 1, 3, &NOFOLLOW_OR_EMPTY),
        Op::SetTimesAt { times: 2, form: Form::Timespec },
    ),
    row(
        "utimensat_time64",
        Flagged(0, 1, 3, &NOFOLLOW_OR_EMPTY),
        Op::SetTimesAt { times: 2, form: Form::Timespec64 },
    ),
    row("setxattr", Path(0, Follow), Op::SetAttribute { name: 1, value: 2, size: 3, flags: 4 }),
    row("lsetxattr", Path(0, NoFollow), Op::SetAttribute { name: 1, value: 2, size: 3, flags: 4 }),
    row("fsetxattr", Descriptor(0), Op::SetAttribute { name: 1, value: 2, size: 3, flags: 4 }),
    row(
        "setxattrat",
        Flagged(0, 1, 2, &NOFOLLOW_OR_EMPTY),
        Op::SetAttributeAt { name: 3, arguments: 4, size: 5 },
    ),
    row("removexattr", Path(0, Follow), Op::RemoveAttribute { name: 1 }),
    row("lremovexattr", Path(0, NoFollow), Op::RemoveAttribute { name: 1 }),
    row("fremovexattr", Descriptor(0), Op::RemoveAttribute { name: 1 }),
    row("removexattrat", Flagged(0, 1, 2, &NOFOLLOW_OR_EMPTY), Op::RemoveAttribute { name: 3 }),
    row(
        "file_setattr",
        Flagged(0, 1, 4, &NOFOLLOW_OR_EMPTY),
        Op::SetFileAttributes { arguments: 2, size: 3 },
    ),
];

/// The row of a call; `None`: it is none about files. For who decodes many: looking it up takes
/// longer than decoding.
#[must_use]
pub fn row_of(call: Syscall) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == call.name())
}

/// What a call about files asks for; `None`: it is none.
///
/// # Errors
/// What the kernel answers to flags that it does not know.
#[must_use]
pub fn decode(call: Syscall, args: &[u64; 6], layout: Layout) -> Option<Result<Request, Errno>> {
    row_of(call).map(|row| row.decode(args, layout))
}

impl Row {
    /// What the call asks for.
    ///
    /// # Errors
    /// What the kernel answers to flags that it does not know.
    pub fn decode(&self, args: &[u64; 6], layout: Layout) -> Result<Request, Errno> {
        Decoding { args, layout }.request(self)
    }
}

/// Whether the table has the call.
#[must_use]
pub fn is_known(call: Syscall) -> bool {
    row_of(call).is_some()
}

/// A call's registers.
struct Decoding<'a> {
    args: &'a [u64; 6],
    layout: Layout,
}

impl Decoding<'_> {
    fn raw(&self, index: u8) -> u64 {
        self.args.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// A `long` or `size_t`.
    fn word(&self, index: u8) -> u64 {
        self.layout.unsigned(self.raw(index))
    }

    fn pointer(&self, index: u8) -> Pointer {
        Pointer(self.word(index))
    }

    /// An `int` or `unsigned int`.
    #[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
    fn int(&self, index: u8) -> u32 {
        self.raw(index) as u32
    }

    /// A `umode_t`.
    fn mode(&self, index: u8) -> u32 {
        self.int(index) & 0xffff
    }

    fn descriptor(&self, index: u8) -> i32 {
        self.int(index).cast_signed()
    }

    fn base(&self, index: u8) -> Base {
        match self.descriptor(index) {
            AT_FDCWD => Base::Cwd,
            other => Base::Descriptor(other),
        }
    }

    fn at(&self, spot: Spot) -> Result<At, Errno> {
        let at = |base, path, last| At { base, path, last, empty: Empty::Refused };
        Ok(match spot {
            Path(path, last) => at(Base::Cwd, self.pointer(path), last),
            In(base, path, last) => at(self.base(base), self.pointer(path), last),
            Flagged(base, path, flags, rule) => {
                self.flagged(self.base(base), self.pointer(path), self.int(flags), rule)?
            }
            Descriptor(fd) => at(Base::Descriptor(self.descriptor(fd)), Pointer(0), Follow),
        })
    }

    fn flagged(&self, base: Base, path: Pointer, flags: u32, rule: &FlagRule) -> Result<At, Errno> {
        if flags & !rule.known != 0 {
            return Err(Errno::EINVAL);
        }
        let last = match flags {
            _ if flags & AT_SYMLINK_NOFOLLOW != 0 => NoFollow,
            _ if flags & AT_SYMLINK_FOLLOW != 0 => Follow,
            _ => rule.default,
        };
        let empty = if flags & AT_EMPTY_PATH != 0 { Empty::Base } else { Empty::Refused };
        Ok(At { base, path, last, empty })
    }

    fn target(&self, spot: Spot) -> Result<Target, Errno> {
        match spot {
            Descriptor(fd) => Ok(Target::Descriptor(self.descriptor(fd))),
            other => self.at(other).map(Target::At),
        }
    }

    /// utimensat(2) with a null path is about the descriptor, and takes no flags but the empty one.
    fn target_or_descriptor(&self, spot: Spot) -> Result<Target, Errno> {
        match (self.at(spot)?, spot) {
            (At { base: Base::Descriptor(fd), path: Pointer(0), .. }, In(..) | Flagged(..)) => {
                match spot {
                    Flagged(_, _, flags, _) if self.int(flags) != 0 => Err(Errno::EINVAL),
                    _ => Ok(Target::Descriptor(fd)),
                }
            }
            (at, _) => Ok(Target::At(at)),
        }
    }

    fn request(&self, row: &Row) -> Result<Request, Errno> {
        let spot = row.spot;
        Ok(match row.operation {
            Op::Open { .. } | Op::Create { .. } | Op::OpenHow { .. } => self.open(row)?,
            Op::Truncate { .. } | Op::TruncateInHalves { .. } => self.truncate(row)?,
            Op::MakeDirectory { mode } => {
                Request::MakeDirectory { at: self.at(spot)?, mode: self.mode(mode) }
            }
            Op::MakeNode { mode, device } => Request::MakeNode {
                at: self.at(spot)?,
                mode: self.mode(mode),
                device: self.int(device),
            },
            Op::MakeSymlink { target } => {
                Request::MakeSymlink { target: self.pointer(target), at: self.at(spot)? }
            }
            Op::Link { to } => Request::Link { from: self.at(spot)?, to: self.at(to)? },
            Op::Rename { to, flags } => Request::Rename {
                from: self.at(spot)?,
                to: self.at(to)?,
                flags: flags.map_or(Ok(0), |index| self.rename_flags(index))?,
            },
            Op::Unlink => Request::Unlink { at: self.at(spot)? },
            Op::RemoveDirectory => Request::RemoveDirectory { at: self.at(spot)? },
            Op::UnlinkAt { flags } => match self.int(flags) {
                0 => Request::Unlink { at: self.at(spot)? },
                AT_REMOVEDIR => Request::RemoveDirectory { at: self.at(spot)? },
                _ => return Err(Errno::EINVAL),
            },
            _ => self.metadata(row)?,
        })
    }

    /// What takes the place of a file cannot leave it there or leave nothing behind.
    fn rename_flags(&self, index: u8) -> Result<u32, Errno> {
        const OTHERS: u32 = RENAME_NOREPLACE | RENAME_WHITEOUT;
        let flags = self.int(index);
        let contradicts = flags & RENAME_EXCHANGE != 0 && flags & OTHERS != 0;
        let unknown = flags & !(RENAME_EXCHANGE | OTHERS) != 0;
        if unknown || contradicts { Err(Errno::EINVAL) } else { Ok(flags) }
    }

    fn open(&self, row: &Row) -> Result<Request, Errno> {
        const O_CREAT_WRONLY_TRUNC: u64 = 0o100 | 0o1 | 0o1000;
        let how = match row.operation {
            Op::OpenHow { how, size } => {
                How::Struct { pointer: self.pointer(how), size: self.word(size) }
            }
            Op::Create { mode } => {
                How::Registers { flags: O_CREAT_WRONLY_TRUNC, mode: self.mode(mode).into() }
            }
            Op::Open { flags, mode } => {
                How::Registers { flags: self.int(flags).into(), mode: self.mode(mode).into() }
            }
            _ => return Err(Errno::ENOSYS),
        };
        Ok(Request::Open { at: self.at(row.spot)?, how })
    }

    fn truncate(&self, row: &Row) -> Result<Request, Errno> {
        let length = match row.operation {
            Op::Truncate { length } => self.layout.signed(self.raw(length)),
            Op::TruncateInHalves { low, high } => {
                let halves = u64::from(self.int(low)) | u64::from(self.int(high)) << 32;
                halves.cast_signed()
            }
            _ => return Err(Errno::ENOSYS),
        };
        Ok(Request::Truncate { at: self.at(row.spot)?, length })
    }

    fn metadata(&self, row: &Row) -> Result<Request, Errno> {
        let spot = row.spot;
        Ok(match row.operation {
            Op::SetMode { mode } => {
                Request::SetMode { target: self.target(spot)?, mode: self.int(mode) & 0o7777 }
            }
            Op::SetOwner { uid, gid } => Request::SetOwner {
                target: self.target(spot)?,
                uid: self.id(row.name, uid),
                gid: self.id(row.name, gid),
            },
            Op::SetTimes { times, form } => {
                Request::SetTimes { target: self.target(spot)?, times: self.pointer(times), form }
            }
            Op::SetTimesAt { times, form } => Request::SetTimes {
                target: self.target_or_descriptor(spot)?,
                times: self.pointer(times),
                form,
            },
            Op::SetAttribute { name, value, size, flags } => Request::SetAttribute {
                target: self.target(spot)?,
                name: self.pointer(name),
                value: self.pointer(value),
                size: self.word(size),
                flags: self.int(flags),
            },
            Op::SetAttributeAt { name, arguments, size } => Request::SetAttributeWith {
                target: self.target(spot)?,
                name: self.pointer(name),
                arguments: self.pointer(arguments),
                size: self.word(size),
            },
            Op::RemoveAttribute { name } => {
                Request::RemoveAttribute { target: self.target(spot)?, name: self.pointer(name) }
            }
            Op::SetFileAttributes { arguments, size } => Request::SetFileAttributes {
                target: self.target(spot)?,
                arguments: self.pointer(arguments),
                size: self.word(size),
            },
            _ => return Err(Errno::ENOSYS),
        })
    }

    /// Of 32 bits, save for the calls of 32-bit architectures that were there before: those have 16,
    /// of which all ones mean "as it is".
    fn id(&self, name: &str, index: u8) -> u32 {
        let id = self.int(index);
        let short = self.layout == Layout::Bits32 && matches!(name, "chown" | "lchown" | "fchown");
        match (short, id & 0xffff) {
            (false, _) => id,
            (true, 0xffff) => u32::MAX,
            (true, id) => id,
        }
    }
}

#[cfg(test)]
mod tests;

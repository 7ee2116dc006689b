// SPDX-License-Identifier: Apache-2.0
//! landlock(7).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `struct landlock_ruleset_attr` of linux/landlock.h, ABI 6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

const _: () = assert!(size_of::<RulesetAttr>() == 24);

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;
/// `LANDLOCK_CREATE_RULESET_ERRATA`.
const ERRATA: u32 = 2;

/// The kernel's Landlock ABI.
///
/// # Errors
///
/// ENOSYS or EOPNOTSUPP where there is none.
pub fn abi() -> io::Result<u32> {
    // SAFETY: with the VERSION flag the pointer must be null and the size 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0usize,
            VERSION,
        )
    };
    Ok(u32::try_from(super::check(result)?).unwrap_or(u32::MAX))
}

/// The errata of the kernel's Landlock that are fixed, as bits.
///
/// # Errors
///
/// EINVAL where the kernel does not tell (before 6.15).
pub fn errata() -> io::Result<u32> {
    // SAFETY: with the ERRATA flag the pointer must be null and the size 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0usize,
            ERRATA,
        )
    };
    Ok(u32::try_from(super::check(result)?).unwrap_or_default())
}

/// What a ruleset handles, by the bits of linux/landlock.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`
    pub fs: u64,
    /// `LANDLOCK_ACCESS_NET_*`
    pub net: u64,
    /// `LANDLOCK_SCOPE_*`
    pub scoped: u64,
}

/// `landlock_create_ruleset(attr, size, 0)`, of the size that a kernel of this ABI knows.
///
/// # Errors
///
/// EINVAL: something of it the kernel does not know.
pub fn create_ruleset(handled: Handled, abi: u32) -> io::Result<OwnedFd> {
    let Handled { fs, net, scoped } = handled;
    let attr = RulesetAttr { handled_access_fs: fs, handled_access_net: net, scoped };
    // KERNEL(6.7, 6.12): ABI 4 has handled_access_net, ABI 6 has scoped
    let size: usize = match abi {
        0..4 => 8,
        4..6 => 16,
        _ => 24,
    };
    // SAFETY: the struct is at least `size` bytes long and borrowed for the call.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(&attr), size, 0u32)
    };
    let number = RawFd::try_from(super::check(result)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `struct landlock_path_beneath_attr` of linux/landlock.h.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

const _: () = assert!(size_of::<PathBeneathAttr>() == 12);

/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: libc::c_uint = 1;
/// `LANDLOCK_RULE_NET_PORT`.
const NET_PORT: libc::c_uint = 2;

/// `landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, {allowed_access, parent_fd}, 0)`.
///
/// # Errors
///
/// EINVAL: a right that the ruleset does not handle, or that a file cannot have.
pub fn add_path(ruleset: BorrowedFd<'_>, access: u64, path: BorrowedFd<'_>) -> io::Result<()> {
    let attr = PathBeneathAttr { allowed_access: access, parent_fd: path.as_raw_fd() };
    // SAFETY: the struct is the one that this type of rule takes, and is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            PATH_BENEATH,
            std::ptr::from_ref(&attr),
            0u32,
        )
    };
    super::check(result).map(drop)
}

/// `struct landlock_net_port_attr` of linux/landlock.h.
#[repr(C)]
struct NetPortAttr {
    allowed_access: u64,
    port: u64,
}

const _: () = assert!(size_of::<NetPortAttr>() == 16);

/// `landlock_add_rule(ruleset, LANDLOCK_RULE_NET_PORT, {allowed_access, port}, 0)`.
///
/// # Errors
///
/// EINVAL: a right that the ruleset does not handle.
pub fn add_port(ruleset: BorrowedFd<'_>, access: u64, port: u16) -> io::Result<()> {
    let attr = NetPortAttr { allowed_access: access, port: port.into() };
    // SAFETY: the struct is the one that this type of rule takes, and is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            NET_PORT,
            std::ptr::from_ref(&attr),
            0u32,
        )
    };
    super::check(result).map(drop)
}

/// `landlock_restrict_self(ruleset, 0)`: the calling thread alone, for good. It must have
/// no_new_privs or CAP_SYS_ADMIN.
///
/// # Errors
///
/// E2BIG: the thread is in 16 domains already.
pub fn restrict_self(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers only; the descriptor is borrowed for the call.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    super::check(result).map(drop)
}

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET` and `LANDLOCK_SCOPE_SIGNAL` of linux/landlock.h.
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SCOPE_SIGNAL: u64 = 1 << 1;

/// Whether processes outside a domain can be signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// They can.
    Allowed,
    /// They cannot. KERNEL(6.12).
    #[cfg_attr(not(test), expect(dead_code, reason = "what tests measure against"))]
    Denied,
}

/// Puts the calling thread into a domain that handles all that the kernel can handle and grants
/// nothing. no_new_privs must be set.
///
/// # Errors
///
/// The kernel's.
pub fn deny_everything(signals: Signals) -> io::Result<()> {
    let abi = abi()?;
    let handled = Handled {
        fs: brig_policy::plan::Rights::of_abi(abi).0,
        net: if abi >= 4 { 0b11 } else { 0 },
        scoped: match signals {
            _ if abi < 6 => 0,
            Signals::Denied => SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
            Signals::Allowed => SCOPE_ABSTRACT_UNIX_SOCKET,
        },
    };
    restrict_self(create_ruleset(handled, abi)?.as_fd())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Of a thread, in its domain, whether a file can be read, a directory listed, a socket bound.
    fn tries() -> [Option<std::io::ErrorKind>; 4] {
        let error = |result: io::Result<()>| result.err().map(|error| error.kind());
        [
            error(File::open("/proc/self/status").map(drop)),
            error(std::fs::read_dir("/").map(drop)),
            error(File::create("/dev/null").map(drop)),
            error(TcpListener::bind("127.0.0.1:0").map(drop)),
        ]
    }

    #[test]
    fn in_the_domain_nothing_is_opened_and_no_port_is_had() {
        if abi().is_err() {
            println!("SKIP: this kernel has no Landlock");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(tries(), [None; 4]);
        // a domain is a thread's
        let confined = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            deny_everything(Signals::Denied).unwrap();
            (tries(), TcpStream::connect(address).err().map(|error| error.kind()))
        });
        let (tried, connected) = confined.join().unwrap();
        let denied = Some(std::io::ErrorKind::PermissionDenied);
        assert_eq!(tried[..3], [denied; 3]);
        let expected = if abi().unwrap() >= 4 { denied } else { None };
        assert_eq!((tried[3], connected), (expected, expected));
    }
}

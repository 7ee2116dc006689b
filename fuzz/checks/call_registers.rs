// SPDX-License-Identifier: Apache-2.0
//! Registers of calls about files and sockets: each is looked at as widely as the kernel looks at
//! it, no wider and no narrower, and flags are refused that the kernel refuses.
//!
//! What is read: a byte chooses the call, six registers follow.

use std::fmt::Debug;

use brig_policy::call::files::{self, How, Request};
use brig_policy::call::xattr::Value;
use brig_policy::call::{Layout, open, sockets};
use brig_policy::policy::Errno;
use brig_policy::seccomp::Syscall;

use super::Input;

/// A call as its man page has it: its name, its registers, the flags that it takes.
///
/// Registers: `i` an `int`, `u` an id, `m` a mode of a new file, `p` permissions, `f` flags, `w` a
/// pointer, a size or a `long`.
pub type Signature = (&'static str, &'static str, u64);

const NOFOLLOW: u64 = 0x100;
const FOLLOW: u64 = 0x400;
const EMPTY: u64 = 0x1000;

pub const FILES: &[Signature] = &[
    ("open", "wim", 0),
    ("openat", "iwim", 0),
    ("openat2", "iwww", 0),
    ("creat", "wm", 0),
    ("truncate", "ww", 0),
    ("truncate64", "wii", 0),
    ("mkdir", "wm", 0),
    ("mkdirat", "iwm", 0),
    ("mknod", "wmi", 0),
    ("mknodat", "iwmi", 0),
    ("symlink", "ww", 0),
    ("symlinkat", "wiw", 0),
    ("link", "ww", 0),
    ("linkat", "iwiwf", FOLLOW | EMPTY),
    ("rename", "ww", 0),
    ("renameat", "iwiw", 0),
    ("renameat2", "iwiwf", 7),
    ("unlink", "w", 0),
    ("unlinkat", "iwf", 0x200),
    ("rmdir", "w", 0),
    ("chmod", "wp", 0),
    ("fchmod", "ip", 0),
    ("fchmodat", "iwp", 0),
    ("fchmodat2", "iwpf", NOFOLLOW | EMPTY),
    ("chown", "wuu", 0),
    ("chown32", "wii", 0),
    ("lchown", "wuu", 0),
    ("lchown32", "wii", 0),
    ("fchown", "iuu", 0),
    ("fchown32", "iii", 0),
    ("fchownat", "iwiif", NOFOLLOW | EMPTY),
    ("utime", "ww", 0),
    ("utimes", "ww", 0),
    ("futimesat", "iww", 0),
    ("utimensat", "iwwf", NOFOLLOW | EMPTY),
    ("utimensat_time64", "iwwf", NOFOLLOW | EMPTY),
    ("setxattr", "wwwwi", 0),
    ("lsetxattr", "wwwwi", 0),
    ("fsetxattr", "iwwwi", 0),
    ("setxattrat", "iwfwww", NOFOLLOW | EMPTY),
    ("removexattr", "ww", 0),
    ("lremovexattr", "ww", 0),
    ("fremovexattr", "iw", 0),
    ("removexattrat", "iwfw", NOFOLLOW | EMPTY),
    ("file_setattr", "iwwwf", NOFOLLOW | EMPTY),
];

pub const SOCKETS: &[Signature] = &[
    ("connect", "iwi", 0),
    ("bind", "iwi", 0),
    ("listen", "ii", 0),
    ("sendto", "iwwiwi", 0),
    ("sendmsg", "iwi", 0),
    ("sendmmsg", "iwii", 0),
];

/// The bits of a register that the kernel looks at; none of one that the call does not have.
fn mask(layout: Layout, register: Option<&u8>) -> u64 {
    match (register, layout) {
        (None, _) => 0,
        (Some(b'p'), _) => 0o7777,
        (Some(b'm'), _) | (Some(b'u'), Layout::Bits32) => 0xffff,
        (Some(b'w'), Layout::Bits64) => u64::MAX,
        _ => 0xffff_ffff,
    }
}

/// What counts makes a difference, what does not makes none.
fn widths<T: PartialEq + Debug>(
    decode: impl Fn(&[u64; 6]) -> Result<T, Errno>,
    args: &[u64; 6],
    registers: &str,
    layout: Layout,
) {
    let request = decode(args);
    for (index, register) in args.iter().enumerate() {
        let counts = mask(layout, registers.as_bytes().get(index));
        let with = |value: u64| {
            let mut changed = *args;
            changed[index] = value;
            decode(&changed)
        };
        assert_eq!(with(register ^ !counts), request, "register {index} is read too widely");
        for bit in (0..64).map(|bit| 1 << bit).filter(|bit| counts & bit != 0) {
            let other = with(register ^ bit);
            assert!(
                other != request || request.is_err(),
                "register {index} is read without {bit:x}: {request:?}"
            );
        }
    }
}

fn registers(input: &mut Input<'_>, of: &'static [Signature]) -> (&'static Signature, [u64; 6]) {
    let signature = &of[input.byte() % of.len()];
    (signature, std::array::from_fn(|_| input.register()))
}

/// Whether the kernel says EINVAL to these flags before it looks at anything else.
fn is_refused((name, registers, known): &Signature, args: &[u64; 6], layout: Layout) -> bool {
    let Some(flags) = registers.find('f').map(|index| args[index] & 0xffff_ffff) else {
        return false;
    };
    let contradicts = *name == "renameat2" && flags & 2 != 0 && flags & 5 != 0;
    // a descriptor's times are not changed by a path, so nothing can be said about one
    let without_path = name.starts_with("utimensat")
        && layout.pointer(args[1]).is_null()
        && args[0] & 0xffff_ffff != 0xffff_ff9c
        && flags != 0;
    flags & !known != 0 || contradicts || without_path
}

pub(super) fn files(mut input: Input<'_>) -> bool {
    let layout = input.layout;
    let (signature, args) = registers(&mut input, FILES);
    let call = Syscall::from_name(signature.0).expect("the call is known");
    let row = files::row_of(call).expect("the call is in the table");
    let decoded = files::decode(call, &args, layout).expect("the call is in the table");
    assert_eq!(decoded, row.decode(&args, layout));
    widths(|args| row.decode(args, layout), &args, signature.1, layout);
    let refused = is_refused(signature, &args, layout);
    assert_eq!(
        decoded.as_ref().err(),
        refused.then_some(&Errno::EINVAL),
        "{signature:?} {args:x?}"
    );
    if let Ok(request) = &decoded {
        left(layout, request);
    }
    decoded.is_ok()
}

/// What is left to other decoders is refused by them.
fn left(layout: Layout, request: &Request) {
    match request {
        Request::Open { how: How::Registers { flags, mode }, .. } => {
            if let Ok(open) = open::old(layout, *flags, *mode) {
                super::opened(&open);
            }
        }
        Request::SetAttribute { value, size, flags, .. } => {
            let value = Value::new(*value, *size, *flags);
            assert_eq!(value.is_err(), flags & !3 != 0);
        }
        _ => {}
    }
}

pub(super) fn sockets(mut input: Input<'_>) -> bool {
    let layout = input.layout;
    let ((name, kinds, _), args) = registers(&mut input, SOCKETS);
    let call = Syscall::from_name(name).expect("the call is known");
    let decode = |args: &[u64; 6]| sockets::decode(call, args, layout).ok_or(Errno::ENOSYS);
    widths(decode, &args, kinds, layout);
    decode(&args).is_ok()
}

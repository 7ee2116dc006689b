// SPDX-License-Identifier: Apache-2.0
//! Which register is what, as the man pages have it, and what becomes of flags.

use super::*;
use crate::call::open::flags::{O_CREAT, O_TRUNC, O_WRONLY};

const WIDE: Layout = Layout::Bits64;
const SHORT: Layout = Layout::Bits32;
/// `AT_FDCWD` as a caller of either width may leave it in a register.
const CWD: u64 = 0xffff_ff9c;
/// Where things are in the caller's memory, so that each is told from the others.
const PATH: u64 = 0x7f00_0000_1000;
const OTHER: u64 = 0x7f00_0000_2000;
const DATA: u64 = 0x7f00_0000_3000;
const MORE: u64 = 0x7f00_0000_4000;

fn read(name: &str, args: &[u64], layout: Layout) -> Result<Request, Errno> {
    let mut registers = [0xdead_beef_dead_beef; 6];
    registers[..args.len()].copy_from_slice(args);
    decode(Syscall::from_name(name).unwrap(), &registers, layout).unwrap()
}

/// What calls of 64 bits ask for.
fn check(table: &[(&str, &[u64], Request)]) {
    for (name, args, expected) in table {
        assert_eq!(read(name, args, WIDE), Ok(*expected), "{name} {args:x?}");
    }
}

fn at(base: Base, path: u64, last: Last) -> At {
    At { base, path: Pointer(path), last, empty: Empty::Refused }
}

fn followed(path: u64) -> At {
    at(Base::Cwd, path, Follow)
}

fn named(path: u64) -> At {
    at(Base::Cwd, path, NoFollow)
}

fn within(descriptor: i32, path: u64) -> At {
    at(Base::Descriptor(descriptor), path, NoFollow)
}

#[test]
fn opening_has_a_path_then_how() {
    let how = How::Registers { flags: 0o2, mode: 0o644 };
    let pointer = Pointer(DATA);
    check(&[
        ("open", &[PATH, 0o2, 0o644], Request::Open { at: followed(PATH), how }),
        ("openat", &[CWD, PATH, 0o2, 0o644], Request::Open { at: followed(PATH), how }),
        (
            "openat",
            &[5, PATH, 0o2, 0o644],
            Request::Open { at: at(Base::Descriptor(5), PATH, Follow), how },
        ),
        (
            "openat2",
            &[CWD, PATH, DATA, 24],
            Request::Open { at: followed(PATH), how: How::Struct { pointer, size: 24 } },
        ),
    ]);
}

#[test]
fn creat_makes_and_cuts_for_writing() {
    let Ok(Request::Open { how: How::Registers { flags, mode }, .. }) =
        read("creat", &[PATH, 0o17_0640], WIDE)
    else {
        panic!("creat opens");
    };
    assert_eq!((flags, mode), (O_CREAT | O_WRONLY | O_TRUNC, 0o17_0640));
    let open = crate::call::open::old(WIDE, flags, mode);
    assert_eq!(open, crate::call::open::creat(WIDE, mode));
}

#[test]
fn a_length_has_its_sign_and_may_come_in_halves() {
    let length = |name, args: &[u64], layout| match read(name, args, layout) {
        Ok(Request::Truncate { at, length }) if at == followed(0x1000) => length,
        other => panic!("{other:?}"),
    };
    assert_eq!(length("truncate", &[0x1000, 5 << 32], WIDE), 5 << 32);
    assert_eq!(length("truncate", &[0x1000, u64::MAX], WIDE), -1);
    assert_eq!(length("truncate", &[0x1000, 0x7_ffff_ffff], SHORT), -1);
    assert_eq!(length("truncate", &[0x1000, 0x7_0000_0005], SHORT), 5);
    assert_eq!(length("truncate64", &[0x1000, 0xf000_0000, 2], SHORT), 0x2_f000_0000);
    assert_eq!(length("truncate64", &[0x1000, 0xffff_ffff, 0xffff_ffff], SHORT), -1);
    assert_eq!(length("truncate64", &[0x1000, 7 << 32 | 1, 7 << 32 | 2], SHORT), 2 << 32 | 1);
}

#[test]
fn names_are_made_where_the_last_link_is_not_followed() {
    let device = 0x103;
    check(&[
        ("mkdir", &[PATH, 0o1777], Request::MakeDirectory { at: named(PATH), mode: 0o1777 }),
        ("mkdirat", &[3, PATH, 0o755], Request::MakeDirectory { at: within(3, PATH), mode: 0o755 }),
        (
            "mknod",
            &[PATH, 0o2_0666, device],
            Request::MakeNode { at: named(PATH), mode: 0o2_0666, device: 0x103 },
        ),
        (
            "mknodat",
            &[3, PATH, 0o7_0000_0666, device],
            Request::MakeNode { at: within(3, PATH), mode: 0o666, device: 0x103 },
        ),
        ("symlink", &[DATA, PATH], Request::MakeSymlink { target: Pointer(DATA), at: named(PATH) }),
        (
            "symlinkat",
            &[DATA, 3, PATH],
            Request::MakeSymlink { target: Pointer(DATA), at: within(3, PATH) },
        ),
    ]);
}

#[test]
fn links_and_renames_go_from_the_first_name_to_the_second() {
    let (from, to) = (within(3, PATH), within(4, OTHER));
    let rename = |flags| Request::Rename { from, to, flags };
    check(&[
        ("link", &[PATH, OTHER], Request::Link { from: named(PATH), to: named(OTHER) }),
        ("linkat", &[3, PATH, 4, OTHER, 0], Request::Link { from, to }),
        (
            "rename",
            &[PATH, OTHER],
            Request::Rename { from: named(PATH), to: named(OTHER), flags: 0 },
        ),
        ("renameat", &[3, PATH, 4, OTHER], rename(0)),
        ("renameat2", &[3, PATH, 4, OTHER, 2], rename(2)),
        ("renameat2", &[3, PATH, 4, OTHER, 7 << 32 | 5], rename(5)),
    ]);
}

#[test]
fn unlinkat_removes_directories_if_it_is_told_to() {
    check(&[
        ("unlink", &[PATH], Request::Unlink { at: named(PATH) }),
        ("unlinkat", &[3, PATH, 0], Request::Unlink { at: within(3, PATH) }),
        ("unlinkat", &[3, PATH, 0x200], Request::RemoveDirectory { at: within(3, PATH) }),
        ("unlinkat", &[CWD, PATH, 1 << 32], Request::Unlink { at: named(PATH) }),
        ("rmdir", &[PATH], Request::RemoveDirectory { at: named(PATH) }),
    ]);
}

#[test]
fn modes_and_owners_are_of_a_path_or_a_descriptor() {
    let by_path = Target::At(followed(PATH));
    let link = Target::At(named(PATH));
    let mode = |target| Request::SetMode { target, mode: 0o4755 };
    let owner = |target| Request::SetOwner { target, uid: 70_000, gid: u32::MAX };
    let in_third = Target::At(at(Base::Descriptor(3), PATH, Follow));
    let link_in_third = Target::At(within(3, PATH));
    let minus = u64::MAX;
    check(&[
        ("chmod", &[PATH, 0o10_4755], mode(by_path)),
        ("fchmod", &[7, 0o4755], mode(Target::Descriptor(7))),
        ("fchmodat", &[3, PATH, 0o4755], mode(in_third)),
        ("fchmodat2", &[3, PATH, 0o4755, 0x100], mode(link_in_third)),
        ("chown", &[PATH, 70_000, minus], owner(by_path)),
        ("chown32", &[PATH, 70_000, minus], owner(by_path)),
        ("lchown", &[PATH, 70_000, minus], owner(link)),
        ("lchown32", &[PATH, 70_000, minus], owner(link)),
        ("fchown", &[7, 70_000, minus], owner(Target::Descriptor(7))),
        ("fchown32", &[7, 70_000, minus], owner(Target::Descriptor(7))),
        ("fchownat", &[3, PATH, 70_000, minus, 0], owner(in_third)),
    ]);
}

#[test]
fn the_old_calls_of_32_bits_have_ids_of_16() {
    let ids = |name, uid, gid| match read(name, &[0x1000, uid, gid], SHORT) {
        Ok(Request::SetOwner { uid, gid, .. }) => (uid, gid),
        other => panic!("{other:?}"),
    };
    for (old, new) in [("chown", "chown32"), ("lchown", "lchown32"), ("fchown", "fchown32")] {
        assert_eq!(ids(old, 0x1_ffff, 0x1_0005), (u32::MAX, 5), "{old}");
        assert_eq!(ids(new, 0x1_ffff, 0xffff_ffff), (0x1_ffff, u32::MAX), "{new}");
    }
}

#[test]
fn each_call_of_times_has_them_in_a_form_of_its_own() {
    let times = Pointer(DATA);
    let set = |target, form| Request::SetTimes { target, times, form };
    let by_path = Target::At(followed(PATH));
    let (third, link) = (at(Base::Descriptor(3), PATH, Follow), within(3, PATH));
    check(&[
        ("utime", &[PATH, DATA], set(by_path, Form::Utimbuf)),
        ("utimes", &[PATH, DATA], set(by_path, Form::Timeval)),
        ("futimesat", &[3, PATH, DATA], set(Target::At(third), Form::Timeval)),
        ("utimensat", &[3, PATH, DATA, 0], set(Target::At(third), Form::Timespec)),
        ("utimensat", &[3, PATH, DATA, 0x100], set(Target::At(link), Form::Timespec)),
        ("utimensat_time64", &[3, PATH, DATA, 0], set(Target::At(third), Form::Timespec64)),
    ]);
}

#[test]
fn times_without_a_path_are_those_of_the_descriptor() {
    let (times, form) = (Pointer(DATA), Form::Timespec);
    let fourth = Target::Descriptor(4);
    // not of the working directory: the null pointer is a path then, which cannot be read
    let nowhere = Target::At(followed(0));
    check(&[
        ("utimensat", &[4, 0, DATA, 0], Request::SetTimes { target: fourth, times, form }),
        ("utimensat", &[CWD, 0, DATA, 0], Request::SetTimes { target: nowhere, times, form }),
        (
            "futimesat",
            &[4, 0, DATA],
            Request::SetTimes { target: fourth, times, form: Form::Timeval },
        ),
    ]);
    for flags in [0x100, 0x1000] {
        assert_eq!(read("utimensat", &[4, 0, DATA, flags], WIDE), Err(Errno::EINVAL), "{flags:x}");
    }
    // a 32-bit caller's null pointer has 32 bits
    let args = [4, 1 << 32, 0x3000, 0];
    let expected = Request::SetTimes { target: fourth, times: Pointer(0x3000), form };
    assert_eq!(read("utimensat", &args, SHORT), Ok(expected));
}

#[test]
fn attributes_have_a_name_then_a_value() {
    let (name, value, arguments) = (Pointer(OTHER), Pointer(DATA), Pointer(MORE));
    let set = |target| Request::SetAttribute { target, name, value, size: 5, flags: 1 };
    let with = |target| Request::SetAttributeWith { target, name, arguments, size: 16 };
    let remove = |target| Request::RemoveAttribute { target, name };
    let (by_path, link) = (Target::At(followed(PATH)), Target::At(named(PATH)));
    let in_third = Target::At(at(Base::Descriptor(3), PATH, Follow));
    let link_in_third = Target::At(within(3, PATH));
    check(&[
        ("setxattr", &[PATH, OTHER, DATA, 5, 1], set(by_path)),
        ("lsetxattr", &[PATH, OTHER, DATA, 5, 1], set(link)),
        ("fsetxattr", &[7, OTHER, DATA, 5, 1], set(Target::Descriptor(7))),
        ("setxattrat", &[3, PATH, 0, OTHER, MORE, 16], with(in_third)),
        ("setxattrat", &[3, PATH, 0x100, OTHER, MORE, 16], with(link_in_third)),
        ("removexattr", &[PATH, OTHER], remove(by_path)),
        ("lremovexattr", &[PATH, OTHER], remove(link)),
        ("fremovexattr", &[7, OTHER], remove(Target::Descriptor(7))),
        ("removexattrat", &[3, PATH, 0, OTHER], remove(in_third)),
    ]);
}

#[test]
fn file_setattr_has_its_flags_last() {
    let set = |target| Request::SetFileAttributes { target, arguments: Pointer(DATA), size: 24 };
    let (third, link) = (at(Base::Descriptor(3), PATH, Follow), within(3, PATH));
    check(&[
        ("file_setattr", &[3, PATH, DATA, 24, 0], set(Target::At(third))),
        ("file_setattr", &[3, PATH, DATA, 24, 0x100], set(Target::At(link))),
    ]);
}

/// The calls with `AT_…` flags: their registers without any, where the flags are, which are known.
const FLAGGED: &[(&str, [u64; 6], usize, u64)] = &[
    ("linkat", [3, PATH, 4, OTHER, 0, 0], 4, 0x1400),
    ("unlinkat", [3, PATH, 0, 0, 0, 0], 2, 0x200),
    ("fchmodat2", [3, PATH, 0, 0, 0, 0], 3, 0x1100),
    ("fchownat", [3, PATH, 0, 0, 0, 0], 4, 0x1100),
    ("utimensat", [3, PATH, DATA, 0, 0, 0], 3, 0x1100),
    ("utimensat_time64", [3, PATH, DATA, 0, 0, 0], 3, 0x1100),
    ("setxattrat", [3, PATH, 0, OTHER, MORE, 16], 2, 0x1100),
    ("removexattrat", [3, PATH, 0, OTHER, 0, 0], 2, 0x1100),
    ("file_setattr", [3, PATH, DATA, 24, 0, 0], 4, 0x1100),
    ("renameat2", [3, PATH, 4, OTHER, 0, 0], 4, 0x7),
];

#[test]
fn flags_that_are_not_known_are_refused() {
    for (name, args, index, known) in FLAGGED {
        for bit in 0..64 {
            let mut args = *args;
            args[*index] = 1 << bit;
            let read = read(name, &args, WIDE);
            // of flags the kernel looks at 32 bits
            let is_known = known & 1 << bit != 0 || bit >= 32;
            assert_eq!(read.err(), (!is_known).then_some(Errno::EINVAL), "{name} {bit}");
        }
    }
}

#[test]
fn a_rename_that_exchanges_does_nothing_else() {
    let flags = |flags| read("renameat2", &[3, PATH, 4, OTHER, flags], WIDE).err();
    assert_eq!([0, 1, 2, 4, 5].map(flags), [None; 5]);
    assert_eq!([3, 6, 7, 8].map(flags), [Some(Errno::EINVAL); 4]);
}

#[test]
fn an_empty_path_is_the_descriptor_where_that_is_said() {
    for (name, args, index, _) in FLAGGED.iter().filter(|(.., known)| known & 0x1000 != 0) {
        for (flags, expected) in [(0, Empty::Refused), (0x1000, Empty::Base)] {
            let mut args = *args;
            args[*index] = flags;
            let at = match read(name, &args, WIDE).unwrap() {
                Request::Link { from, to } => {
                    assert_eq!(to.empty, Empty::Refused, "the new name is a name");
                    from
                }
                Request::SetMode { target: Target::At(at), .. }
                | Request::SetOwner { target: Target::At(at), .. }
                | Request::SetTimes { target: Target::At(at), .. }
                | Request::SetAttributeWith { target: Target::At(at), .. }
                | Request::RemoveAttribute { target: Target::At(at), .. }
                | Request::SetFileAttributes { target: Target::At(at), .. } => at,
                other => panic!("{other:?}"),
            };
            assert_eq!((at.base, at.path), (Base::Descriptor(3), Pointer(PATH)), "{name}");
            assert_eq!(at.empty, expected, "{name}");
        }
    }
}

#[test]
fn linkat_follows_a_link_only_if_it_is_told_to() {
    let last = |flags| match read("linkat", &[3, PATH, 4, OTHER, flags], WIDE) {
        Ok(Request::Link { from, to }) => (from.last, to.last),
        other => panic!("{other:?}"),
    };
    assert_eq!((last(0), last(0x400)), ((NoFollow, NoFollow), (Follow, NoFollow)));
}

#[test]
fn the_working_directory_is_known_by_its_32_bits() {
    for (register, expected) in [
        (CWD, Base::Cwd),
        (CWD | 7 << 32, Base::Cwd),
        (u64::MAX - 99, Base::Cwd),
        (u64::MAX, Base::Descriptor(-1)),
        (7 << 32 | 5, Base::Descriptor(5)),
    ] {
        for layout in [WIDE, SHORT] {
            let read = read("mkdirat", &[register, 0x1000, 0], layout);
            let expected = Request::MakeDirectory { at: at(expected, 0x1000, NoFollow), mode: 0 };
            assert_eq!(read, Ok(expected), "{register:x} {layout:?}");
        }
    }
}

#[test]
fn pointers_and_sizes_of_32_bit_callers_have_32_bits() {
    let high = |low: u64| 7 << 32 | low;
    let how = How::Struct { pointer: Pointer(0x2000), size: 24 };
    let opened = Request::Open { at: followed(0x1000), how };
    let args = [CWD, high(0x1000), high(0x2000), high(24)];
    assert_eq!(read("openat2", &args, SHORT), Ok(opened));
    let (target, name, value) = (Target::At(followed(0x1000)), Pointer(0x2000), Pointer(0x3000));
    let set = Request::SetAttribute { target, name, value, size: 5, flags: 2 };
    let args = [0x1000, 0x2000, 0x3000, 5, 2].map(high);
    assert_eq!(read("setxattr", &args, SHORT), Ok(set));
}

#[test]
fn other_calls_are_not_about_files() {
    for name in ["read", "ftruncate", "fchdir", "connect", "chroot", "execve"] {
        let call = Syscall::from_name(name).unwrap();
        assert_eq!(decode(call, &[0; 6], WIDE), None, "{name}");
        assert!(!is_known(call));
    }
}

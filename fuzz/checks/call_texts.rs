// SPDX-License-Identifier: Apache-2.0
//! Texts of procfs: what the kernel writes is read as what it was written from, whatever the workload
//! has a say in (the names of tasks and of directories), and other bytes do no harm.
//!
//! What is read: numbers to write a text with, then bytes that are a name in it, and a text themselves.

use brig_policy::call::status::Status;
use brig_policy::call::{limits, mounts};
use brig_policy::path::AbsPath;
use brig_policy::policy::Errno;

use super::Input;

/// Lines without which nobody is known.
const NEEDED: [&str; 15] = [
    "Name", "Umask", "Tgid", "Uid", "Gid", "Groups", "NStgid", "NSpid", "Threads", "SigPnd",
    "ShdPnd", "SigBlk", "SigIgn", "CapPrm", "CapEff",
];

/// As `seq_escape` and `mangle_path` do it.
fn escaped(text: &[u8], special: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match special.contains(byte) {
        true => format!("\\{byte:03o}").into_bytes(),
        false => vec![*byte],
    };
    text.iter().flat_map(escape).collect()
}

/// As `proc_task_name` escapes what a task calls itself.
fn task_name(name: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'\n' => b"\\n".to_vec(),
        b'\\' => b"\\\\".to_vec(),
        other => vec![*other],
    };
    name.iter().flat_map(escape).collect()
}

fn joined<T: ToString>(numbers: &[T], between: &str) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// The text as `proc_pid_status` writes it; of the signals that are not taken every other is blocked,
/// the rest are ignored.
fn written(status: &Status) -> Vec<u8> {
    const EVERY_OTHER: u64 = 0x5555_5555_5555_5555;
    let Status { umask, tgid, uids, gids, threads, .. } = status;
    let (groups, tab) = (joined(&status.groups, " "), "\t");
    let (uids, gids) = (joined(uids, tab), joined(gids, tab));
    let (ns_tgids, ns_pids) = (joined(&status.ns_tgids, tab), joined(&status.ns_pids, tab));
    let numbers = format!(
        "\nUmask:\t{umask:04o}\nState:\tR (running)\nTgid:\t{tgid}\nNgid:\t7\nPid:\t8\nPPid:\t9\n\
         TracerPid:\t6\nUid:\t{uids}\nGid:\t{gids}\nFDSize:\t64\nGroups:\t{groups} \n\
         NStgid:\t{ns_tgids}\nNSpid:\t{ns_pids}\nNSpgid:\t5\nNSsid:\t4\nKthread:\t0\nThreads:\t\
         {threads}\nSigQ:\t3/31\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\n\
         SigIgn:\t{:016x}\nSigCgt:\t0000000000000002\nCapInh:\t0000000000000001\n\
         CapPrm:\t{:016x}\nCapEff:\t{:016x}\nCapBnd:\t00000000000000ff\n",
        status.own_signals,
        status.shared_signals,
        !status.taken_signals & EVERY_OTHER,
        !status.taken_signals & !EVERY_OTHER,
        status.permitted,
        status.effective,
    );
    [b"Name:\t", &status.name[..], numbers.as_bytes()].concat()
}

fn task(input: &mut Input<'_>) -> Status {
    let (groups, depth) = (input.byte() % 8, 1 + input.byte() % 3);
    let mut id = || u32::from_le_bytes(input.array());
    let (umask, tgid, threads) = (id() & 0o777, id().cast_signed(), id());
    let (uids, gids) = (std::array::from_fn(|_| id()), std::array::from_fn(|_| id()));
    let groups = (0..groups).map(|_| id()).collect();
    let mut pids = || (0..depth).map(|_| id().cast_signed()).collect();
    let (ns_tgids, ns_pids) = (pids(), pids());
    let [own_signals, shared_signals, taken_signals, permitted, effective] =
        std::array::from_fn(|_| input.register());
    let name = task_name(input.rest).trim_ascii().to_vec();
    Status {
        name,
        umask,
        tgid,
        uids,
        gids,
        groups,
        ns_tgids,
        ns_pids,
        threads,
        own_signals,
        shared_signals,
        taken_signals,
        permitted,
        effective,
    }
}

pub(super) fn status(mut input: Input<'_>) -> bool {
    let missing = NEEDED[input.byte() % NEEDED.len()];
    let status = task(&mut input);
    let text = written(&status);
    assert_eq!(Status::parse(&text).as_ref(), Ok(&status), "it is read as it was written");
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let without = lines.filter(|line| !line.starts_with(format!("{missing}:").as_bytes()));
    let without = without.collect::<Vec<_>>().concat();
    assert_eq!(Status::parse(&without), Err(Errno::ESRCH), "{missing} is needed");
    let Ok(read) = Status::parse(input.rest) else { return false };
    assert_eq!(Status::parse(&written(&read)), Ok(read));
    true
}

const LIMITS: [&str; 16] = [
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max core file size",
    "Max resident set",
    "Max processes",
    "Max open files",
    "Max locked memory",
    "Max address space",
    "Max file locks",
    "Max pending signals",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
    "Max realtime timeout",
];

/// As `proc_pid_limits` writes a number.
fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

pub(super) fn soft(mut input: Input<'_>) -> bool {
    let title = LIMITS[input.byte() % LIMITS.len()];
    let (own, others, hard) = (input.register(), input.register(), limit(input.register()));
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard", "Units");
    for line in LIMITS {
        let soft = limit(if line == title { own } else { others });
        text.push_str(&format!("{line:<25} {soft:<20} {hard:<20} bytes     \n"));
    }
    let expected = (own != u64::MAX).then_some(own);
    assert_eq!(limits::soft(text.as_bytes(), title), expected, "{title}");
    limits::soft(input.rest, title).is_some()
}

const KINDS: [&str; 3] = ["proc", "sysfs", "fuse.proc"];

pub(super) fn mount_points(mut input: Input<'_>) -> bool {
    let (kind, optional) = (KINDS[input.byte() % KINDS.len()], input.byte() % 4);
    let path = [b"/", input.rest].concat();
    let mut text = b"22 1 0:21 / ".to_vec();
    text.extend(escaped(&path, b" \t\n\\"));
    text.extend(b" rw,nosuid ");
    text.extend(b"shared:1 ".repeat(optional));
    text.extend(format!("- {kind} ").into_bytes());
    text.extend(escaped(input.rest, b" \t\n\\#"));
    text.extend(b" rw\n");
    for other in KINDS {
        let expected: Vec<AbsPath> =
            AbsPath::new(&path).into_iter().filter(|_| other == kind).collect();
        assert_eq!(mounts::of_kind(&text, other), expected, "{other}");
    }
    let found = mounts::of_kind(input.rest, kind);
    assert!(found.len() <= 1 + input.rest.iter().filter(|byte| **byte == b'\n').count());
    !found.is_empty()
}

// SPDX-License-Identifier: Apache-2.0
//! What the program refuses because something is mediated, and only then.

#![allow(clippy::unwrap_used)]

mod support;

use brig_policy::plan::files::{Assumed, Bound};
use brig_policy::plan::{self, Plan};
use brig_policy::seccomp::{Action, Arch, Input, SeccompData, Syscall, compile, run};
use brig_policy::target::{Landlock, Limits, Target};
use support::policy;

fn compiled(rules: &str) -> Plan {
    let target = Target {
        kernel: (6, 18),
        arch: Arch::X86_64,
        landlock: Some(Landlock { abi: 7, errata: 0 }),
        limits: Limits { processes: true, memory: true },
    };
    plan::compile(&policy(rules), &target, &mut Assumed, Bound::default()).unwrap()
}

/// What the program answers to a call under these rules.
fn answer(rules: &str, name: &str, args: &[u64]) -> Action {
    let plan = compiled(rules);
    let native = Arch::X86_64;
    let restrictions = &plan.restrictions;
    let program = compile(&Input { spec: None, restrictions, mediated: &[], native }).unwrap();
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let nr = Syscall::from_name(name).unwrap().number(native).unwrap();
    let data = SeccompData { nr, arch: native.token(), instruction_pointer: 0, args: all };
    run(&program.program, &data, native).unwrap().action
}

const PATTERN: &str = "files.read /usr\nfiles.read /data/*.txt";
const LITERALS: &str = "files.read /usr\nfiles.write /tmp\nnetwork.connect tcp *:443\nnetwork.bind";
const HOST: &str = "network.connect tcp 10.0.0.1:443";
const SOCKETS: &str = "network.connect unix /run/*.sock\nnetwork.connect tcp *:443\nnetwork.bind";
const AUDIT: &str = "audit.mode audit\nfiles.read /data/*.txt\nnetwork.connect tcp 10.0.0.1";

#[test]
fn a_workload_has_no_domain_of_its_own_where_somebody_acts_for_it() {
    for call in ["landlock_create_ruleset", "landlock_restrict_self"] {
        for rules in [PATTERN, HOST, SOCKETS] {
            assert_eq!(answer(rules, call, &[]), Action::Errno(95), "{rules}: {call}");
        }
        let listens = "network.connect tcp *:443\nnetwork.bind tcp *:80";
        for rules in ["", LITERALS, listens, AUDIT, "files.write /tmp = create"] {
            assert_eq!(answer(rules, call, &[]), Action::Allow, "{rules}: {call}");
        }
    }
}

#[test]
fn no_ioctl_changes_metadata_past_the_supervisor() {
    let some = "files.write /data/*.db";
    for command in [0x4008_6602, 0x4004_6602, 0x401c_5820, 0x4008_7602, 0x4080_6685, 0x4004_7211] {
        assert_eq!(answer(some, "ioctl", &[3, command]), Action::Errno(1), "{command:#x}");
        let wide = command | 1 << 40;
        assert_eq!(answer(some, "ioctl", &[3, wide]), Action::Errno(1), "{command:#x}");
        for rules in ["", LITERALS, PATTERN, HOST, AUDIT] {
            assert_eq!(answer(rules, "ioctl", &[3, command]), Action::Allow, "{rules}");
        }
    }
    let (get_flags, terminal) = (0x8008_6601, 0x5401);
    for command in [get_flags, terminal] {
        assert_eq!(answer(some, "ioctl", &[3, command]), Action::Allow, "{command:#x}");
    }
}

#[test]
fn no_mount_gives_another_name_where_names_decide() {
    const REMOUNT: u64 = 0x20;
    const BIND: u64 = 0x1000;
    let calls: [(&str, &[u64]); 5] = [
        ("pivot_root", &[]),
        ("mount", &[0, 0, 0, BIND]),
        ("mount", &[0, 0, 0, 0x2000]),
        ("move_mount", &[]),
        ("open_tree", &[3, 0, 1]),
    ];
    for (call, args) in calls {
        for rules in [PATTERN, SOCKETS, "network.deny unix /run/x", "files.write /tmp = create"] {
            assert_eq!(answer(rules, call, args), Action::Errno(1), "{rules}: {call}");
        }
        for rules in ["", HOST, AUDIT] {
            assert_eq!(answer(rules, call, args), Action::Allow, "{rules}: {call}");
        }
    }
    for (call, args) in &calls[..4] {
        assert_eq!(answer(LITERALS, call, args), Action::Allow, "{call}: what a domain forbids");
    }
    assert_eq!(answer(SOCKETS, "mount", &[0, 0, 0, BIND | REMOUNT]), Action::Allow);
    assert_eq!(answer(SOCKETS, "open_tree", &[3, 0, 0]), Action::Allow);
}

#[test]
fn no_option_leads_past_the_address_that_was_decided_about() {
    let options = [(0, 3), (0, 4), (41, 6), (41, 36), (41, 57), (255, 36), (132, 110)];
    for (level, name) in options {
        for rules in [HOST, "network.deny ip 10.0.0.1", "network.connect udp *:53"] {
            let answer = answer(rules, "setsockopt", &[3, level, name]);
            assert_eq!(answer, Action::Errno(1), "{rules}: {level} {name}");
        }
        for rules in ["", LITERALS, PATTERN, SOCKETS, AUDIT] {
            let answer = answer(rules, "setsockopt", &[3, level, name]);
            assert_eq!(answer, Action::Allow, "{rules}: {level} {name}");
        }
    }
    assert_eq!(answer(HOST, "getsockopt", &[3, 132, 111]), Action::Errno(1));
    assert_eq!(answer(HOST, "setsockopt", &[3, 1, 2]), Action::Allow, "SO_REUSEADDR");
    assert_eq!(answer(HOST, "setsockopt", &[3, 0, 1]), Action::Allow, "IP_TOS");
}

#[test]
fn no_socket_names_its_receivers_in_its_packets() {
    let denies = "network.deny ip 10.0.0.1";
    let cloexec = 0o200_0000;
    let packet = [[17, 3, 0x300], [17, 2, 0], [2, 10, 0x300], [2, 10 | cloexec, 3]];
    let others = [[21, 5, 0], [24, 1, 0], [30, 1, 0], [33, 2, 2], [44, 3, 0]];
    let raw = [[2, 3, 255], [10, 3 | cloexec, 255]];
    for socket in packet.into_iter().chain(others).chain(raw) {
        assert_eq!(answer(denies, "socket", &socket), Action::Errno(1), "{socket:?}");
        assert_eq!(answer(PATTERN, "socket", &socket), Action::Allow, "{socket:?}");
    }
    for socket in [[2, 3, 1], [2, 1, 0], [10, 2, 17], [1, 1, 0]] {
        assert_eq!(answer(denies, "socket", &socket), Action::Allow, "{socket:?}");
    }
}

#[test]
fn no_mount_that_is_attached_nowhere_gives_files_other_names() {
    let clone = 0x1;
    for rules in [LITERALS, PATTERN] {
        let answer = |call: &str, args: &[u64]| answer(rules, call, args);
        assert_eq!(answer("fsmount", &[3, 0, 0]), Action::Errno(1), "{rules}");
        for call in ["open_tree", "open_tree_attr"] {
            assert_eq!(answer(call, &[3, 0, clone | 0x8000]), Action::Errno(1), "{call}: {rules}");
        }
        assert_eq!(answer("open_tree", &[3, 0, 0x8000]), Action::Allow, "{rules}");
    }
    for rules in ["", HOST, AUDIT] {
        assert_eq!(answer(rules, "open_tree", &[3, 0, clone]), Action::Allow, "{rules}");
    }
}

const TREES: &str = "[files]: an ioctl would copy denied files to where they are not";
const DETACHED: &str = "[files]: what is in a mount that is attached nowhere has another name";

#[test]
fn the_plan_says_what_is_refused_besides() {
    let rules = "files.write /data/*.db\nfiles.read /\nnetwork.connect tcp 10.0.0.1:443";
    let besides = [
        "the supervisor could not act within a Landlock domain of the workload's own",
        TREES,
        DETACHED,
        "[files]: an ioctl would change metadata past the supervisor",
        "names decide, and a mount would give files other names",
        "[network]: a socket option would lead past the address decided about",
        "[network]: packets would name any receiver",
    ];
    assert_eq!(compiled(rules).besides, besides);
    assert_eq!(compiled(LITERALS).besides, [TREES, DETACHED]);
    assert!(compiled("network.connect tcp *:443\nnetwork.bind").besides.is_empty());
}

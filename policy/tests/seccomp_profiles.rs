// SPDX-License-Identifier: Apache-2.0
//! Shipped and public profiles: exhaustively over architecture × number × argument edges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use brig_policy::seccomp::{
    Action, Answer, Arch, Compiled, Condition, Host, Input, Match, Mediated, Operator, Restriction,
    Rules, Seccomp, SeccompData, Selects, Syscall, compile, default_profile, for_each_probe,
    is_constant_allow, parse_profile, run, verdict,
};
use serde_json::Value;
use std::collections::BTreeSet;

const DOCKER: &str = include_str!("data/docker-default.json");
const NATIVES: [Arch; 5] = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64, Arch::S390x, Arch::Ppc64le];

fn host(native: Arch, capabilities: &[&str]) -> Host {
    let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
    Host { native, kernel: (6, 1), capabilities }
}

fn docker_capabilities() -> BTreeSet<String> {
    let words = DOCKER.split('"').filter(|word| word.starts_with("CAP_"));
    words.map(str::to_owned).collect()
}

/// Every capability that the profiles mention, alone; none; and all; elsewhere none and all.
fn hosts() -> Vec<Host> {
    let mentioned: BTreeSet<&str> =
        DOCKER.split('"').filter(|word| word.starts_with("CAP_")).collect();
    let all: Vec<&str> = mentioned.iter().copied().collect();
    let mut sets: Vec<Vec<&str>> = all.iter().map(|name| vec![*name]).collect();
    sets.extend([vec![], all.clone()]);
    let mut hosts: Vec<Host> = sets.iter().map(|set| host(Arch::X86_64, set)).collect();
    for native in &NATIVES[1..] {
        hosts.extend([host(*native, &[]), host(*native, &all)]);
    }
    hosts
}

fn docker(host: &Host) -> Seccomp {
    let value: Value = serde_json::from_str(DOCKER).unwrap();
    parse_profile(&value, host).unwrap()
}

fn ours(host: &Host) -> Seccomp {
    default_profile(host).unwrap()
}

fn input(spec: Option<&Seccomp>, native: Arch) -> Input<'_> {
    Input { spec, restrictions: &[], mediated: &[], native }
}

fn compiled(input: &Input<'_>) -> Compiled {
    compile(input).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn answer(compiled: &Compiled, native: Arch, data: &SeccompData) -> Action {
    run(&compiled.program, data, native).unwrap().action
}

fn call(name: &str, args: &[u64]) -> SeccompData {
    let nr = Syscall::from_name(name).unwrap().number(Arch::X86_64).unwrap();
    let mut data = SeccompData { nr, arch: Arch::X86_64.token(), ..Default::default() };
    data.args[..args.len()].copy_from_slice(args);
    data
}

fn tighter(a: (&Compiled, &Input<'_>), b: (&Compiled, &Input<'_>)) {
    let native = a.1.native;
    for probed in [a.1, b.1] {
        let rules = Rules::new(*probed).unwrap();
        let result: Result<(), String> = for_each_probe(&rules, |data| {
            let (left, right) = (answer(a.0, native, data), answer(b.0, native, data));
            if left.at_least_as_tight_as(right) {
                Ok(())
            } else {
                Err(format!("{native:?} {data:x?}: {left}, but {right}"))
            }
        });
        result.unwrap();
    }
}

#[test]
fn the_default_profile_is_at_least_as_tight_as_dockers() {
    for host in hosts() {
        let (ours, docker) = (ours(&host), docker(&host));
        let (ours, docker) = (input(Some(&ours), host.native), input(Some(&docker), host.native));
        tighter((&compiled(&ours), &ours), (&compiled(&docker), &docker));
    }
}

#[test]
fn the_default_profile_has_nothing_to_warn_of_and_every_entry_has_a_reason() {
    for host in hosts() {
        let spec = ours(&host);
        let warnings = compiled(&input(Some(&spec), host.native)).warnings;
        // An entry that denies what another allows is how this profile is written.
        let warnings: Vec<_> =
            warnings.iter().filter(|w| !w.message.contains("stricter and holds")).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    let value: Value = serde_json::from_str(brig_policy::seccomp::DEFAULT_PROFILE).unwrap();
    for entry in value["syscalls"].as_array().unwrap() {
        assert!(entry["comment"].as_str().is_some_and(|comment| !comment.is_empty()), "{entry}");
    }
}

#[test]
fn the_default_profile_answers_known_attacks_as_it_should() {
    let host = host(Arch::X86_64, &["CAP_SYS_ADMIN", "CAP_CHOWN"]);
    let spec = ours(&host);
    let compiled = compiled(&input(Some(&spec), host.native));
    let (eperm, enosys) = (Action::Errno(1), Action::Errno(38));
    for (name, args, expected) in [
        ("read", &[][..], Action::Allow),
        ("ioctl", &[0, 0x5401], Action::Allow),
        ("ioctl", &[0, 0x5412], eperm),
        ("ioctl", &[0, 1 << 32 | 0x5412], eperm),
        ("clone3", &[], enosys),
        ("clone", &[0x11], Action::Allow),
        ("clone", &[0x1000_0000], eperm),
        ("unshare", &[0x1000_0000], eperm),
        ("io_uring_setup", &[], enosys),
        ("personality", &[0], Action::Allow),
        ("personality", &[0xFFFF_FFFF], Action::Allow),
        ("personality", &[u64::MAX], Action::Allow),
        ("personality", &[0x40000], eperm),
        ("personality", &[1 << 32 | 0x40000], eperm),
        ("prctl", &[35], eperm),
        ("prctl", &[38], Action::Allow),
        ("socket", &[1], Action::Allow),
        ("socket", &[38], eperm),
        ("socket", &[1 << 32 | 40], eperm),
        ("kexec_load", &[], eperm),
        ("bpf", &[], eperm),
        ("userfaultfd", &[], eperm),
        ("add_key", &[], eperm),
        ("mount", &[], eperm),
        ("ioctl", &[0, 0x5423], eperm),
        ("socket", &[17], eperm),
        ("process_vm_readv", &[], eperm),
        ("listns", &[], enosys),
    ] {
        assert_eq!(answer(&compiled, host.native, &call(name, args)), expected, "{name} {args:x?}");
    }
    for nr in [999, u32::MAX, 0x7FFF_FFFF] {
        let data = SeccompData { nr, arch: Arch::X86_64.token(), ..Default::default() };
        assert_eq!(answer(&compiled, host.native, &data), enosys, "{nr:#x}");
    }
    // socketcall(SYS_SOCKET, …) hides the family; socketcall(SYS_CONNECT, …) may be made.
    for (code, expected) in [(1, eperm), (3, Action::Allow)] {
        let mut data = SeccompData { nr: 102, arch: Arch::X86.token(), ..Default::default() };
        data.args[0] = code;
        assert_eq!(answer(&compiled, host.native, &data), expected, "socketcall {code}");
    }
}

/// What the built-in policy `default` denies, as far as it concerns a container with every
/// capability; a program that falls back gets its ENOSYS.
#[test]
fn the_default_profile_denies_what_the_default_policy_denies() {
    let all = docker_capabilities();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let denied = "mount umount2 pivot_root move_mount open_tree open_tree_attr mount_setattr \
        fsopen fsmount fsconfig fspick setns unshare clone3 fanotify_init io_uring_setup \
        io_uring_enter io_uring_register process_vm_readv process_vm_writev process_madvise \
        pidfd_getfd kcmp init_module finit_module delete_module create_module kexec_load \
        kexec_file_load reboot swapon swapoff iopl ioperm modify_ldt _sysctl afs_syscall \
        get_kernel_syms getpmsg putpmsg query_module security sysfs tuxcall uselib ustat vserver \
        add_key request_key keyctl clock_settime settimeofday bpf perf_event_open userfaultfd \
        open_by_handle_at lookup_dcookie quotactl quotactl_fd acct syslog vhangup \
        lsm_set_self_attr";
    let host = host(Arch::X86_64, &all);
    let spec = ours(&host);
    let compiled = compiled(&input(Some(&spec), host.native));
    for name in denied.split_whitespace() {
        let flags = u64::from(u32::MAX);
        let action = answer(&compiled, host.native, &call(name, &[flags]));
        assert!(action.denies(), "{name}: {action}");
    }
    for flag in
        [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
    {
        for name in ["clone", "unshare"] {
            assert!(
                answer(&compiled, host.native, &call(name, &[flag])).denies(),
                "{name} {flag:#x}"
            );
        }
    }
}

/// What a policy may add: denials with conditions, an allow list, mediated calls.
fn policies() -> Vec<(Vec<Restriction>, Vec<Mediated>)> {
    let name = |name: &str| Syscall::from_name(name).unwrap();
    let flags =
        |value| Condition { index: 0, operator: Operator::MaskedEqual { mask: value, value } };
    let deny = Restriction {
        selects: Selects::These(vec![
            Match { syscall: name("clone"), conditions: vec![flags(0x1000_0000)] },
            Match { syscall: name("mount"), conditions: vec![] },
            Match { syscall: name("socket"), conditions: vec![flags(1)] },
        ]),
        answer: Answer::Errno(13),
        label: "deny".to_owned(),
    };
    let kill = Restriction {
        selects: Selects::These(vec![Match { syscall: name("kexec_load"), conditions: vec![] }]),
        answer: Answer::Kill,
        label: "kill".to_owned(),
    };
    let list = ["read", "write", "exit_group", "execve", "socketcall", "connect"];
    let allow = Restriction {
        selects: Selects::AllBut(
            list.map(|n| Match { syscall: name(n), conditions: vec![] }).to_vec(),
        ),
        answer: Answer::Errno(1),
        label: "allow".to_owned(),
    };
    let audit = Restriction { answer: Answer::Log, ..deny.clone() };
    let mediated = |n: &str, conditions| Mediated {
        syscall: name(n),
        conditions,
        label: "mediate".to_owned(),
    };
    let supervised =
        vec![mediated("openat", vec![]), mediated("connect", vec![]), mediated("clone3", vec![])];
    vec![
        (vec![deny.clone(), kill.clone()], vec![]),
        (vec![allow, kill], vec![mediated("execve", vec![])]),
        (vec![audit], supervised.clone()),
        (vec![deny], supervised),
    ]
}

#[test]
fn a_policy_only_tightens_every_shipped_profile_for_every_call() {
    for native in NATIVES {
        for caps in [&[][..], &["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]] {
            let host = host(native, caps);
            let specs = [Some(ours(&host)), Some(docker(&host)), None];
            for spec in &specs {
                let alone = input(spec.as_ref(), native);
                let base = compiled(&alone);
                for (restrictions, mediated) in policies() {
                    let merged =
                        Input { restrictions: &restrictions, mediated: &mediated, ..alone };
                    tighter((&compiled(&merged), &merged), (&base, &alone));
                }
            }
        }
    }
}

/// `for_each_probe` leaves out numbers in the middle of ranges; here is every one there could be.
#[test]
fn every_number_of_every_architecture_gets_what_the_rules_mean() {
    for native in NATIVES {
        let host = host(native, &[]);
        for spec in [ours(&host), docker(&host)] {
            let input = input(Some(&spec), native);
            let (compiled, rules) = (compiled(&input), Rules::new(input).unwrap());
            for arch in Arch::all() {
                for nr in (0..1200).chain(0x4000_0000..0x4000_0400).chain(0xF_0000..0xF_0010) {
                    let data = SeccompData { nr, arch: arch.token(), ..Default::default() };
                    let expected = verdict(&rules, &data).action;
                    assert_eq!(answer(&compiled, native, &data), expected, "{arch:?} {nr}");
                }
            }
        }
    }
}

#[test]
fn the_kernel_can_see_that_unconditional_calls_are_allowed() {
    for native in NATIVES {
        let spec = docker(&host(native, &[]));
        let compiled = compiled(&input(Some(&spec), native));
        let mut cached = 0;
        for entry in spec.syscalls.iter().filter(|entry| entry.conditions.is_empty()) {
            for call in entry.syscalls.iter().filter(|_| entry.action == Action::Allow) {
                let multiplexed = ["socketcall", "ipc"].contains(&call.name());
                if let Some(nr) = call.number(native).filter(|_| !multiplexed) {
                    assert!(is_constant_allow(&compiled.program, native.token(), nr), "{call}");
                    cached += 1;
                }
            }
        }
        assert!(cached > 250, "{cached}");
    }
}

#[test]
fn podmans_spelling_of_errnos_is_understood() {
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
        "syscalls": [
            {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errno": "EPERM",
             "excludes": {"caps": ["CAP_SYS_ADMIN"]}, "includes": {}},
            {"name": "mount", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
        ]
    });
    for (caps, expected) in [(&[][..], Action::Errno(1)), (&["CAP_SYS_ADMIN"], Action::Allow)] {
        let spec = parse_profile(&profile, &host(Arch::X86_64, caps)).unwrap();
        let compiled = compiled(&input(Some(&spec), Arch::X86_64));
        assert_eq!(answer(&compiled, Arch::X86_64, &call("mount", &[])), expected);
        assert_eq!(answer(&compiled, Arch::X86_64, &call("ptrace", &[])), Action::Errno(38));
    }
}

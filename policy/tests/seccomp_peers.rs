// SPDX-License-Identifier: Apache-2.0
//! brig's program for Docker's profile beside the one that runc installs for it.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

use brig_policy::seccomp::{
    Arch, Input, Instruction, Program, Rules, SeccompData, Syscall, compile, for_each_probe, parse,
    run,
};
use std::collections::BTreeMap;

const SPEC: &str = include_str!("../benches/peers/docker.json");
const RUNC: &str = include_str!("../benches/peers/runc-1.1.5.json");

/// Every difference, counted by what both say.
fn differences() -> BTreeMap<String, Vec<SeccompData>> {
    let spec = parse(&serde_json::from_str(SPEC).unwrap()).unwrap();
    let native = Arch::X86_64;
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native };
    let ours = compile(&input).unwrap().program;
    let programs: Vec<Vec<Instruction>> = serde_json::from_str(RUNC).unwrap();
    let runc = Program::new(programs[0].clone()).unwrap();
    let mut found: BTreeMap<String, Vec<SeccompData>> = BTreeMap::new();
    let walked: Result<(), ()> = for_each_probe(&Rules::new(input).unwrap(), |data| {
        // Above 32 bits runc compares what the kernel does not look at.
        if data.args.iter().all(|argument| *argument <= u64::from(u32::MAX)) {
            let a = run(&ours, data, native).unwrap().action;
            let b = run(&runc, data, native).unwrap().action;
            if a != b {
                found.entry(format!("brig: {a}, runc: {b}")).or_default().push(*data);
            }
        }
        Ok(())
    });
    walked.unwrap();
    found
}

/// The differences that the module's README lists.
fn is_documented(difference: &str, data: &SeccompData) -> bool {
    let socketcall = data.arch == Arch::X86.token() && data.nr == 102;
    let x32 = data.arch == Arch::X86_64.token() && data.nr >= 0x4000_0000;
    match difference {
        // socketcall(SYS_SOCKET, …) would be a way round the families.
        "brig: errno EPERM, runc: allow" => socketcall && data.args[0] == 1,
        // An architecture that is not listed gets the default's denial.
        "brig: errno EPERM, runc: kill thread" => {
            [Arch::X86_64, Arch::X86].iter().all(|arch| arch.token() != data.arch)
        }
        // Names that libseccomp 2.5.4 does not know count for what is newest (mseal, getxattrat, …),
        // and ranges of legacy numbers are not newer.
        "brig: errno EPERM, runc: errno ENOSYS" => data.nr & 0x3FFF_FFFF <= 466 || x32,
        "brig: errno ENOSYS, runc: errno EPERM" => x32,
        "brig: allow, runc: errno ENOSYS" | "brig: allow, runc: errno EPERM" => {
            let calls = [Arch::X86_64, Arch::X86, Arch::X32].into_iter();
            let mut names = calls.flat_map(|arch| Syscall::by_number(arch, data.nr));
            names.any(|call| UNKNOWN_TO_LIBSECCOMP.contains(&call.name()))
        }
        _ => false,
    }
}

/// What the profile allows and libseccomp 2.5.4 cannot resolve: it skips them.
const UNKNOWN_TO_LIBSECCOMP: [&str; 14] = [
    "cachestat",
    "fchmodat2",
    "futex_requeue",
    "futex_wait",
    "futex_wake",
    "getxattrat",
    "listmount",
    "listxattrat",
    "map_shadow_stack",
    "mseal",
    "removexattrat",
    "setxattrat",
    "statmount",
    "uretprobe",
];

#[test]
fn what_differs_from_runc_is_documented() {
    for (difference, calls) in differences() {
        let unknown: Vec<_> =
            calls.iter().filter(|data| !is_documented(&difference, data)).collect();
        println!("{difference}: {} calls", calls.len());
        assert!(unknown.is_empty(), "{difference}: {:x?}", &unknown[..unknown.len().min(5)]);
    }
}

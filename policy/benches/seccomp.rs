// SPDX-License-Identifier: Apache-2.0
//! What compiling costs, and what programs cost beside those of other generators.
//!
//! The table that it prints first counts instructions: all of the program, and those executed for
//! the twenty most used calls. `peers/` holds the others' programs for the same specification
//! (Docker's profile with Docker's capabilities, x86-64 with i386 and x32); `peers/export.py` made
//! them with libseccomp 2.5.4 and took runc's from a process that it had started.
#![allow(missing_docs, clippy::unwrap_used)] // a benchmark

use brig_policy::seccomp::{
    Action, Arch, HOT, Host, Input, Instruction, Program, Seccomp, SeccompData, Syscall, compile,
    default_profile, is_constant_allow, parse, run,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const DOCKER: &str = include_str!("peers/docker.json");
const PEERS: [(&str, &str); 3] = [
    ("libseccomp 2.5.4, unoptimised", include_str!("peers/libseccomp-1.json")),
    ("libseccomp 2.5.4, binary tree", include_str!("peers/libseccomp-2.json")),
    ("installed by runc 1.1.5", include_str!("peers/runc-1.1.5.json")),
];

fn docker() -> Seccomp {
    parse(&serde_json::from_str(DOCKER).unwrap()).unwrap()
}

fn default_spec() -> Seccomp {
    let capabilities = ["CAP_CHOWN", "CAP_NET_RAW", "CAP_SYS_CHROOT"].map(str::to_owned).into();
    default_profile(&Host { native: Arch::X86_64, kernel: (6, 18), capabilities }).unwrap()
}

fn input(spec: &Seccomp) -> Input<'_> {
    Input { spec: Some(spec), restrictions: &[], mediated: &[], native: Arch::X86_64 }
}

/// Name, instructions, worst and median path, calls that the kernel caches.
fn row(name: &str, program: &Program) {
    let calls = HOT.iter().filter_map(|name| Syscall::from_name(name)?.number(Arch::X86_64));
    let data = |nr| SeccompData { nr, arch: Arch::X86_64.token(), ..Default::default() };
    let mut executed: Vec<usize> = calls
        .map(|nr| {
            let outcome = run(program, &data(nr), Arch::X86_64).unwrap();
            assert_eq!(outcome.action, Action::Allow, "{name} {nr}");
            outcome.executed
        })
        .collect();
    executed.sort_unstable();
    let cached =
        (0..480).filter(|nr| is_constant_allow(program, Arch::X86_64.token(), *nr)).count();
    let (worst, median) = (executed[executed.len() - 1], executed[executed.len() / 2]);
    println!("{name:38} {:6} {worst:6} {median:7} {cached:7}", program.len());
}

fn table() {
    println!("{:38} {:>6} {:>6} {:>7} {:>7}", "", "length", "worst", "median", "cached");
    let ours = |spec: &Seccomp| compile(&input(spec)).unwrap().program;
    row("brig, Docker's profile", &ours(&docker()));
    for (name, text) in PEERS {
        let programs: Vec<Vec<Instruction>> = serde_json::from_str(text).unwrap();
        row(name, &Program::new(programs[0].clone()).unwrap());
    }
    row("brig, its own default profile", &ours(&default_spec()));
}

fn benchmark(criterion: &mut Criterion) {
    table();
    let (default, docker) = (default_spec(), docker());
    criterion.bench_function("compile and verify the default profile", |bencher| {
        bencher.iter(|| compile(black_box(&input(&default))).unwrap());
    });
    criterion.bench_function("compile and verify Docker's profile", |bencher| {
        bencher.iter(|| compile(black_box(&input(&docker))).unwrap());
    });
    criterion.bench_function("parse Docker's profile", |bencher| {
        let value = serde_json::from_str(DOCKER).unwrap();
        bencher.iter(|| parse(black_box(&value)).unwrap());
    });
    let program = compile(&input(&default)).unwrap().program;
    let read = SeccompData { nr: 0, arch: Arch::X86_64.token(), ..Default::default() };
    criterion.bench_function("interpret one call", |bencher| {
        bencher.iter(|| run(&program, black_box(&read), Arch::X86_64).unwrap());
    });
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

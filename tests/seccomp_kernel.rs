// SPDX-License-Identifier: Apache-2.0
//! The kernel and the interpreter agree: generated filters are installed in children, which make
//! harmless calls; what they return, or the signal that ends them, is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

#[path = "seccomp_kernel/sys.rs"]
mod sys;

use brig_policy::seccomp::{
    Action, Answer, Arch, Compiled, Condition, Host, Input, Match, Mediated, Operator, Restriction,
    Rules, SeccompData, Selects, Syscall, capabilities, compile, default_profile, for_each_probe,
    parse, run, verdict,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use sys::{Call, Gate, in_child};

/// Calls that do no harm whatever their arguments are: they only read, or only about descriptors
/// and processes of the child.
const HARMLESS: [&str; 12] = [
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "getegid",
    "getpgid",
    "getsid",
    "getpriority",
    "sched_getscheduler",
    "kcmp",
    "fsync",
    "sched_yield",
];
const FILTERS: u64 = 600;
const CALLS_A_FILTER: usize = 96;

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    fn value(&mut self) -> u64 {
        let edges = [0, 1, 2, 3, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63, u64::MAX];
        if self.below(3) == 0 { self.below(1 << 31) << self.below(33) } else { self.of(&edges) }
    }

    fn names(&mut self) -> Vec<&'static str> {
        (0..=self.below(2)).map(|_| self.of(&HARMLESS)).collect()
    }
}

fn spec(random: &mut Random) -> Value {
    const ACTIONS: [&str; 7] = [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
    ];
    const OPERATORS: [&str; 7] = [
        "SCMP_CMP_EQ",
        "SCMP_CMP_NE",
        "SCMP_CMP_LT",
        "SCMP_CMP_LE",
        "SCMP_CMP_GT",
        "SCMP_CMP_GE",
        "SCMP_CMP_MASKED_EQ",
    ];
    let syscalls: Vec<Value> = (0..1 + random.below(6))
        .map(|_| {
            let args: Vec<Value> = (0..random.below(3))
                .map(|_| {
                    json!({"index": random.below(5), "op": random.of(&OPERATORS),
                           "value": random.value(), "valueTwo": random.value()})
                })
                .collect();
            json!({"names": random.names(), "action": random.of(&ACTIONS[..6]), "args": args,
                   "errnoRet": random.of(&[0, 1, 13, 97, 4095])})
        })
        .collect();
    let arches =
        [&["SCMP_ARCH_X86_64"][..], &["SCMP_ARCH_X86", "SCMP_ARCH_X32"], &["SCMP_ARCH_X86"]];
    json!({"defaultAction": random.of(&ACTIONS[..]), "defaultErrnoRet": random.of(&[1, 38, 500]),
           "architectures": random.of(&arches), "syscalls": syscalls})
}

fn conditions(random: &mut Random) -> Vec<Condition> {
    (0..random.below(3))
        .map(|_| {
            let value = random.value();
            let operator = match random.below(3) {
                0 => Operator::Equal(value),
                1 => Operator::Less(value),
                _ => Operator::MaskedEqual { mask: value, value: random.value() },
            };
            Condition { index: u8::try_from(random.below(5)).unwrap(), operator }
        })
        .collect()
}

fn syscall(random: &mut Random) -> Syscall {
    Syscall::from_name(random.of(&HARMLESS)).unwrap()
}

fn restrictions(random: &mut Random) -> Vec<Restriction> {
    (0..random.below(3))
        .map(|_| {
            let matches = (0..random.below(4))
                .map(|_| Match { syscall: syscall(random), conditions: conditions(random) })
                .collect();
            let selects = match random.below(5) {
                0 => Selects::AllBut(matches),
                _ => Selects::These(matches),
            };
            let answer = random.of(&[Answer::Errno(77), Answer::Log, Answer::Errno(5)]);
            Restriction { selects, answer, label: String::new() }
        })
        .collect()
}

/// The calls of the probes that are harmless, and numbers that are no calls.
fn calls(rules: &Rules<'_>) -> Vec<(SeccompData, Call)> {
    let native = rules.native();
    let harmless: BTreeSet<(Arch, u32)> = HARMLESS
        .iter()
        .filter_map(|name| Syscall::from_name(name))
        .flat_map(|call| {
            native.reachable().iter().filter_map(move |a| Some((*a, call.number(*a)?)))
        })
        .collect();
    let mut by_number: BTreeMap<(u32, u32), Vec<(SeccompData, Call)>> = BTreeMap::new();
    let ended: Result<(), ()> = for_each_probe(rules, |data| {
        let gate = gate(native, data.arch);
        let arch = Arch::of_call(native, data.arch, data.nr);
        // Above the tables there are no calls, whatever the kernel; below them there may be.
        let nothing = (1000..0x4000_0000).contains(&data.nr) || data.nr > 0x4000_1000;
        if let Some((gate, arch)) =
            gate.zip(arch).filter(|(_, a)| nothing || harmless.contains(&(*a, data.nr)))
        {
            let mut data = *data;
            if arch.register_bytes() == 4 {
                data.args = data.args.map(|argument| argument & 0xFFFF_FFFF);
                // int 0x80 takes five of them here.
                data.args[5] = 0;
            }
            let call = Call { gate, nr: data.nr, args: data.args };
            by_number.entry((data.arch, data.nr)).or_default().push((data, call));
        }
        Ok(())
    });
    ended.unwrap();
    // A few of each number, spread over its vectors.
    let share = CALLS_A_FILTER.div_ceil(by_number.len()).max(4);
    by_number
        .into_values()
        .flat_map(|all| {
            let step = all.len().div_ceil(share);
            all.into_iter().step_by(step)
        })
        .collect()
}

#[cfg(target_arch = "x86_64")]
fn gate(_: Arch, token: u32) -> Option<Gate> {
    match token {
        token if token == Arch::X86_64.token() => Some(Gate::Native),
        token if token == Arch::X86.token() => Some(Gate::Int80).filter(|_| has_int80()),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn gate(native: Arch, token: u32) -> Option<Gate> {
    (token == native.token()).then_some(Gate::Native)
}

#[cfg(target_arch = "x86_64")]
fn has_int80() -> bool {
    use std::sync::OnceLock;
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let getpid = Call { gate: Gate::Int80, nr: 20, args: [0; 6] };
        let report = in_child(None, &[getpid]);
        let has = report.results.first().is_some_and(|pid| *pid > 0);
        if !has {
            eprintln!("skipped: i386 calls, because this kernel does not run them");
        }
        has
    })
}

fn native() -> Arch {
    Arch::of_build().expect("an architecture of the OCI specification")
}

/// What the interpreter says that the kernel does.
fn expected(action: Action, unfiltered: i64) -> Option<i64> {
    match action {
        Action::Allow | Action::Log => Some(unfiltered),
        Action::Errno(errno) => Some(-i64::from(errno)),
        // Without a tracer and without a listener.
        Action::Trace(_) | Action::Notify => Some(-38),
        Action::Trap | Action::KillThread | Action::KillProcess => None,
    }
}

/// Values that differ between two children.
fn comparable(result: i64) -> i64 {
    result.min(1)
}

#[test]
fn the_kernel_answers_generated_filters_as_the_interpreter_does() {
    let mut random = Random(0x5EED);
    let (mut filters, mut made, mut killed) = (0, 0, 0);
    while filters < FILTERS {
        let (spec, restrictions) = (spec(&mut random), restrictions(&mut random));
        let mediated: Vec<Mediated> = (0..random.below(3))
            .map(|_| Mediated {
                syscall: syscall(&mut random),
                conditions: conditions(&mut random),
                label: String::new(),
            })
            .collect();
        let Ok(spec) = parse(&spec) else { continue };
        let input = Input {
            spec: Some(&spec),
            restrictions: &restrictions,
            mediated: &mediated,
            native: native(),
        };
        let Ok(compiled) = compile(&input) else { continue };
        let rules = Rules::new(input).unwrap();
        let (calls, deaths) = compare(&compiled, &rules);
        filters += 1;
        made += calls;
        killed += deaths;
    }
    println!("{filters} filters, {made} calls, {killed} deaths");
    assert!(made > 20 * filters && killed > filters / 4, "{made} calls, {killed} deaths");
}

/// Makes the calls; those that end the child come last, one child for each.
fn compare(compiled: &Compiled, rules: &Rules<'_>) -> (u64, u64) {
    let instructions = compiled.program.instructions();
    let answered: Vec<(Action, Call)> = calls(rules)
        .into_iter()
        .map(|(data, call)| {
            let outcome = run(&compiled.program, &data, rules.native()).unwrap();
            assert_eq!(outcome.action, verdict(rules, &data).action);
            (outcome.action, call)
        })
        .collect();
    let (lives, deaths): (Vec<_>, Vec<_>) =
        answered.into_iter().partition(|(action, _)| expected(*action, 0).is_some());
    let list: Vec<Call> = lives.iter().map(|(_, call)| *call).collect();
    let (unfiltered, filtered) = (in_child(None, &list), in_child(Some(instructions), &list));
    assert_eq!(filtered.results.len(), list.len(), "{filtered:?}");
    for (index, (action, call)) in lives.iter().enumerate() {
        let expected = expected(*action, unfiltered.results[index]).unwrap();
        let got = filtered.results[index];
        assert_eq!(comparable(got), comparable(expected), "{call:x?} {action}");
    }
    for (action, call) in deaths.iter().take(3) {
        let report = in_child(Some(instructions), &[*call]);
        assert_eq!(
            (report.results.len(), report.signal),
            (0, Some(libc::SIGSYS)),
            "{call:x?} {action}"
        );
    }
    (list.len() as u64, deaths.len().min(3) as u64)
}

/// Programs that nearly every host has, doing what programs do.
const WORKLOADS: [&[&str]; 7] = [
    &["sh", "-c", "echo one | cat | sort; (exit 3); test $? = 3 && ls -ld / && id -u"],
    &["sh", "-c", "d=$(mktemp -d) && touch $d/a && mv $d/a $d/b && ln -s b $d/c && rm -r $d && echo ok"],
    &["awk", "BEGIN { for (i = 0; i < 1000; i++) s += i; print s }"],
    &["python3", "-c", "import threading, socket, subprocess, mmap, select
t = threading.Thread(target=lambda: None); t.start(); t.join()
a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); c = socket.create_connection(s.getsockname()); c.close()
print(subprocess.run(['true']).returncode, len(mmap.mmap(-1, 4096)), select.poll().poll(1))"],
    &["perl", "-e", "my $p = fork // die; exit 7 if !$p; waitpid $p, 0; print $? >> 8, qq(\\n)"],
    &["git", "--version"],
    &["tar", "--version"],
];

#[test]
fn ordinary_programs_run_under_the_default_profile_as_without() {
    let host = Host { native: native(), kernel: (6, 1), capabilities: capabilities(&[]) };
    let spec = default_profile(&host).unwrap();
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native: host.native };
    let program = compile(&input).unwrap().program;
    let mut ran = 0;
    for workload in WORKLOADS {
        let Ok(plain) = Command::new(workload[0]).args(&workload[1..]).output() else {
            eprintln!("skipped: {}, because it is not here", workload[0]);
            continue;
        };
        let filtered = sys::command(workload[0], program.instructions())
            .args(&workload[1..])
            .output()
            .unwrap();
        assert_eq!(filtered, plain, "{workload:?}");
        assert!(plain.status.success(), "{plain:?}");
        ran += 1;
    }
    assert!(ran >= 3, "only {ran} workloads are here");
}

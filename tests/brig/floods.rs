// SPDX-License-Identifier: Apache-2.0
//! A supervisor that is asked for more than is polite: what it holds stays bounded, and whoever asks
//! for little is answered.
//!
//! A hundred thousand callers are killed in the middle of a call, or as many as `BRIG_RACE_ROUNDS` says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::{LIMIT, Outcome, Runner, Running, Test, process, until, victims};
use crate::supervisor::supervisor;
use crate::test;

/// Opening in /work, and all that has to do with addresses, is the supervisor's to answer.
const MEDIATED: &str = r#"
name = "floods"
[files]
deny = ["/work/**/*.key"]
[network]
connect = ["unix /srv/*.sock", "udp 127.0.0.1:8001"]
bind = ["unix /srv/*.sock"]
"#;

/// Anonymous memory under a flood, in KiB.
const MOST_MEMORY: u64 = 32 << 10;
/// The same of a supervisor that rests.
const MOST_AT_REST: u64 = 4 << 10;
/// The workers, the minder, the log's writer, the one that talks to brig.
const MOST_THREADS: u64 = 544 + 3;
/// How long an open may take in microseconds, on a machine that others flood too, while hundreds of calls that will
/// wait come before it, and when they wait.
const MOST_DELAY: [u64; 2] = [20_000_000, 5_000_000];

/// A container that sleeps, and its supervisor.
pub struct Flooded {
    /// The container.
    pub id: String,
    /// Its supervisor's pid.
    pub supervisor: i32,
}

/// Puts what is opened, and the profile that mediates it, in its place.
pub fn prepare(t: &mut Test) -> std::path::PathBuf {
    for directory in ["/work", "/srv"] {
        fs::create_dir_all(t.bundle.file(directory)).unwrap();
    }
    fs::write(t.bundle.file("/work/a.txt"), "text\n").unwrap();
    fs::write(t.bundle.file("/work/a.key"), "secret\n").unwrap();
    fs::copy(victims::flood(), t.bundle.file("/flood")).unwrap();
    fs::set_permissions(t.bundle.file("/flood"), fs::Permissions::from_mode(0o755)).unwrap();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    t.profile("floods.toml", MEDIATED)
}

/// Creates and starts a container.
pub fn started(t: &Test, create: Runner, name: &str) -> Flooded {
    let id = t.id(name);
    create.last_arg(&id).run().ok();
    t.call(["start", &id]).ok();
    let supervisor = supervisor(&t.root(), &id).expect("there is a supervisor");
    Flooded { id, supervisor }
}

fn start(t: &mut Test) -> Flooded {
    let profile = prepare(t);
    let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
    started(t, create.arg(&t.bundle.dir), "c")
}

fn start_another(t: &mut Test) -> Flooded {
    let mut other = t.another_bundle("other");
    for directory in ["work", "srv"] {
        fs::create_dir_all(other.file(directory)).unwrap();
    }
    fs::write(other.file("/work/a.txt"), "text\n").unwrap();
    fs::copy(t.bundle.file("/flood"), other.file("/flood")).unwrap();
    other.args(["/bin/sleep", "1000"]);
    other.write();
    let profile = t.operator().join("profiles/floods.toml");
    let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
    started(t, create.arg(&other.dir), "o")
}

impl Flooded {
    fn flood(&self, t: &Test, arguments: &[&str]) -> Runner {
        t.brig().args(["exec", &self.id, "/flood"]).args(arguments).limit(4 * LIMIT)
    }

    fn numbers(&self, t: &Test, arguments: &[&str]) -> Vec<u64> {
        numbers(&self.flood(t, arguments).run().ok())
    }

    /// Threads that wait, until they are told to end.
    fn block(&self, t: &Test, kind: &str, count: &str) -> (Running, Vec<u64>) {
        fs::remove_file(t.bundle.file("/work/go")).unwrap_or_default();
        let running = self.flood(t, &["blocked", kind, count]).spawn();
        let line = until("threads that wait", || {
            let text = fs::read_to_string(&running.stdout).unwrap();
            text.split_once('\n').map(|(line, _)| line.to_owned())
        });
        let numbers = line.split(' ').map(|one| one.parse().expect(&line)).collect();
        (running, numbers)
    }

    fn unblock(&self, t: &Test, running: Running) {
        fs::write(t.bundle.file("/work/go"), "").unwrap();
        let out = running.wait().ok();
        assert!(out.stdout.ends_with("done\n"), "{out:?}");
    }

    /// A number of /proc/PID/status.
    pub fn number(&self, name: &str) -> u64 {
        let text = process::status(self.supervisor, name).expect("the supervisor lives");
        text.trim_end_matches(" kB").parse().unwrap()
    }

    fn descriptors(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.supervisor)).unwrap().count() as u64
    }

    /// What it holds where nobody asks for anything.
    pub fn settled(&self) -> Held {
        let held = || Held {
            threads: self.number("Threads"),
            descriptors: self.descriptors(),
            memory: self.number("RssAnon"),
        };
        let mut before = held();
        until("a supervisor that rests", || {
            std::thread::sleep(Duration::from_secs(1));
            let after = held();
            (std::mem::replace(&mut before, after) == after).then_some(after)
        })
    }

    /// Looking after those that wait takes little of a processor.
    #[track_caller]
    pub fn check_time(&self) {
        let path = format!("/proc/{}/stat", self.supervisor);
        let ticks = || -> u64 {
            let text = fs::read_to_string(&path).unwrap();
            let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        };
        let before = ticks();
        std::thread::sleep(Duration::from_secs(2));
        let share = (ticks() - before) / 2;
        assert!(share < 45, "{share} % of a processor");
    }

    /// How many descriptors the supervisor may have; how many it might before.
    fn limit_descriptors(&self, current: u64) -> u64 {
        let (resource, pid) = (Resource::Nofile, Pid::from_raw(self.supervisor));
        let maximum = getrlimit(resource).maximum;
        let new = Rlimit { current: Some(current), maximum };
        prlimit(pid, resource, new).unwrap().current.unwrap()
    }

    #[track_caller]
    fn check_bounds(&self) {
        let memory = self.number("RssAnon");
        assert!(memory < MOST_MEMORY, "{memory} KiB");
        assert!(self.number("Threads") <= MOST_THREADS, "{} threads", self.number("Threads"));
    }
}

/// What a supervisor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many there are.
    pub threads: u64,
    /// How many are open.
    pub descriptors: u64,
    /// Anonymous memory, in KiB.
    memory: u64,
}

/// What a program has printed.
pub fn numbers(out: &Outcome) -> Vec<u64> {
    out.text().split(' ').map(|one| one.parse().unwrap_or_else(|_| panic!("{out:?}"))).collect()
}

#[track_caller]
fn check_delay(answer: &[u64]) {
    assert!(answer[0] < MOST_DELAY[0] && answer[1] < MOST_DELAY[1], "{answer:?}");
}

#[test]
fn five_hundred_threads_that_call_at_once_are_all_answered() {
    let mut t = test!();
    let flooded = start(&mut t);
    let flood = flooded.flood(&t, &["storm", "500", "20"]).spawn();
    let mut most = 0;
    while process::is_alive(flood.pid()) {
        most = most.max(flooded.number("RssAnon"));
        process::pause();
    }
    assert_eq!(numbers(&flood.wait().ok()), [10_000, 10_000]);
    assert!(most < MOST_MEMORY, "{most} KiB");
    flooded.check_bounds();
}

#[test]
fn a_flood_in_one_container_does_not_hold_up_another() {
    let mut t = test!();
    let flooded = start(&mut t);
    let other = start_another(&mut t);
    let alone = other.numbers(&t, &["latency", "500"]);
    let flood = flooded.flood(&t, &["storm", "500", "1000000"]).spawn();
    until("the flood", || (flooded.number("Threads") > 4).then_some(()));
    let beside = other.numbers(&t, &["latency", "200"]);
    // 500 threads want the same two processors, whoever supervises them
    assert!(beside[0] < 10 * alone[0] + 20_000, "alone {alone:?}, beside {beside:?}");
    assert!(process::is_alive(flood.pid()));
    t.delete(&flooded.id);
}

#[test]
fn hundreds_of_calls_that_wait_hold_up_no_other_and_hold_little() {
    let mut t = test!();
    let flooded = start(&mut t);
    let before = flooded.settled();
    for (kind, count) in [
        ("fifo", "300"),
        ("connect", "100"),
        ("stream", "100"),
        ("datagram", "100"),
        ("array", "100"),
    ] {
        let (running, answer) = flooded.block(&t, kind, count);
        check_delay(&answer);
        // a message for which there is no room may be refused, nothing else
        assert!(answer[2] == 0 || kind == "datagram", "{kind}: {answer:?}");
        flooded.check_bounds();
        flooded.check_time();
        flooded.unblock(&t, running);
        let after = flooded.settled();
        assert!(after.threads <= before.threads + 2, "{kind}: {before:?} {after:?}");
        assert!(after.descriptors <= before.descriptors + 80, "{kind}: {before:?} {after:?}");
    }
}

#[test]
fn callers_that_are_killed_leave_nothing_behind() {
    const ROUNDS: &str = "100000";
    let mut t = test!();
    let flooded = start(&mut t);
    flooded.numbers(&t, &["killed", "1000", "60"]);
    let before = flooded.settled();
    let rounds = std::env::var("BRIG_RACE_ROUNDS").unwrap_or(ROUNDS.to_owned());
    let limit = LIMIT * 10 * rounds.parse::<u32>().unwrap().div_ceil(100_000);
    let seconds = limit.as_secs().to_string();
    let done = flooded.flood(&t, &["killed", &rounds, &seconds]).limit(2 * limit).run().ok();
    assert_eq!(numbers(&done), [rounds.parse::<u64>().unwrap()], "of all in {seconds} s");
    let after = flooded.settled();
    assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
    // what each of its few threads remembers of the last callers
    assert!(after.descriptors <= before.descriptors + 80, "{before:?} {after:?}");
    assert!(after.memory <= before.memory + 1024, "{before:?} {after:?}");
}

/// More processes than the kernel may allow by default.
struct ManyProcesses(String);

impl ManyProcesses {
    const PATH: &str = "/proc/sys/kernel/pid_max";

    fn allow(count: u32) -> Self {
        let before = fs::read_to_string(Self::PATH).unwrap();
        if before.trim().parse::<u32>().unwrap() < count {
            fs::write(Self::PATH, count.to_string()).unwrap();
        }
        Self(before)
    }
}

impl Drop for ManyProcesses {
    fn drop(&mut self) {
        fs::write(Self::PATH, &self.0).unwrap();
    }
}

/// How many calls wait at once.
const QUEUED: u64 = 1 << 16;

impl Flooded {
    /// So many threads call that most wait for a worker.
    fn queue(&self, t: &Test) -> Running {
        let running = self.flood(t, &["queued", &QUEUED.to_string()]).limit(10 * LIMIT).spawn();
        let line = until("calls that wait", || {
            let text = fs::read_to_string(&running.stdout).unwrap();
            text.split_once('\n').map(|(line, _)| line.to_owned())
        });
        assert_eq!(line, "calling");
        running
    }
}

#[test]
fn a_queue_of_many_thousands_is_answered_and_holds_up_no_other_container() {
    let mut t = test!();
    let _many = ManyProcesses::allow(200_000);
    let flooded = start(&mut t);
    let other = start_another(&mut t);
    let alone = other.numbers(&t, &["latency", "500"]);
    let running = flooded.queue(&t);
    let beside = other.numbers(&t, &["latency", "500"]);
    assert!(beside[0] < 10 * alone[0] + 5_000, "alone {alone:?}, beside {beside:?}");
    flooded.check_bounds();
    flooded.check_time();
    // a writer is there: all go on
    let fifo =
        fs::File::options().read(true).write(true).open(t.bundle.file("/work/fifo0")).unwrap();
    let out = running.wait().ok();
    drop(fifo);
    assert_eq!(out.stdout, format!("calling\n{QUEUED}\n"));
    flooded.check_bounds();
    assert_eq!(flooded.numbers(&t, &["alike", "20"]), [20]);
}

#[test]
fn a_container_with_many_thousands_of_calls_that_wait_can_be_deleted() {
    let mut t = test!();
    let _many = ManyProcesses::allow(200_000);
    let flooded = start(&mut t);
    let running = flooded.queue(&t);
    t.delete(&flooded.id);
    running.wait();
    assert!(process::wait_for_end(flooded.supervisor, LIMIT));
}

#[test]
fn a_supervisor_without_descriptors_denies_what_is_denied_and_recovers() {
    let mut t = test!();
    let flooded = start(&mut t);
    let before = flooded.settled();
    let usual = flooded.limit_descriptors(before.descriptors + 40);
    fs::remove_file(t.bundle.file("/work/go")).unwrap_or_default();
    let running = flooded.flood(&t, &["starved", "60"]).spawn();
    let line = until("what came of it", || {
        let text = fs::read_to_string(&running.stdout).unwrap();
        text.split_once('\n').map(|(line, _)| line.to_owned())
    });
    let told: Vec<u64> = line.split(' ').map(|one| one.parse().expect(&line)).collect();
    assert_eq!(told[..2], [0, 0], "given, strange: {told:?}");
    assert!(told[3] > 0, "it has had enough descriptors: {told:?}");
    flooded.check_time();
    // an operator comes in all the same, or is told at once
    let added = t.brig().args(["exec", &flooded.id, "/bin/true"]).run();
    println!("exec meanwhile: {added:?}");
    flooded.limit_descriptors(usual);
    flooded.unblock(&t, running);
    let after = flooded.settled();
    assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
    assert_eq!(flooded.numbers(&t, &["alike", "20"]), [20]);
}

#[test]
fn who_cannot_be_let_in_takes_no_time_and_comes_in_later() {
    // as many as it polls, which is the least that poll(2) takes; it has them as its standard streams
    const FEW: u64 = 3;
    let mut t = test!();
    let flooded = start(&mut t);
    let usual = flooded.limit_descriptors(FEW);
    let added = t.brig().args(["exec", &flooded.id, "/bin/cat", "/work/a.txt"]).spawn();
    // by then brig has asked to be let in
    until("who is added", || (!process::children_of(added.pid()).is_empty()).then_some(()));
    flooded.check_time();
    assert!(process::is_alive(added.pid()), "it has come in");
    flooded.limit_descriptors(usual);
    added.wait().prints("text");
}

#[test]
fn a_signal_to_a_process_interrupts_its_calls_in_no_strange_way() {
    let mut t = test!();
    let flooded = start(&mut t);
    let numbers = flooded.numbers(&t, &["signals", "10"]);
    let [interrupted, strange] = numbers[..] else { panic!("{numbers:?}") };
    assert!(interrupted >= 10, "only {interrupted} calls were interrupted");
    assert_eq!(strange, 0);
}

#[test]
fn a_caller_without_descriptors_gets_what_the_kernel_would_say() {
    let mut t = test!();
    let flooded = start(&mut t);
    assert_eq!(flooded.numbers(&t, &["full"]), [3, 1, 1, 1]);
}

#[test]
fn a_supervisor_that_rests_takes_little_memory_and_no_time() {
    let mut t = test!();
    let flooded = start(&mut t);
    flooded.numbers(&t, &["alike", "20"]);
    flooded.settled();
    let memory = flooded.number("RssAnon");
    assert!(memory < MOST_AT_REST, "{memory} KiB");
    let switches = || -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", flooded.supervisor)).unwrap();
        let texts =
            tasks.map(|one| fs::read_to_string(one.unwrap().path().join("status")).unwrap());
        let count = |text: String| process::field(&text, "voluntary_ctxt_switches").unwrap();
        texts.map(|text| count(text).parse::<u64>().unwrap()).sum()
    };
    // the minder is still awake for a moment
    std::thread::sleep(Duration::from_secs(2));
    let before = switches();
    std::thread::sleep(Duration::from_secs(2));
    let woken = switches() - before;
    // eight times the watcher asks whether it is alive
    assert!(woken <= 20, "{woken} wake-ups in two seconds");
}

// SPDX-License-Identifier: Apache-2.0
//! Memory of a caller's that somebody else delivers, and does not: the call fails, whoever else calls
//! is answered meanwhile, and nothing stays behind.
//!
//! The somebody is a FUSE server on the host, which a container can neither end nor hurry, or one in the
//! container, which has to end with it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use serde_json::json;

use crate::floods::{Flooded, Held, numbers, prepare, started};
use crate::harness::{Feature, LIMIT, Running, Test, process, require, until, victims};
use crate::test;

/// How long a call may take that is about memory which does not come, in microseconds: what the
/// supervisor waits, and what a busy machine may add.
const MOST_STALLED: u64 = 4_000_000;
/// What it waits at least: less would mean that the memory was there.
const LEAST_STALLED: u64 = 900_000;
/// How long any other call may take.
const MOST_BESIDE: u64 = 1_000_000;
/// How long a caller may take to end.
const MOST_KILLED: u64 = 1_000_000;

/// A server that answers when it is told to, and a container that has its files at /fuse.
struct Stalled {
    // dropped first: nothing else ends before
    server: Server,
    container: Flooded,
}

/// The server of fuse.c.
pub struct Server {
    /// Prints what is written to its files, when it answers that.
    pub running: Running,
    /// Where it is mounted.
    pub directory: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.signal(9);
        unmount(&self.directory, UnmountFlags::DETACH).unwrap_or_default();
    }
}

impl Server {
    /// Starts one that does not answer.
    pub fn start(t: &Test) -> Self {
        let directory = t.path("fuse");
        fs::create_dir(&directory).unwrap();
        let program = victims::fuse();
        let running = t.program(program.to_str().unwrap()).arg(&directory).limit(4 * LIMIT).spawn();
        let server = Self { running, directory };
        until("the server's files", || server.directory.join("held").exists().then_some(()));
        server
    }

    /// How many requests wait for an answer.
    pub fn held(&self) -> u64 {
        fs::metadata(self.directory.join("held")).unwrap().len()
    }

    /// It answers from now on.
    pub fn answer(&self) {
        self.running.signal(10);
    }
}

fn start(t: &mut Test) -> Stalled {
    let server = Server::start(t);
    let profile = prepare(t);
    fs::copy(victims::stalled(), t.bundle.file("/stalled")).unwrap();
    t.bundle.mount(json!({
        "destination": "/fuse", "source": server.directory, "type": "bind", "options": ["bind"],
    }));
    t.bundle.write();
    let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
    let container = started(t, create.arg(&t.bundle.dir), "c");
    Stalled { server, container }
}

impl Stalled {
    fn spawn(&self, t: &Test, arguments: &[&str]) -> Running {
        t.brig().args(["exec", &self.container.id, "/stalled"]).args(arguments).spawn()
    }

    /// Makes calls that stall. They end, and others do not wait for them, before the server answers.
    #[track_caller]
    fn check(&self, t: &Test, arguments: &[&str], calls: u64) -> Running {
        let running = self.spawn(t, arguments);
        let line = until("the end of calls that stall", || {
            let text = fs::read_to_string(&running.stdout).unwrap();
            text.split_once('\n').map(|(line, _)| line.to_owned())
        });
        let parse = |one: &str| one.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
        let [faults, shortest, longest, opens, longest_open] =
            line.split(' ').map(parse).collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        assert_eq!(faults, calls, "{line}");
        assert!(shortest > LEAST_STALLED && longest < MOST_STALLED, "{line}");
        assert!(opens > 20 && longest_open < MOST_BESIDE, "{line}");
        assert!(self.server.held() > 0, "nothing has stalled");
        running
    }

    /// What the supervisor holds comes back to what it was.
    #[track_caller]
    fn check_settled(&self, before: Held) {
        let after = self.container.settled();
        assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
        // what each of its few threads remembers of the last callers
        assert!(after.descriptors <= before.descriptors + 20, "{before:?} {after:?}");
    }
}

fn is_missing(test: &str) -> bool {
    !require(Feature::Fuse, module_path!(), test)
}

#[test]
fn a_path_that_is_not_delivered_is_a_fault_and_holds_up_nobody() {
    if is_missing("a_path_that_is_not_delivered_is_a_fault_and_holds_up_nobody") {
        return;
    }
    let mut t = test!();
    let stalled = start(&mut t);
    let before = stalled.container.settled();
    stalled.check(&t, &["opens", "0", "1"], 1).wait().ok();
    stalled.check(&t, &["opens", "100", "20"], 20).wait().ok();
    // each has somebody who waits for it
    let waiting = stalled.container.number("Threads");
    assert!(waiting >= 21, "{waiting} threads");
    stalled.container.check_time();
    stalled.server.answer();
    stalled.check_settled(before);
    // delivered by now
    let running = stalled.spawn(&t, &["opens", "100", "1"]);
    assert_eq!(numbers(&running.wait().ok())[0], 0);
}

#[test]
fn counts_that_cannot_be_written_are_a_fault_and_hold_up_nobody() {
    if is_missing("counts_that_cannot_be_written_are_a_fault_and_hold_up_nobody") {
        return;
    }
    let mut t = test!();
    let stalled = start(&mut t);
    let before = stalled.container.settled();
    let running = stalled.check(&t, &["writes"], 1);
    stalled.server.answer();
    running.wait().ok();
    stalled.check_settled(before);
}

#[test]
fn a_server_that_dies_frees_whoever_waits_for_it() {
    if is_missing("a_server_that_dies_frees_whoever_waits_for_it") {
        return;
    }
    let mut t = test!();
    let stalled = start(&mut t);
    let before = stalled.container.settled();
    stalled.check(&t, &["opens", "0", "20"], 20).wait().ok();
    stalled.server.running.signal(9);
    stalled.check_settled(before);
}

#[test]
fn a_caller_that_is_killed_does_not_wait_for_its_memory() {
    if is_missing("a_caller_that_is_killed_does_not_wait_for_its_memory") {
        return;
    }
    let mut t = test!();
    let stalled = start(&mut t);
    let before = stalled.container.settled();
    let took = numbers(&stalled.spawn(&t, &["killed", "0"]).wait().ok())[0];
    assert!(took < MOST_KILLED, "{took} microseconds");
    assert_eq!(stalled.server.held(), 1);
    stalled.server.answer();
    stalled.check_settled(before);
}

#[test]
fn a_container_whose_memory_is_waited_for_can_be_deleted() {
    if is_missing("a_container_whose_memory_is_waited_for_can_be_deleted") {
        return;
    }
    let mut t = test!();
    let stalled = start(&mut t);
    let running = stalled.spawn(&t, &["opens", "0", "20"]);
    until("calls that stall", || (stalled.server.held() >= 20).then_some(()));
    t.delete(&stalled.container.id);
    running.wait();
    assert!(stalled.server.held() >= 20);
    // what waits for the server ends with it, and not before
    stalled.server.running.signal(9);
    assert!(process::wait_for_end(stalled.container.supervisor, Duration::from_secs(10)));
}

/// A server in the container, and a call about its own device whose arguments it does not deliver.
struct Own {
    container: Flooded,
    running: Running,
}

impl Own {
    #[track_caller]
    fn start(t: &mut Test, connect: &str, call: &[&str]) -> Self {
        let text = format!("name = \"device\"\n[network]\nconnect = [{connect}]\n");
        let profile = t.profile("device.toml", &text);
        for (program, name) in [(victims::fuse(), "/server"), (victims::stalled(), "/stalled")] {
            fs::copy(program, t.bundle.file(name)).unwrap();
        }
        fs::create_dir(t.bundle.file("/fuse")).unwrap();
        t.bundle.capabilities(&["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
        t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        t.bundle.config["linux"]["devices"] = json!([
            { "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666 },
        ]);
        t.bundle.config["linux"]["resources"]["devices"] = json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm" },
        ]);
        t.bundle.args(["/bin/sleep", "1000"]);
        t.bundle.write();
        let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
        let container = started(t, create.arg(&t.bundle.dir), "c");
        let exec = t.brig().args(["exec", &container.id, "/stalled", "device"]);
        let own = Self { container, running: exec.args(call).spawn() };
        assert_eq!(own.await_line(0), libc::EFAULT.to_string());
        own
    }

    #[track_caller]
    fn await_line(&self, number: usize) -> String {
        until("what it says", || {
            let text = fs::read_to_string(&self.running.stdout).unwrap();
            text.split_inclusive('\n').nth(number)?.strip_suffix('\n').map(str::to_owned)
        })
    }
}

const STREAMS: &str = "\"tcp 127.0.0.1:1-7776\"";
const LETTERS: &str = "\"udp 127.0.0.1\", \"unix /srv/*\"";

/// It ends with the container.
#[track_caller]
fn check_device(test: &str, connect: &str, call: &str) {
    if is_missing(test) {
        return;
    }
    let mut t = test!();
    let Own { container, running } = Own::start(&mut t, connect, &[call, "stays"]);
    t.delete(&container.id);
    running.wait();
    assert!(process::wait_for_end(container.supervisor, Duration::from_secs(5)));
}

/// When it is killed, nobody waits for it any more: nor does the supervisor, which goes on.
#[track_caller]
fn check_killed(test: &str, connect: &str, call: &str) {
    if is_missing(test) {
        return;
    }
    let mut t = test!();
    let own = Own::start(&mut t, connect, &[call, "killed"]);
    assert_eq!(own.await_line(1), "over");
    own.running.wait().ok();
    assert!(process::is_alive(own.container.supervisor));
}

#[test]
fn a_server_in_the_container_whose_device_is_connected_ends_with_it() {
    let test = "a_server_in_the_container_whose_device_is_connected_ends_with_it";
    check_device(test, STREAMS, "connect");
}

#[test]
fn a_server_in_the_container_whose_device_is_sent_ends_with_it() {
    let test = "a_server_in_the_container_whose_device_is_sent_ends_with_it";
    check_device(test, LETTERS, "sendmsg");
}

#[test]
fn a_server_in_the_container_whose_device_is_connected_can_be_killed() {
    let test = "a_server_in_the_container_whose_device_is_connected_can_be_killed";
    check_killed(test, STREAMS, "connect");
}

#[test]
fn a_server_in_the_container_whose_device_is_sent_can_be_killed() {
    let test = "a_server_in_the_container_whose_device_is_sent_can_be_killed";
    check_killed(test, LETTERS, "sendmsg");
}

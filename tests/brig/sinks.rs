// SPDX-License-Identifier: Apache-2.0
//! A log of decisions that nobody takes: calls go on, what is lost is counted, and is told of when
//! somebody takes it again.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Feature, LIMIT, Outcome, Runner, Test, process, require, until};
use crate::log::{KEYS, sum};
use crate::stalled::Server;
use crate::supervisor::supervisor;
use crate::test;

/// More than wait for being written.
const DENIALS: u64 = 3000;
/// How long all of them may take, on a machine that is busy: a log that is waited for takes for ever.
const LONGEST: Duration = Duration::from_secs(30);

/// Creates and starts a container that sleeps.
fn start(t: &mut Test, brig: impl FnOnce(&Test) -> Runner) -> String {
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let (profile, id) = (t.profile("log.toml", KEYS), t.id("c"));
    let create = brig(t).arg("--profile").arg(profile).args(["create", "--bundle"]);
    create.arg(&t.bundle.dir).last_arg(&id).run().ok();
    t.call(["start", &id]).ok();
    id
}

/// Makes calls that are denied, all different, and one that is allowed at the end.
#[track_caller]
fn deny(t: &Test, id: &str) {
    let script = format!(
        "for i in $(seq {DENIALS}); do true > /work/$i.key; done 2>/dev/null; echo text > /work/a.txt"
    );
    let begun = Instant::now();
    exec(t, id, &script).ok();
    assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
}

fn exec(t: &Test, id: &str, script: &str) -> Outcome {
    t.brig().args(["exec", id, "/bin/sh", "-c", script]).limit(2 * LIMIT).run()
}

fn is_all(lines: &[Value]) -> bool {
    sum(lines, "count") + sum(lines, "lost") >= DENIALS
}

/// Everything that was denied is there, or counted as lost.
#[track_caller]
fn check_sums(lines: &[Value]) {
    let (told, lost) = (sum(lines, "count"), sum(lines, "lost"));
    assert_eq!(told + lost, DENIALS, "{told} and {lost}");
    assert!(lost > 0, "nothing was lost");
}

#[test]
fn a_file_system_that_hangs_holds_up_no_call() {
    if !require(Feature::Fuse, module_path!(), "a_file_system_that_hangs_holds_up_no_call") {
        return;
    }
    let mut t = test!();
    let server = Server::start(&t);
    // its only file that can be written to, and what is written is not answered
    let file = server.directory.join("array");
    t.configure(&format!("[log]\ndecisions = \"file\"\nfile = \"{}\"\n", file.display()));
    let id = start(&mut t, Test::brig);
    deny(&t, &id);
    assert_eq!(server.held(), 1, "one line is being written");
    server.answer();
    // it says what has been written
    let lines = until("all lines", || {
        let text = fs::read_to_string(&server.running.stdout).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines();
        let lines: Vec<Value> = whole.map(|line| serde_json::from_str(line).unwrap()).collect();
        is_all(&lines).then_some(lines)
    });
    check_sums(&lines);
    t.delete(&id);
}

/// A journal's socket, and brig where that is the system's.
struct Journal(UnixDatagram);

impl Journal {
    fn bind(t: &Test) -> Self {
        fs::create_dir_all(t.path("run/systemd/journal")).unwrap();
        let socket = UnixDatagram::bind(t.path("run/systemd/journal/socket")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self(socket)
    }

    /// With a /run of its own.
    fn brig(t: &Test) -> Runner {
        let script = format!("mount --bind {} /run && exec \"$@\"", t.path("run").display());
        let shell = t.program("unshare").args(["--mount", "sh", "-c", &script, "sh"]);
        shell
            .arg(env!("CARGO_BIN_EXE_brig"))
            .arg("--root")
            .arg(t.root())
            .arg("--config")
            .arg(t.operator())
    }

    /// The lines that have come.
    fn take(&self) -> Vec<Value> {
        let mut buffer = vec![0; 64 << 10];
        let mut lines = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("BRIG_LINE=")).unwrap();
            lines.push(serde_json::from_str(line).unwrap());
        }
        lines
    }
}

#[test]
fn a_journal_that_takes_nothing_holds_up_no_call() {
    let mut t = test!();
    let journal = Journal::bind(&t);
    t.configure("[log]\ndecisions = \"journal\"\n");
    let id = start(&mut t, Journal::brig);
    deny(&t, &id);
    // what is lost is told once in a second, as soon as there is room for that
    let mut lines = Vec::new();
    until("all lines", || {
        lines.extend(journal.take());
        is_all(&lines).then_some(())
    });
    check_sums(&lines);
    assert!(lines.iter().all(|line| line["container"] == id.as_str()));
}

#[test]
fn a_journal_that_ends_holds_up_no_call() {
    let mut t = test!();
    let journal = Journal::bind(&t);
    t.configure("[log]\ndecisions = \"journal\"\n");
    let id = start(&mut t, Journal::brig);
    drop(journal);
    deny(&t, &id);
    let pid = supervisor(&t.root(), &id).unwrap();
    assert!(process::is_alive(pid));
    t.delete(&id);
    assert!(process::wait_for_end(pid, LIMIT));
}

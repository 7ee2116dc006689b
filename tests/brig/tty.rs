// SPDX-License-Identifier: Apache-2.0
//! Terminals: handed to an engine, and relayed in the foreground.

use std::fs::File;
use std::process::Stdio;

use serde_json::json;

use crate::harness::{Console, Pty, until};
use crate::test;

#[test]
fn an_engine_is_sent_the_terminal() {
    let mut t = test!();
    let console = Console::listen(&t.path("console.sock"));
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.script("tty; stty size; read line; echo got $line; test -t 0 && test -t 1 && test -t 2 && echo all");
    t.run_command("create").arg("--console-socket").arg(&console.path).run().ok();
    let mut pty = console.accept();
    t.call(["start", &t.id("c")]).ok();
    pty.expect("/dev/pts/0");
    pty.type_text("hello\n");
    pty.expect("got hello");
    pty.expect("all");
    t.await_status(&t.id("c"), "stopped");
    t.delete(&t.id("c"));
    t.assert_clean();
}

#[test]
fn the_terminal_is_the_controlling_one() {
    let mut t = test!();
    let console = Console::listen(&t.path("console.sock"));
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.script(
        "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 1000 & wait; done",
    );
    t.run_command("create").arg("--console-socket").arg(&console.path).run().ok();
    let mut pty = console.accept();
    t.call(["start", &t.id("c")]).ok();
    pty.expect("ready");
    pty.type_text("\u{3}");
    pty.expect("interrupted");
    t.delete(&t.id("c"));
}

#[test]
fn the_size_is_the_specifications() {
    let mut t = test!();
    let console = Console::listen(&t.path("console.sock"));
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.config["process"]["consoleSize"] = json!({ "height": 33, "width": 121 });
    t.bundle.script("stty size");
    t.run_command("create").arg("--console-socket").arg(&console.path).run().ok();
    let mut pty = console.accept();
    t.call(["start", &t.id("c")]).ok();
    pty.expect("33 121");
    t.delete(&t.id("c"));
}

#[test]
fn the_terminal_belongs_to_the_workloads_user() {
    let mut t = test!();
    let console = Console::listen(&t.path("console.sock"));
    t.bundle.config["process"]["terminal"] = json!(true);
    for uid in [0, 1000] {
        t.bundle.config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        t.bundle.script("stat -c 'owner %u.' /dev/pts/0; echo again > $(tty)");
        t.run_command("create").arg("--console-socket").arg(&console.path).run().ok();
        let mut pty = console.accept();
        t.call(["start", &t.id("c")]).ok();
        pty.expect(&format!("owner {uid}."));
        pty.expect("again");
        t.delete(&t.id("c"));
    }
}

#[test]
fn a_terminal_that_nobody_takes_is_an_error() {
    let mut t = test!();
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.args(["/bin/true"]);
    t.run_command("create").run().fails_with("process.terminal");
    t.run_command("run").arg("--detach").run().fails_with("process.terminal");
    t.run_command("create")
        .arg("--console-socket")
        .arg(t.path("none.sock"))
        .run()
        .fails_with("none.sock");
    t.bundle.config["process"]["terminal"] = json!(false);
    let console = Console::listen(&t.path("console.sock"));
    t.run_command("create")
        .arg("--console-socket")
        .arg(&console.path)
        .run()
        .fails_with("--console-socket");
    t.assert_clean();
}

/// A standard stream that is a terminal's inner end.
fn stdio(inner: &std::os::fd::OwnedFd) -> Stdio {
    Stdio::from(File::from(inner.try_clone().unwrap()))
}

#[test]
fn a_foreground_run_relays_its_own_terminal_and_its_size() {
    let mut t = test!();
    let (mut pty, inner) = Pty::open();
    pty.resize(44, 99);
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.script("stty size; echo ready; read line; echo got $line; read line; exit 9");
    let running = t.run_command("run").stdio(stdio(&inner), stdio(&inner), stdio(&inner)).spawn();
    drop(inner);
    pty.expect("44 99");
    pty.expect("ready");
    pty.type_text("typed\r");
    pty.expect("got typed");
    pty.resize(20, 60);
    running.signal(libc::SIGWINCH);
    until("the new size", || {
        let outcome = t.exec(&t.id("c"), ["/bin/sh", "-c", "stty size < /dev/pts/0"]);
        (outcome.text() == "20 60").then_some(())
    });
    pty.type_text("\r");
    running.wait().exits(9);
    t.assert_clean();
}

#[test]
fn a_foreground_run_leaves_the_callers_terminal_as_it_was() {
    let mut t = test!();
    let (mut pty, inner) = Pty::open();
    let before = rustix::termios::tcgetattr(&inner).unwrap();
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.script("echo done");
    let running = t.run_command("run").stdio(stdio(&inner), stdio(&inner), stdio(&inner)).spawn();
    pty.expect("done");
    running.wait().exits(0);
    let after = rustix::termios::tcgetattr(&inner).unwrap();
    assert_eq!(before.local_modes, after.local_modes);
    assert_eq!(before.input_modes, after.input_modes);
    assert_eq!(before.output_modes, after.output_modes);
}

#[test]
fn a_foreground_run_with_a_terminal_works_without_one_of_its_own() {
    let mut t = test!();
    t.bundle.config["process"]["terminal"] = json!(true);
    t.script("test -t 1 && echo a terminal; head -c 300000 /dev/zero | tr '\\0' x").ok();
    let outcome = t
        .script("test -t 1 && echo a terminal; head -c 300000 /dev/zero | tr '\\0' x; exit 3")
        .exits(3);
    assert!(outcome.stdout.starts_with("a terminal"), "{}", &outcome.stdout[..40]);
    assert_eq!(outcome.stdout.matches('x').count(), 300_000, "nothing of the output is lost");
    t.assert_clean();
}

#[test]
fn exec_has_terminals_of_its_own() {
    let mut t = test!();
    let id = t.start_sleeping();
    // handed to an engine
    let console = Console::listen(&t.path("console.sock"));
    t.brig()
        .args(["exec", "--tty", "--detach", "--console-socket"])
        .arg(&console.path)
        .arg(&id)
        .args(["/bin/sh", "-c", "stty size; tty; read line; echo got $line"])
        .run()
        .ok();
    let mut pty = console.accept();
    pty.expect("/dev/pts/");
    pty.type_text("hello\n");
    pty.expect("got hello");
    // in the foreground
    let (mut pty, inner) = Pty::open();
    pty.resize(31, 77);
    let running = t
        .brig()
        .args(["exec", "--tty", &id, "/bin/sh", "-c", "stty size; read line; exit 4"])
        .stdio(stdio(&inner), stdio(&inner), stdio(&inner))
        .spawn();
    drop(inner);
    pty.expect("31 77");
    pty.type_text("\r");
    running.wait().exits(4);
    t.brig()
        .args(["exec", "--tty", "--detach", &id, "/bin/true"])
        .run()
        .fails_with("--console-socket");
    // a user's terminal is the user's
    let text = t
        .brig()
        .args([
            "exec",
            "--tty",
            "--user",
            "1000:1000",
            &id,
            "/bin/sh",
            "-c",
            "echo x > $(tty); stat -c %u $(tty)",
        ])
        .run();
    assert!(text.stdout.contains("1000"), "{text:?}");
    t.delete(&id);
    t.assert_clean();
}

#[test]
fn a_terminal_that_is_opened_for_a_caller_does_not_become_the_supervisors() {
    let mut t = test!();
    let profile = t.profile("dev.toml", "name = \"dev\"\n[files]\ndeny = [\"/dev/**/*.key\"]\n");
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
    let container = crate::floods::started(&t, create.arg(&t.bundle.dir), "c");
    // one that is nobody's controlling terminal, in the container's /dev/pts
    let path = format!("/proc/{}/root/dev/pts/ptmx", t.pid(&container.id));
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let master = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let script = format!("exec 3<>{name} && exec 4<>{name} && ! echo x 2>/dev/null >/dev/tty");
    t.exec(&container.id, ["/bin/sh", "-c", &script]).ok();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", container.supervisor)).unwrap();
    let terminal = stat.rsplit_once(") ").unwrap().1.split(' ').nth(4).unwrap();
    assert_eq!(terminal, "0", "it has a controlling terminal");
    // what would end a session with that terminal
    rustix::io::write(&master, b"\x03").unwrap();
    drop(master);
    t.exec(&container.id, ["/bin/sh", "-c", "echo served > /dev/null && echo served"])
        .ok()
        .prints("served");
}

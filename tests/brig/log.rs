// SPDX-License-Identifier: Apache-2.0
//! The log of decisions, and `brig log`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{LIMIT, Outcome, Test, process, until};
use crate::supervisor::supervisor;
use crate::test;

/// Everything in /work but keys.
pub const KEYS: &str = "[files]\ndeny = [{ path = \"/work/**/*.key\", reason = \"private\" }]\n";

/// Starts a container that sleeps, under a profile.
fn start(t: &mut Test, profile: &str) -> String {
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    fs::write(t.bundle.file("/work/a.key"), "secret\n").unwrap();
    let file = t.profile("log.toml", profile);
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let create = t.brig().arg("--profile").arg(file).args(["create", "--bundle"]);
    create.arg(&t.bundle.dir).last_arg(t.id("c")).run().ok();
    t.call(["start", &t.id("c")]).ok();
    t.id("c")
}

fn sh(t: &Test, id: &str, script: &str) -> Outcome {
    let exec = t.brig().args(["exec", id, "/bin/sh", "-c", script]);
    exec.limit(Duration::from_secs(150)).run()
}

/// Kills the container and waits until everything is written.
fn end(t: &Test, id: &str) {
    let pid = supervisor(&t.root(), id).expect("there is a supervisor");
    t.call(["kill", id, "KILL"]).ok();
    assert!(process::wait_for_end(pid, LIMIT));
}

/// What `brig log --json` prints.
fn lines(t: &Test, id: &str) -> Vec<Value> {
    let printed = t.call(["log", "--json", id]).ok().stdout;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The sum of what all have by this name.
pub fn sum(lines: &[Value], key: &str) -> u64 {
    lines.iter().filter_map(|line| line[key].as_u64()).sum()
}

fn state_file(t: &Test, id: &str, name: &str) -> PathBuf {
    t.root().join(id).join(name)
}

#[test]
fn a_denied_open_is_logged_with_its_rule_and_who_asked() {
    let mut t = test!();
    let id = start(&mut t, KEYS);
    t.brig().args(["exec", "--user", "7:8", &id, "/bin/cat", "/work/a.key"]).run().exits(1);
    let found = until("the line", || lines(&t, &id).into_iter().next());
    let expected = [
        ("container", id.as_str()),
        ("comm", "cat"),
        ("syscall", "openat"),
        ("object", "read /work/a.key"),
        ("decision", "deny"),
        ("errno", "EACCES"),
        ("mechanism", "supervisor"),
    ];
    for (key, value) in expected {
        let key_found = found[key].as_str().unwrap();
        // musl and glibc open by different calls
        assert!(key_found == value || key == "syscall" && key_found == "open", "{key}: {found}");
    }
    assert_eq!((found["uid"].as_u64(), found["count"].as_u64()), (Some(7), Some(1)));
    assert!(found["pid"].as_i64().is_some_and(|pid| (2..1000).contains(&pid)), "{found}");
    let rule = &found["rule"];
    assert_eq!((&rule["list"], &rule["reason"]), (&"files.deny".into(), &"private".into()));
    assert!(rule["at"].as_str().unwrap().ends_with("log.toml:2"), "{rule}");
    let hint = found["hint"].as_str().unwrap();
    assert!(hint.starts_with("except = [\"/work/a.key\"] in ") && hint.ends_with(":2"), "{hint}");
    let shown = t.call(["log", &id]).ok().stdout;
    assert!(shown.contains(": read /work/a.key (EACCES) by "), "{shown}");
    assert!(shown.contains("(private), pid ") && shown.contains(" (cat) uid 7; hint: "), "{shown}");
}

#[test]
fn names_cannot_write_to_a_terminal_or_into_the_log() {
    let mut t = test!();
    let id = start(&mut t, KEYS);
    let script = "cd /work; n=$(printf 'e\\033[31m\"\\\\\\n{}\\377\\302\\233'); \
        printf '#!/bin/sh\\ntrue > \"$1\"\\n' > \"/tmp/$n\"; chmod 755 \"/tmp/$n\"; \
        \"/tmp/$n\" \"/work/$n.key\"";
    assert!(!sh(&t, &id, script).status.success());
    end(&t, &id);
    let raw = fs::read(state_file(&t, &id, "decisions.log")).unwrap();
    let text = String::from_utf8(raw).unwrap();
    assert!(text.lines().count() > 0);
    for line in text.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        serde_json::from_str::<Value>(line).unwrap();
    }
    let found = lines(&t, &id);
    let escaped = "e\\x1b[31m\"\\\\\\x0a{}\\xff\\xc2\\x9b.key";
    let object = found[0]["object"].as_str().unwrap();
    assert!(object.ends_with(escaped), "{object}");
    let comm = found[0]["comm"].as_str().unwrap();
    assert!(comm.starts_with("e\\x1b[31m\""), "{comm}");
    let shown = t.call(["log", &id]).ok().stdout;
    assert!(!shown.trim_end().chars().any(|one| one.is_control() && one != '\n'), "{shown:?}");
}

#[test]
fn a_hundred_thousand_denials_are_counted_in_a_few_lines() {
    let mut t = test!();
    let id = start(&mut t, KEYS);
    let flood = "yes /work/a.key | head -n 100000 | xargs cat 2>/dev/null";
    assert!(!sh(&t, &id, flood).status.success());
    end(&t, &id);
    let found = lines(&t, &id);
    assert_eq!(sum(&found, "count") + sum(&found, "lost"), 100_000);
    assert!(found.len() < 1000, "{}", found.len());
    assert!(sum(&found, "count") > 1000);
}

#[test]
fn no_more_is_written_than_the_operator_allows() {
    let mut t = test!();
    t.configure("[log]\nmax_size = 16384\nmax_per_second = 50\n");
    let id = start(&mut t, KEYS);
    let flood = "seq 3000 | sed 's#.*#/work/&.key#' | xargs touch 2>/dev/null";
    assert!(!sh(&t, &id, flood).status.success());
    end(&t, &id);
    let sizes = ["decisions.log", "decisions.log.1"]
        .map(|name| fs::metadata(state_file(&t, &id, name)).unwrap().len());
    assert!(sizes[0] + sizes[1] <= 16384, "{sizes:?}");
    let found = lines(&t, &id);
    assert!(sum(&found, "lost") > 0, "{found:?}");
    let times: Vec<&str> = found.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// A small file system, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        assert!(Command::new("mount").args(options).arg(&path).status().unwrap().success());
        Self(path)
    }

    /// Fills it.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        fs::write(&filler, vec![b'x'; 128 << 10]).unwrap_err();
        filler
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let mut t = test!();
    let disk = Small::mount(t.path("disk"));
    let file = disk.0.join("brig.log");
    t.configure(&format!("[log]\ndecisions = \"file\"\nfile = \"{}\"\n", file.display()));
    let id = start(&mut t, KEYS);
    let filler = disk.fill();
    let denied = |count: u32| {
        let script = format!("for i in $(seq {count}); do cat /work/a.key; done; cat /etc/passwd");
        sh(&t, &id, &format!("{script} > /dev/null 2>&1")).ok();
    };
    denied(30);
    assert_eq!(fs::metadata(&file).unwrap().len(), 0);
    fs::remove_file(filler).unwrap();
    sh(&t, &id, "cat /work/b.key; echo > /work/b.key").exits(1);
    end(&t, &id);
    let found = lines(&t, &id);
    assert!(sum(&found, "lost") >= 1, "{found:?}");
    assert_eq!(sum(&found, "count") + sum(&found, "lost"), 31, "{found:?}");
    t.delete(&id);
}

/// Starts a container whose decisions go to the journal: to whoever reads this.
fn start_with_journal(t: &mut Test) -> (String, UnixDatagram) {
    const MOUNT: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && \
        : > /run/systemd/journal/socket && mount --bind \"$0\" /run/systemd/journal/socket && exec \"$@\"";
    t.configure("[log]\ndecisions = \"journal\"\nmax_per_second = 100000\n");
    let at = t.path("journal");
    let journal = UnixDatagram::bind(&at).unwrap();
    journal.set_read_timeout(Some(LIMIT)).unwrap();
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    let file = t.profile("log.toml", KEYS);
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    // the host may have a journal: only this brig is led to the test's
    let create = t.program("/usr/bin/unshare").args(["--mount", "/bin/sh", "-c", MOUNT]).arg(at);
    let create = create.arg(env!("CARGO_BIN_EXE_brig")).arg("--root").arg(t.root());
    let create = create.arg("--config").arg(t.operator()).arg("--profile").arg(file);
    create.args(["create", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run().ok();
    t.call(["start", &t.id("c")]).ok();
    (t.id("c"), journal)
}

/// The line that a datagram to the journal carries.
fn receive_line(journal: &UnixDatagram) -> Value {
    let mut buffer = vec![0; 64 << 10];
    let length = journal.recv(&mut buffer).unwrap();
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(text.starts_with("MESSAGE=") && text.contains("\nSYSLOG_IDENTIFIER=brig\n"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("BRIG_LINE=")).unwrap();
    serde_json::from_str(line).unwrap()
}

#[test]
fn the_journal_gets_decisions() {
    let mut t = test!();
    let (id, journal) = start_with_journal(&mut t);
    sh(&t, &id, "echo > /work/a.key").exits(1);
    let line = receive_line(&journal);
    assert_eq!(line["container"], id.as_str());
    assert_eq!(line["object"], "modify /work/a.key");
    t.call(["log", &id]).fails_with("journal");
    t.delete(&id);
}

#[test]
fn what_is_only_audited_is_allowed_and_logged() {
    let mut t = test!();
    let audit = format!("{KEYS}[audit]\nmode = \"audit\"\nlog = \"none\"\n");
    let id = start(&mut t, &audit);
    sh(&t, &id, "cat /work/a.key").ok().prints("secret");
    end(&t, &id);
    assert_eq!(lines(&t, &id)[0]["decision"], "audit");
}

#[test]
fn what_is_allowed_is_logged_where_all_is() {
    let mut t = test!();
    let id = start(&mut t, &format!("{KEYS}[audit]\nlog = \"all\"\n"));
    sh(&t, &id, "echo > /work/b.txt").ok();
    end(&t, &id);
    let found = lines(&t, &id);
    let allowed = found.iter().find(|line| line["object"] == "create /work/b.txt").unwrap();
    assert_eq!((&allowed["decision"], &allowed["hint"]), (&"allow".into(), &Value::Null));
}

#[test]
fn with_none_nothing_is_written() {
    let mut t = test!();
    t.configure("[log]\ndecisions = \"none\"\n");
    let id = start(&mut t, KEYS);
    sh(&t, &id, "cat /work/a.key").exits(1);
    end(&t, &id);
    assert!(!state_file(&t, &id, "decisions.log").exists());
    t.call(["log", &id]).fails_with("decisions = \"none\"");
    t.delete(&id);
    t.configure("");
    let id = start(&mut t, &format!("{KEYS}[audit]\nlog = \"none\"\n"));
    sh(&t, &id, "cat /work/a.key; echo > /work/b.txt").ok();
    end(&t, &id);
    assert!(lines(&t, &id).is_empty());
}

#[test]
fn following_ends_with_the_container_and_has_its_last_line() {
    let mut t = test!();
    let id = start(&mut t, KEYS);
    let following = t.brig().args(["log", "--follow", &id]).spawn();
    sh(&t, &id, "cat /work/a.key").exits(1);
    sh(&t, &id, "echo > /work/last.key").exits(1);
    t.delete(&id);
    let shown = following.wait().ok().stdout;
    assert!(shown.contains("read /work/a.key") && shown.contains("/work/last.key"), "{shown}");
}

#[test]
fn containers_share_a_file_and_have_their_own_lines() {
    let mut t = test!();
    let file = t.path("shared.log");
    t.configure(&format!("[log]\ndecisions = \"file\"\nfile = \"{}\"\n", file.display()));
    fs::write(&file, "\u{1b}[2J{}\nno line of brig's\n").unwrap();
    let id = start(&mut t, KEYS);
    sh(&t, &id, "cat /work/a.key").exits(1);
    end(&t, &id);
    let other = r#"{"time":"x","container":"other","lost":5}"#;
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{other}\n")).unwrap();
    let shown = t.call(["log", &id]).ok().stdout;
    assert_eq!(shown.lines().count(), 1, "{shown:?}");
    assert!(shown.contains("read /work/a.key") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_file_that_cannot_be_had_is_an_error_that_names_it() {
    let mut t = test!();
    let (fifo, link) = (t.path("fifo"), t.path("link"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::os::unix::fs::symlink(t.path("elsewhere"), &link).unwrap();
    for (file, message) in [(fifo, "is not a regular file"), (link, "log.file: open")] {
        t.configure(&format!("[log]\ndecisions = \"file\"\nfile = \"{}\"\n", file.display()));
        let profile = t.profile("log.toml", KEYS);
        fs::create_dir_all(t.bundle.file("/work")).unwrap();
        t.bundle.args(["/bin/true"]);
        t.bundle.write();
        let run = t.brig().arg("--profile").arg(profile).args(["run", "--bundle"]);
        run.arg(&t.bundle.dir).last_arg(t.id("c")).run().fails_with(message);
        t.assert_clean();
    }
}

#[test]
fn who_has_no_log_is_told_why() {
    let mut t = test!();
    let id = t.start_sleeping();
    t.call(["log", &id]).fails_with("has no log of decisions");
    t.call(["log", "nobody"]).fails_with("container \"nobody\" does not exist");
}

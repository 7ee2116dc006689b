// SPDX-License-Identifier: Apache-2.0
//! Processes, seen from outside.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, set_child_subreaper, waitpid,
};

/// Orphans of this process's children become its children.
pub fn become_subreaper() {
    set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}

/// Lets others run for a moment, between two looks at a state.
pub fn pause() {
    let moment = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    poll(&mut [], Some(&moment)).unwrap_or_default();
}

/// Waits for a process's end; false when the time is over.
pub fn wait_for_end(pid: i32, limit: Duration) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else {
        return true;
    };
    let deadline = Instant::now() + limit;
    let turn = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&turn)) {
            Err(rustix::io::Errno::INTR) | Ok(0) if Instant::now() < deadline => reap_orphans(),
            Err(rustix::io::Errno::INTR) => return false,
            answer => return answer.unwrap() > 0,
        }
    }
}

/// Sends a signal; the process may be gone.
pub fn signal(pid: i32, signal: i32) {
    let signal = Signal::from_named_raw(signal).expect("a signal's number");
    match kill_process(Pid::from_raw(pid).unwrap(), signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("kill {pid}: {error}"),
    }
}

/// Whether it runs: it is there and no zombie.
pub fn is_alive(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The letter of /proc/PID/status.
pub fn state(pid: i32) -> Option<char> {
    status(pid, "State").and_then(|text| text.chars().next())
}

/// A line of /proc/PID/status.
pub fn status(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field(&text, name)
}

/// A line of a text as /proc/PID/status is.
pub fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// A mask of /proc/PID/status.
pub fn mask(pid: i32, name: &str) -> u64 {
    let text = status(pid, name).unwrap_or_else(|| panic!("{name} of {pid}"));
    u64::from_str_radix(&text, 16).unwrap()
}

/// For a message: what a process that does not end is doing.
pub fn describe(pid: i32) -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let children = children_of(pid);
    let inner: Vec<String> = children.iter().map(|child| describe(*child)).collect();
    format!(
        "pid {pid} {} {} wchan {} stack {} children {inner:?}",
        read("cmdline").replace('\0', " "),
        read("status").lines().nth(2).unwrap_or_default(),
        read("wchan"),
        read("stack").replace('\n', " "),
    )
}

/// The children of all threads of a process.
pub fn children_of(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let parse = |list: String| {
        list.split_whitespace().filter_map(|one| one.parse().ok()).collect::<Vec<_>>()
    };
    lists.flat_map(parse).collect()
}

/// All pids.
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|one| one.file_name().to_str()?.parse().ok()).collect()
}

/// The children that somebody waits for.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Makes a child that [`reap_orphans`] leaves alone.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    own.insert(i32::try_from(child.id()).unwrap());
    Ok(child)
}

/// Reaps orphans that have ended, as init or an engine does: a pid namespace ends only when all its
/// processes have been reaped. Only where the test has its process to itself.
pub fn reap_orphans() {
    if std::env::var_os("NEXTEST").is_none() {
        return;
    }
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    for pid in children_of(i32::try_from(std::process::id()).unwrap()) {
        if !own.contains(&pid) && state(pid) == Some('Z') {
            waitpid(Pid::from_raw(pid), WaitOptions::NOHANG).unwrap_or_default();
        }
    }
}

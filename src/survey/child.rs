// SPDX-License-Identifier: Apache-2.0
//! Trying something in a child, which takes all that it has done with it when it ends.
//!
//! The child is killed if brig ends first. It must not be given anything that outlives it: a
//! namespace of its own is what makes mounts harmless.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use brig_policy::survey::{Attempt, Refusal};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, waitpid};

use crate::sys::fork::{Fork, exit_now, fork};

/// A step of a probe that failed.
pub struct Failed {
    call: String,
    errno: i32,
}

/// Names the call that failed.
pub trait Naming<T> {
    /// The result, with the call.
    fn call(self, call: impl Into<String>) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Naming<T> for Result<T, E> {
    fn call(self, call: impl Into<String>) -> Result<T, Failed> {
        self.map_err(|error| {
            let errno = error.into().raw_os_error().unwrap_or_default();
            Failed { call: call.into(), errno }
        })
    }
}

/// What the kernel did not do, as a fact.
pub fn refusal(call: impl Into<String>, error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or_default();
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default().to_owned();
    Refusal { call: call.into(), errno, error: words }
}

/// Carries a probe out in a child.
pub fn attempt(probe: impl FnOnce() -> Result<(), Failed>) -> Attempt {
    match in_child(probe) {
        Ok(None) => Attempt::Works(()),
        Ok(Some(refusal)) => Attempt::Refused(refusal),
        Err(error) => Attempt::Refused(refusal("a child to try it in", &error)),
    }
}

fn in_child(probe: impl FnOnce() -> Result<(), Failed>) -> io::Result<Option<Refusal>> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    match fork()? {
        Fork::Parent(pid) => {
            drop(write);
            outcome(pid, read)
        }
        Fork::Child => {
            drop(read);
            // whoever has killed brig meanwhile finds no child
            if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
                exit_now(1);
            }
            let text = match probe() {
                Ok(()) => "0 ".to_owned(),
                Err(Failed { call, errno }) => format!("{errno} {call}"),
            };
            let told = File::from(write).write_all(text.as_bytes());
            exit_now(i32::from(told.is_err()))
        }
    }
}

fn outcome(pid: i32, read: OwnedFd) -> io::Result<Option<Refusal>> {
    let mut text = String::new();
    let told = File::from(read).read_to_string(&mut text);
    let status = wait(pid)?;
    told?;
    let Some((errno, call)) = text.split_once(' ') else {
        let how = match status.and_then(|status| status.terminating_signal()) {
            Some(signal) => format!("killed by signal {signal}"),
            None => "ended without a word".to_owned(),
        };
        let call = "the process that tried it".to_owned();
        return Ok(Some(Refusal { call, errno: 0, error: how }));
    };
    if call.is_empty() {
        return Ok(None);
    }
    let errno: i32 = errno.parse().unwrap_or_default();
    Ok(Some(refusal(call, &io::Error::from_raw_os_error(errno))))
}

fn wait(pid: i32) -> io::Result<Option<WaitStatus>> {
    loop {
        match waitpid(Pid::from_raw(pid), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?.map(|(_, status)| status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // cargo-nextest gives each test a process, but libtest runs it in a second thread, and a child
    // is forked by a process of one thread alone
    #[allow(clippy::zombie_processes)] // it is what `outcome` waits for
    fn ended(status: i32, text: &[u8]) -> Option<Refusal> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        File::from(write).write_all(text).unwrap();
        let script = format!("exit {status}");
        let child = std::process::Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
        outcome(i32::try_from(child.id()).unwrap(), read).unwrap()
    }

    #[test]
    fn a_childs_word_becomes_a_fact() {
        assert_eq!(ended(0, b"0 "), None);
        let refused = ended(0, b"1 unshare(CLONE_NEWUSER)").unwrap();
        assert_eq!(refused.to_string(), "unshare(CLONE_NEWUSER): Operation not permitted");
        assert_eq!(refused.errno, 1);
    }

    #[test]
    fn a_child_that_says_nothing_has_not_succeeded() {
        assert!(ended(0, b"").unwrap().to_string().contains("ended without a word"));
    }

    #[test]
    fn a_process_with_threads_forks_no_child() {
        let refused = attempt(|| Ok(()));
        assert!(refused.refusal().unwrap().call.contains("child"), "{refused:?}");
    }
}

// SPDX-License-Identifier: Apache-2.0
//! `SCMP_ACT_NOTIFY` with `linux.seccomp.listenerPath`: the specification's own agent.

use std::fs;
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use crate::harness::Test;
use crate::test;

/// EROFS: nothing else here gives it.
const ANSWER: i32 = 30;

/// An agent that takes one listener and answers its calls of mkdir with EROFS.
fn agent(listener: UnixListener) -> JoinHandle<Value> {
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 65536];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received =
            recvmsg(&stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        bytes.truncate(received.bytes);
        // the runtime closes the connection when it has sent everything
        let mut rest = Vec::new();
        (&stream).read_to_end(&mut rest).unwrap();
        bytes.extend(rest);
        assert_eq!(fds.len(), 1);
        answer_until_the_end(&fds[0]);
        serde_json::from_slice(&bytes).unwrap()
    })
}

fn answer_until_the_end(listener: &OwnedFd) {
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        assert!(poll(&mut fds, Some(&limit)).unwrap() > 0, "neither a call nor the end");
        if fds[0].revents().contains(PollFlags::HUP) {
            return;
        }
        answer(listener);
    }
}

fn answer(listener: &OwnedFd) {
    // SAFETY: all-zero is a valid value of this struct of integers; the kernel requires zeroes.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: SECCOMP_IOCTL_NOTIF_RECV fills the struct, which is exclusively ours.
    if unsafe { libc::ioctl(listener.as_raw_fd(), 0xc050_2100, &raw mut call) } < 0 {
        return;
    }
    let mut response = libc::seccomp_notif_resp { id: call.id, val: 0, error: -ANSWER, flags: 0 };
    // SAFETY: SECCOMP_IOCTL_NOTIF_SEND reads the struct, which is exclusively ours.
    unsafe { libc::ioctl(listener.as_raw_fd(), 0xc018_2101, &raw mut response) };
}

fn notify_mkdir(t: &mut Test) -> std::path::PathBuf {
    let path = t.path("agent");
    t.bundle.config["annotations"] = json!({ "key": "value" });
    t.bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "some metadata",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
    });
    path
}

fn check_message(t: &Test, message: &Value, status: &str) {
    assert_eq!(message["fds"], json!(["seccompFd"]));
    assert_eq!(message["metadata"], "some metadata");
    assert!(message["ociVersion"].is_string());
    let state = &message["state"];
    assert!(state["ociVersion"].is_string());
    assert_eq!(state["id"], t.id("c"));
    assert_eq!(state["status"], status);
    assert_eq!(state["bundle"], json!(fs::canonicalize(&t.bundle.dir).unwrap()));
    assert_eq!(state["annotations"]["key"], "value");
}

#[test]
fn the_agent_is_given_the_listeners_of_the_first_process_and_of_added_ones() {
    let mut t = test!();
    let path = notify_mkdir(&mut t);
    let first = agent(UnixListener::bind(&path).unwrap());
    t.bundle.script("mkdir /tmp/x 2>/tmp/said; sleep 1000");
    let id = t.start();
    let pid = t.pid(&id);
    let said = t.bundle.file("/tmp/said");
    crate::harness::until("the answer", || {
        fs::read_to_string(&said).ok().filter(|text| text.contains("Read-only file system"))
    });
    fs::remove_file(&path).unwrap();
    let added = agent(UnixListener::bind(&path).unwrap());
    t.exec(&id, ["/bin/mkdir", "/tmp/x"]).fails_with("Read-only file system");
    let message = added.join().unwrap();
    check_message(&t, &message, "running");
    assert_eq!(message["state"]["pid"], pid);
    assert_ne!(message["pid"], pid);
    t.delete(&id);
    let message = first.join().unwrap();
    check_message(&t, &message, "creating");
    assert_eq!(message["pid"], pid);
    assert_eq!(message["state"]["pid"], pid);
    assert!(!t.bundle.file("/tmp/x").exists());
}

#[test]
fn the_agent_is_given_the_listener_whatever_else_is_denied_and_in_a_user_namespace() {
    let mut t = test!();
    let path = notify_mkdir(&mut t);
    let denied = json!({ "names": ["sendmsg", "close", "futex"], "action": "SCMP_ACT_ERRNO" });
    t.bundle.config["linux"]["seccomp"]["syscalls"].as_array_mut().unwrap().push(denied);
    crate::namespaces::add_user_namespace(&mut t.bundle.config);
    let listening = agent(UnixListener::bind(&path).unwrap());
    t.run(["/bin/mkdir", "/tmp/x"]).fails_with("Read-only file system");
    check_message(&t, &listening.join().unwrap(), "creating");
}

#[test]
fn without_the_agent_create_fails_and_leaves_nothing() {
    let mut t = test!();
    notify_mkdir(&mut t);
    t.run(["/bin/true"]).fails_with("linux.seccomp.listenerPath");
    t.assert_clean();
    t.bundle.config["linux"]["seccomp"].as_object_mut().unwrap().remove("listenerPath");
    t.run(["/bin/true"]).fails_with("linux.seccomp.listenerPath");
    t.assert_clean();
}

#[test]
fn an_agent_that_is_gone_fails_what_would_be_added() {
    let mut t = test!();
    let path = notify_mkdir(&mut t);
    let first = agent(UnixListener::bind(&path).unwrap());
    let id = t.start_sleeping();
    fs::remove_file(&path).unwrap();
    t.exec(&id, ["/bin/true"]).fails_with("linux.seccomp.listenerPath");
    t.delete(&id);
    first.join().unwrap();
}

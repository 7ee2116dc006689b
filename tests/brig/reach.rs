// SPDX-License-Identifier: Apache-2.0
//! What a workload reaches of brig's own: the supervisor's socket, the state, the profile, the log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use serde_json::json;

use crate::harness::{Test, process, until, victims};
use crate::log::KEYS;
use crate::namespaces::add_user_namespace;
use crate::supervisor::supervisor;
use crate::test;

fn start(t: &mut Test) -> String {
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    fs::write(t.bundle.file("/work/a.txt"), "text\n").unwrap();
    fs::copy(victims::talk(), t.bundle.file("/talk")).unwrap();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let (profile, id) = (t.profile("reach.toml", KEYS), t.id("c"));
    let create = t.brig().arg("--profile").arg(profile).args(["create", "--bundle"]);
    create.arg(&t.bundle.dir).last_arg(&id).run().ok();
    t.call(["start", &id]).ok();
    id
}

#[test]
fn nothing_of_brigs_own_is_seen_from_inside() {
    // with the host's network, too, whose table of sockets names the supervisor's
    for network in ["own", "host"] {
        let mut t = test!();
        if network == "host" {
            t.bundle.without_namespace("network");
        }
        let id = start(&mut t);
        let names = ["supervisor.sock", "state.json", "decisions.log", "reach.toml", "config.json"];
        let names = names.map(|name| format!("-name {name}")).join(" -o ");
        let script = format!("find / \\( {names} \\) 2>/dev/null; ls -l /proc/*/fd 2>/dev/null");
        let seen = t.exec(&id, ["/bin/sh", "-c", &script]).stdout;
        assert!(seen.contains("/proc/1/fd"), "{network}: {seen}");
        for name in ["supervisor", "state.json", "decisions.log", ".toml", "config.json"] {
            assert!(!seen.contains(name), "{network}: {seen}");
        }
        // the name that the table of sockets has
        let commands = "socket a packet\nconnect a path /proc/self/fd/3/supervisor.sock\n";
        assert_ne!(talk(&t, &id, commands), "0\n0\n", "{network}");
    }
}

/// What the program in a container answers.
fn talk(t: &Test, id: &str, commands: &str) -> String {
    let input = t.path("commands");
    fs::write(&input, commands).unwrap();
    let input = fs::File::open(input).unwrap();
    t.brig().args(["exec", id, "/talk"]).stdin(input).run().ok().stdout
}

#[test]
fn a_workload_that_is_let_to_the_socket_is_not_listened_to() {
    let mut t = test!();
    add_user_namespace(&mut t.bundle.config);
    for directory in [t.root(), t.bundle.file("/state")] {
        fs::create_dir_all(directory).unwrap();
    }
    t.bundle.mount(json!({
        "destination": "/state", "source": t.root(), "type": "bind", "options": ["rbind"],
    }));
    let id = start(&mut t);
    let path = format!("/state/{id}/supervisor.sock");
    let commands = format!("socket a packet\nconnect a path {path}\n");
    assert_eq!(talk(&t, &id, &commands), format!("0\n{}\n", libc::EACCES));
    // whatever somebody has made of its permissions
    let (directory, socket) = (t.root().join(&id), t.root().join(&id).join("supervisor.sock"));
    for (open, mode) in [(t.root(), 0o755), (directory, 0o755), (socket, 0o777)] {
        fs::set_permissions(open, fs::Permissions::from_mode(mode)).unwrap();
    }
    // it is closed before anything has been said
    assert_eq!(talk(&t, &id, &format!("{commands}receive a\n")), "0\n0\n\n");
    t.exec(&id, ["/bin/cat", "/work/a.txt"]).prints("text");
}

#[test]
fn what_is_said_at_the_socket_and_is_no_listener_changes_nothing() {
    // as many as it lets in before they have said anything, and more
    const MANY: usize = 80;
    let mut t = test!();
    let id = start(&mut t);
    let pid = supervisor(&t.root(), &id).unwrap();
    let directory = fs::File::open(t.root().join(&id)).unwrap();
    let come = || {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}/supervisor.sock", directory.as_raw_fd());
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        socket
    };
    let silent: Vec<_> = (0..MANY).map(|_| come()).collect();
    for text in ["", "listener", "ready", "beat", &"x".repeat(1000)] {
        // whom it has let in, and has no room to let in any more
        for socket in [&silent[0], &come()] {
            // it may have been turned away
            send(socket, text.as_bytes(), rustix::net::SendFlags::NOSIGNAL).unwrap_or_default();
        }
    }
    until("the end of who has said something", || {
        let flags = rustix::net::RecvFlags::DONTWAIT;
        recv(&silent[0], &mut [0; 8], flags).is_ok_and(|(_, length)| length == 0).then_some(())
    });
    drop(silent);
    t.exec(&id, ["/bin/cat", "/work/a.txt"]).prints("text");
    assert!(process::is_alive(pid));
}

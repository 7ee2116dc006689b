// SPDX-License-Identifier: Apache-2.0
//! Where rules about addresses go beyond TCP's ports: the supervisor connects, binds and sends.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::harness::{Outcome, Runner, Test, process, until, victims};
use crate::rootless;
use crate::supervisor::supervisor;
use crate::test;

/// Connecting is decided by host, sending and UNIX sockets by address.
const HOSTS: &str = r#"
[network]
connect = ["tcp 127.0.0.1:8000-8009", "tcp [::1]:8000", "udp 127.0.0.1:8001", "udp [::1]:8001",
           "unix /srv/*.sock", "unix @talk-*"]
bind = ["tcp 127.0.0.1:8000-8009", "tcp [::1]:8000", "udp *:8001", "udp *:0",
        "unix /srv/*.sock", "unix @talk-*"]
deny = ["tcp @metadata", "tcp 127.0.0.1:8009"]
"#;

const EPERM: &str = "1";
const EINTR: &str = "4";
const EACCES: &str = "13";
const EINVAL: &str = "22";
const ENOTSOCK: &str = "88";
const EOPNOTSUPP: &str = "95";
const EADDRINUSE: &str = "98";
const ECONNREFUSED: &str = "111";

fn prepare(t: &mut Test, profile: &str, commands: &str) -> Runner {
    fs::copy(victims::talk(), t.bundle.file("/talk")).unwrap();
    fs::create_dir_all(t.bundle.file("/srv/sub")).unwrap();
    for path in ["/srv/in/sub", "/srv/out"] {
        fs::create_dir_all(t.bundle.file(path)).unwrap();
    }
    for path in ["/srv", "/srv/sub"] {
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(t.bundle.file(path), all).unwrap();
    }
    fs::write(t.bundle.file("/commands"), commands).unwrap();
    t.bundle.capabilities(&["CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"]);
    let file = t.profile("network.toml", &format!("name = \"network\"\n{profile}"));
    t.brig().arg("--profile").arg(file)
}

fn run(t: &mut Test, profile: &str, commands: &str) -> Outcome {
    t.bundle.args(["/talk"]);
    let brig = prepare(t, profile, commands).args(["run", "--bundle"]);
    t.bundle.write();
    let input = fs::File::open(t.bundle.file("/commands")).unwrap();
    brig.arg(&t.bundle.dir).last_arg(t.id("c")).stdin(Stdio::from(input)).run()
}

/// Runs lines `COMMAND -> ANSWER`.
#[track_caller]
fn check(t: &mut Test, profile: &str, lines: &str) {
    check_by(t, profile, lines, run);
}

fn check_by(
    t: &mut Test,
    profile: &str,
    lines: &str,
    run: impl FnOnce(&mut Test, &str, &str) -> Outcome,
) {
    let lines: Vec<(&str, &str)> = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.trim().split_once(" -> ").unwrap())
        .collect();
    let commands: String = lines.iter().map(|(command, _)| format!("{command}\n")).collect();
    let out = run(t, profile, &commands).ok();
    let answers: Vec<&str> = out.stdout.lines().collect();
    for (index, (command, expected)) in lines.iter().enumerate() {
        let expected = match *expected {
            "EPERM" => EPERM,
            "EINTR" => EINTR,
            "EACCES" => EACCES,
            "EINVAL" => EINVAL,
            "ENOTSOCK" => ENOTSOCK,
            "EOPNOTSUPP" => EOPNOTSUPP,
            "EADDRINUSE" => EADDRINUSE,
            "ECONNREFUSED" => ECONNREFUSED,
            "EBADF" => "9",
            "EBUSY" => "16",
            "EEXIST" => "17",
            "EXDEV" => "18",
            "ENOENT" => "2",
            "EPIPE" => "32",
            "EMSGSIZE" => "90",
            "ok" => "0",
            other => other,
        };
        assert_eq!(answers.get(index), Some(&expected), "{command}: {answers:#?}");
    }
}

#[test]
fn tcp_reaches_the_hosts_that_are_granted_and_no_others() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket l tcp4 -> ok
        bind l in 127.0.0.1 8000 -> ok
        listen l 8 -> ok
        socket a tcp4 -> ok
        connect a in 127.0.0.1 8000 -> ok
        accept l b -> ok
        sendto a 0 hello -> sent 5
        receive b -> hello
        socket a tcp4 -> ok
        connect a in 127.0.0.1 8001 -> ECONNREFUSED
        socket a tcp4 -> ok
        connect a in 0.0.0.0 8000 -> ok
        socket a tcp4 -> ok
        connect a in 127.0.0.1 8009 -> EACCES
        connect a in 127.0.0.2 8000 -> EACCES
        connect a in 127.0.0.1 8010 -> EACCES
        connect a in 169.254.169.254 80 -> EACCES
        connect a unspec -> ok
        socket a tcp6 -> ok
        connect a in6 ::ffff:127.0.0.2 8000 -> EACCES
        connect a in6 ::ffff:169.254.169.254 80 -> EACCES
        connect a in6 ::1 8001 -> EACCES
        connect a in6 :: 8001 -> EACCES
        connect a in6 ::1 8000 -> ECONNREFUSED
        socket a tcp6 -> ok
        connect a in6 ::ffff:127.0.0.1 8000 -> ok
        connect z in 127.0.0.1 8000 -> EBADF",
    );
}

#[test]
fn datagrams_reach_the_addresses_that_are_granted_and_no_others() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket l udp4 -> ok
        bind l in 127.0.0.1 8001 -> ok
        socket m udp6 -> ok
        bind m in6 ::1 8001 -> ok
        socket a udp4 -> ok
        sendto a 0 one in 127.0.0.1 8001 -> sent 3
        receive l -> one
        sendmsg a 0 two none in 127.0.0.1 8001 -> sent 3
        receive l -> two
        sendto a 0 three in 0.0.0.0 8001 -> sent 5
        receive l -> three
        sendto a 0 x in 127.0.0.1 8002 -> EACCES
        sendmsg a 0 x none in 127.0.0.2 8001 -> EACCES
        connect a in 127.0.0.2 8001 -> EACCES
        connect a in 127.0.0.1 8001 -> ok
        sendto a 0 four -> sent 4
        receive l -> four
        sendmsg a 0 five ttl -> sent 4
        receive l -> five
        connect a unspec -> ok
        socket b udp6 -> ok
        sendto b 0 six in6 ::1 8001 -> sent 3
        receive m -> six
        sendmsg b 0 seven none in6 :: 8001 -> sent 5
        receive m -> seven
        sendto b 0 x in6 ::1 8002 -> EACCES
        sendto b 0 x in6 ::ffff:127.0.0.1 8002 -> EACCES
        sendto b 0 x in 127.0.0.1 8002 -> EACCES
        socket b udp6 -> ok
        sendto b 0 eight in6 ::ffff:127.0.0.1 8001 -> sent 5
        receive l -> eight",
    );
}

#[test]
fn several_messages_are_counted_and_told_of() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket l udp4 -> ok
        bind l in 127.0.0.1 8001 -> ok
        socket a udp4 -> ok
        sendmmsg a 4 in 127.0.0.1 8001 -> sent 3: 1 2 3 0
        receive l -> 0
        receive l -> 01
        receive l -> 012
        sendmmsg a 4 in 127.0.0.1 8002 -> EACCES
        sendmmsg a 1 in 127.0.0.1 8001 -> EMSGSIZE",
    );
}

#[test]
fn what_leads_elsewhere_is_not_sent() {
    let mut t = test!();
    let log = t.path("decisions");
    t.configure(&format!("[log]\ndecisions = \"file\"\nfile = \"{}\"\n", log.display()));
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket a udp4 -> ok
        sendmsg a 0 x pktinfo in 127.0.0.1 8001 -> EACCES
        connect a in 127.0.0.1 8001 -> ok
        sendmsg a 0 x pktinfo -> EACCES
        socket b udp6 -> ok
        sendmsg b 0 x pktinfo6 in6 ::1 8001 -> EACCES
        sendmsg b 0 x route in6 ::1 8001 -> EACCES
        socket c tcp4 -> ok
        sendto c 0x20000000 x in 127.0.0.1 8009 -> EOPNOTSUPP
        sendmsg c 0x20000000 x none in 127.0.0.1 8009 -> EOPNOTSUPP",
    );
    let lines = fs::read_to_string(&log).unwrap();
    assert!(lines.contains("control data that leads elsewhere"), "{lines}");
}

#[test]
fn ports_are_taken_where_that_is_granted() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket a tcp4 -> ok
        bind a in 0.0.0.0 8000 -> EACCES
        bind a in 127.0.0.1 8010 -> EACCES
        bind a in 127.0.0.1 8009 -> EACCES
        listen a 1 -> EACCES
        name a -> 0.0.0.0 0
        bind a in 127.0.0.1 8002 -> ok
        listen a 1 -> ok
        listen a 5 -> ok
        socket b tcp4 -> ok
        bind b in 127.0.0.1 8002 -> EADDRINUSE
        socket b tcp6 -> ok
        bind b in6 ::ffff:127.0.0.1 8010 -> EACCES
        bind b in6 :: 8000 -> EACCES
        listen b 1 -> EACCES
        bind b in6 ::1 8000 -> ok
        listen b 1 -> ok
        socket c udp4 -> ok
        bind c in 0.0.0.0 8002 -> EACCES
        bind c in 0.0.0.0 0 -> ok",
    );
}

#[test]
fn unix_sockets_are_decided_by_their_names() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "umask 0 -> ok
        socket l stream -> ok
        bind l path /srv/a.sock -> ok
        name l -> 12 /srv/a.sock
        listen l 4 -> ok
        socket m stream -> ok
        bind m path /srv/a.sock -> EADDRINUSE
        bind m path /srv/a -> EACCES
        bind m path /tmp/b.sock -> EACCES
        bind m path /none/b.sock -> ENOENT
        bind m path /srv/sub/c.sock -> EACCES
        bind m abstract other -> EACCES
        bind m unnamed -> EACCES
        chdir /srv -> ok
        bind m path ./sub/../d.sock -> ok
        name m -> 16 ./sub/../d.sock
        listen m 1 -> ok
        socket n dgram -> ok
        bind n abstract talk-1 -> ok
        name n -> 7 @talk-1
        socket a stream -> ok
        connect a path d.sock -> ok
        ids 1000 1001 -> ok
        socket b stream -> ok
        connect b path /srv/a.sock -> ok
        accept l c -> ok
        peer c -> uid 1000 gid 1001
        name c -> 12 /srv/a.sock
        sendmsg b 0 with descriptors -> sent 4
        receive c -> with and 2 descriptors
        socket d stream -> ok
        connect d path /srv/none.sock -> ENOENT
        connect d path /srv/none -> ENOENT
        connect d path /talk -> EACCES
        connect d abstract other -> EACCES
        connect d abstract talk-none -> ECONNREFUSED
        socket e dgram -> ok
        sendto e 0 six abstract talk-1 -> sent 3
        receive n -> six
        sendmsg e 0 seven none abstract talk-1 -> sent 5
        receive n -> seven
        sendmsg e 0 x none abstract other -> EACCES",
    );
    let kind = fs::symlink_metadata(t.bundle.file("/srv/a.sock")).unwrap().file_type();
    assert!(kind.is_socket());
    assert!(!t.bundle.file("/srv/sub/c.sock").exists());
}

#[test]
fn a_socket_is_not_connected_to_by_a_name_that_the_workload_gave_it() {
    let mut t = test!();
    check(
        &mut t,
        "[network]\nconnect = [\"unix /srv/open-*\"]\n",
        "socket l stream -> ok
        bind l path /srv/closed -> ok
        listen l 4 -> ok
        socket a stream -> ok
        connect a path /srv/closed -> EACCES
        rename /srv/closed /srv/open-a -> EACCES
        link /srv/closed /srv/open-a -> EACCES
        connect a path /srv/open-a -> ENOENT
        rename /srv/closed /srv/other -> ok
        rename /srv/other /srv/closed -> ok
        link /srv/closed /srv/other -> ok
        link /srv/closed /srv/other -> EEXIST
        rename /srv/in /srv/open-in -> EXDEV
        rename /srv/in /srv/moved -> ok
        rename /srv/none /srv/open-none -> ENOENT
        link /srv/none /srv/open-none -> ENOENT
        rename /srv/. /srv/open-none -> EBUSY
        rename /commands /srv/open-file -> ok
        link /srv/open-file /srv/open-link -> ok
        socket m stream -> ok
        bind m path /srv/open-m -> ok
        listen m 4 -> ok
        exchange /srv/open-m /srv/closed -> EACCES
        rename /srv/open-m /srv/open-n -> ok
        connect a path /srv/open-n -> ok",
    );
}

#[test]
fn a_socket_that_is_denied_is_reached_by_no_other_name() {
    let mut t = test!();
    // files are restricted by literals: the kernel itself would let everything be renamed in /srv
    let profile = r#"
        [files]
        write = ["/srv", "/tmp"]
        [network]
        connect = ["unix *"]
        deny = ["unix /srv/{engine,twin}.sock"]
    "#;
    fs::create_dir_all(t.bundle.file("/srv")).unwrap();
    // a path of its own would be too long for an address
    let host = t.path("engine.sock");
    let _engine = UnixListener::bind(&host).unwrap();
    fs::rename(&host, t.bundle.file("/srv/engine.sock")).unwrap();
    check(
        &mut t,
        profile,
        "socket a stream -> ok
        connect a path /srv/engine.sock -> EACCES
        rename /srv/engine.sock /srv/x -> EACCES
        link /srv/engine.sock /srv/x -> EACCES
        rename /srv /tmp/srv -> EXDEV
        link /srv/engine.sock /srv/twin.sock -> ok
        connect a path /srv/twin.sock -> EACCES",
    );
}

#[test]
fn what_has_lost_a_name_is_decided_about_by_that() {
    let mut t = test!();
    fs::create_dir_all(t.bundle.file("/srv")).unwrap();
    let host = t.path("engine.sock");
    let _engine = UnixListener::bind(&host).unwrap();
    fs::rename(&host, t.bundle.file("/srv/engine.sock")).unwrap();
    // it has another name left, so that what it has lost looks like a name
    fs::hard_link(t.bundle.file("/srv/engine.sock"), t.bundle.file("/srv/twin.sock")).unwrap();
    check(
        &mut t,
        "[network]\nconnect = [\"unix *\"]\ndeny = [\"unix /srv/{engine,twin}.sock\"]\n",
        "socket a stream -> ok
        lost a /srv/twin.sock -> EACCES
        lost a /srv/engine.sock -> EACCES",
    );
}

#[test]
fn a_bound_socket_gets_no_name_that_it_could_not_be_bound_to() {
    let mut t = test!();
    check(
        &mut t,
        "[network]\nbind = [\"unix /srv/in\"]\n",
        "umask 0 -> ok
        socket l stream -> ok
        bind l path /srv/reserved -> EACCES
        bind l path /srv/in/l -> ok
        rename /srv/in/l /srv/reserved -> EACCES
        link /srv/in/l /srv/reserved -> EACCES
        rename /srv/in /srv/reserved -> EXDEV
        rename /srv/in/sub /srv/reserved -> EXDEV
        rename /srv/in/l /srv/in/m -> ok",
    );
}

#[test]
fn in_an_unprivileged_users_namespace_the_same_holds() {
    let mut t = test!();
    rootless::rootless(&mut t);
    let lines = "up -> ok
        socket l stream -> ok
        bind l path /srv/a.sock -> ok
        name l -> 12 /srv/a.sock
        listen l 4 -> ok
        socket a stream -> ok
        connect a path /srv/a.sock -> ok
        accept l b -> ok
        peer b -> uid 0 gid 0
        sendmsg a 0 with descriptors -> sent 4
        receive b -> with and 2 descriptors
        socket m udp4 -> ok
        bind m in 127.0.0.1 8001 -> ok
        socket c udp4 -> ok
        sendto c 0 one in 127.0.0.1 8001 -> sent 3
        receive m -> one
        sendto c 0 one in 127.0.0.2 8001 -> EACCES
        socket d tcp4 -> ok
        connect d in 127.0.0.1 8000 -> ECONNREFUSED
        connect d in 127.0.0.2 8000 -> EACCES";
    check_by(&mut t, HOSTS, lines, |t, profile, commands| {
        drop(prepare(t, profile, commands));
        rootless::give_rootfs(t);
        t.bundle.config["root"]["readonly"] = serde_json::json!(false);
        t.bundle.args(["/talk"]);
        t.bundle.write();
        let file = t.path("rootless.toml");
        fs::write(&file, format!("name = \"network\"\n{profile}")).unwrap();
        let brig = rootless::brig(t).arg("--profile").arg(&file).args(["run", "--bundle"]);
        let input = fs::File::open(t.bundle.file("/commands")).unwrap();
        brig.arg(&t.bundle.dir).arg(t.id("c")).stdin(Stdio::from(input)).run()
    });
}

#[test]
fn an_identity_is_claimed_by_whoever_has_it() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "socket n dgram -> ok
        passcred n -> ok
        bind n abstract talk-1 -> ok
        ids 1000 1000 -> ok
        socket a dgram -> ok
        sendmsg a 0 one credentials abstract talk-1 -> sent 3
        receive n -> one from 1000
        sendto a 0 two abstract talk-1 -> sent 3
        receive n -> two from 1000
        sendmsg a 0 x other-user abstract talk-1 -> EPERM
        sendmsg a 0 x other-process abstract talk-1 -> EPERM",
    );
}

#[test]
fn who_waits_for_a_peer_delays_nobody() {
    let mut t = test!();
    check(
        &mut t,
        &HOSTS.replace("@talk-*", "*"),
        "socket l stream -> ok
        bind l abstract talk-full -> ok
        listen l 0 -> ok
        beside 500 m abstract talk-full -> 500",
    );
}

#[test]
fn a_signal_ends_waiting_or_begins_it_again_as_the_kernel_does() {
    let mut t = test!();
    for (how, answer) in [("once", "EINTR"), ("restart", "ok")] {
        let lines = format!(
            "socket l stream -> ok
            bind l abstract talk-full -> ok
            listen l 0 -> ok
            socket a stream -> ok
            connect a abstract talk-full -> ok
            socket b stream -> ok
            interrupt {how} b l abstract talk-full -> {answer}"
        );
        check(&mut t, HOSTS, &lines);
    }
}

#[test]
fn what_waited_for_callers_that_died_ends() {
    let mut t = test!();
    let commands = "socket l stream\nbind l abstract talk-full\nlisten l 0\nsocket a stream\n\
                    connect a abstract talk-full\nkilled 40 abstract talk-full\n";
    t.bundle.script("/talk < /commands > /done; sleep 1000");
    let brig = prepare(&mut t, HOSTS, commands).args(["create", "--bundle"]);
    t.bundle.write();
    brig.arg(&t.bundle.dir).last_arg(t.id("c")).run().ok();
    let id = t.id("c");
    t.call(["start", &id]).ok();
    let done = || fs::read_to_string(t.bundle.file("/done")).unwrap_or_default();
    until("the end of the callers", || (done().lines().count() == 6).then_some(()));
    assert_eq!(done(), "0\n0\n0\n0\n0\n0\n");
    let pid = supervisor(&t.root(), &id).expect("there is a supervisor");
    let tasks = || fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    let sockets = || {
        let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        held.filter_map(|one| fs::read_link(one.path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    until("the end of what waited", || (tasks() < 20 && sockets() <= 3).then_some(()));
    assert!(process::is_alive(pid));
}

#[test]
fn an_address_that_changes_is_the_one_that_was_decided_about() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket l tcp4 -> ok
        bind l in 127.0.0.1 8000 -> ok
        listen l 4000 -> ok
        flip udp4 3000 in 127.0.0.1 8001 in 127.0.0.2 8001 -> 0 both",
    );
}

#[test]
fn netlink_and_wrong_descriptors_are_the_kernels() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "socket r route -> ok
        bind r unspec -> EINVAL
        connect z abstract x -> EBADF
        connect z in 127.0.0.2 1 -> EBADF
        listen z 1 -> EBADF
        sendto z 0 x in 127.0.0.1 1 -> EBADF
        open z /commands -> ok
        connect z in 127.0.0.1 8000 -> ENOTSOCK
        connect z - -> ENOTSOCK
        bind z - -> ENOTSOCK
        listen z 1 -> ENOTSOCK
        sendmsg z 0 x none -> ENOTSOCK
        sendmmsg z 1 -> ENOTSOCK",
    );
}

/// The bytes of a stream are all sent, however many, and a peer that is gone is told of by SIGPIPE.
#[test]
fn streams_are_sent_whole_and_broken_ones_are_told_of() {
    let mut t = test!();
    check(
        &mut t,
        HOSTS,
        "socket l stream -> ok
        bind l abstract talk-l -> ok
        listen l 4 -> ok
        socket a stream -> ok
        connect a abstract talk-l -> ok
        accept l b -> ok
        drain b 3000000 -> ok
        large a 3000000 0 -> 3000000
        drained -> 3000000
        large a 3000000 0x40 -> some
        close b -> ok
        sendmsg a 0x4000 x none -> EPIPE
        broken a -> EPIPE and the signal",
    );
}

#[test]
fn a_short_pointer_leads_nowhere_else() {
    let mut t = test!();
    if cfg!(not(target_arch = "x86_64")) {
        println!("SKIP: no 32-bit calls beside this architecture");
        return;
    }
    t.bundle.config["linux"]["seccomp"] = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    });
    check(
        &mut t,
        HOSTS,
        "up -> ok
        socket l udp4 -> ok
        bind l in 127.0.0.1 8001 -> ok
        socket a udp4 -> ok
        connect32 a in 127.0.0.2 8001 -> EACCES
        sendmsg32 a in 127.0.0.1 8002 -> -13
        sendmsg32 a in 127.0.0.1 8001 -> 5
        receive l -> short
        connect32 a in 127.0.0.1 8001 -> ok
        sendto a 0 one -> sent 3",
    );
}

#[test]
fn a_path_that_changes_is_bound_where_that_is_granted_or_not_at_all() {
    let mut t = test!();
    check(
        &mut t,
        "[network]\nbind = [\"unix /srv/in/*.sock\"]\n",
        "swap 3000 -> outside 0 below 0",
    );
}

/// What the image's servers and clients do in a container of their own, and what they must not.
#[test]
fn untrusted_code_is_kept_to_the_public_network() {
    let mut t = test!();
    fs::copy(victims::talk(), t.bundle.file("/talk")).unwrap();
    // nothing is up there: what is allowed finds no network
    let lines = [
        ("socket a tcp4", "0"),
        ("connect a in 169.254.169.254 80", EACCES),
        ("connect a in 10.0.0.1 5432", EACCES),
        ("connect a in 1.1.1.1 443", "101"),
        ("socket a tcp6", "0"),
        ("connect a in6 ::ffff:169.254.169.254 80", EACCES),
        ("socket u udp4", "0"),
        ("sendto u 0 x in 169.254.169.254 53", EACCES),
        ("sendto u 0 x in 9.9.9.9 53", "101"),
        ("socket l stream", "0"),
        ("bind l path /tmp/a.sock", "0"),
        ("listen l 1", "0"),
        ("socket c stream", "0"),
        ("connect c path /tmp/a.sock", "0"),
        ("socket d stream", "0"),
        ("bind d path /run/docker.sock", EACCES),
        ("connect d path /run/docker.sock", "2"),
    ];
    let commands: String = lines.iter().map(|(command, _)| format!("{command}\n")).collect();
    fs::write(t.bundle.file("/commands"), commands).unwrap();
    for directory in ["/run", "/tmp", "/data", "/var/tmp"] {
        fs::create_dir_all(t.bundle.file(directory)).unwrap();
    }
    t.bundle.script("/talk < /commands && cp /talk /tmp/talk && ! /tmp/talk && id -u");
    t.bundle.write();
    let brig = t.brig().args(["--profile", "untrusted", "run", "--bundle"]);
    let out = brig.arg(&t.bundle.dir).last_arg(t.id("c")).run().ok();
    let answers: Vec<&str> = out.stdout.lines().collect();
    for (index, (command, expected)) in lines.iter().enumerate() {
        assert_eq!(answers.get(index), Some(expected), "{command}: {answers:#?}");
    }
    assert_eq!(answers.last(), Some(&"0"));
}

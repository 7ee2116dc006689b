// SPDX-License-Identifier: Apache-2.0
//! What policies mean, rule by rule of the language.

#![allow(clippy::unwrap_used)]

mod support;

use brig_policy::decide::{Basis, List, Verdict};
use brig_policy::policy::{Errno, Mode};
use support::{decision, policy};

/// `OPERATION -> allow`, `-> EACCES`, `-> kill`, each perhaps with `by LINE`, one to a line.
fn check(rules: &str, expectations: &str) {
    let policy = policy(rules);
    for line in expectations.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (operation, expected) = line.split_once(" -> ").unwrap();
        let decision = decision(&policy, operation);
        let verdict = match decision.verdict {
            Verdict::Allow => "allow".to_owned(),
            Verdict::Kill => "kill".to_owned(),
            Verdict::Deny { errno } => errno.to_string(),
        };
        let by = decision.rule().map_or(String::new(), |rule| format!(" by {}", rule.origin.line));
        let found = if expected.contains(" by ") { verdict + &by } else { verdict };
        assert_eq!(found, expected, "{operation}: {decision:?}");
    }
}

#[test]
fn a_list_that_is_absent_restricts_nothing() {
    check(
        "",
        "read /etc/shadow -> allow
         create /x -> allow
         execute /bin/sh -> allow
         connect tcp 1.2.3.4:80 -> allow
         bind unix @x -> allow
         syscall mount -> allow
         process user-namespace -> allow
         process new-privileges -> EPERM",
    );
}

#[test]
fn a_list_that_is_present_allows_only_what_it_names_and_an_empty_one_nothing() {
    check(
        "files.read /usr
         files.write
         network.connect
         syscalls.allow read",
        "read /usr/lib/x -> allow by 1
         list / -> EACCES
         read /etc/passwd -> EACCES
         modify /usr/x -> EACCES
         delete /tmp/x -> EACCES
         execute /tmp/x -> allow
         connect tcp 1.2.3.4:80 -> EACCES
         bind tcp 0.0.0.0:80 -> allow
         syscall read -> allow by 4
         syscall write -> EPERM",
    );
}

#[test]
fn a_deny_wins_over_every_grant_and_says_what_would_have_allowed_it() {
    let rules = "files.read /
                 files.deny /etc/shadow
                 files.read /etc/shadow";
    check(rules, "read /etc/shadow -> EACCES by 2\nread /etc/passwd -> allow by 1");
    let denied = decision(&policy(rules), "read /etc/shadow");
    assert_eq!(denied.next_best.map(|rule| rule.origin.line), Some(3));
}

#[test]
fn writing_and_executing_imply_reading() {
    check(
        "files.read
         files.write /srv
         files.execute /bin",
        "read /srv/x -> allow by 2
         list /srv -> allow by 2
         read /bin/sh -> allow by 3
         execute /srv/x -> EACCES
         modify /bin/sh -> EACCES
         read /etc/x -> EACCES",
    );
}

#[test]
fn access_grants_exactly_what_it_names() {
    check(
        "files.read
         files.write /log = create,modify
         files.write /dev = device
         files.write /data",
        "create /log/x -> allow
         modify /log/x -> allow
         delete /log/x -> EACCES
         read /log/x -> EACCES
         device /dev/x -> allow
         create /dev/x -> EACCES
         ioctl /data/tty -> allow
         device /data/sda -> EACCES",
    );
}

#[test]
fn an_exception_matters_to_its_own_rule_only() {
    check(
        "files.deny /srv/**/*.key ! /srv/public
         files.deny /srv/public/secret
         files.read / ! /opt
         files.read /opt/a",
        "read /srv/x/a.key -> EACCES by 1
         read /srv/public/a.key -> allow
         read /srv/public/secret/a.key -> EACCES by 2
         read /opt/b -> EACCES
         read /opt/a/b -> allow by 4",
    );
}

#[test]
fn what_is_masked_does_not_exist() {
    check(
        "files.mask /proc/kcore
         files.deny /proc/k*
         files.mask /root",
        "read /root/.ssh/id -> ENOENT by 3
         read /proc/kcore -> EACCES by 2",
    );
}

#[test]
fn a_rename_needs_both_names_and_the_one_that_is_overwritten() {
    check(
        "files.write /a
         files.write /new = create
         files.write /old = delete",
        "rename /a/x /a/y -> allow
         rename /a/x /new/y -> allow
         rename /old/x /new/y -> allow
         replace /a/x /new/y -> EACCES
         rename /new/x /a/y -> EACCES
         rename /a/x /b -> EACCES
         rename /b /a/x -> EACCES
         exchange /a/x /a/y -> allow
         exchange /a/x /old/y -> EACCES",
    );
}

#[test]
fn a_file_does_not_gain_rights_by_another_name() {
    check(
        "files.write /tmp
         files.write /srv
         files.execute /srv",
        "rename /tmp/x /srv/x -> EXDEV
         rename /srv/x /tmp/x -> allow
         exchange /srv/x /tmp/x -> EXDEV
         link /tmp/x /srv/x -> EXDEV
         link /srv/x /tmp/x -> allow
         link /etc/passwd /tmp/x -> EXDEV
         link /tmp/x /etc/passwd -> EACCES",
    );
    check("files.deny /s", "link /s /t -> EACCES by 1\nrename /s /t -> EACCES by 1");
}

#[test]
fn a_socket_gains_no_way_to_be_connected_to_by_another_name() {
    check(
        "network.connect unix *
         network.deny unix /run/docker.sock",
        "rename socket /run/docker.sock /run/x -> EACCES by 2
         link socket /run/docker.sock /run/x -> EACCES by 2
         exchange socket /run/x /run/docker.sock -> EACCES by 2
         replace socket /run/x /run/y -> allow
         rename /run/ /elsewhere -> EXDEV by 2
         rename /run/docker.sock/ /run/x -> EXDEV by 2
         rename /run/sub/ /run/x -> allow
         rename /run/docker.sock /run/x -> allow
         link /run/docker.sock /run/x -> allow",
    );
    check(
        "network.connect unix /run/app/allowed-*",
        "rename socket /run/app/x /run/app/allowed-x -> EACCES
         link socket /run/app/x /run/app/allowed-x -> EACCES
         rename socket /run/app/allowed-x /run/app/allowed-y -> allow
         rename socket /run/app/allowed-x /run/app/x -> allow
         rename /run/app/x /run/app/allowed-x -> allow
         rename /tmp/d/ /run/app/allowed-d -> EXDEV
         rename /tmp/app/ /run/app -> EXDEV
         rename /tmp/d/ /tmp/e -> allow",
    );
}

#[test]
fn a_socket_gets_no_name_that_it_could_not_have_been_bound_to() {
    check(
        "network.bind unix /run/app/*
         network.deny unix /run/app/reserved",
        "rename socket /run/app/mine /run/app/reserved -> EACCES by 2
         link socket /run/app/mine /run/other -> EACCES
         rename socket /run/app/mine /run/app/yours -> allow
         exchange socket /run/other /run/app/mine -> EACCES
         rename /run/app/d/ /run/d -> EXDEV
         rename /run/app/d/ /run/app/e -> allow
         rename /run/d/ /run/e -> allow",
    );
}

#[test]
fn where_no_rule_tells_the_paths_of_sockets_apart_they_have_any_name() {
    for rules in ["network.connect unix *\nnetwork.bind", "network.bind unix @app-*", ""] {
        check(rules, "rename socket /a /b -> allow\nrename /a/ /b -> allow");
    }
}

#[test]
fn a_directory_is_not_moved_away_from_the_rules_beneath_it() {
    check(
        "files.deny /srv/a/secret
         files.deny /data/**/*.key ! /data/pub",
        "rename /srv/a/ /srv/b -> EXDEV by 1
         rename /srv/a /srv/b -> allow
         rename /srv/ /x -> EXDEV by 1
         rename /srv/c/ /srv/d -> allow
         rename /srv/a/other/ /srv/d -> allow
         rename /data/x/ /data/y -> allow
         rename /data/x/ /y -> EXDEV by 2
         rename /data/x/ /data/pub/y -> EXDEV
         rename /y/ /data/x -> allow
         exchange /y/ /data/x -> EXDEV",
    );
    check(
        "files.write /
         files.execute /opt/app/bin",
        "rename /tmp/x/ /opt/app -> EXDEV
         rename /tmp/x/ /opt/other -> allow",
    );
}

#[test]
fn addresses_are_compared_as_what_they_are() {
    check(
        "network.deny tcp @metadata
         network.connect tcp 169.254.0.0/16
         network.connect tcp @loopback:80
         network.connect udp 10.0.0.0/8 ! udp 10.0.0.53:53",
        "connect tcp 169.254.169.254:80 -> EACCES by 1
         connect tcp [::ffff:169.254.169.254]:80 -> EACCES by 1
         connect tcp 169.254.1.1:80 -> allow by 2
         connect udp 169.254.1.1:80 -> EACCES
         connect tcp 0.0.0.0:80 -> allow by 3
         connect tcp [::]:80 -> allow by 3
         connect tcp [::ffff:0.0.0.0]:80 -> allow by 3
         connect tcp 0.0.0.0:81 -> EACCES
         send udp 10.0.0.53:54 -> allow by 4
         send udp 10.0.0.53:53 -> EACCES
         connect ip 10.0.0.1 -> EACCES
         bind tcp 0.0.0.0:80 -> allow
         bind tcp 169.254.169.254:1 -> EACCES by 1
         connect unix /run/x -> EACCES",
    );
}

#[test]
fn binding_to_the_unspecified_address_is_not_loopback() {
    check(
        "network.bind tcp @loopback",
        "bind tcp 127.0.0.1:80 -> allow\nbind tcp 0.0.0.0:80 -> EACCES\nbind tcp [::]:80 -> EACCES",
    );
}

#[test]
fn a_star_alone_grants_everything_and_denies_everything() {
    let all = "tcp 1.2.3.4:5\nudp [::1]:9\nip 8.8.8.8\nunix /a/b\nunix @a\nunix";
    for endpoint in all.lines() {
        check("network.connect *", &format!("connect {endpoint} -> allow by 1"));
        check("network.bind *", &format!("bind {endpoint} -> allow by 1"));
        check("network.connect *\nnetwork.deny *", &format!("connect {endpoint} -> EACCES by 2"));
        check("network.deny * ! *", &format!("connect {endpoint} -> allow"));
    }
}

#[test]
fn unix_sockets_are_paths_names_or_neither() {
    check(
        r"network.connect unix /run/pg/*
          network.connect unix @app-*
          network.bind unix @*",
        r"connect unix /run/pg/.s.5432 -> allow by 1
          connect unix /run/pg -> EACCES
          connect unix @app-1 -> allow by 2
          connect unix @app-\x00 -> allow by 2
          connect unix @ap -> EACCES
          connect unix -> EACCES
          bind unix -> allow by 3
          bind unix /run/pg/x -> EACCES",
    );
}

#[test]
fn binding_a_unix_socket_to_a_path_makes_a_file() {
    check(
        "network.bind unix /run
         files.write /run/app",
        "bind unix /run/app/s -> allow by 1
         bind unix /run/s -> EACCES
         connect unix /run/s -> allow",
    );
}

#[test]
fn the_stricter_action_holds_for_a_system_call() {
    check(
        "syscalls.allow mount,ioctl,read
         syscalls.deny mount
         syscalls.kill mount
         syscalls.deny ioctl 1=5412",
        "syscall mount -> kill by 3
         syscall ioctl 0 0x5412 -> EPERM by 4
         syscall ioctl 0 0x100005412 -> EPERM by 4
         syscall ioctl 0 0x5413 -> allow by 1
         syscall umount2 -> EPERM",
    );
}

#[test]
fn refusing_user_namespaces_is_about_flags() {
    check(
        "process.user_namespaces false",
        "syscall unshare 0x10000000 -> EPERM by 1
         syscall unshare 0x20000000 -> allow
         syscall clone 0x30000011 -> EPERM by 1
         syscall clone 0x11 -> allow
         syscall clone3 -> ENOSYS by 1
         process user-namespace -> EPERM by 1",
    );
}

#[test]
fn processes_have_limits_and_privileges() {
    check(
        "process.max_processes 5
         process.max_memory 4096
         process.capabilities net_bind_service
         process.core_dumps false
         process.no_new_privileges false",
        "process count 5 -> allow by 1
         process count 6 -> EAGAIN by 1
         process memory 4097 -> ENOMEM by 2
         process capability net_bind_service -> allow by 3
         process capability sys_admin -> EPERM
         process core-dump -> EPERM by 4
         process new-privileges -> allow",
    );
}

#[test]
fn memory_files_run_only_where_everything_does_or_the_policy_says_so() {
    check("", "process memfd-exec -> allow");
    check("files.execute /usr", "process memfd-exec -> EACCES");
    check("files.execute /usr\nprocess.memfd_exec true", "process memfd-exec -> allow by 2");
    check("process.memfd_exec false", "process memfd-exec -> allow");
}

#[test]
fn children_unite_grants_where_both_have_a_list_and_keep_denies() {
    let parent = policy(
        "files.read /usr
         files.deny /usr/secret
         files.execute /bin
         process.max_processes 5",
    );
    let child = policy("files.read /srv\nfiles.deny /srv/secret\nprocess.max_processes 9");
    let united = child.unite(&parent);
    for (operation, expected) in [
        ("read /usr/x", true),
        ("read /srv/x", true),
        ("read /usr/secret", false),
        ("read /srv/secret", false),
        ("execute /bin/sh", true),
        ("execute /srv/x", false),
        ("process count 9", true),
    ] {
        assert_eq!(decision(&united, operation).allows(), expected, "{operation}");
    }
}

#[test]
fn nothing_goes_below_what_is_required() {
    let required = policy(
        "files.read /usr
         process.user_namespaces false
         network.connect tcp *:443",
    );
    let own = policy(
        "files.read /
         process.user_namespaces true
         network.connect *
         audit.mode audit",
    );
    let policy = own.require(&required);
    let denied = decision(&policy, "read /etc/passwd");
    assert!(!denied.allows());
    assert_eq!((denied.basis, denied.mode), (Basis::NotGranted(List::FilesRead), Mode::Enforce));
    assert!(decision(&policy, "read /usr/x").allows());
    assert!(!decision(&policy, "process user-namespace").allows());
    assert!(!decision(&policy, "connect tcp 1.2.3.4:80").allows());
    assert!(decision(&policy, "connect tcp 1.2.3.4:443").allows());
}

#[test]
fn audit_mode_denies_as_before_and_says_that_it_only_logs() {
    let denied = decision(&policy("files.read\naudit.mode audit"), "read /x");
    assert_eq!(denied.verdict, Verdict::Deny { errno: Errno::EACCES });
    assert_eq!(denied.mode, Mode::Audit);
}

#[test]
fn policies_survive_being_stored() {
    let policy = policy(
        r"files.read /a\*b{c,d}
          files.deny /x ! /x/y
          files.write /log = create
          network.connect tcp [2001:db8::/32]:1-2
          network.deny unix @a\x00*
          syscalls.deny ioctl 1=5412
          process.capabilities bpf
          process.max_memory 5
          audit.mode audit",
    );
    let stored = serde_json::to_string(&policy).unwrap();
    let restored: brig_policy::policy::Policy = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, policy);
}

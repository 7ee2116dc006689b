// SPDX-License-Identifier: Apache-2.0
//! What follows from surveys of hosts that are not this one: the table, the object, the document.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use std::collections::BTreeSet;

use brig_policy::seccomp::{self, Arch};
use brig_policy::survey::{
    ACTIONS, Attempt, Caller, Cgroups, Device, Devices, FLAGS, Hierarchy, Kernel, Mode, OPERATORS,
    Own, Placement, Programs, Refusal, Seccomp, Setup, Signs, State, Survey, Top, UserNamespaces,
    features, json, report, rootless_network, text,
};
use brig_policy::target::{Landlock, Limits, Target};
use serde_json::{Value, json as value};

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

fn refusal(call: &str, errno: i32, error: &str) -> Refusal {
    Refusal { call: call.to_owned(), errno, error: error.to_owned() }
}

fn refused<T>(call: &str, errno: i32, error: &str) -> Attempt<T> {
    Attempt::Refused(refusal(call, errno, error))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

fn v2(top: Top, own: &str, writable: bool) -> Cgroups {
    let controllers = strings(&CONTROLLERS);
    let own = Own {
        path: own.to_owned(),
        base: own.to_owned(),
        writable,
        controllers: controllers.clone(),
    };
    let mount_point = "/sys/fs/cgroup".to_owned();
    let hierarchy = Hierarchy { mount_point, controllers, top, own: Some(own) };
    Cgroups { setup: Setup::V2, hierarchies: vec![hierarchy], problem: None }
}

/// Root of a host that has everything.
fn full() -> Survey {
    Survey {
        kernel: Kernel {
            release: "6.18.2".to_owned(),
            version: Some((6, 18)),
            machine: "x86_64".to_owned(),
            arch: Some(Arch::X86_64),
            last_capability: 40,
        },
        caller: Caller {
            uid: 0,
            in_user_namespace: false,
            effective: (1 << 41) - 1,
            locked_memory: None,
        },
        container: Signs::default(),
        namespaces: strings(&["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]),
        user_namespaces: UserNamespaces {
            attempt: Attempt::Works(()),
            most: Some(96365),
            unprivileged_clone: None,
            apparmor_restricts: None,
        },
        cgroups: v2(
            Top { writable: true, is_root: true, occupied: true },
            "/user.slice/user-0.slice/session-1.scope",
            true,
        ),
        landlock: Attempt::Works(Landlock { abi: 7, errata: 7 }),
        seccomp: Seccomp {
            actions: strings(&[
                "KILL_PROCESS",
                "KILL_THREAD",
                "TRAP",
                "ERRNO",
                "USER_NOTIF",
                "TRACE",
                "LOG",
                "ALLOW",
            ]),
            flags: strings(&[
                "TSYNC",
                "LOG",
                "SPEC_ALLOW",
                "NEW_LISTENER",
                "TSYNC_ESRCH",
                "WAIT_KILLABLE_RECV",
            ]),
            notification: Attempt::Works([80, 24, 64]),
            listener: Attempt::Works(()),
            libseccomp: some("2.5.4"),
        },
        overlay: Attempt::Works(()),
        devices: Devices { fuse: Device::Opens, tun: Device::NotLoaded },
        programs: Programs {
            fuse_overlayfs: some("/usr/bin/fuse-overlayfs"),
            fusermount: some("/usr/bin/fusermount3"),
            pasta: some("/usr/bin/pasta"),
            newuidmap: some("/usr/bin/newuidmap"),
            newgidmap: some("/usr/bin/newgidmap"),
        },
        systemd: true,
    }
}

/// Root in a container that an engine allowed to have containers.
fn nested() -> Survey {
    let namespaces = strings(&["cgroup", "ipc", "pid", "uts"]);
    Survey {
        container: Signs { namespaces, marker: some("/run/.containerenv") },
        cgroups: v2(Top { writable: true, is_root: false, occupied: true }, "/", true),
        systemd: false,
        ..full()
    }
}

/// The same, where the engine allowed nothing.
fn enclosed() -> Survey {
    let mut survey = nested();
    survey.caller.effective = 0xa804_25fb;
    survey.cgroups = v2(Top { writable: false, is_root: false, occupied: true }, "/", false);
    survey.user_namespaces.attempt =
        refused("unshare(CLONE_NEWUSER)", 1, "Operation not permitted");
    survey.overlay = refused("unshare(CLONE_NEWUSER)", 1, "Operation not permitted");
    survey.seccomp.listener =
        refused("seccomp(SECCOMP_SET_MODE_FILTER)", 16, "Device or resource busy");
    survey.programs = Programs::default();
    survey.devices = Devices {
        fuse: Device::Refused(refusal("open /dev/fuse", 2, "No such file or directory")),
        tun: Device::Refused(refusal("open /dev/net/tun", 2, "No such file or directory")),
    };
    survey.seccomp.libseccomp = None;
    survey
}

/// A user whom nothing was delegated to.
fn user() -> Survey {
    let own = "/user.slice/user-1000.slice/session-2.scope";
    Survey {
        caller: Caller {
            uid: 1000,
            in_user_namespace: false,
            effective: 0,
            locked_memory: Some(8 << 20),
        },
        cgroups: v2(Top { writable: false, is_root: true, occupied: true }, own, false),
        ..full()
    }
}

/// Debian 12, by root.
fn old() -> Survey {
    let mut survey = full();
    survey.kernel.release = "6.1.0-28-amd64".to_owned();
    survey.kernel.version = Some((6, 1));
    survey.landlock = Attempt::Works(Landlock { abi: 2, errata: 0 });
    survey
}

/// A kernel that has Landlock and was booted without.
fn without_landlock() -> Survey {
    let text = "Operation not supported";
    Survey { landlock: refused("landlock_create_ruleset", 95, text), ..full() }
}

/// A kernel that brig was not made for, on a machine that it does not know.
fn ancient() -> Survey {
    let mut survey = full();
    survey.kernel = Kernel {
        release: "4.19.0".to_owned(),
        version: Some((4, 19)),
        machine: "vax".to_owned(),
        arch: None,
        last_capability: 37,
    };
    survey.namespaces = strings(&["ipc", "mount", "network", "pid", "user", "uts"]);
    survey.landlock = refused("landlock_create_ruleset", 38, "Function not implemented");
    survey.seccomp.actions = strings(&["KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW"]);
    survey.seccomp.flags = strings(&["TSYNC"]);
    survey.seccomp.notification =
        refused("seccomp(SECCOMP_GET_NOTIF_SIZES)", 22, "Invalid argument");
    survey.cgroups = Cgroups { setup: Setup::None, hierarchies: Vec::new(), problem: None };
    survey
}

fn all() -> Vec<(&'static str, Survey)> {
    vec![
        ("full", full()),
        ("nested", nested()),
        ("enclosed", enclosed()),
        ("user", user()),
        ("old", old()),
        ("without_landlock", without_landlock()),
        ("ancient", ancient()),
    ]
}

#[test]
fn the_table() {
    for (name, survey) in all() {
        insta::assert_snapshot!(format!("table_{name}"), text(&survey, "1.2.3"));
    }
}

#[test]
fn the_object() {
    let text = serde_json::to_string_pretty(&json(&user(), "1.2.3")).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn the_mode_and_the_worst_follow_from_the_survey() {
    let expected = [
        (Mode::Full, State::Ok),
        (Mode::Nested, State::Ok),
        (Mode::Degraded, State::Blocking),
        (Mode::Degraded, State::Limited),
        (Mode::Full, State::Optional),
        (Mode::Degraded, State::Limited),
        (Mode::Degraded, State::Blocking),
    ];
    for ((name, survey), expected) in all().into_iter().zip(expected) {
        let report = report(&survey);
        assert_eq!((report.mode, report.worst()), expected, "{name}");
    }
}

/// Each single lack of an otherwise full host, with the check that names it.
#[test]
fn every_lack_is_named_by_its_check_with_its_cost_and_remedy() {
    type Change = fn(&mut Survey);
    let cases: [(&str, State, Change); 12] = [
        ("kernel", State::Limited, |it| it.kernel.version = Some((6, 0))),
        ("kernel", State::Blocking, |it| it.kernel.arch = None),
        ("namespaces", State::Limited, |it| it.namespaces.retain(|one| one != "cgroup")),
        ("user namespaces", State::Limited, |it| {
            it.user_namespaces.attempt = refused("unshare", 1, "Operation not permitted");
        }),
        ("capabilities", State::Limited, |it| it.caller.effective &= !(1 << 24)),
        ("cgroups", State::Limited, |it| it.cgroups.setup = Setup::None),
        ("limits", State::Limited, |it| it.cgroups.hierarchies[0].controllers = strings(&["cpu"])),
        ("Landlock", State::Optional, |it| {
            it.landlock = Attempt::Works(Landlock { abi: 6, errata: 0b101 });
        }),
        ("seccomp", State::Limited, |it| it.seccomp.actions.retain(|one| one != "LOG")),
        ("notifications", State::Optional, |it| {
            it.seccomp.flags.retain(|one| one != "WAIT_KILLABLE_RECV");
        }),
        ("overlayfs", State::Optional, |it| it.overlay = refused("mount", 19, "No such device")),
        ("rootless network", State::Optional, |it| it.programs.pasta = None),
    ];
    for (name, state, change) in cases {
        let mut survey = full();
        change(&mut survey);
        let report = report(&survey);
        let check = report.checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(check.state, state, "{check:?}");
        assert!(check.cost.is_some() && check.remedy.is_some(), "{check:?}");
    }
}

#[test]
fn a_lack_has_a_cost_and_a_remedy_and_nothing_else_has() {
    for (name, survey) in all() {
        for check in report(&survey).checks {
            let is_lack = check.state != State::Ok;
            assert_eq!(
                (check.cost.is_some(), check.remedy.is_some()),
                (is_lack, is_lack),
                "{name}: {check:?}"
            );
        }
    }
}

#[test]
fn a_user_namespace_that_cannot_be_made_has_the_remedy_for_its_cause() {
    let check = |change: fn(&mut Survey), errno: i32, expected: &str| {
        let mut survey = user();
        survey.user_namespaces.attempt = refused("unshare(CLONE_NEWUSER)", errno, "…");
        change(&mut survey);
        let report = report(&survey);
        assert_eq!(report.worst(), State::Blocking);
        let found = report.checks.iter().find(|check| check.name == "user namespaces").unwrap();
        assert!(found.remedy.as_ref().unwrap().contains(expected), "{found:?}");
    };
    check(
        |it| it.user_namespaces.unprivileged_clone = Some(false),
        1,
        "unprivileged_userns_clone=1",
    );
    check(|it| it.user_namespaces.most = Some(0), 28, "max_user_namespaces");
    check(|_| {}, 28, "max_user_namespaces");
    check(|it| it.user_namespaces.apparmor_restricts = Some(true), 13, "AppArmor");
    check(|it| it.container = nested().container, 1, "the engine that runs this container");
    check(|_| {}, 22, "CONFIG_USER_NS");
}

#[test]
fn a_rootless_network_takes_three_things_and_the_missing_one_is_named() {
    assert_eq!(rootless_network(&user()), Ok(()));
    let check = |change: fn(&mut Survey), expected: &str| {
        let mut survey = user();
        change(&mut survey);
        assert_eq!(rootless_network(&survey).unwrap_err(), expected);
    };
    check(|it| it.programs.pasta = None, "the program pasta is not installed");
    check(
        |it| {
            it.devices.tun = Device::Refused(refusal("open /dev/net/tun", 13, "Permission denied"));
        },
        "/dev/net/tun, which pasta needs, cannot be used (open /dev/net/tun: Permission denied)",
    );
    check(
        |it| {
            it.user_namespaces.attempt =
                refused("unshare(CLONE_NEWNET)", 1, "Operation not permitted");
        },
        "a user namespace with a network in it cannot be made (unshare(CLONE_NEWNET): Operation not permitted)",
    );
}

#[test]
fn the_compiler_gets_its_target_from_the_survey() {
    let both = Limits { processes: true, memory: true };
    let landlock = Some(Landlock { abi: 7, errata: 7 });
    let expected = Target { kernel: (6, 18), arch: Arch::X86_64, landlock, limits: both };
    assert_eq!(full().target().as_ref(), Some(&expected));
    assert_eq!(user().target().unwrap().limits, Limits::default());
    assert_eq!(without_landlock().target(), Some(Target { landlock: None, ..expected }));
    assert_eq!(ancient().target(), None);
    let mut nameless = full();
    nameless.kernel.version = None;
    assert_eq!(nameless.target(), None);
}

#[test]
fn containers_go_where_they_can() {
    let parent =
        |survey: Survey| survey.placement().parent().map(|path| path.display().to_string());
    assert_eq!(parent(full()).as_deref(), Some("/brig/containers"));
    assert_eq!(parent(nested()).as_deref(), Some("/containers"));
    assert!(matches!(user().placement(), Placement::Callers { .. }));
}

#[test]
fn a_survey_is_read_back_as_it_was_written() {
    for (_, survey) in all() {
        let text = serde_json::to_string(&survey).unwrap();
        assert_eq!(serde_json::from_str::<Survey>(&text).unwrap(), survey);
    }
}

/// Every key of the object, as `a.b`; lists count once.
fn keys(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                keys(&path, value, found);
                found.insert(path);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| keys(at, one, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_object_is_documented_and_every_documented_key_exists() {
    let mut found = BTreeSet::new();
    for (_, survey) in all() {
        keys("", &json(&survey, "1.2.3"), &mut found);
    }
    let page = include_str!("../src/survey/README.md");
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(documented, found);
}

#[test]
fn the_features_document_is_the_specifications() {
    let schema: Value =
        serde_json::from_str(include_str!("data/oci-features.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, survey) in all() {
        let mut document = features(&survey, "1.2.3", "1.2.0");
        let errors: Vec<_> =
            validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        // and by another reader, which drops what it does not know, and knows fewer architectures
        let archs = document.pointer_mut("/linux/seccomp/archs").and_then(Value::as_array_mut);
        let is_known =
            |arch: &Value| serde_json::from_value::<oci_spec::runtime::Arch>(arch.clone()).is_ok();
        archs.unwrap().retain(is_known);
        let read: oci_spec::runtime::Features = serde_json::from_value(document.clone()).unwrap();
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(without_null(&again), document, "{name}");
    }
}

fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_null(value))).collect())
        }
        Value::Array(list) => list.iter().map(without_null).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_schema_refuses_what_is_not_the_specifications() {
    let schema: Value =
        serde_json::from_str(include_str!("data/oci-features.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let changes: [(&str, Value); 7] = [
        ("/ociVersionMin", value!(1)),
        ("/hooks", value!(["prestop"])),
        ("/linux/namespaces", value!(["net"])),
        ("/linux/capabilities", value!(["chown"])),
        ("/linux/seccomp/archs", value!(["x86_64"])),
        ("/linux/cgroup", value!({ "v3": true })),
        ("/annotations", value!({ "io.brig.mode": 1 })),
    ];
    for (pointer, wrong) in changes {
        let mut document = features(&full(), "1.2.3", "1.2.0");
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&document), "{pointer}");
    }
}

#[test]
fn the_document_follows_the_host() {
    let list = |document: &Value, pointer: &str| -> Vec<String> {
        serde_json::from_value(document.pointer(pointer).unwrap().clone()).unwrap()
    };
    let here = features(&full(), "1.2.3", "1.2.0");
    assert_eq!(list(&here, "/linux/namespaces").len(), 7, "time cannot be asked for");
    assert_eq!(list(&here, "/linux/capabilities").len(), 41);
    assert_eq!(list(&here, "/linux/seccomp/actions").len(), ACTIONS.len());
    assert_eq!(list(&here, "/linux/seccomp/supportedFlags"), FLAGS);
    assert_eq!(here["annotations"]["io.brig.landlock.abi"], "7");
    let there = features(&ancient(), "1.2.3", "1.2.0");
    assert!(!list(&there, "/linux/namespaces").contains(&"cgroup".to_owned()));
    assert_eq!(list(&there, "/linux/capabilities").last().unwrap(), "CAP_AUDIT_READ");
    assert!(!list(&there, "/linux/seccomp/actions").contains(&"SCMP_ACT_NOTIFY".to_owned()));
    assert!(list(&there, "/linux/seccomp/actions").contains(&"SCMP_ACT_KILL".to_owned()));
    assert_eq!(list(&there, "/linux/seccomp/knownFlags"), FLAGS);
    assert_eq!(list(&there, "/linux/seccomp/supportedFlags"), ["SECCOMP_FILTER_FLAG_TSYNC"]);
    assert_eq!(there["annotations"].get("io.brig.landlock.abi"), None);
}

#[test]
fn what_the_document_says_of_seccomp_is_what_is_read() {
    let actions = ACTIONS.iter().filter(|(name, _)| *name != "SCMP_ACT_NOTIFY");
    let rules: Vec<Value> = actions
        .map(|(name, _)| value!({ "names": ["read"], "action": name }))
        .chain(OPERATORS.iter().map(|operator| {
            let args = value!([{ "index": 0, "value": 1, "op": operator }]);
            value!({ "names": ["write"], "action": "SCMP_ACT_ALLOW", "args": args })
        }))
        .collect();
    let architectures: Vec<&str> = Arch::all().map(Arch::oci_name).collect();
    let written = value!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "flags": FLAGS,
        "syscalls": rules,
    });
    seccomp::parse(&written).unwrap();
}

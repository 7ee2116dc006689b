// SPDX-License-Identifier: Apache-2.0
//! What a policy makes of a specification, rule by rule and at the edges.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use brig_policy::policy::{Mode, Origin, Policy, Setting};
use brig_policy::seccomp::{
    self, Action, Answer, Arch, Input, Restriction, SeccompData, Selects, Syscall,
};
use brig_policy::spec::{
    self, Effect, Host, Tightened, UserNamespace, tighten, tighten_process, tighten_update,
};
use brig_policy::target::{Limits, Target};
use oci_spec::runtime::{LinuxResources, Spec};
use serde_json::{Value, json};
use support::policy;

const ALL: Limits = Limits { processes: true, memory: true };

fn target(kernel: (u32, u32), limits: Limits) -> Target {
    Target { kernel, arch: Arch::X86_64, landlock: None, limits }
}

fn spec(process: Value, linux: Value) -> Spec {
    let mut whole = json!({
        "ociVersion": "1.0.2", "root": { "path": "rootfs" },
        "process": { "cwd": "/", "args": ["sh"], "user": { "uid": 0, "gid": 0 } },
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
    });
    for (to, from) in [("process", process), ("linux", linux)] {
        for (name, value) in from.as_object().unwrap() {
            whole[to][name] = value.clone();
        }
    }
    spec::load(whole.to_string().as_bytes()).unwrap().spec
}

fn apply_on(spec: &Spec, policy: &Policy, target: &Target) -> Tightened {
    tighten(spec, policy, Host { target, user_namespace: UserNamespace::Initial })
}

fn apply(spec: &Spec, policy: &Policy) -> Tightened {
    apply_on(spec, policy, &target((6, 18), ALL))
}

/// The field at a JSON pointer of what comes out.
fn field(result: &Tightened, pointer: &str) -> Value {
    let value = serde_json::to_value(&result.spec).unwrap();
    value.pointer(pointer).cloned().unwrap_or(Value::Null)
}

fn rules(result: &Tightened) -> Vec<String> {
    result.changes.iter().map(|change| format!("{} {}", change.field, change.rule)).collect()
}

#[test]
fn all_five_sets_lose_what_is_not_kept_and_absent_sets_stay_absent() {
    let names = json!(["CAP_CHOWN", "CAP_NET_RAW"]);
    let sets = json!({ "bounding": names, "effective": names, "permitted": names,
        "inheritable": names, "ambient": names });
    let kept = policy("process.capabilities chown\nprocess.capabilities kill");
    let result = apply(&spec(json!({ "capabilities": sets }), json!({})), &kept);
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        let found = field(&result, &format!("/process/capabilities/{set}"));
        assert_eq!(found, json!(["CAP_CHOWN"]), "{set}");
    }
    let bounding = json!({ "capabilities": { "bounding": names } });
    let result = apply(&spec(bounding, json!({})), &policy("process.capabilities"));
    assert_eq!(field(&result, "/process/capabilities"), json!({ "bounding": [] }));
    assert_eq!(rules(&result)[0], "process.capabilities process.capabilities = []");
    let result = apply(&spec(json!({}), json!({})), &kept);
    assert_eq!(field(&result, "/process/capabilities"), Value::Null);
}

#[test]
fn no_new_privileges_is_set_by_default_and_never_taken_away() {
    let off = policy("process.no_new_privileges false");
    for (given, policy, expected) in [
        (json!(false), &policy(""), json!(true)),
        (Value::Null, &policy(""), json!(true)),
        (json!(false), &off, json!(false)),
        (json!(true), &off, json!(true)),
    ] {
        let result = apply(&spec(json!({ "noNewPrivileges": given }), json!({})), policy);
        assert_eq!(field(&result, "/process/noNewPrivileges"), expected);
    }
}

#[test]
fn a_required_layer_holds_beside_the_profile() {
    let off = policy("process.no_new_privileges false\nprocess.max_processes 90");
    let required = policy("process.max_processes 30\nfiles.mask /secret");
    let result = apply(&spec(json!({}), json!({})), &off.require(&required));
    assert_eq!(field(&result, "/process/noNewPrivileges"), json!(true));
    assert_eq!(field(&result, "/linux/resources/pids/limit"), json!(30));
    assert_eq!(field(&result, "/linux/maskedPaths"), json!(["/secret"]));
}

#[test]
fn core_dumps_are_limited_to_nothing() {
    let none = policy("process.core_dumps false");
    let limit = |soft: u64, hard: u64| json!({ "type": "RLIMIT_CORE", "soft": soft, "hard": hard });
    for given in [json!([]), json!([limit(0, u64::MAX)]), json!([limit(7, 9)])] {
        let result = apply(&spec(json!({ "rlimits": given }), json!({})), &none);
        assert_eq!(field(&result, "/process/rlimits"), json!([limit(0, 0)]), "{given}");
    }
    let other = json!([{ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 2 }]);
    let result = apply(&spec(json!({ "rlimits": other }), json!({})), &policy(""));
    assert_eq!(field(&result, "/process/rlimits"), other);
}

#[test]
fn the_smaller_limit_of_processes_holds() {
    let limited = policy("process.max_processes 100");
    for (given, expected) in [
        (json!({}), 100),
        (json!({ "pids": { "limit": 0 } }), 100),
        (json!({ "pids": { "limit": -1 } }), 100),
        (json!({ "pids": { "limit": 500 } }), 100),
        (json!({ "pids": { "limit": 5 } }), 5),
        (json!({ "pids": { "limit": 50 }, "unified": { "pids.max": "max" } }), 50),
        (json!({ "pids": { "limit": 50 }, "unified": { "pids.max": "7" } }), 7),
        (json!({ "unified": { "pids.max": "1000" } }), 100),
        (json!({ "unified": { "pids.max": "0" } }), 1),
    ] {
        let result = apply(&spec(json!({}), json!({ "resources": given })), &limited);
        assert_eq!(field(&result, "/linux/resources/pids/limit"), json!(expected), "{given}");
        assert_eq!(field(&result, "/linux/resources/unified/pids.max"), Value::Null);
    }
}

#[test]
fn memory_is_limited_together_with_swap() {
    let limited = policy("process.max_memory 1000");
    for (given, limit, swap) in [
        (json!({}), 1000, 1000),
        (json!({ "memory": {} }), 1000, 1000),
        (json!({ "memory": { "limit": -1, "swap": -1 } }), 1000, 1000),
        (json!({ "memory": { "limit": 0, "swap": 0 } }), 1000, 1000),
        (json!({ "memory": { "limit": 500, "swap": 2000 } }), 500, 1000),
        (json!({ "memory": { "limit": 500, "swap": -1 } }), 500, 1000),
        (json!({ "memory": { "limit": 500, "swap": 600 } }), 500, 600),
        (json!({ "memory": { "limit": 2000, "swap": 2000 } }), 1000, 1000),
        (json!({ "memory": { "swap": 300 } }), 300, 300),
        (json!({ "unified": { "memory.max": "max", "memory.swap.max": "max" } }), 1000, 1000),
        (json!({ "unified": { "memory.max": "400", "memory.swap.max": "100" } }), 400, 500),
        (json!({ "unified": { "memory.max": "1K" } }), 1000, 1000),
        (json!({ "unified": { "memory.max": "010" } }), 1, 1000),
        (json!({ "memory": { "limit": 200 }, "unified": { "memory.swap.max": "0" } }), 200, 200),
    ] {
        let result = apply(&spec(json!({}), json!({ "resources": given })), &limited);
        let found = field(&result, "/linux/resources/memory");
        assert_eq!((&found["limit"], &found["swap"]), (&json!(limit), &json!(swap)), "{given}");
        assert!(!field(&result, "/linux/resources").to_string().contains("max"), "{given}");
    }
}

#[test]
fn a_limit_that_the_target_lacks_is_reported_and_nothing_is_changed() {
    let limited = policy("process.max_processes 100\nprocess.max_memory 1000");
    let target = target((6, 18), Limits::default());
    let before = spec(json!({ "noNewPrivileges": true }), json!({}));
    let result = apply_on(&before, &limited, &target);
    let said: Vec<String> = result.unenforced.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("test:1, max_processes = 100: the container gets no cgroup"));
    assert!(said[1].contains("test:2, max_memory = 1000"), "{said:?}");
    assert_eq!(result.spec, before);
}

#[test]
fn masks_that_are_no_plain_path_are_handed_back() {
    let masks = policy("files.mask /a\nfiles.mask /b/*\nfiles.mask /\nfiles.mask /\\xff");
    let result = apply(&spec(json!({}), json!({ "maskedPaths": ["/x", "/a/"] })), &masks);
    assert_eq!(field(&result, "/linux/maskedPaths"), json!(["/x", "/a/"]));
    let left: Vec<&str> = result.patterns.iter().map(|rule| rule.pattern.text()).collect();
    assert_eq!(left, ["/b/*", "/", "/\\xff"]);
}

#[test]
fn a_layer_that_audits_says_what_it_would_change_and_changes_nothing() {
    let text = "process.no_new_privileges true\nprocess.user_namespaces false\nfiles.mask /a\n\
                process.max_memory 1000\nfiles.execute /usr\nfiles.mask /b/*";
    let mut audits = policy(text);
    audits.audit.mode = Some(Setting::new(Mode::Audit, Origin::new("test", 9, 1, "audit")));
    let before = spec(json!({}), json!({}));
    let result = apply_on(&before, &audits, &target((6, 18), Limits::default()));
    assert_eq!(result.spec, before);
    assert!(result.changes.iter().all(|change| change.effect == Effect::Audited));
    assert!(rules(&result).iter().any(|rule| rule.contains("maskedPaths")));
    assert!(result.restrictions.iter().all(|one| one.answer == Answer::Log));
    assert!(result.unenforced.is_empty() && result.patterns.is_empty());
}

const SYSCTL: &str = "/linux/sysctl/vm.memfd_noexec";

#[test]
fn memory_files_are_not_executable_in_a_pid_namespace_of_the_containers_own() {
    let execute = policy("files.execute /usr");
    let result = apply(&spec(json!({}), json!({ "sysctl": { "vm/memfd_noexec": "0" } })), &execute);
    assert_eq!(field(&result, "/linux/sysctl"), json!({ "vm.memfd_noexec": "2" }));
    assert_eq!(field(&result, "/linux/readonlyPaths"), json!(["/proc/sys/vm/memfd_noexec"]));
    assert!(result.restrictions.is_empty());
    spec::validate(&result.spec).unwrap();
    let closed = spec(json!({}), json!({ "readonlyPaths": ["/proc/sys"] }));
    let result = apply(&closed, &execute);
    assert_eq!(field(&result, "/linux/readonlyPaths"), json!(["/proc/sys"]));
    for text in ["", "files.execute /usr\nprocess.memfd_exec true"] {
        let result = apply(&spec(json!({}), json!({})), &policy(text));
        assert_eq!(field(&result, SYSCTL), Value::Null, "{text}");
        assert!(result.restrictions.is_empty());
    }
}

/// What a program of these restrictions alone answers.
fn answers(restrictions: &[Restriction], name: &str, args: [u64; 6]) -> Action {
    let native = Arch::X86_64;
    let input = Input { spec: None, restrictions, mediated: &[], native };
    let program = seccomp::compile(&input).unwrap().program;
    let nr = Syscall::from_name(name).unwrap().number(native).unwrap();
    let data = SeccompData { nr, arch: native.token(), instruction_pointer: 0, args };
    seccomp::run(&program, &data, native).unwrap().action
}

#[test]
fn where_the_parameter_cannot_be_set_the_call_must_ask_for_it() {
    let execute = policy("files.execute /usr");
    let pid = |one: Value| json!({ "namespaces": [one, { "type": "mount" }] });
    let user = json!({ "namespaces": [{ "type": "pid" }, { "type": "user" }] });
    let newest = target((6, 18), ALL);
    let initial = UserNamespace::Initial;
    for (linux, user_namespace) in [
        (pid(json!({ "type": "ipc" })), initial),
        (pid(json!({ "type": "pid", "path": "/proc/7/ns/pid" })), initial),
        (user, initial),
        (json!({}), UserNamespace::Nested),
    ] {
        let host = Host { target: &newest, user_namespace };
        let result = tighten(&spec(json!({}), linux.clone()), &execute, host);
        assert_eq!(field(&result, SYSCTL), Value::Null, "{linux}");
        let ask = |flags| answers(&result.restrictions, "memfd_create", [0, flags, 0, 0, 0, 0]);
        assert_eq!(ask(0), Action::Errno(13), "{linux}");
        assert_eq!(ask(0x10), Action::Errno(13));
        assert_eq!(ask(0x9), Action::Allow);
    }
    let result = apply_on(&spec(json!({}), json!({})), &execute, &target((6, 2), ALL));
    assert_eq!(field(&result, SYSCTL), Value::Null);
    let flags = [0, 9, 0, 0, 0, 0];
    assert_eq!(answers(&result.restrictions, "memfd_create", flags), Action::Errno(13));
}

#[test]
fn user_namespaces_can_be_neither_made_nor_joined() {
    let none = policy("process.user_namespaces false");
    let result = apply(&spec(json!({}), json!({})), &none);
    let (newuser, newnet) = (0x1000_0000, 0x4000_0000);
    let ask = |name, args| answers(&result.restrictions, name, args);
    assert_eq!(ask("unshare", [newuser | newnet, 0, 0, 0, 0, 0]), Action::Errno(1));
    assert_eq!(ask("unshare", [newnet, 0, 0, 0, 0, 0]), Action::Allow);
    assert_eq!(ask("clone", [newuser | 17, 0, 0, 0, 0, 0]), Action::Errno(1));
    assert_eq!(ask("clone", [17, 0, 0, 0, 0, 0]), Action::Allow);
    assert_eq!(ask("clone3", [0; 6]), Action::Errno(38));
    assert_eq!(ask("setns", [3, newuser, 0, 0, 0, 0]), Action::Errno(1));
    assert_eq!(ask("setns", [3, 0, 0, 0, 0, 0]), Action::Errno(1));
    assert_eq!(ask("setns", [3, newnet, 0, 0, 0, 0]), Action::Allow);
    let labelled = |one: &Restriction| {
        one.label.contains("test:1") && matches!(one.selects, Selects::These(_))
    };
    assert!(result.restrictions.iter().all(labelled));
}

#[test]
fn an_added_process_gets_no_more_than_the_first() {
    let text = "process.capabilities chown\nprocess.core_dumps false";
    let names = json!(["CAP_CHOWN", "CAP_SYS_ADMIN"]);
    let process = json!({ "cwd": "/", "args": ["sh"], "user": { "uid": 0, "gid": 0 },
        "capabilities": { "bounding": names, "permitted": names } });
    let process = spec::load_process(process.to_string().as_bytes()).unwrap();
    let (process, changes) = tighten_process(&process, &policy(text));
    let found = serde_json::to_value(&process).unwrap();
    assert_eq!(found["capabilities"]["permitted"], json!(["CAP_CHOWN"]));
    assert_eq!(found["noNewPrivileges"], json!(true));
    assert_eq!(found["rlimits"][0]["hard"], json!(0));
    assert_eq!(changes.len(), 3);
}

#[test]
fn new_limits_must_be_within_the_policys() {
    let limited = policy("process.max_processes 100\nprocess.max_memory 1000");
    let ask = |given: Value| -> Result<LinuxResources, String> {
        let resources: LinuxResources = spec::load_resources(given).unwrap();
        tighten_update(&resources, &limited).map_err(|above| above[0].to_string())
    };
    for given in [
        json!({ "pids": { "limit": 100 } }),
        json!({ "memory": { "limit": 1000, "swap": 1000 } }),
        json!({ "memory": { "reservation": 5000 } }),
        json!({ "cpu": { "shares": 7 } }),
    ] {
        let expected: LinuxResources = spec::load_resources(given.clone()).unwrap();
        assert_eq!(ask(given), Ok(expected));
    }
    let with_swap = ask(json!({ "memory": { "limit": 500 } })).unwrap();
    assert_eq!(with_swap.memory().unwrap().swap(), Some(1000));
    for given in [
        json!({ "pids": { "limit": 101 } }),
        json!({ "pids": { "limit": -1 } }),
        json!({ "memory": { "limit": -1 } }),
        json!({ "memory": { "limit": 500, "swap": 1001 } }),
        json!({ "unified": { "memory.max": "max" } }),
        json!({ "unified": { "pids.max": "200" } }),
    ] {
        assert!(ask(given.clone()).unwrap_err().contains("test:"), "{given}");
    }
}

#[test]
fn the_parameter_is_a_specifications_own_only_with_its_own_pid_namespace() {
    let sysctl = json!({ "vm.memfd_noexec": "1" });
    let faults = |namespace: Value| {
        let linux = json!({ "sysctl": sysctl, "namespaces": [namespace, { "type": "mount" }] });
        spec::validate(&spec(json!({}), linux)).map_err(|errors| errors.to_string())
    };
    assert_eq!(faults(json!({ "type": "pid" })), Ok(()));
    for namespace in [json!({ "type": "ipc" }), json!({ "type": "pid", "path": "/proc/7/ns/pid" })]
    {
        assert!(faults(namespace).unwrap_err().contains("needs a pid namespace"));
    }
}

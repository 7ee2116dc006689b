// SPDX-License-Identifier: Apache-2.0
//! "Only tighter", for generated specifications and policies: whatever a policy says, the container
//! may do no more than its specification alone allows.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use brig_policy::policy::Policy;
use brig_policy::seccomp::Arch;
use brig_policy::spec::{
    self, CapabilitySets, Host, Tightened, UserNamespace, tighten, tighten_process,
};
use brig_policy::target::{Limits, Target};
use oci_spec::runtime::{LinuxResources, Spec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use support::policy;

const CAPABILITIES: [&str; 6] =
    ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_SETUID"];
const PATHS: [&str; 6] = ["/a", "/a/", "/a/b", "/proc/sys", "/proc/sys/vm", "/b"];
const SYSCTLS: [&str; 3] = ["vm.memfd_noexec", "vm/memfd_noexec", "net.ipv4.ip_forward"];
const RULES: [&str; 26] = [
    "process.no_new_privileges true",
    "process.no_new_privileges false",
    "process.user_namespaces true",
    "process.user_namespaces false",
    "process.core_dumps true",
    "process.core_dumps false",
    "process.memfd_exec true",
    "process.memfd_exec false",
    "process.max_processes 1",
    "process.max_processes 50",
    "process.max_processes 18446744073709551615",
    "process.max_memory 4096",
    "process.max_memory 60",
    "process.capabilities",
    "process.capabilities chown",
    "process.capabilities net_raw",
    "process.capabilities sys_admin",
    "process.capabilities bpf",
    "files.execute",
    "files.execute /usr",
    "files.mask /a",
    "files.mask /b",
    "files.mask /proc/sys",
    "files.mask /",
    "files.mask /*/x",
    "audit.mode audit",
];

fn some<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> BoxedStrategy<Vec<T>> {
    subsequence(values, 0..=values.len()).boxed()
}

fn sets() -> impl Strategy<Value = Value> {
    let set = || prop::option::of(some(&CAPABILITIES));
    prop::option::of([set(), set(), set(), set(), set()]).prop_map(|sets| {
        let Some(sets) = sets else { return Value::Null };
        let names = ["bounding", "effective", "permitted", "inheritable", "ambient"];
        names.into_iter().zip(sets).filter_map(|(name, set)| Some((name, set?))).collect()
    })
}

fn process() -> impl Strategy<Value = Value> {
    let limit = |name: &'static str| {
        let pair = prop::option::of((0..9_u64, 0..9_u64));
        pair.prop_map(move |pair| {
            let (soft, more) = pair?;
            Some(json!({ "type": name, "soft": soft, "hard": soft + more }))
        })
    };
    let limits = (limit("RLIMIT_CORE"), limit("RLIMIT_NOFILE"));
    (sets(), any::<Option<bool>>(), limits).prop_map(|(sets, no_new_privileges, (core, files))| {
        let limits: Vec<Value> = [files, core].into_iter().flatten().collect();
        let mut process = json!({ "cwd": "/", "args": ["sh"], "user": { "uid": 0, "gid": 0 } });
        process["capabilities"] = sets;
        process["noNewPrivileges"] = no_new_privileges.into();
        process["rlimits"] = limits.into();
        process
    })
}

fn resources() -> impl Strategy<Value = Value> {
    let number = || prop::option::of(select(&[-1_i64, 0, 1, 40, 60, 100, 9000][..]));
    let file = || prop::option::of(select(&["max", "0", "30", "70", "1K", "what"][..]));
    let typed = (number(), number(), number());
    (typed, file(), file(), file()).prop_map(|((pids, limit, swap), a, b, c)| {
        let mut resources = json!({ "memory": { "limit": limit, "swap": swap } });
        if let Some(pids) = pids {
            resources["pids"] = json!({ "limit": pids });
        }
        let files = [("pids.max", a), ("memory.max", b), ("memory.swap.max", c)];
        let files = files.into_iter().filter_map(|(name, text)| Some((name, text?)));
        resources["unified"] = files.collect();
        resources
    })
}

fn specs() -> impl Strategy<Value = Spec> {
    let namespaces = select(&["pid", "user", "joined", "none"][..]);
    let paths = (some(&PATHS), some(&PATHS), some(&SYSCTLS));
    let linux = (namespaces, paths, prop::option::of(resources()));
    (process(), linux).prop_map(|(process, (namespace, (masked, read_only, names), resources))| {
        let namespace = match namespace {
            "joined" => json!([{ "type": "pid", "path": "/proc/7/ns/pid" }]),
            "none" => json!([]),
            "user" => json!([{ "type": "pid" }, { "type": "user" }]),
            kind => json!([{ "type": kind }]),
        };
        let sysctls: Value = names.into_iter().map(|name| (name, "1")).collect();
        let mounts = json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]);
        let whole = json!({
            "ociVersion": "1.0.2", "root": { "path": "rootfs" }, "process": process,
            "mounts": mounts, "hostname": "h", "linux": {
                "namespaces": namespace, "maskedPaths": masked, "readonlyPaths": read_only,
                "sysctl": sysctls, "resources": resources,
            },
        });
        spec::load(whole.to_string().as_bytes()).unwrap().spec
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let one = || some(&RULES).prop_map(|rules| policy(&rules.join("\n")));
    (one(), prop::option::of(one())).prop_map(|(policy, required)| match required {
        Some(required) => policy.require(&required),
        None => policy,
    })
}

fn targets() -> impl Strategy<Value = (Target, UserNamespace)> {
    let kernel = select(&[(6, 1), (6, 3), (6, 18)][..]);
    let nested = select(&[UserNamespace::Initial, UserNamespace::Nested][..]);
    (kernel, any::<bool>(), any::<bool>(), nested).prop_map(
        |(kernel, processes, memory, nested)| {
            let limits = Limits { processes, memory };
            (Target { kernel, arch: Arch::X86_64, landlock: None, limits }, nested)
        },
    )
}

fn apply(
    spec: &Spec,
    policy: &Policy,
    (target, user_namespace): &(Target, UserNamespace),
) -> Tightened {
    tighten(spec, policy, Host { target, user_namespace: *user_namespace })
}

fn capabilities(spec: &Spec) -> CapabilitySets {
    CapabilitySets::from_spec(spec.process().as_ref().and_then(|it| it.capabilities().as_ref()))
}

fn within(inner: u64, outer: u64) -> bool {
    inner & !outer == 0
}

fn read_only(spec: &Spec) -> BTreeSet<String> {
    spec.linux().iter().flat_map(|it| it.readonly_paths().clone().unwrap_or_default()).collect()
}

fn masked(spec: &Spec) -> BTreeSet<String> {
    spec.linux().iter().flat_map(|it| it.masked_paths().clone().unwrap_or_default()).collect()
}

/// What a bound is worth: none, or one of 0 and less, is no bound.
fn worth(bound: Option<i64>) -> i64 {
    bound.filter(|bound| *bound > 0).unwrap_or(i64::MAX)
}

/// Processes, memory, and memory with swap, as the kernel has them in the end: the files of cgroup
/// v2 are written last.
fn effective(spec: &Spec) -> (i64, i64, i64) {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().clone());
    let resources: LinuxResources = resources.unwrap_or_default();
    let memory = resources.memory().unwrap_or_default();
    let file = |name: &str| match resources.unified().as_ref()?.get(name)?.as_str() {
        "max" => Some(i64::MAX),
        "1K" => Some(1024),
        number => number.parse().ok(),
    };
    let processes = worth(resources.pids().as_ref().map(|pids| pids.limit()));
    // a byte is no page, a process that is there is one: 1 is worth as little as 0
    let least = |limit: i64| limit.max(1);
    let limit = file("memory.max").map_or(worth(memory.limit()), least);
    let both = match file("memory.swap.max") {
        Some(swap) => limit.saturating_add(swap),
        None => worth(memory.swap()),
    };
    (file("pids.max").map_or(processes, least), limit, both)
}

fn rlimits(spec: &Spec) -> Vec<(String, u64, u64)> {
    let limits = spec.process().iter().flat_map(|it| it.rlimits().clone().unwrap_or_default());
    limits.map(|one| (one.typ().to_string(), one.soft(), one.hard())).collect()
}

/// What no policy has anything to say about.
fn untouched(spec: &Spec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap();
    for field in ["capabilities", "noNewPrivileges", "rlimits"] {
        value["process"].as_object_mut().unwrap().remove(field);
    }
    for field in ["maskedPaths", "readonlyPaths", "resources", "sysctl"] {
        value["linux"].as_object_mut().unwrap().remove(field);
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_process_gets_no_more(spec in specs(), policy in policies(), host in targets()) {
        let result = apply(&spec, &policy, &host).spec;
        let (before, after) = (capabilities(&spec), capabilities(&result));
        prop_assert!(within(after.bounding, before.bounding));
        prop_assert!(within(after.effective, before.effective));
        prop_assert!(within(after.permitted, before.permitted));
        prop_assert!(within(after.inheritable, before.inheritable));
        prop_assert!(within(after.ambient, before.ambient));
        let sets = |spec: &Spec| spec.process().as_ref().unwrap().no_new_privileges() == Some(true);
        prop_assert!(sets(&result) || !sets(&spec));
        for (name, soft, hard) in rlimits(&spec) {
            let found = rlimits(&result).into_iter().find(|one| one.0 == name).unwrap();
            prop_assert!(found.1 <= soft && found.2 <= hard, "{name}");
        }
    }

    #[test]
    fn paths_are_only_closed_and_limits_only_fall(
        spec in specs(), policy in policies(), host in targets(),
    ) {
        let result = apply(&spec, &policy, &host).spec;
        prop_assert!(masked(&result).is_superset(&masked(&spec)));
        prop_assert!(read_only(&result).is_superset(&read_only(&spec)));
        let (before, after) = (effective(&spec), effective(&result));
        prop_assert!(after.0 <= before.0, "processes {before:?} {after:?}");
        prop_assert!(after.1 <= before.1, "memory {before:?} {after:?}");
        prop_assert!(after.2 <= before.2, "swap {before:?} {after:?}");
        prop_assert_eq!(untouched(&spec), untouched(&result));
    }

    #[test]
    fn what_is_limited_is_limited(spec in specs(), policy in policies(), host in targets()) {
        let result = apply(&spec, &policy, &host);
        let after = effective(&result.spec);
        let enforces = |layer: &&Policy| layer.audit.mode.is_none();
        for layer in policy.layers().filter(enforces) {
            let limit = |setting: &Option<brig_policy::policy::Setting<u64>>| {
                let value = setting.as_ref().map(|setting| setting.value);
                value.and_then(|value| i64::try_from(value).ok()).unwrap_or(i64::MAX)
            };
            if host.0.limits.processes {
                prop_assert!(after.0 <= limit(&layer.process.max_processes));
            }
            if host.0.limits.memory {
                prop_assert!(after.1 <= limit(&layer.process.max_memory), "{after:?}");
                prop_assert!(after.2 <= limit(&layer.process.max_memory), "{after:?}");
            }
            if let Some(kept) = &layer.process.capabilities {
                let kept = kept.iter().fold(0, |mask, rule| mask | 1 << rule.capability.number());
                prop_assert!(within(capabilities(&result.spec).union(), kept));
            }
        }
    }

    #[test]
    fn twice_is_once(spec in specs(), policy in policies(), host in targets()) {
        let once = apply(&spec, &policy, &host);
        let twice = apply(&once.spec, &policy, &host);
        prop_assert_eq!(&twice.spec, &once.spec);
        prop_assert_eq!(&twice.restrictions, &once.restrictions);
        let process = once.spec.process().as_ref().unwrap();
        prop_assert_eq!(&tighten_process(process, &policy).0, process);
    }
}

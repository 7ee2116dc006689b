// SPDX-License-Identifier: Apache-2.0
//! Properties of the language, on profiles made of many kinds of rules; and of the
//! profiles that brig brings along.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking
#![allow(clippy::disallowed_methods)] // a test reads the documentation beside it

mod reading;

#[path = "../../fuzz/checks/profile_parse.rs"]
#[allow(dead_code)]
mod profile_parse;

use std::path::Path;

use brig_policy::decide::{Decider, Operation};
use brig_policy::policy::Policy;
use brig_policy::profile::{self, lint, print};
use profile_parse::without_places;
use proptest::prelude::*;
use reading::{read, resolved, shown};

/// Sections, lists and rules of each kind.
const RULES: &[(&str, &str, &str)] = &[
    ("files", "read", r#""/usr""#),
    (
        "files",
        "read",
        r#"{ path = "/srv", except = ["/srv/*.key", "/srv/x"], reason = "\u00e4\n\"" }"#,
    ),
    ("files", "read", r"'/a\x22\*/**/[!a-c]?'"),
    ("files", "write", r#""/tmp""#),
    (
        "files",
        "write",
        r#"{ path = "/spool/{a,b}", access = ["create", "device"], required = true }"#,
    ),
    ("files", "write", r#""/srv/$${x}""#),
    ("files", "execute", r#""/usr/bin""#),
    ("files", "deny", r#""/etc/shadow""#),
    ("files", "deny", r#"{ path = "/srv/**/*.key", except = ["/srv/public"] }"#),
    ("files", "mask", r#"{ path = "/proc/kcore", reason = "memory" }"#),
    ("network", "connect", r#""tcp 10.0.0.0/8:5432""#),
    ("network", "connect", r#"{ address = "udp @public", except = ["udp *:53"] }"#),
    ("network", "connect", r#""tcp [2001:db8::/32]:443""#),
    ("network", "bind", r#""unix @app-*""#),
    ("network", "bind", r#""tcp *:8000-8080""#),
    ("network", "deny", r#""ip @metadata""#),
    ("network", "deny", r#""unix /run/docker.sock""#),
    ("syscalls", "allow", r#""@system-service""#),
    ("syscalls", "allow", r#"{ name = "socket", arg = 0, equals = "AF_UNIX" }"#),
    ("syscalls", "deny", r#"{ name = "@mount", except = ["chroot"], errno = "ENOSYS" }"#),
    (
        "syscalls",
        "deny",
        r#"{ name = "ioctl", arg = 1, equals = "TIOCSTI", reason = "terminals" }"#,
    ),
    (
        "syscalls",
        "deny",
        r#"{ name = "mmap", arg = 3, mask = "0xffffffff00000000", not_equals = 0 }"#,
    ),
    (
        "syscalls",
        "deny",
        r#"{ name = "clone", args = [{ arg = 0, at_least = 5 }, { arg = 1, less = -1 }] }"#,
    ),
    ("syscalls", "kill", r#""@reboot""#),
    ("process", "capabilities", r#""chown""#),
    ("process", "capabilities", r#"{ name = "CAP_KILL", reason = "children" }"#),
];

const SETTINGS: &[(&str, &str)] = &[
    ("process", "core_dumps = false"),
    ("process", "no_new_privileges = false"),
    ("process", "max_processes = 10"),
    ("process", "max_memory = \"1G\""),
    ("audit", "mode = \"audit\""),
    ("audit", "log = \"all\""),
];

const OPERATIONS: &[&str] = &[
    "read /usr/x",
    "read /srv/a",
    "read /srv/a.key",
    "read /srv/public/a.key",
    "read /etc/shadow",
    "modify /tmp/x",
    "create /spool/a/x",
    "device /spool/a/x",
    "modify /srv/x",
    "execute /usr/bin/x",
    "execute /tmp/x",
    "rename /tmp/a /tmp/b",
    "rename /tmp/a /srv/b",
    "link /usr/a /tmp/b",
    "connect tcp 10.1.2.3:5432",
    "connect tcp 10.1.2.3:22",
    "send udp 8.8.8.8:53",
    "send udp 8.8.8.8:54",
    "connect tcp 169.254.169.254:80",
    "connect unix /run/docker.sock",
    "bind unix @app-1",
    "bind unix @x",
    "bind tcp 0.0.0.0:8080",
    "bind tcp 0.0.0.0:80",
    "syscall read",
    "syscall mount",
    "syscall chroot",
    "syscall ioctl 0 0x5412",
    "syscall socket 1",
    "syscall socket 2",
    "syscall reboot",
    "syscall clone 7",
    "process core-dump",
    "process new-privileges",
    "process capability kill",
    "process capability sys_admin",
    "process count 11",
    "process memory 99999999999",
];

/// The rules of each list of a section.
type Lists<'a> = Vec<(&'a str, Vec<&'a str>)>;

/// A profile of these rules and settings, in this order.
fn text(rules: &[usize], settings: &[usize]) -> String {
    let mut sections: Vec<(&str, Lists<'_>)> = Vec::new();
    for (section, list, rule) in rules.iter().map(|at| RULES[*at]) {
        if !sections.iter().any(|(name, _)| *name == section) {
            sections.push((section, Vec::new()));
        }
        let lists = &mut sections.iter_mut().find(|(name, _)| *name == section).unwrap().1;
        match lists.iter_mut().find(|(name, _)| *name == list) {
            Some((_, rules)) => rules.push(rule),
            None => lists.push((list, vec![rule])),
        }
    }
    for (section, _) in settings.iter().map(|at| SETTINGS[*at]) {
        if !sections.iter().any(|(name, _)| *name == section) {
            sections.push((section, Vec::new()));
        }
    }
    let mut out = String::new();
    for (section, lists) in sections {
        out.push_str(&format!("[{section}]\n"));
        for (list, rules) in lists {
            out.push_str(&format!("{list} = [{}]\n", rules.join(", ")));
        }
        for (_, line) in settings.iter().map(|at| SETTINGS[*at]).filter(|(of, _)| *of == section) {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

fn choices() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let rules: Vec<usize> = (0..RULES.len()).collect();
    let settings: Vec<usize> = (0..SETTINGS.len()).collect();
    (
        proptest::sample::subsequence(rules, 0..=RULES.len()).prop_shuffle(),
        proptest::sample::subsequence(settings, 0..=SETTINGS.len()).prop_shuffle(),
    )
}

fn allowed(policy: &Policy) -> Vec<bool> {
    let decider = Decider::new(policy.clone().into());
    let operations = OPERATIONS.iter().map(|text| Operation::parse(text).unwrap());
    operations.map(|operation| decider.decide(&operation).allows()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn reading_what_was_printed_gives_the_same_policy((rules, settings) in choices()) {
        let first = resolved(&text(&rules, &settings));
        let printed = print(&first.policy, &first.tests);
        let second = resolved(&printed);
        prop_assert_eq!(without_places(&first.policy), without_places(&second.policy));
        prop_assert_eq!(print(&second.policy, &second.tests), printed);
    }

    #[test]
    fn order_never_matters(
        (rules, settings) in choices(),
        seed in any::<prop::sample::Index>(),
    ) {
        let (mut other, mut turned) = (rules.clone(), settings.clone());
        other.reverse();
        other.rotate_left(seed.index(rules.len().max(1)).min(rules.len()));
        turned.reverse();
        let (a, b) = (resolved(&text(&rules, &settings)), resolved(&text(&other, &turned)));
        prop_assert_eq!(without_places(&a.policy), without_places(&b.policy));
    }

    #[test]
    fn rules_may_be_spread_over_parents_in_any_order((rules, settings) in choices(), at in any::<prop::sample::Index>()) {
        let (left, right) = rules.split_at(at.index(rules.len() + 1));
        let (a, b) = (text(left, &settings), text(right, &[]));
        let parents = [("a.toml", a.as_str()), ("b.toml", b.as_str())];
        let whole = resolved(&text(&rules, &settings));
        for extends in ["extends = [\"a.toml\", \"b.toml\"]\n", "extends = [\"b.toml\", \"a.toml\"]\n"] {
            let spread = read(extends, &parents, &[]).resolved.unwrap();
            prop_assert_eq!(without_places(&spread.policy), without_places(&whole.policy));
        }
    }

    #[test]
    fn a_deny_more_never_permits_more((rules, settings) in choices(), deny in 0..RULES.len()) {
        prop_assume!(["deny", "kill"].contains(&RULES[deny].1) && !rules.contains(&deny));
        let before = resolved(&text(&rules, &settings));
        let after = resolved(&text(&[&rules[..], &[deny]].concat(), &settings));
        for (before, after) in allowed(&before.policy).into_iter().zip(allowed(&after.policy)) {
            prop_assert!(before || !after);
        }
    }
}

#[test]
fn shipped_profiles_have_reasons_pass_their_tests_and_get_no_warning() {
    for name in profile::BUILT_IN {
        let root = profile::built_in(name).unwrap();
        let text = String::from_utf8(root.bytes.clone()).unwrap();
        let mut reading = read(&text, &[], &[]);
        lint(&mut reading);
        assert_eq!(shown(&reading), "", "{name}");
        let resolved = reading.resolved.unwrap();
        assert!(!resolved.tests.is_empty(), "{name}");
        assert!(resolved.evaluate().iter().all(profile::Outcome::passed), "{name}");
        assert_eq!(resolved.policy.name.as_deref(), Some(*name));
        assert!(
            without_reason(&resolved.policy).is_empty(),
            "{:?}",
            without_reason(&resolved.policy)
        );
    }
}

fn without_reason(policy: &Policy) -> Vec<String> {
    let Policy { files, network, syscalls, process, .. } = policy;
    let grants = [&files.read, &files.write, &files.execute].into_iter().flatten().flatten();
    let paths = grants.map(|grant| &grant.rule).chain(&files.deny).chain(&files.mask);
    let paths = paths.map(|rule| (&rule.reason, &rule.origin));
    let addresses = network.connect.iter().chain(&network.bind).flatten().chain(&network.deny);
    let addresses = addresses.map(|rule| (&rule.reason, &rule.origin));
    let calls = syscalls.allow.iter().flatten().chain(&syscalls.deny).chain(&syscalls.kill);
    let calls = calls.map(|rule| (&rule.reason, &rule.origin));
    let capabilities = process.capabilities.iter().flatten();
    let capabilities = capabilities.map(|rule| (&rule.reason, &rule.origin));
    let all = paths.chain(addresses).chain(calls).chain(capabilities);
    all.filter(|(reason, _)| reason.is_none()).map(|(_, origin)| origin.to_string()).collect()
}

#[test]
fn the_profile_of_the_documentation_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/README.md");
    let page = std::fs::read_to_string(path).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut reading = read(example, &[], &[]);
    lint(&mut reading);
    // it shows a deny by a pattern, and what that costs
    assert_eq!(reading::codes(&reading.report), ["W0009"], "{}", shown(&reading));
    assert!(reading.resolved.unwrap().evaluate().iter().all(profile::Outcome::passed));
}

#[test]
fn every_form_of_the_documentations_table_is_a_rule() {
    for (list, rules) in [
        ("[files]\nread", r#""/srv/data", "/srv/*.conf", "/srv/log-?", "/srv/{a,b}/[0-9]*", "/srv/**/*.key", '/srv/\*', '/srv/\xff', "/a/$${""#.replace("$${", "$x").as_str()),
        ("[files]\nwrite", r#"{ path = "/spool", access = ["create"] }, { path = "/srv/data", required = true }"#),
        ("[network]\nconnect", r#""*", "tcp *", "udp *", "ip *", "unix *", "tcp [2001:db8::/32]:443", "tcp 10.0.0.0/8:9000-9010", "tcp @private""#),
        ("[syscalls]\ndeny", r#"{ name = "@mount", except = ["chroot"] }, { name = "clone3", errno = "ENOSYS" }, { name = "unshare", arg = 0, mask = "CLONE_NEWUSER", not_equals = 0 }, { name = "socket", args = [{ arg = 0, equals = "AF_INET" }, { arg = 1, equals = "SOCK_RAW" }] }"#),
    ] {
        resolved(&format!("{list} = [{rules}]\n"));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Everything that can be wrong with a profile, as its author sees it.
//!
//! A case is a name, a profile, its parents and its overrides; each has a snapshot
//! in `snapshots/`. Every code is provoked by some case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod reading;

use std::collections::BTreeSet;

use brig_policy::diagnostics::{Code, Severity, json};
use brig_policy::profile;
use reading::{codes, read, shown};

struct Case {
    name: &'static str,
    text: &'static str,
    others: &'static [(&'static str, &'static str)],
    set: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, text: &'static str) -> Case {
    Case { name, text, others: &[], set: &[] }
}

const fn with(
    name: &'static str,
    text: &'static str,
    others: &'static [(&'static str, &'static str)],
    set: &'static [(&'static str, &'static str)],
) -> Case {
    Case { name, text, others, set }
}

const CASES: &[Case] = &[
    // TOML
    case("syntax_unclosed_string", "name = \"web\n[files]\nread = [\"/\"]\n"),
    case("syntax_missing_value", "[files]\nread =\n"),
    case("syntax_unclosed_list", "[files]\nread = [\"/a\", \"/b\"\n[network]\n"),
    case("syntax_two_mistakes", "name = web\n[files]\nread = [\"/\"]\nwrite = =\n"),
    case("syntax_no_equals", "[files]\nread [\"/\"]\n"),
    case("syntax_bad_escape", "[files]\ndeny = [\"/a\\d\"]\n"),
    case("syntax_nul", "name = \"a\0b\"\n"),
    case("syntax_deep_dots", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = 1\n"),
    case("duplicate_key", "[files]\nread = [\"/\"]\nread = [\"/usr\"]\n"),
    case("duplicate_table", "[files]\nread = [\"/\"]\n\n[files]\nwrite = []\n"),
    // Structure
    case("unknown_key_near", "[files]\nraed = [\"/\"]\n"),
    case("unknown_key_far", "[files]\nfrobnicate = true\n"),
    case("unknown_section", "[netwrok]\nconnect = []\n"),
    case("unknown_key_of_rule", "[files]\ndeny = [{ path = \"/a\", reson = \"x\" }]\n"),
    case("access_of_a_deny", "[files]\ndeny = [{ path = \"/a\", access = [\"read\"] }]\n"),
    case("list_instead_of_string", "name = [\"web\"]\n"),
    case("string_instead_of_list", "[files]\nread = \"/\"\n"),
    case("number_in_a_list", "[files]\nread = [\"/\", 7]\n"),
    case("string_instead_of_boolean", "[process]\ncore_dumps = \"no\"\n"),
    case("float_instead_of_integer", "[process]\nmax_processes = 12.5\n"),
    case("date_instead_of_string", "name = 2026-01-02\n"),
    case("table_instead_of_tests", "[test]\nread = \"/\"\nexpect = \"deny\"\n"),
    case("rule_without_a_path", "[files]\ndeny = [{ reason = \"because\" }]\n"),
    case("test_without_expect", "[[test]]\nread = \"/etc/shadow\"\n"),
    case("unknown_mode", "[audit]\nmode = \"enforced\"\n"),
    case("unknown_access", "[files]\nread = [{ path = \"/a\", access = [\"raed\"] }]\n"),
    case(
        "argument_out_of_range",
        "[syscalls]\ndeny = [{ name = \"ioctl\", arg = 6, equals = 1 }]\n",
    ),
    case("no_processes_at_all", "[process]\nmax_processes = 0\n"),
    case("a_number_of_more_than_64_bits", "[process]\nmax_memory = 99999999999999999999\n"),
    case(
        "test_with_two_operations",
        "[[test]]\nread = \"/a\"\nwrite = \"/b\"\nexpect = \"deny\"\n",
    ),
    case("test_without_operation", "[[test]]\nexpect = \"deny\"\n"),
    // extends
    case("extends_unknown_built_in", "extends = [\"bsae\"]\n"),
    case("extends_missing_file", "extends = [\"./lost.toml\"]\n"),
    case("extends_a_directory", "extends = [\"./dir\"]\n"),
    case("extends_a_file_that_others_can_write", "extends = [\"shared.toml\"]\n"),
    case("extends_a_huge_file", "extends = [\"huge.toml\"]\n"),
    case("extends_itself", "extends = [\"web.toml\"]\n"),
    with(
        "extends_in_a_circle",
        "extends = [\"a.toml\"]\n",
        &[("a.toml", "extends = [\"b.toml\"]\n"), ("b.toml", "\nextends = [\"a.toml\"]\n")],
        &[],
    ),
    with(
        "mistakes_of_parents_too",
        "extends = [\"a.toml\"]\n[files]\nread = [\"etc\"]\n",
        &[("a.toml", "[network]\ndeny = [\"tcp @metdata\"]\n[flies]\n")],
        &[],
    ),
    with(
        "parents_disagree",
        "extends = [\"a.toml\", \"b.toml\"]\n",
        &[
            ("a.toml", "[process]\nmax_processes = 100\n"),
            ("b.toml", "[process]\nmax_processes = 200\n"),
        ],
        &[],
    ),
    with(
        "parents_disagree_about_a_variable",
        "extends = [\"a.toml\", \"b.toml\"]\n[files]\nread = [\"${d}\"]\n",
        &[("a.toml", "[vars]\nd = \"/a\"\n"), ("b.toml", "[vars]\nd = \"/b\"\n")],
        &[],
    ),
    // Variables
    case("unset_variable", "[files]\nwrite = [\"/srv/${tenant}/data\"]\n"),
    case(
        "misspelt_variable",
        "[vars]\ntenant = \"a\"\n[files]\nwrite = [\"/srv/${tennant}\", \"/${tenant}\"]\n",
    ),
    case("unclosed_variable", "[files]\nwrite = [\"/srv/${tenant/data\"]\n"),
    case("bad_name_of_variable", "[vars]\n\"a b\" = \"x\"\n"),
    case(
        "default_that_uses_a_variable",
        "[vars]\na = \"x\"\nb = \"${a}/y\"\n[files]\nread = [\"/${b}\"]\n",
    ),
    with(
        "override_of_nothing",
        "[vars]\ndata = \"/srv\"\n[files]\nread = [\"${data}\"]\n",
        &[],
        &[("dta", "/x")],
    ),
    with(
        "mistake_in_a_variables_value",
        "[files]\nread = [\"/srv/${dir}/x\"]\n",
        &[],
        &[("dir", "a/../b")],
    ),
    // Paths
    case("relative_path", "[files]\nread = [\"etc/passwd\"]\n"),
    case("empty_path", "[files]\nread = [\"\"]\n"),
    case("dot_dot", "[files]\ndeny = [\"/srv/../etc\"]\n"),
    case("dot_dot_behind_an_escape", "[files]\ndeny = [\"/\\u00e4/../etc\"]\n"),
    case("double_slash", "[files]\ndeny = ['/srv//x']\n"),
    case("trailing_slash", "[files]\nread = [\"/srv/\"]\n"),
    case("unclosed_class", "[files]\ndeny = [\"/srv/[ab\"]\n"),
    case("unclosed_brace", "[files]\ndeny = [\"/srv/{a,b\"]\n"),
    case("three_stars", "[files]\ndeny = [\"/srv/***/x\"]\n"),
    case("bad_escape_in_a_pattern", "[files]\ndeny = ['/srv/\\d']\n"),
    case("bad_except", "[files]\ndeny = [{ path = \"/srv\", except = [\"srv/public\"] }]\n"),
    // Addresses
    case("unknown_protocol", "[network]\nconnect = [\"tpc 10.0.0.1:80\"]\n"),
    case("unknown_named_set", "[network]\ndeny = [\"tcp @privat\"]\n"),
    case("host_name", "[network]\nconnect = [\"tcp db.example.org:5432\"]\n"),
    case("bad_prefix", "[network]\nconnect = [\"tcp 10.0.0.0/33\"]\n"),
    case("host_bits", "[network]\nconnect = [\"tcp 10.0.0.1/8\"]\n"),
    case("bad_port", "[network]\nconnect = [\"tcp 10.0.0.1:http\"]\n"),
    case("port_too_large", "[network]\nconnect = [\"tcp *:70000\"]\n"),
    case("ports_backwards", "[network]\nbind = [\"tcp *:90-80\"]\n"),
    case("naked_ipv6", "[network]\nconnect = [\"tcp 2001:db8::1:443\"]\n"),
    case("port_of_any_protocol", "[network]\nconnect = [\"ip *:80\"]\n"),
    case("relative_socket", "[network]\nconnect = [\"unix run/a.sock\"]\n"),
    // System calls
    case("unknown_syscall", "[syscalls]\ndeny = [\"mout\"]\n"),
    case("unknown_syscall_without_a_neighbour", "[syscalls]\ndeny = [\"frobnicate_the_kernel\"]\n"),
    case("unknown_syscall_set", "[syscalls]\ndeny = [\"@keyrign\"]\n"),
    case(
        "unknown_constant",
        "[syscalls]\ndeny = [{ name = \"ioctl\", arg = 1, equals = \"TIOCSTY\" }]\n",
    ),
    case("condition_on_a_set", "[syscalls]\ndeny = [{ name = \"@mount\", arg = 1, equals = 1 }]\n"),
    case(
        "exception_of_a_call",
        "[syscalls]\ndeny = [{ name = \"mount\", except = [\"mount\"] }]\n",
    ),
    case(
        "exception_of_everything",
        "[syscalls]\ndeny = [{ name = \"@swap\", except = [\"@swap\"] }]\n",
    ),
    case("comparison_without_argument", "[syscalls]\ndeny = [{ name = \"ioctl\", equals = 1 }]\n"),
    case("argument_without_comparison", "[syscalls]\ndeny = [{ name = \"ioctl\", arg = 1 }]\n"),
    case(
        "order_of_masked_values",
        "[syscalls]\ndeny = [{ name = \"clone\", arg = 0, mask = 1, less = 1 }]\n",
    ),
    case(
        "value_outside_of_the_mask",
        "[syscalls]\ndeny = [{ name = \"clone\", arg = 0, mask = 1, equals = 2 }]\n",
    ),
    case(
        "value_wider_than_the_argument",
        "[syscalls]\ndeny = [{ name = \"socket\", arg = 0, equals = 0x100000010 }]\n",
    ),
    case("unknown_errno", "[syscalls]\ndeny = [{ name = \"clone3\", errno = \"ENOSYSS\" }]\n"),
    // Processes and tests
    case("unknown_capability", "[process]\ncapabilities = [\"net_bind_servic\"]\n"),
    case("bad_size", "[process]\nmax_memory = \"512MB\"\n"),
    case("test_of_a_prefix", "[[test]]\nconnect = \"tcp 10.0.0.0/8:80\"\nexpect = \"deny\"\n"),
    case("test_of_an_unknown_call", "[[test]]\nsyscall = \"mont\"\nexpect = \"deny\"\n"),
];

#[test]
fn every_mistake_is_shown_with_a_caret_a_code_and_what_to_do() {
    for case in CASES {
        let reading = read(case.text, case.others, case.set);
        assert!(reading.report.errors() > 0, "{} has no error", case.name);
        assert!(reading.resolved.is_none(), "{}", case.name);
        insta::assert_snapshot!(case.name, shown(&reading));
    }
}

#[test]
fn all_mistakes_of_a_file_and_its_parents_are_found_in_one_run() {
    let parent = "[files]\ndeny = [\"x\", \"/a//b\", \"/c\"]\n[sycalls]\n[process]\ncapabilities = [\"x_x_x\"]\n";
    let child = "extends = [\"a.toml\", \"lost.toml\"]\nnmae = 1\n[files]\nread = [\"${v}\", \"y\", 5]\n[network]\ndeny = [\"tcp\", \"tcp *:x\"]\n";
    let reading = read(child, &[("a.toml", parent)], &[]);
    let mut found = codes(&reading.report);
    found.sort_unstable();
    let expected = [
        "E0102", "E0102", "E0103", "E0202", "E0210", "E0301", "E0301", "E0302", "E0401", "E0404",
        "E0601",
    ];
    assert_eq!(found, expected, "{}", shown(&reading));
}

#[test]
fn a_fix_of_the_json_form_mends_the_profile() {
    let text = "[syscalls]\ndeny = [\"@keyrign\"]\n";
    let reading = read(text, &[], &[]);
    let value = json(&reading.report, &reading.sources);
    insta::assert_snapshot!("json_form", serde_json::to_string_pretty(&value).unwrap());
    let fix = &value["diagnostics"][0]["fix"];
    let column = |key: &str| usize::try_from(fix[key].as_u64().unwrap()).unwrap() - 1;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = &mut lines[usize::try_from(fix["line"].as_u64().unwrap()).unwrap() - 1];
    line.replace_range(
        column("column")..column("end_column"),
        fix["replacement"].as_str().unwrap(),
    );
    assert_eq!(lines[1], "deny = [\"@keyring\"]");
    assert!(read(&lines.join("\n"), &[], &[]).resolved.is_some());
}

/// Codes that need more than a short text; each has a test of its own.
fn elsewhere() -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let not_text = profile::read(
        reading::file("a", b"\xff"),
        &mut reading::Memory::default(),
        &Default::default(),
    );
    seen.extend(codes(&not_text.report));
    let rules = format!("[files]\nread = [{}]\n", "\"/a\",".repeat(500_001));
    seen.extend(codes(&read_unchecked(&rules).report));
    let big = " ".repeat(profile::MAX_FILE + 1);
    seen.extend(codes(&read_unchecked(&big).report));
    let chain: Vec<(String, String)> = (0..20)
        .map(|n| (format!("{n}.toml"), format!("extends = [\"{}.toml\"]\n", n + 1)))
        .collect();
    let chain: Vec<(&str, &str)> = chain.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    seen.extend(codes(&read("extends = [\"0.toml\"]\n", &chain, &[]).report));
    for error in [
        profile::LoadError::Unreadable { name: "a".into(), why: "no such file".into() },
        profile::LoadError::NotAFile { name: "a".into(), kind: "a FIFO".into() },
        profile::LoadError::NotTrusted { name: "a".into(), why: "others can write it".into() },
        profile::LoadError::TooLarge { name: "a".into() },
    ] {
        seen.insert(error.diagnostic().code.as_str());
    }
    let configuration = "default_profile = \"..\"\n[log]\nfile = \"/d\"\n";
    let configuration = brig_policy::config::read("config.toml", configuration.into());
    seen.extend(codes(&configuration.report));
    seen.into_iter().collect()
}

fn read_unchecked(text: &str) -> profile::Reading {
    let file = reading::file("web.toml", text.as_bytes());
    profile::read(file, &mut reading::Memory::default(), &Default::default())
}

#[test]
fn every_code_of_an_error_is_provoked() {
    let mut seen: BTreeSet<&str> = elsewhere().into_iter().collect();
    for case in CASES {
        seen.extend(codes(&read(case.text, case.others, case.set).report));
    }
    let all = Code::ALL.iter().filter(|code| code.severity() == Severity::Error);
    let missing: Vec<_> =
        all.map(|code| code.as_str()).filter(|code| !seen.contains(code)).collect();
    assert_eq!(missing, [""; 0]);
}

const GRANTED: &str = "[files]\nread = [\"/usr\"]\nwrite = [\"/srv\"]\nexecute = [\"/usr/bin\"]\n";

const ODDITIES: &[Case] = &[
    case(
        "rule_given_twice",
        "[files]\nread = [\"/usr\", \"/lib\", { path = \"/usr\", reason = \"again\" }]\n",
    ),
    case("rule_beneath_another", "[files]\ndeny = [\"/srv\", \"/srv/private/keys\"]\n"),
    case("address_given_twice", "[network]\nconnect = [\"tcp *:80\", \"udp *\", \"tcp *:80\"]\n"),
    case("call_of_a_set_that_is_denied_too", "[syscalls]\ndeny = [\"@mount\", \"mount\"]\n"),
    case(
        "condition_on_a_call_that_is_denied_anyway",
        "[syscalls]\ndeny = [\"ioctl\", { name = \"ioctl\", arg = 1, equals = \"TIOCSTI\" }]\n",
    ),
    case("capability_given_twice", "[process]\ncapabilities = [\"chown\", \"CAP_CHOWN\"]\n"),
    with(
        "rule_of_a_parent_again",
        "extends = [\"a.toml\"]\n[files]\ndeny = [\"/etc/shadow\"]\n",
        &[("a.toml", "[files]\ndeny = [\"/etc/shadow\"]\n")],
        &[],
    ),
    case("grant_under_a_deny", "[files]\nread = [\"/usr\", \"/etc/ssl\"]\ndeny = [\"/etc\"]\n"),
    case("pattern_under_a_deny", "[files]\nwrite = [\"/srv/*/cache\"]\ndeny = [\"/srv/**\"]\n"),
    case(
        "grant_under_several_denies",
        "[files]\nread = [\"/a/[bc]\"]\ndeny = [\"/a/b\", \"/a/c\"]\n",
    ),
    with(
        "grant_under_a_deny_of_a_parent",
        "extends = [\"a.toml\"]\n[network]\nconnect = [\"tcp 10.1.0.0/16:443\"]\n",
        &[("a.toml", "[network]\ndeny = [\"ip @private\"]\n")],
        &[],
    ),
    case(
        "address_under_a_deny",
        "[network]\nconnect = [\"unix /run/a.sock\"]\ndeny = [\"unix /run\"]\n",
    ),
    case("call_under_a_deny", "[syscalls]\nallow = [\"read\", \"mount\"]\ndeny = [\"@mount\"]\n"),
    case(
        "deny_of_what_nothing_grants",
        "[files]\nread = [\"/usr\"]\nwrite = [\"/srv\"]\nexecute = [\"/bin\"]\ndeny = [\"/etc/shadow\"]\n",
    ),
    case(
        "deny_of_an_address_that_nothing_grants",
        "[network]\nconnect = [\"tcp 10.0.0.0/8\"]\nbind = []\ndeny = [\"tcp @metadata\"]\n",
    ),
    case(
        "deny_of_a_call_that_nothing_allows",
        "[syscalls]\nallow = [\"@basic-io\"]\ndeny = [\"mount\"]\n",
    ),
    case(
        "writable_and_executable",
        "[files]\nwrite = [\"/srv\", \"/tmp\"]\nexecute = [\"/usr\", \"/srv/app/bin\"]\n",
    ),
    case(
        "exception_that_excepts_nothing",
        "[files]\ndeny = [{ path = \"/srv/data\", except = [\"/srv/public\"] }]\n",
    ),
    case(
        "exception_of_an_address_that_excepts_nothing",
        "[network]\nconnect = [{ address = \"tcp 10.0.0.0/8\", except = [\"tcp 192.168.0.0/16\"] }]\n",
    ),
    case(
        "exception_of_a_set_that_excepts_nothing",
        "[syscalls]\ndeny = [{ name = \"@mount\", except = [\"read\"] }]\n",
    ),
    case(
        "test_that_fails",
        "[files]\ndeny = [\"/etc/shadow\"]\n\n[[test]]\nread = \"/etc/shadow\"\nexpect = \"allow\"\n",
    ),
    case(
        "deny_of_what_is_killed",
        "[syscalls]\ndeny = [\"kexec_load\", \"@reboot\"]\nkill = [\"kexec_load\"]\n",
    ),
    case(
        "variable_that_nothing_uses",
        "[vars]\ndata = \"/srv\"\nused = \"/x\"\n[files]\nread = [\"${used}\"]\n",
    ),
];

#[test]
fn every_oddity_is_shown_with_a_warning() {
    let mut seen = BTreeSet::new();
    for case in ODDITIES {
        let mut reading = read(case.text, case.others, case.set);
        assert_eq!(reading.report.warnings(), 0);
        profile::lint(&mut reading);
        assert_eq!(reading.report.errors(), 0, "{}", shown(&reading));
        assert!(reading.report.warnings() > 0, "{} has no warning", case.name);
        seen.extend(codes(&reading.report));
        insta::assert_snapshot!(case.name, shown(&reading));
    }
    let all = Code::ALL.iter().filter(|code| code.severity() == Severity::Warning);
    let missing: Vec<_> =
        all.map(|code| code.as_str()).filter(|code| !seen.contains(code)).collect();
    // W0010 is about a host: plan_listing has it
    assert_eq!(missing, ["W0010"]);
}

#[test]
fn sound_profiles_get_no_warning() {
    for text in [
        "",
        GRANTED,
        "[files]\nread = [\"/\"]\nwrite = [{ path = \"/\", except = [\"/usr\", \"/bin\"] }]\nexecute = [\"/usr\", \"/bin\"]\n",
        "[files]\nread = [\"/etc\"]\ndeny = [\"/srv\"]\n",
        "[files]\nread = [\"/etc\"]\ndeny = [{ path = \"/etc\", except = [\"/etc/ssl\"] }]\n",
        "[files]\nread = [\"/a\", { path = \"/a\", required = true }]\n",
        "[files]\nwrite = [{ path = \"/a\", access = [\"create\"] }, { path = \"/a\", access = [\"delete\"] }]\n",
        "[network]\nconnect = [\"tcp *\"]\ndeny = [\"tcp @metadata\", \"udp *:53\"]\n",
        "[network]\nconnect = [\"tcp 10.0.0.0/8\"]\ndeny = [{ address = \"ip *\", except = [\"tcp 10.1.0.0/16\"] }]\n",
        "[syscalls]\ndeny = [\"@mount\", { name = \"clone3\", errno = \"ENOSYS\" }]\nkill = [\"kexec_load\"]\n",
        "[syscalls]\ndeny = [{ name = \"socket\", arg = 0, equals = 38 }, { name = \"socket\", arg = 0, equals = 40 }]\n",
    ] {
        let mut reading = read(text, &[], &[]);
        profile::lint(&mut reading);
        assert_eq!(shown(&reading), "", "{text}");
    }
}

#[test]
fn a_parents_rules_are_not_warned_of() {
    let parent = "[files]\ndeny = [\"/etc/shadow\", \"/etc/shadow\"]\n[vars]\nx = \"y\"\n";
    let child = format!("extends = [\"a.toml\"]\n{GRANTED}");
    let mut reading = read(&child, &[("a.toml", parent)], &[]);
    profile::lint(&mut reading);
    assert_eq!(shown(&reading), "");
}

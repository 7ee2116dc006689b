// SPDX-License-Identifier: Apache-2.0
//! Malformed profiles: every error at once, each naming its entry; never a panic.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

use brig_policy::seccomp::parse;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The places of all errors.
fn places(value: &Value) -> Vec<String> {
    let errors = parse(value).unwrap_err();
    errors.iter().map(|e| e.to_string().split(": ").next().unwrap().to_owned()).collect()
}

#[track_caller]
fn check(value: &Value, expected: &[&str]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|place| format!("linux.seccomp{}{place}", if place.is_empty() { "" } else { "." }))
        .collect();
    assert_eq!(places(value), expected);
}

fn with(entry: &Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]})
}

#[test]
fn wrong_types_are_named() {
    check(&json!([]), &[""]);
    check(&json!({}), &["defaultAction"]);
    check(&json!({"defaultAction": 3, "syscalls": {}}), &["defaultAction", "syscalls"]);
    let wrong = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX", 3],
                       "flags": ["X"], "listenerPath": 4, "defaultErrnoRet": "EPERM"});
    check(
        &wrong,
        &["defaultErrnoRet", "architectures[0]", "architectures[1]", "flags[0]", "listenerPath"],
    );
    check(&with(&json!("read")), &["syscalls[0]"]);
    let entry = json!({"names": "read", "action": "SCMP_ACT_DENY", "args": 3, "errnoRet": -1});
    check(
        &with(&entry),
        &["syscalls[0].errnoRet", "syscalls[0].action", "syscalls[0].names", "syscalls[0].args"],
    );
}

#[test]
fn the_index_the_value_and_the_operator_of_an_argument_are_named() {
    let args = json!([
        {"index": 6, "value": 0, "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": -1, "op": "SCMP_CMP_IN"},
        {"index": 0, "value": 18_446_744_073_709_551_616.0, "op": "SCMP_CMP_EQ"},
        {"index": 0.5, "value": 1.5, "valueTwo": "1", "op": 7},
        {}, 4,
    ]);
    let entry = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args});
    let place = |n: usize, key: &str| format!("syscalls[0].args[{n}]{key}");
    let expected = [
        place(0, ".index"),
        place(1, ".value"),
        place(1, ".op"),
        place(2, ".value"),
        place(3, ".index"),
        place(3, ".value"),
        place(3, ".valueTwo"),
        place(3, ".op"),
        place(4, ".index"),
        place(4, ".value"),
        place(4, ".op"),
        place(5, ""),
    ];
    check(&with(&entry), &expected.iter().map(String::as_str).collect::<Vec<_>>());
    let text = parse(&with(&entry)).unwrap_err()[0].to_string();
    assert_eq!(text, "linux.seccomp.syscalls[0].args[0].index: 6 is out of range (0 to 5)");
}

#[test]
fn a_value_over_64_bits_is_out_of_range() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
        "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"}]}]}"#;
    check(&serde_json::from_str(text).unwrap(), &["syscalls[0].args[0].value"]);
}

#[test]
fn a_name_that_no_kernel_has_is_an_error_in_a_denial_and_a_warning_in_a_permission() {
    let entry = |action: &str| with(&json!({"names": ["read", "keyctll"], "action": action}));
    for action in
        ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE"]
    {
        let text = parse(&entry(action)).unwrap_err()[0].to_string();
        assert!(text.starts_with("linux.seccomp.syscalls[0].names[1]: "), "{text}");
        assert!(text.contains("did you mean \"keyctl\"?"), "{text}");
    }
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] {
        let spec = parse(&entry(action)).unwrap();
        assert_eq!(spec.syscalls[0].syscalls.len(), 1);
        assert_eq!(spec.warnings[0].place, "linux.seccomp.syscalls[0].names[1]");
    }
}

#[test]
fn what_is_no_name_at_all_is_an_error_even_in_a_permission() {
    let names = json!(["re\u{0}ad", "", "read ", "réad", 7, null]);
    let entry = json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    let expected: Vec<String> = (0..6).map(|n| format!("syscalls[0].names[{n}]")).collect();
    check(&with(&entry), &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_profile_of_a_hundred_thousand_entries_is_refused() {
    let entry = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW"});
    let many = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": vec![entry; 100_000]});
    check(&many, &["syscalls[4096]"]);
    let names = json!({"names": vec!["read"; 100_000], "action": "SCMP_ACT_ALLOW"});
    check(&with(&names), &["syscalls[0].names[4096]"]);
    let args = vec![json!({"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}); 100_000];
    let args = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args});
    check(&with(&args), &["syscalls[0].args[256]"]);
    let wrong = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": vec![7; 4096]});
    assert_eq!(places(&wrong).len(), 100);
}

#[test]
fn a_listener_must_have_an_address_and_cannot_be_the_default() {
    let entry = json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"});
    check(&with(&entry), &["listenerPath"]);
    check(&json!({"defaultAction": "SCMP_ACT_NOTIFY"}), &["defaultAction"]);
}

#[test]
fn null_is_absent_and_unknown_properties_are_ignored() {
    let value = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": null, "architectures": null,
                       "flags": null, "listenerPath": "", "defaultErrnoRet": null, "x": 1});
    assert!(parse(&value).unwrap().warnings.is_empty());
}

#[test]
fn dockers_conditions_in_a_specification_are_ignored_with_a_warning() {
    let entry = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
                       "includes": {"caps": ["CAP_SYS_ADMIN"]}, "excludes": {}});
    let warnings = parse(&with(&entry)).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].place, "linux.seccomp.syscalls[0].includes");
}

/// JSON with the keys of a profile and any values.
fn json_values() -> impl Strategy<Value = Value> {
    let keys = [
        "defaultAction",
        "syscalls",
        "names",
        "action",
        "args",
        "index",
        "value",
        "valueTwo",
        "op",
        "errnoRet",
        "architectures",
        "flags",
        "listenerPath",
        "includes",
    ];
    let words = ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_CMP_EQ", "read", "SCMP_ARCH_X86", ""];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..8).prop_map(
                |pairs| {
                    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
                    Value::from(pairs.collect::<Map<_, _>>())
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_parsed_or_refused_with_places(value in json_values()) {
        if let Err(errors) = parse(&value) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|e| e.to_string().starts_with("linux.seccomp")));
        }
    }
}

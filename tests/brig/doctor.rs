// SPDX-License-Identifier: Apache-2.0
//! `brig doctor` and `brig features` on this kernel.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Outcome, Runner, Test, process};
use crate::test;

/// brig as nobody, without an environment that says anything.
fn nobody(t: &Test) -> Runner {
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    t.program("/usr/bin/setpriv").args(user).arg(env!("CARGO_BIN_EXE_brig"))
}

fn root(t: &Test) -> Runner {
    t.program(env!("CARGO_BIN_EXE_brig"))
}

/// The object, whose worst check and the exit status say the same.
#[track_caller]
fn object(outcome: &Outcome) -> Value {
    let object: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:#?}"));
    let expected = match object["worst"].as_str().unwrap() {
        "ok" | "optional" => 0,
        "limited" => 3,
        "blocking" => 4,
        other => panic!("{other}"),
    };
    assert_eq!(outcome.status.code(), Some(expected), "{outcome:#?}");
    assert_eq!(outcome.stderr, "");
    object
}

fn check<'a>(object: &'a Value, name: &str) -> &'a Value {
    let mut checks = object["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} in {object:#}"))
}

/// Every cgroup that neither a test nor an engine of a test has made.
fn cgroups(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_a_tests = name.starts_with("bt") || name.contains("libpod") || name == "brig";
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_a_tests {
            cgroups(&entry.path(), found);
            found.insert(entry.path().display().to_string());
        }
    }
}

/// What a survey could leave behind, and a test of this suite does not.
fn traces() -> (String, BTreeSet<String>) {
    let mut found = BTreeSet::new();
    cgroups(Path::new("/sys/fs/cgroup"), &mut found);
    (fs::read_to_string("/proc/self/mountinfo").unwrap(), found)
}

#[test]
fn a_survey_works_for_root_and_for_nobody_and_leaves_nothing() {
    let t = test!();
    for who in [root, nobody] {
        let before = traces();
        let table = who(&t).arg("doctor").run();
        let object = object(&who(&t).args(["doctor", "--json"]).run());
        assert_eq!(traces(), before);
        let mode = object["mode"].as_str().unwrap();
        assert!(table.stdout.lines().next().unwrap().ends_with(mode), "{table:#?}");
        for check in object["checks"].as_array().unwrap() {
            assert!(table.stdout.contains(check["found"].as_str().unwrap()), "{check} {table:#?}");
        }
        assert!(!table.stdout.contains('\u{1b}'), "no colour: {table:#?}");
        t.assert_clean();
    }
}

#[test]
fn roots_survey_says_what_the_kernel_says() {
    let t = test!();
    let object = object(&root(&t).args(["doctor", "--json"]).run());
    let read = |path: &str| fs::read_to_string(path).unwrap().trim().to_owned();
    assert_eq!(object["survey"]["kernel"]["release"], read("/proc/sys/kernel/osrelease"));
    let last = object["survey"]["kernel"]["last_capability"].to_string();
    assert_eq!(last, read("/proc/sys/kernel/cap_last_cap"));
    let effective = process::status(process_id(), "CapEff").unwrap();
    let effective = u64::from_str_radix(&effective, 16).unwrap();
    assert_eq!(object["survey"]["caller"]["effective"], effective);
    assert_eq!(object["survey"]["user_namespaces"]["attempt"], json!({ "works": null }));
    assert_eq!(object["survey"]["overlay"], json!({ "works": null }));
    assert_eq!(object["survey"]["seccomp"]["notification"], json!({ "works": [80, 24, 64] }));
    assert_eq!(object["survey"]["seccomp"]["actions"].as_array().unwrap().len(), 8);
    assert_eq!(object["survey"]["seccomp"]["flags"].as_array().unwrap().len(), 6);
    assert_eq!(object["survey"]["seccomp"]["listener"], json!({ "works": null }));
    assert!(object["target"]["landlock"]["abi"].as_u64().unwrap() >= 1);
    assert_eq!(object["target"]["limits"], json!({ "memory": true, "processes": true }));
    assert_eq!(object["cgroup_reason"], Value::Null);
    assert_eq!(check(&object, "overlayfs")["state"], "ok");
}

fn process_id() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

#[test]
fn nobody_has_no_capability_that_it_could_only_be_given() {
    let t = test!();
    let object = object(&nobody(&t).args(["doctor", "--json"]).run());
    // the bounding set is still full
    assert_eq!(object["capabilities"], json!([]));
    assert_eq!(object["privileged"], false);
    assert_eq!(object["cgroup_parent"], Value::Null);
    assert_eq!(object["survey"]["user_namespaces"]["attempt"], json!({ "works": null }));
    assert_eq!(object["survey"]["overlay"], json!({ "works": null }), "in a user namespace");
}

#[test]
fn a_pid_namespace_of_its_own_is_a_container() {
    let t = test!();
    let survey = |options: &[&str]| {
        let unshare = t.program("/usr/bin/unshare").args(options);
        object(&unshare.arg(env!("CARGO_BIN_EXE_brig")).args(["doctor", "--json"]).run())
    };
    let inside = survey(&["--pid", "--fork", "--mount-proc", "--uts"]);
    assert_eq!(inside["nested"], true);
    let kinds = inside["survey"]["container"]["namespaces"].as_array().unwrap();
    assert!(kinds.contains(&json!("pid")) && kinds.contains(&json!("uts")), "{kinds:?}");
    let user = survey(&["--user", "--map-root-user"]);
    assert_eq!(user["survey"]["caller"]["in_user_namespace"], true);
    assert_eq!(user["privileged"], true);
}

#[test]
fn user_namespaces_that_are_used_up_are_a_lack() {
    let t = test!();
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec {} doctor --json",
        env!("CARGO_BIN_EXE_brig")
    );
    let unshare = t.program("/usr/bin/unshare").args(["--user", "--map-root-user", "sh", "-c"]);
    let object = object(&unshare.arg(script).run());
    let refused = &object["survey"]["user_namespaces"]["attempt"]["refused"];
    assert_eq!(
        (&refused["errno"], &refused["call"]),
        (&json!(28), &json!("unshare(CLONE_NEWUSER)"))
    );
    let check = check(&object, "user namespaces");
    assert!(check["remedy"].as_str().unwrap().contains("max_user_namespaces"), "{check}");
}

#[test]
fn a_program_is_found_by_path() {
    let t = test!();
    let pasta = t.path("pasta");
    fs::write(&pasta, "").unwrap();
    fs::set_permissions(&pasta, fs::Permissions::from_mode(0o755)).unwrap();
    let survey = root(&t).env("PATH", t.dir()).args(["doctor", "--json"]).run();
    assert_eq!(object(&survey)["survey"]["programs"]["pasta"], pasta.display().to_string());
}

/// A container in which brig is.
fn with_brig(t: &mut Test) {
    let mount = json!({
        "destination": "/brig", "type": "bind", "source": env!("CARGO_BIN_EXE_brig"),
        "options": ["bind", "ro"],
    });
    fs::write(t.bundle.file("/brig"), "").unwrap();
    t.bundle.mount(mount);
    t.bundle.args(["/brig", "doctor", "--json"]);
}

#[test]
fn in_a_container_it_is_said_what_is_withheld() {
    let mut t = test!();
    with_brig(&mut t);
    let inside = object(&t.run_bundle());
    assert_eq!(inside["nested"], true);
    assert_eq!(inside["mode"], "degraded");
    assert_eq!(inside["survey"]["cgroups"]["setup"], "none");
    assert_eq!(inside["survey"]["seccomp"]["listener"], json!({ "works": null }));
    // and where a supervisor answers already, that there is no second one
    let supervised = t.brig().args(["--testing-continue", "mkdir", "run", "--bundle"]);
    let inside = object(&supervised.arg(&t.bundle.dir).arg(t.id("c")).run());
    assert_eq!(inside["survey"]["seccomp"]["listener"]["refused"]["errno"], 16);
    assert!(check(&inside, "notifications")["found"].as_str().unwrap().contains("busy"));
    t.assert_clean();
}

#[test]
fn features_are_those_of_the_specification() {
    let t = test!();
    for who in [root, nobody] {
        let features: Value =
            serde_json::from_str(&who(&t).arg("features").run().ok().stdout).unwrap();
        for field in ["ociVersionMin", "ociVersionMax"] {
            assert!(features[field].as_str().unwrap().starts_with("1."), "{features}");
        }
        let contains = |pointer: &str, value: &str| {
            let list = features.pointer(pointer).and_then(Value::as_array);
            let list = list.unwrap_or_else(|| panic!("{pointer}"));
            assert!(list.iter().any(|one| one == value), "{pointer} has no {value}");
        };
        contains("/hooks", "startContainer");
        contains("/mountOptions", "rbind");
        contains("/mountOptions", "tmpcopyup");
        contains("/linux/namespaces", "user");
        contains("/linux/capabilities", "CAP_SYS_ADMIN");
        contains("/linux/seccomp/actions", "SCMP_ACT_NOTIFY");
        contains("/linux/seccomp/operators", "SCMP_CMP_MASKED_EQ");
        contains("/linux/seccomp/archs", "SCMP_ARCH_X86_64");
        contains("/linux/seccomp/supportedFlags", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
        contains("/potentiallyUnsafeConfigAnnotations", "io.brig.profile");
        assert_eq!(features.pointer("/linux/cgroup/v1"), Some(&json!(true)));
        assert_eq!(features.pointer("/linux/seccomp/enabled"), Some(&json!(true)));
        assert!(features["annotations"]["io.brig.landlock.abi"].is_string(), "{features}");
    }
    t.assert_clean();
}

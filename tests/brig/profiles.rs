// SPDX-License-Identifier: Apache-2.0
//! Which profile a container gets, and what it does to the first process and to added ones.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::MemfdFlags;
use serde_json::{Value, json};

use crate::harness::{Outcome, Test, process};
use crate::namespaces::add_user_namespace;
use crate::test;

const TIGHT: &str = r#"
extends = ["default"]
[files]
execute = ["/"]
mask    = ["/etc/passwd", "/root"]
[process]
capabilities  = ["kill"]
max_processes = 50
max_memory    = "64M"
"#;

/// A process's lines that a profile decides, and its limit of core dumps.
fn confinement(status: &str, limits: &str) -> Vec<String> {
    let fields = ["NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let mut found: Vec<String> = fields
        .iter()
        .map(|name| format!("{name} {}", process::field(status, name).unwrap()))
        .collect();
    let core = limits.lines().find(|line| line.contains("core file")).unwrap();
    found.push(core.split_whitespace().skip(4).collect::<Vec<_>>().join(" "));
    found
}

fn of_first(t: &Test, id: &str) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", t.pid(id))).unwrap();
    confinement(&read("status"), &read("limits"))
}

fn of_added(t: &Test, id: &str, options: &[&str]) -> Vec<String> {
    let show = |file: &str| {
        let brig = t.brig().arg("exec").args(options);
        brig.args([id, "/bin/cat", file]).run().ok().stdout
    };
    confinement(&show("/proc/self/status"), &show("/proc/self/limits"))
}

/// A limit of the first bundle's cgroup, by its name on cgroup v1 and v2.
fn limit(t: &Test, controller: &str, old: &str, new: &str) -> String {
    let old = Path::new("/sys/fs/cgroup").join(controller).join(t.tag()).join(old);
    let new = Path::new("/sys/fs/cgroup").join(t.tag()).join(new);
    let text = fs::read_to_string(old).or_else(|_| fs::read_to_string(new)).unwrap();
    text.trim().to_owned()
}

fn shown(t: &Test, id: &str) -> (String, String) {
    let annotations = &t.state(id)["annotations"];
    let text = |name: &str| annotations[name].as_str().unwrap_or_default().to_owned();
    (text("io.brig.profile"), text("io.brig.profile.from"))
}

#[test]
fn a_profile_confines_the_first_process_and_added_ones_alike() {
    let mut t = test!();
    let file = t.profile("tight.toml", TIGHT);
    t.bundle.capabilities(&["CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN"]);
    t.bundle.config["process"]["noNewPrivileges"] = json!(false);
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let id = t.id("c");
    let create = t.brig().args(["--profile", "tight", "create", "--bundle"]).arg(&t.bundle.dir);
    create.arg(&id).run().ok();
    t.call(["start", &id]).ok();
    let kill = "0000000000000020";
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|it| format!("{it} {kill}"));
    let head = ["NoNewPrivs 1".to_owned(), "Seccomp 2".to_owned()];
    let expected = [&head[..], &sets[..], &["0 0 bytes".to_owned()][..]].concat();
    assert_eq!(of_first(&t, &id), expected);
    assert_eq!(of_added(&t, &id, &[]), expected);
    assert_eq!(limit(&t, "pids", "pids.max", "pids.max"), "50");
    assert_eq!(limit(&t, "memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    t.exec(&id, ["/bin/cat", "/etc/passwd", "/proc/key-users"]).prints("");
    t.exec(&id, ["/bin/ls", "/root"]).prints("");
    t.exec(&id, ["/bin/cat", "/proc/sys/vm/memfd_noexec"]).prints("2");
    t.exec(&id, ["/bin/unshare", "-U", "/bin/true"]).fails_with("not permitted");
    assert_eq!(shown(&t, &id), (file.display().to_string(), "--profile".to_owned()));
    // what exec asks for does not get beyond the policy
    let added = of_added(&t, &id, &["--cap", "CAP_SYS_ADMIN", "--cap", "CAP_NET_RAW"]);
    assert_eq!(added, expected);
    let told = t.brig().args(["exec", "--cap", "CAP_SYS_ADMIN", &id, "/bin/true"]).run().ok();
    assert!(told.stderr.contains("without CAP_SYS_ADMIN (") && told.stderr.contains("tight.toml"));
    let all = json!(["CAP_SYS_ADMIN", "CAP_KILL"]);
    let wanted = json!({
        "args": ["/bin/cat", "/proc/self/status", "/proc/self/limits"], "cwd": "/",
        "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 }, "noNewPrivileges": false,
        "capabilities": { "bounding": all, "effective": all, "permitted": all },
        "rlimits": [{ "type": "RLIMIT_CORE", "soft": 4096, "hard": 4096 }],
    });
    let process = t.path("process.json");
    fs::write(&process, wanted.to_string()).unwrap();
    let added = t.brig().args(["exec", "--process"]).arg(&process).arg(&id).run().ok().stdout;
    let added = confinement(&added, &added);
    let empty = "0000000000000000";
    assert_eq!(added[0], "NoNewPrivs 1");
    assert_eq!((&added[2], &added[4]), (&format!("CapInh {empty}"), &format!("CapEff {kill}")));
    assert_eq!((added[5].as_str(), added[7].as_str()), (sets[3].as_str(), "0 0 bytes"));
}

#[test]
fn what_a_container_is_confined_by_is_decided_at_create() {
    let mut t = test!();
    t.profile("default.toml", TIGHT);
    t.bundle.capabilities(&["CAP_KILL", "CAP_NET_RAW"]);
    let id = t.start_sleeping();
    let before = of_added(&t, &id, &[]);
    t.profile("default.toml", "extends = [\"none\"]\n");
    t.configure("default_profile = \"none\"\n");
    assert_eq!(of_added(&t, &id, &["--cap", "CAP_NET_RAW"]), before);
    let exec = t.brig().args(["--profile", "none", "exec", &id, "/bin/cat", "/proc/self/status"]);
    let status = exec.run().ok().stdout;
    assert_eq!(process::field(&status, "CapBnd").unwrap(), "0000000000000020");
    t.configure("nonsense\n");
    t.exec(&id, ["/bin/true"]).ok();
    let limit = t.brig().args(["update", "--pids-limit", "51", &id]).run();
    limit.fails_with("max_processes = 50: more than 50 processes");
    t.brig().args(["update", "--memory", "-1", &id]).run().fails_with("max_memory");
    t.brig().args(["update", "--pids-limit", "40", "--memory", "32M", &id]).run().ok();
    assert_eq!(self::limit(&t, "pids", "pids.max", "pids.max"), "40");
}

/// What becomes of a memory file that is executed.
fn execute_memory_file(flags: u32) -> String {
    let file = match rustix::fs::memfd_create("x", MemfdFlags::from_bits_retain(flags)) {
        Ok(file) => fs::File::from(file),
        Err(error) => return format!("refused: {error:?}"),
    };
    (&file).write_all(&fs::read("/bin/busybox").unwrap()).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match Command::new(&path).arg0("true").status() {
        Ok(status) => format!("executed: {status}"),
        Err(error) => format!("not executed: {:?}", error.kind()),
    }
}

/// This program, inside a container, tries what it is told.
#[test]
#[ignore = "for the other tests to run inside a container"]
fn victim() {
    println!("plain {}", execute_memory_file(0));
    println!("MFD_EXEC {}", execute_memory_file(0x10));
}

fn run_victim(t: &Test, profile: &str) -> Outcome {
    let brig = t.brig().args(["--profile", profile, "run", "--bundle"]).arg(&t.bundle.dir);
    brig.arg(t.id("c")).run().ok()
}

#[test]
fn memory_files_are_executed_only_where_the_profile_lets_them() {
    let mut t = test!();
    fs::copy(std::env::current_exe().unwrap(), t.bundle.file("/victim")).unwrap();
    t.bundle.args(["/victim", "--ignored", "--exact", "profiles::victim", "--nocapture"]);
    t.profile("closed.toml", "[files]\nexecute = [\"/\"]\n");
    t.profile("open.toml", "[files]\nexecute = [\"/\"]\n[process]\nmemfd_exec = true\n");
    let check = |t: &Test, profile: &str, plain: &str, flagged: &str| {
        t.bundle.write();
        let seen = run_victim(t, profile).stdout;
        assert!(seen.contains(&format!("plain {plain}")), "{profile}: {seen}");
        assert!(seen.contains(&format!("MFD_EXEC {flagged}")), "{profile}: {seen}");
    };
    let executed = "executed: exit status: 0";
    for profile in ["none", "default", "open"] {
        check(&t, profile, executed, executed);
    }
    check(&t, "closed", "not executed: PermissionDenied", "refused: Os { code: 13,");
    // where the parameter cannot be set, the call is refused
    add_user_namespace(&mut t.bundle.config);
    check(&t, "open", executed, executed);
    check(&t, "closed", "refused: Os { code: 13,", "refused: Os { code: 13,");
}

#[test]
fn the_first_profile_of_the_order_is_taken() {
    let mut t = test!();
    t.bundle.config["domainname"] = json!("shop");
    let text = "extends = [\"default\"]\n";
    let path = |name: &str| t.operator().join("profiles").join(name).display().to_string();
    let mut expected = vec![("default".to_owned(), "built-in default".to_owned())];
    let id = t.id("c");
    let look = |t: &Test, expected: &(String, String)| {
        t.bundle.write();
        t.brig().args(["create", "--bundle"]).arg(&t.bundle.dir).arg(&id).run().ok();
        assert_eq!(&shown(t, &id), expected);
        t.delete(&id);
    };
    look(&t, &expected[0]);
    t.configure("default_profile = \"base\"\n");
    expected.push(("base".to_owned(), "default_profile".to_owned()));
    look(&t, &expected[1]);
    for (name, by) in [
        ("default.toml", "default.toml"),
        ("brig-test.toml", "hostname"),
        ("brig-test.shop.toml", "hostname.domainname"),
        ("shop.toml", "domainname"),
    ] {
        t.profile(name, text);
        look(&t, &(path(name), by.to_owned()));
    }
    t.bundle.config["annotations"] = json!({ "io.brig.profile": "base", "x": "y" });
    t.configure("allow_annotations = [\"io.brig.profile\"]\n");
    look(&t, &("base".to_owned(), "annotation".to_owned()));
    let args = ["--profile", "untrusted-not", "create", "--bundle"];
    t.brig().args(args).arg(&t.bundle.dir).arg(&id).run().fails_with("\"untrusted-not\"");
    t.bundle.config["annotations"] = json!({ "io.brig.profile": "none", "x": "y" });
    t.bundle.write();
    let args = ["--profile", "base", "create", "--bundle"];
    let created = t.brig().args(args).arg(&t.bundle.dir).arg(&id).run().ok();
    assert!(created.stderr.contains("\"none\"") && created.stderr.contains("wins"));
    assert_eq!(shown(&t, &id), ("base".to_owned(), "--profile".to_owned()));
    let list = t.call(["list", "--format", "json"]).ok().stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["annotations"]["io.brig.profile"], "base");
    let table = t.call(["list"]).ok().stdout;
    assert!(!table.contains("PROFILE"), "the table's columns are runc's: {table}");
}

#[test]
fn nothing_is_started_under_a_configuration_or_profile_that_is_wrong() {
    let mut t = test!();
    t.bundle.args(["/bin/touch", "/started"]);
    let refused = |t: &Test, text: &str| {
        t.run_bundle().fails_with(text);
        assert!(!t.bundle.file("/started").exists());
        t.assert_clean();
    };
    t.configure("enforcement = \"lax\"\n");
    refused(&t, "config.toml:1:15: \"lax\" is not a possible value");
    t.configure("enforcement = \"best-effort\"\nrequired_profile = \"lost\"\n");
    refused(&t, "no profile is called \"lost\"");
    t.configure("");
    t.profile("default.toml", "[files]\ndeny = [\"etc\"]\n[flies]\n");
    refused(&t, "default.toml:2:");
    refused(&t, "[E0301]");
    refused(&t, "did you mean \"files\"?");
    let profile = t.profile("default.toml", "extends = [\"default\"]\n");
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let config = t.operator().join("config.toml");
    for path in [&profile, &config, &t.operator().join("profiles"), &t.operator()] {
        let before = fs::metadata(path).unwrap().permissions().mode();
        mode(path, before | 0o020);
        refused(&t, "cannot be trusted: its group can write it");
        mode(path, before);
        std::os::unix::fs::chown(path, Some(1000), None).unwrap();
        refused(&t, "cannot be trusted: it belongs to user 1000");
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    }
    fs::remove_file(&profile).unwrap();
    symlink("/nowhere", &profile).unwrap();
    refused(&t, "cannot read");
    fs::remove_file(&profile).unwrap();
    let lost = t.path("lost");
    let brig = t.program(env!("CARGO_BIN_EXE_brig")).arg("--root").arg(t.root());
    let run = brig.arg("--config").arg(&lost).args(["run", "--bundle"]).arg(&t.bundle.dir);
    run.arg(t.id("c")).run().fails_with("no such directory");
    t.run_bundle().ok();
    assert!(t.bundle.file("/started").exists());
}

#[test]
fn a_bundle_gets_only_what_the_operator_lets_it_ask_for() {
    let mut t = test!();
    let ask = |t: &mut Test, annotations: Value| {
        t.bundle.config["annotations"] = annotations;
        t.run(["/bin/true"])
    };
    ask(&mut t, json!({ "io.brig.profile": "none" })).fails_with("allow_annotations");
    ask(&mut t, json!({ "io.brig.set.data": "/x" })).fails_with("allow_set");
    ask(&mut t, json!({ "io.brig.profile.from": "hostname" })).fails_with("none of brig's");
    t.configure("allow_annotations = [\"io.brig.profile\"]\nallow_set = [\"secret\"]\n");
    for path in ["/etc/brig/x.toml", "../x", "..", "x\u{0}y", ""] {
        ask(&mut t, json!({ "io.brig.profile": path })).fails_with("not a plain file name");
    }
    t.profile("masking.toml", "[vars]\nsecret = \"/root\"\n[files]\nmask = [\"${secret}\"]\n");
    fs::write(t.bundle.file("/etc/token"), "token").unwrap();
    let show = ["/bin/cat", "/etc/token"];
    t.bundle.config["annotations"] = json!({ "io.brig.profile": "masking" });
    t.run(show).prints("token");
    t.bundle.config["annotations"]["io.brig.set.secret"] = json!("/etc/token");
    t.run(show).prints("");
    let set = t.brig().args(["--set", "secret=/root", "run", "--bundle"]).arg(&t.bundle.dir);
    set.arg(t.id("c")).run().prints("token");
    t.bundle.config["annotations"] = json!({});
    let set = t.brig().args(["--set", "typo=/root", "run", "--bundle"]).arg(&t.bundle.dir);
    set.arg(t.id("c")).run().fails_with("E0212");
    for name in ["..", "a/b"] {
        t.bundle.config["hostname"] = json!(name);
        t.run(["/bin/true"]).fails_with("not a plain file name");
    }
    t.assert_clean();
}

#[test]
fn a_required_profile_cannot_be_escaped() {
    let mut t = test!();
    fs::write(
        t.operator().join("floor.toml"),
        "[vars]\nhidden = \"/root\"\n[files]\nmask = [\"${hidden}\"]\n[process]\ncapabilities = [\"kill\"]\n\
         max_processes = 60\n",
    )
    .unwrap();
    t.configure("required_profile = \"./floor.toml\"\nallow_annotations = [\"io.brig.profile\"]\n");
    t.profile(
        "loose.toml",
        "[vars]\nhidden = \"/x\"\n[files]\nmask = [\"${hidden}\"]\n[process]\n\
         no_new_privileges = false\nmax_processes = 900\ncapabilities = [\"net_raw\", \"kill\"]\n",
    );
    fs::write(t.bundle.file("/root/token"), "token").unwrap();
    t.bundle.capabilities(&["CAP_KILL", "CAP_NET_RAW"]);
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let id = t.id("c");
    for options in [&["--profile", "none"][..], &["--profile", "loose", "--set", "hidden=/y"]] {
        let create = t.brig().args(options).args(["create", "--bundle"]).arg(&t.bundle.dir);
        create.arg(&id).run().ok();
        t.call(["start", &id]).ok();
        for found in [of_first(&t, &id), of_added(&t, &id, &["--cap", "CAP_NET_RAW"])] {
            assert_eq!(found[..2], ["NoNewPrivs 1", "Seccomp 2"], "{options:?}");
            assert_eq!(found[5], "CapBnd 0000000000000020", "{options:?}");
        }
        assert_eq!(limit(&t, "pids", "pids.max", "pids.max"), "60");
        t.exec(&id, ["/bin/ls", "/root"]).prints("");
        let required = t.state(&id)["annotations"]["io.brig.profile.required"].clone();
        assert!(required.as_str().unwrap().ends_with("floor.toml"));
        t.delete(&id);
    }
}

#[test]
fn a_mask_that_cannot_be_made_is_an_error_or_for_the_operator_to_live_with() {
    let mut t = test!();
    t.profile("default.toml", "[files]\nmask = [\"/\"]\n");
    t.run(["/bin/true"]).fails_with("default.toml:2: / cannot be masked");
    t.configure("enforcement = \"best-effort\"\n");
    let started = t.run(["/bin/true"]).ok();
    assert!(started.stderr.contains("is not wholly enforced"), "{}", started.stderr);
}

#[test]
fn the_operator_bounds_what_the_kernel_is_given() {
    let mut t = test!();
    let paths: Vec<String> = (0..40).map(|n| format!("\"/srv/{n}\"")).collect();
    for n in 0..40 {
        fs::create_dir_all(t.bundle.file(&format!("/srv/{n}"))).unwrap();
    }
    t.profile("default.toml", &format!("[files]\nwrite = [{}]\n", paths.join(", ")));
    t.run(["/bin/touch", "/srv/7/x"]).ok();
    t.configure("max_rules = 20\n");
    t.run(["/bin/touch", "/srv/7/y"]).fails_with("20");
    assert!(!t.bundle.file("/srv/7/y").exists());
    t.assert_clean();
}

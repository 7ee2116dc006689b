// SPDX-License-Identifier: Apache-2.0
//! Where containers' cgroups go, and that nothing of them is left.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use serde_json::Value;

use crate::harness::{Test, process};
use crate::test;

/// The mounted hierarchies of cgroup v1 that have a controller.
pub fn hierarchies() -> Vec<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_v1 =
        mountinfo.lines().filter(|line| line.contains(" - cgroup ") && !line.contains("name="));
    of_v1.map(|line| PathBuf::from(line.split(' ').nth(4).unwrap())).collect()
}

fn without_a_path(t: &mut Test) {
    t.bundle.config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
}

#[test]
fn a_container_that_names_no_cgroup_has_one_below_brigs() {
    let mut t = test!();
    without_a_path(&mut t);
    let id = t.start_sleeping();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", t.pid(&id))).unwrap();
    let expected = format!("/brig/containers/{id}");
    assert!(text.lines().any(|line| line.ends_with(&format!(":pids:{expected}"))), "{text}");
    t.delete(&id);
    for hierarchy in hierarchies() {
        let own = hierarchy.join(expected.trim_start_matches('/'));
        assert!(!own.exists(), "{}", own.display());
    }
    t.assert_clean();
}

#[test]
fn an_empty_cgroups_path_is_none() {
    let mut t = test!();
    t.bundle.config["linux"]["cgroupsPath"] = Value::from("");
    let id = t.id("c");
    let seen = t.run(["/bin/cat", "/proc/self/cgroup"]).ok().stdout;
    assert!(seen.contains(&format!(":/brig/containers/{id}")), "{seen}");
}

#[test]
fn the_root_of_the_cgroups_is_no_containers_own() {
    let mut t = test!();
    t.bundle.config["linux"]["cgroupsPath"] = Value::from("/");
    t.run(["/bin/true"]).fails_with("linux.cgroupsPath");
    t.assert_clean();
}

/// Directories below each other: together longer than any path may be.
fn dig(directory: &Path, depth: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at: OwnedFd = rustix::fs::open(directory, flags, Mode::empty()).unwrap();
    let name = "n".repeat(250);
    for _ in 0..depth {
        mkdirat(&at, &name, Mode::from_raw_mode(0o755)).unwrap();
        at = openat(&at, &name, flags, Mode::empty()).unwrap();
    }
}

#[test]
fn cgroups_that_the_workload_made_go_with_its_own() {
    let mut t = test!();
    let id = t.start_sleeping();
    for hierarchy in ["pids", "memory"] {
        let own = Path::new("/sys/fs/cgroup").join(hierarchy).join(t.tag());
        fs::create_dir_all(own.join("system.slice/a.service")).unwrap();
        fs::create_dir_all(own.join("user.slice")).unwrap();
        dig(&own, 20);
    }
    t.delete(&id);
    t.assert_clean();
}

/// A part of cgroup v2 as a container has it: a namespace whose root has processes in it.
fn in_a_cgroup_namespace(t: &Test, script: &str) -> String {
    let inner = format!("mount -t cgroup2 cgroup2 /sys/fs/cgroup && {script}");
    let outer = format!(
        "mkdir /sys/fs/cgroup/unified/{tag} && echo $$ > /sys/fs/cgroup/unified/{tag}/cgroup.procs \
         && exec unshare --cgroup --mount sh -c '{inner}'",
        tag = t.tag()
    );
    t.program("/bin/sh").args(["-c", &outer]).run().ok().stdout
}

/// Removes what [`in_a_cgroup_namespace`] has made, and says what that was.
fn clear(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            clear(&entry.path());
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    fs::remove_dir(directory).unwrap();
    names.sort();
    names
}

/// On cgroup v2 rules about devices are programs, which not everybody's root can load.
fn loads_device_programs() -> bool {
    let pid = i32::try_from(std::process::id()).unwrap();
    let effective = u64::from_str_radix(&process::status(pid, "CapEff").unwrap(), 16).unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).maximum;
    effective & (1 << 24) != 0 || limit.is_none_or(|limit| limit >= 128 << 20)
}

#[test]
fn in_a_cgroup_namespace_containers_go_beside_what_was_there() {
    let mut t = test!();
    without_a_path(&mut t);
    t.bundle.args(["/bin/cat", "/proc/self/cgroup"]);
    t.bundle.write();
    let brig = format!("{} --root {}", env!("CARGO_BIN_EXE_brig"), t.root().display());
    let (bundle, id) = (t.bundle.dir.display().to_string(), t.id("c"));
    let run = format!("{brig} run --bundle {bundle} {id}");
    let doctor = format!("{brig} doctor --json | grep cgroup_parent");
    // twice: the second brig is in the leaf that the first one has made
    let script = format!("{doctor}; {run} && cat /proc/self/cgroup && {run} && {doctor}");
    let seen = in_a_cgroup_namespace(&t, &script);
    let made = clear(&Path::new("/sys/fs/cgroup/unified").join(t.tag()));
    let of_v2 = |line: &&str| line.starts_with("0::");
    let places: Vec<&str> = seen.lines().filter(of_v2).collect();
    if loads_device_programs() {
        assert_eq!(made, ["containers", "init"]);
        let container = format!("0::/containers/{id}");
        assert_eq!(places, [container.as_str(), "0::/init", container.as_str()], "{seen}");
        assert_eq!(seen.matches("\"/containers\"").count(), 2, "{seen}");
    } else {
        assert!(made.is_empty(), "{made:?}");
        assert_eq!(places, ["0::/"; 3], "{seen}");
        assert_eq!(seen.matches("null").count(), 2, "{seen}");
    }
    t.assert_clean();
}

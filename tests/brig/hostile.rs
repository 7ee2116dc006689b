// SPDX-License-Identifier: Apache-2.0
//! Images and workloads that attack the runtime. Where an attack is one on other runtimes too, the
//! name of the vulnerability is given.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::harness::{Test, until};
use crate::test;

fn hash_of_brig() -> Vec<u8> {
    fs::read(env!("CARGO_BIN_EXE_brig")).unwrap()
}

#[test]
fn the_runtimes_binary_cannot_be_overwritten() {
    // CVE-2019-5736: the entrypoint is the runtime itself, by way of /proc/self/exe; whoever then gets
    // hold of the runtime's file reopens it for writing
    let mut t = test!().plain();
    let before = hash_of_brig();
    let metadata = fs::metadata(env!("CARGO_BIN_EXE_brig")).unwrap();
    t.bundle.install("/bin/entry", "#!/proc/self/exe\n", 0o755);
    for capabilities in
        [&["CAP_KILL"][..], &["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"]]
    {
        t.bundle.capabilities(capabilities);
        t.bundle.config["process"]["noNewPrivileges"] = json!(false);
        t.run(["/bin/entry"]);
        t.run(["/proc/self/exe"]);
        let id = t.id("c");
        // inside, something takes hold of whatever is executed and, when that has ended, opens it for
        // writing; what it holds is known by device and inode
        let file = format!("{}:{}", metadata.dev(), metadata.ino());
        t.bundle.script(&format!(
            "echo r > /ready; while :; do for p in /proc/[0-9]*; do test $p = /proc/1 && continue
               ( exec 4< $p/exe; test $(stat -L -c %d:%i /proc/self/fd/4) = {file} && echo x >> /seen && i=0
                 while test $i -lt 400; do i=$((i+1))
                   ( : >> /proc/self/fd/4 ) 2>/dev/null && echo x >> /opened && break; done
               ); done; done 2>/dev/null"
        ));
        t.create();
        t.call(["start", &id]).ok();
        until("ready", || t.bundle.file("/ready").exists().then_some(()));
        for _ in 0..10 {
            t.exec(&id, ["/bin/true"]).ok();
            t.exec(&id, ["/bin/entry"]);
            t.exec(&id, ["/proc/self/exe"]);
        }
        t.delete(&id);
        let after = fs::metadata(env!("CARGO_BIN_EXE_brig")).unwrap();
        assert_eq!(after.modified().unwrap(), metadata.modified().unwrap());
        assert_eq!(hash_of_brig(), before);
        assert!(!t.bundle.file("/opened").exists(), "the runtime's file was opened for writing");
        fs::remove_file(t.bundle.file("/ready")).unwrap();
    }
    if !t.bundle.file("/seen").exists() {
        println!("the attack never got hold of the file");
    }
}

#[test]
fn a_joining_process_cannot_be_looked_into() {
    let mut t = test!().plain();
    t.bundle.capabilities(&["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]);
    // every process but the first is looked at; what is not the workload's own program counts
    t.bundle.script(
        "echo r > /ready; while :; do for p in /proc/[0-9]*; do
           case $p in /proc/1) continue;; esac
           e=$(readlink $p/exe 2>/dev/null) && case $e in *busybox*|/bin/*) ;; *) echo exe $e >> /leak;; esac
           for f in $p/fd/*; do l=$(readlink $f 2>/dev/null) || continue
             case $l in *seccomp*|*root/*|*.sock*|*config.json*) echo $f $l >> /leak;; esac; done
         done; done",
    );
    let id = t.start();
    until("ready", || t.bundle.file("/ready").exists().then_some(()));
    for _ in 0..30 {
        t.exec(&id, ["/bin/true"]).ok();
    }
    let leak = fs::read_to_string(t.bundle.file("/leak")).unwrap_or_default();
    assert_eq!(leak, "");
}

#[test]
fn links_in_the_place_of_dev_proc_and_sys_are_refused() {
    // CVE-2019-16884, CVE-2023-27561, and an image whose /dev leads to a directory of the host
    let mut t = test!().plain();
    let host = t.path("host");
    for name in ["dev", "proc", "sys"] {
        for target in [host.clone(), "/tmp".into(), "../../host".into()] {
            fs::create_dir_all(&host).unwrap();
            let path = t.bundle.file(name);
            fs::remove_dir(&path).unwrap();
            symlink(&target, &path).unwrap();
            for with_mount in [true, false] {
                let mounts = t.bundle.config["mounts"].clone();
                if !with_mount {
                    let list = t.bundle.config["mounts"].as_array_mut().unwrap();
                    list.retain(|one| {
                        !one["destination"].as_str().unwrap().starts_with(&format!("/{name}"))
                    });
                }
                t.run(["/bin/true"])
                    .exits(1)
                    .fails_with(&format!("/{name} of the root filesystem"));
                t.assert_clean();
                t.bundle.config["mounts"] = mounts;
            }
            assert!(fs::read_dir(&host).unwrap().next().is_none(), "nothing is made on the host");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
    }
}

#[test]
fn links_on_the_way_of_a_mount_destination_never_lead_outside() {
    // CVE-2024-45310
    let mut t = test!().plain();
    let host = t.path("host");
    fs::create_dir(&host).unwrap();
    let up = "../".repeat(20) + host.to_str().unwrap().trim_start_matches('/');
    fs::create_dir_all(t.bundle.file("/vol")).unwrap();
    symlink(&host, t.bundle.file("/vol/absolute")).unwrap();
    symlink(&up, t.bundle.file("/vol/climbing")).unwrap();
    symlink("climbing", t.bundle.file("/vol/indirect")).unwrap();
    symlink("loop", t.bundle.file("/vol/loop")).unwrap();
    let sound = t.bundle.config["mounts"].clone();
    for link in ["absolute", "climbing", "indirect", "loop"] {
        for below in ["", "/made", "/made/deep"] {
            for source in ["tmpfs", "bind", "file"] {
                let destination = format!("/vol/{link}{below}");
                t.bundle.config["mounts"] = sound.clone();
                t.bundle.mount(match source {
                    "tmpfs" => json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" }),
                    "bind" => json!({ "destination": destination, "type": "bind", "source": "/mnt", "options": ["bind"] }),
                    _ => json!({ "destination": destination, "type": "bind", "source": "/etc/hostname", "options": ["bind"] }),
                });
                let outcome = t.run(["/bin/true"]);
                assert!(
                    outcome.status.code() == Some(0)
                        || outcome.stderr.starts_with("brig: run failed"),
                    "{outcome:?}"
                );
                assert!(
                    fs::read_dir(&host).unwrap().next().is_none(),
                    "{destination}: made on the host"
                );
                t.assert_clean();
            }
        }
    }
}

#[test]
fn a_working_directory_behind_a_link_is_made_inside() {
    let mut t = test!().plain();
    let host = t.path("host");
    fs::create_dir(&host).unwrap();
    symlink(&host, t.bundle.file("/out")).unwrap();
    t.bundle.config["process"]["cwd"] = json!("/out/made");
    let outcome = t.run(["/bin/pwd"]);
    assert!(fs::read_dir(&host).unwrap().next().is_none(), "{outcome:?}");
    t.assert_clean();
}

#[test]
fn masked_paths_are_masked_with_the_real_null_device() {
    // CVE-2025-31133: /dev/null of the image leads elsewhere, and a bind of it would open that
    let mut t = test!().plain();
    let mut mounts = t.bundle.config["mounts"].as_array().unwrap().clone();
    mounts.retain(|one| !one["destination"].as_str().unwrap().starts_with("/dev"));
    t.bundle.config["mounts"] = mounts.into();
    fs::write(t.bundle.file("/secret"), "secret").unwrap();
    fs::write(t.bundle.file("/target"), "target").unwrap();
    t.bundle.config["linux"]["maskedPaths"] = json!(["/secret"]);
    for target in ["/proc/sys/kernel/core_pattern", "/target", "/no/such"] {
        let null = t.bundle.file("/dev/null");
        fs::remove_file(&null).unwrap_or_default();
        symlink(target, &null).unwrap();
        let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        let outcome = t.run(["/bin/cat", "/secret"]);
        assert!(
            !outcome.stdout.contains("secret") && !outcome.stdout.contains("target"),
            "{target}: {outcome:?}"
        );
        assert_ne!(outcome.text(), before.trim(), "{target}");
        assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
        t.assert_clean();
    }
    // a file in its place
    let null = t.bundle.file("/dev/null");
    fs::remove_file(&null).unwrap_or_default();
    fs::write(&null, "not the device").unwrap();
    let outcome = t.run(["/bin/cat", "/secret"]);
    assert!(
        !outcome.stdout.contains("secret") && !outcome.stdout.contains("not the device"),
        "{outcome:?}"
    );
}

#[test]
fn a_root_that_is_a_link_is_refused_and_one_below_a_link_is_taken() {
    let mut t = test!().plain();
    symlink("rootfs", t.bundle.dir.join("link")).unwrap();
    symlink("/", t.bundle.dir.join("host")).unwrap();
    t.bundle.args(["/bin/echo", "fine"]);
    for path in ["link", "host", "/", "host/tmp/..", "."] {
        t.bundle.config["root"]["path"] = json!(path);
        if path != "." && path != "host/tmp/.." {
            t.run_command("run").run().exits(1).fails_with("root.path");
        } else {
            let outcome = t.run_command("run").run();
            assert_ne!(outcome.status.code(), Some(0), "{outcome:?}");
        }
        t.assert_clean();
    }
    symlink(&t.bundle.dir, t.path("way")).unwrap();
    t.bundle.config["root"]["path"] = json!(t.path("way/rootfs"));
    t.run_command("run").run().prints("fine");
}

#[test]
fn mount_parents_that_are_links_are_resolved_inside() {
    let mut t = test!().plain();
    let host = t.path("host");
    fs::create_dir(&host).unwrap();
    let etc = t.bundle.file("/etc");
    fs::rename(&etc, t.bundle.file("/real-etc")).unwrap();
    symlink("/real-etc", &etc).unwrap();
    t.bundle.mount(json!({ "destination": "/etc/hostname", "type": "bind", "source": "/etc/hostname", "options": ["bind", "ro"] }));
    let name = fs::read_to_string("/etc/hostname").unwrap();
    t.run(["/bin/cat", "/real-etc/hostname"]).prints(name.trim());
    t.assert_clean();
}

/// Swaps two names for ever, as a workload of a container that shares a volume would.
fn swap(a: &Path, b: &Path, done: &std::sync::atomic::AtomicBool) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    while !done.load(std::sync::atomic::Ordering::Relaxed) {
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
    }
}

fn race_rounds() -> usize {
    std::env::var("BRIG_TESTS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

#[test]
fn a_destination_that_is_swapped_for_a_link_stays_inside() {
    // CVE-2021-30465
    let mut t = test!().plain();
    let volume = t.path("volume");
    let host = t.path("host");
    fs::create_dir_all(volume.join("dir")).unwrap();
    fs::create_dir(&host).unwrap();
    symlink(&host, volume.join("link")).unwrap();
    t.bundle.mount(
        json!({ "destination": "/vol", "type": "bind", "source": volume, "options": ["rbind"] }),
    );
    t.bundle.mount(json!({ "destination": "/vol/dir/inner", "type": "tmpfs", "source": "tmpfs" }));
    t.bundle.args(["/bin/true"]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&volume.join("dir"), &volume.join("link"), &done));
        for _ in 0..race_rounds() {
            let outcome = t.run_bundle();
            assert!(outcome.status.code().is_some(), "{outcome:?}");
            assert!(fs::read_dir(&host).unwrap().next().is_none(), "made on the host: {outcome:?}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    t.assert_clean();
}

#[test]
fn the_environment_of_the_image_does_not_reach_hooks() {
    // CVE-2025-23266
    let mut t = test!().plain();
    t.bundle.config["process"]["env"] = json!(["PATH=/bin", "LD_PRELOAD=/evil.so", "EVIL=1"]);
    let log = t.path("log");
    let script = format!("env > {}", log.display());
    t.bundle.config["hooks"] =
        json!({ "createContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    t.run(["/bin/true"]).ok();
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("EVIL") && !text.contains("LD_PRELOAD"), "{text}");
}

#[test]
fn no_descriptor_of_the_runtime_is_found_inside() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    t.bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    let outcome = t.script("for f in /proc/[0-9]*/fd/*; do readlink $f; done | sort | uniq").ok();
    for line in outcome.stdout.lines() {
        assert!(
            !line.contains("seccomp") && !line.contains("socket:") && !line.contains("brig"),
            "{line}"
        );
    }
}

#[test]
fn the_state_cannot_be_replaced_by_a_link() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let other = t.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("keep"), "").unwrap();
    symlink(&other, t.root().join(t.id("link"))).unwrap();
    t.call(["delete", "--force", &t.id("link")]);
    assert!(other.join("keep").exists(), "a link's target is not deleted");
    fs::remove_file(t.root().join(t.id("link"))).unwrap_or_default();
    t.delete(&id);
}

/// The first process's own attack on what is around it.
fn attack(t: &mut Test, script: &str) -> String {
    t.script(script).stdout
}

#[test]
fn the_cgroup_cannot_be_widened_from_inside() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "cgroup" }));
    t.bundle.mount(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }));
    t.bundle.config["linux"]["resources"]["pids"] = json!({ "limit": 20 });
    let text = attack(
        &mut t,
        "for f in $(find /sys/fs/cgroup -name pids.max); do echo max > $f && echo widened; cat $f; done 2>/dev/null",
    );
    assert!(!text.contains("widened"), "{text}");
    // and for writing it has to be mounted so
    let mounts = t.bundle.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["options"] = json!(["nosuid", "noexec", "nodev"]);
    let text = attack(
        &mut t,
        "for f in $(find /sys/fs/cgroup -name pids.max); do echo 30 > $f && echo widened; done 2>/dev/null",
    );
    assert!(text.contains("widened"), "the attack works where the mount allows it: {text}");
}

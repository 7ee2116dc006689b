// SPDX-License-Identifier: Apache-2.0
//! Mounts as engines write them, propagation, the read-only root, masked paths, devices.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use serde_json::json;

use crate::harness::process;
use crate::test;

#[test]
fn every_form_of_rootfs_propagation_is_accepted() {
    let mut t = test!().plain();
    for form in [
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
        "",
    ] {
        t.bundle.config["linux"]["rootfsPropagation"] = json!(form);
        let outcome = t.run(["/bin/cat", "/proc/self/mountinfo"]).ok();
        let root = outcome.stdout.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        let expected = match form.trim_start_matches('r') {
            "shared" => Some("shared:"),
            "unbindable" => Some("unbindable"),
            _ => None,
        };
        match expected {
            Some(text) => assert!(root.contains(text), "{form}: {root}"),
            None => {
                assert!(
                    !root.contains("shared:") && !root.contains("unbindable"),
                    "{form}: {root}"
                );
            }
        }
        t.assert_clean();
    }
}

#[test]
fn mounts_without_a_source_or_with_none_as_type_work() {
    let mut t = test!().plain();
    t.bundle.mount(json!({ "destination": "/t", "type": "tmpfs" }));
    t.bundle.mount(json!({ "destination": "/p", "type": "proc" }));
    t.bundle.mount(json!({ "destination": "/q", "type": "mqueue", "source": "" }));
    let volume = t.path("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "content").unwrap();
    t.bundle.mount(json!({ "destination": "/b", "type": "none", "source": volume, "options": ["rbind", "ro"] }));
    t.bundle
        .mount(json!({ "destination": "/c", "source": volume.join("file"), "options": ["bind"] }));
    t.script("cat /b/file /c; test -e /p/self && grep -c ' /[tq] ' /proc/self/mountinfo; echo x > /b/new")
        .fails_with("Read-only file system");
    t.script("cat /b/file; echo; cat /c; echo; grep -c ' /[tqp] ' /proc/self/mountinfo")
        .prints("content\ncontent\n3");
    t.assert_clean();
}

#[test]
fn a_relative_source_is_below_the_bundle() {
    let mut t = test!().plain();
    fs::create_dir(t.bundle.dir.join("volume")).unwrap();
    fs::write(t.bundle.dir.join("volume/file"), "content").unwrap();
    t.bundle.mount(
        json!({ "destination": "/b", "type": "bind", "source": "volume", "options": ["bind"] }),
    );
    t.run(["/bin/cat", "/b/file"]).prints("content");
}

#[test]
fn tmpcopyup_copies_content_modes_owners_and_links() {
    let mut t = test!().plain();
    let source = t.bundle.file("/data");
    fs::create_dir_all(source.join("sub/deep")).unwrap();
    fs::write(source.join("file"), "content").unwrap();
    fs::write(source.join("sub/deep/secret"), "x").unwrap();
    fs::set_permissions(source.join("file"), fs::Permissions::from_mode(0o4751)).unwrap();
    chown(source.join("sub/deep/secret"), Some(1000), Some(1001)).unwrap();
    fs::set_permissions(source.join("sub/deep/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(source.join("sub"), fs::Permissions::from_mode(0o2775)).unwrap();
    chown(&source, Some(7), Some(8)).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o1750)).unwrap();
    symlink("/etc/passwd", source.join("link")).unwrap();
    symlink("nowhere", source.join("dangling")).unwrap();
    t.bundle.mount(json!({ "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "tmpcopyup"] }));
    t.bundle.capabilities(&["CAP_DAC_OVERRIDE"]);
    let script = "cd /data; cat file; echo; for f in . file sub sub/deep/secret; do stat -c '%n %a %u %g' $f; done
        readlink link; readlink dangling; grep -c ' /data ' /proc/self/mountinfo; echo new > file";
    let outcome = t.script(script).ok();
    let expected = "content\n. 1750 7 8\nfile 4751 0 0\nsub 2775 0 0\nsub/deep/secret 600 1000 1001\n/etc/passwd\nnowhere\n1";
    assert_eq!(outcome.text(), expected);
    assert_eq!(
        fs::read_to_string(source.join("file")).unwrap(),
        "content",
        "the image is as it was"
    );
    // without the option the tmpfs is empty
    let last = t.bundle.config["mounts"].as_array().unwrap().len() - 1;
    t.bundle.config["mounts"][last]["options"] = json!(["nosuid"]);
    t.run(["/bin/ls", "-A", "/data"]).prints("");
    // a directory that the image has not
    t.bundle.mount(json!({ "destination": "/fresh", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"] }));
    t.run(["/bin/ls", "-A", "/fresh"]).prints("");
    t.assert_clean();
}

#[test]
fn mount_flags_hold() {
    let mut t = test!().plain();
    t.bundle.mount(json!({ "destination": "/m", "type": "tmpfs", "source": "tmpfs",
        "options": ["ro", "nosuid", "nodev", "noexec", "size=1m", "mode=0711"] }));
    let line = t.script("grep ' /m ' /proc/self/mountinfo; stat -c %a /m").ok().stdout;
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(line.split([' ', ',']).any(|one| one == flag), "{flag}: {line}");
    }
    assert!(line.contains("size=1024k") && line.ends_with("711\n"), "{line}");
    t.script("echo x > /m/x").fails_with("Read-only file system");
    // recursive attributes of a bind mount
    let volume = t.path("volume");
    fs::create_dir(&volume).unwrap();
    fs::copy("/bin/busybox", volume.join("busybox")).unwrap();
    t.bundle.mount(json!({ "destination": "/v", "type": "bind", "source": volume, "options": ["rbind", "noexec", "nosuid"] }));
    t.run(["/v/busybox", "true"]).fails_with("permission denied");
}

#[test]
fn mount_propagation_is_as_asked() {
    let mut t = test!().plain();
    let volume = t.path("volume");
    fs::create_dir(&volume).unwrap();
    for (option, expected) in [
        ("private", "-"),
        ("rprivate", "-"),
        ("slave", "-"),
        ("rslave", "-"),
        ("unbindable", "unbindable"),
    ] {
        let mut mounts = t.bundle.config["mounts"].clone();
        mounts.as_array_mut().unwrap().retain(|one| one["destination"] != "/v");
        t.bundle.config["mounts"] = mounts;
        t.bundle.mount(json!({ "destination": "/v", "type": "bind", "source": volume, "options": ["rbind", option] }));
        let line = t.run(["/bin/grep", " /v ", "/proc/self/mountinfo"]).ok().stdout;
        match expected {
            "-" => assert!(
                !line.contains("shared:") && !line.contains("unbindable"),
                "{option}: {line}"
            ),
            text => assert!(line.contains(text), "{option}: {line}"),
        }
    }
    t.assert_clean();
}

#[test]
fn a_bad_mount_fails_create_and_leaves_nothing() {
    let mut t = test!().plain();
    let sound = t.bundle.config["mounts"].clone();
    for mount in [
        json!({ "destination": "/x", "type": "bind", "source": "/no/such/source", "options": ["bind"] }),
        json!({ "destination": "/x", "type": "nosuchfs", "source": "x" }),
        json!({ "destination": "/x", "type": "tmpfs", "source": "x", "options": ["nosuchoption=1"] }),
        json!({ "destination": "/bin/busybox/x", "type": "tmpfs", "source": "x" }),
    ] {
        t.bundle.config["mounts"] = sound.clone();
        t.bundle.mount(mount.clone());
        let outcome = t.run_command("create").run().exits(1);
        assert!(outcome.stderr.len() > 20, "{mount}: {outcome:?}");
        t.assert_clean();
        t.run_command("run").run().exits(1);
        t.assert_clean();
    }
}

#[test]
fn a_read_only_root_is_read_only_and_its_mounts_are_not() {
    let mut t = test!().plain();
    t.bundle.config["root"]["readonly"] = json!(true);
    t.bundle.mount(json!({ "destination": "/scratch", "type": "tmpfs", "source": "tmpfs" }));
    fs::create_dir(t.bundle.file("/scratch")).unwrap();
    for path in ["/x", "/tmp/x", "/etc/passwd", "/proc/sys/kernel/hostname"] {
        t.script(&format!("echo x > {path}")).fails_with("Read-only file system");
    }
    t.script("echo x > /scratch/x && echo x > /dev/shm/x && echo fine").prints("fine");
    // nor can it be made writable again
    t.bundle.capabilities(&["CAP_SYS_ADMIN"]);
    let outcome = t.script("mount -o remount,rw / ; echo x > /x");
    assert!(outcome.stderr.contains("Read-only") || t.bundle.file("/x").exists(), "{outcome:?}");
}

#[test]
fn masked_paths_hide_and_read_only_paths_hold() {
    let mut t = test!().plain();
    fs::create_dir_all(t.bundle.file("/hidden")).unwrap();
    fs::write(t.bundle.file("/hidden/file"), "secret").unwrap();
    fs::write(t.bundle.file("/hidden-file"), "secret").unwrap();
    fs::create_dir_all(t.bundle.file("/frozen/sub")).unwrap();
    t.bundle.config["linux"]["maskedPaths"] =
        json!(["/hidden", "/hidden-file", "/proc/kcore", "/not/there"]);
    t.bundle.config["linux"]["readonlyPaths"] = json!(["/frozen", "/proc/sys", "/not/there"]);
    t.bundle.capabilities(&["CAP_DAC_OVERRIDE"]);
    t.script("ls -A /hidden; cat /hidden-file; cat /proc/kcore | wc -c").prints("0");
    for path in ["/frozen/x", "/frozen/sub/x", "/proc/sys/kernel/hostname", "/hidden/x"] {
        t.script(&format!("echo x > {path}")).fails_with("Read-only file system");
    }
    assert!(!t.bundle.file("/frozen/x").exists());
}

#[test]
fn default_devices_are_there_and_others_are_denied() {
    let mut t = test!().plain();
    t.bundle.capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
    let script = "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done
        head -c 4 /dev/zero | wc -c; readlink /dev/fd; readlink /dev/stdin; echo x > /dev/null; stat -c '%a %t:%T' /dev/null
        mknod /tmp/null c 1 3 && echo x > /tmp/null && echo allowed";
    t.script(script).prints("4\n/proc/self/fd\n/proc/self/fd/0\n666 1:3\nallowed");
    // kmsg, and a disk: the node can be made (or not), the device cannot be opened
    for (kind, major, minor) in [("c", 1, 11), ("c", 10, 237), ("b", 254, 0), ("b", 7, 0)] {
        let script =
            format!("mknod /tmp/d {kind} {major} {minor}; dd if=/tmp/d of=/dev/null count=1");
        t.script(&script).fails_with("Operation not permitted");
        fs::remove_file(t.bundle.file("/tmp/d")).unwrap_or_default();
    }
}

#[test]
fn a_device_that_the_specification_gives_is_made_and_allowed() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["devices"] = json!([
        { "type": "c", "path": "/dev/kmsg-ish", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 3, "gid": 4 },
    ]);
    t.bundle.config["linux"]["resources"]["devices"] = json!([
        { "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" },
    ]);
    t.bundle.capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYSLOG"]);
    t.script("stat -c '%a %u %g %t:%T' /dev/kmsg-ish; dd if=/dev/kmsg-ish of=/dev/null count=1 bs=8192 2>/dev/null && echo read; dd if=/dev/null of=/dev/kmsg-ish count=0 2>/dev/null || echo not written")
        .prints("640 3 4 1:b\nread\nnot written");
}

#[test]
fn sysctls_are_set_in_the_containers_namespaces() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["sysctl"] =
        json!({ "net.ipv4.ip_forward": "1", "kernel.shmmni": "1234" });
    let before = fs::read_to_string("/proc/sys/kernel/shmmni").unwrap();
    t.script("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni").prints("1\n1234");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/shmmni").unwrap(), before);
    t.bundle.config["linux"]["sysctl"] = json!({ "kernel.shmmni": "no number" });
    t.run(["/bin/true"]).exits(1);
    t.assert_clean();
}

#[test]
fn namespaces_are_joined_by_path() {
    let mut t = test!().plain();
    let holder = t.start_sleeping();
    let pid = t.pid(&holder);
    for kind in ["net", "uts", "ipc"] {
        let name = if kind == "net" { "network" } else { kind };
        let second = t.another_bundle(kind);
        let mut config = second.config.clone();
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        for one in namespaces.iter_mut().filter(|one| one["type"] == name) {
            one["path"] = json!(format!("/proc/{pid}/ns/{kind}"));
        }
        config["process"]["args"] = json!(["/bin/readlink", format!("/proc/self/ns/{kind}")]);
        config.as_object_mut().unwrap().remove("hostname");
        fs::write(second.dir.join("config.json"), config.to_string()).unwrap();
        let expected = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        t.brig()
            .args(["run", "--bundle"])
            .arg(&second.dir)
            .arg(t.id(kind))
            .run()
            .prints(expected.to_str().unwrap());
    }
    assert!(process::is_alive(pid));
}

#[test]
fn no_pivot_cannot_be_escaped_by_chroot() {
    let mut t = test!().plain();
    t.bundle.capabilities(&["CAP_SYS_CHROOT"]);
    t.bundle.install("/mark", "", 0o644);
    for option in ["--no-pivot", "--no-new-keyring"] {
        t.bundle.script("mkdir -p /jail; cd /; i=0; while test $i -lt 20; do cd ..; i=$((i+1)); done; ls -d mark; chroot . /bin/ls -d /mark");
        let outcome = t.run_command("run").arg(option).run().ok();
        assert_eq!(outcome.text(), "mark\n/mark");
    }
    let root = fs::metadata(t.bundle.file("/mark")).unwrap();
    assert_eq!(root.uid(), 0);
}

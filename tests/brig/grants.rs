// SPDX-License-Identifier: Apache-2.0
//! What the kernel grants beside a supervisor: programs that run, names that come and go.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::harness::Test;
use crate::regions::{KEYS, script};
use crate::test;

#[test]
fn the_name_of_what_the_kernel_grants_can_be_given_and_taken() {
    let mut t = test!();
    for name in ["/plain", "/moved"] {
        fs::create_dir_all(t.bundle.file(name)).unwrap();
    }
    let out = script(
        &mut t,
        KEYS,
        "rmdir /plain && mkdir /plain && mv /moved /plain/here && rmdir /plain/here && ls /plain",
    );
    out.ok().prints("");
}

#[test]
fn what_takes_the_place_of_what_the_kernel_grants_can_be_used() {
    const BESIDE: &str = "[files]\ndeny = [\"/etc/secret\", \"/work/**/*.key\"]\n";
    let mut t = test!();
    for name in ["/etc/secret", "/etc/text", "/tree/sub/file"] {
        t.bundle.install(name, "old\n", 0o644);
    }
    let out = script(
        &mut t,
        BESIDE,
        "cd /etc && cat text && echo new > other && mv other text && cat text && echo more >> text && \
         cat text && mv /tree /wood && mkdir -p /tree/sub && echo now > /tree/sub/file && \
         cat /tree/sub/file /wood/sub/file && rm -r /tree && ! cat secret",
    );
    out.ok().prints("old\nnew\nnew\nmore\nnow\nold");
}

#[test]
fn programs_run_where_a_pattern_decides_about_reading() {
    for profile in [
        "[files]\ndeny = [\"/**/*.key\"]\n",
        "[files]\nread = [\"/bin/*\", \"/work\"]\nwrite = [\"/work\"]\n",
        "[files]\nexecute = [\"/bin/*\", \"/work\"]\ndeny = [\"/**/*.key\"]\n",
    ] {
        let mut t = test!();
        for (name, mode) in
            [("/bin/busybox.key", 0o755), ("/work/busybox", 0o755), ("/work/busybox-deaf", 0o644)]
        {
            let path = t.bundle.file(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(t.bundle.file("/bin/busybox"), &path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        let out = script(
            &mut t,
            profile,
            "cd /work && ./busybox echo run && cat a.txt && exec ./busybox sh -c 'echo on; ls /work'",
        );
        out.ok().prints("run\ntext\non\na.txt\nbusybox\nbusybox-deaf\nsub");
        let denied = [
            "/work/busybox-deaf true",
            "cat /work/sub/a.key",
            "/bin/busybox.key true",
            "cp /bin/busybox /work/busybox-new && /work/busybox-new true",
        ];
        // without a rule about keys only the first is denied
        let count = if profile.contains("key") { denied.len() } else { 1 };
        for attempt in &denied[..count] {
            script(&mut t, profile, attempt).fails_with("denied");
        }
    }
}

#[test]
fn a_program_is_read_by_none_of_its_later_names_that_may_not_be_read() {
    const PROFILE: &str = "[files]\nread = [\"/bin/*\", \"/work/*.bin\"]\n\
         write = [{ path = \"/work\", access = [\"create\", \"delete\", \"modify\"] }]\n";
    let mut t = test!();
    t.bundle.install("/work/a.bin", "#!/bin/sh\necho run\n", 0o755);
    let out = script(
        &mut t,
        PROFILE,
        "cd /work && ./a.bin && cat a.bin && mv a.bin b.other && ./b.other; cat b.other; \
         echo new > a.bin && cat a.bin; cat b.other",
    );
    assert!(!out.status.success(), "{out:?}");
    // the shell reads its script by the name that it is given
    assert_eq!(out.stdout, "run\n#!/bin/sh\necho run\nnew\n", "{out:?}");
    assert_eq!(out.stderr.matches("denied").count(), 3, "{out:?}");
}

/// What the kernel grants to a directory would follow it to wherever it is moved.
#[test]
fn a_directory_takes_no_grant_to_another_name() {
    let mut t = test!();
    t.bundle.install("/plain/sub/file", "text\n", 0o644);
    let number = |t: &Test, name: &str| fs::metadata(t.bundle.file(name)).unwrap().ino();
    let before = number(&t, "/plain");
    // it is copied, file by file, as to another mount; the copy can be moved
    let steps = "mv /plain /else && mv /else /work/plain && cat /work/plain/sub/file";
    script(&mut t, KEYS, steps).ok().prints("text");
    assert!(!t.bundle.file("/plain").exists());
    assert_ne!(number(&t, "/work/plain"), before);
}

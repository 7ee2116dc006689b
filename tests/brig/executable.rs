// SPDX-License-Identifier: Apache-2.0
//! Finding the program, as execvp and the kernel would, in runc's words: engines look for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::test;

#[test]
fn what_is_not_found_is_said_in_runcs_words() {
    let mut t = test!();
    let cases = [
        ("nothing", "exec: \"nothing\": executable file not found in $PATH"),
        ("/bin/nothing", "exec: \"/bin/nothing\": stat /bin/nothing: no such file or directory"),
        ("./nothing", "exec: \"./nothing\": stat ./nothing: no such file or directory"),
        ("/etc", "exec: \"/etc\": is a directory"),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ("/etc/passwd/x", "not a directory"),
        ("/dev/null", "exec: \"/dev/null\": permission denied"),
    ];
    for (program, expected) in cases {
        t.run([program]).fails_with(expected);
        t.assert_clean();
        t.bundle.args([program]);
        t.run_command("create").run().fails_with(expected);
        t.assert_clean();
    }
    let id = t.start_sleeping();
    for (program, expected) in cases {
        t.exec(&id, [program]).exits(255).fails_with(expected);
    }
    assert_eq!(t.state(&id)["status"], "running");
}

#[test]
fn a_file_that_is_no_program_fails_start() {
    let mut t = test!();
    t.bundle.install("/bin/garbage", "\u{7f}ELF but not really", 0o755);
    t.bundle.install("/bin/interpreted", "#!/no/such/interpreter\n", 0o755);
    t.bundle.install("/bin/text", "exit 0\n", 0o755);
    for (program, expected) in [
        ("/bin/garbage", "exec /bin/garbage: exec format error"),
        ("/bin/text", "exec /bin/text: exec format error"),
        ("/bin/interpreted", "exec /bin/interpreted: no such file or directory"),
    ] {
        t.bundle.args([program]);
        let id = t.create();
        t.call(["start", &id]).fails_with(expected);
        t.await_status(&id, "stopped");
        t.call(["delete", &id]).ok();
        t.assert_clean();
        t.run([program]).fails_with(expected);
        t.assert_clean();
    }
    let id = t.start_sleeping();
    t.exec(&id, ["/bin/garbage"]).exits(255).fails_with("exec format error");
}

#[test]
fn a_program_removed_between_create_and_start_fails_start() {
    let mut t = test!();
    t.bundle.install("/bin/fleeting", "#!/bin/sh\nexit 0\n", 0o755);
    t.bundle.args(["/bin/fleeting"]);
    let id = t.create();
    fs::remove_file(t.bundle.file("/bin/fleeting")).unwrap();
    t.call(["start", &id]).fails_with("exec /bin/fleeting: no such file or directory");
    t.delete(&id);
    t.assert_clean();
}

#[test]
fn scripts_run_with_their_interpreter() {
    let mut t = test!();
    t.bundle.install("/bin/script", "#!/bin/sh\necho script $0 $1\n", 0o755);
    t.run(["/bin/script", "x"]).prints("script /bin/script x");
    t.run(["script", "x"]).prints("script /bin/script x");
}

#[test]
fn the_specifications_path_is_searched_in_its_order() {
    let mut t = test!();
    t.bundle.install("/a/tool", "#!/bin/sh\necho a\n", 0o644);
    t.bundle.install("/b/tool", "#!/bin/sh\necho b\n", 0o755);
    t.bundle.install("/c/tool", "#!/bin/sh\necho c\n", 0o755);
    fs::create_dir_all(t.bundle.file("/d/tool")).unwrap();
    for (path, expected) in
        [("/a:/b:/c", "b"), ("/d:/c:/b", "c"), ("/none:/c", "c"), ("/a::/b", "b")]
    {
        t.bundle.config["process"]["env"] = json!([format!("PATH={path}")]);
        t.run(["tool"]).prints(expected);
    }
    // found, and not executable
    t.bundle.config["process"]["env"] = json!(["PATH=/none:/a"]);
    t.run(["tool"]).fails_with("exec: \"tool\": permission denied");
    // an empty entry, and a relative one, are below the working directory
    t.bundle.config["process"]["cwd"] = json!("/b");
    t.bundle.config["process"]["env"] = json!(["PATH="]);
    t.run(["tool"]).prints("b");
    t.bundle.config["process"]["cwd"] = json!("/");
    t.bundle.config["process"]["env"] = json!(["PATH=c"]);
    t.run(["tool"]).prints("c");
    t.bundle.config["process"]["env"] = json!([]);
    t.run(["tool"]).fails_with("executable file not found in $PATH");
    // the caller's own PATH does not count
    t.bundle.config["process"]["env"] = json!(["PATH=/none"]);
    t.run(["sh"]).fails_with("executable file not found in $PATH");
}

#[test]
fn relative_programs_are_below_the_working_directory() {
    let mut t = test!();
    t.bundle.install("/opt/tool", "#!/bin/sh\necho tool\n", 0o755);
    t.bundle.config["process"]["cwd"] = json!("/opt");
    t.run(["./tool"]).prints("tool");
    t.bundle.config["process"]["cwd"] = json!("/");
    t.run(["opt/tool"]).prints("tool");
    t.run(["../opt/tool"]).prints("tool");
}

#[test]
fn permission_is_the_real_one_and_not_the_bits_for_others() {
    let mut t = test!();
    let script = "#!/bin/sh\necho ran\n";
    // root's alone, and root runs it
    t.bundle.install("/bin/mine", script, 0o700);
    t.run(["/bin/mine"]).prints("ran");
    t.run(["mine"]).prints("ran");
    fs::create_dir(t.bundle.file("/alone")).unwrap();
    fs::copy("/bin/busybox", t.bundle.file("/alone/busybox")).unwrap();
    fs::set_permissions(t.bundle.file("/alone/busybox"), fs::Permissions::from_mode(0o100))
        .unwrap();
    t.run(["/alone/busybox", "echo", "ran"]).prints("ran");
    // the bit for others is set, and the user's own is not
    t.bundle.install("/bin/others", script, 0o705);
    std::os::unix::fs::chown(t.bundle.file("/bin/others"), Some(0), Some(1000)).unwrap();
    t.bundle.config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    t.run(["/bin/others"]).fails_with("exec: \"/bin/others\": permission denied");
    t.run(["/bin/mine"]).fails_with("exec: \"/bin/mine\": permission denied");
    // a group that the specification lists
    t.bundle.install("/bin/grouped", script, 0o750);
    std::os::unix::fs::chown(t.bundle.file("/bin/grouped"), Some(0), Some(77)).unwrap();
    t.run(["/bin/grouped"]).fails_with("permission denied");
    t.bundle.config["process"]["user"] =
        json!({ "uid": 1000, "gid": 1000, "additionalGids": [77] });
    t.run(["/bin/grouped"]).prints("ran");
    // a directory on the way
    t.bundle.install("/closed/tool", script, 0o755);
    fs::set_permissions(t.bundle.file("/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    t.run(["/closed/tool"]).fails_with("permission denied");
    t.assert_clean();
}

// SPDX-License-Identifier: Apache-2.0

use super::*;

const V2: &str = "24 22 0:21 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:32 / /mnt/memory\\040too rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

fn own_of(mountinfo: &str, cgroup: &str) -> Vec<Option<String>> {
    layout(mountinfo, cgroup).found.into_iter().map(|one| one.own).collect()
}

#[test]
fn the_line_of_v2_is_read() {
    let read = membership("0::/user.slice/a:b\n").unwrap();
    assert_eq!(read, [Membership { controllers: vec![], path: "/user.slice/a:b".to_owned() }]);
}

#[test]
fn lines_of_v1_name_their_controllers() {
    let text = "12:cpu,cpuacct:/x\n2:name=systemd:/init.scope\n0::/x\n";
    let read = membership(text).unwrap();
    let names: Vec<Vec<String>> = read.iter().map(|one| one.controllers.clone()).collect();
    assert_eq!(names, [vec!["cpu", "cpuacct"], vec!["name=systemd"], vec![]]);
    assert_eq!(read[1].path, "/init.scope");
}

#[test]
fn a_malformed_line_is_named() {
    for wrong in ["", "0", "0:", "0:/", "x::/", "0::relative", "0:cpu:/", "1::/", "-1:cpu:/"] {
        let error = membership(&format!("3:pids:/\n{wrong}\n")).unwrap_err();
        assert_eq!(error, Malformed { line: 2, text: wrong.to_owned() });
        assert!(error.to_string().contains("/proc/self/cgroup:2"), "{error}");
    }
    assert_eq!(membership(""), Ok(vec![]));
}

#[test]
fn what_is_mounted_at_the_usual_place_decides() {
    let check = |mountinfo: &str, expected| {
        assert_eq!(layout(mountinfo, "").setup, expected, "{mountinfo}");
    };
    check(V2, Setup::V2);
    check(HYBRID, Setup::Hybrid);
    let v1: String =
        HYBRID.lines().filter(|line| !line.contains("unified")).collect::<Vec<_>>().join("\n");
    check(&v1, Setup::V1);
    check("", Setup::None);
    check("23 27 0:22 / /sys rw - sysfs sysfs rw\n", Setup::None);
    check("nonsense\n24 22 - \n", Setup::None);
    // the later mount covers the earlier one
    check(&format!("{HYBRID}{V2}"), Setup::V2);
    check(&format!("{V2}{HYBRID}"), Setup::Hybrid);
}

#[test]
fn each_hierarchy_with_a_controller_is_found_once() {
    let layout = layout(HYBRID, "3:memory:/m\n1:cpu,cpuacct:/c\n0::/u\n");
    let points: Vec<&str> = layout.found.iter().map(|one| one.mount_point.as_str()).collect();
    assert_eq!(points, ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"]);
    assert_eq!(layout.found[0].controllers, ["cpu", "cpuacct"]);
    assert_eq!(layout.found[0].own.as_deref(), Some("/c"));
    assert_eq!(layout.found[1].own.as_deref(), Some("/m"));
    assert_eq!(layout.problem, None);
}

#[test]
fn a_malformed_membership_is_a_problem_and_hides_the_callers_own() {
    let layout = layout(V2, "0::nowhere\n");
    assert_eq!(layout.found[0].own, None);
    assert!(layout.problem.unwrap().contains("nowhere"));
}

#[test]
fn the_callers_own_is_seen_from_the_mount_point() {
    let bind = |root: &str| V2.replace("0:21 / ", &format!("0:21 {root} "));
    let check = |mountinfo: &str, path: &str, expected: Option<&str>| {
        let own = own_of(mountinfo, &format!("0::{path}\n"));
        assert_eq!(own, [expected.map(str::to_owned)], "{mountinfo} {path}");
    };
    check(V2, "/", Some("/"));
    check(V2, "/a/b", Some("/a/b"));
    // a part of the hierarchy is mounted, without a namespace
    check(&bind("/docker/x"), "/docker/x", Some("/"));
    check(&bind("/docker/x"), "/docker/x/init", Some("/init"));
    check(&bind("/docker/x"), "/docker/xy", None);
    check(&bind("/docker/x"), "/elsewhere", None);
    check(&bind("/with\\040space"), "/with space/a", Some("/a"));
    // outside the namespace, and gone
    check(V2, "/../outside", None);
    check(V2, "/gone (deleted)", None);
    check(V2, "/not..outside", Some("/not..outside"));
}

#[test]
fn a_leaf_of_what_was_there_is_seen_through() {
    let check = |own: &str, root: bool, sibling: bool, expected: &str| {
        assert_eq!(base(own, root, sibling), expected, "{own} {root} {sibling}");
    };
    check("/", false, false, "/");
    check("/init", false, false, "/");
    check("/init", false, true, "/");
    check("/init", true, false, "/init");
    check("/init", true, true, "/");
    check("/docker/x", true, false, "/docker/x");
    check("/docker/x/init", true, true, "/docker/x");
    check("/docker/x/init", true, false, "/docker/x/init");
    check("/docker/reinit", true, true, "/docker/reinit");
}

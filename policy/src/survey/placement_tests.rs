// SPDX-License-Identifier: Apache-2.0

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::survey::{Hierarchy, Own, Top, base};

const WRITABLE: Top = Top { writable: true, is_root: true, occupied: true };
const CLOSED: Top = Top { writable: false, is_root: true, occupied: true };
/// The root of a cgroup namespace in which the container's processes are.
const NAMESPACE: Top = Top { writable: true, is_root: false, occupied: true };
/// The same, after a service manager has moved them away.
const ARRANGED: Top = Top { writable: true, is_root: false, occupied: false };

fn own(path: &str, top: Top, writable: bool) -> Own {
    let base = base(path, top.is_root, false);
    Own { path: path.to_owned(), base, writable, controllers: vec!["pids".to_owned()] }
}

fn root(nested: bool) -> Situation {
    Situation { nested, privilege: Privilege::Host, device_programs: true }
}

fn hierarchy(top: Top, own: Option<Own>) -> Hierarchy {
    let controllers = vec!["memory".to_owned(), "pids".to_owned()];
    Hierarchy { mount_point: "/sys/fs/cgroup".to_owned(), controllers, top, own }
}

fn v2(top: Top, own: Option<Own>) -> Cgroups {
    Cgroups { setup: Setup::V2, hierarchies: vec![hierarchy(top, own)], problem: None }
}

fn check(cgroups: &Cgroups, nested: bool, expected: Option<&str>) {
    let placement = Placement::decide(cgroups, root(nested));
    let parent = placement.parent().map(|path| path.to_string_lossy().into_owned());
    assert_eq!(parent.as_deref(), expected, "{placement:?} of {cgroups:#?}, nested: {nested}");
}

#[test]
fn a_root_runtime_on_a_host_has_a_top_level_cgroup() {
    let session = |top| v2(top, Some(own("/user.slice/s", top, true)));
    check(&session(WRITABLE), false, Some("/brig/containers"));
    check(&v2(WRITABLE, None), false, Some("/brig/containers"));
}

#[test]
fn who_may_not_make_cgroups_stays_in_its_own() {
    let check = |setup: Setup, privilege: Privilege, device_programs: bool, expected: &str| {
        let mut cgroups = v2(WRITABLE, Some(own("/", WRITABLE, true)));
        cgroups.setup = setup;
        for nested in [false, true] {
            let placement =
                Placement::decide(&cgroups, Situation { nested, privilege, device_programs });
            match placement {
                Placement::Callers { reason } => assert!(reason.contains(expected), "{reason}"),
                placed => assert_eq!(expected, "", "{placed:?}"),
            }
        }
    };
    check(Setup::V2, Privilege::Host, true, "");
    check(Setup::V2, Privilege::Host, false, "rules about devices");
    check(Setup::V2, Privilege::Namespace, false, "rules about devices");
    check(Setup::V2, Privilege::None, false, "no CAP_SYS_ADMIN");
    check(Setup::Hybrid, Privilege::Host, false, "");
    check(Setup::Hybrid, Privilege::Namespace, false, "");
    check(Setup::Hybrid, Privilege::None, false, "no CAP_SYS_ADMIN");
}

#[test]
fn in_a_container_with_a_namespace_the_root_is_shared_out() {
    for path in ["/", "/init"] {
        let inner =
            |writable| v2(Top { writable, ..NAMESPACE }, Some(own(path, NAMESPACE, writable)));
        check(&inner(true), true, Some("/containers"));
        check(&inner(true), false, Some("/containers"));
        check(&inner(false), true, None);
    }
}

#[test]
fn in_a_container_that_sees_the_host_nothing_leaves_the_containers_own() {
    let inner = |writable| v2(WRITABLE, Some(own("/docker/x", WRITABLE, writable)));
    check(&inner(true), true, Some("/docker/x/containers"));
    check(&inner(false), true, None);
    // one that no cgroup limits, or none that can be seen
    check(&v2(WRITABLE, Some(own("/", WRITABLE, true))), true, Some("/brig/containers"));
    check(&v2(CLOSED, Some(own("/", CLOSED, false))), true, None);
}

#[test]
fn in_a_container_with_a_service_manager_the_top_is_free() {
    let inner = |top| v2(top, Some(own("/user.slice/s", top, true)));
    check(&inner(ARRANGED), true, Some("/brig/containers"));
    check(&inner(NAMESPACE), true, Some("/user.slice/s/containers"));
}

#[test]
fn on_v1_all_hierarchies_agree_or_the_top_is_taken() {
    let v1 = |setup, tops: [Top; 2], owns: [&str; 2]| Cgroups {
        setup,
        hierarchies: tops
            .into_iter()
            .zip(owns)
            .map(|(top, path)| hierarchy(top, Some(own(path, top, true))))
            .collect(),
        problem: None,
    };
    for setup in [Setup::V1, Setup::Hybrid] {
        check(&v1(setup, [WRITABLE; 2], ["/", "/m"]), false, Some("/brig/containers"));
        check(&v1(setup, [WRITABLE, CLOSED], ["/", "/"]), false, None);
        check(&v1(setup, [WRITABLE; 2], ["/d/x", "/d/x"]), true, Some("/d/x/containers"));
        check(&v1(setup, [WRITABLE; 2], ["/d/x", "/d/y"]), true, Some("/brig/containers"));
        check(&v1(setup, [WRITABLE, CLOSED], ["/d/x", "/d/y"]), true, None);
        check(&v1(setup, [NAMESPACE; 2], ["/", "/"]), true, Some("/containers"));
    }
}

#[test]
fn a_container_without_a_cgroup_says_why() {
    let reason = |cgroups: &Cgroups| match Placement::decide(cgroups, root(false)) {
        Placement::Callers { reason } => reason,
        other => panic!("{other:?}"),
    };
    let none = Cgroups { setup: Setup::None, hierarchies: Vec::new(), problem: None };
    assert!(reason(&none).contains("no cgroup filesystem"), "{}", reason(&none));
    let empty = Cgroups { setup: Setup::V1, ..none };
    assert!(reason(&empty).contains("no cgroup hierarchy"), "{}", reason(&empty));
    let mut closed = v2(CLOSED, None);
    assert!(reason(&closed).contains("can be written"), "{}", reason(&closed));
    closed.problem = Some("/proc/self/cgroup:1: …".to_owned());
    assert_eq!(reason(&closed), "/proc/self/cgroup:1: …");
}

#[test]
fn limits_are_those_of_the_place() {
    let cgroups = v2(NAMESPACE, Some(own("/", NAMESPACE, true)));
    let limits = |placement: &Placement| {
        let limits = cgroups.limits(placement);
        (limits.processes, limits.memory)
    };
    assert_eq!(limits(&Placement::TopLevel), (true, true));
    assert_eq!(limits(&Placement::Delegated { base: "/".to_owned() }), (true, false));
    assert_eq!(limits(&Placement::Callers { reason: String::new() }), (false, false));
    assert_eq!(cgroups.offered(&Placement::TopLevel), ["memory", "pids"]);
}

#[test]
fn only_what_limits_containers_and_is_missing_is_enabled() {
    assert_eq!(to_enable("cpu io memory pids rdma misc\n", "memory\n"), ["cpu", "io", "pids"]);
    assert_eq!(to_enable("", ""), [""; 0]);
    assert_eq!(to_enable("cpu", "cpuset"), ["cpu"]);
}

/// cgroup v2 as far as the steps use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tree(BTreeMap<PathBuf, Node>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    processes: u32,
    offered: BTreeSet<&'static str>,
    enabled: BTreeSet<&'static str>,
}

impl Tree {
    /// A tree whose root offers these, with processes in this cgroup.
    fn new(offered: &[&'static str], occupied: &str) -> Self {
        let mut tree = Tree::default();
        let root = Node { offered: offered.iter().copied().collect(), ..Node::default() };
        tree.0.insert(PathBuf::from("/"), root);
        let mut at = PathBuf::from("/");
        for part in Path::new(occupied).strip_prefix("/").unwrap() {
            tree.enable(&at);
            at.push(part);
            tree.make(&at);
        }
        tree.0.get_mut(&at).unwrap().processes = 3;
        tree
    }

    fn make(&mut self, path: &Path) {
        let offered = self.0[path.parent().unwrap()].enabled.clone();
        self.0.entry(path.to_owned()).or_insert(Node { offered, ..Node::default() });
    }

    /// EBUSY, which is tolerated, where there are processes; the root of the model is no exception,
    /// as the root of a namespace is none.
    fn enable(&mut self, path: &Path) {
        let node = self.0.get_mut(path).unwrap();
        if node.processes == 0 {
            node.enabled = node.offered.clone();
        }
    }

    fn carry_out(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Make(path) => self.make(path),
                Step::Enable(path) => self.enable(path),
                Step::Move { from, to } => {
                    let moved = std::mem::take(&mut self.0.get_mut(from).unwrap().processes);
                    self.0.get_mut(to).unwrap().processes += moved;
                }
            }
        }
    }
}

fn delegated(base: &str) -> Placement {
    Placement::Delegated { base: base.to_owned() }
}

#[test]
fn every_controller_reaches_a_delegated_container_and_twice_is_once() {
    for home in ["/", "/docker/x"] {
        let mut tree = Tree::new(&["cpu", "memory", "pids"], home);
        let place = delegated(home);
        let path = place.parent().unwrap().join("c1");
        let steps = steps(Setup::V2, &place, &path);
        tree.carry_out(&steps);
        tree.make(&path);
        assert_eq!(tree.0[&path].offered, ["cpu", "memory", "pids"].into(), "{tree:#?}");
        assert_eq!(tree.0[&Path::new(home).join("init")].processes, 3);
        let once = tree.clone();
        tree.carry_out(&steps);
        assert_eq!(tree, once);
    }
}

#[test]
fn without_the_move_no_controller_would_reach_it() {
    let mut tree = Tree::new(&["pids"], "/");
    let path = delegated("/").parent().unwrap().join("c1");
    let mut steps = steps(Setup::V2, &delegated("/"), &path);
    steps.retain(|step| !matches!(step, Step::Move { .. }));
    tree.carry_out(&steps);
    tree.make(&path);
    assert!(tree.0[&path].offered.is_empty());
}

#[test]
fn every_controller_reaches_a_container_below_the_top() {
    let mut tree = Tree::new(&["memory", "pids"], "/user.slice");
    let path = Path::new("/brig/containers/c1");
    tree.carry_out(&steps(Setup::V2, &Placement::TopLevel, path));
    assert!(!tree.0.contains_key(path), "the container's own is the library's to make");
    tree.make(path);
    assert_eq!(tree.0[path].offered, ["memory", "pids"].into());
    assert_eq!(tree.0[Path::new("/user.slice")].processes, 3, "nobody is moved");
}

#[test]
fn a_path_of_one_component_takes_one_step() {
    let taken = steps(Setup::V2, &Placement::TopLevel, Path::new("/c1"));
    assert_eq!(taken, [Step::Enable("/".into())]);
}

#[test]
fn on_v1_there_is_nothing_to_do() {
    for setup in [Setup::None, Setup::V1, Setup::Hybrid] {
        assert!(steps(setup, &Placement::TopLevel, Path::new("/brig/containers/c")).is_empty());
    }
}

// SPDX-License-Identifier: Apache-2.0
//! `[files]` in trees: what Landlock and mounts are told, and that they never allow more than the
//! policy.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use brig_policy::decide::{Decider, Operation};
use brig_policy::path::AbsPath;
use brig_policy::plan::files::{self, Bound, Kind, PlaceError, Settled};
use brig_policy::plan::{Bounded, Effect, Rights};
use brig_policy::policy::{Access, AccessSet, Policy};
use proptest::prelude::*;
use support::policy;
use support::tree::{Memory, beneath, kernel_allows, read_only};

const TREE: &str = "/bin/sh /bin/ls /etc/passwd /etc/shadow /etc/ssl/a.key /etc/ssl/b.pem
    /usr/bin/python3 /usr/lib/libc.so /srv/data/x.key /srv/data/y /srv/data/sub/z.key /srv/data/sub/w
    /tmp/ /var/tmp/ /link -> /srv/data /sbin -> /usr/bin";

fn settle(rules: &str) -> Settled {
    files::settle(&policy(rules), &mut Memory::new(TREE), Bound::default()).unwrap()
}

fn grants(settled: &Settled) -> Vec<String> {
    let text = |access: AccessSet| {
        let mut short = String::new();
        for (name, set) in [
            ("r", AccessSet::of(&[Access::Read])),
            ("l", AccessSet::of(&[Access::List])),
            ("w", AccessSet::WRITE.difference(AccessSet::READ)),
            ("x", AccessSet::GOVERNED_BY_EXECUTE),
            ("d", AccessSet::of(&[Access::Device])),
        ] {
            short.push_str(if access.contains_all(set) { name } else { "" });
        }
        short
    };
    let restricted = settled.placed.restricted;
    let one = |grant: &files::Grant| {
        let access = grant.access.intersection(restricted);
        (!access.is_empty()).then(|| format!("{} {}", grant.path, text(grant.access)))
    };
    settled.placed.grants.iter().filter_map(one).collect()
}

fn programs(settled: &Settled) -> Vec<String> {
    let one = |grant: &files::Grant| {
        let short = |access, short| if grant.access.contains(access) { short } else { "" };
        let (read, execute) = (short(Access::Read, "r"), short(Access::Execute, "x"));
        format!("{} {read}{execute}", grant.path)
    };
    settled.placed.programs.iter().map(one).collect()
}

fn mounts(settled: &Settled) -> Vec<String> {
    let one = |mount: &files::Remount| match mount.writing {
        files::Writing::ReadOnly => format!("{} ro", mount.path),
        files::Writing::AsMounted => format!("{} as mounted", mount.path),
    };
    settled.mounts.remounts.iter().map(one).collect()
}

#[test]
fn what_nothing_restricts_is_not_handled() {
    assert!(settle("").handled().is_empty());
    let settled = settle("files.execute /usr");
    assert_eq!(settled.handled().names().collect::<Vec<_>>(), ["EXECUTE", "REFER"]);
    assert_eq!(grants(&settled), ["/usr x"]);
    assert!(settled.mounts.remounts.is_empty());
}

#[test]
fn writing_is_settled_by_mounts_and_needs_no_right_that_every_open_pays_for() {
    let settled = settle("files.write /srv/data\nfiles.write /tmp");
    assert_eq!(mounts(&settled), ["/ ro", "/srv/data as mounted", "/tmp as mounted"]);
    let handled: Vec<_> = settled.handled().names().collect();
    assert!(!handled.contains(&"TRUNCATE") && !handled.contains(&"READ_FILE"), "{handled:?}");
    assert!(handled.contains(&"WRITE_FILE") && handled.contains(&"REFER"), "{handled:?}");
    let single = settle("files.write /tmp = create");
    assert!(!single.mounts.exact());
    assert!(single.handled().names().any(|name| name == "TRUNCATE"));
}

#[test]
fn a_literal_deny_is_carved_out_and_bound_read_only() {
    let settled = settle("files.deny /etc/shadow");
    assert_eq!(
        grants(&settled),
        [
            "/ l",
            "/etc/passwd rwxd",
            "/etc/ssl rwxd",
            "/bin rwxd",
            "/srv rwxd",
            "/tmp rwxd",
            "/usr rwxd",
            "/var rwxd"
        ]
    );
    assert_eq!(mounts(&settled), ["/etc/shadow ro"]);
    assert!(settled.placed.regions.is_empty());
    let carved: Vec<_> = settled.placed.notes.iter().map(ToString::to_string).collect();
    assert_eq!(carved.len(), 2, "{carved:?}");
}

#[test]
fn directories_above_a_denied_file_can_be_listed() {
    let lists = |rules: &str, path: &str| {
        let path = AbsPath::new(path.as_bytes()).unwrap();
        kernel_allows(&settle(rules), &path, Kind::Directory).contains(Access::List)
    };
    assert!(lists("files.deny /etc/shadow", "/etc") && lists("files.deny /etc/shadow", "/"));
    assert!(!lists("files.deny /etc/ssl", "/etc") && !lists("files.deny /etc/ssl", "/"));
    assert!(!lists("files.deny /etc/later", "/etc"), "it may become a directory");
}

#[test]
fn a_pattern_is_a_region_and_execute_is_expanded_in_it() {
    let settled = settle("files.read /\nfiles.deny /srv/data/**/*.key");
    let regions: Vec<_> = settled.placed.regions.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(regions, ["/srv/data"]);
    assert!(!settled.left_over().contains(Access::Execute));
    assert_eq!(programs(&settled), ["/srv/data/sub/w rx", "/srv/data/y rx"]);
    assert!(!settled.placed.grants.iter().any(|one| one.path.to_string().starts_with("/srv")));
    let expanded = settle("files.execute /usr/bin/p*");
    assert_eq!(grants(&expanded), ["/usr/bin/python3 x"]);
    assert!(expanded.placed.regions.is_empty());
}

#[test]
fn what_may_be_read_and_executed_runs_where_a_pattern_decides_about_reading() {
    let settled = settle("files.read /usr/bin/*");
    assert_eq!(programs(&settled), ["/usr/bin/python3 r"]);
    let path = AbsPath::new(b"/usr/bin/python3").unwrap();
    assert!(kernel_allows(&settled, &path, Kind::File).contains(Access::Execute));
    let settled = settle("files.execute /usr/bin/python3\nfiles.deny /**/*.key");
    assert_eq!(programs(&settled), ["/usr/bin/python3 rx"]);
    assert!(settled.may_execute(&path));
    // what may be read and not executed, and the reverse, is granted nothing
    let settled = settle("files.read /etc/*\nfiles.execute /bin/ls");
    assert_eq!(programs(&settled), [""; 0]);
}

#[test]
fn programs_count_among_the_rules_and_what_cannot_be_executed_takes_none() {
    let few = Bound { rules: 20, ..Bound::default() };
    let tree: String = (0..50).map(|index| format!("/d/{index} ")).collect();
    let text = error("files.deny /d/*.key", &tree, few);
    assert!(text.starts_with("test:1: /d/*.key: takes more than 20 Landlock rules"), "{text}");
    let mut plain = Memory::new(&tree);
    plain.runs_nothing_beneath("/d");
    for rules in ["files.deny /d/*.key", "files.execute /d/*"] {
        let settled = files::settle(&policy(rules), &mut plain, few).unwrap();
        let beneath = settled.rules().any(|one| one.path.to_string().starts_with("/d/"));
        assert!(!beneath, "{rules}: {settled:#?}");
    }
}

const NAMES: AccessSet = AccessSet::of(&[Access::Create, Access::Delete]);
const FOLLOWING: AccessSet =
    AccessSet::of(&[Access::Read, Access::List, Access::Modify, Access::Ioctl]);

#[test]
fn where_a_pattern_tells_apart_what_may_be_read_no_name_changes_without_the_supervisor() {
    let settled = settle("files.read /usr\nfiles.read /srv/data/*.txt");
    assert_eq!(settled.left_over(), AccessSet::READ.union(NAMES));
    assert_eq!(settled.placed.restricted, AccessSet::READ.union(NAMES));
    for path in ["/usr", "/srv", "/srv/data", "/srv/data/x.key", "/srv/data/sub/w"] {
        let path = AbsPath::new(path.as_bytes()).unwrap();
        let allowed = kernel_allows(&settled, &path, Kind::File);
        assert!(allowed.intersection(NAMES).is_empty(), "{path}: {allowed:?}");
    }
    let elsewhere = AbsPath::new(b"/etc/passwd").unwrap();
    assert!(kernel_allows(&settled, &elsewhere, Kind::File).contains_all(NAMES));
}

#[test]
fn names_are_free_where_rules_follow_files() {
    for rules in ["files.read /usr\nfiles.read /srv/data", "files.execute /srv/data/*"] {
        let settled = settle(rules);
        assert!(settled.left_over().is_empty(), "{rules}");
        assert!(settled.placed.restricted.intersection(NAMES).is_empty(), "{rules}");
    }
}

#[test]
fn calls_may_go_on_only_where_the_kernel_denies_by_itself() {
    let read = Effect::Access(Access::Read);
    let modify = Effect::Access(Access::Modify);
    let all = Rights::of_abi(5);
    let settled = settle("files.read /\nfiles.deny /srv/data/*.key");
    assert_eq!(settled.bounded(read, all), Bounded::ByKernel);
    assert_eq!(settled.bounded(modify, all), Bounded::ByKernel);
    assert_eq!(settled.bounded(Effect::Metadata, all), Bounded::ByNobody);
    assert_eq!(settled.bounded(modify, Rights::of_abi(2)), Bounded::ByNobody, "TRUNCATE");
    assert_eq!(settled.bounded(read, Rights::of_abi(0)), Bounded::ByNobody);
    let literal = settle("files.write /srv/data");
    assert_eq!(literal.bounded(Effect::Metadata, all), Bounded::ByKernel, "mounts settle it");
}

#[test]
fn braces_without_wildcards_are_literals() {
    let settled = settle("files.deny /etc/{shadow,passwd}");
    assert!(settled.placed.regions.is_empty());
    assert_eq!(mounts(&settled), ["/etc/passwd ro", "/etc/shadow ro"]);
}

#[test]
fn rules_are_about_what_links_resolve_to() {
    let settled = settle("files.write /link\nfiles.execute /sbin/python3");
    assert_eq!(mounts(&settled), ["/ ro", "/srv/data as mounted"]);
    assert!(grants(&settled).contains(&"/usr/bin/python3 x".to_owned()), "{:?}", grants(&settled));
}

#[test]
fn a_path_that_does_not_exist_grants_nothing_and_is_noted() {
    let settled = settle("files.read /nowhere/at/all\nfiles.read /usr");
    assert_eq!(grants(&settled), ["/usr rl"]);
    assert_eq!(
        settled.placed.notes[0].to_string(),
        "test:1: /nowhere/at/all does not exist: nothing is granted"
    );
}

#[test]
fn a_deny_of_what_does_not_exist_yet_keeps_it_from_being_made() {
    let settled = settle("files.deny /etc/later");
    let allowed = kernel_allows(&settled, &AbsPath::new(b"/etc/later").unwrap(), Kind::File);
    assert!(allowed.is_empty(), "{allowed:?}");
}

fn error(rules: &str, tree: &str, bound: Bound) -> String {
    let errors = files::settle(&policy(rules), &mut Memory::new(tree), bound).unwrap_err();
    errors.iter().map(PlaceError::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_wrong_with_a_path_names_the_rule() {
    let bound = Bound::default();
    assert_eq!(
        error("files.read /etc/passwd/x", TREE, bound),
        "test:1: /etc/passwd/x: /etc/passwd/x: not a directory"
    );
    assert_eq!(
        error("files.read /a/x\nfiles.deny /b", "/a -> /b /b -> /a", bound),
        "test:1: /a/x: /a/x: too many levels of symbolic links\n\
         test:2: /b: /b: too many levels of symbolic links"
    );
}

#[test]
fn a_directory_with_too_many_siblings_is_an_error_that_names_the_rule() {
    let tree: String = (0..50).map(|index| format!("/d/{index} ")).collect();
    let few = Bound { rules: 20, ..Bound::default() };
    let text = error("files.deny /d/7", &tree, few);
    assert!(text.starts_with("test:1: /d/7: takes more than 20 Landlock rules"), "{text}");
    assert!(text.contains("beneath /d "), "{text}");
    let few = Bound { files: 20, ..Bound::default() };
    let text = error("files.deny /d/7", &tree, few);
    assert_eq!(text, "test:1: /d/7: /d: too many entries");
}

/// Checks the kernel's view against the reference meaning, at every path of the tree.
fn agree(policy: &Policy, tree: &Memory) -> Result<(), String> {
    let mut asked = tree.clone();
    let settled = match files::settle(policy, &mut asked, Bound::default()) {
        Ok(settled) => settled,
        Err(_) => return Ok(()),
    };
    holds_names(&settled)?;
    let decider = Decider::placed(Arc::new(policy.clone()), &settled.placements);
    for (path, kind) in tree.paths().into_iter().filter(|(_, kind)| *kind != Kind::Link) {
        let kernel = kernel_allows(&settled, &path, kind);
        for access in Access::ALL {
            let operation = Operation::access(access, path.clone());
            let allowed = decider.decide(&operation).allows();
            if access == Access::Modify && !allowed && changes_metadata(&settled, &path) {
                return Err(format!("metadata of {path} can be changed: {settled:#?}"));
            }
            if kernel.contains(access) && !allowed {
                return Err(format!("{access} {path}: the kernel allows it: {settled:#?}"));
            }
            // the kernel reads what it executes
            let reads = Operation::access(Access::Read, path.clone());
            let runs = access != Access::Execute || decider.decide(&reads).allows();
            let excused = !runs || excused(&settled, &path, kind, access);
            if allowed && !kernel.contains(access) && !excused {
                return Err(format!("{access} {path}: the kernel denies it: {settled:#?}"));
            }
        }
    }
    Ok(())
}

/// Checks that the kernel by itself changes no name where that could turn a deny into an allow, and
/// that what is left to the supervisor is denied by the kernel.
fn holds_names(settled: &Settled) -> Result<(), String> {
    for region in &settled.placed.regions {
        for access in region.access.iter() {
            if settled.bounded(Effect::Access(access), Rights::of_abi(5)) != Bounded::ByKernel {
                return Err(format!("{access} in {}: nobody denies it: {settled:#?}", region.path));
            }
        }
        if region.access.intersection(FOLLOWING).is_empty() {
            continue;
        }
        let near = |path: &AbsPath| beneath(path, &region.path) || beneath(&region.path, path);
        let changes = |access: AccessSet| !access.intersection(NAMES).is_empty();
        let grants = &settled.placed.grants;
        let granted = grants.iter().any(|one| near(&one.path) && changes(one.access));
        let restricted = settled.placed.restricted.contains_all(NAMES);
        if granted || !restricted {
            return Err(format!("names near {} can be changed: {settled:#?}", region.path));
        }
    }
    Ok(())
}

/// Whether chmod(2) and its like go through, and nobody said so.
fn changes_metadata(settled: &Settled, path: &AbsPath) -> bool {
    !read_only(settled, path) && !settled.mounts.inexact.iter().any(|(one, _)| beneath(path, one))
}

/// Where the kernel may deny what the policy allows: what means nothing for such a file; what is
/// left to the supervisor; names in directories that were gone through one by one, and the names
/// of granted paths themselves.
fn excused(settled: &Settled, path: &AbsPath, kind: Kind, access: Access) -> bool {
    let meaningless = match kind {
        Kind::Directory => matches!(access, Access::Read | Access::Execute | Access::Ioctl),
        _ => access == Access::List,
    };
    let names = matches!(access, Access::Create | Access::Delete | Access::Device);
    let parent_is_granted = settled.placed.grants.iter().any(|grant| {
        beneath(path, &grant.path) && grant.path != *path && grant.access.contains(access)
    });
    // a directory beneath which something is told apart has no access of its own
    let divided = kind == Kind::Directory
        && !settled
            .placed
            .grants
            .iter()
            .any(|grant| beneath(path, &grant.path) && grant.access.contains(access));
    meaningless
        || (names && !parent_is_granted)
        || divided
        || settled
            .placed
            .regions
            .iter()
            .any(|one| beneath(path, &one.path) && one.access.contains(access))
}

fn rule() -> impl Strategy<Value = String> {
    let path = prop::sample::select(vec![
        "/", "/a", "/a/b", "/a/b/c", "/d", "/d/e", "/l", "/l/c", "/a/*", "/a/**/c", "/d/{e,f}",
        "/n/m", "/a/b*", "/d/[ef]",
    ]);
    let list = prop::sample::select(vec![
        "files.read",
        "files.write",
        "files.execute",
        "files.deny",
        "files.deny",
    ]);
    let except = prop::option::of(prop::sample::select(vec!["/a/b", "/d/e", "/a/b/c", "/l"]));
    let access = prop::option::weighted(
        0.2,
        prop::sample::select(vec!["read", "create", "modify", "create,delete", "list", "ioctl"]),
    );
    (list, path, except, access).prop_map(|(list, path, except, access)| {
        let except = except.map_or(String::new(), |one| format!(" ! {one}"));
        let access = access
            .filter(|_| list != "files.deny")
            .map_or(String::new(), |one| format!(" = {one}"));
        format!("{list} {path}{except}{access}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_kernel_never_allows_what_the_policy_denies(
        rules in prop::collection::vec(rule(), 1..6),
        required in prop::collection::vec(rule(), 0..3),
        shape in 0_usize..4,
    ) {
        let tree = Memory::new([
            "/a/b/c /a/b/x /a/bb /a/x /d/e /d/f /d/g/h /l/c",
            "/a/b /d/e/ /d/f/x /l",
            "/a/ /d/e/i/j /d/k /a/b/c/m /n/m",
            "/x/b/c /x/bb /x/c /d/e /d/f /a -> /x /l -> /a /n -> /d",
        ][shape]);
        let mut policy = policy(&rules.join("\n"));
        if !required.is_empty() {
            policy = policy.require(&support::policy(&required.join("\n")));
        }
        if let Err(why) = agree(&policy, &tree) {
            return Err(TestCaseError::fail(format!("{rules:?} {required:?}: {why}")));
        }
    }
}

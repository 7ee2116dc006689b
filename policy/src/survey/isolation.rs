// SPDX-License-Identifier: Apache-2.0
//! Checks of what separates a container from its host.

use super::report::Check;
use super::{Refusal, Survey};
use crate::spec::capability_names;
use crate::target::Landlock;

/// The kinds of namespace that a specification can ask for.
pub(super) const NAMESPACES: [&str; 7] =
    ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"];

const ENOSPC: i32 = 28;
const EBUSY: i32 = 16;
const EOPNOTSUPP: i32 = 95;

pub(super) fn namespaces(survey: &Survey) -> Check {
    let has = |name: &&str| survey.namespaces.iter().any(|one| one == name);
    let (there, missing): (Vec<&str>, Vec<&str>) = NAMESPACES.into_iter().partition(has);
    let check = Check::ok("namespaces", there.join(", "));
    if missing.is_empty() {
        return check;
    }
    let missing = missing.join(", ");
    check.limited(
        format!("containers that ask for a namespace of these kinds are refused: {missing}"),
        format!("use a kernel that is built with them ({missing})"),
    )
}

pub(super) fn user_namespaces(survey: &Survey) -> Check {
    const NAME: &str = "user namespaces";
    let Some(refusal) = survey.user_namespaces.attempt.refusal() else {
        return Check::ok(NAME, "can be made, with mounts and networks in them");
    };
    let check = Check::ok(NAME, format!("cannot be made: {refusal}"));
    let remedy = user_namespace_remedy(survey, refusal);
    if survey.is_privileged() {
        let cost = "containers with ids of their own (linux.uidMappings) are refused";
        return check.limited(cost, remedy);
    }
    let cost =
        "no container can be run: the caller has no CAP_SYS_ADMIN, and would need one of these";
    check.blocking(cost, remedy)
}

fn user_namespace_remedy(survey: &Survey, refusal: &Refusal) -> String {
    let facts = &survey.user_namespaces;
    let remedy = if facts.unprivileged_clone == Some(false) {
        "sysctl kernel.unprivileged_userns_clone=1"
    } else if facts.most == Some(0) || refusal.errno == ENOSPC {
        "sysctl user.max_user_namespaces=65536"
    } else if facts.apparmor_restricts == Some(true) {
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for brig \
         that has the rule \"userns\""
    } else if survey.is_nested() {
        "have the engine that runs this container allow clone, unshare and mount"
    } else {
        "use a kernel that is built with CONFIG_USER_NS, and look for what forbids them in its log"
    };
    remedy.to_owned()
}

pub(super) fn id_maps(survey: &Survey) -> Check {
    const NAME: &str = "id maps";
    let programs = &survey.programs;
    match (&programs.newuidmap, &programs.newgidmap) {
        _ if survey.is_privileged() => Check::ok(NAME, "written by brig itself"),
        (Some(uid), Some(gid)) => Check::ok(NAME, format!("by {uid} and {gid}")),
        _ => Check::ok(NAME, "newuidmap and newgidmap are not both installed").limited(
            "a container has one user: the caller",
            "install them (package uidmap or shadow), and give the caller ranges in /etc/subuid \
             and /etc/subgid",
        ),
    }
}

/// What brig does with its capabilities, and so what does not work without them.
const USES: [(u32, &str); 10] = [
    (0, "terminals cannot be given to the workload's user"),
    (1, "files of other users are out of reach"),
    (6, "no group but the caller's own can be set"),
    (7, "no user but the caller's own can be set"),
    (8, "capabilities cannot be taken out of the bounding set"),
    (12, "the loopback device of a new network stays down"),
    (18, "the root directory cannot be changed"),
    (19, "a supervisor cannot read the arguments of system calls"),
    (24, "limits above the caller's own (process.rlimits, oomScoreAdj) are refused"),
    (27, "devices cannot be made"),
];

pub(super) fn capabilities(survey: &Survey) -> Check {
    const NAME: &str = "capabilities";
    if !survey.is_privileged() {
        return Check::ok(NAME, "not root's: a container has those of its user namespace");
    }
    let lacks = |bit: u32| survey.caller.effective & (1 << bit) == 0;
    let lacking: Vec<(u32, &str)> = USES.into_iter().filter(|(bit, _)| lacks(*bit)).collect();
    if lacking.is_empty() {
        return Check::ok(NAME, "all that brig uses");
    }
    let names = capability_names(lacking.iter().fold(0, |mask, (bit, _)| mask | (1 << bit)));
    let costs: Vec<&str> = lacking.iter().map(|(_, cost)| *cost).collect();
    Check::ok(NAME, format!("without {}", names.join(", ")))
        .limited(costs.join("; "), "start brig with them among its effective capabilities")
}

/// What came with each ABI of Landlock, and what is done in its absence: landlock(7).
const LANDLOCK_RIGHTS: [(u32, &str); 5] = [
    (2, "renaming and linking between directories is denied to whoever is confined"),
    (3, "truncation is not covered"),
    (4, "rules about TCP ports are not covered"),
    (5, "ioctl on devices is not covered"),
    (6, "signals and abstract sockets are not covered"),
];

/// The errata that are known, by number, with the first ABI that has them.
const LANDLOCK_ERRATA: [(u32, u32, &str); 3] = [
    (1, 4, "TCP rules are applied to sockets of other protocols"),
    (2, 6, "signals between threads of one process are denied"),
    (3, 1, "directories that were moved out of a bind mount are judged by too few rules"),
];

pub(super) fn landlock(survey: &Survey) -> Check {
    const NAME: &str = "Landlock";
    let refusal = match &survey.landlock {
        super::Attempt::Works(landlock) => return landlock_works(NAME, *landlock),
        super::Attempt::Refused(refusal) => refusal,
    };
    let remedy = if refusal.errno == EOPNOTSUPP {
        "add landlock to lsm= on the kernel's command line"
    } else if survey.is_nested() {
        "have the engine that runs this container allow Landlock's system calls"
    } else {
        "use a kernel that is built with CONFIG_SECURITY_LANDLOCK"
    };
    let cost = "a profile's rules about files and TCP are not enforced by the kernel";
    Check::ok(NAME, format!("not available: {refusal}")).limited(cost, remedy)
}

fn landlock_works(name: &'static str, landlock: Landlock) -> Check {
    let Landlock { abi, errata } = landlock;
    let fixed = |number: u32| errata & (1 << (number - 1)) != 0;
    let known = LANDLOCK_ERRATA.iter().filter(|(_, since, _)| abi >= *since);
    let (there, open): (Vec<_>, Vec<_>) = known.partition(|(number, _, _)| fixed(*number));
    let numbers: Vec<String> = there.iter().map(|(number, _, _)| number.to_string()).collect();
    let check = Check::ok(
        name,
        if numbers.is_empty() {
            format!("ABI {abi}")
        } else {
            format!("ABI {abi}, errata fixed: {}", numbers.join(", "))
        },
    );
    let later = LANDLOCK_RIGHTS.iter().filter(|(since, _)| abi < *since).map(|(_, cost)| *cost);
    let costs: Vec<&str> = later.chain(open.iter().map(|(_, _, cost)| *cost)).collect();
    if costs.is_empty() {
        return check;
    }
    check.optional(costs.join("; "), "use a newer kernel")
}

pub(super) fn seccomp(survey: &Survey) -> Check {
    const NAME: &str = "seccomp";
    const NEEDED: [&str; 2] = ["ALLOW", "ERRNO"];
    const OTHERS: [&str; 5] = ["KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP"];
    let facts = &survey.seccomp;
    let lacks = |name: &&str| !facts.has_action(name);
    let check = Check::ok(NAME, facts.actions.join(", "));
    if NEEDED.iter().any(lacks) {
        let cost = "no container can be run: system calls cannot be filtered";
        let check = Check { found: "no filters".to_owned(), ..check };
        return check.blocking(cost, "use a kernel that is built with CONFIG_SECCOMP_FILTER");
    }
    let missing: Vec<&str> = OTHERS.into_iter().filter(lacks).collect();
    if missing.is_empty() {
        return check;
    }
    check.limited(
        format!("filters with these actions are refused: {}", missing.join(", ")),
        "use a kernel that has them",
    )
}

pub(super) fn notifications(survey: &Survey) -> Check {
    const NAME: &str = "notifications";
    const COST: &str =
        "rules that take a supervisor, and filters with SCMP_ACT_NOTIFY, are refused";
    let facts = &survey.seccomp;
    if !facts.has_action("USER_NOTIF") {
        return Check::ok(NAME, "the kernel has none").limited(COST, "use a kernel that has them");
    }
    if let Some(refusal) = facts.notification.refusal().or(facts.listener.refusal()) {
        let remedy = if refusal.errno == EBUSY {
            "run brig outside of what supervises its system calls: there can be one listener"
        } else {
            "have whoever confines brig allow seccomp(2)"
        };
        return Check::ok(NAME, format!("no listener can be had: {refusal}")).limited(COST, remedy);
    }
    if !facts.has_flag("WAIT_KILLABLE_RECV") {
        let cost = "a call that a signal interrupts is notified, and may be done, again";
        return Check::ok(NAME, "without SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
            .optional(cost, "use a newer kernel");
    }
    Check::ok(NAME, "a listener can be had")
}

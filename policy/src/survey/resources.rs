// SPDX-License-Identifier: Apache-2.0
//! Checks of what limits and accounts for a container.

use super::report::Check;
use super::{Placement, Setup, Survey};

/// The controllers without which a container's share cannot be limited.
const LIMITING: [&str; 3] = ["cpu", "memory", "pids"];

pub(super) fn cgroups(survey: &Survey) -> Check {
    const NAME: &str = "cgroups";
    let version = match survey.cgroups.setup {
        Setup::None => "none",
        Setup::V1 => "v1",
        Setup::Hybrid => "v1 beside an empty v2",
        Setup::V2 => "v2",
    };
    let placement = survey.placement();
    match (placement.parent(), &placement) {
        (Some(parent), _) => {
            Check::ok(NAME, format!("{version}; containers go to {}", parent.display()))
        }
        (None, Placement::Callers { reason }) => Check::ok(NAME, format!("{version}; {reason}"))
            .limited(
                "a container stays in the caller's cgroup: ps, pause, update and events do not \
                 work, nor do limits",
                remedy(survey),
            ),
        // a placement without a parent is the caller's
        (None, _) => Check::ok(NAME, version),
    }
}

fn remedy(survey: &Survey) -> &'static str {
    if survey.cgroups.setup == Setup::None {
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    } else if survey.situation().allows_cgroups(survey.cgroups.setup).is_err() {
        "run brig as root of the host, with what is said above"
    } else if survey.is_nested() {
        "have the engine that runs this container give it a cgroup namespace and mount \
         /sys/fs/cgroup writable"
    } else {
        "mount /sys/fs/cgroup writable"
    }
}

pub(super) fn limits(survey: &Survey) -> Check {
    const NAME: &str = "limits";
    let offered = survey.cgroups.offered(&survey.placement());
    let missing: Vec<&str> = LIMITING.into_iter().filter(|name| !offered.contains(name)).collect();
    let found = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    let check = Check::ok(NAME, found);
    if missing.is_empty() {
        return check;
    }
    let remedy = match survey.placement() {
        Placement::Callers { .. } => "as for cgroups",
        Placement::Delegated { .. } => {
            "have these controllers delegated, too (systemd: Delegate=yes)"
        }
        Placement::TopLevel => {
            "use a kernel that is built with these controllers and boot it with them enabled"
        }
    };
    check.limited(format!("containers cannot be limited in: {}", missing.join(", ")), remedy)
}

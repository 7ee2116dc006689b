// SPDX-License-Identifier: Apache-2.0
//! What is checked, in the order in which it is shown.

use super::report::Check;
use super::{OLDEST_KERNEL, Survey, isolation, network, resources, storage};

/// Every check of a host.
pub(super) fn all(survey: &Survey) -> Vec<Check> {
    vec![
        kernel(survey),
        container(survey),
        isolation::namespaces(survey),
        isolation::user_namespaces(survey),
        isolation::id_maps(survey),
        isolation::capabilities(survey),
        resources::cgroups(survey),
        resources::limits(survey),
        isolation::landlock(survey),
        isolation::seccomp(survey),
        isolation::notifications(survey),
        storage::overlay(survey),
        storage::fuse_overlayfs(survey),
        network::check(survey),
        libseccomp(survey),
    ]
}

fn kernel(survey: &Survey) -> Check {
    let (major, minor) = OLDEST_KERNEL;
    let check =
        Check::ok("kernel", format!("{}, {}", survey.kernel.release, survey.kernel.machine));
    if survey.kernel.arch.is_none() {
        let cost =
            "no container can be run: the numbers of this machine's system calls are unknown";
        return check.blocking(cost, "run brig on x86-64, aarch64 or riscv64");
    }
    if survey.kernel.version.is_none_or(|version| version < OLDEST_KERNEL) {
        let cost =
            format!("brig is not made for kernels before {major}.{minor}: anything may fail");
        return check.limited(cost, format!("boot Linux {major}.{minor} or newer"));
    }
    check
}

/// No lack by itself: what the outer container withholds shows in the other checks.
fn container(survey: &Survey) -> Check {
    let signs = &survey.container;
    let mut found =
        if survey.is_nested() { "brig runs in one" } else { "brig runs in none" }.to_owned();
    if !signs.namespaces.is_empty() {
        found.push_str(&format!("; not the host's namespaces: {}", signs.namespaces.join(", ")));
    }
    if let Some(marker) = &signs.marker {
        found.push_str(&format!("; there is {marker}"));
    }
    Check::ok("container", found)
}

fn libseccomp(survey: &Survey) -> Check {
    Check::ok(
        "libseccomp",
        match &survey.seccomp.libseccomp {
            Some(version) => format!("{version} is installed; brig does not use it"),
            None => "not installed; brig does not need it".to_owned(),
        },
    )
}

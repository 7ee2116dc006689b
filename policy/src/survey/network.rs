// SPDX-License-Identifier: Apache-2.0
//! Whether a container of an unprivileged caller can have a network.

use super::report::Check;
use super::{Refusal, Survey};

/// Whether pasta(1) could connect a container in a user namespace to the host's network.
///
/// # Errors
///
/// Why not, as a sentence without its final stop.
pub fn rootless_network(survey: &Survey) -> Result<(), String> {
    let because = |what: &str, refusal: &Refusal| format!("{what} ({refusal})");
    if let Some(refusal) = survey.user_namespaces.attempt.refusal() {
        return Err(because("a user namespace with a network in it cannot be made", refusal));
    }
    if survey.programs.pasta.is_none() {
        return Err("the program pasta is not installed".to_owned());
    }
    match survey.devices.tun.refusal() {
        Some(refusal) => Err(because("/dev/net/tun, which pasta needs, cannot be used", refusal)),
        None => Ok(()),
    }
}

pub(super) fn check(survey: &Survey) -> Check {
    const NAME: &str = "rootless network";
    let reason = match rootless_network(survey) {
        Ok(()) => return Check::ok(NAME, "by pasta"),
        Err(reason) => reason,
    };
    let check = Check::ok(NAME, reason);
    let remedy = if survey.user_namespaces.attempt.refusal().is_some() {
        "as for user namespaces"
    } else if survey.programs.pasta.is_none() {
        "install it (package passt)"
    } else {
        "modprobe tun, and make /dev/net/tun accessible"
    };
    if survey.is_privileged() {
        return check.optional("containers of unprivileged users have no network", remedy);
    }
    check.limited("a container has the host's network, or none", remedy)
}

// SPDX-License-Identifier: Apache-2.0
//! Labels of other security modules beside a supervisor.
//!
//! What the supervisor does for a workload is not done under the workload's AppArmor profile or
//! SELinux label. Where such a module is in force that would be more than the specification allows:
//! it is an error.

use std::path::Path;

use anyhow::bail;
use libcontainer::oci_spec::runtime::Process;

use super::plan::{Listener, Plan};

/// Refuses a label that the supervisor could not act under.
///
/// # Errors
///
/// The field, and what can be done.
pub fn check(process: Option<&Process>, plan: &Plan) -> anyhow::Result<()> {
    let (Listener::Supervisor { .. }, Some(process)) = (&plan.listener, process) else {
        return Ok(());
    };
    let modules = [
        (Module::AppArmor, "/sys/kernel/security/apparmor"),
        (Module::SeLinux, "/sys/fs/selinux/enforce"),
    ];
    let in_force = modules.into_iter().filter(|(_, path)| Path::new(path).exists());
    let in_force: Vec<Module> = in_force.map(|(module, _)| module).collect();
    match unheeded(process, &in_force) {
        Some(field) => bail!(
            "{field}: the policy mediates calls, which the supervisor would make without this \
             label: have the one or the other (`brig policy plan` says which rules mediate)"
        ),
        None => Ok(()),
    }
}

/// A security module with labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Module {
    AppArmor,
    SeLinux,
}

/// The label that would not hold.
fn unheeded(process: &Process, in_force: &[Module]) -> Option<&'static str> {
    let set = |label: &Option<String>| label.as_deref().is_some_and(|one| !one.is_empty());
    let confined = process.apparmor_profile().as_deref() != Some("unconfined");
    if in_force.contains(&Module::AppArmor) && set(process.apparmor_profile()) && confined {
        return Some("process.apparmorProfile");
    }
    (in_force.contains(&Module::SeLinux) && set(process.selinux_label()))
        .then_some("process.selinuxLabel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_counts_where_its_module_is_in_force() {
        let mut process = Process::default();
        assert_eq!(unheeded(&process, &[Module::AppArmor, Module::SeLinux]), None);
        process.set_apparmor_profile(Some("docker-default".to_owned()));
        assert_eq!(unheeded(&process, &[Module::SeLinux]), None);
        assert_eq!(unheeded(&process, &[Module::AppArmor]), Some("process.apparmorProfile"));
        process.set_apparmor_profile(Some("unconfined".to_owned()));
        assert_eq!(unheeded(&process, &[Module::AppArmor, Module::SeLinux]), None);
        process.set_selinux_label(Some("system_u:system_r:container_t:s0".to_owned()));
        assert_eq!(
            unheeded(&process, &[Module::AppArmor, Module::SeLinux]),
            Some("process.selinuxLabel")
        );
    }
}

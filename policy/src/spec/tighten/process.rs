// SPDX-License-Identifier: Apache-2.0
//! The process: its capability sets, no_new_privs and limits.

use oci_spec::runtime::{
    Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process,
};

use super::super::rewrite::{CapabilitySets, capability_names, mask, set};
use super::{Notes, label, value};
use crate::policy::{CapabilityRule, Policy};

/// Applies one layer.
pub(super) fn apply(process: &mut Process, layer: &Policy, notes: &mut Notes) {
    if let Some(kept) = &layer.process.capabilities {
        keep_capabilities(process, kept, notes);
    }
    if layer.no_new_privileges() && process.no_new_privileges() != Some(true) {
        let key = "no_new_privileges";
        let by_default = || format!("{key}, by default");
        let setting = layer.process.no_new_privileges.as_ref();
        let rule = setting.map_or_else(by_default, |setting| label(key, &setting.origin));
        process.set_no_new_privileges(Some(true));
        notes.changed("process.noNewPrivileges", "true", &rule);
    }
    if let Some((false, rule)) = value("core_dumps", layer.process.core_dumps.as_ref()) {
        no_core_dumps(process, &rule, notes);
    }
}

fn keep_capabilities(process: &mut Process, kept: &[CapabilityRule], notes: &mut Notes) {
    let Some(mut sets) = process.capabilities().clone() else { return };
    let kept_mask = kept.iter().fold(0, |mask, rule| mask | 1 << rule.capability.number());
    let before = CapabilitySets::from_spec(Some(&sets));
    let removed = before.union() & !kept_mask;
    if removed == 0 {
        return;
    }
    retain(&mut sets, kept_mask);
    process.set_capabilities(Some(sets));
    let rule = match kept.iter().map(|rule| &rule.origin).min() {
        Some(first) => format!("{first}, not in process.capabilities"),
        None => "process.capabilities = []".to_owned(),
    };
    let text = format!("without {}", capability_names(removed).join(", "));
    notes.changed("process.capabilities", text, &rule);
}

/// Takes everything else out of all five sets. A set that is not given stays so.
fn retain(sets: &mut LinuxCapabilities, kept: u64) {
    let retained =
        |given: &Option<Capabilities>| given.as_ref().map(|given| set(mask(Some(given)) & kept));
    let bounding = retained(sets.bounding());
    let effective = retained(sets.effective());
    let permitted = retained(sets.permitted());
    let inheritable = retained(sets.inheritable());
    let ambient = retained(sets.ambient());
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
    sets.set_inheritable(inheritable).set_ambient(ambient);
}

fn no_core_dumps(process: &mut Process, rule: &str, notes: &mut Notes) {
    let mut limits = process.rlimits().clone().unwrap_or_default();
    let is_core = |limit: &PosixRlimit| limit.typ() == PosixRlimitType::RlimitCore;
    if limits.iter().find(|limit| is_core(limit)).is_some_and(|limit| limit.hard() == 0) {
        return;
    }
    limits.retain(|limit| !is_core(limit));
    let core = PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitCore);
    // all three fields are given: building cannot fail
    limits.extend(core.soft(0_u64).hard(0_u64).build());
    process.set_rlimits(Some(limits));
    notes.changed("process.rlimits", "RLIMIT_CORE 0", rule);
}

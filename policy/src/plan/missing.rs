// SPDX-License-Identifier: Apache-2.0
//! What a target cannot enforce.

use serde::{Deserialize, Serialize};

use super::files::Settled;
use super::landlock::Rights;
use super::network::TcpPorts;
use crate::decide::List;
use crate::policy::{Origin, Policy};
use crate::target::Target;

/// Something that the policy asks for and that the target cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{rule}: {}: cannot be enforced here: {why}", rule.text)]
pub struct Missing {
    /// A rule that needs it.
    pub rule: Origin,
    /// What is missing.
    pub why: String,
}

/// Finds what the target lacks.
pub(crate) fn find(
    policy: &Policy,
    settled: &Settled,
    ports: &TcpPorts,
    target: &Target,
) -> Vec<Missing> {
    let handled = settled.handled();
    let abi = target.landlock.map_or(0, |landlock| landlock.abi);
    let lacking = handled.difference(Rights::of_abi(abi));
    let rule = |list| first_rule(policy, list);
    let mut missing = Vec::new();
    if target.landlock.is_none() && (!handled.is_empty() || !ports.is_empty()) {
        let why = "this kernel has no Landlock, or it is switched off (lsm=landlock,… enables it)";
        missing.extend(rule(None).map(|rule| Missing { rule, why: why.to_owned() }));
    } else if !lacking.is_empty() {
        let names: Vec<&str> = lacking.names().collect();
        let why = format!("this kernel's Landlock has ABI {abi}, which lacks {}", names.join(", "));
        missing.extend(rule(Some(List::FilesWrite)).map(|rule| Missing { rule, why }));
    }
    missing
}

/// The first rule of `[files]` or `[network]`, of this list if it has one.
fn first_rule(policy: &Policy, list: Option<List>) -> Option<Origin> {
    let mut first = None;
    for layer in policy.layers().filter(|layer| layer.enforces()) {
        let files = &layer.files;
        let write = files.write.iter().flatten().map(|one| &one.rule.origin).min();
        if let (Some(List::FilesWrite), Some(write)) = (list, write) {
            return Some(write.clone());
        }
        let grants = [&files.read, &files.write, &files.execute];
        let grants = grants.into_iter().flatten().flatten().map(|one| &one.rule.origin);
        let network = [&layer.network.connect, &layer.network.bind];
        let network = network.into_iter().flatten().flatten().chain(&layer.network.deny);
        let all = grants
            .chain(files.deny.iter().map(|rule| &rule.origin))
            .chain(network.map(|rule| &rule.origin));
        first = first.or_else(|| all.min().cloned());
    }
    // a list that is there and empty has no rule to name
    first.or_else(|| Some(Origin::new(policy.name.as_deref().unwrap_or("policy"), 1, 1, "[files]")))
}

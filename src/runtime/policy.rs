// SPDX-License-Identifier: Apache-2.0
//! A container's policy, applied to its specification on this host.
//!
//! The decisions are `brig_policy`'s; here are the facts that they need, and what becomes of rules
//! that nothing enforces.

use std::sync::Arc;

use brig_policy::plan::files::Bound;
use brig_policy::seccomp::{self, Restriction};
use brig_policy::spec::{self, Effect, Host, UserNamespace};
use brig_policy::target::Target;
use libcontainer::oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::cgroup::{self, Location, in_user_namespace};
use super::compiled::{self, Compiled};
use super::domain::{Domain, Signals};
use super::target;
use crate::profiles::choose::Confinement;

/// A specification under its policy.
#[derive(Debug)]
pub struct Applied {
    /// The specification.
    pub spec: Spec,
    /// What the seccomp program has to do besides what the specification says.
    pub restrictions: Vec<Restriction>,
    /// What is done about files and ports.
    pub compiled: Compiled,
}

/// Applies a container's policy.
///
/// # Errors
///
/// Rules that this host cannot enforce.
pub fn apply(
    confinement: &Confinement,
    spec: &Spec,
    location: &Location,
) -> anyhow::Result<Applied> {
    let target = Target { limits: cgroup::limits(location), ..target::this_host()? };
    let user_namespace =
        if in_user_namespace() { UserNamespace::Nested } else { UserNamespace::Initial };
    let host = Host { target: &target, user_namespace };
    let tightened = spec::tighten(spec, &confinement.policy, host);
    for change in &tightened.changes {
        match change.effect {
            Effect::Enforced => tracing::debug!("{change}"),
            Effect::Audited => tracing::info!("{change}"),
        }
    }
    confinement.settle(&tightened.unenforced)?;
    // those that are patterns are expanded in the container
    let plain = tightened.patterns.iter().filter(|rule| rule.pattern.literal().is_some());
    let unmaskable: Vec<String> = plain
        .map(|rule| format!("{}: {} cannot be masked", rule.origin, rule.pattern.text()))
        .collect();
    confinement.settle(&unmaskable)?;
    let compiled = compile(confinement, &target, signals(spec))?;
    let mut restrictions = seccomp::restrictions(&confinement.policy);
    restrictions.extend(tightened.restrictions);
    restrictions.extend(compiled.restrictions.iter().cloned());
    Ok(Applied { spec: tightened.spec, restrictions, compiled })
}

/// What is made of `[files]` and `[network]`, and of the masks that are no plain paths.
fn compile(
    confinement: &Confinement,
    target: &Target,
    signals: Signals,
) -> anyhow::Result<Compiled> {
    let settings = &confinement.settings;
    let rules = usize::try_from(settings.max_rules).unwrap_or(usize::MAX);
    let bound = Bound { rules, ..Bound::default() };
    let policy = Arc::new(confinement.policy.clone());
    compiled::compile(&policy, target, bound, settings.enforcement, signals)
}

/// A container in the host's pid namespace sees the host's processes, and is to signal none.
fn signals(spec: &Spec) -> Signals {
    let linux = spec.linux().as_ref();
    let mut namespaces = linux.into_iter().flat_map(|linux| linux.namespaces().iter().flatten());
    match namespaces.any(|one| one.typ() == LinuxNamespaceType::Pid) {
        true => Signals::Everywhere,
        false => Signals::Within,
    }
}

/// Whether the executor changes mounts or makes a Landlock domain.
#[must_use]
pub fn is_made(domain: &Domain) -> spec::Domain {
    match domain {
        Domain::None => spec::Domain::None,
        Domain::New(..) | Domain::Again(_) => spec::Domain::Made,
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A policy compiled for this host: what create needs of it.

use std::sync::Arc;

use anyhow::bail;
use brig_policy::config::Enforcement;
use brig_policy::plan::files::{Assumed, Bound};
use brig_policy::plan::{self, MediatedCall, Rights, TcpPorts};
use brig_policy::policy::Policy;
use brig_policy::seccomp::{Mediated, Restriction};
use brig_policy::target::Target;

use super::domain::{self, Domain, MountChanges, Planned, Signals, Wanted};

/// A policy, compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the program refuses because of `[network]`.
    pub restrictions: Vec<Restriction>,
    /// What the supervisor answers.
    pub mediated: Vec<Mediated>,
    /// What the executor makes of files and ports.
    pub wanted: Option<Wanted>,
}

/// Compiles a policy, before anything is known of the container's files.
///
/// # Errors
///
/// A rule that cannot be enforced here.
pub fn compile(
    policy: &Arc<Policy>,
    target: &Target,
    bound: Bound,
    enforcement: Enforcement,
    signals: Signals,
) -> anyhow::Result<Compiled> {
    let plan = match plan::compile(policy, target, &mut Assumed, bound) {
        Ok(plan) => plan,
        Err(errors) => bail!("{}", join(errors.iter())),
    };
    match enforcement {
        Enforcement::Strict if !plan.missing.is_empty() => bail!("{}", join(plan.missing.iter())),
        _ => plan.missing.iter().for_each(|missing| tracing::warn!("{missing}")),
    }
    let abi = target.landlock.map_or(0, |landlock| landlock.abi);
    let changes_files = plan.needs_landlock()
        || !plan.mediated.is_empty()
        || !plan.settled.mounts.remounts.is_empty()
        || policy.layers().any(|layer| {
            layer.enforces() && layer.files.mask.iter().any(|rule| rule.pattern.literal().is_none())
        });
    let wanted = changes_files.then(|| Wanted {
        policy: Arc::clone(policy),
        bound,
        ports: if target.landlock.is_some() { plan.ports } else { TcpPorts::default() },
        signals,
        supported: Rights::of_abi(abi),
        planned: Planned {
            mediated: plan.mediated.iter().map(|call| call.syscall).collect(),
            mounts: match plan.settled.mounts.remounts.is_empty() {
                true => MountChanges::Possible,
                false => MountChanges::Refused,
            },
        },
    });
    let mediated = plan.mediated.iter().map(MediatedCall::mediated).collect();
    Ok(Compiled { restrictions: plan.restrictions, mediated, wanted })
}

impl Compiled {
    /// What the executor is given.
    ///
    /// # Errors
    ///
    /// The kernel's, for the record.
    pub fn domain(&self) -> std::io::Result<Domain> {
        match &self.wanted {
            None => Ok(Domain::None),
            Some(wanted) => Ok(Domain::New(wanted.clone(), domain::record()?)),
        }
    }
}

fn join<'a, T: std::fmt::Display + 'a>(errors: impl Iterator<Item = &'a T>) -> String {
    errors.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

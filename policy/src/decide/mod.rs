// SPDX-License-Identifier: Apache-2.0
//! Decisions: what a policy says about an operation.
//!
//! This is the reference meaning of the profile language, against which every mechanism that
//! enforces a policy is tested. `DESIGN.md` section 4 is what it implements, and the rule that all
//! of it rests on is: "a list of grants that is absent restricts nothing; a list that is present
//! allows only what it names (an empty one: nothing); a deny wins over every grant, wherever either
//! comes from. Order never matters." Each module quotes the sentences that it is about.
//!
//! Guarantees: [`Decider::decide`] is a function of the rules as a set. Not only the verdict but
//! the rule that is cited is the same however rules were ordered, and in whichever file of equal
//! name they stood. Its time depends on the operation, not on the number of rules.
//!
//! What it does not know: what exists, what a path resolves to, what a process already has open,
//! and what the container's own configuration forbids besides.

mod decision;
mod entries;
mod files;
mod layer;
mod moves;
mod network;
mod operation;
mod parse;
mod process;
mod site;
mod sockets;
mod syscalls;

use std::sync::Arc;

pub use decision::{Basis, Decision, List, Rule, Verdict};
pub use operation::{
    Endpoint, FileKind, FileOperation, NetworkAction, NetworkOperation, Operation,
    ProcessOperation, RenameTarget, SyscallOperation, Transport,
};
pub use parse::{OperationError, OperationErrorKind};

use crate::path::AbsPath;
use crate::plan::files::{Placements, Recorded};
use crate::policy::{AccessSet, Mode, Policy};
pub(crate) use files::FileIndex;
pub(crate) use layer::LayerIndex;
use site::AsWritten;
pub(crate) use site::{Asking, Placed, Site};

/// A policy, prepared for decisions.
#[derive(Debug)]
pub struct Decider {
    policy: Arc<Policy>,
    /// One for each of [`Policy::layers`], in order.
    layers: Vec<LayerIndex>,
}

/// The decision about one operation. To decide about many, keep a [`Decider`].
#[must_use]
pub fn decide(policy: &Policy, operation: &Operation) -> Decision {
    Decider::new(Arc::new(policy.clone())).decide(operation)
}

impl Decider {
    /// Prepares a policy: in the order of its rules and their length.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self::at(policy, &mut AsWritten)
    }

    /// Prepares a policy for decisions about the real paths of a container: its rules are about
    /// what their paths led to when it started. Masks are no rules then: what stands in a masked
    /// path's place may be opened.
    #[must_use]
    pub fn placed(policy: Arc<Policy>, placements: &Placements) -> Self {
        Self::at(policy, &mut Recorded(placements))
    }

    fn at(policy: Arc<Policy>, site: &mut dyn Site) -> Self {
        let layers = policy.layers().map(|layer| LayerIndex::new(layer, site)).collect();
        Self { policy, layers }
    }

    /// The policy that it was made from.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The layers' indexes, each with its policy.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = (&Policy, &LayerIndex)> {
        self.policy.layers().zip(&self.layers)
    }

    /// The decision about an operation: every layer (the policy, and what it requires) must allow
    /// it. Of several that deny, one that enforces is reported, and of those the first.
    #[must_use]
    pub fn decide(&self, operation: &Operation) -> Decision {
        let mut allowed = None;
        let mut logged = None;
        for (policy, layer) in self.indexes() {
            let mut decision = layer.decide(policy, operation);
            if decision.allows() {
                allowed = allowed.or(Some(decision));
                continue;
            }
            decision.mode = mode(policy);
            match decision.mode {
                Mode::Enforce => return decision,
                Mode::Audit => logged = logged.or(Some(decision)),
            }
        }
        logged.or(allowed).unwrap_or_else(Decision::unrestricted)
    }

    /// The verdict of [`Decider::decide`] alone, for a part of its cost: nothing is cited.
    #[must_use]
    pub fn verdict(&self, operation: &Operation) -> Verdict {
        let mut logged = None;
        for (policy, layer) in self.indexes() {
            match (layer.verdict(policy, operation), mode(policy)) {
                (Verdict::Allow, _) => {}
                (denied, Mode::Enforce) => return denied,
                (denied, Mode::Audit) => logged = logged.or(Some(denied)),
            }
        }
        logged.unwrap_or(Verdict::Allow)
    }

    /// Whether all these accesses to a path are allowed by every layer, those that only log included:
    /// the verdicts of [`Decider::verdict`] for the cost of one.
    #[must_use]
    pub fn allows(&self, accesses: AccessSet, path: &AbsPath) -> bool {
        self.layers.iter().all(|layer| layer.allows(accesses, path))
    }
}

/// What a deny of this layer does.
fn mode(layer: &Policy) -> Mode {
    layer.audit.mode.as_ref().map_or(Mode::Enforce, |mode| mode.value)
}

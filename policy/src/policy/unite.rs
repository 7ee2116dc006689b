// SPDX-License-Identifier: Apache-2.0
//! How policies are put together.
//!
//! `DESIGN.md` section 4, `extends`: "denies of parents and child are united; so are lists of
//! grants where both have one (where only one has it, that one holds); scalars of the child win".
//! That is [`Policy::unite`].
//!
//! And `required_profile` is "united into every policy, so that nobody can go below it". Uniting
//! as `extends` does would not give that: a child's grants would widen the required profile's and
//! its scalars would win. So [`Policy::require`] keeps the required policy whole beside the other,
//! and an operation must be allowed by both.

use super::{Mode, Policy, Setting};

impl Policy {
    /// The policy of a child (`self`) that extends `parent`.
    ///
    /// A rule that both have from the same place (a grandparent reached twice) is kept once.
    #[must_use]
    pub fn unite(mut self, parent: &Self) -> Self {
        inherit(&mut self.name, &parent.name);
        inherit(&mut self.description, &parent.description);
        grants(&mut self.files.read, &parent.files.read);
        grants(&mut self.files.write, &parent.files.write);
        grants(&mut self.files.execute, &parent.files.execute);
        denies(&mut self.files.deny, &parent.files.deny);
        denies(&mut self.files.mask, &parent.files.mask);
        grants(&mut self.network.connect, &parent.network.connect);
        grants(&mut self.network.bind, &parent.network.bind);
        denies(&mut self.network.deny, &parent.network.deny);
        grants(&mut self.syscalls.allow, &parent.syscalls.allow);
        denies(&mut self.syscalls.deny, &parent.syscalls.deny);
        denies(&mut self.syscalls.kill, &parent.syscalls.kill);
        let (process, inherited) = (&mut self.process, &parent.process);
        inherit(&mut process.no_new_privileges, &inherited.no_new_privileges);
        inherit(&mut process.user_namespaces, &inherited.user_namespaces);
        inherit(&mut process.core_dumps, &inherited.core_dumps);
        inherit(&mut process.memfd_exec, &inherited.memfd_exec);
        inherit(&mut process.max_processes, &inherited.max_processes);
        inherit(&mut process.max_memory, &inherited.max_memory);
        grants(&mut process.capabilities, &inherited.capabilities);
        inherit(&mut self.audit.mode, &parent.audit.mode);
        inherit(&mut self.audit.log, &parent.audit.log);
        if let Some(required) = &parent.required {
            self = self.require(required);
        }
        self
    }

    /// The policy that allows what `self` and `required` both allow.
    #[must_use]
    pub fn require(mut self, required: &Self) -> Self {
        self.required = Some(Box::new(match self.required.take() {
            None => required.clone(),
            Some(earlier) if *earlier == *required => *earlier,
            Some(earlier) => earlier.require(required),
        }));
        self
    }

    /// The policies that must all allow an operation: this one, and what it requires.
    pub fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |policy| policy.required.as_deref())
    }
}

/// "Scalars of the child win."
fn inherit<T: Clone>(child: &mut Option<T>, parent: &Option<T>) {
    if child.is_none() {
        child.clone_from(parent);
    }
}

/// "Denies are united."
fn denies<T: Clone + Ord>(child: &mut Vec<T>, parent: &[T]) {
    child.extend_from_slice(parent);
    child.sort();
    child.dedup();
}

/// "So are lists of grants where both have one (where only one has it, that one holds)."
fn grants<T: Clone + Ord>(child: &mut Option<Vec<T>>, parent: &Option<Vec<T>>) {
    match (child.as_mut(), parent) {
        (Some(own), Some(inherited)) => denies(own, inherited),
        (None, _) => child.clone_from(parent),
        (Some(_), None) => {}
    }
}

impl Policy {
    /// Whether its denies deny (and are not only logged). What it requires may do otherwise.
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.audit.mode.as_ref().is_none_or(|mode| mode.value == Mode::Enforce)
    }

    /// `no_new_privileges`, which is true where nothing is said.
    #[must_use]
    pub fn no_new_privileges(&self) -> bool {
        self.process.no_new_privileges.as_ref().is_none_or(|Setting { value, .. }| *value)
    }
}

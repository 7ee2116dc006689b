// SPDX-License-Identifier: Apache-2.0
//! How much of callers' data is held at once.
//!
//! Hundreds of calls can wait for their peers, each with a copy of what it sends. Large copies share
//! a budget, so that a flood of them makes the senders fail and not the supervisor grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// What all large copies together may have, in bytes.
const MOST: u64 = 8 << 20;

/// The budget.
#[derive(Debug, Default)]
pub struct Budget(AtomicU64);

/// A share of it, given back when it is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    budget: &'a Budget,
    size: u64,
}

impl Budget {
    /// Takes a share; `None`: others have too much of it.
    pub fn take(&self, size: u64) -> Option<Share<'_>> {
        let fits = |held: u64| held.checked_add(size).filter(|sum| *sum <= MOST);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits);
        taken.ok().map(|_| Share { budget: self, size })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.size, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_come_back() {
        let budget = Budget::default();
        let half = budget.take(MOST / 2).unwrap();
        let rest = budget.take(MOST / 2).unwrap();
        assert!(budget.take(1).is_none());
        drop(half);
        assert!(budget.take(MOST / 2 + 1).is_none());
        assert!(budget.take(MOST / 2).is_some());
        drop(rest);
        assert!(budget.take(MOST).is_some() && budget.take(u64::MAX).is_none());
    }
}

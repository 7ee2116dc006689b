// SPDX-License-Identifier: Apache-2.0
//! The patterns that cover a path.
//!
//! Guarantees: each is in the set once, however often it matched, and adding one costs the same
//! whatever the others are. The first sixteen need no allocation; few paths are covered by more.

use super::bits::Bits;
use super::set::PatternId;

/// How many patterns are kept without an allocation, and searched from end to end.
const SHORT: usize = 16;

/// A set of patterns.
#[derive(Debug)]
pub struct Covering {
    short: [PatternId; SHORT],
    len: usize,
    /// All of them, once they are more than `short` has room for, and a bit for each.
    long: Vec<PatternId>,
    bits: Bits,
}

impl Default for Covering {
    fn default() -> Self {
        let short = [PatternId(0); SHORT];
        Self { short, len: 0, long: Vec::new(), bits: Bits::default() }
    }
}

impl Covering {
    /// The patterns, in ascending order.
    #[must_use]
    pub fn patterns(&self) -> &[PatternId] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }

    /// Adds a pattern.
    #[inline]
    pub(super) fn insert(&mut self, pattern: PatternId) {
        if !self.long.is_empty() {
            self.insert_long(pattern);
        } else if !self.short[..self.len].contains(&pattern) {
            match self.short.get_mut(self.len) {
                Some(free) => {
                    *free = pattern;
                    self.len += 1;
                }
                None => self.insert_long(pattern),
            }
        }
    }

    #[cold]
    fn insert_long(&mut self, pattern: PatternId) {
        if self.long.is_empty() {
            self.long.extend(self.short);
            self.bits.extend(self.short.map(|known| known.0));
        }
        if self.bits.insert(pattern.0) {
            self.long.push(pattern);
        }
    }

    /// Puts the patterns in ascending order.
    pub(super) fn sort(&mut self) {
        if self.long.is_empty() {
            self.short[..self.len].sort_unstable();
        } else {
            self.long.sort_unstable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_is_in_the_set_once_and_in_order() {
        for count in [0, 1, 15, 16, 17, 200] {
            let mut set = Covering::default();
            for round in 0..3 {
                (0..count).rev().for_each(|id| set.insert(PatternId((id + round) % count * 70)));
            }
            set.sort();
            let expected: Vec<_> = (0..count).map(|id| PatternId(id * 70)).collect();
            assert_eq!(set.patterns(), expected);
        }
    }
}

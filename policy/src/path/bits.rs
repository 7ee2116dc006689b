// SPDX-License-Identifier: Apache-2.0
//! Small numbers, as a bit each.

/// A set of numbers. It is as long as its greatest number asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number, and says whether it was not in the set.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    /// Adds numbers.
    pub(super) fn extend(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.insert(number);
        }
    }

    /// Takes out the numbers, which are all that it has.
    pub(super) fn clear(&mut self, numbers: &[u32]) {
        for number in numbers {
            if let Some(word) = self.0.get_mut(*number as usize / 64) {
                *word = 0;
            }
        }
    }
}

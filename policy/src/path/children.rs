// SPDX-License-Identifier: Apache-2.0
//! The children of every node of a trie, by name.
//!
//! One table for all nodes: the hash of the parent and the name says in which bucket a child is.
//! Names that are looked up are the workload's, and the hash is no secret, so a bucket that holds
//! many must cost little: it is sorted, and searched by halves. So a look-up compares at most
//! `log2` of the number of children with the name, whatever names there are and whoever chose
//! them; mostly one.

use super::set::{Node, NodeId};
use super::slash::{WORD, before_slash};

/// A name, with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) bytes: &'a [u8],
    hash: u64,
}

/// 2⁶⁴ divided by the golden ratio: an odd number whose bits follow no pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl<'a> Name<'a> {
    /// The first component of the rest of a path.
    #[inline]
    pub(super) fn first(rest: &'a [u8]) -> Self {
        let (mut at, mut hash) = (0, 0);
        let (words, _) = rest.as_chunks::<WORD>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let bytes = before_slash(word);
            if bytes < WORD {
                return Self { bytes: &rest[..at + bytes], hash: add(hash, low(word, bytes)) };
            }
            hash = add(hash, word);
            at += WORD;
        }
        let mut word = [0; WORD];
        let left = &rest[at..];
        word[..left.len()].copy_from_slice(left);
        let word = u64::from_le_bytes(word);
        let bytes = before_slash(word).min(left.len());
        Self { bytes: &rest[..at + bytes], hash: add(hash, low(word, bytes)) }
    }
}

/// The first bytes of a word, fewer than all.
const fn low(word: u64, bytes: usize) -> u64 {
    word & ((1 << (bytes * 8)) - 1)
}

const fn add(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(SPREAD);
    mixed ^ mixed >> 32
}

#[derive(Clone, Copy, Debug)]
struct Child {
    /// What of the hash does not say the bucket, or not all of it.
    hash: u32,
    parent: NodeId,
    node: NodeId,
    /// Where its name is.
    name: u32,
    len: u32,
}

/// The children of all nodes.
#[derive(Debug)]
pub(super) struct Children {
    /// By bucket, where it begins; and where the last ends.
    starts: Vec<u32>,
    /// By bucket; in each ascending, see [`Children::compare`].
    children: Vec<Child>,
    names: Vec<u8>,
}

impl Children {
    pub(super) fn new(nodes: &[Node]) -> Self {
        let mut names = Vec::new();
        let mut hashed = Vec::new();
        for (parent, node) in (0u32..).zip(nodes) {
            for (name, &node) in &node.children {
                let hash = add(Name::first(name).hash, u64::from(parent));
                let (at, len) = (count(names.len()), count(name.len()));
                names.extend_from_slice(name);
                hashed.push((hash, Child { hash: check(hash), parent, node, name: at, len }));
            }
        }
        let mut starts = vec![0; hashed.len().next_power_of_two() + 1];
        let buckets = starts.len() - 1;
        let mut table = Self { starts: Vec::new(), children: Vec::new(), names };
        hashed.sort_unstable_by(|(one, child), (other, second)| {
            let by_bucket = bucket(*one, buckets).cmp(&bucket(*other, buckets));
            by_bucket
                .then_with(|| table.compare(child, second.hash, second.parent, table.name(second)))
        });
        for (hash, _) in &hashed {
            starts[bucket(*hash, buckets) + 1] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        table.children = hashed.into_iter().map(|(_, child)| child).collect();
        table.starts = starts;
        table
    }

    /// The child of this name.
    #[inline]
    pub(super) fn get(&self, parent: NodeId, name: Name<'_>) -> Option<NodeId> {
        let hash = add(name.hash, u64::from(parent));
        let bucket = bucket(hash, self.starts.len() - 1);
        let [start, end] = *self.starts.get(bucket..)?.first_chunk()?;
        let children = self.children.get(start as usize..end as usize)?;
        let check = check(hash);
        let found = children
            .binary_search_by(|child| self.compare(child, check, parent, name.bytes))
            .ok()?;
        Some(children[found].node)
    }

    fn compare(&self, child: &Child, hash: u32, parent: NodeId, name: &[u8]) -> std::cmp::Ordering {
        let order = (child.hash, child.parent).cmp(&(hash, parent));
        order.then_with(|| self.name(child).cmp(name))
    }

    fn name(&self, child: &Child) -> &[u8] {
        let at = child.name as usize;
        self.names.get(at..at + child.len as usize).unwrap_or_default()
    }
}

/// The bucket of a hash, of so many (a power of two): its upper bits, which depend on all of the
/// name.
fn bucket(hash: u64, buckets: usize) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() & (buckets - 1)
}

/// The lower half.
fn check(hash: u64) -> u32 {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// INVARIANT: a policy's text is far shorter than 4 GiB.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

// SPDX-License-Identifier: Apache-2.0
//! Names while they are made, removed and moved.
//!
//! Where patterns decide, names are changed by the supervisor alone. A rename is looked at and done
//! while nobody else changes a name; and who walks a path by names learns whether one was moved
//! meanwhile. If none was, what was found has the name that was looked for: nothing else in a path
//! that no link is on can lead elsewhere.
//!
//! What it does not know: what others than the container's processes do to directories that they
//! share with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The names of a container.
#[derive(Debug, Default)]
pub struct Names {
    lock: RwLock<()>,
    /// How often one has begun, or ended, to be moved: odd while one is.
    moves: AtomicU64,
}

/// How often names had been moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves(u64);

/// Nobody else changes a name.
#[derive(Debug)]
pub struct Alone<'a> {
    names: &'a Names,
    _lock: RwLockWriteGuard<'a, ()>,
}

impl Names {
    /// For who makes or removes a name: none is moved meanwhile.
    pub fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For who moves one.
    pub fn hold_alone(&self) -> Alone<'_> {
        let lock = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        Alone { names: self, _lock: lock }
    }

    /// How often names have been moved; `None`: one is being moved.
    pub fn moves(&self) -> Option<Moves> {
        let moves = self.moves.load(Ordering::SeqCst);
        moves.is_multiple_of(2).then_some(Moves(moves))
    }

    /// Whether none has been moved since, nor is being moved.
    pub fn rest_since(&self, before: Moves) -> bool {
        self.moves() == Some(before)
    }
}

impl Alone<'_> {
    /// Moves names.
    pub fn move_names<T>(&self, act: impl FnOnce() -> T) -> T {
        self.names.moves.fetch_add(1, Ordering::SeqCst);
        let moved = act();
        self.names.moves.fetch_add(1, Ordering::SeqCst);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_walks_learns_of_a_move_that_began_or_ended_meanwhile() {
        let names = Names::default();
        let before = names.moves().unwrap();
        assert!(names.rest_since(before));
        let alone = names.hold_alone();
        assert!(names.rest_since(before), "looking at names moves none");
        alone.move_names(|| {
            assert_eq!(names.moves(), None);
            assert!(!names.rest_since(before));
        });
        drop(alone);
        assert!(!names.rest_since(before));
        assert!(names.rest_since(names.moves().unwrap()));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Differences about UNIX sockets with abstract names, and without a name.

use crate::decide::{Decider, Endpoint, NetworkAction, NetworkOperation, Operation};
use crate::path::{Budget, NameSet, Next, TooComplex, explore_names};

use super::{Found, Section};

/// As many layers as both policies may have together.
const SETS: usize = 4;

pub(super) fn compare(deciders: &[Decider; 2], found: &mut Found) -> Result<(), TooComplex> {
    let mut compare = |endpoint: Endpoint| {
        for (kind, action) in [("connect", NetworkAction::Connect), ("bind", NetworkAction::Bind)] {
            let operation = NetworkOperation { action, endpoint: endpoint.clone() };
            found.compare(Section::Network, kind, deciders, &Operation::Network(operation));
        }
    };
    compare(Endpoint::UnixUnnamed);
    let empty = NameSet::default();
    let mut sets = deciders.iter().flat_map(|decider| decider.indexes());
    let sets: [&NameSet; SETS] =
        std::array::from_fn(|_| sets.next().map_or(&empty, |(_, layer)| layer.name_patterns()));
    explore_names(sets, Budget::POLICY, |name, _| {
        // sockaddr_un has room for 107 bytes of name.
        if name.len() <= 107 {
            compare(Endpoint::UnixAbstract(name.into()));
        }
        Next::Beneath
    })
}

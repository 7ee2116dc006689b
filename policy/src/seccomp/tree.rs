// SPDX-License-Identifier: Apache-2.0
//! Decisions as a graph without duplicates: two calls with the same decision share it.
//!
//! Nodes are numbered so that what a node leads to has a smaller number; lowering needs no
//! recursion therefore, however long a list of conditions is.

use super::action::Action;
use super::condition::{Condition, Operator};
use super::syscall::Width;
use std::collections::BTreeMap;

/// A node of a [`Forest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) fn position(self) -> usize {
        self.0 as usize
    }
}

/// A decision that looks at registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// The answer is known.
    Answer(Action),
    /// It depends on a register.
    Test(Test),
}

/// One comparison of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub index: u8,
    pub width: Width,
    /// At that width.
    pub operator: Operator,
    pub yes: NodeId,
    pub no: NodeId,
}

/// All decisions.
#[derive(Debug, Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    known: BTreeMap<Node, NodeId>,
}

impl Forest {
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn get(&self, id: NodeId) -> Node {
        self.nodes[id.position()]
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.known.get(&node) {
            return *id;
        }
        #[allow(clippy::cast_possible_truncation)] // the generator stops long before
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.known.insert(node, id);
        id
    }

    pub(super) fn answer(&mut self, action: Action) -> NodeId {
        self.intern(Node::Answer(action))
    }

    /// `yes` where the condition holds, else `no`.
    pub(super) fn test(
        &mut self,
        condition: &Condition,
        width: Width,
        yes: NodeId,
        no: NodeId,
    ) -> NodeId {
        let operator = condition.operator.at(width);
        match operator.constant(width) {
            Some(true) => yes,
            Some(false) => no,
            None if yes == no => yes,
            None => {
                self.intern(Node::Test(Test { index: condition.index, width, operator, yes, no }))
            }
        }
    }

    /// `yes` where all hold.
    pub(super) fn all(
        &mut self,
        conditions: &[(Condition, Width)],
        yes: NodeId,
        no: NodeId,
    ) -> NodeId {
        conditions
            .iter()
            .rev()
            .fold(yes, |node, (condition, width)| self.test(condition, *width, node, no))
    }

    /// `yes` where any holds.
    pub(super) fn any(
        &mut self,
        conditions: &[(Condition, Width)],
        yes: NodeId,
        no: NodeId,
    ) -> NodeId {
        conditions
            .iter()
            .rev()
            .fold(no, |node, (condition, width)| self.test(condition, *width, yes, node))
    }
}

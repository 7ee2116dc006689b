// SPDX-License-Identifier: Apache-2.0
//! Renames and links of UNIX sockets, which are connected to and known by their names.
//!
//! No socket may get a name by which it can be connected to and could not before; and none that
//! could be bound one that could not: somebody would come to it by a name that is not its maker's to
//! give. With a directory all the sockets beneath it get other names. What is there is not known, so
//! that this is asked of every name that the rules tell apart.
//!
//! The answer is EACCES for a socket, of which no program should make a copy, and as for all other
//! moves EXDEV for a directory.
//!
//! What it does not know: sockets that others name, or that have several names already.

use crate::path::{AbsPath, Budget, Next, PatternId, TooComplex, Visitor, explore_beneath};
use crate::policy::{Errno, Network};

use super::decision::{Basis, Decision, Verdict};
use super::network::{Named, NetworkIndex};
use super::operation::{Endpoint, FileKind, NetworkAction, NetworkOperation};

/// `[network]` and what was prepared from it.
pub(crate) struct Sockets<'a> {
    network: &'a Network,
    index: &'a NetworkIndex,
}

impl<'a> Sockets<'a> {
    pub(crate) fn new(network: &'a Network, index: &'a NetworkIndex) -> Self {
        Self { network, index }
    }

    /// The deny of another name for something.
    pub(crate) fn named(&self, from: &AbsPath, to: &AbsPath, kind: FileKind) -> Option<Decision> {
        match (self.index.named, kind) {
            (Named::AllAlike, _) | (_, FileKind::File | FileKind::Unsure) => None,
            (Named::Apart, FileKind::Socket) => self.socket(from, to),
            (Named::Apart, FileKind::Directory) => self.directory(from, to),
        }
    }

    fn allows(&self, action: NetworkAction, covering: &[PatternId]) -> bool {
        self.index.deciding_path(covering, action).allows()
    }

    /// What the two names of something say against it.
    fn against(&self, from: &[PatternId], to: &[PatternId]) -> Option<NetworkAction> {
        let changes = |action: NetworkAction, one: &[PatternId], other: &[PatternId]| {
            (self.allows(action, one) && !self.allows(action, other)).then_some(action)
        };
        changes(NetworkAction::Connect, to, from).or_else(|| changes(NetworkAction::Bind, from, to))
    }

    fn socket(&self, from: &AbsPath, to: &AbsPath) -> Option<Decision> {
        let (source, goal) = (self.index.covering(from), self.index.covering(to));
        let against = self.against(source.patterns(), goal.patterns())?;
        Some(self.denied(against, from, to, Errno::EACCES))
    }

    /// Cites what forbids to connect under the old name, or to bind under the new one.
    fn denied(
        &self,
        action: NetworkAction,
        from: &AbsPath,
        to: &AbsPath,
        errno: Errno,
    ) -> Decision {
        let forbidden = if action == NetworkAction::Bind { to } else { from };
        let cited = Endpoint::UnixPath(forbidden.clone());
        let basis = self.index.decide(self.network, action, &cited).basis;
        let part = NetworkOperation { action, endpoint: Endpoint::UnixPath(to.clone()) };
        Decision::new(Verdict::Deny { errno }, basis).of_part(&part)
    }

    fn directory(&self, from: &AbsPath, to: &AbsPath) -> Option<Decision> {
        let (source, goal) = (self.index.covering(from), self.index.covering(to));
        if let Some(action) = self.against(source.patterns(), goal.patterns()) {
            return Some(self.denied(action, from, to, Errno::EXDEV));
        }
        let mut search = Search { sockets: self, found: None };
        let set = &self.index.paths.0;
        let explored = explore_beneath(set, [from, to], &mut search, Budget::MOVE);
        match (explored, search.found) {
            (_, Some((action, path))) => {
                let other = moved(&path, from, to).unwrap_or_else(|| to.clone());
                Some(self.denied(action, &path, &other, Errno::EXDEV))
            }
            (Err(TooComplex), None) => {
                let verdict = Verdict::Deny { errno: Errno::EXDEV };
                let part = format!("what lies beneath {from}");
                Some(Decision::new(verdict, Basis::TooComplex).of_part(&part))
            }
            (Ok(()), None) => None,
        }
    }
}

/// The path that something beneath a directory has when that is moved; `None`: it is too long.
fn moved(path: &AbsPath, from: &AbsPath, to: &AbsPath) -> Option<AbsPath> {
    let rest = path.components().skip(from.components().count());
    let mut moved = to.as_bytes().to_vec();
    for name in rest {
        if moved.last() != Some(&b'/') {
            moved.push(b'/');
        }
        moved.extend_from_slice(name);
    }
    AbsPath::new(&moved).ok()
}

/// Looks for a name that must not become the other.
struct Search<'a> {
    sockets: &'a Sockets<'a>,
    found: Option<(NetworkAction, AbsPath)>,
}

impl Visitor<2> for Search<'_> {
    fn visit(&mut self, path: &[u8], covering: &mut [Vec<PatternId>; 2]) -> Next {
        if let Some(action) = self.sockets.against(&covering[0], &covering[1]) {
            self.found = AbsPath::new(path).ok().map(|path| (action, path));
            return Next::Stop;
        }
        for covering in covering {
            self.sockets.index.paths.1.thin_out(covering);
        }
        Next::Beneath
    }
}

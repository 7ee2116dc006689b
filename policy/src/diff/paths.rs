// SPDX-License-Identifier: Apache-2.0
//! Differences about paths: files, and UNIX sockets that have one.

use crate::decide::{
    Basis, Decider, Endpoint, LayerIndex, NetworkAction, NetworkOperation, Operation, Verdict,
};
use crate::path::{AbsPath, Budget, Next, PatternId, PatternSet, TooComplex, Visitor, explore};
use crate::policy::{Access, Mode, Policy};

use super::{Found, Section, Side};

/// How many layers a policy may have here: its own, and what it requires.
const LAYERS: usize = 2;
/// For each policy and layer, the patterns of `[files]` and those of `[network]`.
const SETS: usize = 2 * LAYERS * 2;

pub(super) fn compare(deciders: &[Decider; 2], found: &mut Found) -> Result<(), TooComplex> {
    if deciders.iter().any(|decider| decider.indexes().count() > LAYERS) {
        return Err(TooComplex);
    }
    let empty = PatternSet::default();
    let sets: [&PatternSet; SETS] = std::array::from_fn(|at| {
        let layer = deciders[at / (2 * LAYERS)].indexes().nth(at % (2 * LAYERS) / 2);
        match layer {
            None => &empty,
            Some((_, layer)) if at % 2 == 0 => layer.file_patterns(),
            Some((_, layer)) => layer.socket_patterns(),
        }
    });
    let layers = [0, 1].map(|side: usize| deciders[side].indexes().collect());
    explore(sets, &mut Comparison { layers, found }, Budget::POLICY)
}

struct Comparison<'a> {
    layers: [Vec<(&'a Policy, &'a LayerIndex)>; 2],
    found: &'a mut Found,
}

impl Visitor<SETS> for Comparison<'_> {
    fn visit(&mut self, path: &[u8], covering: &mut [Vec<PatternId>; SETS]) -> Next {
        if let Ok(path) = AbsPath::new(path) {
            for access in Access::ALL {
                self.compare(access.name(), covering, &path, Asked::Access(access));
            }
            for action in [NetworkAction::Connect, NetworkAction::Bind] {
                let kind = if action == NetworkAction::Bind { "bind" } else { "connect" };
                self.compare(kind, covering, &path, Asked::Socket(action));
            }
        }
        for (side, layers) in self.layers.iter().enumerate() {
            for (at, (_, layer)) in layers.iter().enumerate() {
                let first = (side * LAYERS + at) * 2;
                layer.thin_out_files(&mut covering[first]);
                layer.thin_out_sockets(&mut covering[first + 1]);
            }
        }
        Next::Beneath
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Access(Access),
    Socket(NetworkAction),
    /// The same, whether or not a file may be made.
    Address(NetworkAction),
}

impl Comparison<'_> {
    fn compare(
        &mut self,
        kind: &str,
        covering: &[Vec<PatternId>; SETS],
        path: &AbsPath,
        asked: Asked,
    ) {
        let answers = [0, 1].map(|side| self.answer(side, covering, asked));
        if self.found.is_same(answers[0].0, answers[1].0) {
            return;
        }
        // Binding a socket differs too where making files does; that is said of files.
        if let Asked::Socket(action) = asked
            && [0, 1].map(|side| self.answer(side, covering, Asked::Address(action)).0.0)
                == [Verdict::Allow; 2]
        {
            return;
        }
        let sides = [0, 1].map(|side| {
            let ((verdict, mode), at) = answers[side];
            Side::new(verdict, self.basis(side, at, covering, asked), mode)
        });
        let (section, operation) = match asked {
            Asked::Access(access) => (Section::Files, Operation::access(access, path.clone())),
            Asked::Socket(action) | Asked::Address(action) => {
                let endpoint = Endpoint::UnixPath(path.clone());
                let operation = NetworkOperation { action, endpoint };
                (Section::Network, Operation::Network(operation))
            }
        };
        self.found.add(section, kind, &operation, sides);
    }

    /// What a policy answers, and which of its layers decides; as [`Decider::decide`] does it.
    fn answer(
        &self,
        side: usize,
        covering: &[Vec<PatternId>; SETS],
        asked: Asked,
    ) -> ((Verdict, Mode), usize) {
        let mut logged = None;
        for (at, (policy, layer)) in self.layers[side].iter().enumerate() {
            let first = (side * LAYERS + at) * 2;
            let (files, sockets) = (&covering[first], &covering[first + 1]);
            let verdict = match asked {
                Asked::Access(access) => layer.verdict_of_access(files, access),
                Asked::Socket(action) => layer.verdict_of_socket(files, sockets, action),
                Asked::Address(action) => layer.verdict_of_address(sockets, action),
            };
            if verdict == Verdict::Allow {
                continue;
            }
            let mode = policy.audit.mode.as_ref().map(|mode| mode.value).unwrap_or_default();
            match mode {
                Mode::Enforce => return ((verdict, mode), at),
                Mode::Audit => logged = logged.or(Some(((verdict, mode), at))),
            }
        }
        logged.unwrap_or(((Verdict::Allow, Mode::Enforce), 0))
    }

    fn basis(
        &self,
        side: usize,
        at: usize,
        covering: &[Vec<PatternId>; SETS],
        asked: Asked,
    ) -> Basis {
        let Some((policy, layer)) = self.layers[side].get(at) else { return Basis::Unrestricted };
        let first = (side * LAYERS + at) * 2;
        let (files, sockets) = (&covering[first], &covering[first + 1]);
        match asked {
            Asked::Access(access) => layer.basis_of_access(policy, files, access),
            Asked::Socket(action) | Asked::Address(action) => {
                layer.basis_of_socket(policy, files, sockets, action)
            }
        }
    }
}

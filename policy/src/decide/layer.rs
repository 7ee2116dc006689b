// SPDX-License-Identifier: Apache-2.0
//! One policy of those that must all allow an operation, prepared.

use crate::net::InetIndex;
use crate::path::{AbsPath, Matcher, NameSet, PatternId, PatternSet};
use crate::policy::{Access, AccessSet, Errno, Policy};

use super::decision::{Basis, Decision, List, Verdict};
use super::files::{self, FileIndex};
use super::moves::Moves;
use super::network::{self, NetworkIndex, Presence};
use super::operation::{Endpoint, FileOperation, NetworkAction, NetworkOperation, Operation};
use super::process;
use super::site::Site;
use super::sockets::Sockets;
use super::syscalls::SyscallIndex;

/// A policy without what it requires, prepared.
#[derive(Debug)]
pub(crate) struct LayerIndex {
    files: FileIndex,
    /// The patterns of `files`.
    paths: Matcher,
    network: NetworkIndex,
    syscalls: SyscallIndex,
}

impl LayerIndex {
    pub(super) fn new(policy: &Policy, site: &mut dyn Site) -> Self {
        let files = FileIndex::new(&policy.files, site);
        Self {
            paths: Matcher::new(&files.set),
            files,
            network: NetworkIndex::new(&policy.network, site),
            syscalls: SyscallIndex::new(&policy.syscalls),
        }
    }

    pub(super) fn decide(&self, policy: &Policy, operation: &Operation) -> Decision {
        match operation {
            Operation::File(operation) => self.moves(policy).decide(operation),
            Operation::Network(operation) => self.network(policy, operation),
            Operation::Syscall(operation) => self.syscalls.decide(policy, operation),
            Operation::Process(operation) => process::decide(policy, *operation),
        }
    }

    /// The verdict of [`LayerIndex::decide`].
    pub(super) fn verdict(&self, policy: &Policy, operation: &Operation) -> Verdict {
        match operation {
            Operation::File(FileOperation::Access(access, path)) => {
                self.verdict_of_access(self.paths.covering(path).patterns(), *access)
            }
            Operation::File(operation) if self.moves(policy).allows(operation) => Verdict::Allow,
            Operation::Network(NetworkOperation { action, endpoint }) => {
                self.verdict_of_endpoint(*action, endpoint)
            }
            Operation::File(_) | Operation::Syscall(_) | Operation::Process(_) => {
                self.decide(policy, operation).verdict
            }
        }
    }

    /// Whether [`LayerIndex::verdict`] allows all these accesses.
    pub(super) fn allows(&self, accesses: AccessSet, path: &AbsPath) -> bool {
        let covering = self.paths.covering(path);
        let allows = |access| self.verdict_of_access(covering.patterns(), access) == Verdict::Allow;
        accesses.iter().all(allows)
    }

    fn moves<'a>(&'a self, policy: &'a Policy) -> Moves<'a> {
        let sockets = Sockets::new(&policy.network, &self.network);
        Moves { files: &policy.files, index: &self.files, paths: &self.paths, sockets }
    }

    fn verdict_of_endpoint(&self, action: NetworkAction, endpoint: &Endpoint) -> Verdict {
        if !self.network.deciding(action, endpoint).allows() {
            return Verdict::Deny { errno: Errno::EACCES };
        }
        match (action, endpoint) {
            (NetworkAction::Bind, Endpoint::UnixPath(path)) => {
                self.verdict_of_access(self.paths.covering(path).patterns(), Access::Create)
            }
            _ => Verdict::Allow,
        }
    }

    /// Binding a UNIX socket to a path makes a file, so that must be allowed too.
    fn network(&self, policy: &Policy, operation: &NetworkOperation) -> Decision {
        let NetworkOperation { action, endpoint } = operation;
        let decision = self.network.decide(&policy.network, *action, endpoint);
        match (action, endpoint) {
            (NetworkAction::Bind, Endpoint::UnixPath(path)) if decision.allows() => {
                let part = Operation::access(Access::Create, path.clone());
                let covering = self.paths.covering(path);
                let created = self.files.decide(&policy.files, covering.patterns(), Access::Create);
                if created.allows() { decision } else { created.of_part(&part) }
            }
            _ => decision,
        }
    }
}

/// What comparisons of policies need: decisions about paths by what covers them.
impl LayerIndex {
    pub(crate) fn file_patterns(&self) -> &PatternSet {
        &self.files.set
    }

    pub(crate) fn socket_patterns(&self) -> &PatternSet {
        &self.network.paths.0
    }

    pub(crate) fn name_patterns(&self) -> &NameSet {
        &self.network.names.0
    }

    pub(crate) fn inet(&self, list: List) -> &InetIndex {
        match list {
            List::NetworkConnect => &self.network.connect,
            List::NetworkBind => &self.network.bind,
            _ => &self.network.deny,
        }
    }

    /// Whether `connect` and `bind` are there.
    pub(crate) fn network_presence(&self) -> [Presence; 2] {
        [self.network.connect_present, self.network.bind_present]
    }

    pub(crate) fn thin_out_files(&self, covering: &mut Vec<PatternId>) {
        self.files.entries.thin_out(covering);
    }

    pub(crate) fn thin_out_sockets(&self, covering: &mut Vec<PatternId>) {
        self.network.paths.1.thin_out(covering);
    }

    /// The verdict about an access where these patterns cover.
    pub(crate) fn verdict_of_access(&self, covering: &[PatternId], access: Access) -> Verdict {
        self.files.deciding(covering, access).verdict()
    }

    /// The verdict about a socket's path; binding it makes a file.
    pub(crate) fn verdict_of_socket(
        &self,
        files: &[PatternId],
        sockets: &[PatternId],
        action: NetworkAction,
    ) -> Verdict {
        match (self.verdict_of_address(sockets, action), action) {
            (Verdict::Allow, NetworkAction::Bind) => self.verdict_of_access(files, Access::Create),
            (verdict, _) => verdict,
        }
    }

    /// The same, whether or not a file may be made.
    pub(crate) fn verdict_of_address(
        &self,
        sockets: &[PatternId],
        action: NetworkAction,
    ) -> Verdict {
        if self.deciding_socket(sockets, action).allows() {
            Verdict::Allow
        } else {
            Verdict::Deny { errno: Errno::EACCES }
        }
    }

    fn deciding_socket(&self, sockets: &[PatternId], action: NetworkAction) -> network::Deciding {
        self.network.deciding_path(sockets, action)
    }

    /// What the verdict about an access rests on.
    pub(crate) fn basis_of_access(
        &self,
        policy: &Policy,
        covering: &[PatternId],
        access: Access,
    ) -> Basis {
        let rule = match self.files.deciding(covering, access) {
            files::Deciding::Unrestricted => return Basis::Unrestricted,
            files::Deciding::NotGranted(list) => return Basis::NotGranted(list),
            files::Deciding::Granted(rule) | files::Deciding::Denied { rule, .. } => rule,
        };
        let cited = self.files.cite(&policy.files, rule);
        cited.map_or(Basis::NotGranted(files::governing(access)), Basis::Rule)
    }

    /// What the verdict about a socket's path rests on.
    pub(crate) fn basis_of_socket(
        &self,
        policy: &Policy,
        files: &[PatternId],
        sockets: &[PatternId],
        action: NetworkAction,
    ) -> Basis {
        let rank = match self.deciding_socket(sockets, action) {
            allowed if allowed.allows() && action == NetworkAction::Bind => {
                let created = self.verdict_of_access(files, Access::Create);
                if created != Verdict::Allow {
                    return self.basis_of_access(policy, files, Access::Create);
                }
                match allowed {
                    network::Deciding::Granted(rank) => rank,
                    _ => return Basis::Unrestricted,
                }
            }
            network::Deciding::Unrestricted => return Basis::Unrestricted,
            network::Deciding::NotGranted(list) => return Basis::NotGranted(list),
            network::Deciding::Granted(rank) | network::Deciding::Denied { rule: rank, .. } => rank,
        };
        let cited = self.network.cite(&policy.network, rank);
        cited.map_or(Basis::NotGranted(network::governing(action)), Basis::Rule)
    }
}

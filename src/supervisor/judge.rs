// SPDX-License-Identifier: Apache-2.0
//! What the policy says about a call, and who is told.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use brig_policy::decide::{
    Basis, Decider, Decision, FileOperation, List, NetworkOperation, Operation, SyscallOperation,
    Verdict,
};
use brig_policy::path::AbsPath;
use brig_policy::plan::files::Grant;
use brig_policy::policy::{Access, AccessSet, Errno, Mode};
use brig_policy::seccomp::Arch;

use super::answer::{Outcome, Reply, Witness};
use super::caller::Call;
use super::log::Log;

/// Decides.
#[derive(Debug)]
pub struct Judge {
    decider: Decider,
    native: Native,
    /// The accesses that the kernel itself denies where nothing grants them.
    bounded: AccessSet,
    /// Whether there are rules that deny nothing and are only logged.
    audit: Audit,
    naming: Naming,
    log: Log,
}

/// Who renames and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Brig does, wherever the kernel does not know all that depends on names.
    ByBrig,
    /// The kernel does, wherever it allows making and removing names.
    ByKernel,
}

/// Whether there are rules that deny nothing and are only logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// There are.
    Logs,
    /// Every rule is enforced.
    Nothing,
}

/// What the kernel allows by itself.
///
/// The kernel's grants are for files, and these for their names: so what has lost its name, or lies
/// beneath what has, counts as not granted from then on, whatever gets that name.
#[derive(Debug, Default)]
pub struct Native {
    restricted: AccessSet,
    /// By path, at and beneath which it is granted.
    grants: HashMap<Box<[u8]>, Granted>,
    /// These paths, and all above them.
    names: HashSet<Box<[u8]>>,
    /// The lengths of these paths, in order: what is looked up for a path is bounded by the policy
    /// and not by who chooses the path.
    lengths: Vec<usize>,
}

#[derive(Debug, Default)]
struct Granted {
    access: AccessSet,
    /// Whether what it was granted to has another name by now, or none.
    is_lost: AtomicBool,
}

impl Native {
    /// Of the workload's Landlock domain.
    pub fn new(restricted: AccessSet, grants: &[Grant]) -> Self {
        let mut by_path: HashMap<Box<[u8]>, Granted> = HashMap::new();
        let mut names = HashSet::new();
        for Grant { path, access, .. } in grants {
            let granted = by_path.entry(path.as_bytes().into()).or_default();
            granted.access = granted.access.union(*access);
            let path = path.as_bytes();
            let ends = path.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at > 0);
            names.extend(ends.filter_map(|(end, _)| path.get(..end)).map(Box::from));
            names.insert(path.into());
        }
        let mut lengths: Vec<usize> = by_path.keys().map(|path| path.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self { restricted, grants: by_path, names, lengths }
    }

    fn lose(&self, path: &AbsPath) {
        self.beneath(path).for_each(|granted| granted.is_lost.store(true, Ordering::SeqCst));
    }

    fn has_beneath(&self, path: &AbsPath) -> bool {
        self.beneath(path).next().is_some()
    }

    /// At and beneath a path.
    fn beneath<'a>(&'a self, path: &'a AbsPath) -> impl Iterator<Item = &'a Granted> {
        let grants = self.names.contains(path.as_bytes()).then_some(&self.grants);
        let is_there = |granted: &[u8]| AbsPath::new(granted).is_ok_and(|it| is_beneath(&it, path));
        let grants = grants.into_iter().flatten();
        grants.filter(move |(granted, _)| is_there(granted)).map(|(_, granted)| granted)
    }

    fn granted(&self, path: &AbsPath) -> AccessSet {
        self.granted_by(path, |granted| !granted.is_lost.load(Ordering::SeqCst))
    }

    /// What the kernel may allow: what has lost its name in the supervisor's eyes may have kept it, if
    /// the call that was to take it failed.
    fn granted_once(&self, path: &AbsPath) -> AccessSet {
        self.granted_by(path, |_| true)
    }

    fn granted_by(&self, path: &AbsPath, counts: impl Fn(&Granted) -> bool) -> AccessSet {
        // a name is made and removed in the directory above
        const OF_ABOVE: AccessSet =
            AccessSet::of(&[Access::Create, Access::Delete, Access::Device]);
        let path = path.as_bytes();
        let above = |length: usize| match path.get(length) {
            // the root is the only directory whose path ends in a slash
            _ if length == 1 => path.get(..1),
            None | Some(b'/') => path.get(..length),
            Some(_) => None,
        };
        let all =
            self.lengths.iter().map_while(|length| (*length <= path.len()).then_some(*length));
        all.filter_map(above).fold(AccessSet::EMPTY, |all, directory| {
            match self.grants.get(directory) {
                Some(granted) if !counts(granted) => all,
                Some(granted) if directory.len() == path.len() => {
                    all.union(granted.access.difference(OF_ABOVE))
                }
                Some(granted) => all.union(granted.access),
                None => all,
            }
        })
    }
}

/// That the policy allows something.
#[derive(Debug)]
#[must_use]
pub struct Permitted(());

impl Judge {
    /// Decides by a policy that has been placed in the container's files.
    pub fn new(
        decider: Decider,
        native: Native,
        bounded: AccessSet,
        metadata: Naming,
        log: Log,
    ) -> Self {
        let layers = || decider.policy().layers();
        let audits = layers().any(|layer| !layer.enforces());
        let audit = if audits { Audit::Logs } else { Audit::Nothing };
        let sockets = layers().any(|layer| layer.network.names_sockets());
        let naming = if sockets { Naming::ByBrig } else { metadata };
        Self { decider, native, bounded, audit, naming, log }
    }

    /// Whether brig does whatever gives a name to what is there already.
    pub fn gives_names(&self) -> bool {
        self.naming == Naming::ByBrig
    }

    /// Whether brig gives this name to what is there already, or takes it away for another.
    pub fn gives_name(&self, path: &AbsPath) -> bool {
        let names = AccessSet::of(&[Access::Create, Access::Delete]);
        self.gives_names() || !self.mixed(path).intersection(names).is_empty()
    }

    /// Whether nobody but brig makes or removes this name.
    pub fn holds_name(&self, path: &AbsPath) -> bool {
        let names = AccessSet::of(&[Access::Create, Access::Delete]);
        let Native { restricted, .. } = self.native;
        let held = restricted.difference(self.native.granted_once(path));
        !held.intersection(names).is_empty()
    }

    /// Whether the kernel grants something to a directory or beneath it, which would keep that by any
    /// other name.
    pub fn grants_beneath(&self, path: &AbsPath) -> bool {
        self.native.has_beneath(path)
    }

    /// This name is about to be removed or to become another file's.
    pub fn lose_name(&self, path: &AbsPath) {
        self.native.lose(path);
    }

    /// What the kernel leaves to brig at a path: it grants nothing there that the policy may allow.
    pub fn mixed(&self, path: &AbsPath) -> AccessSet {
        self.native.restricted.difference(self.native.granted(path))
    }

    /// Whether the kernel leaves an access to a path to brig.
    pub fn is_mixed(&self, path: &AbsPath, access: Access) -> bool {
        self.mixed(path).contains(access)
    }

    /// That all these accesses are allowed, where nobody wants to know of it.
    pub fn permit_silently(&self, accesses: AccessSet, path: &AbsPath) -> Option<Permitted> {
        let permits = !self.log.has_allowed() && self.decider.allows(accesses, path);
        permits.then_some(Permitted(()))
    }

    /// Whether a device may be opened: a descriptor that brig opens answers to every ioctl, so that
    /// the right to that is needed, too.
    ///
    /// # Errors
    /// The errno of what denies it.
    pub fn device(&self, call: &Call<'_>, path: &AbsPath) -> Result<Permitted, Errno> {
        self.access(call, Access::Ioctl, path)
    }

    /// Whether somebody wants to know of what the kernel decides, too.
    pub fn audits(&self) -> bool {
        self.audit == Audit::Logs
    }

    /// Leaves a call that needs these accesses to the kernel, which denies by itself what the
    /// policy denies.
    pub fn leave_to_kernel(&self, needs: AccessSet) -> Outcome {
        if needs.difference(self.bounded).is_empty() {
            return Ok(Reply::Continue(Witness::Landlock));
        }
        Err(Errno::EACCES)
    }

    /// Asks for one access to a path.
    ///
    /// # Errors
    /// The errno of what denies it.
    pub fn access(
        &self,
        call: &Call<'_>,
        access: Access,
        path: &AbsPath,
    ) -> Result<Permitted, Errno> {
        self.permit(call, Operation::access(access, path.clone()))
    }

    /// What has no name is not what `[files]` is about.
    pub fn unnamed(&self) -> Permitted {
        Permitted(())
    }

    /// Asks for an operation with two names.
    ///
    /// # Errors
    /// The errno of what denies it.
    pub fn file(&self, call: &Call<'_>, operation: FileOperation) -> Result<Permitted, Errno> {
        self.permit(call, Operation::File(operation))
    }

    /// Asks for something with an address.
    ///
    /// # Errors
    /// The errno of what denies it.
    pub fn network(
        &self,
        call: &Call<'_>,
        operation: NetworkOperation,
    ) -> Result<Permitted, Errno> {
        self.permit(call, Operation::Network(operation))
    }

    /// Refuses part of a call whatever the rules say, since it would reach past their decisions.
    pub fn refuse(&self, call: &Call<'_>, part: &str, errno: Errno) -> Errno {
        let Some(arch) = Arch::of_build() else { return errno };
        // pointers say nothing, and would make each line another one
        let operation = SyscallOperation { call: call.syscall, arch, args: [0; 6] };
        let decision = Decision {
            verdict: Verdict::Deny { errno },
            basis: Basis::Default(List::NetworkConnect),
            next_best: None,
            part: Some(part.into()),
            mode: Mode::Enforce,
        };
        self.log.note(call, Operation::Syscall(operation), decision);
        errno
    }

    fn permit(&self, call: &Call<'_>, operation: Operation) -> Result<Permitted, Errno> {
        // most is allowed, and nobody wants to know by what
        if !self.log.has_allowed() && self.decider.verdict(&operation) == Verdict::Allow {
            return Ok(Permitted(()));
        }
        let decision = self.decider.decide(&operation);
        let denied = denied(&decision);
        self.log.note(call, operation, decision);
        denied.map_or(Ok(Permitted(())), Err)
    }
}

fn denied(decision: &Decision) -> Option<Errno> {
    match (decision.verdict, decision.mode) {
        (Verdict::Allow, _) | (_, Mode::Audit) => None,
        (Verdict::Deny { errno }, Mode::Enforce) => Some(errno),
        (Verdict::Kill, Mode::Enforce) => Some(Errno::EPERM),
    }
}

/// Whether one path is the other or lies beneath it.
pub fn is_beneath(path: &AbsPath, directory: &AbsPath) -> bool {
    match directory.as_bytes() {
        b"/" => true,
        directory => path
            .as_bytes()
            .strip_prefix(directory)
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_granted_at_a_directory_is_granted_beneath_it_and_nowhere_else() {
        let read = AccessSet::of(&[Access::Read]);
        let grant = |text: &str, access: &[Access]| Grant {
            path: path(text),
            access: AccessSet::of(access),
            directory: true,
        };
        let native = Native::new(
            AccessSet::ALL,
            &[grant("/usr", &[Access::Read]), grant("/usr/lib/a", &[Access::Modify])],
        );
        for (text, granted) in [
            ("/", AccessSet::EMPTY),
            ("/us", AccessSet::EMPTY),
            ("/usr", read),
            ("/usrlib", AccessSet::EMPTY),
            ("/usr/lib", read),
            ("/usr/lib/ab", read),
            ("/usr/lib/a/b", AccessSet::of(&[Access::Read, Access::Modify])),
        ] {
            assert_eq!(native.granted(&path(text)), granted, "{text}");
        }
        let names = AccessSet::of(&[Access::Create, Access::Delete]);
        let native = Native::new(
            AccessSet::ALL,
            &[grant("/a", &[Access::Read, Access::Create, Access::Delete])],
        );
        assert_eq!(native.granted(&path("/a")), read, "its own name is not in it");
        assert_eq!(native.granted(&path("/a/b")), read.union(names));
        let nested = [grant("/a/b", &[Access::Read]), grant("/a/b/c", &[Access::List])];
        for (lost, granted) in [("/a/b/c/d", true), ("/a/bc", true), ("/a", false), ("/a/b", false)]
        {
            let native = Native::new(AccessSet::ALL, &nested);
            native.lose(&path(lost));
            assert_eq!(native.granted(&path("/a/b/x")) == read, granted, "{lost}");
            assert_eq!(native.granted(&path("/a/b/c/x")).is_empty(), !granted, "{lost}");
            assert_eq!(
                native.granted_once(&path("/a/b/x")),
                read,
                "the kernel may not have lost it"
            );
        }
        let everywhere = Native::new(AccessSet::ALL, &[grant("/", &[Access::Read])]);
        assert_eq!(everywhere.granted(&path("/")), read);
        assert_eq!(everywhere.granted(&path("/a/b")), read);
    }
}

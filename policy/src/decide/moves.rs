// SPDX-License-Identifier: Apache-2.0
//! Renames and links: operations with two names.
//!
//! A rename deletes one name and creates another, and deletes what had the new name; an exchange
//! does so both ways. A link creates a name. Besides, "rules are about real files" (section 4): a
//! file must not gain rights by being given another name, or a rule could be moved away from
//! under it. So nothing may be allowed under the new name that is denied under the old one; that is
//! what the kernel demands of a Landlock domain too (`LANDLOCK_ACCESS_FS_REFER`), and like it the
//! answer is EXDEV, upon which programs copy instead, which is then decided step by step.
//!
//! With a directory everything beneath it moves, and nothing there may gain either: what the rules
//! tell apart beneath the two names is gone through side by side. If that is too complex to be
//! found out, it is denied.
//!
//! A UNIX socket has a name, too, by which [`super::sockets`] decides.

use crate::path::{
    AbsPath, Budget, Covering, Matcher, Next, PatternId, TooComplex, Visitor, explore_beneath,
};
use crate::policy::{Access, AccessSet, Errno, Files};

use super::decision::{Basis, Decision, Verdict};
use super::entries::Entry;
use super::files::{Deciding, FileIndex, governing};
use super::operation::{FileKind, FileOperation, Operation, RenameTarget};
use super::sockets::Sockets;

/// The accesses to a file that follow it to another name; the others are about the name.
const OF_A_FILE: AccessSet =
    AccessSet::of(&[Access::Read, Access::Modify, Access::Ioctl, Access::Execute]);

/// Where a file is, and what covers it there.
struct Place<'a> {
    path: &'a AbsPath,
    covering: Covering,
    allowed: AccessSet,
}

/// `[files]` and what was prepared from it.
pub(crate) struct Moves<'a> {
    pub(crate) files: &'a Files,
    pub(crate) index: &'a FileIndex,
    /// The patterns of `index`.
    pub(crate) paths: &'a Matcher,
    /// The rules about sockets.
    pub(crate) sockets: Sockets<'a>,
}

impl<'a> Moves<'a> {
    /// The decision about a rename or link.
    pub(crate) fn decide(&self, operation: &'a FileOperation) -> Decision {
        match operation {
            FileOperation::Access(access, path) => self.decide_access(*access, path),
            FileOperation::Link { from, to, kind } => self.link(from, to, *kind),
            FileOperation::Rename { from, to, target, kind } => {
                self.rename(from, to, *target, *kind)
            }
        }
    }

    fn link(&self, from: &'a AbsPath, to: &'a AbsPath, kind: FileKind) -> Decision {
        let (source, target) = (self.place(from), self.place(to));
        // Where nothing at all is allowed that `[files]` governs, linking is not either.
        if source.allowed.is_empty() {
            let denied = self.index.decide(self.files, source.covering.patterns(), Access::Read);
            return denied.of_part(&format!("link {from}"));
        }
        let created = self.access(Access::Create, to);
        if !created.allows() {
            return created;
        }
        let gained = self.gain(&source, &target, OF_A_FILE);
        gained.or_else(|| self.sockets.named(from, to, kind)).unwrap_or(created)
    }

    fn rename(
        &self,
        from: &'a AbsPath,
        to: &'a AbsPath,
        target: RenameTarget,
        kind: FileKind,
    ) -> Decision {
        let mut needed = vec![(Access::Delete, from), (Access::Create, to)];
        match target {
            RenameTarget::New => {}
            RenameTarget::Replaced => needed.push((Access::Delete, to)),
            RenameTarget::Exchanged => {
                needed.extend([(Access::Delete, to), (Access::Create, from)]);
            }
        }
        let mut decisions = needed.into_iter().map(|(access, path)| self.access(access, path));
        let Some(deleted) = decisions.next() else { return Decision::unrestricted() };
        if !deleted.allows() {
            return deleted;
        }
        if let Some(denied) = decisions.find(|decision| !decision.allows()) {
            return denied;
        }
        let (source, goal) = (self.place(from), self.place(to));
        self.renamed([&source, &goal], target, kind).unwrap_or(deleted)
    }

    /// Whether the decision is to allow it.
    pub(crate) fn allows(&self, operation: &'a FileOperation) -> bool {
        match operation {
            FileOperation::Access(access, path) => self.place(path).allowed.contains(*access),
            FileOperation::Link { from, to, kind } => {
                let (source, target) = (self.place(from), self.place(to));
                !source.allowed.is_empty()
                    && target.allowed.contains(Access::Create)
                    && self.gain(&source, &target, OF_A_FILE).is_none()
                    && self.sockets.named(from, to, *kind).is_none()
            }
            FileOperation::Rename { from, to, target, kind } => {
                let (source, goal) = (self.place(from), self.place(to));
                let [taken, given] = needed(*target);
                source.allowed.contains_all(taken)
                    && goal.allowed.contains_all(given)
                    && self.renamed([&source, &goal], *target, *kind).is_none()
            }
        }
    }

    /// The deny of a rename by which something would gain.
    fn renamed(
        &self,
        [source, goal]: [&Place<'_>; 2],
        target: RenameTarget,
        kind: FileKind,
    ) -> Option<Decision> {
        let gained = self.moved(source, goal, kind);
        match target {
            RenameTarget::New | RenameTarget::Replaced => gained,
            RenameTarget::Exchanged => gained.or_else(|| self.moved(goal, source, kind)),
        }
    }

    fn place(&self, path: &'a AbsPath) -> Place<'a> {
        let covering = self.paths.covering(path);
        let allowed = self.index.allowed(covering.patterns());
        Place { path, covering, allowed }
    }

    /// The decision about one thing that the operation needs.
    fn access(&self, access: Access, path: &AbsPath) -> Decision {
        let part = Operation::access(access, path.clone());
        self.decide_access(access, path).of_part(&part)
    }

    fn decide_access(&self, access: Access, path: &AbsPath) -> Decision {
        self.index.decide(self.files, self.paths.covering(path).patterns(), access)
    }

    /// The deny of moving something from one place to another, if it would gain by that.
    fn moved(&self, from: &Place<'_>, to: &Place<'_>, kind: FileKind) -> Option<Decision> {
        let gained = match kind {
            FileKind::File => self.gain(from, to, OF_A_FILE),
            // of an exchange the other may be a directory
            FileKind::Unsure | FileKind::Socket | FileKind::Directory => {
                self.gain(from, to, AccessSet::ALL).or_else(|| self.gain_beneath(from, to))
            }
        };
        gained.or_else(|| self.sockets.named(from.path, to.path, kind))
    }

    /// The deny of a gain of these accesses.
    fn gain(&self, from: &Place<'_>, to: &Place<'_>, about: AccessSet) -> Option<Decision> {
        let gained = to.allowed.difference(from.allowed).intersection(about);
        let access = gained.iter().next()?;
        let part = Operation::access(access, to.path.clone());
        Some(self.denied_gain(from.covering.patterns(), access).of_part(&part))
    }

    /// The deny of something that would gain this access, with what forbids it where these cover.
    fn denied_gain(&self, covering: &[PatternId], access: Access) -> Decision {
        let cite = |entry: &Entry| self.index.cite(self.files, entry).map(Basis::Rule);
        let basis = match self.index.deciding(covering, access) {
            Deciding::Denied { rule, .. } => cite(rule),
            Deciding::NotGranted(list) => Some(Basis::NotGranted(list)),
            Deciding::Granted(_) | Deciding::Unrestricted => None,
        };
        let basis = basis.unwrap_or(Basis::NotGranted(governing(access)));
        Decision::new(Verdict::Deny { errno: Errno::EXDEV }, basis)
    }

    /// The deny of a gain by something beneath the directory.
    fn gain_beneath(&self, from: &Place<'_>, to: &Place<'_>) -> Option<Decision> {
        let mut search = Gain { index: self.index, found: None };
        let directories = [from.path, to.path];
        let explored = explore_beneath(&self.index.set, directories, &mut search, Budget::MOVE);
        match (explored, search.found) {
            (_, Some((covering, gained, path))) => {
                let part = format!("{gained} {path}");
                Some(self.denied_gain(&covering, gained).of_part(&part))
            }
            (Err(TooComplex), None) => {
                let part = format!("what lies beneath {}", from.path);
                let verdict = Verdict::Deny { errno: Errno::EXDEV };
                Some(Decision::new(verdict, Basis::TooComplex).of_part(&part))
            }
            (Ok(()), None) => None,
        }
    }
}

/// What a rename needs at the old name and at the new one.
fn needed(target: RenameTarget) -> [AccessSet; 2] {
    const BOTH: AccessSet = AccessSet::of(&[Access::Create, Access::Delete]);
    const DELETE: AccessSet = AccessSet::of(&[Access::Delete]);
    match target {
        RenameTarget::New => [DELETE, AccessSet::of(&[Access::Create])],
        RenameTarget::Replaced => [DELETE, BOTH],
        RenameTarget::Exchanged => [BOTH, BOTH],
    }
}

/// Looks for something that is allowed beneath the second directory only.
struct Gain<'a> {
    index: &'a FileIndex,
    found: Option<(Vec<PatternId>, Access, AbsPath)>,
}

impl Visitor<2> for Gain<'_> {
    fn visit(&mut self, path: &[u8], covering: &mut [Vec<PatternId>; 2]) -> Next {
        let [from, to] = [0, 1].map(|side| self.index.allowed(&covering[side]));
        if let Some(access) = to.difference(from).iter().next() {
            self.found = AbsPath::new(path).ok().map(|path| (covering[0].clone(), access, path));
            return Next::Stop;
        }
        for covering in covering {
            self.index.entries.thin_out(covering);
        }
        Next::Beneath
    }
}

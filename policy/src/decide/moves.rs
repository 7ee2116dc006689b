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
//! With a directory everything beneath it moves. Whether something there would gain cannot be
//! enumerated, so it is decided by what rules can still begin beneath either name: if none that
//! forbids is left behind and none that grants is moved under, nothing gains. This may deny a
//! harmless move (which then is copied), and allows no harmful one.

use std::collections::BTreeSet;

use crate::path::{AbsPath, PatternId, PatternSet};
use crate::policy::{Access, AccessSet, Errno, Files};

use super::decision::{Basis, Decision, Verdict};
use super::entries::Entry;
use super::files::{Deciding, FileIndex, governing};
use super::operation::{FileKind, FileOperation, Operation, RenameTarget};

/// The accesses to a file that follow it to another name; the others are about the name.
const OF_A_FILE: AccessSet =
    AccessSet::of(&[Access::Read, Access::Modify, Access::Ioctl, Access::Execute]);

/// What can begin to forbid or to grant beneath a directory.
#[derive(Debug, Default)]
pub(crate) struct Beneath {
    /// Denies, masks, and exceptions of grants.
    forbid: PatternSet,
    /// Grants, and exceptions of denies.
    grant: PatternSet,
    /// Exceptions of denies, in the index's own set.
    deny_except: BTreeSet<PatternId>,
    /// Exceptions of grants, in the index's own set.
    grant_except: BTreeSet<PatternId>,
}

impl Beneath {
    pub(crate) fn new(files: &Files, index: &FileIndex) -> Self {
        let mut beneath = Self::default();
        for rule in files.deny.iter().chain(&files.mask) {
            beneath.forbid.insert(&rule.pattern);
            for except in &rule.except {
                beneath.grant.insert(except);
            }
        }
        for grant in [&files.read, &files.write, &files.execute].into_iter().flatten().flatten() {
            beneath.grant.insert(&grant.rule.pattern);
            for except in &grant.rule.except {
                beneath.forbid.insert(except);
            }
        }
        for entry in index.entries.iter() {
            let excepts =
                if entry.forbids() { &mut beneath.deny_except } else { &mut beneath.grant_except };
            excepts.extend(&entry.except);
        }
        beneath
    }
}

/// Where a file is, and what covers it there.
struct Place<'a> {
    path: &'a AbsPath,
    covering: Vec<PatternId>,
    allowed: AccessSet,
}

/// `[files]` and what was prepared from it.
pub(crate) struct Moves<'a> {
    pub(crate) files: &'a Files,
    pub(crate) index: &'a FileIndex,
    pub(crate) beneath: &'a Beneath,
}

impl<'a> Moves<'a> {
    /// The decision about a rename or link.
    pub(crate) fn decide(&self, operation: &'a FileOperation) -> Decision {
        match operation {
            FileOperation::Access(access, path) => self.index.decide(self.files, path, *access),
            FileOperation::Link { from, to } => self.link(from, to),
            FileOperation::Rename { from, to, target, kind } => {
                self.rename(from, to, *target, *kind)
            }
        }
    }

    fn link(&self, from: &'a AbsPath, to: &'a AbsPath) -> Decision {
        let (source, target) = (self.place(from), self.place(to));
        // A deny forbids everything that `[files]` governs, and that is linking too.
        if let Deciding::Denied { rule, .. } = self.index.deciding(&source.covering, Access::Read)
            && let Some(rule) = self.index.cite(self.files, rule)
        {
            return Decision::denied_by(rule, Errno::EACCES).of_part(&format!("link {from}"));
        }
        let created = self.access(Access::Create, to);
        if !created.allows() {
            return created;
        }
        self.gain(&source, &target, OF_A_FILE).unwrap_or(created)
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
                needed.extend([(Access::Delete, to), (Access::Create, from)])
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
        let mut gained = self.moved(&source, &goal, kind);
        if target == RenameTarget::Exchanged {
            gained = gained.or_else(|| self.moved(&goal, &source, kind));
        }
        gained.unwrap_or(deleted)
    }

    fn place(&self, path: &'a AbsPath) -> Place<'a> {
        let covering = self.index.set.covering(path);
        let allowed = self.index.allowed(&covering);
        Place { path, covering, allowed }
    }

    /// The decision about one thing that the operation needs.
    fn access(&self, access: Access, path: &AbsPath) -> Decision {
        let part = Operation::access(access, path.clone());
        self.index.decide(self.files, path, access).of_part(&part)
    }

    /// The deny of moving something from one place to another, if it would gain by that.
    fn moved(&self, from: &Place<'_>, to: &Place<'_>, kind: FileKind) -> Option<Decision> {
        match kind {
            FileKind::File => self.gain(from, to, OF_A_FILE),
            FileKind::Directory => {
                self.gain(from, to, AccessSet::ALL).or_else(|| self.gain_beneath(from, to))
            }
        }
    }

    /// The deny of a gain of these accesses.
    fn gain(&self, from: &Place<'_>, to: &Place<'_>, about: AccessSet) -> Option<Decision> {
        let gained = to.allowed.difference(from.allowed).intersection(about);
        let access = gained.iter().next()?;
        let verdict = Verdict::Deny { errno: Errno::EXDEV };
        let cite = |entry: &Entry| self.index.cite(self.files, entry).map(Basis::Rule);
        let basis = match self.index.deciding(&from.covering, access) {
            Deciding::Denied { rule, .. } => cite(rule),
            Deciding::NotGranted(list) => Some(Basis::NotGranted(list)),
            Deciding::Granted(_) | Deciding::Unrestricted => None,
        };
        let basis = basis.unwrap_or(Basis::NotGranted(governing(access)));
        let part = Operation::access(access, to.path.clone());
        Some(Decision::new(verdict, basis).of_part(&part))
    }

    /// The deny of a gain by something beneath the directory.
    fn gain_beneath(&self, from: &Place<'_>, to: &Place<'_>) -> Option<Decision> {
        let Beneath { forbid, grant, deny_except, grant_except } = self.beneath;
        let left_behind = forbid.live(from.path);
        let forbids_as_much =
            !left_behind.literals && left_behind.states_within(&forbid.live(to.path));
        let moved_under = grant.live(to.path);
        let grants_no_more = from.allowed == AccessSet::ALL
            || !moved_under.literals && moved_under.states_within(&grant.live(from.path));
        let excepted = only_in(&to.covering, &from.covering, deny_except)
            || only_in(&from.covering, &to.covering, grant_except);
        if forbids_as_much && grants_no_more && !excepted {
            return None;
        }
        let verdict = Verdict::Deny { errno: Errno::EXDEV };
        let basis = self.rule_beneath(from.path, to.path);
        let part = format!("what lies beneath {}", from.path);
        Some(Decision::new(verdict, basis).of_part(&part))
    }

    /// The rule to cite: the first that can forbid beneath `from`, else grant beneath `to`.
    fn rule_beneath(&self, from: &AbsPath, to: &AbsPath) -> Basis {
        let rules = self.index.entries.iter();
        let forbids = rules.filter(|entry| {
            let beneath = if entry.forbids() { from } else { to };
            let pattern = self.index.rule_pattern(self.files, entry);
            pattern.is_some_and(|pattern| can_begin_beneath(pattern, beneath))
        });
        let first = forbids.min_by_key(|entry| (!entry.forbids(), entry.rank));
        let cited = first.and_then(|entry| self.index.cite(self.files, entry));
        cited.map_or(Basis::NotGranted(governing(Access::Create)), Basis::Rule)
    }
}

/// Whether a pattern may begin to cover beneath the path (not exact for patterns with wildcards).
fn can_begin_beneath(pattern: &crate::path::Pattern, path: &AbsPath) -> bool {
    let (prefix, path) = (pattern.literal_prefix(), path.as_bytes());
    let is_beneath = |below: &[u8], above: &[u8]| {
        above == b"/" || below.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    let same = prefix == path;
    is_beneath(prefix, path) || (pattern.literal().is_none() && (same || is_beneath(path, prefix)))
}

/// Whether one of these patterns is in the first list and not in the second.
fn only_in(these: &[PatternId], others: &[PatternId], of: &BTreeSet<PatternId>) -> bool {
    these.iter().any(|id| of.contains(id) && others.binary_search(id).is_err())
}

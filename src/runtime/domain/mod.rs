// SPDX-License-Identifier: Apache-2.0
//! The Landlock domain and the mounts that a policy's `[files]` and TCP ports become.
//!
//! It is prepared in the container, at the end of create: the root has been changed to, everything
//! is mounted, no workload runs, and the executor still has the capabilities to look at every
//! directory. What was applied is recorded, by path and identity, so that a process which is added
//! later gets the very same: what has been exchanged since is not granted again.
//!
//! Guarantee: as many rules are in the ruleset as the plan has, or nothing is started.

mod loader;
mod mounts;
mod tree;

pub use tree::RealTree;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{self, Bound, Grant, Note, Placements, Settled};
use brig_policy::plan::{Bounded, Effect, Rights, TcpPorts};
use brig_policy::policy::{Access, AccessSet, Policy};
use brig_policy::seccomp::Syscall;
use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags, StatxFlags, memfd_create, open, statx};
use serde::{Deserialize, Serialize};

use crate::sys::landlock::{self, Handled};

/// What is to be made of a policy.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The policy.
    pub policy: Arc<Policy>,
    /// How much may be made of it.
    pub bound: Bound,
    /// TCP ports.
    pub ports: TcpPorts,
    /// Whether processes outside the domain can be signalled.
    pub signals: Signals,
    /// The rights that the kernel can handle. The plan has been checked against the target: what is
    /// left out here, the operator has allowed to be.
    pub supported: Rights,
    /// What the seccomp program was made for.
    pub planned: Planned,
}

/// What the seccomp program was made for, before the container's files could be looked at.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// The calls that it notifies.
    pub mediated: Vec<Syscall>,
    /// Whether it keeps mounts read-only.
    pub mounts: MountChanges,
}

/// Whether a program keeps mounts as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountChanges {
    /// It does.
    Refused,
    /// There was nothing to keep.
    #[default]
    Possible,
}

impl Planned {
    /// Whether nothing more is needed in the container's own files.
    fn suffices(&self, settled: &Settled) -> Result<(), String> {
        for call in brig_policy::plan::mediated_for_files(settled) {
            if !self.mediated.contains(&call.syscall) {
                let rules: Vec<String> = call.rules.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "{}: a symbolic link leads to where {} would have to be mediated: write the \
                     path as it is in the container",
                    rules.join(", "),
                    call.syscall.name()
                ));
            }
        }
        if !settled.mounts.remounts.is_empty() && self.mounts == MountChanges::Possible {
            return Err("a symbolic link leads to what would have to be mounted read-only: write \
                        the path as it is in the container"
                .to_owned());
        }
        Ok(())
    }
}

/// Whether processes outside a domain can be signalled.
///
/// KERNEL(6.12): `LANDLOCK_SCOPE_SIGNAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signals {
    /// They can, as far as the pid namespace shows them.
    Everywhere,
    /// They cannot: the pid namespace is the host's. Added processes are in a domain beside the
    /// first one's, and cannot signal it either.
    Within,
}

/// What a process is to be put into.
#[derive(Clone, Debug)]
pub enum Domain {
    /// Nothing.
    None,
    /// What a policy means in this container; what is applied is written to the descriptor.
    New(Wanted, Arc<OwnedFd>),
    /// What was applied to the first process.
    Again(Applied),
}

/// What was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The rights that are handled.
    pub handled: Rights,
    /// TCP ports.
    pub ports: TcpPorts,
    /// Whether processes outside can be signalled.
    pub signals: Signals,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Where the paths that the policy is written with led to.
    pub placements: Placements,
    /// The accesses that are restricted anywhere.
    pub restricted: AccessSet,
    /// What the kernel allows of them; the rest of what the policy allows is the supervisor's.
    pub grants: Vec<Grant>,
    /// The accesses that the kernel denies wherever nothing grants them.
    pub bounded: AccessSet,
    /// Whether names that the kernel lets be changed tell apart whose metadata may be.
    #[serde(default)]
    pub metadata_by_name: bool,
    /// What the operator is to be told.
    pub notes: Vec<String>,
    /// What only somebody who asks wants to know.
    pub remarks: Vec<String>,
}

/// A rule about what lies at and beneath a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    path: AbsPath,
    rights: Rights,
    file: FileIdentity,
}

/// Which file it is, whatever its name: a new file can have the number of one that is gone, but not
/// its time of birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileIdentity {
    device: (u32, u32),
    inode: u64,
    /// Seconds and nanoseconds; `None` where the filesystem does not tell.
    born: Option<(i64, u32)>,
}

impl FileIdentity {
    fn of(fd: &OwnedFd) -> rustix::io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let it = statx(fd, "", AtFlags::EMPTY_PATH, wanted)?;
        let told = it.stx_mask & StatxFlags::BTIME.bits() != 0;
        Ok(FileIdentity {
            device: (it.stx_dev_major, it.stx_dev_minor),
            inode: it.stx_ino,
            born: told.then_some((it.stx_btime.tv_sec, it.stx_btime.tv_nsec)),
        })
    }
}

/// A ruleset, and what it is about.
#[derive(Debug)]
pub struct Prepared {
    /// `None`: nothing is restricted.
    pub ruleset: Option<OwnedFd>,
}

/// Prepares the domain, in the container. `proc` is a procfs in which this process can find itself.
///
/// # Errors
///
/// A rule that does not fit the container's files, or a step that the kernel refused.
pub fn prepare(domain: &Domain, proc: BorrowedFd<'_>) -> Result<Prepared, String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = || open("/", flags, Mode::empty()).map_err(|error| format!("open /: {error}"));
    match domain {
        Domain::None => Ok(Prepared { ruleset: None }),
        Domain::New(wanted, record) => {
            let root = root()?;
            let mut tree = RealTree::new(root.as_fd());
            let applied = settle(wanted, &mut tree, proc)?;
            let ruleset = ruleset(&applied, &tree, Identity::First)?;
            write(record, &applied).map_err(|error| format!("record the rules: {error}"))?;
            Ok(Prepared { ruleset })
        }
        Domain::Again(applied) => {
            let root = root()?;
            let ruleset = ruleset(applied, &RealTree::new(root.as_fd()), Identity::Known)?;
            Ok(Prepared { ruleset })
        }
    }
}

/// Changes the mounts, and finds the rules.
fn settle(
    wanted: &Wanted,
    tree: &mut RealTree<'_>,
    proc: BorrowedFd<'_>,
) -> Result<Applied, String> {
    let settled = files::settle(&wanted.policy, tree, wanted.bound).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })?;
    let (missing, carved): (Vec<&Note>, Vec<&Note>) =
        settled.placed.notes.iter().partition(|note| matches!(note, Note::Missing { .. }));
    wanted.planned.suffices(&settled)?;
    let texts = |notes: Vec<&Note>| notes.into_iter().map(ToString::to_string).collect();
    let (mut notes, remarks): (Vec<String>, Vec<String>) = (texts(missing), texts(carved));
    mounts::remount(tree, proc, &settled.mounts.remounts)?;
    mounts::mask(tree, &settled.masks)?;
    let handled = settled.handled().intersection(wanted.supported);
    let mut rules = rules(&settled, tree, handled)?;
    if settled.restricts_execution() {
        let loaders = loader::cover(tree, &settled)?;
        notes.extend(loaders.stranded);
        let runs = Rights::to_run().intersection(handled);
        for path in loaders.needed {
            rules.push(rule(tree, path, runs)?);
        }
    }
    Ok(Applied {
        handled,
        ports: wanted.ports.clone(),
        signals: wanted.signals,
        rules,
        bounded: bounded(&settled, wanted.supported),
        restricted: settled.placed.restricted,
        grants: settled.placed.grants,
        metadata_by_name: !settled.mounts.by_name.is_empty(),
        placements: settled.placements,
        notes,
        remarks,
    })
}

/// The accesses that the kernel denies wherever the policy does.
fn bounded(settled: &Settled, supported: Rights) -> AccessSet {
    let is_bounded =
        |access: &Access| settled.bounded(Effect::Access(*access), supported) == Bounded::ByKernel;
    Access::ALL
        .iter()
        .filter(|access| is_bounded(access))
        .fold(AccessSet::EMPTY, |all, access| all.union(AccessSet::of(&[*access])))
}

fn rules(settled: &Settled, tree: &RealTree<'_>, handled: Rights) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for grant in settled.rules() {
        let rights = settled.rights(grant).intersection(handled);
        if !rights.is_empty() {
            rules.push(rule(tree, grant.path.clone(), rights)?);
        }
    }
    Ok(rules)
}

fn rule(tree: &RealTree<'_>, path: AbsPath, rights: Rights) -> Result<Rule, String> {
    let file = tree.open(&path, OFlags::PATH).and_then(|fd| FileIdentity::of(&fd));
    let file = file.map_err(|error| format!("Landlock rule for {path}: {error}"))?;
    Ok(Rule { path, rights, file })
}

/// Whether what is found must be what was recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// It has just been looked at; something else is an error.
    First,
    /// The workload may have changed it: what is another file now is not granted.
    Known,
}

/// KERNEL(6.7): `LANDLOCK_ACCESS_NET_BIND_TCP` and `_CONNECT_TCP`.
const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;
/// `LANDLOCK_SCOPE_SIGNAL` of linux/landlock.h.
const SCOPE_SIGNAL: u64 = 1 << 1;

fn ruleset(
    applied: &Applied,
    tree: &RealTree<'_>,
    identity: Identity,
) -> Result<Option<OwnedFd>, String> {
    let Applied { handled, ports, signals, rules, .. } = applied;
    let net = if ports.bind.is_some() { BIND_TCP } else { 0 }
        | if ports.connect.is_some() { CONNECT_TCP } else { 0 };
    if handled.is_empty() && net == 0 {
        return Ok(None);
    }
    let abi = landlock::abi().map_err(|error| format!("Landlock: {error}"))?;
    let scoped = match signals {
        Signals::Within if abi >= 6 => SCOPE_SIGNAL,
        Signals::Within | Signals::Everywhere => 0,
    };
    let handled = Handled { fs: handled.0, net, scoped };
    let ruleset = landlock::create_ruleset(handled, abi)
        .map_err(|error| format!("landlock_create_ruleset: {error}"))?;
    let mut added = 0;
    for rule in rules {
        added += add(&ruleset, tree, rule, identity)?;
    }
    // INVARIANT: all of a first process's rules are in force, or it does not start
    if identity == Identity::First && added != rules.len() {
        return Err(format!("Landlock: {added} of {} rules could be added", rules.len()));
    }
    for (port, access) in by_port(ports) {
        landlock::add_port(ruleset.as_fd(), access, port)
            .map_err(|error| format!("Landlock rule for port {port}: {error}"))?;
    }
    Ok(Some(ruleset))
}

/// A rule for each port, with all that is allowed of it.
fn by_port(ports: &TcpPorts) -> BTreeMap<u16, u64> {
    let mut rules = BTreeMap::new();
    for (ports, access) in [(&ports.bind, BIND_TCP), (&ports.connect, CONNECT_TCP)] {
        for port in ports.iter().flatten().flat_map(|range| range.first..=range.last) {
            *rules.entry(port).or_default() |= access;
        }
    }
    rules
}

/// How many rules were added: one, or none for what is not there any more.
fn add(
    ruleset: &OwnedFd,
    tree: &RealTree<'_>,
    rule: &Rule,
    identity: Identity,
) -> Result<usize, String> {
    let found = tree.open(&rule.path, OFlags::PATH);
    let found = found.and_then(|fd| FileIdentity::of(&fd).map(|file| (fd, file)));
    let failed =
        |error: &dyn std::fmt::Display| format!("Landlock rule for {}: {error}", rule.path);
    let (fd, file) = match found {
        Ok(found) => found,
        Err(_) if identity == Identity::Known => return Ok(0),
        Err(error) => return Err(failed(&error)),
    };
    // RACE: the workload may have put another file there: what is recorded is what was meant
    if file != rule.file {
        return match identity {
            Identity::Known => Ok(0),
            Identity::First => Err(failed(&"another file is there now")),
        };
    }
    landlock::add_path(ruleset.as_fd(), rule.rights.0, fd.as_fd())
        .map_err(|error| failed(&error))?;
    Ok(1)
}

/// A mount of its own, attached nowhere, of what a descriptor refers to.
///
/// # Errors
///
/// The kernel's.
pub fn mount_of(fd: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    Ok(mounts::clone(fd)?)
}

/// Where the executor leaves its record, for create.
///
/// # Errors
///
/// The kernel's.
pub fn record() -> std::io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(memfd_create("brig-domain", MemfdFlags::CLOEXEC)?))
}

fn write(record: &OwnedFd, applied: &Applied) -> std::io::Result<()> {
    File::from(record.try_clone()?).write_all(&serde_json::to_vec(applied)?)
}

/// What the executor has left.
///
/// # Errors
///
/// It left nothing that can be read.
pub fn read(record: &OwnedFd) -> std::io::Result<Applied> {
    let mut file = File::from(record.try_clone()?);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

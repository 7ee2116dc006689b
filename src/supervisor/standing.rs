// SPDX-License-Identifier: Apache-2.0
//! Whom a worker acts as.
//!
//! What is done for a caller is done with its ids, groups and capabilities, so that the kernel
//! decides as it would have decided about the caller. A worker stays who it is until another caller
//! comes: most come again.

use std::cell::{Cell, RefCell};
use std::io;

use brig_policy::call::status::Status;
use brig_policy::policy::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::answer::errno;
use crate::sys::identity;

/// The credentials of a caller that matter for what is done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective, saved and filesystem user id.
    pub uids: [u32; 4],
    /// Real, effective, saved and filesystem group id.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The capabilities in force, in the container's user namespace.
    pub effective: u64,
}

impl Identity {
    /// Of a task.
    pub fn new(status: &Status) -> Self {
        Self {
            uids: status.uids,
            gids: status.gids,
            groups: status.groups.clone(),
            effective: status.effective,
        }
    }
}

/// The capabilities that it takes to look at callers and to become one of them.
pub const OWN: u64 = 1 << CAP_SYS_PTRACE | 1 << CAP_SETUID | 1 << CAP_SETGID | 1 << CAP_KILL;
const CAP_KILL: u32 = 5;
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SYS_PTRACE: u32 = 19;

/// Who a worker is at the moment.
#[derive(Debug)]
pub struct Standing {
    /// What it may put in force.
    permitted: u64,
    effective: Cell<Option<u64>>,
    identity: RefCell<Option<Identity>>,
    umask: Cell<Option<u32>>,
}

impl Standing {
    /// Of a new thread, which is whoever its parent was.
    pub fn new(permitted: u64) -> Self {
        Self {
            permitted,
            effective: Cell::new(None),
            identity: RefCell::new(None),
            umask: Cell::new(None),
        }
    }

    /// Puts in force what it takes to look at callers.
    ///
    /// # Errors
    /// The kernel's: nothing may be done then.
    pub fn privileged(&self) -> Result<(), Errno> {
        self.put_in_force(OWN)
    }

    /// Becomes a caller.
    ///
    /// # Errors
    /// The kernel's: nothing may be done then.
    pub fn assume(&self, identity: &Identity) -> Result<(), Errno> {
        let same = self.identity.borrow().as_ref() == Some(identity);
        if !same {
            // INVARIANT: half of an identity is none
            self.identity.replace(None);
            self.privileged()?;
            set_ids(identity).map_err(errno)?;
            self.identity.replace(Some(identity.clone()));
        }
        self.put_in_force(identity.effective)
    }

    /// Looks at what procfs gives to the root of the container's user namespace: that of tasks which are
    /// not dumpable.
    ///
    /// # Errors
    /// The kernel's: nothing may be done then.
    pub fn root_of_procfs(&self) -> Result<(), Errno> {
        // INVARIANT: half of an identity is none
        self.identity.replace(None);
        self.privileged()?;
        identity::set_fs_uid(0).map_err(errno)
    }

    /// The file mode creation mask.
    pub fn set_umask(&self, umask: u32) {
        if self.umask.replace(Some(umask)) != Some(umask) {
            identity::set_umask(umask);
        }
    }

    fn put_in_force(&self, wanted: u64) -> Result<(), Errno> {
        let wanted = wanted & self.permitted;
        if self.effective.get() == Some(wanted) {
            return Ok(());
        }
        let sets = CapabilitySets {
            effective: CapabilitySet::from_bits_retain(wanted),
            permitted: CapabilitySet::from_bits_retain(self.permitted),
            inheritable: CapabilitySet::empty(),
        };
        self.effective.set(None);
        rustix::thread::set_capabilities(None, sets).map_err(errno)?;
        self.effective.set(Some(wanted));
        Ok(())
    }
}

fn set_ids(identity: &Identity) -> io::Result<()> {
    let Identity { uids, gids, groups, .. } = identity;
    match identity::set_groups(groups) {
        // a user namespace made without privilege: nobody in it could have changed its groups, the
        // supervisor no more than the caller
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => own_groups(groups)?,
        other => other?,
    }
    identity::set_gids([gids[0], gids[1], gids[2]])?;
    if gids[3] != gids[1] {
        identity::set_fs_gid(gids[3])?;
    }
    identity::set_uids([uids[0], uids[1], uids[2]])?;
    if uids[3] != uids[1] {
        identity::set_fs_uid(uids[3])?;
    }
    Ok(())
}

/// Whether these are the groups that the thread has.
fn own_groups(groups: &[u32]) -> io::Result<()> {
    let own: Vec<u32> = rustix::process::getgroups()?.into_iter().map(|one| one.as_raw()).collect();
    let sorted = |mut list: Vec<u32>| {
        list.sort_unstable();
        list
    };
    if sorted(own) == sorted(groups.to_vec()) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

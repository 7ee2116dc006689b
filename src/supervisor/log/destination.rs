// SPDX-License-Identifier: Apache-2.0
//! Where decisions go, opened while brig still has its caller's files and rights.
//!
//! The supervisor joins the container's mount namespace and gives up opening anything: it gets
//! descriptors, and no directory.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context as _, bail};
use brig_policy::config::{self, Destination};
use brig_policy::policy::Policy;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::sink::Sink;
use super::writer::Writer;
use super::{Closer, Log};
use crate::sys::socket;

/// The log in a container's state directory, and what it goes on in when it is full.
pub const STATE_FILE: &str = "decisions.log";
/// The other half of the log. Which of the two is newer, the times in them say.
pub const SECOND_HALF: &str = "decisions.log.1";
/// Where the system's journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Where decisions go.
#[derive(Debug)]
pub struct Target {
    container: String,
    kind: Kind,
    descriptors: Vec<OwnedFd>,
    limits: config::Log,
}

/// What the descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    /// Two files of the container's own.
    Halves,
    /// A file that others write, too.
    Shared,
    /// A socket that is connected to the journal.
    Journal,
}

impl Target {
    /// Opens the destination that an operator has chosen.
    ///
    /// # Errors
    ///
    /// A file that cannot be had: decisions that an operator wants are not silently lost. A journal
    /// that is not there is a warning: it is the host's, and the same for all containers.
    pub fn open(log: &config::Log, container: &str, state: &Path) -> anyhow::Result<Self> {
        let (kind, descriptors) = match &log.decisions {
            Destination::None => (Kind::Nothing, Vec::new()),
            Destination::State => {
                let halves = [STATE_FILE, SECOND_HALF].map(|name| open_own(&state.join(name)));
                (Kind::Halves, halves.into_iter().collect::<anyhow::Result<_>>()?)
            }
            Destination::File(path) => (Kind::Shared, vec![open_shared(Path::new(path))?]),
            Destination::Journal => match socket::connect_datagram(Path::new(JOURNAL)) {
                Ok(socket) => (Kind::Journal, vec![socket]),
                Err(error) => {
                    tracing::warn!(
                        "log.decisions: {JOURNAL}: {error}: decisions of this container are not logged"
                    );
                    (Kind::Nothing, Vec::new())
                }
            },
        };
        Ok(Self { container: container.to_owned(), kind, descriptors, limits: log.clone() })
    }

    /// What has to be kept open.
    pub fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    /// Begins, with the descriptors as they are numbered by now.
    pub fn begin(&self, policy: &Policy, kept: Vec<OwnedFd>) -> (Log, Closer, Option<Writer>) {
        let mut kept = kept.into_iter().map(File::from);
        let most = self.limits.max_size;
        let sink = match (self.kind, kept.next(), kept.next()) {
            (Kind::Halves, Some(first), Some(second)) => Sink::halves([first, second], most),
            (Kind::Shared, Some(file), _) => Sink::shared(file, most),
            (Kind::Journal, Some(socket), _) => Sink::journal(socket),
            _ => {
                let (log, closer) = Log::nowhere();
                return (log, closer, None);
            }
        };
        let (log, closer, notes, counts) = Log::open(brig_policy::log::level(policy));
        let per_second = self.limits.max_per_second;
        let writer = Writer::new(self.container.clone(), sink, notes, counts, per_second);
        (log, closer, Some(writer))
    }
}

/// A new file in the state directory.
fn open_own(path: &Path) -> anyhow::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    open(path, flags, Mode::RUSR | Mode::WUSR).with_context(|| format!("create {}", path.display()))
}

/// A file of the operator's.
fn open_shared(path: &Path) -> anyhow::Result<OwnedFd> {
    // a FIFO without a reader would be waited for
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let is_regular = |fd: &OwnedFd| match fstat(fd) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
        Err(_) => false,
    };
    match open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) if is_regular(&fd) => Ok(fd),
        // a FIFO that nobody reads; a socket
        Ok(_) | Err(Errno::NXIO) => bail!("log.file: {}: is not a regular file", path.display()),
        Err(error) => Err(error).with_context(|| format!("log.file: open {}", path.display())),
    }
}

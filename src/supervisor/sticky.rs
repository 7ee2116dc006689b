// SPDX-License-Identifier: Apache-2.0
//! `fs.protected_symlinks`, `fs.protected_regular` and `fs.protected_fifos` of proc_sys_fs(5), where a
//! path is walked by hand: what is safe to follow or to open with `O_CREAT` in a directory where others
//! may put things, too.

use std::os::fd::OwnedFd;

use brig_policy::policy::Errno;
use rustix::fs::{FileType, Mode, OFlags, Stat, openat};

/// The host's settings, as they were when the supervisor began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    symlinks: u32,
    regular: u32,
    fifos: u32,
}

impl Sticky {
    /// Of the host that this /proc is of; the strictest, where it does not tell.
    pub fn read(proc: &OwnedFd) -> Self {
        Self {
            symlinks: setting(proc, "sys/fs/protected_symlinks").unwrap_or(1),
            regular: setting(proc, "sys/fs/protected_regular").unwrap_or(2),
            fifos: setting(proc, "sys/fs/protected_fifos").unwrap_or(2),
        }
    }

    /// Whether a caller may follow a link in the last place of a path.
    ///
    /// # Errors
    /// EACCES.
    pub fn may_follow(self, link: &Stat, directory: &Stat, caller: u32) -> Result<(), Errno> {
        let guarded = self.symlinks != 0 && mode(directory).contains(Mode::SVTX | Mode::WOTH);
        match guarded && link.st_uid != caller && link.st_uid != directory.st_uid {
            true => Err(Errno::EACCES),
            false => Ok(()),
        }
    }

    /// Whether a caller may open with `O_CREAT` what is there already, and no directory.
    ///
    /// # Errors
    /// EACCES.
    pub fn may_create(self, found: &Stat, directory: &Stat, caller: u32) -> Result<(), Errno> {
        let level = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => self.regular,
            FileType::Fifo => self.fifos,
            // what is neither is guarded whatever is set
            _ => 1,
        };
        let least = match mode(directory) {
            mode if !mode.contains(Mode::SVTX) => return Ok(()),
            mode if mode.contains(Mode::WOTH) => 1,
            mode if mode.contains(Mode::WGRP) => 2,
            _ => return Ok(()),
        };
        match level >= least && found.st_uid != caller && found.st_uid != directory.st_uid {
            true => Err(Errno::EACCES),
            false => Ok(()),
        }
    }
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode)
}

fn setting(proc: &OwnedFd, name: &str) -> Option<u32> {
    let file = openat(proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; 16];
    let count = rustix::io::read(&file, &mut text).ok()?;
    std::str::from_utf8(text.get(..count)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: u32 = 0o040_000;
    const REGULAR: u32 = 0o100_000;
    const FIFO: u32 = 0o010_000;
    const SOCKET: u32 = 0o140_000;

    /// Of a file of `uid`'s.
    fn stat(mode: u32, uid: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_mode, stat.st_uid) = (mode, uid);
        stat
    }

    /// Whether each of a regular file, a FIFO and a socket of user 1's may be opened by user 2 in a
    /// directory of user 3's.
    fn opened(level: u32, directory: u32) -> [bool; 3] {
        let sticky = Sticky { symlinks: 0, regular: level, fifos: level };
        let directory = stat(DIRECTORY | directory, 3);
        [REGULAR, FIFO, SOCKET]
            .map(|kind| sticky.may_create(&stat(kind | 0o666, 1), &directory, 2).is_ok())
    }

    #[test]
    fn each_level_guards_what_the_manual_says() {
        const ALL: [bool; 3] = [true; 3];
        for (level, directory, expected) in [
            (0, 0o1777, [true, true, false]),
            (1, 0o1777, [false; 3]),
            (2, 0o1777, [false; 3]),
            (0, 0o1770, ALL),
            (1, 0o1770, ALL),
            (2, 0o1770, [false, false, true]),
            (2, 0o1755, ALL),
            (2, 0o777, ALL),
        ] {
            assert_eq!(opened(level, directory), expected, "{level} {directory:o}");
        }
        let strict = Sticky { symlinks: 1, regular: 2, fifos: 2 };
        let directory = stat(DIRECTORY | 0o1777, 3);
        for (owner, caller) in [(1, 1), (3, 2)] {
            let found = stat(REGULAR | 0o666, owner);
            assert_eq!(strict.may_create(&found, &directory, caller), Ok(()));
            assert_eq!(strict.may_follow(&found, &directory, caller), Ok(()));
        }
    }

    #[test]
    fn a_link_is_followed_by_its_owner_where_everybody_may_put_one() {
        let link = stat(0o120_777, 1);
        for (symlinks, directory, follows) in
            [(0, 0o1777, true), (1, 0o1777, false), (1, 0o1775, true), (1, 0o777, true)]
        {
            let sticky = Sticky { symlinks, regular: 2, fifos: 2 };
            let directory = stat(DIRECTORY | directory, 3);
            assert_eq!(sticky.may_follow(&link, &directory, 2).is_ok(), follows);
        }
    }
}

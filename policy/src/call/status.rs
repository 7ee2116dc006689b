// SPDX-License-Identifier: Apache-2.0
//! Who a task is: `/proc/TID/status`, proc_pid_status(5).
//!
//! The kernel writes it; the task has chosen its name alone, whose newlines the kernel escapes, and
//! which stands in the first line. Lines are found by their names, and a field that is missing or
//! malformed makes the whole unreadable: nobody is taken for somebody else.

use crate::policy::Errno;

/// What brig needs to know of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name, as the kernel escapes it.
    pub name: Vec<u8>,
    /// The file mode creation mask.
    pub umask: u32,
    /// The id of its process.
    pub tgid: i32,
    /// Real, effective, saved and filesystem user id.
    pub uids: [u32; 4],
    /// Real, effective, saved and filesystem group id.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Its ids in the pid namespaces from the reader's on inwards: of its process.
    pub ns_tgids: Vec<i32>,
    /// The same, of itself.
    pub ns_pids: Vec<i32>,
    /// How many threads its process has.
    pub threads: u32,
    /// Signals that wait for it alone.
    pub own_signals: u64,
    /// Signals that wait for any thread of its process.
    pub shared_signals: u64,
    /// Signals that it neither blocks nor ignores.
    pub taken_signals: u64,
    /// The permitted capabilities.
    pub permitted: u64,
    /// The effective capabilities.
    pub effective: u64,
}

impl Status {
    /// Reads the file's text.
    ///
    /// # Errors
    /// ESRCH where it is not the text of a living task.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        Self::read(text).ok_or(Errno::ESRCH)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let field = |name: &str| field(text, name);
        let mask = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        Some(Self {
            name: line(text, "Name")?.to_vec(),
            umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
            tgid: field("Tgid")?.parse().ok()?,
            uids: numbers(field("Uid")?)?.try_into().ok()?,
            gids: numbers(field("Gid")?)?.try_into().ok()?,
            groups: numbers(field("Groups")?)?,
            ns_tgids: numbers(field("NStgid")?)?,
            ns_pids: numbers(field("NSpid")?)?,
            threads: field("Threads")?.parse().ok()?,
            own_signals: mask("SigPnd")?,
            shared_signals: mask("ShdPnd")?,
            taken_signals: !mask("SigBlk")? & !mask("SigIgn")?,
            permitted: mask("CapPrm")?,
            effective: mask("CapEff")?,
        })
    }
}

/// The rest of the line of this name, without the white space around it.
fn line<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    Some(rest.trim_ascii())
}

fn field<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(line(text, name)?).ok()
}

fn numbers<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tUid:\\nUid:\t0\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t40\nNgid:\t0\n\
        Pid:\t41\nPPid:\t1\nTracerPid:\t0\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n\
        FDSize:\t64\nGroups:\t9 10 \nNStgid:\t40\t2\nNSpid:\t41\t3\nNSpgid:\t40\t2\nNSsid:\t1\t1\n\
        Threads:\t7\nSigQ:\t0/1\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000006\n\
        SigBlk:\t0000000000000002\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000000\n\
        CapInh:\t0000000000000000\nCapPrm:\t00000000000000ff\nCapEff:\t000000000000000f\n";

    #[test]
    fn a_task_is_who_the_kernel_says() {
        let status = Status::parse(TEXT.as_bytes()).unwrap();
        assert_eq!((status.umask, status.tgid, status.threads), (0o22, 40, 7));
        assert_eq!(status.uids, [1000, 1001, 1002, 1003]);
        assert_eq!((status.gids, status.groups), ([5, 6, 7, 8], vec![9, 10]));
        assert_eq!((status.ns_tgids, status.ns_pids), (vec![40, 2], vec![41, 3]));
        assert_eq!((status.permitted, status.effective), (0xff, 0xf));
        assert_eq!((status.own_signals, status.shared_signals, status.taken_signals), (1, 6, !3));
    }

    #[test]
    fn a_name_cannot_be_taken_for_another_line() {
        let status = Status::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(status.name, b"Uid:\\nUid:\t0");
        assert_eq!(status.uids[0], 1000);
    }

    #[test]
    fn what_is_missing_or_malformed_is_nobody() {
        for cut in ["Umask:\t0022\n", "Groups:\t9 10 \n", "CapEff:\t000000000000000f\n"] {
            assert_eq!(Status::parse(TEXT.replace(cut, "").as_bytes()), Err(Errno::ESRCH), "{cut}");
        }
        let odd = TEXT.replace("Gid:\t5\t6\t7\t8", "Gid:\t5\t6\t7");
        assert_eq!(Status::parse(odd.as_bytes()), Err(Errno::ESRCH));
        assert_eq!(Status::parse(b""), Err(Errno::ESRCH));
    }
}

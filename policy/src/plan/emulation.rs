// SPDX-License-Identifier: Apache-2.0
//! What the program refuses because the supervisor acts for the workload, or because nothing else
//! asks about it.
//!
//! A decision is about a path or an address at one moment. What would reach past it without a
//! mediated call, and is told apart by registers, is refused; each only where the thing itself is
//! mediated.
//!
//! What is not here, because no register shows it: control messages of sendmsg(2) that set a route
//! (`IP_RETOPTS`, `IPV6_RTHDR`, `IPV6_2292RTHDR`), which the supervisor copies and must refuse; and
//! ioctls of single filesystems beyond those below. `TCP_REPAIR` needs CAP_NET_ADMIN and does not
//! go past connect(2), where it only leaves the handshake out; `SO_BINDTODEVICE` and `IP_UNICAST_IF`
//! choose a way and no receiver; `IPV6_RTHDRDSTOPTS` means nothing without `IPV6_RTHDR`; and
//! `IPV6_2292RTHDR` as an option only asks to be shown what arrives.

use super::files::Settled;
use super::mediated::Calls;
use crate::seccomp::{Answer, Condition, Match, Operator, Restriction, Selects, Syscall};

const EPERM: u16 = 1;
const EOPNOTSUPP: u16 = 95;

/// Whether the supervisor decides which hosts are connected and sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// It does.
    Mediated,
    /// The kernel does, or nothing is restricted.
    #[default]
    ByKernel,
}

/// What must be refused beside these calls. Calls that are only seen to be logged do not count.
pub(crate) fn restrictions(calls: &Calls, settled: &Settled, hosts: Hosts) -> Vec<Restriction> {
    let mut all = Vec::new();
    if calls.act() {
        all.push(own_domains());
    }
    if !settled.placed.restricted.is_empty() {
        all.extend([trees(), detached_mounts()]);
    }
    if !settled.mounts.exact() {
        all.push(metadata());
    }
    if calls.give_names() || !settled.mounts.exact() {
        all.push(mounts());
    }
    if hosts == Hosts::Mediated {
        all.extend([redirections(), sockets_past_addresses()]);
    }
    all
}

/// The kernel tells nobody which domain a process has put itself into, so the supervisor could open
/// or connect for it what it has renounced. To a program the answer means that Landlock is switched
/// off (landlock_create_ruleset(2)), and it goes on without.
fn own_domains() -> Restriction {
    let calls = ["landlock_create_ruleset", "landlock_restrict_self"];
    let matches = calls.into_iter().flat_map(|call| matching(call, [Vec::new()])).collect();
    let why = "the supervisor could not act within a Landlock domain of the workload's own";
    refused(matches, EOPNOTSUPP, why)
}

/// ioctls that make, copy or remove whole trees or files by a name, for which the kernel asks no
/// Landlock domain: a copy of a denied file in a granted place would be granted. By linux/btrfs.h and
/// the sources of ocfs2.
const TREE_IOCTLS: [u64; 7] = [
    0x5000_9401, // BTRFS_IOC_SNAP_CREATE
    0x5000_940e, // BTRFS_IOC_SUBVOL_CREATE
    0x5000_940f, // BTRFS_IOC_SNAP_DESTROY
    0x5000_9417, // BTRFS_IOC_SNAP_CREATE_V2
    0x5000_9418, // BTRFS_IOC_SUBVOL_CREATE_V2
    0x5000_943f, // BTRFS_IOC_SNAP_DESTROY_V2
    0x4018_6f04, // OCFS2_IOC_REFLINK
];

fn trees() -> Restriction {
    let commands = TREE_IOCTLS.map(|command| vec![is(1, command)]);
    let why = "[files]: an ioctl would copy denied files to where they are not";
    refused(matching("ioctl", commands), EPERM, why)
}

/// Mounts that are attached nowhere, for which the kernel asks no Landlock domain: what is in one has
/// another name than where it comes from. Attaching it is forbidden to whoever is in a domain, so that
/// nothing is lost.
fn detached_mounts() -> Restriction {
    const OPEN_TREE_CLONE: Operator = Operator::MaskedEqual { mask: 1, value: 1 };
    let clones = || [vec![Condition { index: 2, operator: OPEN_TREE_CLONE }]];
    let mut matches = matching("fsmount", [Vec::new()]);
    matches.extend(matching("open_tree", clones()));
    matches.extend(matching("open_tree_attr", clones()));
    refused(matches, EPERM, "[files]: what is in a mount that is attached nowhere has another name")
}

/// Mounts by which a file would have another name, or none: who is root in a user namespace can make
/// them, or make one the root. A Landlock domain with rights for files forbids that, but for the last
/// three calls.
fn mounts() -> Restriction {
    const MS_BIND: u64 = 1 << 12;
    const MS_MOVE: u64 = 1 << 13;
    const MS_REMOUNT: u64 = 1 << 5;
    const OPEN_TREE_CLONE: u64 = 1;
    let flags = |index, mask, value| {
        vec![Condition { index, operator: Operator::MaskedEqual { mask, value } }]
    };
    let [bound, moved] = [flags(3, MS_BIND | MS_REMOUNT, MS_BIND), flags(3, MS_MOVE, MS_MOVE)];
    let mut matches = matching("mount", [bound, moved]);
    for call in ["move_mount", "pivot_root", "fsmount"] {
        matches.extend(matching(call, [Vec::new()]));
    }
    for call in ["open_tree", "open_tree_attr"] {
        matches.extend(matching(call, [flags(2, OPEN_TREE_CLONE, OPEN_TREE_CLONE)]));
    }
    refused(matches, EPERM, "names decide, and a mount would give files other names")
}

/// ioctls that an owner may use on a descriptor that was opened for reading, by asm-generic/ioctl.h,
/// which holds for every architecture that brig runs on.
const METADATA_IOCTLS: [u64; 12] = [
    0x4008_6602, // FS_IOC_SETFLAGS
    0x4004_6602, // FS_IOC32_SETFLAGS
    0x401c_5820, // FS_IOC_FSSETXATTR
    0x4008_7602, // FS_IOC_SETVERSION
    0x4004_7602, // FS_IOC32_SETVERSION
    0x4008_6604, // EXT4_IOC_SETVERSION
    0x4004_6604, // EXT4_IOC32_SETVERSION
    0x800c_6613, // FS_IOC_SET_ENCRYPTION_POLICY: of an empty directory
    0x4080_6685, // FS_IOC_ENABLE_VERITY: makes content immutable, and wants it opened for reading
    0x4008_941a, // BTRFS_IOC_SUBVOL_SETFLAGS: read-only or not
    0xc0c8_9425, // BTRFS_IOC_SET_RECEIVED_SUBVOL
    0x4004_7211, // FAT_IOCTL_SET_ATTRIBUTES
];

fn metadata() -> Restriction {
    let commands = METADATA_IOCTLS.map(|command| vec![is(1, command)]);
    let why = "[files]: an ioctl would change metadata past the supervisor";
    refused(matching("ioctl", commands), EPERM, why)
}

/// Level and name of options by which a socket reaches another host than was decided about.
const ROUTES: [(u64, u64); 9] = [
    (0, 3),     // IP_HDRINCL: the receiver is in the packet
    (0, 4),     // IP_OPTIONS: source routes
    (41, 6),    // IPV6_2292PKTOPTIONS: control messages for all that is sent, routing headers too
    (41, 36),   // IPV6_HDRINCL
    (41, 57),   // IPV6_RTHDR
    (255, 36),  // IPV6_HDRINCL, by SOL_RAW
    (132, 100), // SCTP_SOCKOPT_BINDX_ADD: binds
    (132, 107), // SCTP_SOCKOPT_CONNECTX_OLD: connects
    (132, 110), // SCTP_SOCKOPT_CONNECTX
];

/// `SCTP_SOCKOPT_CONNECTX3`, which connects and is read.
const CONNECTS_BY_READING: (u64, u64) = (132, 111);

fn redirections() -> Restriction {
    let option = |(level, name)| vec![is(1, level), is(2, name)];
    let mut matches = matching("setsockopt", ROUTES.map(option));
    matches.extend(matching("getsockopt", [option(CONNECTS_BY_READING)]));
    refused(matches, EPERM, "[network]: a socket option would lead past the address decided about")
}

/// Sockets whose packets name their receiver themselves.
fn sockets_past_addresses() -> Restriction {
    const AF_INET: u64 = 2;
    const AF_INET6: u64 = 10;
    const AF_PACKET: u64 = 17;
    const AF_XDP: u64 = 44;
    /// Families that carry the internet protocol, or go over it, by addresses of their own: linux/socket.h.
    const OTHERS: [u64; 4] = [
        21, // AF_RDS
        24, // AF_PPPOX
        30, // AF_TIPC
        33, // AF_RXRPC
    ];
    /// What the kernel takes for AF_PACKET.
    const SOCK_PACKET: Operator = Operator::MaskedEqual { mask: 0xf, value: 10 };
    const SOCK_RAW: Operator = Operator::MaskedEqual { mask: 0xf, value: 3 };
    const IPPROTO_RAW: u64 = 255;
    let raw = |family| {
        let kind = Condition { index: 1, operator: SOCK_RAW };
        vec![is(0, family), kind, is(2, IPPROTO_RAW)]
    };
    let packet = vec![is(0, AF_INET), Condition { index: 1, operator: SOCK_PACKET }];
    let mut sockets =
        vec![raw(AF_INET), raw(AF_INET6), packet, vec![is(0, AF_PACKET)], vec![is(0, AF_XDP)]];
    sockets.extend(OTHERS.map(|family| vec![is(0, family)]));
    refused(matching("socket", sockets), EPERM, "[network]: packets would name any receiver")
}

fn is(index: u8, value: u64) -> Condition {
    Condition { index, operator: Operator::Equal(value) }
}

fn matching(call: &str, all: impl IntoIterator<Item = Vec<Condition>>) -> Vec<Match> {
    let Some(syscall) = Syscall::from_name(call) else { return Vec::new() };
    all.into_iter().map(|conditions| Match { syscall, conditions }).collect()
}

fn refused(matches: Vec<Match>, errno: u16, why: &str) -> Restriction {
    let selects = Selects::These(matches);
    Restriction { selects, answer: Answer::Errno(errno), label: why.to_owned() }
}

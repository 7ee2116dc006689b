// SPDX-License-Identifier: Apache-2.0
//! Operations: what a workload asks for, and how a person writes that down.

use std::fmt;
use std::net::IpAddr;

pub use crate::net::Transport;
use crate::path::{AbsPath, Printed};
use crate::policy::{Access, Capability};
use crate::seccomp::{Arch, Syscall};

/// Something that a workload may or may not do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Something with files.
    File(FileOperation),
    /// Something with an address.
    Network(NetworkOperation),
    /// A system call as such.
    Syscall(SyscallOperation),
    /// Something that a process is or becomes.
    Process(ProcessOperation),
}

/// Something with files. Paths are real: symbolic links have been followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileOperation {
    /// One access to one path.
    Access(Access, AbsPath),
    /// A rename.
    Rename {
        /// The name that disappears.
        from: AbsPath,
        /// The name that appears.
        to: AbsPath,
        /// What happens to what has the new name.
        target: RenameTarget,
        /// What is renamed.
        kind: FileKind,
    },
    /// A hard link.
    Link {
        /// The file.
        from: AbsPath,
        /// Its new name.
        to: AbsPath,
        /// What gets it.
        kind: FileKind,
    },
}

/// What happens to what has the new name of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RenameTarget {
    /// Nothing has it.
    New,
    /// It is overwritten, so deleted.
    Replaced,
    /// It takes the old name (`RENAME_EXCHANGE`).
    Exchanged,
}

/// What gets another name: with a directory, everything beneath it moves. For an exchange the last of
/// these that one of the two is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Anything but a directory or a socket.
    File,
    /// That, or a directory that has only just been made in its place.
    Unsure,
    /// A UNIX socket, which is connected to by its name.
    Socket,
    /// A directory.
    Directory,
}

/// Something with an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkOperation {
    /// What is done.
    pub action: NetworkAction,
    /// With which address.
    pub endpoint: Endpoint,
}

/// What is done with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkAction {
    /// connect(2).
    Connect,
    /// bind(2).
    Bind,
    /// Sending a datagram to an address; governed as connecting to it is.
    Send,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// Of the internet.
    Inet {
        /// The protocol.
        transport: Transport,
        /// The host.
        address: IpAddr,
        /// The port; 0 for protocols without.
        port: u16,
    },
    /// A UNIX socket at a path.
    UnixPath(AbsPath),
    /// A UNIX socket with an abstract name: all its bytes, not those before the first NUL.
    UnixAbstract(Box<[u8]>),
    /// A UNIX socket without a name: binding makes the kernel choose an abstract one.
    UnixUnnamed,
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyscallOperation {
    /// Which.
    pub call: Syscall,
    /// The architecture that it is made on.
    pub arch: Arch,
    /// Its arguments, as they are in registers.
    pub args: [u64; 6],
}

/// Something that a process is or becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessOperation {
    /// Gaining privileges by execve.
    NewPrivileges,
    /// Making a user namespace.
    UserNamespace,
    /// Leaving a core dump.
    CoreDump,
    /// Executing a memory file.
    MemfdExec,
    /// Using a capability that the spec gives.
    Capability(Capability),
    /// Being this many tasks.
    Count(u64),
    /// Having this many bytes of memory.
    Memory(u64),
}

impl Operation {
    /// One access to one path.
    #[must_use]
    pub const fn access(access: Access, path: AbsPath) -> Self {
        Self::File(FileOperation::Access(access, path))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(operation) => operation.fmt(out),
            Self::Network(operation) => operation.fmt(out),
            Self::Syscall(operation) => operation.fmt(out),
            Self::Process(operation) => operation.fmt(out),
        }
    }
}

impl FileKind {
    /// What stands before the first name.
    const fn prefix(self) -> &'static str {
        match self {
            Self::File | Self::Unsure | Self::Directory => "",
            Self::Socket => "socket ",
        }
    }
}

impl fmt::Display for FileOperation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(access, path) => write!(out, "{access} {path}"),
            Self::Link { from, to, kind } => write!(out, "link {}{from} {to}", kind.prefix()),
            Self::Rename { from, to, target, kind } => {
                let verb = match target {
                    RenameTarget::New => "rename",
                    RenameTarget::Replaced => "replace",
                    RenameTarget::Exchanged => "exchange",
                };
                let slash = match kind {
                    FileKind::File | FileKind::Unsure | FileKind::Socket => "",
                    FileKind::Directory => "/",
                };
                write!(out, "{verb} {}{from}{slash} {to}", kind.prefix())
            }
        }
    }
}

impl fmt::Display for NetworkOperation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.action {
            NetworkAction::Connect => "connect ",
            NetworkAction::Bind => "bind ",
            NetworkAction::Send => "send ",
        })?;
        self.endpoint.fmt(out)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet { transport, address, port } => {
                let protocol = match transport {
                    Transport::Tcp => "tcp",
                    Transport::Udp => "udp",
                    Transport::Other => "ip",
                };
                match (address, transport) {
                    (IpAddr::V4(address), _) => write!(out, "{protocol} {address}")?,
                    (IpAddr::V6(address), _) => write!(out, "{protocol} [{address}]")?,
                }
                match transport {
                    Transport::Other => Ok(()),
                    Transport::Tcp | Transport::Udp => write!(out, ":{port}"),
                }
            }
            Self::UnixPath(path) => write!(out, "unix {path}"),
            Self::UnixAbstract(name) => write!(out, "unix @{}", Printed(name)),
            Self::UnixUnnamed => out.write_str("unix"),
        }
    }
}

impl fmt::Display for SyscallOperation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "syscall {}", self.call.name())?;
        let given = self.args.iter().rposition(|arg| *arg != 0).map_or(0, |last| last + 1);
        self.args[..given].iter().try_for_each(|arg| write!(out, " {arg:#x}"))
    }
}

impl fmt::Display for ProcessOperation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewPrivileges => out.write_str("process new-privileges"),
            Self::UserNamespace => out.write_str("process user-namespace"),
            Self::CoreDump => out.write_str("process core-dump"),
            Self::MemfdExec => out.write_str("process memfd-exec"),
            Self::Capability(capability) => write!(out, "process capability {capability}"),
            Self::Count(count) => write!(out, "process count {count}"),
            Self::Memory(bytes) => write!(out, "process memory {bytes}"),
        }
    }
}

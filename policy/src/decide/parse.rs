// SPDX-License-Identifier: Apache-2.0
//! Operations as people write them, on the command line and in `[[test]]`.
//!
//! ```text
//! read|list|modify|write|create|delete|ioctl|device|execute PATH
//! rename|replace|exchange FROM TO     FROM/ : it is a directory; replace: TO exists
//! link FROM TO                        all four: socket FROM TO: it is a UNIX socket
//! connect|bind|send  tcp|udp ADDRESS:PORT  |  ip ADDRESS  |  unix PATH  |  unix @NAME
//! bind unix                           the kernel chooses a name
//! syscall NAME [ARGUMENT…]            what is not given is 0
//! process new-privileges|user-namespace|core-dump|memfd-exec
//! process capability NAME  |  process count NUMBER  |  process memory BYTES
//! ```
//!
//! A path is taken as it stands, with its spaces; where two are needed, the second begins at the
//! first space that a slash follows. In paths and names `\xHH` is a byte and `\\` a backslash.
//! `write` is `modify`. A system call is one of x86-64.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::operation::{
    Endpoint, FileKind, FileOperation, NetworkAction, NetworkOperation, Operation,
    ProcessOperation, RenameTarget, SyscallOperation, Transport,
};
use crate::path::{AbsPath, PathError, unprinted};
use crate::policy::{Access, Capability};
use crate::seccomp::{Arch, Syscall};

/// An error in an operation's text, with the bytes that a caret should point at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct OperationError {
    /// The first byte of the text that is wrong.
    pub offset: usize,
    /// How many bytes are wrong; 0 only at the end of the text.
    pub len: usize,
    /// What is wrong.
    pub kind: OperationErrorKind,
}

/// The kinds of [`OperationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationErrorKind {
    /// The first word is no operation.
    #[error("no operation is called this")]
    UnknownOperation,
    /// Something is missing at the end.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A path is none.
    #[error("{0}")]
    Path(PathError),
    /// Not a protocol.
    #[error("the protocol must be `tcp`, `udp`, `ip` or `unix`")]
    UnknownProtocol,
    /// Not an address (and port).
    #[error(
        "an operation names one address and, for tcp and udp, one port: `1.2.3.4:443`, `[::1]:443`"
    )]
    NotAnAddress,
    /// Not a system call.
    #[error("no system call is called this")]
    UnknownSyscall,
    /// Not a number.
    #[error("this must be a number")]
    NotANumber,
    /// More than six arguments, or anything else that is too much.
    #[error("nothing may follow here")]
    Trailing,
    /// Not a capability.
    #[error("no capability is called this")]
    UnknownCapability,
    /// `\` that is not `\xHH` or `\\`.
    #[error("`\\` must be doubled, or begin `\\x` and two hexadecimal digits")]
    BadEscape,
}

use OperationErrorKind as Kind;

impl OperationErrorKind {
    /// The words that could have stood there, to suggest the nearest from.
    #[must_use]
    pub fn candidates(&self) -> &'static [&'static str] {
        match self {
            Self::UnknownOperation => &OPERATIONS,
            Self::UnknownProtocol => &["tcp", "udp", "ip", "unix"],
            _ => &[],
        }
    }
}

/// Every word that an operation may begin with (after `process`: what may follow).
const OPERATIONS: [&str; 24] = [
    "read",
    "list",
    "modify",
    "write",
    "create",
    "delete",
    "ioctl",
    "device",
    "execute",
    "rename",
    "replace",
    "exchange",
    "link",
    "connect",
    "bind",
    "send",
    "syscall",
    "process",
    "new-privileges",
    "user-namespace",
    "core-dump",
    "memfd-exec",
    "capability",
    "count",
];

/// A part of the text that knows where it stands.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Part<'a> {
    fn error(self, kind: Kind) -> OperationError {
        OperationError { offset: self.offset, len: self.text.len(), kind }
    }

    /// The first word and what follows the space after it.
    fn word(self) -> (Self, Self) {
        let end = self.text.find(' ').unwrap_or(self.text.len());
        let after = (end + 1).min(self.text.len());
        let rest = Self { text: &self.text[after..], offset: self.offset + after };
        (Self { text: &self.text[..end], offset: self.offset }, rest)
    }

    fn required(self, what: &'static str) -> Result<Self, OperationError> {
        if self.text.is_empty() { Err(self.error(Kind::Missing(what))) } else { Ok(self) }
    }

    fn end(self) -> Result<(), OperationError> {
        if self.text.is_empty() { Ok(()) } else { Err(self.error(Kind::Trailing)) }
    }

    fn path(self) -> Result<AbsPath, OperationError> {
        let part = self.required("a path")?;
        let bytes = unprinted(part.text).ok_or_else(|| part.error(Kind::BadEscape))?;
        AbsPath::new(&bytes).map_err(|error| part.error(Kind::Path(error)))
    }

    fn number(self) -> Result<u64, OperationError> {
        let part = self.required("a number")?;
        let parsed = match part.text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None if part.text.starts_with('-') => part.text.parse().ok().map(i64::cast_unsigned),
            None => part.text.parse().ok(),
        };
        parsed.ok_or_else(|| part.error(Kind::NotANumber))
    }
}

impl Operation {
    /// Reads an operation as people write it; see the module.
    ///
    /// # Errors
    /// The first error, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, OperationError> {
        let (verb, rest) = Part { text, offset: 0 }.word();
        if let Some(access) = access(verb.text) {
            return rest.path().map(|path| Self::access(access, path));
        }
        match verb.text {
            "rename" => rename(rest, RenameTarget::New),
            "replace" => rename(rest, RenameTarget::Replaced),
            "exchange" => rename(rest, RenameTarget::Exchanged),
            "link" => {
                let (kind, rest) = socket_or_file(rest);
                let (from, to) = two_paths(rest)?;
                Ok(Self::File(FileOperation::Link { from: from.path()?, to: to.path()?, kind }))
            }
            "connect" => network(rest, NetworkAction::Connect),
            "bind" => network(rest, NetworkAction::Bind),
            "send" => network(rest, NetworkAction::Send),
            "syscall" => syscall(rest),
            "process" => process(rest),
            "" => Err(verb.error(Kind::Missing("an operation"))),
            _ => Err(verb.error(Kind::UnknownOperation)),
        }
    }
}

fn access(verb: &str) -> Option<Access> {
    if verb == "write" { Some(Access::Modify) } else { Access::from_name(verb) }
}

fn two_paths(part: Part<'_>) -> Result<(Part<'_>, Part<'_>), OperationError> {
    let part = part.required("a path")?;
    let end = part.text.find(" /").unwrap_or(part.text.len());
    let after = (end + 1).min(part.text.len());
    let second = Part { text: &part.text[after..], offset: part.offset + after };
    Ok((Part { text: &part.text[..end], offset: part.offset }, second.required("the new path")?))
}

fn socket_or_file(part: Part<'_>) -> (FileKind, Part<'_>) {
    match part.word() {
        (word, rest) if word.text == "socket" => (FileKind::Socket, rest),
        _ => (FileKind::File, part),
    }
}

fn rename(part: Part<'_>, target: RenameTarget) -> Result<Operation, OperationError> {
    let (mut kind, part) = socket_or_file(part);
    let (mut from, to) = two_paths(part)?;
    if let Some(text) = from.text.strip_suffix('/').filter(|text| !text.is_empty()) {
        (from.text, kind) = (text, FileKind::Directory);
    }
    let (from, to) = (from.path()?, to.path()?);
    Ok(Operation::File(FileOperation::Rename { from, to, target, kind }))
}

fn network(part: Part<'_>, action: NetworkAction) -> Result<Operation, OperationError> {
    let (protocol, rest) = part.required("a protocol")?.word();
    let endpoint = match protocol.text {
        "tcp" => inet(rest, Transport::Tcp)?,
        "udp" => inet(rest, Transport::Udp)?,
        "ip" => inet(rest, Transport::Other)?,
        "unix" => unix(rest)?,
        _ => return Err(protocol.error(Kind::UnknownProtocol)),
    };
    Ok(Operation::Network(NetworkOperation { action, endpoint }))
}

fn inet(part: Part<'_>, transport: Transport) -> Result<Endpoint, OperationError> {
    let part = part.required("an address")?;
    let endpoint = match transport {
        Transport::Other => host(part.text).map(|address| (address, 0)),
        Transport::Tcp | Transport::Udp => part.text.rsplit_once(':').and_then(|(text, port)| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            Some((host(text)?, port.parse().ok().filter(|_| digits)?))
        }),
    };
    let (address, port) = endpoint.ok_or_else(|| part.error(Kind::NotAnAddress))?;
    Ok(Endpoint::Inet { transport, address, port })
}

fn host(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inside) => Ipv6Addr::from_str(inside).ok().map(IpAddr::V6),
        None => Ipv4Addr::from_str(text).ok().map(IpAddr::V4),
    }
}

fn unix(part: Part<'_>) -> Result<Endpoint, OperationError> {
    if part.text.is_empty() {
        return Ok(Endpoint::UnixUnnamed);
    }
    match part.text.strip_prefix('@') {
        None => part.path().map(Endpoint::UnixPath),
        Some(name) => {
            let name = unprinted(name).ok_or_else(|| part.error(Kind::BadEscape))?;
            Ok(Endpoint::UnixAbstract(name.into()))
        }
    }
}

fn syscall(part: Part<'_>) -> Result<Operation, OperationError> {
    let (name, mut rest) = part.required("a system call")?.word();
    let call = Syscall::from_name(name.text).ok_or_else(|| name.error(Kind::UnknownSyscall))?;
    let mut args = [0; 6];
    for arg in &mut args {
        if rest.text.is_empty() {
            break;
        }
        let (word, after) = rest.word();
        *arg = word.number()?;
        rest = after;
    }
    rest.end()?;
    Ok(Operation::Syscall(SyscallOperation { call, arch: Arch::X86_64, args }))
}

fn process(part: Part<'_>) -> Result<Operation, OperationError> {
    let (what, rest) = part.required("what the process does")?.word();
    let operation = match what.text {
        "new-privileges" => ProcessOperation::NewPrivileges,
        "user-namespace" => ProcessOperation::UserNamespace,
        "core-dump" => ProcessOperation::CoreDump,
        "memfd-exec" => ProcessOperation::MemfdExec,
        "count" => return Ok(Operation::Process(ProcessOperation::Count(rest.number()?))),
        "memory" => return Ok(Operation::Process(ProcessOperation::Memory(rest.number()?))),
        "capability" => {
            let name = rest.required("a capability")?;
            let capability = Capability::from_name(name.text);
            let capability = capability.ok_or_else(|| name.error(Kind::UnknownCapability))?;
            return Ok(Operation::Process(ProcessOperation::Capability(capability)));
        }
        _ => return Err(what.error(Kind::UnknownOperation)),
    };
    rest.end()?;
    Ok(Operation::Process(operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) {
        reads(text, text);
    }

    fn reads(text: &str, printed: &str) {
        let parsed = Operation::parse(text).map(|operation| operation.to_string());
        assert_eq!(parsed, Ok(printed.to_owned()));
    }

    fn fails(text: &str, offset: usize, len: usize, kind: Kind) {
        assert_eq!(Operation::parse(text), Err(OperationError { offset, len, kind }), "{text}");
    }

    #[test]
    fn operations_parse_and_print() {
        for text in [
            "read /etc/shadow",
            "list /",
            "execute /bin/sh",
            "create /tmp/a b",
            "device /dev/sda",
            "rename /a /b",
            "replace /a/ /b",
            "exchange /a b /c d",
            "link /a /b",
            "link socket /a /b",
            "replace socket /a /b",
            "connect tcp 1.2.3.4:443",
            "bind tcp [::]:80",
            "send udp 10.0.0.2:53",
            "connect ip 1.1.1.1",
            "bind unix /run/a.sock",
            "connect unix @app-1",
            r"connect unix @a\x00b",
            "bind unix",
            "syscall mount",
            "syscall ioctl 0x3 0x5412",
            "process user-namespace",
            "process capability net_admin",
            "process count 12",
            "process memory 4096",
        ] {
            same(text);
        }
        reads("write /tmp/x", "modify /tmp/x");
        reads("syscall prctl -1", "syscall prctl 0xffffffffffffffff");
        reads("process capability CAP_BPF", "process capability bpf");
    }

    #[test]
    fn errors_point_at_what_is_wrong() {
        fails("", 0, 0, Kind::Missing("an operation"));
        fails("raed /x", 0, 4, Kind::UnknownOperation);
        fails("read", 4, 0, Kind::Missing("a path"));
        fails("read x", 5, 1, Kind::Path(PathError::NotAbsolute));
        fails("read /a//b", 5, 5, Kind::Path(PathError::Empty));
        fails("rename /a", 9, 0, Kind::Missing("the new path"));
        fails("connect", 7, 0, Kind::Missing("a protocol"));
        fails("connect sctp 1.2.3.4:1", 8, 4, Kind::UnknownProtocol);
        fails("connect tcp 1.2.3.4", 12, 7, Kind::NotAnAddress);
        fails("connect tcp 1.2.3.4:+1", 12, 10, Kind::NotAnAddress);
        fails("connect tcp ::1:80", 12, 6, Kind::NotAnAddress);
        fails("connect tcp 10.0.0.0/8:80", 12, 13, Kind::NotAnAddress);
        fails(r"connect unix @a\q", 13, 4, Kind::BadEscape);
        fails("syscall Mount", 8, 5, Kind::UnknownSyscall);
        fails("syscall ioctl x", 14, 1, Kind::NotANumber);
        fails("syscall ioctl 1 2 3 4 5 6 7", 26, 1, Kind::Trailing);
        fails("process fly", 8, 3, Kind::UnknownOperation);
        fails("process capability fly", 19, 3, Kind::UnknownCapability);
        fails("process core-dump x", 18, 1, Kind::Trailing);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! sendto(2), sendmsg(2) and sendmmsg(2).
//!
//! What is sent is copied: where bytes follow bytes, in pieces, so that nobody makes brig hold more
//! than one at a time; else in one, since a message is sent whole or not at all. A piece is first
//! sent without waiting, so that only what has to wait for its receiver is looked after as such.

use brig_policy::call::address::{self, Action, Cut, Destination, parse};
use brig_policy::call::message::{self, Header};
use brig_policy::call::sockets::Request;
use brig_policy::call::vector::{self, Buffers};
use brig_policy::call::{Layout, Pointer, control};
use brig_policy::policy::Errno;

use super::address::{Target, copy as copy_address};
use super::control::Control;
use super::{Held, Patience, Stop, begin, wait};
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::sys::sockaddr;

const MSG_OOB: u32 = 0x1;
const MSG_DONTWAIT: u32 = 0x40;
const MSG_EOR: u32 = 0x80;
const MSG_NOSIGNAL: u32 = 0x4000;
const MSG_ZEROCOPY: u32 = 0x400_0000;
/// The kernel's own, for callers with short pointers.
const MSG_CMSG_COMPAT: u32 = 0x8000_0000;
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// A piece of a stream: as many wait at once as there are workers, each with one.
const PIECE: usize = 16 << 10;
/// Up to this size a message needs no share of what all together may hold.
const SMALL: u64 = 16 << 10;
/// The largest message; sockets have less room by default.
const LARGEST: usize = 1 << 20;

/// A message of the caller's: the address copied, the data not yet.
struct Draft {
    /// None where no address was given.
    name: Option<Vec<u8>>,
    items: Vec<control::Item>,
    data: Buffers,
    flags: u32,
}

/// A message that may be sent.
struct Message {
    target: Target,
    destination: Destination,
    items: Vec<control::Item>,
    data: Buffers,
    flags: u32,
    patience: Patience,
}

/// Answers sendto(2).
pub fn to(call: &Call<'_>, request: &Request) -> Outcome {
    let Request::SendTo { socket, data, size, flags, address } = *request else {
        return Err(Errno::ENOSYS);
    };
    // it means nothing to this call
    let flags = flags & !MSG_CMSG_COMPAT;
    let socket = Held::of(call, socket)?;
    let name = match address.pointer.is_null() {
        true => None,
        false => Some(copy_address(call, address)?),
    };
    let draft = Draft { name, items: Vec::new(), data: Buffers::one(data, size), flags };
    finish(&socket, send(call, &socket, draft))
}

/// Answers sendmsg(2).
pub fn message(call: &Call<'_>, number: i32, pointer: Pointer, flags: u32) -> Outcome {
    let flags = without_compat(call, flags)?;
    let socket = Held::of(call, number)?;
    let bytes = call.copy(message::plan(call.layout, pointer)?)?;
    let draft = draft(call, &message::parse(call.layout, &bytes)?, flags)?;
    finish(&socket, send(call, &socket, draft))
}

/// Answers sendmmsg(2): how many messages were sent, or why the first was not.
pub fn messages(
    call: &Call<'_>,
    number: i32,
    (array, count): (Pointer, u32),
    flags: u32,
) -> Outcome {
    let flags = without_compat(call, flags)?;
    let socket = Held::of(call, number)?;
    let bytes = call.copy(message::plan_array(call.layout, array, count)?)?;
    let mut sent = 0;
    for (index, header) in message::parse_array(call.layout, &bytes)?.iter().enumerate() {
        let one = draft(call, header, flags).map_err(Stop::from);
        let one = one.and_then(|draft| send(call, &socket, draft));
        let told = one.and_then(|count| tell(call, array, index, count).map_err(Stop::from));
        match told {
            Ok(()) => sent += 1,
            Err(stop) if sent == 0 => return stop.outcome(&socket),
            // what went wrong is told when it goes wrong again
            Err(_) => break,
        }
    }
    Ok(Reply::Value(sent))
}

/// Writes how many bytes of a message were sent.
fn tell(call: &Call<'_>, array: Pointer, index: usize, count: u64) -> Result<(), Errno> {
    let span = message::sent_length(call.layout, array, index)?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    call.write(span.address(), &count.to_ne_bytes())
}

fn finish(socket: &Held, sent: Result<u64, Stop>) -> Outcome {
    match sent {
        Ok(count) => i64::try_from(count).map(Reply::Value).map_err(|_| Errno::EMSGSIZE),
        Err(stop) => stop.outcome(socket),
    }
}

/// The flags of a message without the kernel's own, which only callers with short pointers may name.
fn without_compat(call: &Call<'_>, flags: u32) -> Result<u32, Errno> {
    match call.layout {
        Layout::Bits64 if flags & MSG_CMSG_COMPAT != 0 => Err(Errno::EINVAL),
        Layout::Bits32 | Layout::Bits64 => Ok(flags & !MSG_CMSG_COMPAT),
    }
}

/// Copies what a header names, in the kernel's order.
fn draft(call: &Call<'_>, header: &Header, flags: u32) -> Result<Draft, Errno> {
    let name = header.name()?.map(|span| call.copy(span)).transpose()?;
    let data = vector::parse(call.layout, &call.copy(header.vector()?)?)?;
    let items = match header.control()? {
        Some(span) => control::parse(call.layout, &call.copy(span)?)?,
        None => Vec::new(),
    };
    Ok(Draft { name, items, data, flags })
}

fn send(call: &Call<'_>, socket: &Held, draft: Draft) -> Result<u64, Stop> {
    let flags = draft.flags;
    let sent = permitted(call, socket, draft)
        .map_err(Stop::from)
        .and_then(|message| transmit(call, socket, &message));
    if let Err(Stop::Failed(Errno::EPIPE)) = sent
        && flags & MSG_NOSIGNAL == 0
        && socket.kind.cut() == Cut::Anywhere
    {
        call.signal(libc::SIGPIPE)?;
    }
    sent
}

/// Decides about a message.
fn permitted(call: &Call<'_>, socket: &Held, draft: Draft) -> Result<Message, Errno> {
    let Draft { name, items, data, flags } = draft;
    if flags & MSG_FASTOPEN != 0 && socket.kind.is_tcp() {
        return Err(Errno::EOPNOTSUPP);
    }
    // the pages would be the supervisor's: this is what says that copying is the way
    if flags & MSG_ZEROCOPY != 0 {
        return Err(Errno::ENOBUFS);
    }
    let destination = match &name {
        Some(name) => parse(socket.kind, Action::Send, name)?,
        None => address::absent(socket.kind),
    };
    // what is wrong with it is told before what is wrong with the data
    Control::permitted(call, &destination, &items)?;
    let given = name.unwrap_or_default();
    let target = Target::permitted(call, Action::Send, &destination, &given)?;
    let patience = match flags & MSG_DONTWAIT {
        0 => socket.patience()?,
        _ => Patience::None,
    };
    Ok(Message { target, destination, items, data, flags: flags & !MSG_FASTOPEN, patience })
}

/// Sends all of it; where that is no more possible, less.
fn transmit(call: &Call<'_>, socket: &Held, message: &Message) -> Result<u64, Stop> {
    let limit = match socket.kind.cut() {
        Cut::Anywhere => PIECE,
        Cut::Nowhere if message.data.total() > LARGEST as u64 => return Err(Errno::EMSGSIZE.into()),
        Cut::Nowhere => LARGEST,
    };
    // of a stream no more than a piece is held at a time
    let held = message.data.total().min(limit as u64);
    let _share = match held > SMALL {
        true => Some(call.shared.copies.take(held).ok_or(Errno(libc::ENOBUFS))?),
        false => None,
    };
    let mut sent = 0;
    loop {
        let piece = Piece::copied(call, message, sent, limit);
        let done = piece.and_then(|piece| Ok((piece.send(call, socket, message)?, piece)));
        let (count, piece) = match done {
            Ok(done) => done,
            Err(_) if sent > 0 => return Ok(sent),
            Err(stop) => return Err(stop),
        };
        sent += count.bytes;
        let whole = count.bytes == piece.data.len() as u64;
        match (whole, piece.place) {
            (true, Place::Last) => return Ok(sent),
            (false, _)
                if count.patience == Patience::Waits || message.patience == Patience::None =>
            {
                return Ok(sent);
            }
            _ => {}
        }
    }
}

/// Bytes of a message.
struct Piece {
    data: Vec<u8>,
    place: Place,
    /// How much was sent before.
    before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Last,
    NotLast,
}

/// What became of a piece.
struct Sent {
    bytes: u64,
    /// Whether the kernel waited.
    patience: Patience,
}

impl Piece {
    fn copied(call: &Call<'_>, message: &Message, before: u64, limit: usize) -> Result<Self, Stop> {
        let rest = message.data.after(before);
        let mut data = Vec::new();
        for span in rest.spans(call.layout, limit)? {
            data.extend(call.copy(span)?);
        }
        let place = if data.len() as u64 == rest.total() { Place::Last } else { Place::NotLast };
        Ok(Self { data, place, before })
    }

    fn send(&self, call: &Call<'_>, socket: &Held, message: &Message) -> Result<Sent, Stop> {
        // descriptors of the caller's are held only while nothing of its memory is waited for: one may
        // be what the server of a FUSE file in that memory would end with
        let control = match self.before {
            0 => Control::permitted(call, &message.destination, &message.items)?,
            _ => Control::default(),
        };
        let whole = sockaddr::Message {
            name: message.target.sockaddr(),
            data: &self.data,
            control: &control.bytes,
        };
        // a signal for the supervisor would not be the caller's
        let flags = match self.place {
            Place::Last => message.flags,
            Place::NotLast => message.flags & !(MSG_OOB | MSG_EOR),
        } | MSG_NOSIGNAL;
        begin(call)?;
        let sent = |bytes, patience| Sent { bytes: bytes as u64, patience };
        match sockaddr::send(socket.as_fd(), &whole, flags | MSG_DONTWAIT).map_err(errno) {
            Err(Errno::EAGAIN) if message.patience == Patience::Waits => {
                let count = wait(call, || sockaddr::send(socket.as_fd(), &whole, flags))?;
                Ok(sent(count, Patience::Waits))
            }
            other => Ok(sent(other?, Patience::None)),
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Terminals: a console socket as an engine has one, and a terminal as a person has one.

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::LIMIT;

/// The engine's end of --console-socket.
pub struct Console {
    listener: UnixListener,
    /// The socket's path.
    pub path: PathBuf,
}

impl Console {
    /// Listens.
    pub fn listen(path: &Path) -> Self {
        Console { listener: UnixListener::bind(path).unwrap(), path: path.to_owned() }
    }

    /// The terminal that the runtime sends.
    pub fn accept(&self) -> Pty {
        await_readable(self.listener.as_fd());
        let (stream, _) = self.listener.accept().unwrap();
        Pty { master: receive_descriptor(&stream), seen: Vec::new() }
    }
}

/// A descriptor sent over a socket.
pub fn receive_descriptor(stream: &UnixStream) -> OwnedFd {
    await_readable(stream.as_fd());
    let mut bytes = [0_u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    recvmsg(stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let mut found = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            found.extend(descriptors);
        }
    }
    assert_eq!(found.len(), 1, "one descriptor is sent");
    found.remove(0)
}

fn await_readable(fd: std::os::fd::BorrowedFd<'_>) {
    let limit = Timespec::try_from(LIMIT).unwrap();
    let ready = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&limit)).unwrap();
    assert!(ready > 0, "nothing came");
}

/// The outer end of a terminal.
pub struct Pty {
    /// The descriptor.
    pub master: OwnedFd,
    seen: Vec<u8>,
}

impl Pty {
    /// A new terminal, and its inner end.
    pub fn open() -> (Self, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags =
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let inner = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
        (Pty { master, seen: Vec::new() }, inner)
    }

    /// Types.
    pub fn type_text(&self, text: &str) {
        rustix::io::write(&self.master, text.as_bytes()).unwrap();
    }

    /// Sets the size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).unwrap();
    }

    /// Reads until this text has been printed; returns everything so far.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let all = String::from_utf8_lossy(&self.seen).into_owned();
            if all.contains(text) {
                return all;
            }
            assert!(Instant::now() < deadline, "no {text:?} in {all:?}");
            assert!(self.more(), "the terminal closed without {text:?}: {all:?}");
        }
    }

    /// Reads until the inner end is closed; returns everything.
    pub fn read_to_end(&mut self) -> String {
        while self.more() {}
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    fn more(&mut self) -> bool {
        await_readable(self.master.as_fd());
        let mut bytes = [0_u8; 4096];
        let mut file = std::fs::File::from(self.master.try_clone().unwrap());
        // EIO: the inner end is closed
        let count = file.read(&mut bytes).unwrap_or_default();
        self.seen.extend(&bytes[..count]);
        count > 0
    }
}

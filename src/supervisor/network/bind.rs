// SPDX-License-Identifier: Apache-2.0
//! bind(2).
//!
//! A path is bound by the bytes that the caller gave, because they become the socket's name, which
//! getsockname(2) and peers see; so the kernel resolves it once more. It does in a thread of its own,
//! from the caller's directory, in a Landlock domain that lets sockets be made beneath the directory
//! that was decided about and nowhere else.
//!
//! What it does not do: bind a path for a caller that has changed its root directory (EACCES: brig
//! has no capability to follow it there), or one that leads through `/proc/self`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use brig_policy::call::address::{Action, Destination, parse};
use brig_policy::call::files::{Base, Last};
use brig_policy::call::sockets::Address;
use brig_policy::decide::Endpoint;
use brig_policy::policy::Errno;
use rustix::fs::{AtFlags, FileType, statat};
use rustix::net::Shutdown;

use super::address::{self, Target, decide, from_cwd};
use super::{Held, begin};
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::place::{Entry, Limits};
use crate::supervisor::walk::is_same;
use crate::sys::{identity, landlock, sockaddr};

/// `LANDLOCK_ACCESS_FS_MAKE_SOCK` of linux/landlock.h.
const MAKE_SOCK: u64 = 1 << 9;
const STACK: usize = 64 * 1024;

/// Answers.
pub fn bind(call: &Call<'_>, number: i32, address: Address) -> Outcome {
    let socket = Held::of(call, number)?;
    let given = address::copy(call, address)?;
    match parse(socket.kind, Action::Bind, &given)? {
        Destination::UnixPath(path) => make(call, &socket, &path, &given)?,
        destination => {
            let target = Target::permitted(call, Action::Bind, &destination, &given)?;
            begin(call)?;
            sockaddr::bind(socket.as_fd(), target.sockaddr()).map_err(errno)?;
        }
    }
    Ok(Reply::Value(0))
}

/// Makes a socket's path.
fn make(call: &Call<'_>, socket: &Held, path: &[u8], given: &[u8]) -> Result<(), Errno> {
    let entry = call.find_entry(&from_cwd(Last::NoFollow), path, Limits::NONE)?;
    if matches!(entry.last(), b"" | b"." | b"..") || entry.is_taken() {
        return Err(Errno::EADDRINUSE);
    }
    let _permitted = decide(call, Action::Bind, Endpoint::UnixPath(entry.path()?))?;
    let base = call.base(Base::Cwd)?;
    if !is_same(&call.root()?, &call.shared.root)? {
        return Err(Errno::EACCES);
    }
    call.standing.set_umask(call.status()?.umask);
    let _names = call.shared.names.hold();
    begin(call)?;
    let parent = entry.directory.fd.as_fd();
    let made = thread::scope(|scope| {
        let act = || bind_beneath(socket.as_fd(), given, base.as_fd(), parent);
        let builder = thread::Builder::new().name("brig-bind".to_owned()).stack_size(STACK);
        // the new thread has the identity and the umask of this one
        let thread = builder.spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    });
    made.map_err(errno)?;
    check_place(socket, &entry)
}

fn bind_beneath(
    socket: BorrowedFd<'_>,
    given: &[u8],
    base: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
) -> io::Result<()> {
    identity::own_directories()?;
    rustix::process::fchdir(base)?;
    let denied = |_| io::Error::from_raw_os_error(libc::EACCES);
    let abi = landlock::abi().map_err(denied)?;
    let handled = landlock::Handled { fs: MAKE_SOCK, ..landlock::Handled::default() };
    let ruleset = landlock::create_ruleset(handled, abi).map_err(denied)?;
    landlock::add_path(ruleset.as_fd(), MAKE_SOCK, parent).map_err(denied)?;
    landlock::restrict_self(ruleset.as_fd()).map_err(denied)?;
    sockaddr::bind(socket, given)
}

/// RACE: the caller may have changed where its path leads after it was decided about. The domain
/// leaves it the directory that was decided about and those beneath; where the name is not in the
/// directory itself, the socket is made useless.
fn check_place(socket: &Held, entry: &Entry) -> Result<(), Errno> {
    let stat = statat(&entry.directory.fd, entry.last(), AtFlags::SYMLINK_NOFOLLOW);
    let is_socket = |mode| FileType::from_raw_mode(mode) == FileType::Socket;
    if stat.is_ok_and(|stat| is_socket(stat.st_mode)) {
        return Ok(());
    }
    rustix::net::shutdown(&socket.fd, Shutdown::Both).map_err(errno)?;
    Err(Errno::EACCES)
}

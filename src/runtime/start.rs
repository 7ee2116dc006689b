// SPDX-License-Identifier: Apache-2.0
//! `start`: lets the first process execute the workload's program, and learns how that went.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use libcontainer::notify_socket::{NOTIFY_FILE, NotifySocket};
use libcontainer::oci_spec::runtime::Hook;
use std::os::fd::OwnedFd;

use super::create::container_state;
use super::launcher::chain;
use super::state::{Record, START_SOCKET, StateDir, Status};
use crate::sys::socket;

/// Starts a created container. Returns when its program has been executed.
///
/// # Errors
///
/// It is not in the state `created`; the program could not be executed, and why.
pub fn start(directory: &StateDir) -> anyhow::Result<Record> {
    let _lock = directory.lock()?;
    let record = directory.load()?;
    match record.status(directory)? {
        Status::Created => {}
        Status::Running | Status::Paused => bail!("cannot start an already running container"),
        Status::Stopped => bail!("cannot start a container that has stopped"),
        Status::Creating => bail!("cannot start a container that is being created"),
    }
    let report = connect(directory)?;
    // the socket's name is the mark of a container that has not been started
    std::fs::remove_file(directory.file(START_SOCKET)).context("cannot start: already started")?;
    NotifySocket::new(directory.file(NOTIFY_FILE))
        .notify_container_start()
        .map_err(|error| anyhow!("let the container's process go on: {}", chain(&error)))?;
    outcome(&report)?;
    run_poststart_hooks(directory, &record)?;
    Ok(record)
}

fn connect(directory: &StateDir) -> anyhow::Result<OwnedFd> {
    let path = directory.file(START_SOCKET);
    socket::connect(&path).with_context(|| format!("connect to {}", path.display()))
}

/// What the executor reports: `ready` and then the end of the connection, which execve closes; or
/// `error:` with a text.
///
/// # Errors
///
/// The executor's text, or that the process ended without one.
pub fn outcome(report: &OwnedFd) -> anyhow::Result<()> {
    let mut buffer = [0; 8192];
    let mut ready = false;
    loop {
        let length = match socket::receive(report, &mut buffer) {
            Ok((length, _)) => length,
            // the process ended before it took the connection
            Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => 0,
            Err(error) => return Err(error).context("wait for the container's process"),
        };
        match &buffer[..length] {
            b"" if ready => return Ok(()),
            b"" => bail!("the container's process ended before it could execute its program"),
            b"ready" => ready = true,
            other => {
                let text = other.strip_prefix(b"error:").unwrap_or(other);
                bail!("{}", String::from_utf8_lossy(text));
            }
        }
    }
}

/// A hook that fails here is a warning: the OCI runtime specification, "Lifecycle", step 9.
fn run_poststart_hooks(directory: &StateDir, record: &Record) -> anyhow::Result<()> {
    let spec = directory.load_spec()?;
    let hooks = spec.hooks().as_ref().and_then(|hooks| hooks.poststart().clone());
    run_hooks("poststart", hooks.as_ref(), record, directory.path());
    Ok(())
}

/// Runs hooks of the runtime's namespace; what fails is logged.
pub fn run_hooks(point: &str, hooks: Option<&Vec<Hook>>, record: &Record, directory: &Path) {
    let Some(hooks) = hooks.filter(|hooks| !hooks.is_empty()) else { return };
    let mut state = container_state(record);
    state.status = match point {
        "poststart" => libcontainer::container::ContainerStatus::Running,
        _ => libcontainer::container::ContainerStatus::Stopped,
    };
    if let Err(error) =
        libcontainer::hooks::run_hooks(Some(hooks), Some(&state), Some(directory), None)
    {
        tracing::warn!("{point} hook: {}", chain(&error));
    }
}

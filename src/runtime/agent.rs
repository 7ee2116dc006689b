// SPDX-License-Identifier: Apache-2.0
//! The specification's own seccomp agent: `linux.seccomp.listenerPath`.
//!
//! The OCI runtime specification, section "Seccomp": the runtime connects to the path, sends the
//! container process state with the listener, and closes the connection. The connection is made by
//! create, on the host; the executor sends over it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::state::{OCI_VERSION, Record};

/// Connects to the agent.
///
/// # Errors
///
/// Nobody listens there.
pub fn connect(path: &Path) -> anyhow::Result<OwnedFd> {
    let socket = UnixStream::connect(path).with_context(|| {
        format!("linux.seccomp.listenerPath: connect to the agent at {}", path.display())
    })?;
    Ok(socket.into())
}

/// The container process state, without the pid, which only the executor knows: [`with_pid`].
#[must_use]
pub fn process_state(record: &Record, status: &str, metadata: &str) -> serde_json::Value {
    json!({
        "ociVersion": OCI_VERSION,
        "fds": ["seccompFd"],
        "pid": 0,
        "metadata": metadata,
        "state": {
            "ociVersion": OCI_VERSION,
            "id": record.id,
            "status": status,
            "pid": record.init.map_or(0, |init| init.pid),
            "bundle": record.bundle,
            "annotations": record.annotations,
        },
    })
}

/// The message for the agent. The container's own pid is the process's where there is none yet.
#[must_use]
pub fn with_pid(mut state: serde_json::Value, pid: i32) -> Vec<u8> {
    state["pid"] = pid.into();
    if state["state"]["pid"] == 0 {
        state["state"]["pid"] = pid.into();
    }
    state.to_string().into_bytes()
}

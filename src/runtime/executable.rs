// SPDX-License-Identifier: Apache-2.0
//! Finding the workload's program, as execvp(3) does and with runc's words where it fails.
//!
//! Runs inside the container with the workload's ids and capabilities, so that the kernel's own
//! answer to "may this be executed" is the right one.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};

use super::handover::describe;

/// The program's path.
///
/// # Errors
///
/// A sentence of runc's: `exec: "x": executable file not found in $PATH`, …
pub fn find(name: &str, env: &[String]) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match check(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: {}", describe(&error)))
            }
            // what execve(2) says of one is what Podman looks for
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                Err(format!("exec: {name:?}: is a directory: permission denied"))
            }
            Err(error) => Err(format!("exec: {name:?}: {}", describe(&error))),
        };
    }
    let mut refusal = None;
    for directory in search_path(env).split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(name);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => refusal = Some(error),
            Err(_) => {}
        }
    }
    match refusal {
        Some(error) => Err(format!("exec: {name:?}: {}", describe(&error))),
        None => Err(format!("exec: {name:?}: executable file not found in $PATH")),
    }
}

/// The last `PATH` of the environment; none means that nothing is found, as in runc.
fn search_path(env: &[String]) -> &str {
    env.iter().rev().find_map(|one| one.strip_prefix("PATH=")).unwrap_or("/nonexistent")
}

/// Whether the kernel would execute the file: a regular file, with the effective permission.
fn check(path: &Path) -> io::Result<()> {
    let found = stat(path)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
        _ => return Err(io::Error::from_raw_os_error(libc::EACCES)),
    }
    // a filter of the engine's around brig may not know faccessat2(2): then execve decides
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Err(rustix::io::Errno::NOSYS) => Ok(()),
        other => Ok(other?),
    }
}

/// A path for execve.
///
/// # Errors
///
/// A NUL byte.
pub fn to_c(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

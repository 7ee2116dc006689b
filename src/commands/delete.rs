// SPDX-License-Identifier: Apache-2.0
//! `brig delete`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::runtime::state::{Record, StateDir, Status};
use crate::runtime::{Context, cgroup, start};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes a container.
///
/// # Errors
///
/// It still runs and --force was not given; something of it cannot be removed.
pub fn run(context: &Context, args: &liboci_cli::Delete) -> anyhow::Result<ExitCode> {
    if args.force {
        by_force(context, &args.container_id)?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let _lock = directory.lock()?;
    let record = directory.load()?;
    match record.status(&directory)? {
        Status::Stopped | Status::Created => remove(&directory, &record)?,
        status => bail!("cannot delete container {:?} that is not stopped: {status}", record.id),
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes a container in whatever state it is; one that does not exist is deleted already.
///
/// # Errors
///
/// Something of it cannot be removed.
pub fn by_force(context: &Context, id: &str) -> anyhow::Result<()> {
    let Ok(directory) = StateDir::open(&context.root, id) else { return Ok(()) };
    let _lock = directory.lock()?;
    match directory.load() {
        Ok(record) => remove(&directory, &record),
        // create was killed before it had written anything else
        Err(_) => {
            directory.await_holders(PATIENCE)?;
            directory.remove()
        }
    }
}

/// How long a supervisor takes at most that nobody is left for: it is found in the container's cgroup
/// else.
const LAST_LINES: Duration = Duration::from_millis(600);

fn remove(directory: &StateDir, record: &Record) -> anyhow::Result<()> {
    match &record.init {
        Some(init) => {
            init.signal(libc::SIGKILL).with_context(|| format!("kill {}", init.pid))?;
        }
        // a create that was killed: what it has forked ends by itself
        None => directory.await_holders(PATIENCE)?,
    }
    // with the first process of a pid namespace all others die, and the supervisor ends with the last
    if let Some(init) = &record.init {
        cgroup::thaw(&record.cgroup)?;
        init.wait(PATIENCE)?;
    }
    if let Some(supervisor) = &record.supervisor {
        supervisor.wait(LAST_LINES).unwrap_or_default();
    }
    // without one they are found here
    cgroup::remove(&record.cgroup, record.supervisor.as_ref())?;
    if let Some(supervisor) = &record.supervisor {
        // it ends with its last listener; one that does not must not stay behind
        if supervisor.wait(PATIENCE).is_err() {
            supervisor.signal(libc::SIGKILL).context("kill the supervisor")?;
        }
    }
    if record.resctrl {
        libcontainer::process::intel_rdt::delete_resctrl_subdirectory(&record.id)
            .with_context(|| format!("remove the resctrl directory of {}", record.id))?;
    }
    let hooks = directory.load_spec().ok().and_then(|spec| spec.hooks().clone());
    directory.remove()?;
    let poststop = hooks.as_ref().and_then(|hooks| hooks.poststop().as_ref());
    start::run_hooks("poststop", poststop, record, &record.bundle);
    Ok(())
}

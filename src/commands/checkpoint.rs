// SPDX-License-Identifier: Apache-2.0
//! `brig checkpoint`: saves a container with criu(8).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use crate::cli::Checkpoint;
use crate::runtime::Context;
use crate::runtime::state::{StateDir, Status};
use libcontainer::oci_spec::runtime::Spec;

/// Saves a running container.
///
/// # Errors
///
/// criu is not installed, or what it says.
pub fn run(context: &Context, args: &Checkpoint) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let _lock = directory.lock()?;
    let record = directory.load()?;
    match record.status(&directory)? {
        Status::Running | Status::Paused => {}
        status => bail!("container {:?} cannot be checkpointed: it is {status}", record.id),
    }
    if record.supervisor.is_some() {
        bail!("container {:?} cannot be checkpointed: it has a supervisor", record.id);
    }
    std::fs::create_dir_all(&args.image_path)
        .with_context(|| format!("--image-path: mkdir {}", args.image_path.display()))?;
    let spec = directory.load_spec()?;
    let mut command = criu(args, record.live_pid(), &spec)?;
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("checkpoint needs criu(8), which is not installed")
        }
        other => other.context("run criu(8)")?,
    };
    if !output.status.success() {
        let log = work_path(args).join("dump.log");
        bail!("criu(8) failed ({}): {}", output.status, last_error(&log, &output.stderr));
    }
    Ok(ExitCode::SUCCESS)
}

fn work_path(args: &Checkpoint) -> PathBuf {
    args.work_path.clone().unwrap_or_else(|| args.image_path.clone())
}

fn criu(args: &Checkpoint, pid: i32, spec: &Spec) -> anyhow::Result<Command> {
    let absolute = |path: &Path| std::path::absolute(path).context("criu");
    let mut command = Command::new("criu");
    command.arg("dump").arg("--tree").arg(pid.to_string());
    command.arg("--images-dir").arg(absolute(&args.image_path)?);
    command.arg("--work-dir").arg(absolute(&work_path(args))?);
    command.args(["--log-file", "dump.log", "-v4", "--root"]);
    command.arg(spec.root().as_ref().context("root")?.path());
    // an option whose value is optional: it has to be one word
    command.arg(format!("--manage-cgroups={}", args.manage_cgroups_mode));
    let switches = [
        (args.leave_running, "--leave-running"),
        (args.tcp_established, "--tcp-established"),
        (args.ext_unix_sk, "--ext-unix-sk"),
        (args.shell_job, "--shell-job"),
        (args.file_locks, "--file-locks"),
    ];
    command.args(switches.iter().filter(|(on, _)| *on).map(|(_, switch)| *switch));
    for mount in spec.mounts().iter().flatten() {
        if mount.typ().as_deref() == Some("bind") {
            let destination = mount.destination().display();
            command.arg("--external").arg(format!("mnt[{destination}]:{destination}"));
        }
    }
    Ok(command)
}

/// criu's log has its reason on the last line that says Error.
fn last_error(log: &Path, stderr: &[u8]) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let found = text.lines().rev().find(|line| line.contains("Error")).map(str::to_owned);
    let said = String::from_utf8_lossy(stderr).trim().to_owned();
    match found {
        Some(line) => format!("{line} (see {})", log.display()),
        None => said,
    }
}

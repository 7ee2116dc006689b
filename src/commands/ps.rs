// SPDX-License-Identifier: Apache-2.0
//! `brig ps`

use std::io::Write;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use crate::runtime::Context;
use crate::runtime::state::StateDir;

/// Lists the processes of a container.
///
/// # Errors
///
/// It has no cgroup; ps(1) is missing for the table.
pub fn run(context: &Context, args: &liboci_cli::Ps) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let record = directory.load()?;
    if record.live_pid() == 0 {
        bail!("container {:?} is not running", record.id);
    }
    let mut pids = record.processes()?;
    pids.sort_unstable();
    let mut out = std::io::stdout().lock();
    match args.format.as_str() {
        "json" => writeln!(out, "{}", serde_json::to_string(&pids)?)?,
        "table" => out.write_all(table(&pids, &args.ps_options)?.as_bytes())?,
        other => bail!("--format {other:?}: is neither table nor json"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines of ps(1) that are about these processes, with its heading.
fn table(pids: &[i32], options: &[String]) -> anyhow::Result<String> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    } else {
        command.args(options);
    }
    let output = command.output().context("run ps(1)")?;
    if !output.status.success() {
        bail!("ps(1): {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split_whitespace().position(|word| word == "PID");
    let Some(column) = column else { bail!("ps(1): its output has no column PID") };
    let mut shown = format!("{heading}\n");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    Ok(shown)
}

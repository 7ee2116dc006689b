// SPDX-License-Identifier: Apache-2.0
//! `brig kill`

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use libcgroups::common::FreezerState;

use crate::cli::Kill;
use crate::runtime::process::Identity;
use crate::runtime::state::{Record, StateDir, Status};
use crate::runtime::{Context, cgroup};

/// Sends a signal.
///
/// # Errors
///
/// The container does not run; the signal has no such name.
pub fn run(context: &Context, args: &Kill) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let record = directory.load()?;
    let signal = parse_signal(&args.signal)?;
    if args.all {
        signal_all(&record, signal)?;
    } else {
        let Some(init) = record.init else { bail!("container not running") };
        let reached = init.signal(signal).with_context(|| format!("kill {}", init.pid))?;
        if !reached || (!init.is_alive() && signal != libc::SIGKILL) {
            bail!("container not running");
        }
    }
    // KERNEL(cgroup v1): a frozen process does not die of SIGKILL before it is thawed
    if signal == libc::SIGKILL && record.status(&directory)? == Status::Paused {
        cgroup::freeze(&record.cgroup, FreezerState::Thawed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a signal to every process of the container.
fn signal_all(record: &Record, signal: i32) -> anyhow::Result<()> {
    for pid in record.processes()? {
        // one that has just ended is not there any more
        if let Ok(process) = Identity::of(pid) {
            process.signal(signal).with_context(|| format!("kill {pid}"))?;
        }
    }
    Ok(())
}

/// The standard names, in the order of their numbers from 1 on: signal(7), x86 and ARM.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal by name, with or without SIG, or by number.
///
/// # Errors
///
/// No such signal.
pub fn parse_signal(text: &str) -> anyhow::Result<i32> {
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    if let Ok(number) = text.parse::<i32>() {
        if (0..=last).contains(&number) {
            return Ok(number);
        }
        bail!("unknown signal {text:?}: numbers go from 0 to {last}");
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let name = match name {
        "POLL" => "IO",
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        name => name,
    };
    if let Some(index) = NAMES.iter().position(|one| *one == name) {
        return i32::try_from(index + 1).context("signal");
    }
    let relative = |prefix: &str, base: i32| -> Option<i32> {
        let rest = name.strip_prefix(prefix)?;
        if rest.is_empty() { Some(base) } else { Some(base + rest.parse::<i32>().ok()?) }
    };
    let number = relative("RTMIN", first).or_else(|| relative("RTMAX", last));
    match number.filter(|number| (first..=last).contains(number)) {
        Some(number) => Ok(number),
        None => bail!("unknown signal {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(parse_signal("TERM").unwrap(), libc::SIGTERM);
        assert_eq!(parse_signal("sigkill").unwrap(), libc::SIGKILL);
        assert_eq!(parse_signal("9").unwrap(), 9);
        assert_eq!(parse_signal("SIGSYS").unwrap(), libc::SIGSYS);
        assert_eq!(parse_signal("RTMIN+3").unwrap(), libc::SIGRTMIN() + 3);
        assert_eq!(parse_signal("SIGRTMAX-1").unwrap(), libc::SIGRTMAX() - 1);
        for text in ["", "SIG", "65", "-1", "RTMIN-1", "RTMAX+1", "NOPE"] {
            assert!(parse_signal(text).is_err(), "{text:?}");
        }
    }
}

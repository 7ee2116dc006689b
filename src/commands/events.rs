// SPDX-License-Identifier: Apache-2.0
//! `brig events`: resource usage and out-of-memory events, in runc's JSON.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use libcgroups::stats::{BlkioDeviceStat, MemoryData, PSIStats, Stats};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value, json};

use crate::cli::Events;
use crate::runtime::state::{StateDir, Status};
use crate::runtime::{Context, cgroup};

/// Prints statistics, once with --stats, else at every --interval until the container ends.
///
/// # Errors
///
/// The container does not run, or has no cgroup.
pub fn run(context: &Context, args: &Events) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let record = directory.load()?;
    if matches!(record.status(&directory)?, Status::Stopped | Status::Creating) {
        bail!("container with id {:?} is not running", record.id);
    }
    if args.interval.is_zero() {
        bail!("--interval: is zero");
    }
    let init = record.init.context("the container has no process")?;
    let interval = Timespec::try_from(args.interval)?;
    let counter = cgroup::oom_file(init.pid);
    let mut killed = cgroup::oom_kills(counter.as_deref());
    let mut report_kills = || -> anyhow::Result<()> {
        let now = cgroup::oom_kills(counter.as_deref());
        if now > killed {
            print(&json!({ "type": "oom", "id": record.id }))?;
            killed = now;
        }
        Ok(())
    };
    loop {
        let stats = cgroup::stats(&record.cgroup)?;
        report_kills()?;
        print(&json!({ "type": "stats", "id": record.id, "data": data(&stats) }))?;
        if args.stats {
            return Ok(ExitCode::SUCCESS);
        }
        // the container's end cuts the interval short
        let Some(pidfd) = init.open()? else { return Ok(ExitCode::SUCCESS) };
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        if poll(&mut fds, Some(&interval)).context("poll")? > 0 {
            report_kills()?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn print(event: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{event}")?;
    Ok(out.flush()?)
}

fn data(stats: &Stats) -> Value {
    let huge: Map<String, Value> = stats
        .hugetlb
        .iter()
        .map(|(size, one)| {
            let value =
                json!({ "usage": one.usage, "max": one.max_usage, "failcnt": one.fail_count });
            (size.clone(), value)
        })
        .collect();
    json!({
        "cpu": {
            "usage": {
                "total": stats.cpu.usage.usage_total,
                "percpu": stats.cpu.usage.per_core_usage_total,
                "percpu_kernel": stats.cpu.usage.per_core_usage_kernel,
                "percpu_user": stats.cpu.usage.per_core_usage_user,
                "kernel": stats.cpu.usage.usage_kernel,
                "user": stats.cpu.usage.usage_user,
            },
            "throttling": {
                "periods": stats.cpu.throttling.periods,
                "throttledPeriods": stats.cpu.throttling.throttled_periods,
                "throttledTime": stats.cpu.throttling.throttled_time,
            },
            "psi": pressure(&stats.cpu.psi),
        },
        "memory": {
            "cache": stats.memory.cache,
            "usage": memory(&stats.memory.memory),
            "swap": memory(&stats.memory.memswap),
            "kernel": memory(&stats.memory.kernel),
            "kernelTCP": memory(&stats.memory.kernel_tcp),
            "raw": stats.memory.stats,
            "psi": pressure(&stats.memory.psi),
        },
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit },
        "blkio": {
            "ioServiceBytesRecursive": devices(&stats.blkio.service_bytes),
            "ioServicedRecursive": devices(&stats.blkio.serviced),
            "ioQueueRecursive": devices(&stats.blkio.queued),
            "ioServiceTimeRecursive": devices(&stats.blkio.service_time),
            "ioWaitTimeRecursive": devices(&stats.blkio.wait_time),
            "ioMergedRecursive": devices(&stats.blkio.merged),
            "ioTimeRecursive": devices(&stats.blkio.time),
            "sectorsRecursive": devices(&stats.blkio.sectors),
            "psi": pressure(&stats.blkio.psi),
        },
        "hugetlb": huge,
    })
}

fn memory(data: &MemoryData) -> Value {
    json!({
        "limit": data.limit,
        "usage": data.usage,
        "max": data.max_usage,
        "failcnt": data.fail_count,
    })
}

fn pressure(psi: &PSIStats) -> Value {
    let one = |data: &libcgroups::stats::PSIData| json!({ "avg10": data.avg10, "avg60": data.avg60, "avg300": data.avg300 });
    json!({ "some": one(&psi.some), "full": one(&psi.full) })
}

fn devices(stats: &[BlkioDeviceStat]) -> Value {
    let one = |stat: &BlkioDeviceStat| {
        json!({
            "major": stat.major,
            "minor": stat.minor,
            "op": stat.op_type.clone().unwrap_or_default(),
            "value": stat.value,
        })
    };
    stats.iter().map(one).collect()
}

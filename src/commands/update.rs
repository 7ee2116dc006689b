// SPDX-License-Identifier: Apache-2.0
//! `brig update`: changes a container's limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::spec::Unenforced;
use libcontainer::oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};

use crate::cli::Update;
use crate::runtime::state::{StateDir, Status};
use crate::runtime::{Context, cgroup, huge_pages};

/// The most that a file of limits may have, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Changes a container's limits.
///
/// # Errors
///
/// A value that is none; what the kernel refuses.
pub fn run(context: &Context, args: &Update) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let _lock = directory.lock()?;
    let record = directory.load()?;
    if matches!(record.status(&directory)?, Status::Stopped | Status::Creating) {
        bail!("container with id {:?} is not running", record.id);
    }
    let value = match &args.resources {
        Some(path) => read(path)?,
        None => from_options(args)?,
    };
    let resources: LinuxResources = brig_policy::spec::load_resources(value)?;
    if resources == LinuxResources::default() {
        bail!("nothing to change: give --resources or a limit");
    }
    huge_pages::check(&resources)?;
    let confinement = directory.load_policy()?;
    let resources = brig_policy::spec::tighten_update(&resources, &confinement.policy)
        .map_err(|above| above_the_policy(&confinement.profile, &above))?;
    cgroup::apply(&record.cgroup, &resources)?;
    Ok(ExitCode::SUCCESS)
}

fn above_the_policy(profile: &str, above: &[Unenforced]) -> anyhow::Error {
    let texts: Vec<String> = above.iter().map(ToString::to_string).collect();
    anyhow!("the container's profile {profile} does not allow that: {}", texts.join("; "))
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
    };
    read.with_context(|| format!("--resources: read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("--resources: {}", path.display()))
}

fn from_options(args: &Update) -> anyhow::Result<Value> {
    let mut cpu = Map::new();
    put(&mut cpu, "period", args.cpu_period);
    put(&mut cpu, "quota", args.cpu_quota);
    put(&mut cpu, "realtimePeriod", args.cpu_rt_period);
    put(&mut cpu, "realtimeRuntime", args.cpu_rt_runtime);
    put(&mut cpu, "shares", args.cpu_share);
    put(&mut cpu, "cpus", args.cpuset_cpus.clone());
    put(&mut cpu, "mems", args.cpuset_mems.clone());
    let size = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| parse_size(name, text)).transpose()
    };
    let mut memory = Map::new();
    put(&mut memory, "limit", size("--memory", &args.memory)?);
    put(&mut memory, "reservation", size("--memory-reservation", &args.memory_reservation)?);
    put(&mut memory, "swap", size("--memory-swap", &args.memory_swap)?);
    let mut resources = Map::new();
    for (name, part) in [("cpu", cpu), ("memory", memory)] {
        if !part.is_empty() {
            resources.insert(name.to_owned(), Value::Object(part));
        }
    }
    put(&mut resources, "pids", args.pids_limit.map(|limit| json!({ "limit": limit })));
    put(&mut resources, "blockIO", args.blkio_weight.map(|weight| json!({ "weight": weight })));
    Ok(Value::Object(resources))
}

fn put(map: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}

/// Bytes, or a number with k, m, g or t (powers of 1024, a trailing b or iB allowed); -1 is "no
/// limit".
fn parse_size(option: &str, text: &str) -> anyhow::Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let digits: String = lower.chars().take_while(char::is_ascii_digit).collect();
    let factor: i64 = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => bail!("{option} {text:?}: is no size, such as 512M"),
    };
    let number: Option<i64> = digits.parse().ok();
    match number.and_then(|number| number.checked_mul(factor)) {
        Some(size) => Ok(size),
        None => bail!("{option} {text:?}: is no size, such as 512M"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("-m", "512M").unwrap(), 512 << 20);
        assert_eq!(parse_size("-m", "1g").unwrap(), 1 << 30);
        assert_eq!(parse_size("-m", "7").unwrap(), 7);
        assert_eq!(parse_size("-m", "-1").unwrap(), -1);
        for text in ["", "M", "-2", "1x", "9999999999G", "1.5g"] {
            assert!(parse_size("-m", text).is_err(), "{text:?}");
        }
    }
}

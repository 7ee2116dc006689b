// SPDX-License-Identifier: Apache-2.0
//! `brig state`: the state of the OCI specification, with runc's fields.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::runtime::Context;
use crate::runtime::state::{OCI_VERSION, Record, StateDir, Status};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What `state` and `list` print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    oci_version: &'static str,
    /// The identifier.
    pub id: String,
    /// The first process, 0 when it is gone.
    pub pid: i32,
    /// The status.
    pub status: Status,
    /// The bundle's directory.
    pub bundle: PathBuf,
    rootfs: PathBuf,
    /// When it was created, RFC 3339 with nanoseconds.
    pub created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    /// Who created it.
    pub owner: String,
}

impl Shown {
    /// Looks at a container.
    ///
    /// # Errors
    ///
    /// Its cgroup cannot be read.
    pub fn of(directory: &StateDir, record: &Record) -> anyhow::Result<Self> {
        Ok(Shown {
            oci_version: OCI_VERSION,
            id: record.id.clone(),
            pid: record.live_pid(),
            status: record.status(directory)?,
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
            annotations: record.annotations.clone(),
            owner: owner(record.creator),
        })
    }
}

/// The name of a user of this host; the number where it has none.
fn owner(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields[0].to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

/// Prints the state of a container.
///
/// # Errors
///
/// There is none of this id.
pub fn run(context: &Context, args: &liboci_cli::State) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let record = directory.load()?;
    let text = serde_json::to_string_pretty(&Shown::of(&directory, &record)?)?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

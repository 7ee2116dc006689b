// SPDX-License-Identifier: Apache-2.0
//! `brig list`

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;

use super::state::Shown;
use crate::runtime::{Context, state};

/// Lists the containers below the root directory.
///
/// # Errors
///
/// The directory cannot be read.
pub fn run(context: &Context, args: &liboci_cli::List) -> anyhow::Result<ExitCode> {
    let mut shown = Vec::new();
    for (directory, record) in state::list(&context.root)? {
        // one that is deleted at this moment is not listed
        if let Ok(one) = Shown::of(&directory, &record) {
            shown.push(one);
        }
    }
    let mut out = std::io::stdout().lock();
    match (args.quiet, args.format.as_str()) {
        (true, _) => {
            for one in &shown {
                writeln!(out, "{}", one.id)?;
            }
        }
        (false, "json") => writeln!(out, "{}", serde_json::to_string(&shown)?)?,
        (false, "table") => out.write_all(table(&shown).as_bytes())?,
        (false, other) => bail!("--format {other:?}: is neither table nor json"),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(shown: &[Shown]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(shown.iter().map(|one| {
        [
            one.id.clone(),
            one.pid.to_string(),
            one.status.to_string(),
            one.bundle.display().to_string(),
            one.created.clone(),
            one.owner.clone(),
        ]
    }));
    columns(&rows)
}

/// Rows with their columns aligned, as runc prints them.
#[must_use]
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("   ").trim_end());
        text.push('\n');
    }
    text
}

// SPDX-License-Identifier: Apache-2.0
//! `brig features`: the features structure of the OCI runtime specification.

use std::io::Write;
use std::process::ExitCode;

use brig_policy::survey;

use crate::runtime::state::OCI_VERSION;

/// Prints what this runtime can do on this host.
///
/// # Errors
///
/// Standard output is closed.
pub fn run() -> anyhow::Result<ExitCode> {
    let survey = crate::survey::survey();
    let features = survey::features(&survey, env!("CARGO_PKG_VERSION"), OCI_VERSION);
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&features)?)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use brig_policy::survey::MOUNT_OPTIONS;
    use libcontainer::syscall::linux::{MountOption, MountRecursive};

    #[test]
    fn the_mount_options_are_those_that_are_understood() {
        // brig's own, taken out before the library sees them
        let own = ["tmpcopyup"];
        for option in MOUNT_OPTIONS.iter().filter(|option| !own.contains(option)) {
            let known = option.parse::<MountOption>().is_ok();
            assert!(known || option.parse::<MountRecursive>().is_ok(), "{option}");
        }
        for option in MountOption::known_options() {
            assert!(MOUNT_OPTIONS.contains(&option.as_str()), "{option} is missing");
        }
    }
}

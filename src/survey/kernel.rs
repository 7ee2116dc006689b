// SPDX-License-Identifier: Apache-2.0
//! uname(2), and the kernel's last capability.

use std::fs;

use brig_policy::seccomp::Arch;
use brig_policy::survey::Kernel;

/// `CAP_CHECKPOINT_RESTORE`, the last one that brig knows.
const LAST_KNOWN: u32 = 40;

/// The kernel.
pub fn kernel() -> Kernel {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap");
    Kernel {
        version: Kernel::version_of(&release),
        release,
        arch: Arch::of_build(),
        machine: uname.machine().to_string_lossy().into_owned(),
        last_capability: last.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(LAST_KNOWN),
    }
}

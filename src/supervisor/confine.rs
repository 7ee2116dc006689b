// SPDX-License-Identifier: Apache-2.0
//! What the supervisor takes from itself before it serves: capabilities, file access, system calls.

use anyhow::{Context as _, anyhow};
use brig_policy::seccomp::{self, Arch, FilterFlags, Input};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The calls that serving takes, and those that the allocator and the end of a process take. An
/// `ioctl` is one of the listener's three: linux/seccomp.h.
const PROGRAM: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [
    { "action": "SCMP_ACT_ALLOW", "names": [
        "poll", "ppoll", "accept4", "recvmsg", "sendmsg", "getsockopt", "close", "exit",
        "exit_group", "rt_sigreturn", "rt_sigprocmask", "sigaltstack", "brk", "mmap", "munmap",
        "mremap", "madvise", "futex", "clock_gettime", "restart_syscall", "getrandom" ] },
    { "action": "SCMP_ACT_ALLOW", "names": ["ioctl"],
      "args": [{ "index": 1, "value": 3226476800, "op": "SCMP_CMP_EQ" }] },
    { "action": "SCMP_ACT_ALLOW", "names": ["ioctl"],
      "args": [{ "index": 1, "value": 3222806785, "op": "SCMP_CMP_EQ" }] },
    { "action": "SCMP_ACT_ALLOW", "names": ["ioctl"],
      "args": [{ "index": 1, "value": 1074274562, "op": "SCMP_CMP_EQ" }] }
  ]
}"#;

/// Confines the calling process for good.
///
/// # Errors
///
/// A step that the kernel refused: the supervisor must not serve then.
pub fn apply() -> anyhow::Result<()> {
    let nothing = CapabilitySet::empty();
    let sets = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
    rustix::thread::set_capabilities(None, sets).context("capset")?;
    rustix::thread::set_no_new_privs(true).context("no_new_privs")?;
    match crate::sys::landlock::deny_everything() {
        Ok(()) => {}
        // KERNEL(5.13): a kernel without Landlock; the filter below allows no path in any case
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP)) => {}
        Err(error) => return Err(error).context("landlock_restrict_self"),
    }
    load_filter()
}

fn load_filter() -> anyhow::Result<()> {
    let value = serde_json::from_str(PROGRAM).context("own filter")?;
    let spec = seccomp::parse(&value).map_err(|errors| anyhow!("own filter: {errors:?}"))?;
    let native = Arch::of_build()
        .ok_or_else(|| anyhow!("no table of system calls for this architecture"))?;
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native };
    let compiled = seccomp::compile(&input).map_err(|errors| anyhow!("own filter: {errors:?}"))?;
    let flags = compiled.flags.without(FilterFlags::TSYNC).bits().into();
    crate::sys::seccomp::load(compiled.program.instructions(), flags).context("own filter")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_knows_the_listeners_ioctls_by_their_numbers() {
        for number in ["3226476800", "3222806785", "1074274562"] {
            assert!(PROGRAM.contains(number));
        }
        assert_eq!(0xc050_2100_u32, 3_226_476_800);
        assert_eq!(0xc018_2101_u32, 3_222_806_785);
        assert_eq!(0x4008_2102_u32, 1_074_274_562);
    }
}

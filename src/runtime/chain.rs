// SPDX-License-Identifier: Apache-2.0
//! The processes between brig and the container's.
//!
//! brig forks a helper, which enters the cgroup, joins or makes the user and the pid namespace, sets
//! the limits and forks the container's process as a child of brig's; that goes on in
//! libcontainer's `container_init_process`. This is libcontainer's own chain
//! (`container_main_process`) but for the cgroup, which brig enters faster, the order of messages,
//! and the pid, which `createContainer` hooks are told, too.
//!
//! Guarantees: the limits of `linux.resources` hold before any hook runs; the helper is reaped;
//! whatever fails is told by the process that failed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use libcontainer::namespaces::Namespaces;
use libcontainer::network::network_device::dev_change_net_namespace;
use libcontainer::oci_spec::runtime::{LinuxNamespaceType, Spec};
use libcontainer::process::args::{ContainerArgs, ContainerType};
use libcontainer::process::channel::{self, InitReceiver, InitSender, MainReceiver, MainSender};
use libcontainer::process::cpu_affinity::set_cpuset_affinity_from_string;
use libcontainer::process::init::container_init_process;
use libcontainer::process::intel_rdt::setup_intel_rdt;
use libcontainer::{hooks, syscall::syscall::create_syscall};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, waitpid};

use super::cgroup::Membership;
use super::launcher::chain as text_of;
use crate::sys::fork::{Fork, exit_now, fork, fork_sibling};
use crate::sys::namespace;

/// Makes the container's process. Returns its pid, and whether a resctrl directory was made.
///
/// # Errors
///
/// What failed, in whichever process.
pub fn run(
    mut args: ContainerArgs,
    cgroup: &Membership,
    host_proc: &OwnedFd,
) -> anyhow::Result<(i32, bool)> {
    let (main_sender, mut messages) = channel::main_channel()?;
    let (mut to_init, init_receiver) = channel::init_channel()?;
    let (report, report_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let helper = match fork().context("fork")? {
        Fork::Child => {
            let ends = Ends { main_sender, to_init, init_receiver };
            help(&mut args, cgroup, host_proc, ends, File::from(report_write))
        }
        Fork::Parent(pid) => rustix::process::Pid::from_raw(pid),
    };
    drop(report_write);
    main_sender.close()?;
    let pid = born(File::from(report))?;
    let has_resctrl = set_resctrl(&args, pid)?;
    if matches!(args.container_type, ContainerType::InitContainer) {
        run_hooks(&mut args, pid, &mut messages, &mut to_init)?;
    }
    move_devices(&args.spec, pid, &mut messages, &mut to_init)?;
    to_init.close()?;
    messages.wait_for_init_ready().map_err(|error| anyhow!("{}", text_of(&error)))?;
    init_receiver.close()?;
    messages.close()?;
    while let Err(rustix::io::Errno::INTR) = waitpid(helper, WaitOptions::empty()) {}
    Ok((pid, has_resctrl))
}

/// The ends of libcontainer's channels that the container's process uses or closes.
struct Ends {
    main_sender: MainSender,
    to_init: InitSender,
    init_receiver: InitReceiver,
}

/// What the helper says: the new process's pid after this, or what failed.
const BORN: &str = "born ";

fn born(mut report: File) -> anyhow::Result<i32> {
    let mut text = String::new();
    report.read_to_string(&mut text).context("read from the helper")?;
    match text.strip_prefix(BORN) {
        Some(pid) => pid.parse().context("the helper's report"),
        None if text.is_empty() => bail!("the process that makes the container's ended"),
        None => bail!("{text}"),
    }
}

/// The helper.
fn help(
    args: &mut ContainerArgs,
    cgroup: &Membership,
    host_proc: &OwnedFd,
    ends: Ends,
    mut report: File,
) -> ! {
    let made = prepare(args, cgroup).and_then(|()| fork_sibling().context("fork"));
    let text = match made {
        Ok(Fork::Child) => {
            drop(report);
            be_born(args, host_proc, ends)
        }
        Ok(Fork::Parent(pid)) => format!("{BORN}{pid}"),
        Err(error) => format!("{error:#}"),
    };
    exit_now(i32::from(report.write_all(text.as_bytes()).is_err()))
}

/// What has to be so before the container's process is made.
fn prepare(args: &ContainerArgs, cgroup: &Membership) -> anyhow::Result<()> {
    let is_added = matches!(args.container_type, ContainerType::TenantContainer { .. });
    let process = args.spec.process().as_ref().ok_or_else(|| anyhow!("process: is missing"))?;
    let affinity = process.exec_cpu_affinity().as_ref().filter(|_| is_added);
    set_affinity(affinity.and_then(|one| one.initial().as_deref()))?;
    // while the ids are still those that may
    cgroup.enter()?;
    set_affinity(affinity.and_then(|one| one.cpu_affinity_final().as_deref()))?;
    let linux = args.spec.linux().as_ref().ok_or_else(|| anyhow!("linux: is missing"))?;
    let namespaces = Namespaces::try_from(linux.namespaces().as_ref())?;
    if let Some(user) = namespaces.get(LinuxNamespaceType::User)? {
        namespaces.unshare_or_setns(user).map_err(|error| anyhow!("{}", text_of(&error)))?;
        namespace::become_root().context("become root of the user namespace")?;
    }
    for limit in process.rlimits().iter().flatten() {
        let set = create_syscall().set_rlimit(limit);
        set.map_err(|error| anyhow!("process.rlimits: {}: {}", limit.typ(), text_of(&error)))?;
    }
    // takes effect for the next child
    if let Some(pid) = namespaces.get(LinuxNamespaceType::Pid)? {
        namespaces.unshare_or_setns(pid).map_err(|error| anyhow!("{}", text_of(&error)))?;
    }
    Ok(())
}

fn set_affinity(cpus: Option<&str>) -> anyhow::Result<()> {
    let own = Pid::from_raw(rustix::process::getpid().as_raw_pid());
    let set = cpus.map_or(Ok(()), |cpus| set_cpuset_affinity_from_string(own, cpus));
    set.map_err(|error| anyhow!("process.execCPUAffinity: {}", text_of(&error)))
}

/// The container's process: returns to brig's executor inside of libcontainer.
fn be_born(args: &mut ContainerArgs, host_proc: &OwnedFd, mut ends: Ends) -> ! {
    if let Some(container) = &mut args.container {
        container.state.pid = super::executor::host_pid(host_proc).ok();
    }
    let outcome = ends.to_init.close().map_err(|error| text_of(&error)).and_then(|()| {
        container_init_process(args, &mut ends.main_sender, &mut ends.init_receiver)
            .map_err(|error| error.to_string())
    });
    if let Err(text) = outcome
        && let Err(error) = ends.main_sender.exec_failed(text)
    {
        tracing::error!("tell brig what failed: {error}");
    }
    exit_now(1)
}

fn set_resctrl(args: &ContainerArgs, pid: i32) -> anyhow::Result<bool> {
    let wanted = args.spec.linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref());
    let Some(wanted) = wanted else { return Ok(false) };
    let id = args.container.as_ref().map(|container| container.state.id.as_str());
    setup_intel_rdt(id, &Pid::from_raw(pid), wanted)
        .map_err(|error| anyhow!("linux.intelRdt: {}", text_of(&error)))
}

/// `prestart` and `createRuntime`: when the namespaces and the mounts are there, before the root
/// changes.
fn run_hooks(
    args: &mut ContainerArgs,
    pid: i32,
    messages: &mut MainReceiver,
    to_init: &mut InitSender,
) -> anyhow::Result<()> {
    let Some(wanted) = args.spec.hooks() else { return Ok(()) };
    messages.wait_for_hook_request().map_err(|error| anyhow!("{}", text_of(&error)))?;
    if let Some(container) = &mut args.container {
        container.state.pid = Some(pid);
        for list in [wanted.prestart(), wanted.create_runtime()] {
            hooks::run_hooks(list.as_ref(), Some(&container.state), None, None)
                .map_err(|error| anyhow!("failed hooks {}", text_of(&error)))?;
        }
    }
    Ok(to_init.hook_done()?)
}

/// `linux.netDevices`: interfaces of the host that the container gets.
fn move_devices(
    spec: &Spec,
    pid: i32,
    messages: &mut MainReceiver,
    to_init: &mut InitSender,
) -> anyhow::Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    let devices = linux.net_devices().iter().flatten().collect::<Vec<_>>();
    let mut namespaces = linux.namespaces().iter().flatten();
    let network = namespaces.find(|one| one.typ() == LinuxNamespaceType::Network);
    let (Some(network), false) = (network, devices.is_empty()) else { return Ok(()) };
    messages.wait_for_network_setup_ready()?;
    let own = format!("/proc/{pid}/ns/net");
    let path = network.path().as_deref().unwrap_or(Path::new(&own));
    let namespace = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let addresses = devices
        .into_iter()
        .map(|(name, device)| {
            dev_change_net_namespace(name, namespace.as_raw_fd(), device)
                .map(|addresses| (name.clone(), addresses))
                .map_err(|error| anyhow!("linux.netDevices: {name}: {}", text_of(&error)))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(to_init.move_network_device(addresses)?)
}

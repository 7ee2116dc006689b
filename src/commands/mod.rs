// SPDX-License-Identifier: Apache-2.0
//! One file per subcommand; here is what they share: the context, and how a failure ends.

mod checkpoint;
mod create;
mod delete;
mod doctor;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod log;
mod pause;
pub mod policy;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tracing::level_filters::LevelFilter;

use crate::cli::{Cli, Command, Global};
use crate::logging;
use crate::profiles::choose;
use crate::runtime::cgroup::{ManagerKind, in_user_namespace};
use crate::runtime::seal::{self, Strength};
use crate::runtime::{Context, launcher, prepare};

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: anyhow::Error,
    /// The exit status: runc's.
    pub status: u8,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure { error, status: 1 }
    }
}

/// Runs a command.
///
/// # Errors
///
/// The command's.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { global, command } = cli;
    let level = if global.debug { LevelFilter::DEBUG } else { global.log_level };
    let preserved = preserved(&command);
    // before anything of brig's own takes a number that the caller was to fill
    let checked = launcher::check_preserved(preserved);
    logging::init(global.log.as_deref(), global.log_format, level)?;
    checked?;
    if let Command::InternalPrepare { steps } = &command {
        prepare::run(steps)?;
        return Ok(ExitCode::SUCCESS);
    }
    match command {
        Command::Policy(args) => return Ok(policy::run(args, global.set)?),
        // about the host, not about containers: no state directory is needed
        Command::Doctor(args) => return Ok(doctor::run(&args)?),
        Command::Features(_) => return Ok(features::run()?),
        _ => {}
    }
    if matches!(command, Command::Create(_) | Command::Run(_) | Command::Exec(_)) {
        seal::ensure(Strength::ReadOnlyMount, preserved)?;
        rustix::thread::set_name(c"brig").context("prctl(PR_SET_NAME)")?;
    }
    let context = context(&global)?;
    let failed = |what: &'static str, status: u8| {
        move |error: anyhow::Error| Failure { error: error.context(what), status }
    };
    match command {
        Command::Create(args) => create::run(&context, args).map_err(failed("create failed", 1)),
        Command::Run(args) => run::run(&context, args).map_err(failed("run failed", 1)),
        Command::Exec(args) => exec::run(&context, args).map_err(failed("exec failed", 255)),
        Command::Start(args) => Ok(start::run(&context, &args)?),
        Command::State(args) => Ok(state::run(&context, &args)?),
        Command::Kill(args) => Ok(kill::run(&context, &args)?),
        Command::Delete(args) => Ok(delete::run(&context, &args)?),
        Command::List(args) => Ok(list::run(&context, &args)?),
        Command::Ps(args) => Ok(ps::run(&context, &args)?),
        Command::Pause(args) => Ok(pause::pause(&context, &args)?),
        Command::Resume(args) => Ok(pause::resume(&context, &args)?),
        Command::Events(args) => Ok(events::run(&context, &args)?),
        Command::Log(args) => Ok(log::run(&context, &args)?),
        Command::Update(args) => Ok(update::run(&context, &args)?),
        Command::Spec(args) => Ok(spec::run(&args)?),
        Command::Checkpoint(args) => Ok(checkpoint::run(&context, &args)?),
        Command::Policy(_)
        | Command::Doctor(_)
        | Command::Features(_)
        | Command::InternalPrepare { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// How many descriptors from 3 on are inherited.
fn preserved(command: &Command) -> i32 {
    match command {
        Command::Create(args) => args.preserve_fds,
        Command::Run(args) => args.preserve_fds,
        Command::Exec(args) => args.preserve_fds,
        _ => 0,
    }
}

fn context(global: &Global) -> anyhow::Result<Context> {
    if !["true", "false", "auto"].contains(&global.rootless.as_str()) {
        bail!("--rootless {:?}: is none of true, false and auto", global.rootless);
    }
    let root = match &global.root {
        Some(root) => std::path::absolute(root).context("--root")?,
        None => default_root()?,
    };
    Ok(Context {
        root,
        cgroup_manager: if global.systemd_cgroup {
            ManagerKind::Systemd
        } else {
            ManagerKind::Filesystem
        },
        mediated_for_testing: global.testing_continue.clone(),
        profiles: choose::Options {
            profile: global.profile.clone(),
            set: global.set.iter().cloned().collect(),
            config: global.config.clone(),
        },
    })
}

fn default_root() -> anyhow::Result<PathBuf> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let is_root = rustix::process::geteuid().is_root();
    match runtime_dir {
        Some(directory) if !is_root || in_user_namespace() => {
            Ok(PathBuf::from(directory).join("brig"))
        }
        _ if is_root => Ok(PathBuf::from("/run/brig")),
        _ => bail!("XDG_RUNTIME_DIR is not set: give --root a directory of yours"),
    }
}

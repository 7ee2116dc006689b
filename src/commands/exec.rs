// SPDX-License-Identifier: Apache-2.0
//! `brig exec`

use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::cli::Exec;
use crate::runtime::create::Terminal;
use crate::runtime::exec::{Options, ProcessOptions, What, exec, process};
use crate::runtime::foreground::{self, Signals};
use crate::runtime::state::StateDir;
use crate::runtime::{Context, console};

/// Executes a process in a container and returns its exit status.
///
/// # Errors
///
/// What could not be done.
pub fn run(context: &Context, args: Exec) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    refuse_label(args.process_label.as_deref())?;
    let what = what(&args)?;
    let options = Options {
        what,
        pid_file: args.pid_file.map(std::path::absolute).transpose().context("--pid-file")?,
        preserve_fds: args.preserve_fds,
        cgroup: args.cgroup,
        ignore_paused: args.ignore_paused,
    };
    let (spec, mut process) = process(&directory, &options.what)?;
    if args.tty {
        process.set_terminal(Some(true));
    }
    let wants_terminal = process.terminal().unwrap_or(false);
    let socket = args.console_socket.as_deref().map(console::connect_socket).transpose()?;
    let signals = if args.detach { None } else { Some(Signals::block()?) };
    let (terminal, ours) = match (socket, wants_terminal) {
        (Some(socket), true) => (Terminal::Socket(socket), None),
        (Some(_), false) => bail!("--console-socket: is given, and no terminal is asked for"),
        (None, true) if args.detach => {
            bail!("--detach: a terminal is asked for, and nobody takes it: give --console-socket")
        }
        (None, true) => {
            if process.console_size().is_none() {
                process.set_console_size(console::own_size());
            }
            let (ours, theirs) = console::own_socket().context("socketpair")?;
            (Terminal::Socket(theirs), Some(ours))
        }
        (None, false) => (Terminal::None, None),
    };
    let identity = exec(&directory, &options, spec, process, terminal)?;
    let Some(signals) = signals else { return Ok(ExitCode::SUCCESS) };
    let master = ours.map(|socket| console::receive_master(socket.as_fd())).transpose()?;
    Ok(ExitCode::from(foreground::wait(identity, &signals, master)?))
}

fn what(args: &Exec) -> anyhow::Result<What> {
    if let Some(path) = &args.process {
        if !args.command.is_empty() {
            bail!("--process: is given together with a command");
        }
        return Ok(What::File(path.clone()));
    }
    if args.command.is_empty() {
        bail!("no command is given, and no --process");
    }
    Ok(What::Options(Box::new(ProcessOptions {
        args: args.command.clone(),
        env: args.env.clone(),
        cwd: args.cwd.clone(),
        user: args.user.as_deref().map(parse_user).transpose()?,
        additional_gids: args.additional_gids.clone(),
        capabilities: args.cap.clone(),
        no_new_privileges: args.no_new_privs,
        terminal: args.tty,
        apparmor: args.apparmor.clone(),
    })))
}

/// Decimal digits, and no others: what is not plainly a number is not taken for user 0.
fn parse_user(text: &str) -> anyhow::Result<(u32, Option<u32>)> {
    let number = |part: &str| -> anyhow::Result<u32> {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match part.parse::<u32>() {
            Ok(id) if plain && id != u32::MAX => Ok(id),
            _ => bail!("--user {text:?}: {part:?} is not a numeric id"),
        }
    };
    match text.split_once(':') {
        None => Ok((number(text)?, None)),
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
    }
}

fn refuse_label(label: Option<&str>) -> anyhow::Result<()> {
    match label.filter(|label| !label.is_empty()) {
        Some(label) => bail!("--process-label {label:?}: SELinux labels are not supported"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_user;

    #[test]
    fn only_decimal_digits_are_a_user() {
        assert_eq!(parse_user("1").unwrap(), (1, None));
        assert_eq!(parse_user("1:2").unwrap(), (1, Some(2)));
        for text in ["", " 1", "+1", "-1", "0x0", "4294967296", "4294967295", "1:", ":1", "root"] {
            assert!(parse_user(text).is_err(), "{text:?}");
        }
    }
}

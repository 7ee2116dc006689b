// SPDX-License-Identifier: Apache-2.0
//! The command line: runc's, where runc has it.
//!
//! liboci-cli's structures are used where they are runc's. `exec`, `kill`, `update` and `checkpoint`
//! are brig's own: liboci-cli wants a signal where runc has a default, takes numbers where runc
//! takes `512M` and `-1`, reads `-u +1` as a user, and has another name for `checkpoint`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::logging::Format;

/// A hardened OCI container runtime for code nobody should trust.
#[derive(Debug, Parser)]
#[command(name = "brig", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Args, Debug)]
pub struct Global {
    /// The directory that holds the state of containers [default: /run/brig, or
    /// $XDG_RUNTIME_DIR/brig for a user]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Write the log there instead of to standard error
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The form of the log file
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,
    /// What is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log_level: tracing::level_filters::LevelFilter,
    /// The same as --log-level debug
    #[arg(long)]
    pub debug: bool,
    /// Have systemd make the cgroups
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Accepted as runc has it; brig finds out by itself what the caller may do
    #[arg(long, value_name = "BOOL", default_value = "auto", hide = true)]
    pub rootless: String,
    /// The container's profile: a name, or a file (then with a slash or ending in .toml) [default:
    /// one that is named after the container or the host's default, see profiles/README.md]
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The operator's directory, with config.toml and profiles/ [default: /etc/brig, or
    /// $XDG_CONFIG_HOME/brig for a user]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Give a variable of the profile a value
    #[arg(long, value_name = "NAME=VALUE", value_parser = crate::profiles::assignment)]
    pub set: Vec<(String, String)>,
    /// Have a supervisor continue this system call, to test the supervisor's seat
    #[arg(long, value_name = "SYSCALL", hide = true)]
    pub testing_continue: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a container
    Create(liboci_cli::Create),
    /// Execute the program of a created container
    Start(liboci_cli::Start),
    /// Print the state of a container
    State(liboci_cli::State),
    /// Send a signal to a container's first process
    Kill(Kill),
    /// Delete a container
    Delete(liboci_cli::Delete),
    /// Create and start a container
    Run(liboci_cli::Run),
    /// Execute another process in a container
    Exec(Exec),
    /// List the containers below the root directory
    List(liboci_cli::List),
    /// List the processes of a container
    Ps(liboci_cli::Ps),
    /// Freeze a container
    Pause(liboci_cli::Pause),
    /// Thaw a container
    Resume(liboci_cli::Resume),
    /// Print a container's resource usage and events
    Events(Events),
    /// Print what was decided about a container's calls, and why
    Log(Log),
    /// Change a container's limits
    Update(Update),
    /// Write a config.json to start from
    Spec(liboci_cli::Spec),
    /// Print what this runtime can do
    Features(liboci_cli::Features),
    /// Save a container with criu
    Checkpoint(Checkpoint),
    /// Survey this host: what there is, what the lack of the rest costs, how it could be had
    ///
    /// Exit status: 0, containers can be run fully; 3, with something missing; 4, not at all.
    Doctor(Doctor),
    /// Check, show, explain, test and compare profiles; read seccomp rules
    Policy(crate::commands::policy::Policy),
    /// Steps between the mounts and the change of root; for brig itself
    #[command(name = crate::runtime::prepare::COMMAND, hide = true)]
    InternalPrepare {
        /// The steps, as JSON.
        steps: String,
    },
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `log`.
#[derive(Args, Debug)]
pub struct Log {
    /// Go on until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Print the lines as they were written: one JSON object each
    #[arg(long)]
    pub json: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
}

/// `kill`.
#[derive(Args, Debug)]
pub struct Kill {
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
    /// A name (TERM, SIGTERM, RTMIN+1) or a number
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
    /// Send it to all processes of the container
    #[arg(short, long)]
    pub all: bool,
}

/// `exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// The engine's socket, which is sent the terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// The working directory
    #[arg(long, value_name = "PATH")]
    pub cwd: Option<PathBuf>,
    /// A variable, NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User id, and group id where it is given
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// A supplementary group
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// A process.json instead of a command
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Do not wait for the process
    #[arg(short, long)]
    pub detach: bool,
    /// Where to write the process's pid
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// The SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// The AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub no_new_privs: bool,
    /// A capability to be added
    #[arg(short, long, value_name = "CAPABILITY")]
    pub cap: Vec<String>,
    /// How many descriptors from 3 on the process inherits
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: i32,
    /// Enter a frozen container
    #[arg(long)]
    pub ignore_paused: bool,
    /// A cgroup below the container's
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `events`.
#[derive(Args, Debug)]
pub struct Events {
    /// How often statistics are printed: 5s, 1m30s, 500ms; a number alone is of seconds
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub interval: Duration,
    /// Print statistics once
    #[arg(long)]
    pub stats: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
}

/// A duration as Go's `time.ParseDuration` takes it, from milliseconds up.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is no duration, such as 5s or 1m30s");
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(fault()),
        };
        let number: u32 = number.parse().map_err(|_| fault())?;
        total += Duration::from_millis(u64::from(number) * milliseconds);
        rest = tail;
    }
    if total.is_zero() { Err(fault()) } else { Ok(total) }
}

/// `update`.
#[derive(Args, Debug)]
pub struct Update {
    /// A JSON file of linux.resources, or - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Block IO weight
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// CPU period, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// CPU time per period, in microseconds; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Real-time period, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time runtime, in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// CPU shares
    #[arg(long, alias = "cpu-shares", value_name = "N")]
    pub cpu_share: Option<u64>,
    /// CPUs, as in 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory limit: bytes, 512M, 2g; -1: no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory reservation
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap; -1: no limit on swap
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Number of processes; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
}

/// `checkpoint`.
#[derive(Args, Debug)]
pub struct Checkpoint {
    /// Where the images go
    #[arg(long, value_name = "DIR", default_value = "checkpoint")]
    pub image_path: PathBuf,
    /// Where criu's logs go [default: the images' directory]
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
    /// Leave the container running
    #[arg(long)]
    pub leave_running: bool,
    /// Save established TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Save connections to UNIX sockets outside
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Save a process that has a terminal of the caller's
    #[arg(long)]
    pub shell_job: bool,
    /// Save file locks
    #[arg(long)]
    pub file_locks: bool,
    /// What is saved of cgroups: soft, full, strict or ignore
    #[arg(long, value_name = "MODE", default_value = "soft")]
    pub manage_cgroups_mode: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let check = |text: &str, expected: u64| {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(expected)), "{text}");
        };
        check("5s", 5_000);
        check("1m30s", 90_000);
        check("500ms", 500);
        check("7", 7_000);
        for text in ["", "s", "0s", "5x", "-1s", "1s5", "99999999999s", "1.5s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! `brig policy seccomp FILE`: what the seccomp rules of a configuration or of a profile do.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use brig_policy::seccomp::{self, Arch, Host, Question};

/// List what a seccomp profile does, or answer what happens to one system call.
#[derive(Debug, clap::Args)]
pub struct Seccomp {
    /// A config.json, its linux.seccomp, or a profile of Docker or Podman
    #[arg(value_name = "CONFIG.JSON|PROFILE.JSON")]
    file: PathBuf,
    /// What happens to this call; exits with 0 if it is allowed, 1 if not, 2 on errors
    #[arg(long, value_name = "NAME")]
    syscall: Option<String>,
    /// The arguments of the call, in order; the others are 0
    #[arg(long, num_args = 1..=6, value_name = "VALUE", requires = "syscall",
          value_parser = argument, allow_negative_numbers = true)]
    args: Vec<u64>,
    /// Whose calls, as SCMP_ARCH_* or uname -m have it [default: this machine's]
    #[arg(long, value_parser = architecture)]
    arch: Option<Arch>,
    /// Capabilities of the container, for profiles that depend on them ("none": none)
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    capability: Vec<String>,
    /// Version of the kernel, for profiles that depend on it [default: this one]
    #[arg(long, value_name = "MAJOR.MINOR", value_parser = version)]
    kernel: Option<(u32, u32)>,
    /// Print the instructions of the program
    #[arg(long, conflicts_with = "syscall")]
    disassemble: bool,
}

fn argument(text: &str) -> Result<u64, String> {
    seccomp::parse_argument(text).ok_or_else(|| "not a number of 64 bits".to_owned())
}

fn architecture(text: &str) -> Result<Arch, String> {
    Arch::from_name(text).ok_or_else(|| "no architecture of the OCI specification".to_owned())
}

/// The first two numbers of a release.
fn version(text: &str) -> Result<(u32, u32), String> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err("not MAJOR.MINOR".to_owned()),
    }
}

/// Answers.
///
/// # Errors
///
/// The file cannot be read or is wrong; all that is wrong is said at once.
pub fn run(args: &Seccomp) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    let text = std::fs::read(&args.file).with_context(|| format!("{file}"))?;
    let document = serde_json::from_slice(&text).with_context(|| format!("{file}"))?;
    let question = match &args.syscall {
        Some(name) => {
            let mut values = [0; 6];
            values[..args.args.len()].copy_from_slice(&args.args);
            Question::Call { name: name.clone(), args: values }
        }
        None if args.disassemble => Question::Instructions,
        None => Question::Listing,
    };
    match seccomp::inspect(
        &document,
        &question,
        &machine(args.kernel, &args.capability)?,
        args.arch,
    ) {
        Ok(answer) => {
            write!(io::stdout(), "{}", answer.text)?;
            let denied = answer.action.is_some_and(|action| !action.permits());
            Ok(if denied { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(errors) => {
            for error in errors {
                writeln!(io::stderr(), "{file}: {error}")?;
            }
            Ok(ExitCode::from(2))
        }
    }
}

/// This machine, for a container with these capabilities.
///
/// # Errors
///
/// It is of no architecture of OCI's, or does not tell its kernel's version.
pub fn machine(kernel: Option<(u32, u32)>, capabilities: &[String]) -> anyhow::Result<Host> {
    let native = Arch::of_build()
        .ok_or_else(|| anyhow!("{} is no architecture of OCI", std::env::consts::ARCH))?;
    let kernel = match kernel {
        Some(kernel) => kernel,
        None => {
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .context("/proc/sys/kernel/osrelease")?;
            version(&release).map_err(|why| anyhow!("{}: {why}", release.trim()))?
        }
    };
    Ok(Host { native, kernel, capabilities: seccomp::capabilities(capabilities) })
}

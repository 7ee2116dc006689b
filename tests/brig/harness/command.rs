// SPDX-License-Identifier: Apache-2.0
//! Running a program with a time limit. Its output goes to files: a container's first process inherits
//! it and would keep a pipe open.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{LIMIT, process};

/// A command that has not begun.
pub struct Runner {
    command: Command,
    last: Option<OsString>,
    limit: Duration,
    stdout: PathBuf,
    stderr: PathBuf,
    own_stdio: bool,
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    text: String,
    limit: Duration,
    /// Where its output goes.
    pub stdout: PathBuf,
    /// Where its errors go.
    pub stderr: PathBuf,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was called.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: String,
    /// Its errors.
    pub stderr: String,
    /// The file that has its output.
    pub out_path: PathBuf,
    /// The file that has its errors.
    pub err_path: PathBuf,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Runner {
    /// A program without arguments and with an empty environment but PATH.
    pub fn new(program: impl AsRef<OsStr>, dir: &Path) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        Runner {
            command,
            last: None,
            limit: LIMIT,
            stdout: dir.join(format!("out.{number}")),
            stderr: dir.join(format!("err.{number}")),
            own_stdio: false,
        }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// The argument that comes after all others.
    pub fn last_arg(mut self, arg: impl Into<OsString>) -> Self {
        self.last = Some(arg.into());
        self
    }

    /// A variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The time limit.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The working directory.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Standard input.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// All three standard streams.
    pub fn stdio(mut self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Self {
        self.command.stdin(stdin).stdout(stdout).stderr(stderr);
        self.own_stdio = true;
        self
    }

    /// Anything else.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Begins.
    pub fn spawn(mut self) -> Running {
        if let Some(last) = self.last.take() {
            self.command.arg(last);
        }
        let text = format!("{:?}", self.command);
        if !self.own_stdio {
            self.command.stdout(File::create(&self.stdout).unwrap());
            self.command.stderr(File::create(&self.stderr).unwrap());
        }
        let child =
            process::spawn(&mut self.command).unwrap_or_else(|error| panic!("{text}: {error}"));
        Running { child, text, limit: self.limit, stdout: self.stdout, stderr: self.stderr }
    }

    /// Begins and waits.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }
}

impl Running {
    /// The pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        process::signal(self.pid(), signal);
    }

    /// Waits; panics when the time is over.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let ended = process::wait_for_end(self.pid(), self.limit);
        if !ended {
            let trace = process::describe(self.pid());
            self.child.kill().unwrap_or_default();
            self.child.wait().unwrap();
            panic!(
                "{} has not ended after {:?}\n{trace}\nstdout: {}\nstderr: {}",
                self.text,
                self.limit,
                read(&self.stdout),
                read(&self.stderr)
            );
        }
        let status = self.child.wait().unwrap();
        Outcome {
            command: std::mem::take(&mut self.text),
            status,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            out_path: self.stdout.clone(),
            err_path: self.stderr.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap_or_default();
            self.child.wait().unwrap();
        }
    }
}

impl Outcome {
    /// It succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// It exited with this status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        self
    }

    /// It failed, and its errors contain this.
    #[track_caller]
    pub fn fails_with(self, text: &str) -> Self {
        assert!(self.status.code().is_some_and(|code| code != 0), "succeeded or died: {self:#?}");
        assert!(self.stderr.contains(text), "no {text:?} in: {self:#?}");
        self
    }

    /// It succeeded and printed this, white space around it aside.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.status.success(), "{self:#?}");
        assert_eq!(self.stdout.trim(), text, "{self:#?}");
        self
    }

    /// Its output without white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

// SPDX-License-Identifier: Apache-2.0
//! Logs: one line on standard error for people, runc's forms in `--log FILE` for engines.
//!
//! libcontainer logs the causes that its error values leave out. They are not shown, unless
//! `--debug` asks for them, but collected ([`collect_causes`]) for the error that is.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The form of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `time="…" level=error msg="…"`
    Text,
    /// `{"level":"error","msg":"…","time":"…"}`
    Json,
}

/// Where what is logged goes.
struct Log {
    level: LevelFilter,
    format: Format,
    file: Option<File>,
}

static LOG: OnceLock<Log> = OnceLock::new();
static CAUSES: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Sets logging up for the process and those that it forks.
///
/// # Errors
///
/// The log file cannot be opened.
pub fn init(file: Option<&Path>, format: Format, level: LevelFilter) -> anyhow::Result<()> {
    let file = file.map(open).transpose()?;
    if LOG.set(Log { level, format, file }).is_ok() {
        let subscriber = tracing_subscriber::registry().with(Lines);
        tracing::subscriber::set_global_default(subscriber).context("logging")?;
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::CLOEXEC
        | OFlags::NOCTTY
        | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))
        .with_context(|| format!("--log: open {}", path.display()))?;
    Ok(File::from(fd))
}

/// Reports the error that ends a command.
pub fn fatal(error: &anyhow::Error) {
    let text = one_line(&format!("{error:#}"));
    if let Some(Log { format, file: Some(file), .. }) = LOG.get() {
        write_line(file, *format, "error", &text);
    }
    eprintln!("brig: {text}");
}

fn one_line(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

fn write_line(mut file: &File, format: Format, level: &str, text: &str) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let line = match format {
        Format::Json => json!({ "level": level, "msg": text, "time": time }).to_string(),
        Format::Text => format!("time={time:?} level={level} msg={text:?}"),
    };
    // a full disk is no reason to fail: there is nowhere left to say it
    file.write_all(format!("{line}\n").as_bytes()).unwrap_or_default();
}

/// The layer that writes lines.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = LOG.get().map_or(LevelFilter::OFF, |log| log.level);
        *metadata.level() <= level || is_cause(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LOG.get().map_or(LevelFilter::OFF, |log| log.level.max(LevelFilter::ERROR)))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = LOG.get() else { return };
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        if is_cause(metadata) {
            remember_cause(&text.cause());
        }
        let library = metadata.target().starts_with("lib");
        if *metadata.level() > log.level || (library && log.level < LevelFilter::DEBUG) {
            return;
        }
        let line = one_line(&text.line());
        // runc's word
        let level = match *metadata.level() {
            Level::WARN => "warning".to_owned(),
            level => level.as_str().to_ascii_lowercase(),
        };
        match &log.file {
            Some(file) => write_line(file, log.format, &level, &line),
            None => eprintln!("brig: {level}: {line}"),
        }
    }
}

fn is_cause(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::ERROR && metadata.target().starts_with("lib")
}

/// An event's fields as text.
#[derive(Default)]
struct Text {
    message: String,
    error: String,
    rest: String,
}

impl Text {
    fn line(&self) -> String {
        let mut line = self.message.clone();
        for part in [&self.error, &self.rest] {
            if !part.is_empty() {
                line.push_str(": ");
                line.push_str(part.trim());
            }
        }
        line
    }

    fn cause(&self) -> String {
        if self.error.is_empty() { self.message.clone() } else { self.line() }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // writing to a String cannot fail
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "err" | "error" | "e" => write!(self.error, "{value:?}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
        written.unwrap_or_default();
    }
}

/// The causes that the processes of one start have logged.
#[derive(Debug)]
pub struct Causes {
    pipe: OwnedFd,
}

/// Collects what libcontainer logs as errors, in this process and those that it forks.
///
/// # Errors
///
/// No pipe can be made.
pub fn collect_causes() -> anyhow::Result<Causes> {
    let (pipe, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).context("pipe")?;
    *CAUSES.lock().unwrap_or_else(PoisonError::into_inner) = Some(write);
    Ok(Causes { pipe })
}

impl Causes {
    /// The first cause, which is the deepest.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = rustix::io::read(&self.pipe, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
    }
}

fn remember_cause(text: &str) {
    let causes = CAUSES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pipe) = causes.as_ref() {
        let line = format!("{}\n", one_line(text));
        // a pipe that is full has had more causes than anybody reads
        rustix::io::write(pipe.as_fd(), line.as_bytes()).unwrap_or_default();
    }
}

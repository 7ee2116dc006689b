// SPDX-License-Identifier: Apache-2.0
//! `brig log`: what was decided about a container's calls, for people.
//!
//! The supervisor goes on writing meanwhile, and writes two files in turn; what is read here is
//! whole lines in the order of their times. A workload chooses much of what is in them: nothing is
//! printed that a terminal would act on.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use brig_policy::config::Destination;
use brig_policy::log::{LONGEST, Line, describe, printable};

use crate::cli::Log;
use crate::runtime::Context;
use crate::runtime::state::{Record, StateDir, Status};
use crate::supervisor::{SECOND_HALF, STATE_FILE};

/// How often it is looked for new lines.
const PERIOD: Duration = Duration::from_millis(100);

/// Prints the decisions about a container's calls; with `--follow` until the container ends.
///
/// # Errors
///
/// There is no such container, or it has no log that can be read here.
pub fn run(context: &Context, args: &Log) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let record = directory.load()?;
    let mut tails = open(&directory, &record)?;
    let form = if args.json { Form::Json } else { Form::Text };
    loop {
        // before the last look, so that nothing is missed
        let over = !args.follow || has_ended(&directory);
        match print(&mut tails, &record.id, form) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            other => other.context("print the log")?,
        }
        if over {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(PERIOD);
    }
}

/// How lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

fn open(directory: &StateDir, record: &Record) -> anyhow::Result<Vec<Tail>> {
    let id = &record.id;
    if record.supervisor.is_none() && record.init.is_some() {
        bail!("container {id:?} has no log of decisions: brig decides about none of its calls");
    }
    match directory.load_policy()?.settings.log.decisions {
        Destination::State => {
            let halves = [STATE_FILE, SECOND_HALF];
            halves.iter().map(|name| Tail::open(&directory.file(name))).collect()
        }
        Destination::File(path) => Ok(vec![Tail::open(Path::new(&path))?]),
        Destination::Journal => bail!(
            "the decisions about container {id:?} go to the journal: see journalctl BRIG_CONTAINER={id}"
        ),
        Destination::None => {
            bail!(
                "container {id:?} has no log of decisions: config.toml says `decisions = \"none\"`"
            )
        }
    }
}

/// Whether nobody is left who could write. A container that has been deleted has ended.
fn has_ended(directory: &StateDir) -> bool {
    let Ok(record) = directory.load() else { return true };
    let stopped = record.status(directory).is_ok_and(|status| status == Status::Stopped);
    stopped && record.supervisor.is_none_or(|supervisor| !supervisor.is_alive())
}

/// Prints what is new: of two files the older first.
fn print(tails: &mut [Tail], id: &str, form: Form) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for tail in tails.iter_mut() {
        tail.fill()?;
    }
    tails.sort_by_cached_key(Tail::first_time);
    for tail in tails {
        loop {
            while let Some(text) = tail.next_line() {
                if let Some(shown) = show(&text, id, form) {
                    writeln!(out, "{shown}")?;
                }
            }
            if tail.fill()? == 0 {
                break;
            }
        }
    }
    out.flush()
}

/// A line about this container; others share a file.
fn show(text: &[u8], id: &str, form: Form) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let line = Line::parse(text).filter(|line| line.container() == id)?;
    Some(match form {
        Form::Text => describe(&line),
        Form::Json => printable(text.as_bytes(), LONGEST),
    })
}

/// A file that is being written, as far as it has been read.
#[derive(Debug)]
struct Tail {
    file: File,
    offset: u64,
    /// What has been read and not been printed.
    unread: Vec<u8>,
}

impl Tail {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self { file, offset: 0, unread: Vec::new() })
    }

    /// Reads on, and says how much there was.
    fn fill(&mut self) -> io::Result<usize> {
        const CHUNK: u64 = 2 * LONGEST as u64;
        if self.unread.len() > LONGEST {
            // unless a whole line is in it, it is none of ours
            if self.unread.contains(&b'\n') {
                return Ok(0);
            }
            self.unread.clear();
        }
        if self.file.metadata()?.len() < self.offset {
            // it has begun anew
            (self.offset, self.unread) = (0, Vec::new());
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let count = (&self.file).take(CHUNK).read_to_end(&mut self.unread)?;
        self.offset += count as u64;
        Ok(count)
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.unread.drain(..=end).collect();
        line.pop();
        Some(line)
    }

    /// When the first line was written that has not been printed.
    fn first_time(&self) -> String {
        let mut lines = self.unread.split(|byte| *byte == b'\n');
        let first = lines.find_map(|line| Line::parse(std::str::from_utf8(line).ok()?));
        first.map(|line| line.time().to_owned()).unwrap_or_default()
    }
}

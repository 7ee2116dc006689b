// SPDX-License-Identifier: Apache-2.0
//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use brig_policy::log::{Allowance, Line, Note, Repeats};
use chrono::{SecondsFormat, Utc};

use super::sink::Sink;
use super::{Counts, Message};
use crate::supervisor::confine;

const STACK: usize = 128 * 1024;
/// How often it is reported that decisions were lost.
const REPORT: Duration = Duration::from_secs(1);

/// Makes lines of decisions, and writes them.
#[derive(Debug)]
pub struct Writer {
    container: String,
    sink: Sink,
    notes: Receiver<Message>,
    counts: Arc<Counts>,
    repeats: Repeats,
    allowance: Allowance,
    began: Instant,
    reported: Option<Duration>,
}

impl Writer {
    /// Not begun yet: no thread may be before namespaces are joined.
    pub(super) fn new(
        container: String,
        sink: Sink,
        notes: Receiver<Message>,
        counts: Arc<Counts>,
        per_second: u32,
    ) -> Self {
        let (repeats, allowance) = (Repeats::default(), Allowance::new(per_second));
        let began = Instant::now();
        Self { container, sink, notes, counts, repeats, allowance, began, reported: None }
    }

    /// Begins, in a thread that has no capability and reaches nothing but what it holds.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(self) -> std::io::Result<()> {
        let live = move || {
            // what it cannot give up it must not be trusted with: decisions are lost then
            let confined = confine::keep_only(0).and_then(|()| confine::reach_nothing());
            if confined.is_ok() {
                self.run();
            }
        };
        let builder = std::thread::Builder::new().name("brig-log".to_owned()).stack_size(STACK);
        builder.spawn(live).map(drop)
    }

    fn run(mut self) {
        loop {
            let ended = match self.next() {
                Ok(Message::Note(note)) => {
                    self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.take(*note);
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
                Ok(Message::End(done)) => Some(Some(done)),
                Err(RecvTimeoutError::Disconnected) => Some(None),
            };
            if let Some(done) = ended {
                self.finish();
                // who asked may have given up
                done.map_or(Ok(()), |done| done.try_send(())).unwrap_or_default();
                return;
            }
            let now = self.began.elapsed();
            for (note, count) in self.repeats.due(now) {
                self.write(&note, count);
            }
            self.report(now);
        }
    }

    fn next(&self) -> Result<Message, RecvTimeoutError> {
        let due = self.repeats.next(self.began.elapsed());
        let lost = (self.lost() > 0).then_some(REPORT);
        match due.into_iter().chain(lost).min() {
            Some(wait) => self.notes.recv_timeout(wait),
            None => self.notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, note: Note) {
        if let Some(first) = self.repeats.add(self.began.elapsed(), note) {
            self.write(&first, 1);
        }
    }

    fn write(&mut self, note: &Note, count: u64) {
        let written = self.allowance.take(self.began.elapsed()) && {
            let line = Line::entry(&now(), &self.container, note, count);
            self.sink.put(&line).is_ok()
        };
        if !written {
            self.counts.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Says how many were lost, once in a second; what cannot be said is said later.
    fn report(&mut self, at: Duration) {
        if self.lost() == 0 || self.reported.is_some_and(|last| at < last + REPORT) {
            return;
        }
        self.reported = Some(at);
        let lost = self.counts.lost.swap(0, Ordering::Relaxed);
        if self.sink.put(&Line::lost(&now(), &self.container, lost)).is_err() {
            self.counts.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    fn finish(&mut self) {
        for (note, count) in self.repeats.rest() {
            self.write(&note, count);
        }
        self.reported = None;
        self.report(self.began.elapsed());
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

// SPDX-License-Identifier: Apache-2.0
//! Repeats are counted, not repeated; and what is written in a second is bounded.
//!
//! Times are those since any moment in the past; who calls has a clock.

use std::time::Duration;

use super::Note;

/// How long repeats are counted before they are written.
const WINDOW: Duration = Duration::from_secs(1);
/// How many different decisions are remembered; what is beyond is written each time.
const MOST: usize = 128;

/// The decisions of the last second, and how often each has come again.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    note: Note,
    since: Duration,
    again: u64,
}

impl Repeats {
    /// Takes a decision. What comes for the first time is to be written now.
    pub fn add(&mut self, now: Duration, note: Note) -> Option<Note> {
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.note.is_like(&note)) {
            seen.again += 1;
            // who did it last
            seen.note.caller = note.caller;
            return None;
        }
        if self.seen.len() < MOST {
            self.seen.push(Seen { note: note.clone(), since: now, again: 0 });
        }
        Some(note)
    }

    /// What came again within a second that is over by now, and how often.
    pub fn due(&mut self, now: Duration) -> Vec<(Note, u64)> {
        let over = |seen: &mut Seen| seen.since + WINDOW <= now;
        let over = self.seen.extract_if(.., over);
        over.filter(|seen| seen.again > 0).map(|seen| (seen.note, seen.again)).collect()
    }

    /// Everything that came again and has not been written.
    pub fn rest(&mut self) -> Vec<(Note, u64)> {
        self.due(Duration::MAX)
    }

    /// In how long something is due.
    #[must_use]
    pub fn next(&self, now: Duration) -> Option<Duration> {
        let first = self.seen.iter().map(|seen| seen.since + WINDOW).min()?;
        Some(first.saturating_sub(now))
    }
}

/// How many lines may be written in a second.
#[derive(Debug)]
pub struct Allowance {
    most: u32,
    second: u64,
    used: u32,
}

impl Allowance {
    /// So many.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, second: 0, used: 0 }
    }

    /// Whether one more may be written.
    pub fn take(&mut self, now: Duration) -> bool {
        if now.as_secs() != self.second {
            (self.second, self.used) = (now.as_secs(), 0);
        }
        self.used = self.used.saturating_add(1);
        self.used <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_is_written_at_once_and_the_rest_is_counted() {
        let mut repeats = Repeats::default();
        assert!(repeats.add(ms(0), note("read /a")).is_some());
        assert!(repeats.add(ms(1), note("read /a")).is_none());
        assert!(repeats.add(ms(2), note("read /b")).is_some());
        assert!(repeats.add(ms(999), note("read /a")).is_none());
        assert_eq!(repeats.next(ms(999)), Some(ms(1)));
        assert!(repeats.due(ms(999)).is_empty());
        let due: Vec<u64> = repeats.due(ms(1000)).into_iter().map(|(_, count)| count).collect();
        assert_eq!(due, [2]);
        assert!(repeats.due(ms(1002)).is_empty(), "it came once");
        assert!(repeats.add(ms(1003), note("read /a")).is_some());
    }

    #[test]
    fn what_differs_in_anything_but_the_process_is_no_repeat() {
        let mut repeats = Repeats::default();
        let first = note("read /a");
        let mut other = first.clone();
        if let Some(caller) = &mut other.caller {
            (caller.pid, caller.comm) = (9, b"other".to_vec());
        }
        assert!(repeats.add(ms(0), first.clone()).is_some());
        assert!(repeats.add(ms(0), other.clone()).is_none());
        if let Some(caller) = &mut other.caller {
            caller.uid = 1;
        }
        assert!(repeats.add(ms(0), other).is_some());
        assert!(repeats.add(ms(0), Note { syscall: "stat", ..first }).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut repeats = Repeats::default();
        for number in 0..10_000 {
            assert!(repeats.add(ms(0), note(&format!("read /{number}"))).is_some());
        }
        assert_eq!(repeats.seen.len(), MOST);
        assert!(repeats.rest().is_empty());
    }

    #[test]
    fn no_more_than_allowed_is_written_in_a_second() {
        let mut allowance = Allowance::new(2);
        let taken: Vec<bool> = (0..4).map(|_| allowance.take(ms(1500))).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(allowance.take(ms(2000)));
        assert!(!Allowance::new(0).take(ms(0)));
    }
}

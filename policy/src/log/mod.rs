// SPDX-License-Identifier: Apache-2.0
//! The log of decisions: one line of JSON for each, and the same for people.
//!
//! Guarantees: whatever a workload puts into names, a [`Line`] is written as one line of valid JSON
//! without characters that a terminal acts on, no longer than [`LONGEST`], and [`Line::parse`] reads
//! it back. What is read from a file is made printable again: somebody else may have written there.
//!
//! What this does not do: know the time, write anything, or decide.

mod hint;
mod journal;
mod people;
mod repeats;
mod text;

use serde::{Deserialize, Serialize};

pub use hint::hint;
pub use journal::datagram;
pub use people::describe;
pub use repeats::{Allowance, Repeats};
pub use text::printable;

use crate::decide::{Basis, Decision, Operation, Verdict};
use crate::policy::{Errno, LogLevel, Mode, Policy};

/// No line is longer, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// What a path takes, and a word before it.
const LONG: usize = 4200;
const SHORT: usize = 256;

/// A decision to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who asked; `None` where that could not be found out any more.
    pub caller: Option<Caller>,
    /// By which system call.
    pub syscall: &'static str,
    /// For what.
    pub operation: Operation,
    /// What was decided.
    pub decision: Decision,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The process, by its number in the container.
    pub pid: i32,
    /// The thread's name, which it has chosen itself.
    pub comm: Vec<u8>,
    /// The effective user id, in the container.
    pub uid: u32,
}

impl Note {
    /// Whether it differs from another in nothing but the process.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let uid = |note: &Self| note.caller.as_ref().map(|caller| caller.uid);
        uid(self) == uid(other)
            && self.syscall == other.syscall
            && self.operation == other.operation
            && self.decision == other.decision
    }
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was allowed.
    Allow,
    /// It was denied.
    Deny,
    /// It was allowed, because what denies it is only logged.
    Audit,
}

impl Outcome {
    /// Of a decision.
    #[must_use]
    pub const fn of(decision: &Decision) -> Self {
        match (decision.verdict, decision.mode) {
            (Verdict::Allow, _) => Self::Allow,
            (Verdict::Deny { .. } | Verdict::Kill, Mode::Enforce) => Self::Deny,
            (Verdict::Deny { .. } | Verdict::Kill, Mode::Audit) => Self::Audit,
        }
    }

    /// Whether a log of this level has it. What is only logged is always logged.
    #[must_use]
    pub const fn is_logged(self, level: LogLevel) -> bool {
        match (self, level) {
            (Self::Audit, _) | (_, LogLevel::All) | (Self::Deny, LogLevel::Denied) => true,
            (Self::Allow, LogLevel::Denied) | (Self::Allow | Self::Deny, LogLevel::None) => false,
        }
    }
}

/// What is logged under a policy: the most that any of its layers asks for, so that no profile takes
/// from what the operator requires.
#[must_use]
pub fn level(policy: &Policy) -> LogLevel {
    let levels = policy.layers().filter_map(|layer| layer.audit.log.as_ref());
    levels.map(|level| level.value).max().unwrap_or_default()
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A decision.
    Entry(Box<Entry>),
    /// That there were more.
    Lost(Lost),
}

/// A decision, as it is logged. All text is [`printable`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When: RFC 3339, UTC.
    pub time: String,
    /// The container's identifier.
    pub container: String,
    /// The process, by its number in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The thread's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// The effective user id, in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The system call.
    pub syscall: String,
    /// The operation, as `brig policy explain` takes it.
    pub object: String,
    /// What of it was decided about, where it needs several things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What was decided.
    pub decision: Outcome,
    /// What it failed with, or would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// What decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Cited>,
    /// What enforced it.
    pub mechanism: String,
    /// How often.
    pub count: u64,
    /// What a profile would have to say for it to be allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A rule, or a list that names nothing of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cited {
    /// The list or setting, such as `files.deny`.
    pub list: String,
    /// `file:line`, where it is a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// That decisions were not logged: there were too many, or the log could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// When this was written.
    pub time: String,
    /// The container's identifier.
    pub container: String,
    /// How many, since the last such line.
    pub lost: u64,
}

impl Line {
    /// A decision that was made `count` times, lastly at `time`.
    #[must_use]
    pub fn entry(time: &str, container: &str, note: &Note, count: u64) -> Self {
        let Note { caller, syscall, operation, decision } = note;
        let caller = caller.as_ref();
        Self::Entry(Box::new(Entry {
            time: short(time),
            container: printable(container.as_bytes(), 1024),
            pid: caller.map(|caller| caller.pid),
            comm: caller.map(|caller| printable(&caller.comm, 64)),
            uid: caller.map(|caller| caller.uid),
            syscall: short(syscall),
            object: printable(operation.to_string().as_bytes(), 2 * LONG),
            part: decision.part.as_deref().map(|part| printable(part.as_bytes(), LONG)),
            decision: Outcome::of(decision),
            errno: errno(decision).map(|errno| errno.to_string()),
            rule: cited(&decision.basis),
            mechanism: "supervisor".to_owned(),
            count,
            hint: hint(operation, decision),
        }))
    }

    /// That so many decisions are missing.
    #[must_use]
    pub fn lost(time: &str, container: &str, lost: u64) -> Self {
        let container = printable(container.as_bytes(), 1024);
        Self::Lost(Lost { time: short(time), container, lost })
    }

    /// As JSON, without a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        // strings, numbers and nothing else: this does not fail
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST || !text::is_printable(text) {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// When it was written.
    #[must_use]
    pub fn time(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.time,
            Self::Lost(lost) => &lost.time,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn container(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.container,
            Self::Lost(lost) => &lost.container,
        }
    }
}

impl Entry {
    /// The operation; `None` where it is too long to be written out.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        if text::is_cut(&self.object) {
            return None;
        }
        Operation::parse(&self.object).ok()
    }
}

fn short(text: &str) -> String {
    printable(text.as_bytes(), SHORT)
}

fn errno(decision: &Decision) -> Option<Errno> {
    match decision.verdict {
        Verdict::Allow => None,
        Verdict::Deny { errno } => Some(errno),
        Verdict::Kill => Some(Errno::EPERM),
    }
}

fn cited(basis: &Basis) -> Option<Cited> {
    match basis {
        Basis::Rule(rule) => Some(Cited {
            list: rule.list.to_string(),
            at: Some(short(&rule.origin.to_string())),
            text: Some(short(&rule.origin.text.split_whitespace().collect::<Vec<_>>().join(" "))),
            reason: rule.reason.as_deref().map(short),
        }),
        Basis::NotGranted(list) | Basis::Default(list) => {
            Some(Cited { list: list.to_string(), at: None, text: None, reason: None })
        }
        Basis::Unrestricted | Basis::TooComplex => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::profile::{Loaded, NoFiles, read};

    fn policy(profile: &str) -> Policy {
        let (identity, name) = ("web.toml".to_owned(), "web.toml".to_owned());
        let root = Loaded { identity, name, bytes: profile.as_bytes().to_vec() };
        read(root, &mut NoFiles, &Default::default()).resolved.unwrap().policy
    }

    fn decided(profile: &str, operation: Operation) -> Note {
        let decision = decide(&policy(profile), &operation);
        let caller = Caller { pid: 7, comm: b"cat".to_vec(), uid: 1000 };
        Note { caller: Some(caller), syscall: "openat", operation, decision }
    }

    /// Of `[files] read = ["/srv"]`.
    pub(super) fn note(operation: &str) -> Note {
        decided("[files]\nread = [\"/srv\"]\n", Operation::parse(operation).unwrap())
    }

    fn entry(profile: &str, operation: &str) -> Line {
        let note = decided(profile, Operation::parse(operation).unwrap());
        Line::entry("2026-11-22T13:00:00.000Z", "web", &note, 1)
    }

    fn check_hint(profile: &str, operation: &str, expected: Option<&str>) {
        let note = decided(profile, Operation::parse(operation).unwrap());
        assert_eq!(hint(&note.operation, &note.decision).as_deref(), expected, "{operation}");
    }

    const PROFILE: &str = "[files]
read = [\"/srv\"]
deny = [
  { path = \"/srv/**/*.key\", reason = \"private keys\" },
]
[network]
connect = [\"tcp 10.0.0.0/8:5432\"]
deny = [\"tcp @metadata\"]
";

    #[test]
    fn an_entry_is_one_line_with_stable_keys() {
        let line = entry(PROFILE, "read /srv/x.key");
        let expected = concat!(
            r#"{"time":"2026-11-22T13:00:00.000Z","container":"web","pid":7,"comm":"cat","#,
            r#""uid":1000,"syscall":"openat","object":"read /srv/x.key","decision":"deny","#,
            r#""errno":"EACCES","rule":{"list":"files.deny","at":"web.toml:4","#,
            r#""text":"{ path = \"/srv/**/*.key\", reason = \"private keys\" }","#,
            r#""reason":"private keys"},"mechanism":"supervisor","count":1,"#,
            r#""hint":"except = [\"/srv/x.key\"] in web.toml:4"}"#,
        );
        assert_eq!(line.to_json(), expected);
        assert_eq!(Line::parse(expected), Some(line));
    }

    #[test]
    fn what_is_allowed_has_no_errno_and_no_hint() {
        let line = entry(PROFILE, "read /srv/a");
        let Line::Entry(entry) = &line else { panic!("{line:?}") };
        assert_eq!((entry.decision, &entry.errno, &entry.hint), (Outcome::Allow, &None, &None));
        assert_eq!(entry.rule.as_ref().and_then(|rule| rule.at.as_deref()), Some("web.toml:2"));
    }

    #[test]
    fn lost_ones_are_counted_in_a_line_of_their_own() {
        let line = Line::lost("2026-11-22T13:00:00.000Z", "web", 7);
        let text = r#"{"time":"2026-11-22T13:00:00.000Z","container":"web","lost":7}"#;
        assert_eq!(line.to_json(), text);
        assert_eq!(Line::parse(text), Some(line));
    }

    #[test]
    fn a_hint_is_the_line_that_allows() {
        check_hint(PROFILE, "read /etc/a", Some("files.read = [\"/etc/a\"]"));
        check_hint(PROFILE, "read /srv/a", None);
        check_hint(
            PROFILE,
            "connect tcp 1.2.3.4:443",
            Some("network.connect = [\"tcp 1.2.3.4:443\"]"),
        );
        let metadata = "except = [\"tcp 169.254.169.254:80\"] in web.toml:8";
        check_hint(PROFILE, "connect tcp 169.254.169.254:80", Some(metadata));
        let write = "[files]\nwrite = [\"/tmp\"]\n";
        check_hint(write, "rename /tmp/a /usr/a", Some("files.write = [\"/usr/a\"]"));
        check_hint(write, "create /a/b*", Some("files.write = ['/a/b\\*']"));
        let bind = "[network]\nbind = []\n";
        check_hint(bind, "bind unix @a", Some("network.bind = [\"unix @a\"]"));
        check_hint(bind, "bind unix", None);
    }

    #[test]
    fn a_hint_allows_what_was_denied_and_is_read_by_the_profile_language() {
        for name in
            ["a", "*?[]{},", "back\\\\slash", "quo\"te", "ap'os\"t", "\\x01", "${x}", "\\xff"]
        {
            let operation = Operation::parse(&format!("read /etc/{name}")).unwrap();
            let note = decided("[files]\nread = [\"/srv\"]\n", operation);
            let hint = hint(&note.operation, &note.decision).unwrap();
            let (_, list) = hint.split_once(" = ").unwrap();
            let again = decide(&policy(&format!("[files]\nread = {list}\n")), &note.operation);
            assert!(again.allows(), "{hint}");
        }
    }

    #[test]
    fn the_level_is_the_most_that_any_layer_asks_for() {
        let check = |own: &str, required: &str, expected: LogLevel| {
            let both = policy(own).require(&policy(required));
            assert_eq!(level(&both), expected, "{own} {required}");
        };
        let (none, all) = ("[audit]\nlog = \"none\"\n", "[audit]\nlog = \"all\"\n");
        assert_eq!(level(&policy("")), LogLevel::Denied);
        assert_eq!(level(&policy(none)), LogLevel::None);
        check(none, all, LogLevel::All);
        check(all, none, LogLevel::All);
        check(none, "", LogLevel::None);
    }

    #[test]
    fn what_is_only_logged_is_always_logged() {
        for level in [LogLevel::None, LogLevel::Denied, LogLevel::All] {
            assert!(Outcome::Audit.is_logged(level));
        }
        assert!(!Outcome::Deny.is_logged(LogLevel::None));
        assert!(!Outcome::Allow.is_logged(LogLevel::Denied));
        let profile = "[audit]\nmode = \"audit\"\n[files]\nread = []\n";
        let note = decided(profile, Operation::parse("read /a").unwrap());
        assert_eq!(Outcome::of(&note.decision), Outcome::Audit);
    }

    #[test]
    fn the_longest_line_is_short_enough() {
        let path =
            crate::path::AbsPath::new(&[b"/\\\"".repeat(1300), vec![b'a']].concat()).unwrap();
        let file = crate::decide::FileOperation::Link {
            from: path.clone(),
            to: path,
            kind: crate::decide::FileKind::Socket,
        };
        let note = decided("[files]\nread = []\nwrite = []\n", Operation::File(file));
        let line = Line::entry("now", &"c".repeat(1024), &note, u64::MAX);
        assert!(line.to_json().len() <= LONGEST, "{}", line.to_json().len());
        assert_eq!(Line::parse(&line.to_json()), Some(line));
    }
}

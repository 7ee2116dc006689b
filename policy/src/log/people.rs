// SPDX-License-Identifier: Apache-2.0
//! A line of the log for people.

use super::text::printable;
use super::{Cited, Entry, LONGEST, Line, Lost, Outcome};

/// One line of text, without a line feed. What is read from a file may be anybody's: it is made
/// [`printable`] again.
#[must_use]
pub fn describe(line: &Line) -> String {
    let text = match line {
        Line::Entry(entry) => sentence(entry),
        Line::Lost(Lost { time, lost, .. }) => format!("{time} {lost} decisions were not logged"),
    };
    printable(text.as_bytes(), LONGEST)
}

fn sentence(entry: &Entry) -> String {
    let Entry { time, syscall, object, .. } = entry;
    let mut text = format!("{time} {} {syscall}: {object}", word(entry.decision));
    if let Some(part) = &entry.part {
        text.push_str(&format!(", which needs {part}"));
    }
    if let Some(errno) = &entry.errno {
        text.push_str(&format!(" ({errno})"));
    }
    if let Some(rule) = &entry.rule {
        text.push_str(&by(rule, entry.decision));
    }
    text.push_str(&who(entry));
    if entry.count > 1 {
        text.push_str(&format!(", {} times", entry.count));
    }
    if let Some(hint) = &entry.hint {
        text.push_str(&format!("; hint: {hint}"));
    }
    text
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::Audit => "audit",
    }
}

fn by(rule: &Cited, outcome: Outcome) -> String {
    match (&rule.at, &rule.reason) {
        (Some(at), Some(reason)) => format!(" by {at} ({reason})"),
        (Some(at), None) => format!(" by {at}"),
        (None, _) if outcome == Outcome::Allow => format!(" by {}", rule.list),
        (None, _) => format!(": not in {}", rule.list),
    }
}

fn who(entry: &Entry) -> String {
    match (entry.pid, &entry.comm, entry.uid) {
        (Some(pid), Some(comm), Some(uid)) => format!(", pid {pid} ({comm}) uid {uid}"),
        _ => ", by a process that is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_reads_as_a_sentence() {
        let text = r#"{"time":"2026-11-22T13:00:00Z","container":"c","pid":7,"comm":"cat","uid":0,
            "syscall":"openat","object":"read /srv/x.key","decision":"deny","errno":"EACCES",
            "rule":{"list":"files.deny","at":"web.toml:12","reason":"private keys"},
            "mechanism":"supervisor","count":3,"hint":"except = [\"/srv/x.key\"] in web.toml:12"}"#;
        let line = Line::parse(&text.replace('\n', "")).unwrap();
        let expected = "2026-11-22T13:00:00Z deny openat: read /srv/x.key (EACCES) by web.toml:12 \
            (private keys), pid 7 (cat) uid 0, 3 times; hint: except = [\"/srv/x.key\"] in web.toml:12";
        assert_eq!(describe(&line), expected);
    }

    #[test]
    fn a_line_that_somebody_else_wrote_does_nothing_to_a_terminal() {
        let text = "{\"time\":\"\\u001b[2J\",\"container\":\"c\",\"lost\":1}";
        let line = Line::parse(text).unwrap();
        assert_eq!(describe(&line), "\\x1b[2J 1 decisions were not logged");
        assert_eq!(Line::parse("{\"time\":\"\u{9b}2J\",\"container\":\"c\",\"lost\":1}"), None);
    }
}

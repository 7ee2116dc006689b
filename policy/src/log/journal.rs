// SPDX-License-Identifier: Apache-2.0
//! A line of the log as the system's journal takes it: the native protocol of systemd-journald,
//! one field a line. No value has a line feed in it.

use super::people::describe;
use super::{Line, Outcome};

/// The datagram for `/run/systemd/journal/socket`.
#[must_use]
pub fn datagram(line: &Line) -> Vec<u8> {
    let (priority, decision) = match line {
        Line::Entry(entry) => match entry.decision {
            Outcome::Allow => (6, "allow"),
            Outcome::Deny => (5, "deny"),
            Outcome::Audit => (5, "audit"),
        },
        Line::Lost(_) => (4, "lost"),
    };
    let fields = [
        ("MESSAGE", describe(line)),
        ("PRIORITY", priority.to_string()),
        ("SYSLOG_IDENTIFIER", "brig".to_owned()),
        ("BRIG_CONTAINER", line.container().to_owned()),
        ("BRIG_DECISION", decision.to_owned()),
        ("BRIG_LINE", line.to_json()),
    ];
    fields.iter().flat_map(|(name, value)| format!("{name}={value}\n").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_line() {
        let text = String::from_utf8(datagram(&Line::lost("now", "web", 2))).unwrap();
        let expected = "MESSAGE=now 2 decisions were not logged\nPRIORITY=4\n\
            SYSLOG_IDENTIFIER=brig\nBRIG_CONTAINER=web\nBRIG_DECISION=lost\n\
            BRIG_LINE={\"time\":\"now\",\"container\":\"web\",\"lost\":2}\n";
        assert_eq!(text, expected);
    }
}

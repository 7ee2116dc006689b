// SPDX-License-Identifier: Apache-2.0
//! A decision as a sentence.
//!
//! The sentence begins with `allow`, `deny` or `kill`, names the operation, the
//! rule that decided with its text and place, its reason, and for a deny the rule
//! that would have allowed it. Text of a profile is shown on one line and without
//! control characters.

use crate::decide::{Basis, Decision, Operation, Rule, Verdict};
use crate::policy::Mode;

/// Longer texts of rules are cut.
const LONG: usize = 160;

/// Says what was decided about `operation`, and why.
#[must_use]
pub fn explain(operation: &Operation, decision: &Decision) -> String {
    let subject = match &decision.part {
        Some(part) => format!("`{operation}` needs `{part}`, which"),
        None => format!("`{operation}`"),
    };
    let mut sentence = format!("{}: {subject} {}", word(decision), because(decision));
    if decision.mode == Mode::Audit && !decision.allows() {
        sentence.push_str("; it is only logged, because audit.mode is \"audit\"");
    }
    sentence
}

fn word(decision: &Decision) -> &'static str {
    match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Deny { .. } => "deny",
        Verdict::Kill => "kill",
    }
}

fn because(decision: &Decision) -> String {
    let effect = match decision.verdict {
        Verdict::Allow => String::new(),
        Verdict::Deny { errno } => format!(" ({errno})"),
        Verdict::Kill => " (the process is killed)".to_owned(),
    };
    match (&decision.basis, &decision.next_best) {
        (Basis::Rule(rule), None) if decision.allows() => format!("is allowed by {}", cite(rule)),
        (Basis::Rule(rule), Some(other)) if decision.allows() => {
            format!(
                "is allowed by {}; without that it would be denied by {}",
                cite(rule),
                cite(other)
            )
        }
        (Basis::Rule(rule), None) => format!("is denied{effect} by {}", cite(rule)),
        (Basis::Rule(rule), Some(other)) => {
            format!("would be allowed by {}, but denied{effect} by {}", cite(other), cite(rule))
        }
        (Basis::NotGranted(list), None) => {
            format!(
                "is denied{effect}, because no rule grants it: {list} allows only what it names"
            )
        }
        (Basis::NotGranted(list), Some(other)) => format!(
            "is denied{effect}, because no rule grants it: {list} allows only what it names; {} comes nearest",
            cite(other)
        ),
        (Basis::TooComplex, _) => format!(
            "is denied{effect}, because the rules are too entangled to find out that it is allowed"
        ),
        (Basis::Unrestricted, _) => "is allowed, because no rule restricts it".to_owned(),
        (Basis::Default(list), _) if decision.allows() => {
            format!("is allowed, which is the default of {list}")
        }
        (Basis::Default(list), _) => format!("is denied{effect}, which is the default of {list}"),
    }
}

/// A rule's place, text, list and reason.
fn cite(rule: &Rule) -> String {
    let text = one_line(&rule.origin.text);
    let mut cited = format!("{}, {text} in {}", rule.origin, rule.list);
    // The text of a table has its reason in it, unless it was cut.
    if let Some(reason) = rule.reason.as_deref().filter(|reason| !text.contains(*reason)) {
        cited.push_str(&format!(" ({})", one_line(reason)));
    }
    cited
}

/// The text with its white space collapsed, control characters escaped, and not
/// longer than a line or two.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = String::new();
    for character in words.join(" ").chars() {
        if line.len() > LONG {
            line.push('…');
            break;
        }
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::profile::{Loaded, NoFiles, read};

    fn check(profile: &str, operation: &str, expected: &str) {
        let (identity, name) = ("web.toml".to_owned(), "web.toml".to_owned());
        let root = Loaded { identity, name, bytes: profile.as_bytes().to_vec() };
        let reading = read(root, &mut NoFiles, &Default::default());
        let policy = reading.resolved.unwrap().policy;
        let operation = Operation::parse(operation).unwrap();
        assert_eq!(explain(&operation, &decide(&policy, &operation)), expected);
    }

    const FILES: &str = "[files]
read = [\"/\"]
write = [\"/tmp\"]
deny = [
  \"/etc/shadow\",
  { path = \"/srv/**/*.key\",
    reason = \"private keys\" },
]
";

    #[test]
    fn a_deny_names_the_grant_that_it_overrules() {
        check(
            FILES,
            "read /etc/shadow",
            "deny: `read /etc/shadow` would be allowed by web.toml:2, \"/\" in files.read, but \
             denied (EACCES) by web.toml:5, \"/etc/shadow\" in files.deny",
        );
    }

    #[test]
    fn a_rule_of_several_lines_is_shown_on_one_with_its_reason_once() {
        check(
            FILES,
            "read /srv/a/b.key",
            "deny: `read /srv/a/b.key` would be allowed by web.toml:2, \"/\" in files.read, but \
             denied (EACCES) by web.toml:6, { path = \"/srv/**/*.key\", reason = \"private keys\" } \
             in files.deny",
        );
    }

    #[test]
    fn what_no_rule_grants_is_denied_by_the_list() {
        check(
            FILES,
            "create /usr/x",
            "deny: `create /usr/x` is denied (EACCES), because no rule grants it: files.write \
             allows only what it names",
        );
    }

    #[test]
    fn what_nothing_restricts_is_allowed() {
        let expected = "allow: `syscall mount` is allowed, because no rule restricts it";
        check(FILES, "syscall mount", expected);
        check(FILES, "list /", "allow: `list /` is allowed by web.toml:2, \"/\" in files.read");
    }

    #[test]
    fn an_operation_of_several_parts_says_which_is_denied() {
        check(
            FILES,
            "rename /tmp/a /usr/a",
            "deny: `rename /tmp/a /usr/a` needs `create /usr/a`, which is denied (EACCES), because \
             no rule grants it: files.write allows only what it names",
        );
    }

    #[test]
    fn kills_defaults_and_audit_mode_are_said() {
        check(
            "[syscalls]\nkill = [\"kexec_load\"]\n",
            "syscall kexec_load",
            "kill: `syscall kexec_load` is denied (the process is killed) by web.toml:2, \
             \"kexec_load\" in syscalls.kill",
        );
        check(
            "",
            "process new-privileges",
            "deny: `process new-privileges` is denied (EPERM), which is the default of \
             process.no_new_privileges",
        );
        check(
            "[audit]\nmode = \"audit\"\n[files]\nread = []\n",
            "read /a",
            "deny: `read /a` is denied (EACCES), because no rule grants it: files.read allows only \
             what it names; it is only logged, because audit.mode is \"audit\"",
        );
    }

    #[test]
    fn control_characters_of_a_rule_are_escaped_and_long_rules_are_cut() {
        assert_eq!(one_line("a\u{1b}[31m\n  b"), "a\\u{1b}[31m b");
        assert!(one_line(&"x".repeat(1000)).chars().count() < 170);
    }
}

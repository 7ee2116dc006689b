// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/mountinfo`, proc_pid_mountinfo(5).

use crate::path::AbsPath;

/// Where file systems of a kind are mounted.
#[must_use]
pub fn of_kind(text: &[u8], kind: &str) -> Vec<AbsPath> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| mount_point(line, kind.as_bytes()))
        .collect()
}

/// The mount point of a line whose file system is of the kind.
fn mount_point(line: &[u8], kind: &[u8]) -> Option<AbsPath> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let mut from_dash = fields.iter().skip_while(|field| **field != b"-");
    if *from_dash.nth(1)? != kind {
        return None;
    }
    AbsPath::new(&unescaped(fields.get(4)?)).ok()
}

/// Blanks, tabs, newlines and backslashes stand as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        let digits = (*first == b'\\').then(|| others.get(..3)).flatten();
        match digits.and_then(octal) {
            Some(byte) => {
                bytes.push(byte);
                rest = others.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    // numbers may have a sign, escapes do not
    let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_kind() {
        let text = b"22 1 0:21 / /proc rw,nosuid - proc proc rw\n\
            23 1 0:22 / /a\\040b rw shared:1 - proc proc rw\n24 1 0:23 / /sys rw - sysfs proc rw\n";
        let found: Vec<String> = of_kind(text, "proc").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["/proc", "/a b"]);
        assert!(of_kind(b"garbage\n- proc\n", "proc").is_empty());
    }

    #[test]
    fn what_is_no_escape_is_left_as_it_is() {
        for text in [r"\+12", r"\999", r"\777", r"\04"] {
            assert_eq!(unescaped(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(unescaped(br"\134040\0401"), br"\040 1");
    }
}

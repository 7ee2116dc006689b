// SPDX-License-Identifier: Apache-2.0
//! A task's limits: `/proc/TID/limits`, proc_pid_limits(5).

/// The soft limit of the line with this title; `None`: there is none, or no such line.
#[must_use]
pub fn soft(text: &[u8], title: &str) -> Option<u64> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| line.strip_prefix(title.as_bytes()))?;
    let rest = std::str::from_utf8(rest).ok()?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_found_by_its_title() {
        let text = b"Limit                     Soft Limit           Hard Limit           Units\n\
            Max cpu time              unlimited            unlimited            seconds\n\
            Max file size             4096                 8192                 bytes\n";
        assert_eq!(soft(text, "Max file size"), Some(4096));
        assert_eq!(soft(text, "Max cpu time"), None);
        assert_eq!(soft(text, "Max locked memory"), None);
    }
}

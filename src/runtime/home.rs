// SPDX-License-Identifier: Apache-2.0
//! `HOME` for a process whose specification has none: from the container's passwd(5).
//!
//! The file is the container's, so it is data of a stranger's: read bounded, from a regular file,
//! without the C library's name service, which would load code from the container.

use std::fs::File;
use std::io::Read;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// The most that is read of the file, in bytes.
const LIMIT: u64 = 4 << 20;

/// The environment with a `HOME`: kept where it has one that is not empty.
#[must_use]
pub fn complete(env: &[String], uid: u32) -> Vec<String> {
    let mut env = env.to_vec();
    if env.iter().any(|one| one.strip_prefix("HOME=").is_some_and(|home| !home.is_empty())) {
        return env;
    }
    env.retain(|one| one != "HOME=");
    let home = read("/etc/passwd").and_then(|text| find(&text, uid));
    env.push(format!("HOME={}", home.unwrap_or_else(|| "/".to_owned())));
    env
}

fn read(path: &str) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = open(path, flags, Mode::empty()).ok()?;
    let found = fstat(&fd).ok()?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut text = Vec::new();
    File::from(fd).take(LIMIT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// `name:password:uid:gid:gecos:home:shell`
fn find(text: &[u8], uid: u32) -> Option<String> {
    for line in text.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let found = fields.get(2).and_then(|field| std::str::from_utf8(field).ok());
        if found.and_then(|field| field.parse::<u32>().ok()) != Some(uid) {
            continue;
        }
        let home = fields.get(5).and_then(|field| std::str::from_utf8(field).ok())?;
        return (home.starts_with('/') && !home.contains('\0')).then(|| home.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_a_uid_decides() {
        let text = b"root:x:0:0:root:/root:/bin/sh\n\nx:1\nu:x:7:7::/home/u:\nv:x:7:7::/v:";
        assert_eq!(find(text, 0).as_deref(), Some("/root"));
        assert_eq!(find(text, 7).as_deref(), Some("/home/u"));
        assert_eq!(find(text, 8), None);
    }

    #[test]
    fn a_home_that_is_no_path_is_not_taken() {
        assert_eq!(find(b"u:x:7:7::../x:", 7), None);
        assert_eq!(find(b"u:x:7:7::\xff:", 7), None);
    }

    #[test]
    fn a_home_that_is_set_is_kept() {
        let env = vec!["HOME=/x".to_owned(), "A=".to_owned()];
        assert_eq!(complete(&env, 0), env);
    }
}

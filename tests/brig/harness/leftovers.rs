// SPDX-License-Identifier: Apache-2.0
//! What a test has left behind: state directories, cgroups, mounts, processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::process;

/// What is left, once processes that have been killed had time to end.
pub fn settled(tag: &str, roots: &[PathBuf]) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        process::reap_orphans();
        let found = search(tag, roots);
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        process::pause();
    }
}

fn search(tag: &str, roots: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for root in roots {
        found.extend(entries(root).iter().map(|one| format!("state {}/{one}", root.display())));
    }
    found.extend(cgroups(tag).iter().map(|one| format!("cgroup {}", one.display())));
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(
        mountinfo.lines().filter(|one| one.contains(tag)).map(|one| format!("mount {one}")),
    );
    found.extend(processes(tag).iter().map(|pid| format!("process {}", process::describe(*pid))));
    found
}

/// The names in a directory.
pub fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|one| one.file_name().to_string_lossy().into_owned()).collect()
}

/// Directories below /sys/fs/cgroup whose name contains the tag, inner ones first.
pub fn cgroups(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    descend(Path::new("/sys/fs/cgroup"), tag, false, &mut found);
    found
}

fn descend(directory: &Path, tag: &str, below: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let matches = below || names(&entry.file_name().to_string_lossy(), tag);
        descend(&entry.path(), tag, matches, found);
        if matches {
            found.push(entry.path());
        }
    }
}

/// The tag, and no longer number that begins with it.
fn names(text: &str, tag: &str) -> bool {
    text.match_indices(tag)
        .any(|(at, _)| !text[at + tag.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// Processes that belong to the test: by cgroup, by arguments, by what they have mounted, or because
/// they are orphans of this process.
fn processes(tag: &str) -> Vec<i32> {
    let me = i32::try_from(std::process::id()).unwrap();
    let alone = std::env::var_os("NEXTEST").is_some();
    let orphans = if alone { process::children_of(me) } else { Vec::new() };
    // a mount that a test has left on the host is in the table of every process of the host
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let apart = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok() != own;
    let belongs = |pid: &i32| {
        let reads = |name: &str| {
            let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            names(&String::from_utf8_lossy(&text), tag)
        };
        let mounted = || apart(pid) && reads("mountinfo");
        orphans.contains(pid) || reads("cgroup") || reads("cmdline") || mounted()
    };
    let others = process::all().into_iter().filter(|pid| *pid != me && process::is_alive(*pid));
    others.filter(belongs).collect()
}

/// Removes what is left, so that the next test does not suffer.
pub fn sweep(tag: &str) {
    // first the mounts: what sees one of them from another namespace is not the test's by that
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| names(point, tag)).collect::<Vec<_>>().iter().rev() {
        rustix::mount::unmount(*point, rustix::mount::UnmountFlags::DETACH).unwrap_or_default();
    }
    for pid in processes(tag) {
        process::signal(pid, 9);
        process::wait_for_end(pid, Duration::from_secs(5));
    }
    process::reap_orphans();
    for cgroup in cgroups(tag) {
        fs::remove_dir(cgroup).unwrap_or_default();
    }
}

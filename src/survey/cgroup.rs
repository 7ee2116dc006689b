// SPDX-License-Identifier: Apache-2.0
//! Cgroups: a few reads and access checks, cheap enough for every create.

use std::fs;
use std::path::Path;

use brig_policy::survey::{Cgroups, Found, Hierarchy, Own, Setup, Top, base, layout};
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The cgroups of this host.
#[must_use]
pub fn cgroups() -> Cgroups {
    let read = |path: &str| {
        // cgroups may have any bytes in their names; one that cannot be shown cannot be used either
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    let found = layout(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let hierarchies = found.found.into_iter().map(|one| hierarchy(found.setup, one)).collect();
    Cgroups { setup: found.setup, hierarchies, problem: found.problem }
}

fn hierarchy(setup: Setup, found: Found) -> Hierarchy {
    let at = Path::new(&found.mount_point);
    let is_root = match setup {
        // files that every cgroup but the root has, and that the root alone has: cgroups(7)
        Setup::V2 => !at.join("cgroup.type").exists(),
        _ => at.join("release_agent").exists(),
    };
    Hierarchy {
        top: Top { writable: is_writable(setup, at), is_root, occupied: is_occupied(at) },
        own: found.own.map(|path| own(setup, at, is_root, path)),
        controllers: if setup == Setup::V2 { controllers(at) } else { found.controllers },
        mount_point: found.mount_point,
    }
}

fn own(setup: Setup, mount_point: &Path, is_root: bool, path: String) -> Own {
    let below = |path: &str| mount_point.join(path.trim_start_matches('/'));
    let sibling = below(&path).with_file_name("containers");
    let has_sibling = path != "/" && sibling.is_dir();
    let base = match setup {
        Setup::V2 => base(&path, is_root, has_sibling),
        // no leaf is needed, and so none is made
        _ => path.clone(),
    };
    let directory = below(&base);
    Own {
        writable: is_writable(setup, &directory),
        controllers: controllers(&directory),
        path,
        base,
    }
}

/// Whether cgroups can be made there and, on v2, be given controllers and processes.
fn is_writable(setup: Setup, directory: &Path) -> bool {
    let can = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    let files: &[&str] = match setup {
        Setup::V2 => &["cgroup.procs", "cgroup.subtree_control"],
        _ => &[],
    };
    can(directory, Access::WRITE_OK | Access::EXEC_OK)
        && files.iter().all(|file| can(&directory.join(file), Access::WRITE_OK))
}

fn is_occupied(directory: &Path) -> bool {
    fs::read(directory.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
}

fn controllers(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

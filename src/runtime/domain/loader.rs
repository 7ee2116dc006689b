// SPDX-License-Identifier: Apache-2.0
//! Dynamic loaders, where what may be executed is restricted: each is covered by a copy that can
//! only interpret (`brig_policy::plan::files::for_interpreting_only`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{self, Kind, Settled, Tree};
use brig_policy::policy::Access;
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, UnmountFlags, open_tree, unmount};

use super::mounts;
use super::tree::RealTree;
use crate::sys::mount::{Tree as Mounts, set_read_only};

/// How much of a program is read to find its loader's name.
const HEAD: u64 = 64 * 1024;
/// The most that a loader may have, in bytes; musl's, which is its C library, has 800 KiB.
const MAX_LOADER: u64 = 32 << 20;

/// The most loaders that are covered: an image has one for each architecture and C library.
const MOST_LOADERS: usize = 64;

/// What programs need to be run by.
#[derive(Debug, Default)]
pub struct Loaders {
    /// Covered ones that no rule lets be executed, as programs need them to be.
    pub needed: Vec<AbsPath>,
    /// Scripts that are granted, and whose interpreter is not.
    pub stranded: Vec<String>,
}

/// Covers the loaders of a tree.
///
/// # Errors
///
/// A program that cannot be read; a loader that cannot be covered.
pub fn cover(tree: &mut RealTree<'_>, settled: &Settled) -> Result<Loaders, String> {
    let mut loaders = Loaders::default();
    let mut named = Vec::new();
    for grant in settled.rules() {
        if !grant.directory && grant.access.contains(Access::Execute) {
            named.extend(program(tree, settled, &grant.path, &mut loaders)?);
        }
    }
    let known = files::candidates(tree).map_err(|error| format!("loaders: {error}"))?;
    let all: BTreeSet<AbsPath> = named.into_iter().chain(known).collect();
    if all.len() > MOST_LOADERS {
        return Err(format!(
            "the image has {} dynamic loaders: more than {MOST_LOADERS}",
            all.len()
        ));
    }
    for path in all {
        let covered = cover_one(tree, &path).map_err(|error| format!("loader {path}: {error}"))?;
        // INVARIANT: what is granted here has been covered, and runs nothing by itself
        if covered && !settled.may_execute(&path) {
            loaders.needed.push(path);
        }
    }
    Ok(loaders)
}

/// Finds out what a granted program is run by: the loader that it names.
fn program(
    tree: &mut RealTree<'_>,
    settled: &Settled,
    path: &AbsPath,
    loaders: &mut Loaders,
) -> Result<Option<AbsPath>, String> {
    let head = read(tree, path, HEAD).map_err(|error| format!("{path}: {error}"))?;
    let mut named = None;
    if let Some(loader) = files::interpreter(&head) {
        let found = tree.resolve(&loader).map_err(|error| format!("{path}: {error}"))?;
        named = (found.kind == Some(Kind::File)).then_some(found.path);
    }
    if let Some(interpreter) = files::script_interpreter(&head) {
        let found = tree.resolve(&interpreter).map_err(|error| format!("{path}: {error}"))?;
        if !settled.may_execute(&found.path) {
            loaders.stranded.push(format!(
                "{path} is a script that {interpreter} runs, which files.execute does not name: it \
                 cannot be executed"
            ));
        }
    }
    Ok(named)
}

fn read(tree: &RealTree<'_>, path: &AbsPath, most: u64) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(tree.open(path, flags)?);
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Mounts the copy over the loader; false where it is none.
fn cover_one(tree: &RealTree<'_>, path: &AbsPath) -> Result<bool, String> {
    let bytes = read(tree, path, MAX_LOADER + 1).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_LOADER {
        return Err(format!("is larger than {MAX_LOADER} bytes"));
    }
    let copy = match files::for_interpreting_only(bytes) {
        Ok(copy) => copy,
        // a script or a text by a loader's name runs nothing by itself
        Err(files::ElfError::NotElf) => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    mount_copy(tree, path, &copy).map_err(|error| error.to_string())?;
    Ok(true)
}

fn mount_copy(tree: &RealTree<'_>, path: &AbsPath, copy: &[u8]) -> std::io::Result<()> {
    let target = tree.open(path, OFlags::PATH)?;
    let size = (copy.len() + 64 * 1024).to_string();
    let scratch = mounts::tmpfs(&size, MountAttrFlags::empty())?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(openat(&scratch, "loader", flags, Mode::from_raw_mode(0o755))?);
    file.write_all(copy)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o755))?;
    drop(file);
    // KERNEL(6.15): before, only what is attached somewhere can be cloned: so it is, for a moment,
    // on the directory that has the loader
    let above = parent(path);
    let directory = tree.open(&above, OFlags::PATH | OFlags::DIRECTORY)?;
    mounts::attach_to(scratch.as_fd(), directory.as_fd())?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let cloned = open_tree(&scratch, "loader", clone);
    let name = std::ffi::CString::new(above.as_bytes())?;
    unmount(name.as_c_str(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    let cloned = cloned?;
    set_read_only(cloned.as_fd(), Mounts::One)?;
    Ok(mounts::attach_to(cloned.as_fd(), target.as_fd())?)
}

fn parent(path: &AbsPath) -> AbsPath {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    AbsPath::new(&bytes[..end]).unwrap_or_else(|_| AbsPath::root())
}

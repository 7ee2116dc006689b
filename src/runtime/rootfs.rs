// SPDX-License-Identifier: Apache-2.0
//! The root filesystem before libcontainer touches it.
//!
//! An image is written by a stranger. Its symbolic links are resolved here, inside it, once, and
//! the mount destinations are rewritten to what they resolve to; what would lead outside, and what
//! brig itself makes devices and mounts in (`/`, `/dev`, `/proc`, `/sys`), is refused where it is a
//! link.
//!
//! What it does not guarantee: that the tree stays as it is. Whoever else can write it (a volume
//! shared with another container) can swap a directory for a link later; libcontainer resolves
//! every destination inside the root again when it mounts.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use libcontainer::oci_spec::runtime::Spec;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, statat};
use rustix::io::Errno;

/// The most links that one path may have: the kernel's limit.
const MAX_LINKS: usize = 40;

/// An opened root filesystem.
#[derive(Debug)]
pub struct Rootfs {
    /// Its path, absolute and without symbolic links.
    pub path: PathBuf,
    /// The directory.
    pub fd: OwnedFd,
}

impl Rootfs {
    /// Opens `root.path` of a bundle.
    ///
    /// # Errors
    ///
    /// It is missing, not a directory, or a symbolic link.
    pub fn open(bundle: &Path, written: &Path) -> anyhow::Result<Self> {
        let path = bundle.join(written);
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name),
            _ => bail!("root.path: {} is the host's own root", path.display()),
        };
        let attempt = || -> rustix::io::Result<OwnedFd> {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let parent = rustix::fs::open(parent, flags, Mode::empty())?;
            openat(parent, name, flags | OFlags::NOFOLLOW, Mode::empty())
        };
        let fd = attempt().map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => {
                anyhow::anyhow!("root.path: {} is not a directory", path.display())
            }
            error => anyhow::anyhow!("root.path: open {}: {error}", path.display()),
        })?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .context("root.path: readlink /proc/self/fd")?;
        if path == Path::new("/") {
            bail!("root.path: is the host's own root");
        }
        Ok(Rootfs { path, fd })
    }

    /// Refuses links where brig works, and resolves the mounts' destinations.
    ///
    /// # Errors
    ///
    /// What is refused, with the field that names it.
    // RACE: whoever shares a volume with the container can swap a directory for a link between this
    // and the mount; libcontainer resolves every destination inside the root again when it mounts,
    // so that what is decided here can only refuse more
    pub fn settle(&self, spec: &mut Spec) -> anyhow::Result<()> {
        for name in ["dev", "proc", "sys"] {
            self.refuse_link(name)?;
        }
        let mut mounts = spec.mounts().clone().unwrap_or_default();
        let mut earlier: Vec<PathBuf> = Vec::new();
        for (index, mount) in mounts.iter_mut().enumerate() {
            let destination = normal(mount.destination());
            // below an earlier mount it is that mount's tree which decides
            let covered = earlier.iter().any(|above| destination.starts_with(above));
            if covered {
                mount.set_destination(destination.clone());
            } else {
                let resolved = self
                    .resolve(&destination)
                    .with_context(|| format!("mounts[{index}].destination"))?;
                mount.set_destination(resolved);
            }
            if destination != Path::new("/") {
                earlier.push(mount.destination().clone());
            }
        }
        spec.set_mounts(Some(mounts));
        Ok(())
    }

    fn refuse_link(&self, name: &str) -> anyhow::Result<()> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => bail!("root.path: /{name} of the root filesystem: {error}"),
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => Ok(()),
                FileType::Symlink => bail!(
                    "root.path: /{name} of the root filesystem is a symbolic link; it must be an \
                     ordinary directory"
                ),
                _ => bail!("root.path: /{name} of the root filesystem is not a directory"),
            },
        }
    }

    /// The path that `path` resolves to inside the root. What does not exist stays as written.
    ///
    /// # Errors
    ///
    /// A link that leads outside, a loop, a file where a directory is needed.
    pub fn resolve(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        if relative.as_os_str().is_empty() {
            return Ok(PathBuf::from("/"));
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let plain = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.fd, relative, flags, Mode::empty(), plain) {
            Ok(found) if !is_link(&found)? => return Ok(path.to_owned()),
            Ok(_) | Err(Errno::LOOP | Errno::NOENT | Errno::NOTDIR | Errno::NOSYS) => {}
            Err(error) => bail!("{}: {error}", path.display()),
        }
        Walk::new(self.fd.as_fd(), path).run()
    }

    /// Whether a directory exists at `path`, inside the root.
    ///
    /// # Errors
    ///
    /// As [`Rootfs::resolve`]; something else than a directory is there.
    pub fn has_directory(&self, path: &Path) -> anyhow::Result<bool> {
        let resolved = self.resolve(path)?;
        let relative = resolved.strip_prefix("/").unwrap_or(&resolved);
        if relative.as_os_str().is_empty() {
            return Ok(true);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(&self.fd, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::NOTDIR) => bail!("{}: not a directory", path.display()),
            Err(error) => bail!("{}: {error}", path.display()),
        }
    }
}

/// Makes the directories of `path` that are missing, inside `root`, mode 0755.
///
/// # Errors
///
/// The kernel's; a link met on the way, since another may have put it there meanwhile.
pub fn make_directories(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut at = openat(root, ".", flags, Mode::empty())?;
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        so_far.push(name);
        at = match openat2(root, &so_far, flags, Mode::empty(), inside) {
            Err(Errno::NOENT) => {
                match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                    Err(Errno::EXIST) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
                openat2(&at, name, flags, Mode::empty(), inside | ResolveFlags::NO_SYMLINKS)?
            }
            other => other?,
        };
    }
    Ok(at)
}

/// Without `//`, `.` and a trailing slash; `..` has been refused.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    clean.extend(path.components().filter(|part| matches!(part, Component::Normal(_))));
    clean
}

fn is_link(fd: &OwnedFd) -> anyhow::Result<bool> {
    let found = rustix::fs::fstat(fd).context("fstat")?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

/// Resolution by hand, so that a link that climbs out is seen rather than clamped.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    path: &'a Path,
    /// What is still to be walked, the next component last.
    rest: Vec<OsString>,
    /// What has been resolved, with the directory of each.
    done: Vec<(OsString, Option<OwnedFd>)>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(root: BorrowedFd<'a>, path: &'a Path) -> Self {
        let mut walk = Walk { root, path, rest: Vec::new(), done: Vec::new(), links: 0 };
        walk.push(path);
        walk
    }

    fn push(&mut self, path: &Path) {
        let parts = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        self.rest.extend(parts);
    }

    fn run(mut self) -> anyhow::Result<PathBuf> {
        while let Some(name) = self.rest.pop() {
            if name == ".." {
                if self.done.pop().is_none() {
                    bail!("{}: a symbolic link leads outside the root", self.path.display());
                }
            } else {
                self.step(name)?;
            }
        }
        let mut resolved = PathBuf::from("/");
        resolved.extend(self.done.iter().map(|(name, _)| name));
        Ok(resolved)
    }

    fn step(&mut self, name: OsString) -> anyhow::Result<()> {
        let parent = match self.done.last() {
            None => Some(self.root),
            Some((_, directory)) => directory.as_ref().map(AsFd::as_fd),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match parent.map(|parent| openat(parent, &name, flags, Mode::empty())) {
            None | Some(Err(Errno::NOENT)) => None,
            Some(Err(Errno::NOTDIR)) => bail!("{}: not a directory", self.path.display()),
            Some(Err(error)) => bail!("{}: {error}", self.path.display()),
            Some(Ok(opened)) => Some(opened),
        };
        match opened {
            Some(link) if is_link(&link)? => self.follow(&link),
            opened => {
                self.done.push((name, opened));
                Ok(())
            }
        }
    }

    fn follow(&mut self, link: &OwnedFd) -> anyhow::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            bail!("{}: too many levels of symbolic links", self.path.display());
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new())
            .with_context(|| format!("{}: readlink", self.path.display()))?;
        let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
        if target.is_absolute() {
            self.done.clear();
        }
        self.push(&target);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(name: &str) -> Rootfs {
        let path = std::env::temp_dir().join(format!("brig-rootfs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("run/lock")).unwrap();
        std::fs::create_dir_all(path.join("var")).unwrap();
        symlink("/run", path.join("var/run")).unwrap();
        symlink("../../../../etc", path.join("var/out")).unwrap();
        symlink("loop", path.join("loop")).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        Rootfs::open(Path::new("/"), &path).unwrap()
    }

    fn check(name: &str, path: &str, expected: Result<&str, &str>) {
        let rootfs = tree(name);
        let found = rootfs.resolve(Path::new(path));
        std::fs::remove_dir_all(&rootfs.path).unwrap();
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, Path::new(expected)),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, expected) => panic!("{path}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_link_is_resolved_inside_the_root() {
        check("a", "/var/run/secrets/x", Ok("/run/secrets/x"));
        check("b", "/var/run", Ok("/run"));
    }

    #[test]
    fn a_link_that_climbs_out_is_refused() {
        check("c", "/var/out/x", Err("outside"));
    }

    #[test]
    fn a_loop_is_refused() {
        check("d", "/loop/x", Err("too many levels"));
    }

    #[test]
    fn what_does_not_exist_stays_as_written() {
        check("e", "/new/dir", Ok("/new/dir"));
    }

    #[test]
    fn a_file_in_the_way_is_refused() {
        check("f", "/file/x", Err("not a directory"));
    }
}

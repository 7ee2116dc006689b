// SPDX-License-Identifier: Apache-2.0
//! Device files and programs.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use brig_policy::survey::{Device, Devices, Programs};
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};

use super::child::refusal;

/// Where programs are that are not in everybody's PATH.
const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Device files.
pub fn devices() -> Devices {
    let misc = fs::read_to_string("/proc/misc").unwrap_or_default();
    let find = |path: &str, driver: &str| device(path, is_registered(&misc, driver));
    Devices { fuse: find("/dev/fuse", "fuse"), tun: find("/dev/net/tun", "tun") }
}

/// Whether /proc/misc has a driver of this name.
fn is_registered(misc: &str, driver: &str) -> bool {
    misc.lines().any(|line| line.split_whitespace().nth(1) == Some(driver))
}

/// Opening a file whose driver is a module that is not loaded would load it: then only the
/// permission is looked at.
fn device(path: &str, is_registered: bool) -> Device {
    let access = || accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS);
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let (found, tried) = if is_registered {
        (Device::Opens, open(path, flags, Mode::empty()).map(drop))
    } else {
        (Device::NotLoaded, access())
    };
    match tried {
        Ok(()) => found,
        Err(error) => Device::Refused(refusal(format!("open {path}"), &error.into())),
    }
}

/// Programs.
pub fn programs() -> Programs {
    let path = env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| program(&path, name).map(|found| found.display().to_string());
    Programs {
        fuse_overlayfs: find("fuse-overlayfs"),
        fusermount: find("fusermount3").or_else(|| find("fusermount")),
        pasta: find("pasta"),
        newuidmap: find("newuidmap"),
        newgidmap: find("newgidmap"),
    }
}

fn program(path: &OsStr, name: &str) -> Option<PathBuf> {
    let usual = DIRECTORIES.iter().map(PathBuf::from);
    // an empty or relative entry means the working directory, which is nobody's installation
    let all = env::split_paths(path).filter(|one| one.is_absolute()).chain(usual);
    all.map(|directory| directory.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_registered_by_its_whole_name() {
        let misc = "234 btrfs-control\n200 tun\n 59 fuse\n";
        for (driver, expected) in [("tun", true), ("fuse", true), ("btrfs", false), ("200", false)]
        {
            assert_eq!(is_registered(misc, driver), expected, "{driver}");
        }
    }

    #[test]
    fn a_program_is_an_executable_file_of_an_absolute_directory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("brig-test-program");
        fs::create_dir(directory.path().join("brig-test-directory")).unwrap();
        fs::write(&file, "").unwrap();
        let find = |name: &str| program(directory.path().as_os_str(), name);
        assert_eq!(find("brig-test-program"), None, "not executable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&file, mode).unwrap();
        assert_eq!(find("brig-test-program"), Some(file));
        assert_eq!(find("brig-test-directory"), None);
        assert_eq!(program(OsStr::new("."), "src"), None);
        assert!(program(OsStr::new(""), "sh").is_some(), "the usual directories are searched, too");
    }

    #[test]
    fn a_device_that_is_not_there_is_refused() {
        for is_registered in [true, false] {
            let Device::Refused(refusal) = device("/dev/brig-test-none", is_registered) else {
                panic!("there is none")
            };
            assert_eq!(refusal.to_string(), "open /dev/brig-test-none: No such file or directory");
        }
        assert_eq!(device("/dev/null", true), Device::Opens);
        assert_eq!(device("/dev/null", false), Device::NotLoaded);
    }
}

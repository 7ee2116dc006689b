// SPDX-License-Identifier: Apache-2.0
//! The version of the libseccomp that is installed, by its file's name: brig has no use for it, and
//! its code is not loaded to be asked.

use std::fs;
use std::path::Path;

/// Where libraries are; each one's subdirectories for architectures are searched, too.
const DIRECTORIES: [&str; 5] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64"];

/// The newest version that is installed.
pub fn version() -> Option<String> {
    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
    let multiarch = format!("{machine}-linux-gnu");
    let places = DIRECTORIES.iter().map(Path::new);
    let found = places.flat_map(|place| [place.to_owned(), place.join(&multiarch)]);
    found.flat_map(|place| versions_in(&place)).max().map(|numbers| {
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        numbers.join(".")
    })
}

fn versions_in(directory: &Path) -> Vec<Vec<u32>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| version_of(&entry.file_name().to_string_lossy())).collect()
}

/// `2.5.4` of `libseccomp.so.2.5.4`; the links beside it have fewer numbers.
fn version_of(name: &str) -> Option<Vec<u32>> {
    let numbers = name.strip_prefix("libseccomp.so.")?;
    let numbers: Vec<u32> = numbers.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    (numbers.len() >= 3).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_files_name() {
        let check = |name: &str, expected: Option<&[u32]>| {
            assert_eq!(version_of(name).as_deref(), expected, "{name}");
        };
        check("libseccomp.so.2.5.4", Some(&[2, 5, 4]));
        check("libseccomp.so.2.10.0", Some(&[2, 10, 0]));
        for name in ["libseccomp.so", "libseccomp.so.2", "libseccomp.so.2.5.4.bak", "libc.so.6"] {
            check(name, None);
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["libseccomp.so.2.5.4", "libseccomp.so.2.10.0", "libseccomp.so.2"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let newest = versions_in(directory.path()).into_iter().max();
        assert_eq!(newest, Some(vec![2, 10, 0]));
    }
}

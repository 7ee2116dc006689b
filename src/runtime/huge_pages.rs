// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.hugepageLimits`: only sizes that the host has can be limited.

use anyhow::{Context as _, bail};
use libcontainer::oci_spec::runtime::LinuxResources;

const SIZES: &str = "/sys/kernel/mm/hugepages";

/// Refuses a limit of pages that this host does not have.
///
/// # Errors
///
/// The field, and the sizes that there are.
pub fn check(resources: &LinuxResources) -> anyhow::Result<()> {
    let limits = resources.hugepage_limits().as_deref().unwrap_or_default();
    if limits.is_empty() {
        return Ok(());
    }
    let sizes = sizes()?;
    for (index, limit) in limits.iter().enumerate() {
        if !sizes.contains(limit.page_size()) {
            bail!(
                "linux.resources.hugepageLimits[{index}].pageSize: {:?} is no size of this host's \
                 huge pages: {}",
                limit.page_size(),
                if sizes.is_empty() { "there are none".to_owned() } else { sizes.join(", ") }
            );
        }
    }
    Ok(())
}

/// As the files of the hugetlb controller are named.
fn sizes() -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(SIZES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("list {SIZES}"))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut sizes: Vec<u64> = names.filter_map(|name| kilobytes(&name)).collect();
    sizes.sort_unstable();
    Ok(sizes.into_iter().map(name).collect())
}

fn kilobytes(directory: &str) -> Option<u64> {
    directory.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()
}

fn name(kilobytes: u64) -> String {
    match kilobytes {
        ..0x400 => format!("{kilobytes}KB"),
        0x400..0x10_0000 => format!("{}MB", kilobytes >> 10),
        _ => format!("{}GB", kilobytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::{kilobytes, name};

    #[test]
    fn sizes_have_the_controllers_names() {
        for (directory, expected) in [
            ("hugepages-64kB", "64KB"),
            ("hugepages-2048kB", "2MB"),
            ("hugepages-1048576kB", "1GB"),
            ("hugepages-16777216kB", "16GB"),
        ] {
            assert_eq!(kilobytes(directory).map(name).as_deref(), Some(expected));
        }
        assert_eq!(kilobytes("hugepages-2MB"), None);
    }
}

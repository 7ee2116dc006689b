// SPDX-License-Identifier: Apache-2.0
//! What a test needs of the machine. A test that cannot run says so, and only a test that is listed
//! here may: a skip never comes as a surprise.

use std::path::Path;

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// runc, to compare with.
    Runc,
    /// criu.
    Criu,
    /// Podman and conmon.
    Podman,
    /// containerd and ctr.
    Containerd,
    /// Hierarchies of cgroup v1.
    Hierarchies,
    /// /dev/fuse.
    Fuse,
}

impl Feature {
    /// What the set-up installs.
    const ALL: [Feature; 4] = [Feature::Runc, Feature::Criu, Feature::Podman, Feature::Containerd];

    /// Why it cannot be used here, if so.
    fn missing(self) -> Option<&'static str> {
        let installed = |program: &str| {
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/local/sbin"]
                .iter()
                .any(|directory| Path::new(directory).join(program).exists())
        };
        let all = |programs: &[&str]| programs.iter().all(|one| installed(one));
        match self {
            Feature::Runc => (!all(&["runc"])).then_some("runc is not installed"),
            Feature::Criu => (!all(&["criu"])).then_some("criu is not installed"),
            Feature::Podman => (!all(&["podman", "conmon"])).then_some("podman is not installed"),
            Feature::Containerd => {
                (!all(&["containerd", "ctr"])).then_some("containerd is not installed")
            }
            Feature::Hierarchies => Path::new("/sys/fs/cgroup/cgroup.controllers")
                .exists()
                .then_some("this host has cgroup v2 alone"),
            Feature::Fuse => (!Path::new("/dev/fuse").exists()).then_some("there is no /dev/fuse"),
        }
    }

    /// The modules whose tests may be skipped without it.
    const fn users(self) -> &'static [&'static str] {
        match self {
            Feature::Runc => &["beside_runc"],
            Feature::Criu => &["checkpoint"],
            Feature::Hierarchies => &["lifecycle", "regions"],
            Feature::Fuse => &["sinks", "stalled"],
            Feature::Podman | Feature::Containerd => &["engines", "user_namespaces"],
        }
    }
}

/// Whether the test may go on; otherwise says why not. To be called by a test with `module_path!()`.
/// `make test` installs everything and sets BRIG_TESTS_COMPLETE: nothing may be missing there.
#[must_use]
pub fn require(feature: Feature, module: &str, test: &str) -> bool {
    let Some(reason) = feature.missing() else { return true };
    let module = module.rsplit("::").next().unwrap_or(module);
    assert!(feature.users().contains(&module), "{module}::{test} may not be skipped: {reason}");
    println!("SKIP {test}: {reason}");
    eprintln!("SKIP {test}: {reason}");
    false
}

#[test]
fn nothing_that_the_set_up_installs_is_missing() {
    if std::env::var_os("BRIG_TESTS_COMPLETE").is_none() {
        return;
    }
    let missing: Vec<_> = Feature::ALL.iter().filter_map(|feature| feature.missing()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

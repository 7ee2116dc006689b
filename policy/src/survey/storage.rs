// SPDX-License-Identifier: Apache-2.0
//! Checks of what root filesystems are made with.

use super::report::Check;
use super::{Device, Survey};

pub(super) fn overlay(survey: &Survey) -> Check {
    const NAME: &str = "overlayfs";
    const REMEDY: &str = "modprobe overlay, or use a kernel that is built with CONFIG_OVERLAY_FS";
    let Some(refusal) = survey.overlay.refusal() else {
        return Check::ok(NAME, "mounted and written to");
    };
    let check = Check::ok(NAME, format!("cannot be used: {refusal}"));
    match fuse_lacks(survey) {
        None => check.optional("root filesystems are layered by fuse-overlayfs, slowly", REMEDY),
        Some(_) => check.limited("engines copy a whole image for every container", REMEDY),
    }
}

pub(super) fn fuse_overlayfs(survey: &Survey) -> Check {
    const NAME: &str = "fuse-overlayfs";
    match (fuse_lacks(survey), survey.overlay.works()) {
        (None, _) => Check::ok(NAME, "can be used"),
        (Some(lack), true) => Check::ok(NAME, format!("{lack}; not needed beside overlayfs")),
        (Some(lack), false) => Check::ok(NAME, lack).limited(
            "nothing stands in for overlayfs",
            "install fuse-overlayfs and fuse3, and make /dev/fuse accessible",
        ),
    }
}

/// What keeps fuse-overlayfs from working, if anything does.
fn fuse_lacks(survey: &Survey) -> Option<String> {
    if survey.programs.fuse_overlayfs.is_none() {
        return Some("not installed".to_owned());
    }
    if let Device::Refused(refusal) = &survey.devices.fuse {
        return Some(refusal.to_string());
    }
    // it mounts for who may not
    if !survey.is_privileged() && survey.programs.fusermount.is_none() {
        return Some("neither fusermount3 nor fusermount is installed".to_owned());
    }
    None
}

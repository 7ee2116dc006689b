// SPDX-License-Identifier: Apache-2.0
//! `checkpoint`: by criu, whose absence and whose failure are said clearly.

use crate::harness::{Feature, require};
use crate::test;

#[test]
fn without_criu_checkpoint_says_that_it_is_not_installed() {
    let mut t = test!();
    let id = t.start_sleeping();
    let outcome = t
        .brig()
        .args(["checkpoint", "--image-path"])
        .arg(t.path("images"))
        .arg(&id)
        .env("PATH", "/nowhere")
        .run();
    outcome.exits(1).fails_with("criu(8), which is not installed");
    assert_eq!(t.state(&id)["status"], "running");
}

#[test]
fn checkpoint_saves_the_container_or_says_why_criu_could_not() {
    let mut t = test!();
    if !require(Feature::Criu, module_path!(), t.name()) {
        return;
    }
    let id = t.start_sleeping();
    let images = t.path("images");
    let outcome = t.brig().args(["checkpoint", "--image-path"]).arg(&images).arg(&id).run();
    if outcome.status.success() {
        t.await_status(&id, "stopped");
        assert!(images.join("inventory.img").exists());
    } else {
        let outcome = outcome.exits(1).fails_with("criu(8) failed");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert!(
            outcome.stderr.contains("Error") && outcome.stderr.contains("dump.log"),
            "{outcome:?}"
        );
        assert_eq!(t.state(&id)["status"], "running", "a failed checkpoint leaves it as it was");
    }
}

#[test]
fn only_a_running_container_can_be_saved() {
    let mut t = test!();
    t.bundle.args(["/bin/true"]);
    let id = t.create();
    t.call(["checkpoint", &id]).exits(1).fails_with("cannot be checkpointed: it is created");
    t.call(["start", &id]).ok();
    t.await_status(&id, "stopped");
    t.call(["checkpoint", &id]).exits(1).fails_with("cannot be checkpointed: it is stopped");
}

// SPDX-License-Identifier: Apache-2.0
//! create, start, state, kill, delete, run; exit statuses and signals.

use crate::test;

#[test]
fn run_prints_what_the_workload_prints() {
    let mut t = test!();
    t.run(["/bin/echo", "hello"]).prints("hello");
    t.assert_clean();
}

#[test]
fn a_container_goes_from_created_to_running_to_stopped() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.create();
    assert_eq!(t.state(&id)["status"], "created");
    t.call(["start", &id]).ok();
    assert_eq!(t.state(&id)["status"], "running");
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    t.call(["delete", &id]).ok();
    t.assert_clean();
}

// SPDX-License-Identifier: Apache-2.0
//! Many containers: at the same time, and one after the other under load. `make soak` runs more.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::test;

/// BRIG_TESTS_ROUNDS in the place of the usual number.
fn rounds(usual: u32) -> u32 {
    std::env::var("BRIG_TESTS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_foreground_run_of_true_never_hangs() {
    let mut t = test!();
    t.bundle.args(["/bin/true"]);
    t.bundle.write();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // load: what competes for the processors while SIGCHLD is on its way
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let t = &t;
                let cgroup = t.another_bundle(&format!("w{worker}"));
                scope.spawn(move || {
                    cgroup.write();
                    for round in 0..rounds(80) / 4 {
                        let id = t.id(&format!("{worker}-{round}"));
                        let run = t.brig().args(["run", "--bundle"]).arg(&cgroup.dir).arg(id);
                        let outcome = run.run().ok();
                        assert_eq!(outcome.stderr, "");
                        for path in [outcome.out_path, outcome.err_path] {
                            std::fs::remove_file(path).unwrap();
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    t.assert_clean();
}

#[test]
fn twenty_containers_at_once_are_created_used_and_deleted() {
    let t = test!();
    for round in 0..(rounds(12) / 4).min(50) {
        std::thread::scope(|scope| {
            for number in 0..20 {
                let t = &t;
                scope.spawn(move || {
                    let name = format!("p{number}-{round}");
                    let mut bundle = t.another_bundle(&name);
                    bundle.args(["/bin/sleep", "1000"]);
                    bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
                    bundle.write();
                    let id = t.id(&name);
                    t.brig().args(["create", "--bundle"]).arg(&bundle.dir).arg(&id).run().ok();
                    t.call(["start", &id]).ok();
                    t.exec(&id, ["/bin/echo", &id]).prints(&id);
                    t.exec(&id, ["/bin/mkdir", "/x"]).fails_with("Operation not permitted");
                    assert_eq!(t.state(&id)["status"], "running");
                    t.call(["list"]).ok();
                    t.call(["kill", &id, "KILL"]).ok();
                    t.await_status(&id, "stopped");
                    t.call(["delete", &id]).ok();
                    std::fs::remove_dir_all(&bundle.dir).unwrap();
                });
            }
        });
        t.assert_clean();
    }
}

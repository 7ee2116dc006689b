// SPDX-License-Identifier: Apache-2.0
//! Attacks on a supervisor, by what they reach: a secret that is read, a file that is changed, a server
//! that somebody has come to.
//!
//! `attacks.toml` lists them. None may win against a container whose profile forbids what it wants,
//! and each has to win where it should: races against a supervisor that checks a call and lets it go
//! on, the others where nothing is restricted.
//!
//! A race is tried 100,000 times, or as often as `BRIG_RACE_ROUNDS` says, and fails where that takes too
//! long: no race passes for want of time.

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Runner, Test, process, victims};
use crate::namespaces::add_user_namespace;
use crate::test;
use crate::workload::ignore_and_block_everything;
use table::{Attack, Beats, Place, Processes, table};

/// How often a race is tried.
const ROUNDS: u64 = 100_000;
/// How many seconds those may take: several times what they take on a machine that is not busy.
const LONGEST: u64 = 600;
/// And how many a race has to win where it should, or an attack that is no race.
const LONG: u64 = 40;
/// For the container that it is made in.
const AROUND: Duration = Duration::from_secs(60);

/// How often it is tried, and for how many seconds at most.
#[derive(Clone, Copy)]
struct Effort {
    rounds: i64,
    seconds: u64,
}

/// A process that no container has to do with, and that shows which signals have come.
struct Outsider(Child);

impl Outsider {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        command.arg("1000").process_group(0).stdout(Stdio::null());
        ignore_and_block_everything(&mut command);
        Self(process::spawn(&mut command).unwrap())
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What an attack has printed.
struct Score {
    rounds: u64,
    wins: u64,
    ways: Vec<String>,
}

impl Attack {
    /// What it has to fail at.
    fn effort(&self) -> Effort {
        if self.beats == Beats::Bare {
            return Effort { rounds: 1, seconds: LONG };
        }
        let wanted = std::env::var("BRIG_RACE_ROUNDS").map(|rounds| rounds.parse().unwrap());
        let rounds: u64 = wanted.unwrap_or(ROUNDS);
        let seconds = LONGEST * rounds.div_ceil(ROUNDS);
        Effort { rounds: rounds.try_into().unwrap(), seconds }
    }
}

impl Effort {
    /// Until it has won once.
    const TO_WIN: Self = Self { rounds: -10_000_000, seconds: LONG };
}

/// Whether the container has a user namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    Hosts,
    Mapped,
}

/// Gives the container a user namespace, and its root what is attacked.
fn map(t: &mut Test) {
    for directory in ["/work", "/elsewhere"] {
        let chown = t.program("chown").args(["-hR", "100000:100000"]);
        chown.arg(t.bundle.file(directory)).run().ok();
    }
    if t.bundle.config["linux"]["uidMappings"].is_null() {
        add_user_namespace(&mut t.bundle.config);
    }
}

/// Puts what is attacked into the root filesystem, and the programs.
fn plant(t: &mut Test, attack: &Attack) -> Outsider {
    for directory in ["/work", "/elsewhere"] {
        fs::remove_dir_all(t.bundle.file(directory)).unwrap_or_default();
    }
    for (program, name) in [(victims::attack(), "/attack"), (victims::naive(), "/naive")] {
        fs::copy(program, t.bundle.file(name)).unwrap();
    }
    t.program("/bin/busybox")
        .args(["env", victims::attack().to_str().unwrap(), "plant"])
        .current_dir(&t.bundle.rootfs())
        .run()
        .ok();
    let outsider = Outsider::start();
    fs::write(t.bundle.file("/work/outsider"), outsider.0.id().to_string()).unwrap();
    // more than a workload usually has: what holds is the policy
    t.bundle.capabilities(&[
        "CAP_CHECKPOINT_RESTORE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_KILL",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SYS_CHROOT",
    ]);
    t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    t.bundle.config["process"]["cwd"] = json!("/work");
    t.bundle.without_namespace("pid");
    if attack.processes == Processes::Own {
        let namespaces = t.bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({ "type": "pid" }));
    }
    let mounts = t.bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/work");
    if attack.place == Place::Memory {
        let options = ["tmpcopyup"];
        mounts.push(json!({ "destination": "/work", "type": "tmpfs", "options": options }));
    }
    outsider
}

/// Runs an attack in a container, below another program perhaps, and reads what it prints.
fn score(t: &mut Test, profile: &str, below: &[&str], attack: &Attack, effort: Effort) -> Score {
    let (rounds, seconds) = (effort.rounds.to_string(), effort.seconds.to_string());
    t.bundle.args(below.iter().copied().chain(["/attack", &attack.id, &rounds, &seconds]));
    t.bundle.write();
    let brig: Runner = t.brig().args(["--profile", profile, "run", "--bundle"]);
    let limit = Duration::from_secs(effort.seconds) + AROUND;
    let outcome = brig.arg(&t.bundle.dir).arg(t.id("c")).limit(limit).run().ok();
    let said: Value =
        serde_json::from_str(outcome.text()).unwrap_or_else(|_| panic!("{outcome:?}"));
    let ways = said["won"].as_array().unwrap().iter().map(|way| way.as_str().unwrap().to_owned());
    Score {
        rounds: said["rounds"].as_u64().unwrap(),
        wins: said["wins"].as_u64().unwrap(),
        ways: ways.collect(),
    }
}

/// Runs an attack where it has to win.
fn score_where_it_wins(t: &mut Test, attack: &Attack) -> Score {
    let environment = t.bundle.config["process"]["env"].clone();
    if attack.beats == Beats::Emulating {
        t.bundle.config["process"]["env"] = json!(["NAIVE_EMULATES=1"]);
    }
    let score = match attack.beats {
        Beats::Bare => score(t, "none", &[], attack, attack.effort()),
        Beats::Naive | Beats::Emulating => score(t, "none", &["/naive"], attack, Effort::TO_WIN),
    };
    t.bundle.config["process"]["env"] = environment;
    score
}

fn check_wins(users: Users, select: impl Fn(&Attack) -> bool) {
    let mut t = test!();
    let mut failed = Vec::new();
    for attack in table().into_iter().filter(select) {
        let _outsider = plant(&mut t, &attack);
        // the root of a user namespace has fewer
        let ways = if users == Users::Mapped { 1 } else { attack.ways };
        if users == Users::Mapped {
            map(&mut t);
        }
        let loses = |score: &Score| score.wins == 0 || score.ways.len() < ways;
        let mut score = score_where_it_wins(&mut t, &attack);
        // a machine that is busy gives a race few chances: two more
        for _ in 0..2 {
            if loses(&score) {
                score = score_where_it_wins(&mut t, &attack);
            }
        }
        if loses(&score) {
            let ways = score.ways.join(", ");
            failed.push(format!("{}: {} wins, by {ways}", attack.id, score.wins));
        }
    }
    assert!(failed.is_empty(), "these win too little:\n{}", failed.join("\n"));
}

fn check_holds(users: Users, select: impl Fn(&Attack) -> bool) {
    let mut t = test!();
    let mut failed = Vec::new();
    for attack in table().into_iter().filter(select) {
        let _outsider = plant(&mut t, &attack);
        let profile = t.profile("attacked.toml", attack.profile);
        let (id, mut effort, begun) = (&attack.id, attack.effort(), Instant::now());
        if users == Users::Mapped {
            map(&mut t);
            effort.rounds = (effort.rounds / 20).max(1);
        }
        let Score { rounds, wins, ways } =
            score(&mut t, profile.to_str().unwrap(), &[], &attack, effort);
        println!("{id}: {rounds} rounds in {} s", begun.elapsed().as_secs());
        if wins > 0 {
            failed.push(format!("{id}: {wins} of {rounds} rounds won, by {}", ways.join(", ")));
        }
        if rounds.cast_signed() < effort.rounds {
            failed.push(format!("{id}: {rounds} rounds of {} in the time", effort.rounds));
        }
    }
    assert!(failed.is_empty(), "does not hold:\n{}", failed.join("\n"));
}

#[test]
fn the_table_has_all_attacks() {
    let t = test!();
    let listed = t.program(victims::attack().to_str().unwrap()).arg("list").run().ok().stdout;
    let listed: BTreeSet<&str> = listed.lines().collect();
    let table = table();
    assert_eq!(table.iter().map(|one| one.id.as_str()).collect::<BTreeSet<_>>(), listed);
    assert_eq!(table.len(), listed.len(), "one is there twice");
}

#[test]
fn races_beat_a_supervisor_that_checks_and_lets_go_on() {
    check_wins(Users::Hosts, |attack| attack.beats == Beats::Naive);
}

#[test]
fn races_about_callers_beat_a_supervisor_that_does_not_look_at_them() {
    check_wins(Users::Hosts, |attack| attack.beats == Beats::Emulating);
}

#[test]
fn attacks_without_a_race_succeed_where_nothing_is_restricted() {
    check_wins(Users::Hosts, |attack| !attack.is_race());
}

#[test]
fn no_race_about_paths_is_won() {
    check_holds(Users::Hosts, |attack| {
        attack.is_race() && !attack.is_about_sockets() && !attack.is_about_callers()
    });
}

#[test]
fn no_race_about_addresses_is_won() {
    check_holds(Users::Hosts, Attack::is_about_sockets);
}

#[test]
fn no_race_about_callers_is_won() {
    check_holds(Users::Hosts, Attack::is_about_callers);
}

#[test]
fn no_attack_without_a_race_succeeds() {
    check_holds(Users::Hosts, |attack| !attack.is_race());
}

#[test]
fn in_a_user_namespace_attacks_win_where_they_should() {
    check_wins(Users::Mapped, Attack::is_tried_mapped);
}

#[test]
fn in_a_user_namespace_no_attack_wins() {
    check_holds(Users::Mapped, Attack::is_tried_mapped);
}

// SPDX-License-Identifier: Apache-2.0
//! Attacks on a supervisor, by what they reach: a secret that is read, a file that is changed, a server
//! that somebody has come to.
//!
//! `attacks.toml` lists them. None may win against a container whose profile forbids what it wants,
//! and each has to win where it should: races against a supervisor that checks a call and lets it go
//! on, the others where nothing is restricted. `BRIG_RACE_ROUNDS` says how often a race is tried
//! (100,000 times or for five seconds, unless it does).

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Runner, Test, victims};
use crate::test;

/// Forbids what the attacks want, and nothing that they need.
const PROFILE: &str = r#"
name = "attacked"
[files]
deny = ["/work/**/*.denied"]
[network]
connect = [
  "tcp 127.0.0.1:1-7776", "tcp 127.0.0.1:7778-65535", "tcp [::1]:1-7776", "tcp [::1]:7778-65535",
  "udp 127.0.0.1", "udp [::1]", "udp 127.0.0.3", "unix /work/open/*",
]
bind    = ["tcp 127.0.0.0/8", "udp 127.0.0.0/8", "tcp [::1]", "udp [::1]", "unix *"]
[process]
user_namespaces = true
"#;

/// How long an attack may take with the container that it is made in: more than what [`effort`] says.
const LONGEST: Duration = Duration::from_secs(550);

/// What wins where, from the table.
struct Attack {
    id: String,
    beats: Beats,
    ways: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beats {
    Naive,
    Emulating,
    Bare,
}

/// What an attack has printed.
struct Score {
    rounds: u64,
    wins: u64,
    ways: Vec<String>,
}

fn table() -> Vec<Attack> {
    let text = include_str!("attacks.toml");
    let entries = text.split("[[attack]]").skip(1);
    let field = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name} in {entry}")).trim().trim_matches('"').to_owned()
    };
    let attack = |entry: &str| Attack {
        id: field(entry, "id"),
        beats: match field(entry, "beats").as_str() {
            "naive" => Beats::Naive,
            "emulating" => Beats::Emulating,
            "bare" => Beats::Bare,
            other => panic!("nothing is called {other}"),
        },
        ways: field(entry, "ways").parse().unwrap(),
    };
    entries.map(attack).collect()
}

/// How often, and for how many seconds.
fn effort() -> (String, String) {
    match std::env::var("BRIG_RACE_ROUNDS") {
        Ok(rounds) => (rounds, "500".to_owned()),
        Err(_) => ("100000".to_owned(), "5".to_owned()),
    }
}

/// Puts what is attacked into the root filesystem, and the programs.
fn plant(t: &mut Test) {
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
        "CAP_SYS_CHROOT",
    ]);
    t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    t.bundle.config["process"]["cwd"] = json!("/work");
}

/// Runs an attack in a container and reads what it prints.
fn score(t: &mut Test, profile: &str, arguments: &[&str]) -> Score {
    t.bundle.args(arguments.iter().copied());
    t.bundle.write();
    let brig: Runner = t.brig().args(["--profile", profile, "run", "--bundle"]);
    let outcome = brig.arg(&t.bundle.dir).arg(t.id("c")).limit(LONGEST).run().ok();
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
    let id = attack.id.as_str();
    let until_first = ["/attack", id, "-10000000", "40"];
    let environment = t.bundle.config["process"]["env"].clone();
    if attack.beats == Beats::Emulating {
        t.bundle.config["process"]["env"] = json!(["NAIVE_EMULATES=1"]);
    }
    let score = match attack.beats {
        Beats::Bare => score(t, "none", &["/attack", id]),
        Beats::Naive | Beats::Emulating => {
            score(t, "none", &[&["/naive"], &until_first[..]].concat())
        }
    };
    t.bundle.config["process"]["env"] = environment;
    score
}

fn check_wins(select: impl Fn(&Attack) -> bool) {
    let mut t = test!();
    let mut failed = Vec::new();
    for attack in table().into_iter().filter(select) {
        plant(&mut t);
        let loses = |score: &Score| score.wins == 0 || score.ways.len() < attack.ways;
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

fn check_holds(select: impl Fn(&Attack) -> bool) {
    let mut t = test!();
    let profile = t.profile("attacked.toml", PROFILE);
    let (rounds, seconds) = effort();
    let mut failed = Vec::new();
    for attack in table().into_iter().filter(select) {
        plant(&mut t);
        let arguments = ["/attack", &attack.id, &rounds, &seconds];
        let score = score(&mut t, profile.to_str().unwrap(), &arguments);
        println!("{}: {} rounds", attack.id, score.rounds);
        if score.wins > 0 {
            let ways = score.ways.join(", ");
            failed.push(format!(
                "{}: {} of {} rounds, by {ways}",
                attack.id, score.wins, score.rounds
            ));
        } else if attack.beats != Beats::Bare && score.rounds < 100 {
            failed.push(format!("{}: only {} rounds say nothing", attack.id, score.rounds));
        }
    }
    assert!(failed.is_empty(), "won:\n{}", failed.join("\n"));
}

fn is_about_sockets(attack: &Attack) -> bool {
    attack.id.starts_with("NT-02") || attack.id.starts_with("NT-18-connect")
}

fn is_no_race(attack: &Attack) -> bool {
    attack.beats == Beats::Bare
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
    check_wins(|attack| !is_no_race(attack));
}

#[test]
fn attacks_without_a_race_succeed_where_nothing_is_restricted() {
    check_wins(is_no_race);
}

#[test]
fn no_race_about_paths_and_callers_is_won() {
    check_holds(|attack| !is_no_race(attack) && !is_about_sockets(attack));
}

#[test]
fn no_race_about_addresses_is_won() {
    check_holds(is_about_sockets);
}

#[test]
fn no_attack_without_a_race_succeeds() {
    check_holds(is_no_race);
}

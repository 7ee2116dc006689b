// SPDX-License-Identifier: Apache-2.0
//! What a decision costs, and what preparing a policy costs, by the number of its rules.
//!
//! The rules are of the kinds that profiles have: mostly literal paths, one in ten with a pattern
//! in its last component, one in ten a pattern that crosses directories, a few exceptions.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use brig_policy::decide::{Decider, Operation};
use brig_policy::diff::diff;
use brig_policy::net::Address;
use brig_policy::path::{AbsPath, Pattern};
use brig_policy::policy::{
    Access, AccessSet, AddressRule, Origin, PathGrant, PathRule, Policy, Presence,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn path(number: usize) -> String {
    let (group, app) = (number % 97, number / 97);
    match number % 10 {
        3 => format!("/srv/group{group}/app{app}/log/*.log"),
        7 => format!("/srv/group{group}/**/cache{app}-*"),
        _ => format!("/srv/group{group}/app{app}/data"),
    }
}

fn files(rules: usize) -> Policy {
    let mut policy = Policy::default();
    let mut read = Vec::new();
    for number in 0..rules {
        let line = u32::try_from(number).unwrap();
        let text = path(number);
        let mut rule =
            PathRule::new(Pattern::parse(&text).unwrap(), Origin::new("bench", line, 1, &text));
        if number % 50 == 0 {
            rule.except.push(Pattern::parse(&format!("{text}/private")).unwrap());
        }
        if number % 5 == 0 {
            policy.files.deny.push(rule);
        } else {
            let (access, presence) = (AccessSet::READ, Presence::Optional);
            read.push(PathGrant { rule, access, presence });
        }
    }
    policy.files.read = Some(read);
    policy
}

fn addresses(rules: usize) -> Policy {
    let mut policy = Policy::default();
    let mut connect = Vec::new();
    for number in 0..rules {
        let line = u32::try_from(number).unwrap();
        let (b, c) = (number / 256 % 256, number % 256);
        let text = match number % 10 {
            0 => format!("tcp 10.{b}.{c}.0/24:1-1024"),
            1 => format!("tcp [2001:db8:{number:x}::/48]:443"),
            2 => format!("tcp *:{}", 1000 + number % 60_000),
            _ => format!("tcp 192.{b}.{c}.7:5432"),
        };
        let rule =
            AddressRule::new(Address::parse(&text).unwrap(), Origin::new("bench", line, 1, &text));
        if number % 5 == 0 { policy.network.deny.push(rule) } else { connect.push(rule) }
    }
    policy.network.connect = Some(connect);
    policy
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let operations = [
        ("literal", "read /srv/group11/app0/data/some/file.txt"),
        ("pattern", "read /srv/group13/app0/log/today.log"),
        ("deep", "read /srv/group7/app0/a/b/c/d/e/f/cache0-x/file"),
        ("nothing", "read /usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("rename", "rename /srv/group11/app0/data/a /srv/group11/app0/data/b"),
    ];
    for rules in [10, 1_000, 100_000] {
        let decider = Decider::new(Arc::new(files(rules)));
        for (name, text) in operations {
            let operation = Operation::parse(text).unwrap();
            group.bench_with_input(
                BenchmarkId::new(name, rules),
                &operation,
                |bencher, operation| {
                    bencher.iter(|| decider.decide(black_box(operation)));
                },
            );
        }
    }
    for rules in [10, 1_000, 10_000] {
        let decider = Decider::new(Arc::new(addresses(rules)));
        for (name, text) in [
            ("connect", "connect tcp 192.0.3.7:5432"),
            ("connect-v6", "connect tcp [2001:db8:1::1]:443"),
            ("connect-denied", "connect tcp 10.0.0.1:25"),
        ] {
            let operation = Operation::parse(text).unwrap();
            group.bench_with_input(
                BenchmarkId::new(name, rules),
                &operation,
                |bencher, operation| {
                    bencher.iter(|| decider.decide(black_box(operation)));
                },
            );
        }
    }
    group.finish();
}

fn verdicts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verdict");
    let operations = [
        ("literal", "read /srv/group11/app0/data/some/file.txt"),
        ("pattern", "read /srv/group13/app0/log/today.log"),
        ("deep", "read /srv/group7/app0/a/b/c/d/e/f/cache0-x/file"),
        ("rename", "rename /srv/group11/app0/data/a /srv/group11/app0/data/b"),
    ];
    for rules in [10, 1_000, 100_000] {
        let decider = Decider::new(Arc::new(files(rules)));
        for (name, text) in operations {
            let operation = Operation::parse(text).unwrap();
            group.bench_function(BenchmarkId::new(name, rules), |bencher| {
                bencher.iter(|| decider.verdict(black_box(&operation)));
            });
        }
    }
    group.finish();
}

/// The longest paths, of the names that rules are about, and rules that repeat them.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile");
    let entangled: Vec<String> = (0..20).map(|i| format!("/**/a{i}*/**/*b?????????c{i}")).collect();
    let entangled: Vec<&str> = entangled.iter().map(String::as_str).collect();
    for (name, patterns) in [
        ("none", &[][..]),
        ("crossing", &["/**/a/**/a", "/**/a/**/b", "/a/a/**/aa", "/**/*a*b", "/**/a?/a"]),
        ("entangled", &entangled),
    ] {
        let mut policy = files(100_000);
        for text in patterns {
            let rule =
                PathRule::new(Pattern::parse(text).unwrap(), Origin::new("bench", 1, 1, text));
            policy.files.deny.push(rule);
        }
        let decider = Decider::new(Arc::new(policy));
        for (shape, begin, part) in
            [("short", "", "/a"), ("long", "", "/aabaab"), ("known", "/srv/group7", "/cache0")]
        {
            let mut path = format!("{begin}{}", part.repeat(4095 / part.len()));
            path.truncate(4095);
            let path = AbsPath::new(path.trim_end_matches('/').as_bytes()).unwrap();
            let operation = Operation::access(Access::Read, path);
            group.bench_function(BenchmarkId::new(name, shape), |bencher| {
                bencher.iter(|| decider.verdict(black_box(&operation)));
            });
        }
    }
    group.finish();
}

/// What is done before a decision: a path is checked.
fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    let longest = "/a".repeat(2047);
    for (name, text) in [("common", "/srv/group11/app0/data/some/file.txt"), ("longest", &longest)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| AbsPath::new(black_box(text.as_bytes())));
        });
    }
    group.finish();
}

fn preparing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prepare");
    group.sample_size(10);
    for rules in [10, 1_000, 100_000] {
        let policy = Arc::new(files(rules));
        group.bench_with_input(BenchmarkId::new("files", rules), &policy, |bencher, policy| {
            bencher.iter(|| Decider::new(Arc::clone(policy)));
        });
    }
    for rules in [10, 1_000, 10_000] {
        let policy = Arc::new(addresses(rules));
        group.bench_with_input(BenchmarkId::new("addresses", rules), &policy, |bencher, policy| {
            bencher.iter(|| Decider::new(Arc::clone(policy)));
        });
    }
    let texts: Vec<String> = (0..100_000).map(path).collect();
    group.bench_function("parse 100,000 patterns", |bencher| {
        bencher.iter(|| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect::<Vec<_>>());
    });
    group.finish();
}

fn comparing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff");
    group.sample_size(10);
    for rules in [10, 1_000, 10_000] {
        let (policy, mut other) = (files(rules), files(rules));
        other.files.deny.reverse();
        group.bench_with_input(BenchmarkId::new("reordered", rules), &policy, |bencher, policy| {
            bencher.iter(|| diff(policy, &other));
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, verdicts, hostile, paths, preparing, comparing);
criterion_main!(benches);

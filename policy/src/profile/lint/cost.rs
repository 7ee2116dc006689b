// SPDX-License-Identifier: Apache-2.0
//! Rules that cost more than their author may know, or that a host cannot enforce.

use super::super::Reading;
use super::super::resolve::Map;
use super::super::rules::Located;
use super::{own, pairs};
use crate::diagnostics::{Code, Diagnostic, Report, Span};
use crate::plan;
use crate::plan::files::{Assumed, Bound};
use crate::policy::{Files, Origin, Policy};
use crate::target::Target;

/// A deny by a pattern has every opening mediated; a mask by the same pattern nothing.
pub(super) fn lint(files: &Files, map: &Map, report: &mut Report) {
    for (rule, place) in pairs(&files.deny, &map.deny) {
        if own(place.rule) && !plan::files::is_few_literals(&rule.pattern) {
            let message = format!("`{}` has every opening of a file mediated", rule.pattern);
            report.push(
                Diagnostic::new(Code::DenyCouldBeMask, message)
                    .at(place.rule, "the kernel cannot deny by a pattern")
                    .help("in `mask`, where an empty file or directory does as well, it costs nothing"),
            );
        }
    }
}

/// Adds to the report the rules that a host cannot enforce.
pub fn lint_for(reading: &mut Reading, target: &Target) {
    let Some(resolved) = &reading.resolved else { return };
    // what cannot be placed is a fault of a container's files, and here there are none
    let Ok(plan) = plan::compile(&resolved.policy, target, &mut Assumed, Bound::default()) else {
        return;
    };
    for missing in plan.missing {
        let message = format!("`{}` cannot be enforced on this host", missing.rule.text);
        let mut diagnostic =
            Diagnostic::new(Code::Unenforceable, message).help(missing.why.clone());
        if let Some(span) = place_of(&resolved.policy, &resolved.map, &missing.rule) {
            diagnostic = diagnostic.at(span, "no container is started with it");
        }
        reading.report.push(diagnostic);
    }
    reading.report.sort();
}

/// Where a rule of files or addresses stands.
fn place_of(policy: &Policy, map: &Map, rule: &Origin) -> Option<Span> {
    let (files, network) = (&policy.files, &policy.network);
    let grants =
        [(&files.read, &map.read), (&files.write, &map.write), (&files.execute, &map.execute)];
    let grants = grants.into_iter().flat_map(|(list, places)| {
        pairs(list.as_deref().unwrap_or_default(), places).map(|(one, at)| (&one.rule.origin, at))
    });
    let denies = pairs(&files.deny, &map.deny).map(|(one, at)| (&one.origin, at));
    let lists = [(&network.connect, &map.connect), (&network.bind, &map.bind)];
    let addresses = lists.into_iter().flat_map(|(list, places)| {
        pairs(list.as_deref().unwrap_or_default(), places).map(|(one, at)| (&one.origin, at))
    });
    let mut all = grants.chain(denies).chain(addresses);
    all.find(|(origin, _)| *origin == rule).map(|(_, at): (_, &Located)| at.rule)
}

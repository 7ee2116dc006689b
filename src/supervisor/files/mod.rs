// SPDX-License-Identifier: Apache-2.0
//! Calls about files.
//!
//! Those that the workload's Landlock domain bounds (opening, creating, renaming, deleting) are done
//! by brig where the kernel leaves them to it, and go on in the kernel everywhere else. Changes of
//! metadata, which Landlock does not know, are always done by brig.

mod metadata;
mod names;
mod open;
mod straight;

use brig_policy::call::files::{Request, Row};
use brig_policy::policy::{Access, AccessSet};

use super::answer::{NO_DESCRIPTORS, Outcome};
use super::caller::Call;

/// Answers a call of this row.
pub fn answer(call: &Call<'_>, row: &Row) -> Outcome {
    let request = row.decode(&call.notification.args, call.layout)?;
    match request {
        Request::Open { at, how } => open::open(call, &at, how),
        Request::Truncate { at, length } => open::truncate(call, &at, length),
        Request::MakeDirectory { .. }
        | Request::MakeNode { .. }
        | Request::MakeSymlink { .. }
        | Request::Link { .. }
        | Request::Rename { .. }
        | Request::Unlink { .. }
        | Request::RemoveDirectory { .. } => names::change(call, &request),
        Request::SetMode { .. }
        | Request::SetOwner { .. }
        | Request::SetTimes { .. }
        | Request::SetAttribute { .. }
        | Request::SetAttributeWith { .. }
        | Request::RemoveAttribute { .. }
        | Request::SetFileAttributes { .. } => metadata::change(call, &request),
    }
}

/// Leaves it to the kernel, unless all that is wrong is that there was no descriptor to look with: the
/// kernel would deny what is allowed.
fn to_kernel(call: &Call<'_>, needs: &[Access]) -> Outcome {
    if call.is_starved() {
        return Err(NO_DESCRIPTORS);
    }
    call.shared.judge.leave_to_kernel(AccessSet::of(needs))
}

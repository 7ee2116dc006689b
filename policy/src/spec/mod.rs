// SPDX-License-Identifier: Apache-2.0
//! The OCI runtime specification's `config.json`: from its bytes to the container that is run.
//!
//! Four steps, each a pure function:
//!
//! 1. [`load`] parses the bytes. What engines write beside the letter of the specification
//!    (`rootfsPropagation` with an `r`, mounts without a `source`) is brought to one form;
//!    `linux.seccomp` is taken out as JSON for [`crate::seccomp`].
//! 2. [`validate`] checks what can be checked without a host. Every error names the field.
//! 3. [`tighten`] makes it what a policy allows of it.
//! 4. [`rewrite`] derives the specification that the container library is given and the
//!    [`Launch`] that brig's own executor carries out.
//!
//! Nothing here looks at a file: whether a path exists is found out where it is used.

mod load;
mod rewrite;
mod tighten;
mod validate;

pub use load::{Loaded, load, load_process, load_resources};
pub use rewrite::{
    CapabilitySets, Cgroups, ConsoleSize, Domain, Filter, Launch, Rewritten, Site,
    capability_names, rewrite,
};
pub use tighten::{
    Change, Effect, Host, Tightened, Unenforced, UserNamespace, tighten, tighten_process,
    tighten_update,
};
pub use validate::{validate, validate_id, validate_process};

use std::fmt;

/// A fault of a `config.json`, with the field that it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// The field, in the specification's dotted form: `process.rlimits[2].type`.
    pub field: String,
    /// What is wrong with it: lower case, without a final stop.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() || self.field == "." {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// All the faults that were found in one `config.json`. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SpecErrors(pub Vec<FieldError>);

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl From<FieldError> for SpecErrors {
    fn from(error: FieldError) -> Self {
        SpecErrors(vec![error])
    }
}

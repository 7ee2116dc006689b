// SPDX-License-Identifier: Apache-2.0
//! Decisions: what a policy says about an operation.

mod operation;
mod parse;

pub use operation::{
    Endpoint, FileKind, FileOperation, NetworkAction, NetworkOperation, Operation,
    ProcessOperation, RenameTarget, SyscallOperation, Transport,
};
pub use parse::{OperationError, OperationErrorKind};

// SPDX-License-Identifier: Apache-2.0
//! Decisions about what a process is or becomes.
//!
//! Nothing is restricted that is not set, but for `no_new_privileges`, which is true by default,
//! and memory files, of which section 4 says: "`execute` also means that nothing else runs: memory
//! files are created non-executable […] unless the policy says `memfd_exec = true`".

use crate::policy::{Errno, Policy, Setting};

use super::decision::{Basis, Decision, List, Rule, Verdict};
use super::operation::ProcessOperation;

pub(super) fn decide(policy: &Policy, operation: ProcessOperation) -> Decision {
    let process = &policy.process;
    match operation {
        ProcessOperation::NewPrivileges => match &process.no_new_privileges {
            Some(Setting { value: false, .. }) => Decision::unrestricted(),
            Some(setting) => denied(List::NoNewPrivileges, setting, Errno::EPERM),
            None => Decision::new(
                Verdict::Deny { errno: Errno::EPERM },
                Basis::Default(List::NoNewPrivileges),
            ),
        },
        ProcessOperation::UserNamespace => {
            switch(process.user_namespaces.as_ref(), List::UserNamespaces)
        }
        ProcessOperation::CoreDump => switch(process.core_dumps.as_ref(), List::CoreDumps),
        ProcessOperation::MemfdExec => memfd_exec(policy),
        ProcessOperation::Capability(capability) => {
            let Some(list) = &process.capabilities else { return Decision::unrestricted() };
            let rule = list.iter().filter(|rule| rule.capability == capability).min();
            match rule {
                None => Decision::not_granted(List::Capabilities, Errno::EPERM),
                Some(rule) => Decision::allowed_by(Rule {
                    list: List::Capabilities,
                    origin: rule.origin.clone(),
                    reason: rule.reason.clone(),
                }),
            }
        }
        ProcessOperation::Count(count) => {
            limit(process.max_processes.as_ref(), List::MaxProcesses, count, Errno::EAGAIN)
        }
        ProcessOperation::Memory(bytes) => {
            limit(process.max_memory.as_ref(), List::MaxMemory, bytes, Errno::ENOMEM)
        }
    }
}

fn memfd_exec(policy: &Policy) -> Decision {
    match &policy.process.memfd_exec {
        Some(setting) if setting.value => {
            Decision::allowed_by(Rule::setting(List::MemfdExec, setting))
        }
        _ if policy.files.execute.is_none() => Decision::unrestricted(),
        Some(setting) => denied(List::MemfdExec, setting, Errno::EACCES),
        None => Decision::not_granted(List::FilesExecute, Errno::EACCES),
    }
}

fn switch(setting: Option<&Setting<bool>>, list: List) -> Decision {
    match setting {
        Some(setting) if !setting.value => denied(list, setting, Errno::EPERM),
        Some(setting) => Decision::allowed_by(Rule::setting(list, setting)),
        None => Decision::unrestricted(),
    }
}

fn limit(setting: Option<&Setting<u64>>, list: List, asked: u64, errno: Errno) -> Decision {
    match setting {
        Some(setting) if asked > setting.value => denied(list, setting, errno),
        Some(setting) => Decision::allowed_by(Rule::setting(list, setting)),
        None => Decision::unrestricted(),
    }
}

fn denied<T>(list: List, setting: &Setting<T>, errno: Errno) -> Decision {
    Decision::denied_by(Rule::setting(list, setting), errno)
}

// SPDX-License-Identifier: Apache-2.0
//! What the kernel comparison needs of the kernel: a child that installs a filter and makes calls.
//!
//! After fork(2) the child touches only what was prepared before it, makes raw system calls and
//! writes results to shared memory; it allocates nothing, so a thread that held a lock at the fork
//! cannot stop it.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

use brig_policy::seccomp::Instruction;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// How a call enters the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The native instruction.
    Native,
    /// `int 0x80`, which is i386 whatever the caller is.
    #[cfg(target_arch = "x86_64")]
    Int80,
}

/// A call to make.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// How.
    pub gate: Gate,
    /// The number.
    pub nr: u32,
    /// The registers.
    pub args: [u64; 6],
}

/// What came of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What each call returned, up to the one that ended the child.
    pub results: Vec<i64>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

const MAX_CALLS: usize = 512;
const NOT_INSTALLED: u64 = u64::MAX;

#[repr(C)]
struct Shared {
    /// Calls that returned.
    done: u64,
    results: [i64; MAX_CALLS],
}

/// Anonymous memory that a child shares.
struct Mapping(*mut Shared);

impl Mapping {
    fn new() -> Self {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(address, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        Self(address.cast())
    }

    fn done(&self) -> u64 {
        // SAFETY: the mapping lives as long as self and is zeroed or written by the child, which
        // is dead when this is called; volatile because another process wrote it.
        unsafe { ptr::addr_of!((*self.0).done).read_volatile() }
    }

    fn result(&self, index: usize) -> i64 {
        assert!(index < MAX_CALLS);
        // SAFETY: as `done`; the index is in bounds.
        unsafe { ptr::addr_of!((*self.0).results).cast::<i64>().add(index).read_volatile() }
    }

    /// The child's side: a result, then the count.
    fn store(&self, index: usize, result: i64) {
        // SAFETY: the child is the only writer and `index` is below MAX_CALLS, which `in_child`
        // has checked before the fork.
        unsafe {
            ptr::addr_of_mut!((*self.0).results).cast::<i64>().add(index).write_volatile(result);
            ptr::addr_of_mut!((*self.0).done).write_volatile(index as u64 + 1);
        }
    }

    fn fail(&self) {
        // SAFETY: as `store`.
        unsafe { ptr::addr_of_mut!((*self.0).done).write_volatile(NOT_INSTALLED) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this size and nothing refers to it any more.
        unsafe { libc::munmap(self.0.cast(), size_of::<Shared>()) };
    }
}

/// Makes the calls in a child, under the filter if there is one.
pub fn in_child(filter: Option<&[Instruction]>, calls: &[Call]) -> Report {
    assert!(calls.len() <= MAX_CALLS);
    let shared = Mapping::new();
    // SAFETY: the child runs only `child`, which neither allocates nor returns.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => child(filter, calls, &shared),
        _ => {}
    }
    let mut status = 0;
    // SAFETY: `status` is a valid pointer for the duration of the call; `pid` is our child.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid, "waitpid: {}", std::io::Error::last_os_error());
    let done = shared.done();
    assert_ne!(done, NOT_INSTALLED, "the kernel refused the filter");
    let results = (0..usize::try_from(done).unwrap()).map(|index| shared.result(index)).collect();
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    Report { results, signal }
}

fn child(filter: Option<&[Instruction]>, calls: &[Call], shared: &Mapping) -> ! {
    if filter.is_some_and(|filter| !install(filter)) {
        shared.fail();
    } else {
        for (index, call) in calls.iter().enumerate() {
            shared.store(index, make(call));
        }
    }
    loop {
        // SAFETY: ends the process. A filter may forbid it, hence the trap below.
        unsafe { libc::syscall(libc::SYS_exit_group, 0) };
        stop();
    }
}

/// prctl(PR_SET_NO_NEW_PRIVS, 1), seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog)
fn install(filter: &[Instruction]) -> bool {
    let Ok(len) = u16::try_from(filter.len()) else { return false };
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` is `repr(C)` with the fields of struct sock_filter; the kernel copies
    // `len` of them during the call and writes nothing.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) == 0
    }
}

/// A command that runs under the filter.
pub fn command(program: &str, filter: &[Instruction]) -> Command {
    let mut command = Command::new(program);
    let filter = filter.to_vec();
    let install = move || if install(&filter) { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
    command
}

/// What the kernel returned: a value, or a negative errno.
fn make(call: &Call) -> i64 {
    match call.gate {
        Gate::Native => native(call.nr, &call.args),
        #[cfg(target_arch = "x86_64")]
        Gate::Int80 => int80(call.nr, &call.args),
    }
}

fn native(nr: u32, args: &[u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = *args;
    // SAFETY: the callers' vocabulary is of calls that write to no memory, whatever they are given.
    let result = unsafe { libc::syscall(i64::from(nr.cast_signed()), a, b, c, d, e, f) };
    // SAFETY: errno of this thread.
    if result == -1 { -i64::from(unsafe { *libc::__errno_location() }) } else { result }
}

#[cfg(target_arch = "x86_64")]
fn int80(nr: u32, args: &[u64; 6]) -> i64 {
    let mut result = u64::from(nr);
    // SAFETY: as `native`; rbx is restored (LLVM reserves it), the kernel clobbers r8 to r11.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) args[0] => _,
            inout("rax") result,
            in("rcx") args[1],
            in("rdx") args[2],
            in("rsi") args[3],
            in("rdi") args[4],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    #[allow(clippy::cast_possible_truncation)] // i386 returns in eax
    i64::from((result as u32).cast_signed())
}

/// Ends the process without a system call.
fn stop() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an undefined instruction raises SIGILL, which ends the process.
    unsafe {
        std::arch::asm!("ud2");
    };
}

// SPDX-License-Identifier: Apache-2.0
//! Small static programs that do one thing each, compiled once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The compiled programs' directory; it is left to the next run.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("victims");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    })
}

/// A program of one source.
fn compile(name: &str, options: &[&str]) -> PathBuf {
    let source = sources().join(name);
    build(&directory().join(name).with_extension(""), std::slice::from_ref(&source), options)
}

/// A program of all that is in a directory.
fn compile_all(name: &str) -> PathBuf {
    let entries = std::fs::read_dir(sources().join(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|one| one.unwrap().path()).collect();
    files.sort();
    build(&directory().join(name), &files, &[])
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brig/victims")
}

/// Compiles what has changed since the program was made. Headers are looked at, too, but not compiled.
fn build(program: &Path, files: &[PathBuf], options: &[&str]) -> PathBuf {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    if files.iter().all(|file| modified(program) > modified(file)) {
        return program.to_owned();
    }
    // other tests may compile the same: the finished file is put in its place at once
    let fresh = program.with_extension(std::process::id().to_string());
    let mut compiler = Command::new("gcc");
    compiler.args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&fresh);
    compiler.args(files.iter().filter(|file| file.extension().is_some_and(|it| it == "c")));
    let status = compiler.args(options).status().expect("gcc is installed");
    assert!(status.success(), "{} does not compile", program.display());
    std::fs::rename(&fresh, program).unwrap();
    program.to_owned()
}

/// Does what its standard input says.
pub fn operate() -> PathBuf {
    compile("operate.c", &[])
}

/// Does nothing, and is small.
pub fn nothing() -> PathBuf {
    compile("nothing.c", &["-nostdlib", "-Wl,--build-id=none"])
}

/// Enters as many Landlock domains as it can.
pub fn nest() -> PathBuf {
    compile("nest.c", &[])
}

/// Sends and gets signals.
pub fn signals() -> PathBuf {
    compile("signals.c", &[])
}

/// Waits for a lease in several ways.
pub fn lease() -> PathBuf {
    compile("lease.c", &[])
}

/// Makes sockets of many kinds.
pub fn sockets() -> PathBuf {
    compile("sockets.c", &[])
}

/// Tries to make a read-only mount writable.
pub fn remount() -> PathBuf {
    compile("remount.c", &[])
}

/// Does with sockets what its standard input says.
pub fn talk() -> PathBuf {
    compile("talk.c", &[])
}

/// Makes every call that a supervisor may answer, in every situation.
pub fn conform() -> PathBuf {
    compile_all("conform")
}

/// A supervisor that checks what a call names and lets the call go on.
pub fn naive() -> PathBuf {
    compile("naive.c", &[])
}

/// Tries to reach what a policy denies.
pub fn attack() -> PathBuf {
    compile_all("attack")
}

/// Asks its supervisor for more than is polite.
pub fn flood() -> PathBuf {
    compile("flood.c", &["-pthread"])
}

/// Serves files over FUSE, and answers when it is told to.
pub fn fuse() -> PathBuf {
    compile("fuse.c", &[])
}

/// Makes calls about memory that is not delivered.
pub fn stalled() -> PathBuf {
    compile("stalled.c", &["-pthread"])
}

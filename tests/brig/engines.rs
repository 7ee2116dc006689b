// SPDX-License-Identifier: Apache-2.0
//! Podman, and containerd's `ctr`, with brig as their runtime. Each test has an engine of its own:
//! storage, sockets and state lie in its directory.

mod user_namespaces;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{
    Feature, Outcome, Pty, Runner, Running, Test, process, require, until, victims,
};
use crate::supervisor::{check_seat, supervisor};
use crate::test;

const BRIG: &str = env!("CARGO_BIN_EXE_brig");

/// brig with global options: Podman's own clean-up does not pass --runtime-flag, and containerd has
/// none.
fn wrapper(t: &Test, options: &str) -> PathBuf {
    let path = t.path("runtime");
    let operator = t.operator().display().to_string();
    let script = format!("#!/bin/sh\nexec {BRIG} --config {operator} {options} \"$@\"\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Podman with storage of its own.
struct Podman<'a> {
    t: &'a Test,
    runtime: PathBuf,
    flags: Vec<String>,
}

impl<'a> Podman<'a> {
    fn new(t: &'a Test) -> Self {
        Podman { t, runtime: wrapper(t, &format!("--root {}", t.root().display())), flags: vec![] }
    }

    /// Has brig mediate a call.
    fn mediating(mut self, call: &str) -> Self {
        self.flags.push(format!("testing-continue={call}"));
        self
    }

    /// Has brig take a profile.
    fn under(mut self, profile: &str) -> Self {
        self.flags.push(format!("profile={profile}"));
        self
    }

    fn call(&self, args: &[&str]) -> Outcome {
        self.runner(args).run()
    }

    fn runner(&self, args: &[&str]) -> Runner {
        let dir = |name: &str| self.t.path(name).display().to_string();
        let flags = self.flags.iter().flat_map(|flag| ["--runtime-flag", flag.as_str()]);
        let runner = self.t.program("podman").env("HOME", self.t.dir());
        runner
            .args(["--root", &dir("podman"), "--runroot", &dir("podman-run")])
            .args(["--tmpdir", &dir("podman-tmp"), "--storage-driver", "vfs"])
            .args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"])
            .arg("--runtime")
            .arg(&self.runtime)
            .args(flags)
            .args(args)
    }

    /// `podman run OPTIONS --rootfs … COMMAND`, with what this machine allows.
    fn run(&self, options: &[&str], command: &[&str]) -> Outcome {
        self.run_runner(options, command).run()
    }

    fn run_runner(&self, options: &[&str], command: &[&str]) -> Runner {
        let rootfs = self.t.bundle.rootfs().display().to_string();
        let network = if options.contains(&"host") { &[][..] } else { &["--network", "none"] };
        self.runner(&["run", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"])
            .args(network)
            .args(options)
            .args(["--rootfs", &rootfs])
            .args(command)
    }

    /// The container's whole identifier.
    fn id(&self, name: &str) -> String {
        self.call(&["inspect", "--format", "{{.Id}}", name]).ok().text().to_owned()
    }

    /// Nothing of a container is left. Podman's own cgroup, which all containers share, stays.
    #[track_caller]
    fn assert_clean(&self) {
        self.call(&["ps", "--all", "--quiet"]).prints("");
        self.t.assert_clean();
    }
}

fn podman_is_here(test: &str) -> bool {
    require(Feature::Podman, module_path!(), test)
}

/// What a terminal shows of a command, which then reads a line and must succeed.
fn in_terminal(runner: Runner, expected: &str) -> String {
    let (mut pty, inner) = Pty::open();
    pty.resize(31, 97);
    let end = || Stdio::from(inner.try_clone().unwrap());
    let running = runner.stdio(end(), end(), end()).spawn();
    let seen = pty.expect(expected);
    pty.type_text("\n");
    running.wait().ok();
    seen
}

#[test]
fn podman_runs_a_container_and_returns_its_status() {
    if !podman_is_here("podman_runs_a_container_and_returns_its_status") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    podman.run(&["--rm"], &["echo", "hi"]).prints("hi");
    podman.run(&["--rm"], &["sh", "-c", "exit 42"]).exits(42);
    podman.run(&["--rm"], &["nonexistent"]).exits(127);
    podman.run(&["--rm"], &["/nonexistent"]).exits(127);
    podman.run(&["--rm"], &["/etc"]).exits(126);
    podman.run(&["--rm"], &["/etc/passwd"]).exits(126);
    podman.assert_clean();
}

#[test]
fn podmans_options_reach_the_workload() {
    if !podman_is_here("podmans_options_reach_the_workload") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    let volume = t.path("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "text").unwrap();
    let mount = format!("{}:/vol:ro", volume.display());
    podman.run(&["--rm", "-v", &mount], &["cat", "/vol/file"]).prints("text");
    podman.run(&["--rm", "-v", &mount], &["touch", "/vol/x"]).fails_with("Read-only file system");
    podman.run(&["--rm", "--tmpfs", "/etc:rw"], &["cat", "/etc/group"]).ok();
    podman.run(&["--rm", "--user", "1000:1001"], &["id", "-u"]).prints("1000");
    podman.run(&["--rm", "--user", "1000:1001"], &["id", "-g"]).prints("1001");
    podman.run(&["--rm", "--read-only"], &["touch", "/x"]).fails_with("Read-only file system");
    podman.run(&["--rm", "--read-only"], &["touch", "/tmp/x"]).ok();
    let status = |options: &[&str]| {
        let options = [&["--rm"], options].concat();
        podman.run(&options, &["cat", "/proc/self/status"]).ok().stdout
    };
    let dropped = status(&["--cap-drop", "all", "--cap-add", "chown"]);
    assert_eq!(process::field(&dropped, "CapBnd").unwrap(), "0000000000000001");
    assert_eq!(process::field(&dropped, "CapEff").unwrap(), "0000000000000001");
    let plain = status(&[]);
    assert_eq!(process::field(&plain, "Seccomp").unwrap(), "2");
    // what an engine leaves open is closed by brig's default profile
    assert_eq!(process::field(&plain, "NoNewPrivs").unwrap(), "1");
    let unconfined =
        status(&["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges"]);
    // what an engine leaves out is brig's default profile, not nothing
    assert_eq!(process::field(&unconfined, "Seccomp").unwrap(), "2");
    assert_eq!(process::field(&unconfined, "NoNewPrivs").unwrap(), "1");
    let profile = t.path("seccomp.json");
    fs::write(&profile, crate::seccomp::denying("mkdir").to_string()).unwrap();
    let option = format!("seccomp={}", profile.display());
    let denied = podman.run(&["--rm", "--security-opt", &option], &["mkdir", "/x"]);
    denied.fails_with("Operation not permitted");
    let limits = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes";
    if Path::new("/sys/fs/cgroup/pids").exists() {
        let limited = ["--rm", "--pids-limit", "50", "--memory", "64m"];
        podman.run(&limited, &["sh", "-c", limits]).prints("50\n67108864");
    }
    let own = fs::read_dir("/sys/class/net").unwrap().count().to_string();
    podman
        .run(&["--rm", "--network", "host"], &["sh", "-c", "ls /sys/class/net | wc -l"])
        .prints(&own);
    podman.assert_clean();
}

#[test]
fn a_podman_container_goes_through_its_life() {
    if !podman_is_here("a_podman_container_goes_through_its_life") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    let state = |format: &str| podman.call(&["inspect", "--format", format, "d"]).ok().stdout;
    let script = "trap 'exit 9' TERM; while :; do usleep 20000; done";
    podman.run(&["-d", "--name", "d"], &["sh", "-c", script]).ok();
    podman.call(&["exec", "d", "id", "-u"]).prints("0");
    podman.call(&["exec", "d", "sh", "-c", "exit 7"]).exits(7);
    podman.call(&["exec", "d", "nonexistent"]).exits(127);
    podman.call(&["exec", "d", "/etc/passwd"]).exits(126);
    podman.call(&["exec", "d", "/etc"]).exits(126);
    podman.call(&["exec", "--user", "1000", "--workdir", "/tmp", "d", "pwd"]).prints("/tmp");
    podman.call(&["pause", "d"]).ok();
    assert_eq!(state("{{.State.Status}}").trim(), "paused");
    podman.call(&["unpause", "d"]).ok();
    assert_eq!(state("{{.State.Status}}").trim(), "running");
    podman.call(&["stop", "--time", "30", "d"]).ok();
    assert_eq!(state("{{.State.Status}} {{.State.ExitCode}}").trim(), "exited 9");
    podman.call(&["start", "d"]).ok();
    podman.call(&["kill", "d"]).ok();
    podman.call(&["wait", "d"]).prints("137");
    podman.call(&["rm", "d"]).ok();
    podman.run(&["-d", "--name", "e"], &["sleep", "1000"]).ok();
    let cgroup = format!("libpod_parent/libpod-{}", podman.id("e"));
    let cgroups = || -> usize {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        hierarchies.filter(|one| one.path().join(&cgroup).exists()).count()
    };
    assert_ne!(cgroups(), 0);
    podman.call(&["rm", "--force", "--time", "0", "e"]).ok();
    assert_eq!(cgroups(), 0);
    podman.assert_clean();
}

#[test]
fn podman_puts_an_init_before_the_program() {
    if !podman_is_here("podman_puts_an_init_before_the_program") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    // in catatonit's place: it is given the program after `--`
    let init = t.path("init");
    fs::write(&init, "#!/bin/sh\nshift; \"$@\"; echo init $$ got $?; exit 5\n").unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    let options = ["--rm", "--init", "--init-path", init.to_str().unwrap()];
    let outcome = podman.run(&options, &["sh", "-c", "echo program $PPID; exit 3"]);
    assert_eq!(outcome.exits(5).stdout, "program 1\ninit 1 got 3\n");
    podman.assert_clean();
}

#[test]
fn podman_gives_terminals() {
    if !podman_is_here("podman_gives_terminals") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    let shown = [
        "sh",
        "-c",
        "tty; until stty size | grep '31 97'; do usleep 10000; done; echo e''nd; read x",
    ];
    let seen = in_terminal(podman.run_runner(&["--rm", "-it"], &shown), "end");
    assert!(seen.contains("/dev/pts/0"), "{seen}");
    podman.run(&["-d", "--name", "d"], &["sleep", "1000"]).ok();
    let exec = [&["exec", "-it", "d"][..], &shown].concat();
    let seen = in_terminal(podman.runner(&exec), "end");
    assert!(seen.contains("/dev/pts/"), "{seen}");
    podman.call(&["rm", "--force", "--time", "0", "d"]).ok();
    podman.assert_clean();
}

#[test]
fn a_supervisor_is_no_hindrance_to_podman() {
    if !podman_is_here("a_supervisor_is_no_hindrance_to_podman") {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t).mediating("mkdir");
    podman.run(&["--rm"], &["sh", "-c", "mkdir /a && exit 3"]).exits(3);
    podman.run(&["--rm"], &["nonexistent"]).exits(127);
    podman.run(&["-d", "--name", "d"], &["sleep", "1000"]).ok();
    let id = podman.id("d");
    let seat = supervisor(&t.root(), &id).expect("there is a supervisor");
    check_seat(seat, t.pid(&id));
    podman.call(&["exec", "d", "mkdir", "/b"]).ok();
    assert!(t.bundle.file("/a").exists() && t.bundle.file("/b").exists());
    podman.call(&["stop", "--time", "0", "d"]).ok();
    podman.call(&["rm", "d"]).ok();
    assert!(process::wait_for_end(seat, crate::harness::LIMIT));
    podman.assert_clean();
}

#[test]
fn podmans_runtime_flag_names_the_profile() {
    if !podman_is_here("podmans_runtime_flag_names_the_profile") {
        return;
    }
    let t = test!();
    let show = ["grep", "NoNewPrivs", "/proc/self/status"];
    Podman::new(&t).run(&["--rm"], &show).prints("NoNewPrivs:\t1");
    Podman::new(&t).under("none").run(&["--rm"], &show).prints("NoNewPrivs:\t0");
    let text =
        "extends = [\"default\"]\n[process]\ncapabilities = [\"kill\"]\nmax_processes = 33\n";
    let file = t.profile("tight.toml", text).display().to_string();
    let limited = Podman::new(&t).under(&file);
    limited.run(&["-d", "--name", "d"], &["sleep", "1000"]).ok();
    let (id, show) = (limited.id("d"), ["cat", "/proc/self/status"]);
    assert_eq!(t.state(&id)["annotations"]["io.brig.profile"], file.as_str());
    // an added process is confined by what create resolved, whatever its own flags say
    let other = Podman::new(&t).under("none");
    let added = other.call(&[&["exec", "--privileged", "d"][..], &show].concat()).ok().stdout;
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(process::field(&added, set).unwrap(), "0000000000000020", "{set}");
    }
    assert_eq!(process::field(&added, "NoNewPrivs").unwrap(), "1");
    limited.call(&["rm", "--force", "--time", "0", "d"]).ok();
    limited.assert_clean();
}

#[test]
fn a_podman_container_of_untrusted_code_works_and_is_kept_in() {
    if !podman_is_here("a_podman_container_of_untrusted_code_works_and_is_kept_in") {
        return;
    }
    let t = test!();
    fs::copy(victims::talk(), t.bundle.file("/talk")).unwrap();
    let podman = Podman::new(&t).under("untrusted");
    let script = "echo x > /tmp/a && cat /tmp/a && printf 'socket a tcp4\nconnect a in 10.0.0.1 80\n\
                  connect a in 1.1.1.1 80\nsocket l stream\nbind l path /tmp/s\n' | /talk";
    // not reached: nothing is up there
    let expected = "x\n0\n13\n101\n0\n0";
    podman.run(&["--rm"], &["/bin/sh", "-c", script]).ok().prints(expected);
    podman.assert_clean();
}

#[test]
fn a_podman_container_gets_the_profile_of_its_name_or_of_an_allowed_annotation() {
    if !podman_is_here(
        "a_podman_container_gets_the_profile_of_its_name_or_of_an_allowed_annotation",
    ) {
        return;
    }
    let t = test!();
    let podman = Podman::new(&t);
    let limit =
        |limit: &str| format!("extends = [\"default\"]\n[process]\nmax_processes = {limit}\n");
    t.profile("web.toml", &limit("44"));
    t.profile("job.toml", &limit("55"));
    let show = ["cat", "/proc/self/cgroup"];
    let hostname = ["--rm", "--hostname", "web"];
    if Path::new("/sys/fs/cgroup/pids").exists() {
        let show = ["cat", "/sys/fs/cgroup/pids/pids.max"];
        podman.run(&hostname, &show).prints("44");
        let annotated = ["--rm", "--annotation", "io.brig.profile=job"];
        podman.run(&annotated, &show).fails_with("allow_annotations");
        t.configure("allow_annotations = [\"io.brig.profile\"]\n");
        podman.run(&annotated, &show).prints("55");
    }
    t.configure("default_profile = \"lost\"\n");
    podman.run(&["--rm"], &show).fails_with("\"lost\"");
    podman.run(&hostname, &show).ok();
    t.configure("default = 1\n");
    podman.run(&hostname, &show).fails_with("config.toml:1:1: unknown key `default`");
    podman.assert_clean();
}

/// containerd with directories of its own; ended when dropped.
struct Containerd<'a> {
    t: &'a Test,
    address: String,
    runtime: PathBuf,
    daemon: Option<Running>,
}

impl<'a> Containerd<'a> {
    /// `options` are global options of brig's.
    fn start(t: &'a Test, options: &str) -> Self {
        let runtime = wrapper(t, options);
        fs::create_dir_all(t.root()).unwrap();
        let dir = t.path("containerd");
        fs::create_dir(&dir).unwrap();
        let address = dir.join("sock").display().to_string();
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{address}\"\n[ttrpc]\n  address = \"{address}.ttrpc\"\n",
            dir.display()
        );
        let file = dir.join("config.toml");
        fs::write(&file, config).unwrap();
        let daemon = t.program("containerd").arg("--config").arg(&file).spawn();
        let engine = Containerd { t, address, runtime, daemon: Some(daemon) };
        until("containerd", || engine.call(&["version"]).status.success().then_some(()));
        engine
    }

    fn call(&self, args: &[&str]) -> Outcome {
        self.runner(args).run()
    }

    fn runner(&self, args: &[&str]) -> Runner {
        let runner = self.t.program("ctr").args(["--address", &self.address]);
        runner.args(["--namespace", self.t.tag()]).args(args)
    }

    fn run(&self, options: &[&str], id: &str, command: &[&str]) -> Outcome {
        self.run_runner(options, id, command).run()
    }

    fn run_runner(&self, options: &[&str], id: &str, command: &[&str]) -> Runner {
        let id = self.t.id(id);
        let cgroup = format!("/{id}");
        self.runner(&["run", "--runtime", "io.containerd.runc.v2", "--runc-binary"])
            .arg(&self.runtime)
            .args(["--runc-root"])
            .arg(self.t.root())
            .args(["--cgroup", &cgroup])
            .args(options)
            .arg("--rootfs")
            .arg(self.t.bundle.rootfs())
            .arg(&id)
            .args(command)
    }

    fn task(&self, command: &[&str], id: &str, rest: &[&str]) -> Runner {
        self.runner(&[]).arg("task").args(command).arg(self.t.id(id)).args(rest)
    }

    /// brig's own view: containerd gives each of its namespaces a directory below --root.
    fn root(&self) -> PathBuf {
        self.t.root().join(self.t.tag())
    }

    fn pid(&self, id: &str) -> i32 {
        let text = fs::read(self.root().join(self.t.id(id)).join("state.json")).unwrap();
        let record: Value = serde_json::from_slice(&text).unwrap();
        i32::try_from(record["init"]["pid"].as_i64().unwrap()).unwrap()
    }

    fn assert_clean(mut self) {
        self.call(&["task", "ls", "--quiet"]).prints("");
        let left = fs::read_dir(self.root()).into_iter().flatten().flatten().count();
        assert_eq!(left, 0, "brig keeps nothing");
        fs::remove_dir_all(self.root()).unwrap_or_default();
        self.stop();
        self.t.assert_clean();
    }

    fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.signal(15);
            daemon.wait();
        }
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.daemon.take());
        } else {
            self.stop();
        }
    }
}

fn containerd_is_here(test: &str) -> bool {
    require(Feature::Containerd, module_path!(), test)
}

#[test]
fn containerd_runs_a_container_and_returns_its_status() {
    if !containerd_is_here("containerd_runs_a_container_and_returns_its_status") {
        return;
    }
    let t = test!();
    let engine = Containerd::start(&t, "");
    engine.run(&["--rm"], "c", &["/bin/echo", "hi"]).prints("hi");
    engine.run(&["--rm"], "c", &["/bin/sh", "-c", "exit 3"]).exits(3);
    engine.run(&["--rm"], "c", &["/nonexistent"]).fails_with("no such file or directory");
    engine.run(&["--rm"], "c", &["nonexistent"]).fails_with("executable file not found in $PATH");
    let seen = in_terminal(
        engine.run_runner(&["--rm", "-t"], "c", &["/bin/sh", "-c", "/bin/tty; echo e''nd; read x"]),
        "end",
    );
    assert!(seen.contains("/dev/pts/0"), "{seen}");
    engine.assert_clean();
}

#[test]
fn a_containerd_container_runs_under_a_profile() {
    if !containerd_is_here("a_containerd_container_runs_under_a_profile") {
        return;
    }
    let t = test!();
    let file =
        t.profile("tight.toml", "[process]\ncapabilities = [\"kill\"]\ncore_dumps = false\n");
    let engine = Containerd::start(&t, &format!("--profile {}", file.display()));
    let show = ["/bin/grep", "-E", "CapBnd|NoNewPrivs", "/proc/self/status"];
    let expected = "CapBnd:\t0000000000000020\nNoNewPrivs:\t1";
    engine.run(&["--rm"], "c", &show).prints(expected);
    engine.run(&["-d"], "d", &["/bin/sleep", "1000"]).ok();
    let exec = [&["exec", "--exec-id", "e"][..]].concat();
    engine.task(&exec, "d", &show).run().prints(expected);
    engine.task(&["delete", "--force"], "d", &[]).run();
    engine.call(&["container", "delete", &t.id("d")]).ok();
    engine.assert_clean();
}

#[test]
fn a_containerd_container_goes_through_its_life() {
    if !containerd_is_here("a_containerd_container_goes_through_its_life") {
        return;
    }
    let t = test!();
    // the same with a supervisor: containerd's shim is its new parent
    for options in ["", "--testing-continue getppid"] {
        let engine = Containerd::start(&t, options);
        engine.run(&["-d"], "c", &["/bin/sleep", "1000"]).ok();
        let seat = supervisor(&engine.root(), &t.id("c"));
        assert_eq!(seat.is_some(), !options.is_empty());
        if let Some(seat) = seat {
            check_seat(seat, engine.pid("c"));
        }
        let exec = |id: &str, command: &[&str]| {
            engine.task(&["exec", "--exec-id", id], "c", command).run()
        };
        exec("e1", &["/bin/sh", "-c", "echo $PPID"]).prints("0");
        exec("e2", &["/bin/sh", "-c", "exit 5"]).exits(5);
        exec("e3", &["/nonexistent"]).fails_with("no such file or directory");
        let terminal = engine.task(
            &["exec", "-t", "--exec-id", "e4"],
            "c",
            &["/bin/sh", "-c", "/bin/tty; read x"],
        );
        in_terminal(terminal, "/dev/pts/");
        engine.task(&["pause"], "c", &[]).run().ok();
        assert!(engine.call(&["task", "ls"]).ok().stdout.contains("PAUSED"));
        engine.task(&["resume"], "c", &[]).run().ok();
        engine.task(&["metrics"], "c", &[]).run().ok();
        engine.task(&["kill", "--signal", "SIGKILL"], "c", &[]).run().ok();
        until("the task's end", || {
            engine.call(&["task", "ls"]).stdout.contains("STOPPED").then_some(())
        });
        // ctr passes the task's status on
        engine.task(&["delete"], "c", &[]).run();
        engine.call(&["container", "delete", &t.id("c")]).ok();
        engine.run(&["-d"], "d", &["/bin/sleep", "1000"]).ok();
        engine.task(&["delete", "--force"], "d", &[]).run();
        engine.call(&["container", "delete", &t.id("d")]).ok();
        engine.assert_clean();
        fs::remove_dir_all(t.path("containerd")).unwrap();
    }
}

#[test]
fn global_options_of_engines_are_accepted() {
    let t = test!();
    let log = t.path("log.json");
    let call = |options: &[&str]| t.brig().args(options).args(["list", "--quiet"]).run().ok();
    call(&["--log", log.to_str().unwrap(), "--log-format", "json", "--debug"]);
    call(&["--log", log.to_str().unwrap(), "--log-format=json", "--rootless=auto"]);
    call(&["--rootless", "true"]);
    call(&["--rootless=false"]);
    let failed = t
        .brig()
        .args(["--log", log.to_str().unwrap(), "--log-format", "json", "state", "nobody"])
        .run();
    failed.fails_with("does not exist");
    let text = fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], json!("error"));
    assert!(last["msg"].as_str().unwrap().contains("does not exist"));
    assert!(last["time"].is_string());
}

// SPDX-License-Identifier: Apache-2.0
//! What the tests share: a bundle to edit, brig to run with a time limit, and the search for leftovers.

mod command;
mod features;
mod leftovers;
pub mod process;
mod terminal;
pub mod victims;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use command::{Outcome, Runner, Running};
pub use features::{Feature, require};
pub use terminal::{Console, Pty, receive_descriptor};

/// How long anything may take. The machine may be busy with other tests.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The applets that a root filesystem has.
const APPLETS: &[&str] = &[
    "sh", "sleep", "true", "false", "cat", "echo", "ls", "id", "kill", "env", "mknod", "mount",
    "umount", "touch", "mkdir", "rm", "ln", "stat", "chmod", "chown", "dd", "hostname", "pwd",
    "head", "tail", "grep", "test", "stty", "tty", "ps", "readlink", "chroot", "mkfifo", "wc",
    "tr", "sort", "find", "dmesg", "unshare", "nproc", "usleep", "sync", "printf", "cp", "mv",
    "seq",
];

/// One test: its directory, its bundle, its containers. What it leaves is found when it is dropped, also
/// by a panic.
pub struct Test {
    name: &'static str,
    tag: String,
    dir: PathBuf,
    /// The first bundle.
    pub bundle: Bundle,
    profile: Option<&'static str>,
    roots: Mutex<Vec<PathBuf>>,
}

/// A bundle: a directory with config.json and rootfs.
pub struct Bundle {
    /// Where it is.
    pub dir: PathBuf,
    /// What is written to config.json before each use.
    pub config: Value,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The name of the test that calls.
#[macro_export]
macro_rules! test {
    () => {{
        fn here() {}
        $crate::harness::Test::new($crate::harness::test_name(std::any::type_name_of_val(&here)))
    }};
}

/// The last part but one of a function's path.
pub fn test_name(path: &'static str) -> &'static str {
    path.rsplit("::").nth(1).unwrap_or(path)
}

impl Test {
    /// Use [`test!`].
    pub fn new(name: &'static str) -> Self {
        process::become_subreaper();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tag = format!("bt{}x{number}", std::process::id());
        let dir = std::env::temp_dir().join(&tag);
        fs::create_dir_all(&dir).unwrap();
        // users other than root have to reach what is in it
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(dir.join("operator/profiles")).unwrap();
        let bundle = Bundle::create(&dir.join("bundle"), &tag);
        let roots = Mutex::new(vec![dir.join("root")]);
        Test { name, tag, dir, bundle, profile: None, roots }
    }

    /// Leaves everything to the specification: for tests of what brig makes of one. The default
    /// profile would deny some of it, too, and hide that brig does not.
    pub fn plain(mut self) -> Self {
        self.profile = Some("none");
        self
    }

    /// The test's name.
    #[allow(dead_code)]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What every id, path and cgroup of this test contains.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The test's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory given as --root.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Has another --root looked at in the end.
    pub fn watch_root(&self, root: &Path) {
        self.roots.lock().unwrap().push(root.to_owned());
    }

    /// A container id that only this test uses.
    pub fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    /// Another bundle, with a cgroup of its own.
    pub fn another_bundle(&self, name: &str) -> Bundle {
        Bundle::create(&self.dir.join(name), &format!("{}-{name}", self.tag))
    }

    /// The directory given as --config: what the host's operator says is none of a test's business.
    pub fn operator(&self) -> PathBuf {
        self.dir.join("operator")
    }

    /// Writes the operator's config.toml.
    pub fn configure(&self, text: &str) {
        fs::write(self.operator().join("config.toml"), text).unwrap();
    }

    /// Writes a profile of the operator's.
    pub fn profile(&self, name: &str, text: &str) -> PathBuf {
        let path = self.operator().join("profiles").join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// brig with --root and --config, to be completed.
    pub fn brig(&self) -> Runner {
        let brig = self.program(env!("CARGO_BIN_EXE_brig")).arg("--root").arg(self.root());
        let profile = self.profile.iter().flat_map(|name| ["--profile", name]);
        brig.arg("--config").arg(self.operator()).args(profile)
    }

    /// Another program, to be completed.
    pub fn program(&self, program: &str) -> Runner {
        Runner::new(program, &self.dir)
    }

    /// `brig ARGS…`
    pub fn call<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.brig().args(args).run()
    }

    /// `brig run` of the first bundle with this command.
    pub fn run<S: Into<String>>(&mut self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.bundle.args(args);
        self.run_bundle()
    }

    /// `brig run` of the first bundle.
    pub fn run_bundle(&self) -> Outcome {
        self.run_command("run").run()
    }

    /// `brig run` of a shell script in the first bundle.
    pub fn script(&mut self, script: &str) -> Outcome {
        self.run(["/bin/sh", "-c", script])
    }

    /// `brig run|create --bundle BUNDLE ID` of the first bundle, to be completed with options.
    pub fn run_command(&self, command: &str) -> Runner {
        self.bundle.write();
        self.brig().arg(command).arg("--bundle").arg(&self.bundle.dir).last_arg(self.id("c"))
    }

    /// Creates the first bundle's container, `ID`; must succeed.
    pub fn create(&self) -> String {
        self.run_command("create").run().ok();
        self.id("c")
    }

    /// Creates and starts the first bundle's container; must succeed. Returns its id.
    pub fn start(&self) -> String {
        let id = self.create();
        self.call(["start", &id]).ok();
        id
    }

    /// Creates and starts a container that sleeps. Returns its id.
    pub fn start_sleeping(&mut self) -> String {
        self.bundle.args(["/bin/sleep", "1000"]);
        self.start()
    }

    /// `brig state`, parsed.
    pub fn state(&self, id: &str) -> Value {
        let outcome = self.call(["state", id]).ok();
        serde_json::from_str(&outcome.stdout).expect("state prints JSON")
    }

    /// The pid that `state` shows.
    pub fn pid(&self, id: &str) -> i32 {
        i32::try_from(self.state(id)["pid"].as_i64().expect("pid")).unwrap()
    }

    /// Waits until `state` shows this status.
    pub fn await_status(&self, id: &str, status: &str) {
        until(&format!("status {status}"), || (self.state(id)["status"] == status).then_some(()));
    }

    /// `brig exec ID ARGS…`
    pub fn exec<S: AsRef<std::ffi::OsStr>>(
        &self,
        id: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Outcome {
        self.brig().arg("exec").arg(id).args(args).run()
    }

    /// `brig delete --force`; must succeed.
    pub fn delete(&self, id: &str) {
        self.call(["delete", "--force", id]).ok();
    }

    /// Nothing is left now: no state directory, cgroup, mount or process of this test.
    #[track_caller]
    pub fn assert_clean(&self) {
        let found = leftovers::settled(
            &self.tag,
            &self.roots.lock().unwrap_or_else(PoisonError::into_inner),
        );
        assert!(found.is_empty(), "left behind: {found:#?}");
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        for root in self.roots.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for id in leftovers::entries(root) {
                let delete = Runner::new(env!("CARGO_BIN_EXE_brig"), &self.dir);
                delete.arg("--root").arg(root).args(["delete", "--force", &id]).limit(LIMIT).run();
            }
        }
        let found = leftovers::settled(
            &self.tag,
            &self.roots.lock().unwrap_or_else(PoisonError::into_inner),
        );
        leftovers::sweep(&self.tag);
        fs::remove_dir_all(&self.dir).unwrap_or_default();
        if !found.is_empty() {
            let text = format!("{}: left behind: {found:#?}", self.name);
            if std::thread::panicking() {
                eprintln!("{text}");
            } else {
                panic!("{text}");
            }
        }
    }
}

impl Bundle {
    fn create(dir: &Path, tag: &str) -> Self {
        fs::create_dir_all(dir).unwrap();
        make_rootfs(&dir.join("rootfs"));
        Bundle { dir: dir.to_owned(), config: default_config(tag) }
    }

    /// The root filesystem.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// A file of the root filesystem, from the host's side.
    pub fn file(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    /// What is executed.
    pub fn args<S: Into<String>>(&mut self, args: impl IntoIterator<Item = S>) {
        let args: Vec<Value> = args.into_iter().map(|one| Value::String(one.into())).collect();
        self.config["process"]["args"] = Value::Array(args);
    }

    /// What is executed: a shell script.
    pub fn script(&mut self, script: &str) {
        self.args(["/bin/sh", "-c", script]);
    }

    /// One more mount.
    pub fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// All five sets are these.
    pub fn capabilities(&mut self, names: &[&str]) {
        self.config["process"]["capabilities"] = json!({
            "bounding": names, "effective": names, "permitted": names, "inheritable": names,
            "ambient": names,
        });
    }

    /// Removes a namespace.
    pub fn without_namespace(&mut self, kind: &str) {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|one| one["type"] != kind);
    }

    /// Puts an executable script into the root filesystem.
    pub fn install(&self, path: &str, text: &str, mode: u32) {
        let path = self.file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes config.json.
    pub fn write(&self) {
        fs::write(self.dir.join("config.json"), self.config.to_string()).unwrap();
    }
}

/// A root filesystem of busybox: one copy, the applets linked to it.
pub fn make_rootfs(rootfs: &Path) {
    for directory in ["bin", "dev", "proc", "sys", "tmp", "etc", "root", "run"] {
        fs::create_dir_all(rootfs.join(directory)).unwrap();
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let busybox = rootfs.join("bin/busybox");
    fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
    for applet in APPLETS {
        fs::hard_link(&busybox, rootfs.join("bin").join(applet)).unwrap();
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
    fs::write(rootfs.join("etc/passwd"), passwd).unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\n").unwrap();
}

/// What `runc spec` writes, without a terminal, with a writable root and a cgroup of the test's own.
fn default_config(tag: &str) -> Value {
    let caps = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/bin/true"],
            "env": ["PATH=/bin:/usr/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "brig-test",
        "mounts": [
            mount("/proc", "proc", "proc", &[]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts",
                  &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm",
                  &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": {
            "cgroupsPath": format!("/{tag}"),
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" },
            ],
            "maskedPaths": ["/proc/kcore", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// Waits until the question has an answer, or panics.
#[track_caller]
pub fn until<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        process::reap_orphans();
        process::pause();
    }
}

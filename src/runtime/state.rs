// SPDX-License-Identifier: Apache-2.0
//! The state directory: what one command leaves for the next.
//!
//! `ROOT/ID/` has
//!
//! | file | content |
//! |---|---|
//! | `state.json` | the [`Record`], replaced atomically |
//! | `config.json` | the specification as it was at create, under the policy |
//! | `policy.json` | the resolved policy, which profile it is from, and the operator's settings |
//! | `plan.json` | the seccomp program and what goes with it |
//! | `domain.json` | the Landlock rules of the first process, if there are any |
//! | `lock` | held by the command that changes the container |
//! | `creating` | held while the container is being made, by all processes that do it |
//! | `notify.sock` | libcontainer's: a connection lets the first process go on |
//! | `start.sock` | the first process's report to `start`; gone once it has been started |
//! | `supervisor.sock` | where added processes hand over their listener, if anything is mediated |
//! | `decisions.log`, `decisions.log.1` | what was decided about mediated calls, in turn: when one is full the other begins anew |
//!
//! Guarantees: a reader sees a whole record or none; a pid is used only together with the start
//! time that it had, so that a reused one is never taken for the container. What it does not
//! guarantee: that the directory is consistent after a kill -9 in the middle of create; `delete
//! --force` removes it then.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brig_policy::spec::validate_id;
use chrono::{DateTime, Utc};
use libcontainer::oci_spec::runtime::Spec;
use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::cgroup::{self, Location};
use super::domain::Applied;
use super::plan::Plan;
use super::process::Identity;
use crate::profiles::choose::Confinement;

/// The version of the OCI runtime specification that brig implements.
pub const OCI_VERSION: &str = "1.2.0";

const RECORD: &str = "state.json";
const SPEC: &str = "config.json";
const PLAN: &str = "plan.json";
const DOMAIN: &str = "domain.json";
const POLICY: &str = "policy.json";
const LOCK: &str = "lock";
const CREATING: &str = "creating";
/// The socket of [`crate::runtime::executor`] that `start` listens to.
pub const START_SOCKET: &str = "start.sock";
/// The socket of [`crate::supervisor`] for added processes.
pub const SUPERVISOR_SOCKET: &str = "supervisor.sock";

/// What is known of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The identifier.
    pub id: String,
    /// The bundle's directory: the original one, which is never written to.
    pub bundle: PathBuf,
    /// The root filesystem on the host.
    pub rootfs: PathBuf,
    /// The specification's annotations, and brig's own.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// When create began.
    pub created: DateTime<Utc>,
    /// The effective user id of who created it.
    pub creator: u32,
    /// Where its cgroup is.
    pub cgroup: Location,
    /// The first process, once there is one.
    pub init: Option<Identity>,
    /// The supervisor, where anything is mediated.
    pub supervisor: Option<Identity>,
    /// Whether a resctrl directory is to be removed.
    #[serde(default)]
    pub resctrl: bool,
    /// Whether the first process's Landlock rules are kept beside this: no process is added without
    /// them.
    pub domain: bool,
}

/// The status of the OCI specification, and `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not finished.
    Creating,
    /// Waiting for `start`.
    Created,
    /// The first process lives.
    Running,
    /// Its cgroup is frozen.
    Paused,
    /// The first process is gone.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

/// A container's state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Makes the directory of a new container.
    ///
    /// # Errors
    ///
    /// An identifier that is none, or that is in use.
    pub fn create(root: &Path, id: &str) -> anyhow::Result<Self> {
        validate_id(id)?;
        make_root(root)?;
        let path = root.join(id);
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(StateDir { path }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("container with id {id:?} already exists: delete it, or choose another id")
            }
            Err(error) => Err(error).with_context(|| format!("mkdir {}", path.display())),
        }
    }

    /// Opens the directory of a container.
    ///
    /// # Errors
    ///
    /// runc's words for a container that is not there: engines look for them.
    pub fn open(root: &Path, id: &str) -> anyhow::Result<Self> {
        validate_id(id)?;
        let path = root.join(id);
        if !path.is_dir() {
            bail!("container {id:?} does not exist");
        }
        check_owner(root)?;
        Ok(StateDir { path })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits for the lock that commands hold while they change the container.
    ///
    /// # Errors
    ///
    /// The directory went away meanwhile.
    pub fn lock(&self) -> anyhow::Result<File> {
        let path = self.file(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("container was deleted: open {}", path.display()))?;
        // not flock(2): the container's process would inherit and keep that one
        fcntl_lock(&file, FlockOperation::LockExclusive)
            .with_context(|| format!("lock {}", path.display()))?;
        Ok(file)
    }

    /// Marks the directory as one that a container is being made for: by this process, and by
    /// those that it forks for as long as they have not executed a program.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn hold(&self) -> anyhow::Result<File> {
        let path = self.file(CREATING);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        // flock(2), because it is inherited; another file than `lock` has, whose lock is lost when
        // any descriptor of that file is closed
        flock(&file, FlockOperation::LockShared)
            .with_context(|| format!("flock {}", path.display()))?;
        Ok(file)
    }

    /// Waits until nobody [holds](Self::hold) the directory: a killed create's children may still
    /// be making cgroups.
    ///
    /// # Errors
    ///
    /// Somebody still does after `limit`.
    pub fn await_holders(&self, limit: Duration) -> anyhow::Result<()> {
        let path = self.file(CREATING);
        let Ok(file) = File::open(&path) else { return Ok(()) };
        let deadline = Instant::now() + limit;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    let moment = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                    poll(&mut [], Some(&moment)).unwrap_or_default();
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("flock {}", path.display()));
                }
            }
        }
    }

    /// Reads the record.
    ///
    /// # Errors
    ///
    /// A record that is missing or malformed.
    pub fn load(&self) -> anyhow::Result<Record> {
        self.read_json(RECORD)
    }

    /// Replaces the record.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn save(&self, record: &Record) -> anyhow::Result<()> {
        self.write_json(RECORD, record)
    }

    /// Keeps the specification for added processes.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn save_spec(&self, spec: &Spec) -> anyhow::Result<()> {
        self.write_json(SPEC, spec)
    }

    /// The specification as it was at create.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn load_spec(&self) -> anyhow::Result<Spec> {
        self.read_json(SPEC)
    }

    /// Keeps what the container is confined by.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn save_policy(&self, confinement: &Confinement) -> anyhow::Result<()> {
        self.write_json(POLICY, confinement)
    }

    /// What the container is confined by, as it was resolved at create.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn load_policy(&self) -> anyhow::Result<Confinement> {
        self.read_json(POLICY)
    }

    /// Keeps the first process's Landlock rules.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn save_domain(&self, applied: &Applied) -> anyhow::Result<()> {
        self.write_json(DOMAIN, applied)
    }

    /// The first process's Landlock rules; none where it is in no domain.
    ///
    /// # Errors
    ///
    /// The disk's; rules that were kept and are not there.
    pub fn load_domain(&self) -> anyhow::Result<Option<Applied>> {
        if !self.load()?.domain {
            return Ok(None);
        }
        self.read_json(DOMAIN).map(Some)
    }

    /// Keeps the plan for added processes.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn save_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        self.write_json(PLAN, plan)
    }

    /// The plan as it was made at create.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn load_plan(&self) -> anyhow::Result<Plan> {
        self.read_json(PLAN)
    }

    /// Removes the directory and all that is in it.
    ///
    /// # Errors
    ///
    /// The disk's; a directory that is not there is none.
    pub fn remove(&self) -> anyhow::Result<()> {
        // under a name that no container can have, so that nobody puts anything into it meanwhile
        let mut name = self.path.clone().into_os_string();
        name.push(format!("~{}", std::process::id()));
        let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        let removed = match fs::rename(&self.path, &name) {
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => Err(error),
            Ok(()) => fs::remove_dir_all(&name),
        };
        removed.with_context(|| format!("remove {}", self.path.display()))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let path = self.file(name);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("parse {}", path.display()))
    }

    /// Writes beside the file and renames over it.
    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let path = self.file(name);
        let beside = self.file(&format!(".{name}.{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            fs::rename(&beside, &path)
        };
        write().with_context(|| format!("write {}", path.display()))
    }
}

impl Record {
    /// The status now.
    ///
    /// # Errors
    ///
    /// The cgroup's state cannot be read.
    pub fn status(&self, directory: &StateDir) -> anyhow::Result<Status> {
        let Some(init) = &self.init else { return Ok(Status::Creating) };
        if !init.is_alive() {
            return Ok(Status::Stopped);
        }
        if directory.file(START_SOCKET).exists() {
            return Ok(Status::Created);
        }
        if cgroup::is_frozen(&self.cgroup)? {
            return Ok(Status::Paused);
        }
        Ok(Status::Running)
    }

    /// The first process's pid, 0 where it is gone.
    #[must_use]
    pub fn live_pid(&self) -> i32 {
        self.init.as_ref().filter(|init| init.is_alive()).map_or(0, |init| init.pid)
    }

    /// The container's processes: those in its cgroup but the supervisor.
    ///
    /// # Errors
    ///
    /// The cgroup cannot be read, or there is none.
    pub fn processes(&self) -> anyhow::Result<Vec<i32>> {
        let own = |pid: &i32| self.supervisor.as_ref().is_none_or(|one| one.pid != *pid);
        Ok(cgroup::pids(&self.cgroup)?.into_iter().filter(own).collect())
    }
}

/// All containers below a root directory, in the order of their names. Directories without a
/// record (being created or deleted at the moment) are left out.
///
/// # Errors
///
/// The root directory cannot be read.
pub fn list(root: &Path) -> anyhow::Result<Vec<(StateDir, Record)>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("read {}", root.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_none_or(|name| validate_id(name).is_err()) {
            continue;
        }
        let directory = StateDir { path: entry.path() };
        if let Ok(record) = directory.load() {
            found.push((directory, record));
        }
    }
    found.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    Ok(found)
}

fn make_root(root: &Path) -> anyhow::Result<()> {
    if !root.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("mkdir {}", root.display()))?;
    }
    check_owner(root)
}

/// Whoever can write the root directory can put a container there.
fn check_owner(root: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(root).with_context(|| format!("stat {}", root.display()))?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        bail!("--root {}: is not a directory", root.display());
    }
    if metadata.uid() != me {
        bail!("--root {}: belongs to uid {}, not to {me}", root.display(), metadata.uid());
    }
    if metadata.mode() & 0o022 != 0 {
        bail!(
            "--root {}: mode {:o} lets others write it",
            root.display(),
            metadata.mode() & 0o7777
        );
    }
    Ok(())
}

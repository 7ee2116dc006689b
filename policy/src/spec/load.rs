// SPDX-License-Identifier: Apache-2.0
//! From the bytes of a `config.json` to the specification's types.
//!
//! The JSON is brought to the one form that the types accept before it is converted, so that no
//! form that an engine writes is refused. Meaning is never changed: what cannot be expressed is
//! left for [`super::validate`] to name.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde_json::Value;

use super::{FieldError, SpecErrors};

/// A parsed `config.json`.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The specification without `linux.seccomp`.
    pub spec: Spec,
    /// `linux.seccomp` as it was written, if it was.
    pub seccomp: Option<Value>,
    /// Destinations of tmpfs mounts that are to start with a copy of what they cover
    /// (`tmpcopyup`, an option of runc's and crun's).
    pub copy_up: Vec<String>,
    /// The recursive or plain propagation that a mount's options ask for, by destination:
    /// `rprivate`, `shared`, …
    pub propagation: BTreeMap<String, String>,
}

/// Parses a `config.json`.
///
/// # Errors
///
/// Text that is not JSON, and values whose type is not the specification's; the field is named.
pub fn load(bytes: &[u8]) -> Result<Loaded, SpecErrors> {
    let mut value = parse(bytes)?;
    let seccomp = take_seccomp(&mut value);
    normalize_propagation(&mut value);
    let mut copy_up = Vec::new();
    let mut propagation = BTreeMap::new();
    for mount in items(&mut value, "mounts") {
        normalize_mount(mount, &mut copy_up, &mut propagation);
    }
    let spec = convert(value)?;
    Ok(Loaded { spec, seccomp, copy_up, propagation })
}

/// Parses the `process.json` of an added process (`exec --process`).
///
/// # Errors
///
/// As [`load`].
pub fn load_process(bytes: &[u8]) -> Result<Process, SpecErrors> {
    convert(parse(bytes)?)
}

/// Converts a `linux.resources` (`update --resources`).
///
/// # Errors
///
/// As [`load`].
pub fn load_resources(value: Value) -> Result<LinuxResources, SpecErrors> {
    if !value.is_object() {
        return Err(FieldError::new("", "not a JSON object").into());
    }
    convert(value)
}

fn parse(bytes: &[u8]) -> Result<Value, SpecErrors> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| FieldError::new("", format!("not valid JSON: {error}")))?;
    if !value.is_object() {
        return Err(FieldError::new("", "not a JSON object").into());
    }
    Ok(value)
}

fn convert<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, SpecErrors> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        FieldError::new(error.path().to_string(), error.inner().to_string()).into()
    })
}

fn take_seccomp(value: &mut Value) -> Option<Value> {
    let seccomp = value.get_mut("linux")?.as_object_mut()?.remove("seccomp")?;
    (!seccomp.is_null()).then_some(seccomp)
}

/// The recursive forms mean the same for the root of a container: it is a bind mount of a tree.
fn normalize_propagation(value: &mut Value) {
    let Some(linux) = value.get_mut("linux").and_then(Value::as_object_mut) else { return };
    let Some(Value::String(written)) = linux.get_mut("rootfsPropagation") else { return };
    match written.as_str() {
        "rshared" | "rslave" | "rprivate" | "runbindable" => *written = written[1..].to_owned(),
        "" => {
            linux.remove("rootfsPropagation");
        }
        _ => {}
    }
}

fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn normalize_mount(
    mount: &mut Value,
    copy_up: &mut Vec<String>,
    propagation: &mut BTreeMap<String, String>,
) {
    let Some(mount) = mount.as_object_mut() else { return };
    let destination =
        mount.get("destination").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = mount.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut is_bind = kind == "bind";
    if let Some(Value::Array(options)) = mount.get_mut("options") {
        options.retain(|option| match option.as_str() {
            Some("tmpcopyup") => {
                copy_up.push(destination.clone());
                false
            }
            Some(
                written @ ("private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared"
                | "unbindable" | "runbindable"),
            ) => {
                propagation.insert(destination.clone(), written.to_owned());
                false
            }
            Some("bind" | "rbind") => {
                is_bind = true;
                true
            }
            // runc's spelling of the absence of tmpcopyup
            Some("notmpcopyup") => false,
            _ => true,
        });
    }
    if is_bind {
        mount.insert("type".to_owned(), Value::from("bind"));
    } else if kind == "none" && mount.get("source").is_none() {
        mount.remove("type");
    }
    if mount.get("source").and_then(Value::as_str).unwrap_or_default().is_empty() && !is_bind {
        let name = if kind.is_empty() { "none".to_owned() } else { kind };
        mount.insert("source".to_owned(), Value::from(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mounts: &str, linux: &str) -> Vec<u8> {
        format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"rootfs"}},"process":{{"cwd":"/","args":["sh"],
            "user":{{"uid":0,"gid":0}}}},"mounts":{mounts},"linux":{linux}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn every_form_of_rootfs_propagation_is_accepted() {
        for form in ["private", "slave", "shared", "unbindable"] {
            for prefix in ["", "r"] {
                let text = format!(r#"{{"rootfsPropagation":"{prefix}{form}"}}"#);
                let loaded = load(&config("[]", &text)).unwrap();
                let linux = loaded.spec.linux().as_ref().unwrap();
                assert_eq!(linux.rootfs_propagation().as_deref(), Some(form));
            }
        }
    }

    #[test]
    fn a_mount_without_source_gets_its_type_as_source() {
        let loaded = load(&config(r#"[{"destination":"/tmp","type":"tmpfs"}]"#, "{}")).unwrap();
        let mounts = loaded.spec.mounts().as_ref().unwrap();
        assert_eq!(mounts[0].source().as_ref().unwrap().to_str(), Some("tmpfs"));
    }

    #[test]
    fn tmpcopyup_is_taken_out_and_remembered() {
        let mounts = r#"[{"destination":"/run","type":"tmpfs","source":"tmpfs",
            "options":["tmpcopyup","nosuid"]}]"#;
        let loaded = load(&config(mounts, "{}")).unwrap();
        assert_eq!(loaded.copy_up, ["/run"]);
        let mounts = loaded.spec.mounts().as_ref().unwrap();
        assert_eq!(mounts[0].options().as_ref().unwrap(), &["nosuid"]);
    }

    #[test]
    fn propagation_options_are_taken_out_and_remembered() {
        let mounts = r#"[{"destination":"/v","source":"/x","options":["rbind","rslave","ro"]}]"#;
        let loaded = load(&config(mounts, "{}")).unwrap();
        assert_eq!(loaded.propagation["/v"], "rslave");
        let mounts = loaded.spec.mounts().as_ref().unwrap();
        assert_eq!(mounts[0].typ().as_deref(), Some("bind"));
    }

    #[test]
    fn seccomp_is_taken_out_as_it_was_written() {
        let text = r#"{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","unknown":1}}"#;
        let loaded = load(&config("[]", text)).unwrap();
        assert_eq!(loaded.seccomp.unwrap()["unknown"], 1);
        assert!(loaded.spec.linux().as_ref().unwrap().seccomp().is_none());
    }

    #[test]
    fn a_wrong_type_names_its_field() {
        let error = load(&config(r#"[{"destination":7}]"#, "{}")).unwrap_err();
        assert_eq!(error.0[0].field, "mounts[0].destination");
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for bytes in [&b""[..], b"\xff\xfe", b"[]", b"{", b"null"] {
            assert!(load(bytes).is_err());
        }
    }
}

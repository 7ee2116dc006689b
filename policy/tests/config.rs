// SPDX-License-Identifier: Apache-2.0
//! The operator's configuration: what it means, what is wrong with it, and which profile a container
//! gets under it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use brig_policy::config::{
    Asked, ChosenBy, Config, Destination, Enforcement, Order, Reference, order, read,
};
use brig_policy::diagnostics::{Paint, human};

fn config(text: &str) -> Config {
    let reading = read("config.toml", text.as_bytes().to_vec());
    let said = human(&reading.report, &reading.sources, Paint::Plain);
    reading.config.unwrap_or_else(|| panic!("{said}"))
}

fn mistakes(text: &str) -> String {
    let reading = read("config.toml", text.as_bytes().to_vec());
    assert!(reading.config.is_none(), "half a configuration is none");
    human(&reading.report, &reading.sources, Paint::Plain)
}

#[test]
fn nothing_is_strict_and_allows_no_annotations() {
    let none = config("");
    assert_eq!(none, Config::default());
    assert_eq!(none.settings.enforcement, Enforcement::Strict);
    assert_eq!(none.settings.max_rules, 4096);
    assert_eq!(none.settings.log.decisions, Destination::State);
    assert!(none.allow_annotations.is_empty() && none.allow_set.is_empty());
}

#[test]
fn everything_can_be_said() {
    let all = config(
        "default_profile = \"site\"\nrequired_profile = \"./floor.toml\"\n\
         allow_annotations = [\"io.brig.profile\"]\nallow_set = [\"data\"]\n\
         enforcement = \"best-effort\"\nmax_rules = 100\n\
         [log]\ndecisions = \"file\"\nfile = \"/var/log/d\"\nmax_size = \"1M\"\nmax_per_second = 7\n",
    );
    assert_eq!(all.default_profile, Some(Reference::Name("site".into())));
    assert_eq!(all.required_profile, Some(Reference::BesideConfig("./floor.toml".into())));
    assert!(all.allow_annotations.contains("io.brig.profile") && all.allow_set.contains("data"));
    assert_eq!((all.settings.enforcement, all.settings.max_rules), (Enforcement::BestEffort, 100));
    let log = all.settings.log;
    assert_eq!(log.decisions, Destination::File("/var/log/d".into()));
    assert_eq!((log.max_size, log.max_per_second), (1 << 20, 7));
    let other = |word: &str| config(&format!("[log]\ndecisions = {word:?}\n")).settings.log;
    assert_eq!(other("journal").decisions, Destination::Journal);
    assert_eq!(other("none").decisions, Destination::None);
}

#[test]
fn every_mistake_is_shown_at_once() {
    insta::assert_snapshot!(mistakes(
        "default_profile = \"..\"\nrequierd_profile = \"base\"\nenforcement = \"lax\"\n\
         allow_annotations = [\"io.brig.profil\"]\nallow_set = [\"a b\", 7]\nmax_rules = 0\n\
         [log]\ndecisions = \"journal\"\nfile = \"/d\"\nmax_size = \"1X\"\n",
    ));
    insta::assert_snapshot!(mistakes("[log]\ndecisions = \"file\"\nmax_size = \"1K\"\n"));
    insta::assert_snapshot!(mistakes("[log]\ndecisions = \"file\"\nfile = \"d\"\n"));
    insta::assert_snapshot!(mistakes("required_profile = \"base\nmax_rules = 7\n"));
    assert!(!mistakes("required_profile = \"\"").is_empty());
    let reading = read("config.toml", b"\xff".to_vec());
    assert!(reading.config.is_none() && reading.report.errors() == 1);
}

/// What is asked for, in a few words: `option=x`, `host=x`, `domain=x`, `set.x=y` for `--set`, and
/// annotations.
fn ask(words: &[&str], config: &Config) -> Result<Order, String> {
    let pairs: BTreeMap<String, String> = words
        .iter()
        .map(|word| word.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let get = |name: &str| pairs.get(name).map(String::as_str);
    let begins = |prefix: &str, cut: usize| -> BTreeMap<String, String> {
        let found = pairs.iter().filter(|(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (name[cut..].to_owned(), value.clone())).collect()
    };
    let (set, annotations) = (begins("set.", 4), begins("io.", 0));
    let asked = Asked {
        option: get("option"),
        set: &set,
        annotations: &annotations,
        hostname: get("host"),
        domainname: get("domain"),
    };
    order(&asked, config).map_err(|errors| errors.to_string())
}

fn check(words: &[&str], config: &Config, expected: &[(Reference, ChosenBy)]) {
    let found = ask(words, config).unwrap().candidates;
    let found: Vec<_> = found.into_iter().map(|one| (one.reference, one.by)).collect();
    assert_eq!(found, expected, "{words:?}");
}

fn name(name: &str) -> Reference {
    Reference::Name(name.to_owned())
}

fn file(name: &str) -> Reference {
    Reference::File(name.to_owned())
}

#[test]
fn the_order_is_option_annotation_domain_both_host_default() {
    let none = Config::default();
    let open = config("allow_annotations = [\"io.brig.profile\"]");
    let built_in = (Reference::BuiltIn("default"), ChosenBy::Default);
    let default = (file("default.toml"), ChosenBy::DefaultFile);
    check(&[], &none, &[default.clone(), built_in.clone()]);
    let named = ["host=web", "domain=shop"];
    let found = [
        (file("shop.toml"), ChosenBy::Domainname),
        (file("web.shop.toml"), ChosenBy::FullName),
        (file("web.toml"), ChosenBy::Hostname),
        default.clone(),
        built_in,
    ];
    check(&named, &none, &found);
    check(&["host=web", "domain="], &none, &[&found[2..]].concat());
    check(&["host=", "domain=shop"], &none, &[&found[..1], &found[3..]].concat());
    let site = config("default_profile = \"site\"");
    check(&["host="], &site, &[default, (name("site"), ChosenBy::Configuration)]);
    let annotated = ["host=web", "io.brig.profile=tight"];
    check(&annotated, &open, &[(name("tight"), ChosenBy::Annotation)]);
    let option = ["host=web", "io.brig.profile=tight", "option=none"];
    check(&option, &open, &[(name("none"), ChosenBy::Option)]);
    let path = |path: &str| (Reference::Path(path.to_owned()), ChosenBy::Option);
    check(&["option=./a"], &none, &[path("./a")]);
    check(&["option=a.toml"], &none, &[path("a.toml")]);
}

#[test]
fn an_annotation_that_is_not_allowed_is_an_error_unless_the_option_decides() {
    let none = Config::default();
    let error = ask(&["io.brig.profile=tight"], &none).unwrap_err();
    assert!(error.contains("\"tight\"") && error.contains("allow_annotations"), "{error}");
    let decided = ask(&["io.brig.profile=tight", "option=base"], &none).unwrap();
    assert!(decided.warnings[0].contains("\"tight\""), "{:?}", decided.warnings);
    assert!(ask(&["io.brig.profile=base", "option=base"], &none).unwrap().warnings.is_empty());
    let error = ask(&["io.brig.profle=tight", "option=base"], &none).unwrap_err();
    assert!(error.contains("did you mean \"io.brig.profile\"?"), "{error}");
    assert!(ask(&["io.other=x"], &none).is_ok());
}

#[test]
fn variables_are_the_operators_and_those_that_the_operator_allows() {
    let allowed = config("allow_set = [\"data\"]");
    let found = ask(&["io.brig.set.data=/a", "set.other=b"], &allowed).unwrap().overrides;
    assert_eq!(found, [("data", "/a"), ("other", "b")].map(|(a, b)| (a.into(), b.into())).into());
    let found = ask(&["io.brig.set.data=/a", "set.data=/b"], &allowed).unwrap().overrides;
    assert_eq!(found["data"], "/b");
    let errors = ask(&["io.brig.set.x=1", "io.brig.set.y=2"], &allowed).unwrap_err();
    assert!(errors.contains("set.x") && errors.contains("\"y\" to allow_set"), "{errors}");
}

#[test]
fn names_that_are_no_plain_file_names_are_refused() {
    let open = config("allow_annotations = [\"io.brig.profile\"]");
    let long = "x".repeat(251);
    for bad in ["..", ".", "a/b", "/etc/passwd", "../a", "a\0b", "a\nb", &long] {
        for field in ["host", "domain", "io.brig.profile"] {
            let error = ask(&[&format!("{field}={bad}")], &open).unwrap_err();
            assert!(error.contains("not a plain file name"), "{field} {bad:?}: {error}");
        }
    }
    for bad in ["", ".", "..", "a\nb"] {
        let error = ask(&[&format!("option={bad}")], &open).unwrap_err();
        assert!(error.contains("--profile"), "{bad:?}: {error}");
    }
    assert!(ask(&["io.brig.profile="], &open).is_err(), "an empty annotation names nothing");
    let half = "x".repeat(126);
    let both = ask(&[&format!("host={half}"), &format!("domain={half}")], &open).unwrap_err();
    assert!(both.contains("hostname.domainname"), "{both}");
}

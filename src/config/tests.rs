use super::*;
use crate::app::session::Environment;

fn from(text: &str) -> Result<Config, SettingsError> {
    Config::load(Some(Source::new("config.toml", text)), |_| None, &[])
}

#[test]
fn the_documented_default_file_is_the_default() {
    let from_file = from(Config::default_text()).unwrap();
    let default = Config::default();
    for key in KEYS {
        assert_eq!((key.get)(&from_file), (key.get)(&default), "{}", key.name);
        assert_ne!(from_file.origin(key.name), Origin::Default, "{} is not in assets/config.toml", key.name);
    }
    let bare = |rules: &[ContextRule]| -> Vec<_> {
        rules.iter().map(|rule| (rule.pattern.clone(), rule.environment)).collect()
    };
    let count = default.contexts.len();
    assert_eq!(bare(&from_file.contexts[..count]), bare(&default.contexts));
}

#[test]
fn every_default_can_be_read_and_every_setting_is_described() {
    for key in KEYS {
        assert_eq!(
            key.parse(key.default_text()).map(|value| value == key.default()),
            Ok(true),
            "{}",
            key.name
        );
        assert!(key.doc.ends_with('.'), "{}", key.name);
    }
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let variable = |name: &str| match name {
        "OPSDECK_THEME" => Some("from-environment".to_owned()),
        "OPSDECK_LOGS_LINES" => Some("777".to_owned()),
        _ => None,
    };
    let file = Source::new("config.toml", "theme = \"from-file\"\nmouse = false\n\n[logs]\ntail = 9\n");
    let flags = [("theme", "from-flag".to_owned(), "--theme")];
    let config = Config::load(Some(file), variable, &flags).unwrap();
    assert_eq!(config.theme, "from-flag");
    assert_eq!(config.origin("theme").to_string(), "flag --theme");
    assert_eq!(config.log_lines, 777);
    assert_eq!(config.origin("logs.lines").to_string(), "environment OPSDECK_LOGS_LINES");
    assert_eq!(config.log_tail, 9);
    assert_eq!(config.origin("logs.tail").to_string(), "config.toml:5");
    assert!(!config.mouse);
    assert_eq!(config.origin("readonly"), Origin::Default);
}

#[test]
fn every_value_is_printed_with_its_origin() {
    let config = from("theme = \"light\"\n[contexts.\"eks-*\"]\nreadonly = true\n").unwrap();
    let printed: Vec<_> =
        config.settings().into_iter().map(|s| format!("{} = {} ({})", s.key, s.value, s.origin)).collect();
    assert!(printed.contains(&"theme = \"light\" (config.toml:1)".to_owned()), "{printed:#?}");
    assert!(printed.contains(&"mouse = true (default)".to_owned()));
    assert!(printed.contains(&"contexts.\"eks-*\".readonly = true (config.toml:2)".to_owned()));
    assert!(printed.contains(&"contexts.\"*prod*\".environment = \"prod\" (default)".to_owned()));
    for key in KEYS {
        assert!(printed.iter().any(|line| line.starts_with(&format!("{} = ", key.name))), "{}", key.name);
    }
}

#[test]
fn wrong_files_are_refused_with_line_and_what_is_allowed() {
    let said = |text| from(text).unwrap_err().to_string();
    assert!(
        said("\ntehme = \"dark\"\n")
            .starts_with("config.toml:2: unknown setting \"tehme\"; did you mean theme? (allowed: theme, ")
    );
    assert!(said("[logs]\nlinse = 3\n").contains("did you mean logs.lines?"));
    assert_eq!(said("mouse = \"on\"\n"), "config.toml:1: mouse must be true or false, not a string");
    assert_eq!(said("[logs]\nlines = 5\n"), "config.toml:2: logs.lines must be 100 to 2000000, not 5");
    assert_eq!(
        said("keymap = \"vim\"\n"),
        "config.toml:1: keymap: unknown value \"vim\" (allowed: k9s, argonaut)"
    );
    assert_eq!(
        said("[contexts.\"a-*\"]\nenvironment = \"live\"\n"),
        "config.toml:2: contexts.a-*.environment: unknown value \"live\" (allowed: dev, qa, staging, prod)"
    );
    assert!(said("[contexts.\"a-*\"]\nread-only = true\n").contains("did you mean readonly?"));
    assert!(said("also-protect = [\"stagin\"]\n").contains("did you mean staging?"));
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let variable = |name: &str| (name == "OPSDECK_MOUSE").then(|| "maybe".to_owned());
    let said = Config::load(None, variable, &[]).unwrap_err().to_string();
    assert_eq!(said, "OPSDECK_MOUSE: mouse must be true or false, not \"maybe\"");
    let flags = [("keymap", "vim".to_owned(), "--keymap")];
    let said = Config::load(None, |_| None, &flags).unwrap_err().to_string();
    assert!(said.starts_with("--keymap: keymap: unknown value \"vim\""), "{said}");
}

#[test]
fn a_context_gets_its_environment_by_pattern_and_production_is_protected() {
    let config = Config::default();
    let of = |context: &str| {
        let standing = config.standing(context);
        (standing.environment, standing.protected)
    };
    assert_eq!(of("prod-eu-1"), (Environment::Prod, true));
    assert_eq!(of("arn:aws:eks:eu-central-1:1:cluster/PROD"), (Environment::Prod, true));
    assert_eq!(of("nonprod-eu-1"), (Environment::Staging, false));
    assert_eq!(of("kind-local"), (Environment::Dev, false));
    // Unknown is not harmless.
    assert_eq!(of("mystery"), (Environment::Unknown, true));
}

#[test]
fn a_persons_patterns_come_before_the_defaults_and_may_leave_things_open() {
    let text = "also-protect = [\"unknown\"]\nnamespaces = [\"x\"]\n\
                [contexts.\"prod-sandbox\"]\nenvironment = \"dev\"\n\
                [contexts.\"prod-*\"]\nreadonly = true\nnamespaces = [\"a\", \"b\"]\n";
    let config = from(text).unwrap();
    let sandbox = config.standing("prod-sandbox");
    assert_eq!((sandbox.environment, sandbox.protected), (Environment::Dev, false));
    assert_eq!(sandbox.readonly.as_deref(), Some("config.toml:5"), "the second pattern fits as well");
    let eu = config.standing("prod-eu-1");
    assert_eq!((eu.environment, eu.namespaces), (Environment::Prod, vec!["a".to_owned(), "b".to_owned()]));
    let other = config.standing("mystery");
    assert_eq!((other.protected, other.namespaces), (true, vec!["x".to_owned()]));
}

#[test]
fn read_only_everywhere_says_which_flag_it_was() {
    let config = Config::load(None, |_| None, &[("readonly", "true".to_owned(), "--readonly")]).unwrap();
    assert_eq!(config.standing("kind-local").readonly.as_deref(), Some("flag --readonly"));
}

#[test]
fn patterns_stand_for_any_letters() {
    for (pattern, name, fit) in [
        ("*prod*", "a-prod-b", true),
        ("prod-*", "prod-eu", true),
        ("prod-*", "a-prod-eu", false),
        ("*-eu", "prod-eu", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("exact", "exact", true),
        ("exact", "exactly", false),
        ("*", "", true),
    ] {
        assert_eq!(crate::gate::guard::fits(pattern, name), fit, "{pattern} {name}");
    }
}

#[test]
fn directories_can_be_moved_by_the_environment() {
    let paths = Paths::find(|name| (name == "OPSDECK_STATE_DIR").then(|| "/tmp/here".to_owned()));
    assert_eq!(paths.log_file(), std::path::Path::new("/tmp/here/opsdeck.log"));
    assert!(paths.config_file().ends_with("config.toml"));
}

#[test]
fn a_variable_that_is_no_setting_is_named_with_the_nearest_that_is_one() {
    let names = ["PATH", "OPSDECK_THEM", "OPSDECK_LOGS_LINES", "OPSDECK_STATE_DIR", "OPSDECK_LOG"];
    let said = Config::unknown_variables(names.into_iter());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("OPSDECK_THEM is not a setting") && said[0].contains("OPSDECK_THEME"),
        "{said:?}"
    );
}

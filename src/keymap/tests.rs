use std::collections::HashSet;

use crossterm::event::{KeyCode, KeyModifiers};

use super::*;

fn chord(text: &str) -> Chord {
    text.parse().unwrap()
}

fn with(text: &str) -> Result<Keymap, SettingsError> {
    let mut keymap = Keymap::preset("k9s")?;
    keymap.lay_over(&Source::new("keymap.toml", text))?;
    Ok(keymap)
}

#[test]
fn the_default_file_binds_or_names_every_command() {
    let top = Source::new("keymap.toml", Keymap::default_text()).parse().unwrap();
    let named: HashSet<String> = top
        .entries()
        .iter()
        .flat_map(|section| section.section().unwrap().entries())
        .map(|entry| entry.name)
        .collect();
    for command in Command::ALL {
        assert!(named.contains(command.name()), "{} is not in assets/keymap.toml", command.name());
    }
}

#[test]
fn every_command_is_described_and_named_once() {
    let mut names = HashSet::new();
    for command in Command::ALL {
        assert!(names.insert(command.name()), "{} twice", command.name());
        assert!(!command.label().is_empty());
        assert!(command.doc().ends_with('.'), "{}", command.name());
    }
}

#[test]
fn no_preset_gives_a_key_two_meanings_that_can_meet() {
    for preset in Keymap::presets() {
        let keymap = Keymap::preset(preset).unwrap();
        for a in Command::ALL {
            for b in Command::ALL.iter().filter(|b| *b > a && b.place() == a.place() && !together(*a, **b)) {
                let shared = keymap.keys(*a).iter().find(|key| keymap.keys(*b).contains(key));
                assert!(shared.is_none(), "{preset}: {} is {} and {}", shared.unwrap(), a.name(), b.name());
            }
        }
    }
}

#[test]
fn a_bare_q_never_quits_and_enter_never_confirms_in_any_preset() {
    for preset in Keymap::presets() {
        let keymap = Keymap::preset(preset).unwrap();
        assert!(!keymap.keys(Command::Quit).contains(&chord("q")), "{preset}");
        assert!(!keymap.keys(Command::Confirm).contains(&chord("enter")), "{preset}");
    }
}

#[test]
fn quitting_and_leaving_a_question_are_always_possible() {
    for preset in Keymap::presets() {
        let keymap = Keymap::preset(preset).unwrap();
        for command in [Command::Quit, Command::PlanCancel, Command::Cancel, Command::Back] {
            assert!(!keymap.keys(command).is_empty(), "{preset}: {}", command.name());
        }
    }
}

#[test]
fn terminals_spell_a_key_in_several_ways_and_mean_one() {
    let same = [
        (KeyCode::BackTab, KeyModifiers::SHIFT, "shift-tab"),
        (KeyCode::Tab, KeyModifiers::SHIFT, "shift-tab"),
        (KeyCode::Char('R'), KeyModifiers::NONE, "R"),
        (KeyCode::Char('R'), KeyModifiers::SHIFT, "R"),
        (KeyCode::Char('r'), KeyModifiers::SHIFT, "R"),
        (KeyCode::Char('D'), KeyModifiers::CONTROL, "ctrl-d"),
        (KeyCode::Char(' '), KeyModifiers::CONTROL, "ctrl-space"),
    ];
    for (code, modifiers, text) in same {
        assert_eq!(Chord::new(code, modifiers), chord(text));
    }
}

#[test]
fn every_key_of_every_preset_reads_back_as_it_is_written() {
    for preset in Keymap::presets() {
        for (_, keys) in Keymap::preset(preset).unwrap().bindings() {
            for key in keys {
                assert_eq!(chord(&key.to_string()), *key);
            }
        }
    }
}

#[test]
fn a_key_means_what_applies_here_first() {
    let keymap = Keymap::preset("k9s").unwrap();
    let places = [Place::Verb, Place::Application, Place::List, Place::Global];
    let meaning = |applies: fn(Command) -> bool| keymap.command(chord("r"), &places, applies);
    assert_eq!(meaning(|_| true), Some(Command::Restart));
    assert_eq!(meaning(|command| command != Command::Restart), Some(Command::Resources));
    assert_eq!(meaning(|_| false), None);
}

#[test]
fn a_persons_file_moves_keys_and_takes_them_from_others() {
    let keymap = with("[object]\nyaml = [\"d\", \"alt-y\"]\n").unwrap();
    assert_eq!(keymap.keys(Command::Yaml), [chord("d"), chord("alt-y")]);
    assert!(keymap.keys(Command::Describe).is_empty());
    assert_eq!(keymap.command(chord("y"), &[Place::Object], |_| true), None);
}

#[test]
fn wrong_files_are_refused_with_line_and_what_is_allowed() {
    let said = |text| with(text).unwrap_err().to_string();
    assert!(
        said("[object]\nyalm = [\"d\"]\n")
            .starts_with("keymap.toml:2: unknown command \"yalm\"; did you mean yaml?")
    );
    assert!(
        said("[objects]\n").starts_with("keymap.toml:1: unknown section \"objects\"; did you mean object?")
    );
    assert!(
        said("[object]\nyaml = [\"ctlr-y\"]\n")
            .starts_with("keymap.toml:2: object.yaml: unknown key \"ctlr-y\"")
    );
    assert_eq!(
        said("[object]\nquit = [\"x\"]\n"),
        "keymap.toml:2: not a command of [object]; quit belongs to [always]"
    );
    assert_eq!(
        said("[object]\nyaml = [\"x\"]\nlogs = [\"x\"]\n"),
        "keymap.toml:3: object.logs: x is the key of yaml already"
    );
    assert!(said("[object]\nyaml = 3\n").contains("must be a list of strings, not a whole number"));
}

#[test]
fn an_unknown_preset_is_answered_with_the_presets() {
    assert_eq!(
        Keymap::preset("k9").unwrap_err().to_string(),
        "keymap: unknown keymap preset \"k9\"; did you mean k9s? (allowed: k9s, argonaut)"
    );
}

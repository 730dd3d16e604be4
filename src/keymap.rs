//! Which keys give which commands. The default is a file (`assets/keymap.toml`) like the person's own.
//!
//! A key may be bound to several commands in different places, and to several verbs that never apply
//! together; [`Keymap::command`] takes the first, in the order of the places on screen, that applies here and
//! now. Footer and help ask the same question, so they cannot promise a key that does nothing.

mod chord;

use std::collections::{BTreeMap, HashMap};

pub use chord::Chord;

use crate::app::command::{Command, Place};
use crate::settings::{Entry, SettingsError, Source, not_one_of};

/// The presets that come with the program: name, file, text.
const PRESETS: &[(&str, &str, &str)] = &[
    ("k9s", "assets/keymap.toml", include_str!("../assets/keymap.toml")),
    ("argonaut", "assets/keymap-argonaut.toml", include_str!("../assets/keymap-argonaut.toml")),
];

/// The live bindings.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    preset: &'static str,
    keys: BTreeMap<Command, Vec<Chord>>,
    /// The same, for the key press: what a chord may mean, in the order of [`Command::ALL`].
    commands: HashMap<Chord, Vec<Command>>,
}

impl Keymap {
    /// Returns the names of the presets; the first is the default.
    pub fn presets() -> Vec<&'static str> {
        PRESETS.iter().map(|(name, _, _)| *name).collect()
    }

    /// Returns the text of the default keymap, for `opsdeck keys`.
    pub fn default_text() -> &'static str {
        PRESETS[0].2
    }

    /// Reads a preset: the default, with what the preset changes.
    pub fn preset(name: &str) -> Result<Self, SettingsError> {
        let Some((name, file, text)) = PRESETS.iter().find(|(preset, _, _)| *preset == name) else {
            return Err(SettingsError::Value {
                origin: "keymap".to_owned(),
                what: not_one_of("keymap preset", name, &Self::presets()),
            });
        };
        let mut keymap = Self { preset: name, keys: BTreeMap::new(), commands: HashMap::new() };
        let (_, default_file, default_text) = PRESETS[0];
        keymap.lay_over(&Source::new(default_file, default_text))?;
        if *name != PRESETS[0].0 {
            keymap.lay_over(&Source::new(file, text))?;
        }
        Ok(keymap)
    }

    /// Lays a person's file over the bindings.
    ///
    /// A command gets the keys of the file; a key that another command of the same place has is taken from
    /// it, unless the file gives it to both.
    pub fn lay_over(&mut self, source: &Source<'_>) -> Result<(), SettingsError> {
        let places = Place::ALL.map(Place::name);
        let mut given: Vec<(Command, Vec<Chord>)> = Vec::new();
        for section in source.parse()?.entries() {
            let Some(place) = Place::ALL.iter().find(|place| place.name() == section.name) else {
                return Err(section.unknown("section", &places));
            };
            for entry in section.section()?.entries() {
                given.push(read(*place, &entry, &given)?);
            }
        }
        for (command, chords) in &given {
            for (other, keys) in &mut self.keys {
                if other.place() == command.place() && other != command && !together(*other, *command) {
                    keys.retain(|key| !chords.contains(key));
                }
            }
        }
        self.keys.extend(given);
        self.commands.clear();
        for (command, keys) in &self.keys {
            for key in keys {
                self.commands.entry(*key).or_default().push(*command);
            }
        }
        Ok(())
    }

    /// Returns the name of the preset underneath.
    pub fn preset_name(&self) -> &'static str {
        self.preset
    }

    /// Returns the keys of a command, the one to show first.
    pub fn keys(&self, command: Command) -> &[Chord] {
        self.keys.get(&command).map_or(&[], Vec::as_slice)
    }

    /// Returns the key that footer and messages show, such as `ctrl-d`.
    pub fn label(&self, command: Command) -> Option<String> {
        self.keys(command).first().map(ToString::to_string)
    }

    /// Returns what a chord means: the first command, in the order of `places`, that `applies`.
    pub fn command(
        &self,
        chord: Chord,
        places: &[Place],
        applies: impl Fn(Command) -> bool,
    ) -> Option<Command> {
        let commands = self.commands.get(&chord)?;
        places
            .iter()
            .flat_map(|place| commands.iter().filter(move |command| command.place() == *place))
            .copied()
            .find(|command| applies(*command))
    }

    /// Returns every binding: command and keys, in the order of help.
    pub fn bindings(&self) -> impl Iterator<Item = (Command, &[Chord])> {
        Command::ALL.iter().map(|command| (*command, self.keys(*command)))
    }
}

/// Tells whether two commands of one place may share a key, because they never apply to the same object.
fn together(a: Command, b: Command) -> bool {
    // What an alert is about is no owner of it: an alert has none.
    let about = [Command::ToWorkload, Command::Owner];
    about.contains(&a) && about.contains(&b)
        || a.place() == Place::Verb && b.place() == Place::Verb && !overlap(a, b)
}

/// Tells whether two verbs can apply to the same object at the same moment.
fn overlap(a: Command, b: Command) -> bool {
    let turns = [
        [Command::HoldAutosync, Command::ReleaseAutosync],
        [Command::Protect, Command::Unprotect],
        [Command::Pause, Command::Resume],
        [Command::SuspendJob, Command::Resume],
        // A CronJob has no rollout to pause.
        [Command::Pause, Command::SuspendJob],
    ];
    // What has a delete of its own has not the one for everything, and what is no object of the API server neither.
    let apart = |one: Command, other: Command| match one {
        Command::Delete => {
            matches!(other, Command::DeletePod | Command::DeleteNodeclaim) || family(other) == "silence"
        }
        Command::Edit => matches!(family(other), "alert" | "silence"),
        _ => false,
    };
    if apart(a, b) || apart(b, a) {
        return false;
    }
    let every = [a, b].iter().any(|command| matches!(command, Command::Delete | Command::Edit));
    (every || family(a) == family(b)) && !turns.iter().any(|turn| turn.contains(&a) && turn.contains(&b))
}

/// The kinds of object that a verb is for; verbs of different families never meet.
fn family(command: Command) -> &'static str {
    match command {
        Command::DeletePod | Command::ForceDelete => "pod",
        Command::Restart | Command::Scale | Command::RolloutUndo | Command::SetImage => "workload",
        Command::SetBounds => "scaler",
        Command::RunJob => "cronjob",
        Command::Pause | Command::SuspendJob | Command::Resume => "halt",
        Command::Cordon | Command::Uncordon | Command::Drain | Command::Protect | Command::Unprotect => {
            "node"
        }
        Command::DeleteNodeclaim => "claim",
        Command::Rotate | Command::RefreshSecret | Command::RestoreSecret | Command::ResumeRotation => {
            "secret"
        }
        Command::Renew => "certificate",
        Command::Reveal => "value",
        Command::Silence => "alert",
        Command::ExtendSilence | Command::ExpireSilence => "silence",
        _ => "application",
    }
}

fn read(
    place: Place,
    entry: &Entry<'_>,
    given: &[(Command, Vec<Chord>)],
) -> Result<(Command, Vec<Chord>), SettingsError> {
    let Some(command) = Command::named(&entry.name).filter(|command| command.place() == place) else {
        let names: Vec<_> = Command::ALL
            .iter()
            .filter(|command| command.place() == place)
            .map(|command| command.name())
            .collect();
        let elsewhere = Command::named(&entry.name)
            .map(|command| format!("; {} belongs to [{}]", entry.name, command.place().name()));
        return Err(match elsewhere {
            Some(elsewhere) => entry.wrong(format!("not a command of [{}]{elsewhere}", place.name())),
            None => entry.unknown("command", &names),
        });
    };
    let mut chords = Vec::new();
    for text in entry.strings()? {
        let chord: Chord = text.parse().map_err(|what| entry.wrong(format!("{}: {what}", entry.path)))?;
        let taken = given.iter().find(|(other, keys)| {
            other.place() == place && keys.contains(&chord) && !together(*other, command)
        });
        if let Some((other, _)) = taken {
            return Err(entry.wrong(format!(
                "{}: {text} is the key of {} already",
                entry.path,
                other.name()
            )));
        }
        chords.push(chord);
    }
    Ok((command, chords))
}

#[cfg(test)]
mod tests;

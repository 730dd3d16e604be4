//! `opsdeck config`, `opsdeck themes` and `opsdeck keys`: what is in force, and where it comes from.

use std::io::Write as _;

use color_eyre::eyre::Result;
use serde_json::json;

use super::report::{Head, table};
use super::{Desk, Exit, Usage};
use crate::args::Format;
use crate::config::{Config, Paths};
use crate::keymap::Keymap;
use crate::settings::Source;
use crate::theme::{Depth, Shelf};

/// Reads the themes; that the one of the configuration is not there is said with the place that names it.
pub(super) fn shelf(config: &Config, paths: &Paths) -> Result<Shelf> {
    let shelf = Shelf::with_directory(&paths.themes()).map_err(|error| Usage::report(error.to_string()))?;
    shelf
        .theme(&config.theme, Depth::True)
        .map_err(|error| Usage::report(format!("{}: {error}", config.origin("theme"))))?;
    Ok(shelf)
}

/// Prints every configuration value and where it comes from.
pub fn config(desk: &mut Desk<'_>, format: Format) -> Result<Exit> {
    shelf(&desk.config, &desk.paths)?;
    keymap(&desk.config, &desk.paths)?;
    let settings = desk.config.settings();
    if format == Format::Json {
        let all: Vec<_> = settings
            .iter()
            .map(|s| json!({ "key": s.key, "value": s.value, "from": s.origin.to_string(), "about": s.doc }))
            .collect();
        desk.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let file = desk.paths.config_file();
    let state = if file.exists() { "" } else { " (not there: the defaults hold)" };
    writeln!(desk.out, "file   {}{state}", file.display())?;
    writeln!(desk.out, "keys   {}", desk.paths.keymap_file().display())?;
    writeln!(desk.out, "themes {}", desk.paths.themes().display())?;
    writeln!(desk.out, "log    {}", desk.paths.log_file().display())?;
    writeln!(desk.out, "audit  {}\n", desk.paths.audit_file().display())?;
    let heads = [Head::left("SETTING"), Head::left("VALUE"), Head::left("FROM")];
    let rows: Vec<_> = settings.into_iter().map(|s| vec![s.key, s.value, s.origin.to_string()]).collect();
    desk.out.write_all(table(&heads, &rows).as_bytes())?;
    desk.out.flush()?;
    Ok(Exit::Done)
}

/// Prints the themes; the one in force is marked.
pub fn themes(desk: &mut Desk<'_>, format: Format) -> Result<Exit> {
    let shelf = shelf(&desk.config, &desk.paths)?;
    let current = desk.config.theme.clone();
    if format == Format::Json {
        let all: Vec<_> = shelf
            .names()
            .map(|(name, about)| json!({ "name": name, "about": about, "current": name == current }))
            .collect();
        desk.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let heads = [Head::left(" "), Head::left("THEME"), Head::left("ABOUT")];
    let mark = |name: &str| if name == current { "*" } else { " " }.to_owned();
    let rows: Vec<_> =
        shelf.names().map(|(name, about)| vec![mark(name), name.to_owned(), about.to_owned()]).collect();
    desk.out.write_all(table(&heads, &rows).as_bytes())?;
    desk.out.flush()?;
    Ok(Exit::Done)
}

/// Reads the keymap in force: the preset with the user's file over it.
pub fn keymap(config: &Config, paths: &Paths) -> Result<Keymap> {
    let wrong = |error: crate::settings::SettingsError| Usage::report(error.to_string());
    let mut keymap = Keymap::preset(&config.keymap).map_err(wrong)?;
    let file = paths.keymap_file();
    if let Ok(text) = std::fs::read_to_string(&file) {
        keymap.lay_over(&Source::new(&file.display().to_string(), &text)).map_err(wrong)?;
    }
    Ok(keymap)
}

/// Prints the keys in force, by the place they work in.
pub fn keys(desk: &mut Desk<'_>, format: Format) -> Result<Exit> {
    let keymap = keymap(&desk.config, &desk.paths)?;
    let all: Vec<_> = keymap
        .bindings()
        .map(|(command, chords)| {
            let keys: Vec<String> = chords.iter().map(ToString::to_string).collect();
            (command, keys)
        })
        .collect();
    if format == Format::Json {
        let all: Vec<_> = all
            .iter()
            .map(|(command, keys)| {
                json!({ "place": command.place().name(), "command": command.name(), "keys": keys, "about": command.doc() })
            })
            .collect();
        desk.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let heads = [Head::left("PLACE"), Head::left("KEYS"), Head::left("COMMAND"), Head::left("ABOUT")];
    let rows: Vec<_> = all
        .into_iter()
        .map(|(command, keys)| {
            vec![
                command.place().name().to_owned(),
                keys.join(" "),
                command.name().to_owned(),
                command.doc().to_owned(),
            ]
        })
        .collect();
    desk.out.write_all(table(&heads, &rows).as_bytes())?;
    desk.out.flush()?;
    Ok(Exit::Done)
}

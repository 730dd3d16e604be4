//! Theme files: the ones compiled in and the ones in the person's themes directory.

use std::collections::BTreeMap;
use std::path::Path;

use ratatui::style::{Color, Modifier, Style};

use super::color::{self, Depth, NAMED};
use super::{Role, Theme};
use crate::nearest::did_you_mean;
use crate::settings::{Entry, Section, SettingsError, Source};

/// The themes that come with the program.
const BUNDLED: &[(&str, &str)] = &[
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("colorblind", include_str!("../../themes/colorblind.toml")),
    ("sixteen", include_str!("../../themes/sixteen.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("dusk", include_str!("../../themes/dusk.toml")),
];

/// Why a theme cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// There is none of that name.
    #[error("no theme is called {name:?}{near} (there are: {known})")]
    Missing {
        /// The name.
        name: String,
        /// The nearest names, as a half sentence.
        near: String,
        /// All names.
        known: String,
    },
    /// Themes inherit from each other in a circle.
    #[error("themes inherit in a circle: {0}")]
    Circle(String),
    /// A role has no colour, in this theme or those it inherits.
    #[error("theme {theme:?} leaves these roles without a colour: {roles} (inherit a theme that has them)")]
    Incomplete {
        /// The theme.
        theme: String,
        /// The roles.
        roles: String,
    },
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] SettingsError),
}

/// One theme file, read but not resolved.
#[derive(Debug, Clone, Default)]
struct Sheet {
    description: String,
    inherits: Option<String>,
    roles: BTreeMap<&'static str, Style>,
}

/// All themes that can be chosen, by name.
#[derive(Debug, Clone)]
pub struct Shelf {
    sheets: BTreeMap<String, Sheet>,
}

impl Shelf {
    /// Reads the themes that come with the program.
    pub fn bundled() -> Result<Self, ThemeError> {
        let mut shelf = Self { sheets: BTreeMap::new() };
        for (name, text) in BUNDLED {
            shelf.add(name, &format!("themes/{name}.toml"), text)?;
        }
        Ok(shelf)
    }

    /// Reads the bundled themes and those in a directory; a file there replaces a bundled one of its name.
    pub fn with_directory(directory: &Path) -> Result<Self, ThemeError> {
        let mut shelf = Self::bundled()?;
        // A themes directory is optional: one that is not there holds nothing.
        let Ok(files) = std::fs::read_dir(directory) else { return Ok(shelf) };
        for file in files.flatten() {
            let path = file.path();
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.extension().is_some_and(|extension| extension == "toml") {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(&path).map_err(|error| SettingsError::Unreadable {
                    file: place.as_str().into(),
                    reason: error.to_string(),
                })?;
                shelf.add(name, &place, &text)?;
            }
        }
        Ok(shelf)
    }

    /// Adds a theme from its text; `place` is what errors say.
    pub fn add(&mut self, name: &str, place: &str, text: &str) -> Result<(), ThemeError> {
        let sheet = read(&Source::new(place, text).parse()?)?;
        self.sheets.insert(name.to_owned(), sheet);
        Ok(())
    }

    /// Returns names and descriptions, sorted by name.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sheets.iter().map(|(name, sheet)| (name.as_str(), sheet.description.as_str()))
    }

    /// Resolves a theme for what the terminal can show.
    pub fn theme(&self, name: &str, depth: Depth) -> Result<Theme, ThemeError> {
        let mut chain = vec![name.to_owned()];
        let mut roles = BTreeMap::new();
        let mut next = Some(name.to_owned());
        while let Some(current) = next.take() {
            let sheet = self.sheets.get(&current).ok_or_else(|| self.missing(&current))?;
            for (role, style) in &sheet.roles {
                roles.entry(*role).or_insert(*style);
            }
            next.clone_from(&sheet.inherits);
            if let Some(parent) = &next {
                let seen = chain.contains(parent);
                chain.push(parent.clone());
                if seen {
                    return Err(ThemeError::Circle(chain.join(" -> ")));
                }
            }
        }
        let absent: Vec<_> =
            Role::ALL.iter().map(|role| role.name()).filter(|name| !roles.contains_key(name)).collect();
        if !absent.is_empty() {
            return Err(ThemeError::Incomplete { theme: name.to_owned(), roles: absent.join(", ") });
        }
        let styles = Role::ALL.iter().map(|role| fit(roles[role.name()], depth)).collect();
        Ok(Theme { name: name.to_owned(), depth, styles, ascii: false })
    }

    fn missing(&self, name: &str) -> ThemeError {
        let known: Vec<&str> = self.sheets.keys().map(String::as_str).collect();
        ThemeError::Missing {
            name: name.to_owned(),
            near: did_you_mean(name, known.iter().copied()),
            known: known.join(", "),
        }
    }
}

/// Brings a style down to a depth. Where a background vanishes, reverse stands in for it.
fn fit(style: Style, depth: Depth) -> Style {
    let lost_background = depth == Depth::None && !matches!(style.bg, None | Some(Color::Reset));
    let fitted = Style {
        fg: style.fg.map(|colour| depth.fit(colour)),
        bg: style.bg.map(|colour| depth.fit(colour)),
        ..style
    };
    if lost_background { fitted.add_modifier(Modifier::REVERSED) } else { fitted }
}

fn read(top: &Section<'_>) -> Result<Sheet, SettingsError> {
    top.allow(&["description", "inherits", "colors", "roles"])?;
    let mut sheet = Sheet::default();
    if let Some(entry) = top.get("description") {
        sheet.description = entry.string()?;
    }
    if let Some(entry) = top.get("inherits") {
        sheet.inherits = Some(entry.string()?);
    }
    let mut own = BTreeMap::new();
    if let Some(colors) = top.get("colors") {
        for entry in colors.section()?.entries() {
            let colour = read_colour(&entry, &entry.string()?, &own)?;
            own.insert(entry.name, colour);
        }
    }
    let names: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
    if let Some(roles) = top.get("roles") {
        for entry in roles.section()?.entries() {
            let Some(role) = names.iter().find(|name| **name == entry.name) else {
                return Err(entry.unknown("role", &names));
            };
            sheet.roles.insert(role, read_style(&entry, &own)?);
        }
    }
    Ok(sheet)
}

fn read_style(entry: &Entry<'_>, own: &BTreeMap<String, Color>) -> Result<Style, SettingsError> {
    if let Some(text) = entry.as_string() {
        return Ok(Style::new().fg(read_colour(entry, &text, own)?));
    }
    let table = entry.section()?;
    table.allow(&["fg", "bg", "bold", "dim", "italic", "underline", "reverse"])?;
    let mut style = Style::new();
    for part in table.entries() {
        let modifier = match part.name.as_str() {
            "fg" => {
                style.fg = Some(read_colour(&part, &part.string()?, own)?);
                continue;
            }
            "bg" => {
                style.bg = Some(read_colour(&part, &part.string()?, own)?);
                continue;
            }
            "bold" => Modifier::BOLD,
            "dim" => Modifier::DIM,
            "italic" => Modifier::ITALIC,
            "underline" => Modifier::UNDERLINED,
            _ => Modifier::REVERSED,
        };
        if part.flag()? {
            style = style.add_modifier(modifier);
        }
    }
    Ok(style)
}

fn read_colour(entry: &Entry<'_>, text: &str, own: &BTreeMap<String, Color>) -> Result<Color, SettingsError> {
    if let Some(colour) = own.get(text).copied().or_else(|| color::parse(text)) {
        return Ok(colour);
    }
    let names = own.keys().map(String::as_str).chain(NAMED.iter().map(|(name, _, _)| *name));
    Err(entry.wrong(format!(
        "unknown colour {text:?}{} (allowed: default, #rrggbb, ansi-0 to ansi-255, {}, or a name from [colors] above)",
        did_you_mean(text, names),
        NAMED.map(|(name, _, _)| name).join(", ")
    )))
}

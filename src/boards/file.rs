//! Board files: from TOML to boards, every refusal with its line and what is allowed there.

use super::{
    Board, Bound, Facet, Formula, Known, Legend, Origin, Panel, Query, Shape, Target, Threshold, Variable,
};
use crate::human::Measure;
use crate::identity::Text;
use crate::kinds::Health;
use crate::settings::{Entry, Section, SettingsError};

/// How many panels a board has at most: more is not looked at, and each costs the server queries.
const PANELS: usize = 40;

/// How bad what is beyond a threshold can be.
const HEALTHS: [(&str, Health); 2] = [("warning", Health::Warning), ("degraded", Health::Degraded)];

/// Reads a board.
pub(super) fn board(name: &str, top: &Section<'_>) -> Result<Board, SettingsError> {
    top.allow(&["title", "about", "for", "variables", "panels"])?;
    let variables = match top.get("variables") {
        Some(entry) => {
            entry.section()?.entries().iter().map(variable).collect::<Result<Vec<_>, SettingsError>>()?
        }
        None => Vec::new(),
    };
    let fits = match top.get("for") {
        Some(entry) => entry
            .items()
            .iter()
            .map(|item| one_of(item, &item.string()?, &Facet::WORDS))
            .collect::<Result<Vec<_>, SettingsError>>()?,
        None => Vec::new(),
    };
    let listed = top.required("panels")?;
    let sections = listed.sections()?;
    if sections.len() > PANELS {
        return Err(listed.wrong(format!("a board has at most {PANELS} panels, not {}", sections.len())));
    }
    let panels = sections
        .iter()
        .map(|section| panel(section, &variables))
        .collect::<Result<Vec<_>, SettingsError>>()?;
    if panels.is_empty() {
        return Err(listed.wrong("a board needs a panel"));
    }
    Ok(Board {
        name: Text::from(name),
        title: words(&top.required("title")?)?,
        about: optional(top, "about")?,
        fits,
        variables,
        panels,
        place: top.place(),
    })
}

fn words(entry: &Entry<'_>) -> Result<Text, SettingsError> {
    // Files are other people's work, too: what stands on the screen is clean.
    Ok(crate::text::clean(&entry.string()?).into())
}

fn optional(section: &Section<'_>, key: &str) -> Result<Text, SettingsError> {
    section.get(key).map_or_else(|| Ok(Text::from("")), |entry| words(&entry))
}

pub(super) fn one_of<T: Copy>(
    entry: &Entry<'_>,
    word: &str,
    allowed: &[(&'static str, T)],
) -> Result<T, SettingsError> {
    allowed.iter().find(|(one, _)| *one == word).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        entry.wrong(format!("{}: {}", entry.path, crate::settings::not_one_of("value", word, &names)))
    })
}

fn variable(entry: &Entry<'_>) -> Result<Variable, SettingsError> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    if !entry.name.chars().all(is_name) {
        return Err(entry.wrong(format!("variable {:?} may have the letters a to z and _ only", entry.name)));
    }
    if super::formula::BUILT_IN.contains(&entry.name.as_str()) {
        return Err(
            entry.wrong(format!("variable {:?} is there already, and what it is follows", entry.name))
        );
    }
    let section = entry.section()?;
    section.allow(&["from", "default"])?;
    let from = match section.get("from") {
        Some(entry) => Some(one_of(&entry, &entry.string()?, &Facet::WORDS)?),
        None => None,
    };
    let default = match section.get("default") {
        Some(entry) => Some(Text::from(entry.string()?)),
        None => None,
    };
    if from.is_none() && default.is_none() {
        return Err(entry.wrong(format!("variable {:?} needs \"from\" or \"default\"", entry.name)));
    }
    Ok(Variable { name: Text::from(entry.name.as_str()), from, default })
}

fn panel(section: &Section<'_>, variables: &[Variable]) -> Result<Panel, SettingsError> {
    section.allow(&["title", "about", "kind", "unit", "low", "high", "thresholds", "queries"])?;
    let shape = match section.get("kind") {
        Some(entry) => one_of(&entry, &entry.string()?, &Shape::WORDS)?,
        None => Shape::default(),
    };
    let unit = match section.get("unit") {
        Some(entry) => one_of(&entry, &entry.string()?, &Measure::WORDS)?,
        None => Measure::default(),
    };
    let amount = |key: &str| section.get(key).map(|entry| entry.amount()).transpose();
    let (low, high) = (amount("low")?, amount("high")?);
    if let (Some(low), Some(high), Some(entry)) = (low, high, section.get("high"))
        && low >= high
    {
        return Err(entry.wrong(format!("{} must be above low", entry.path)));
    }
    let thresholds = match section.get("thresholds") {
        Some(entry) => entry.sections()?.iter().map(threshold).collect::<Result<Vec<_>, SettingsError>>()?,
        None => Vec::new(),
    };
    let listed = section.required("queries")?;
    let queries = listed
        .sections()?
        .iter()
        .map(|section| query(section, variables))
        .collect::<Result<Vec<_>, SettingsError>>()?;
    if queries.is_empty() {
        return Err(listed.wrong(format!("{} must hold a query", listed.path)));
    }
    Ok(Panel {
        title: words(&section.required("title")?)?,
        about: optional(section, "about")?,
        shape,
        unit,
        queries,
        thresholds,
        low,
        high,
    })
}

fn threshold(section: &Section<'_>) -> Result<Threshold, SettingsError> {
    section.allow(&["at", "target", "health", "below"])?;
    let at = match (section.get("at"), section.get("target")) {
        (Some(entry), None) => Bound::Fixed(entry.amount()?),
        (None, Some(entry)) => Bound::Target(one_of(&entry, &entry.string()?, &Target::WORDS)?),
        _ => return Err(section.wrong("a threshold needs either \"at\" or \"target\"")),
    };
    let health = match section.get("health") {
        Some(entry) => one_of(&entry, &entry.string()?, &HEALTHS)?,
        None => Health::Degraded,
    };
    let below = section.get("below").map(|entry| entry.flag()).transpose()?.unwrap_or(false);
    Ok(Threshold { at, below, health })
}

fn query(section: &Section<'_>, variables: &[Variable]) -> Result<Query, SettingsError> {
    section.allow(&["legend", "expr", "known", "cloudwatch"])?;
    let legend = match section.get("legend") {
        Some(entry) => Legend::read(&words(&entry)?).map_err(|what| entry.wrong(what))?,
        None => Legend::default(),
    };
    let names: Vec<(&str, &str)> = variables
        .iter()
        .map(|variable| (&*variable.name, variable.default.as_deref().unwrap_or("x")))
        .collect();
    let origin = match (section.get("expr"), section.get("known"), section.get("cloudwatch")) {
        (Some(entry), None, None) => {
            let formulas = entry
                .items()
                .iter()
                .map(|item| Formula::read(&item.string()?, &names).map_err(|what| item.wrong(what)))
                .collect::<Result<Vec<_>, SettingsError>>()?;
            if formulas.is_empty() {
                return Err(entry.wrong(format!("{} must hold an expression", entry.path)));
            }
            Origin::Formulas(formulas)
        }
        (None, Some(entry), None) => Origin::Known(one_of(&entry, &entry.string()?, &Known::WORDS)?),
        (None, None, Some(entry)) => Origin::Figures(super::cloud::read(&entry, &names)?),
        _ => {
            return Err(section.wrong("a query needs either \"expr\", \"known\" or \"cloudwatch\""));
        }
    };
    Ok(Query { legend, origin })
}

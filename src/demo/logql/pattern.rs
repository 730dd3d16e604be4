//! Patterns: literal text with captures, `<ip> - - [<_>] "<method> <path>"`.

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Text that stands so in the line.
    Literal(String),
    /// A capture; `None` for `<_>`.
    Capture(Option<String>),
}

impl Part {
    fn spell(&self) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Capture(name) => format!("<{}>", name.as_deref().unwrap_or("_")),
        }
    }
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

impl Pattern {
    fn parts(text: &str) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('<') {
            let name = rest[open + 1..].find('>').map(|end| &rest[open + 1..open + 1 + end]);
            let valid = name.filter(|name| {
                name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            let Some(name) = valid else {
                literal.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
                continue;
            };
            literal.push_str(&rest[..open]);
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            if matches!(parts.last(), Some(Part::Capture(_))) {
                let before = parts.last().map(Part::spell).unwrap_or_default();
                return Err(format!("found consecutive capture '{before}<{name}>': invalid expression"));
            }
            parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
            rest = &rest[open + name.len() + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            return Err("empty pattern".to_owned());
        }
        Ok(parts)
    }

    /// Reads a pattern that names at least one capture.
    pub fn parser(text: &str) -> Result<Self, String> {
        let parts = Self::parts(text)?;
        let mut names: Vec<&String> = parts
            .iter()
            .filter_map(|part| if let Part::Capture(Some(name)) = part { Some(name) } else { None })
            .collect();
        if names.is_empty() {
            return Err("at least one capture is required".to_owned());
        }
        names.sort();
        let twice = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next);
        if let Some((twice, _)) = twice {
            return Err(format!("duplicate capture name ({twice})"));
        }
        Ok(Self(parts))
    }

    /// Reads a pattern for filtering lines; captures must not have names.
    pub fn filter(text: &str) -> Result<Self, String> {
        let parts = Self::parts(text)?;
        if parts.iter().any(|part| matches!(part, Part::Capture(Some(_)))) {
            return Err("named captures are not allowed in line filter patterns".to_owned());
        }
        Ok(Self(parts))
    }

    /// Returns what the captures hold in a line, as far as it follows the pattern.
    pub fn captures<'a, 'b>(&'a self, line: &'b str) -> Vec<(&'a str, &'b str)> {
        let mut found = Vec::new();
        let mut rest = line;
        let mut parts = self.0.iter().peekable();
        if let Some(Part::Literal(text)) = parts.peek() {
            // A pattern that begins with text looks for it anywhere.
            let Some(at) = rest.find(text.as_str()) else { return found };
            rest = &rest[at + text.len()..];
            parts.next();
        }
        while let Some(part) = parts.next() {
            let Part::Capture(name) = part else { continue };
            let (value, after) = match parts.peek() {
                Some(Part::Literal(text)) => match rest.find(text.as_str()) {
                    Some(at) => (&rest[..at], Some(&rest[at + text.len()..])),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Some(name) = name {
                found.push((name.as_str(), value));
            }
            let Some(after) = after else { break };
            rest = after;
        }
        found
    }

    /// Says whether the literals occur in a line, in their order and with something where the captures are.
    pub fn is_match(&self, line: &str) -> bool {
        let mut rest = line;
        let mut gap = false;
        for (place, part) in self.0.iter().enumerate() {
            match part {
                Part::Capture(_) => gap = true,
                Part::Literal(text) => {
                    let Some(at) = rest.find(text.as_str()) else { return false };
                    if gap && at == 0 || !gap && place > 0 && at != 0 {
                        return false;
                    }
                    rest = &rest[at + text.len()..];
                    gap = false;
                }
            }
        }
        !gap || !rest.is_empty()
    }
}

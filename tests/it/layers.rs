//! Dependencies point one way: what a module may name of the crate, and who may see ratatui.

use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module at the top of a file, and its text without tests.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str().to_string_lossy().contains("tests")))
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let top = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            (top.trim_end_matches(".rs").to_owned(), path, text)
        })
        .collect()
}

/// The modules of the crate that a text names.
fn named(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.match_indices("crate::").map(move |(at, _)| &line[at + 7..]))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

fn sees_ratatui(text: &str) -> bool {
    text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("ratatui"))
}

#[test]
fn data_and_conclusions_never_see_the_screen() {
    let blind = [
        "identity", "clock", "text", "human", "nearest", "settings", "signals", "store", "kinds", "sources",
        "rows", "filter", "model", "boards", "gate", "audit", "actions", "config", "keymap", "runner",
    ];
    for (module, path, text) in modules() {
        if blind.contains(&module.as_str()) {
            assert!(!sees_ratatui(&text), "{} sees ratatui", path.display());
            for name in named(&text) {
                let drawn = ["screens", "widgets", "theme", "term", "console"].contains(&name.as_str());
                assert!(!drawn, "{} uses {name}", path.display());
            }
        }
    }
}

#[test]
fn lower_layers_do_not_reach_up() {
    // Each module with what it must not name; a layer may use those before it.
    let layers: [&[&str]; 6] = [
        &["identity", "clock", "text", "nearest", "settings"],
        &["human", "signals", "store", "kinds", "sources", "gate", "audit"],
        &["rows", "filter", "model", "boards"],
        &["actions", "app", "keymap", "config", "runner"],
        &["screens"],
        &["cli"],
    ];
    for (module, path, text) in modules() {
        let Some(own) = layers.iter().position(|layer| layer.contains(&module.as_str())) else { continue };
        for name in named(&text) {
            let Some(other) = layers.iter().position(|layer| layer.contains(&name.as_str())) else {
                continue;
            };
            assert!(other <= own, "{} uses {name}, which is above it", path.display());
        }
    }
}

#[test]
fn widgets_see_theme_and_text_only() {
    let allowed = ["theme", "text", "human", "widgets"];
    for (module, path, text) in modules() {
        if module == "widgets" {
            for name in named(&text) {
                assert!(allowed.contains(&name.as_str()), "{} uses {name}", path.display());
            }
        }
    }
}

#[test]
fn only_main_and_the_command_line_see_the_embedded_platform() {
    for (module, path, text) in modules() {
        if !["demo", "cli", "main", "lib"].contains(&module.as_str()) {
            assert!(!named(&text).contains(&"demo".to_owned()), "{} uses demo", path.display());
        }
    }
}

#[test]
fn no_path_leads_around_the_gate_to_a_write() {
    // Writes demand a permit; these are the modules that may hold one.
    for (module, path, text) in modules() {
        if !["gate", "actions", "sources"].contains(&module.as_str()) {
            // The gate's own, and not a semaphore's or a word of the documentation.
            let names = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let handles = names
                .flat_map(|line| line.split(|c: char| !c.is_alphanumeric()))
                .any(|word| word == "Permit");
            assert!(!handles, "{} handles a permit", path.display());
        }
    }
}

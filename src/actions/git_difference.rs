//! The difference that a commit makes, as a plan shows it: what may be secret is masked, Secrets are told by name.

use std::collections::BTreeMap;

use super::manifests::below;
use super::{Line, Mark};
use crate::sources::without_credentials;
use crate::text::one_line;

/// How many lines of one file are shown.
const LINES: usize = 60;
/// How many pairs of lines stand in the plan itself.
const FEW: usize = 3;
/// What stands in the place of a value that may be secret.
const MASKED: &str = "***";
/// Parts of keys whose values may be secret.
const SECRET: [&str; 14] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "private",
    "credential",
    "dsn",
    "auth",
    "cert",
    "connectionstring",
];
/// A run of this many letters and digits of both cases is taken for a key and not for a word.
const RUN: usize = 24;

/// What a plan says of a difference.
pub(super) struct Said {
    /// One line for each file.
    pub changes: Vec<Line>,
    /// The difference itself.
    pub details: Vec<Line>,
}

/// Tells a difference as `git diff` writes it; `keys` are the keys that change, by file.
pub(super) fn said(difference: &str, keys: &BTreeMap<String, Vec<String>>) -> Said {
    let mut said = Said { changes: Vec::new(), details: Vec::new() };
    for file in difference.split("\ndiff --git ") {
        let Some((path, lines)) = parts(file) else { continue };
        tell(&mut said, &path, &lines, keys.get(&path).map_or(&[], Vec::as_slice));
    }
    said
}

/// Returns the path of a file's part of the difference and its lines, without what stands around the hunks.
fn parts(file: &str) -> Option<(String, Vec<&str>)> {
    let name = |prefix: &str, root: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(prefix))?;
        line.strip_prefix(root).map(|path| path.trim_end_matches('\t').to_owned())
    };
    let path = name("+++ ", "b/").or_else(|| name("--- ", "a/"))?;
    let hunks = file.lines().skip_while(|line| !line.starts_with("@@")).collect();
    Some((path, hunks))
}

fn tell(said: &mut Said, path: &str, lines: &[&str], keys: &[String]) {
    let shown = one_line(path).into_owned();
    let plain: Vec<&str> = lines.iter().filter(|line| !line.starts_with('\\')).copied().collect();
    let secret = plain.iter().any(|line| is_secret_kind(line.get(1..).unwrap_or_default()));
    let sealed = plain
        .iter()
        .any(|line| line.contains("ENC[") || line.trim_start_matches(['+', '-', ' ']).starts_with("sops:"));
    let of = |sign: char| {
        plain
            .iter()
            .filter(move |line| line.starts_with(sign))
            .map(|line| line[1..].trim())
            .collect::<Vec<_>>()
    };
    let (old, new) = (of('-'), of('+'));
    let what = if secret || sealed {
        "its values are not looked into".to_owned()
    } else if old.len() == new.len() && (1..=FEW).contains(&old.len()) {
        let pairs =
            old.iter().zip(&new).map(|(old, new)| format!("{} -> {}", masked(old), value(&masked(new))));
        pairs.collect::<Vec<_>>().join(", ")
    } else if !keys.is_empty() && keys.len() <= FEW {
        keys.join(", ")
    } else {
        format!("{} lines go, {} come", old.len(), new.len())
    };
    said.changes.push(Line::new(Mark::Change, format!("{shown}: {what}")));
    said.details.push(Line::new(Mark::Detail, shown));
    if secret || sealed {
        said.details.push(below("a Secret: not looked into"));
        return;
    }
    let mut block = false;
    for line in plain.iter().take(LINES) {
        let (sign, text) = line.split_at(line.len().min(1));
        block = (block || text.contains("-----BEGIN")) && !text.contains("-----END");
        let text = if block || text.contains("-----END") { MASKED.to_owned() } else { masked(text) };
        said.details.push(below(&format!("{sign}{text}")));
    }
    if plain.len() > LINES {
        said.details.push(below(&format!("and {} lines more", plain.len() - LINES)));
    }
}

fn is_secret_kind(line: &str) -> bool {
    let mut words = line.split(':').map(|word| word.trim().trim_matches(['"', '\'']));
    words.next() == Some("kind") && words.next() == Some("Secret")
}

/// Returns what follows the key of a line.
fn value(line: &str) -> String {
    line.split_once(": ").map_or(line, |(_, value)| value).to_owned()
}

/// Masks the value of a line whose key or value looks secret; indentation stays.
pub(super) fn masked(line: &str) -> String {
    if let Some((key, value)) = line.split_once(':')
        && !value.trim().is_empty()
        && !value.starts_with("//")
    {
        let bare: String = key.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        let harmless =
            bare.ends_with("secretname") || bare.ends_with("secretref") || bare.ends_with("tokenpath");
        if !harmless && SECRET.iter().any(|word| bare.contains(word)) {
            return format!("{key}: {MASKED}");
        }
    }
    let words = line.split_inclusive(' ').map(|word| {
        let bare = word.trim_end();
        let gap = &word[bare.len()..];
        if bare.contains("://") && bare.contains('@') {
            let at = bare.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
            return format!("{}{}{gap}", &bare[..at], without_credentials(&bare[at..]));
        }
        if looks_secret(bare) { format!("{MASKED}{gap}") } else { word.to_owned() }
    });
    words.collect()
}

/// Tells whether a word is a long run of letters of both cases and digits, as keys and tokens are; digests of images
/// and commits are of one case.
fn looks_secret(word: &str) -> bool {
    let runs = word.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_')));
    runs.filter(|run| run.len() >= RUN && !run.contains("//")).any(|run| {
        let has = |kind: fn(&char) -> bool| run.chars().any(|c| kind(&c));
        has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFERENCE: &str = "diff --git a/envs/prod/version.yaml b/envs/prod/version.yaml\nindex 1..2 100644\n--- a/envs/prod/version.yaml\n+++ b/envs/prod/version.yaml\n@@ -4,3 +4,3 @@ apps:\n   checkout:\n-    version: \"1.8.0\"\n+    version: \"1.7.4\"\n     config:\ndiff --git a/s.yaml b/s.yaml\n--- a/s.yaml\n+++ b/s.yaml\n@@ -1,4 +1,4 @@\n kind: Secret\n data:\n-  key: canary-old\n+  key: canary-new\n";

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| line.text.as_str()).fold(String::new(), |all, text| all + text + "\n")
    }

    #[test]
    fn a_change_of_a_line_is_told_as_from_and_to_and_a_secret_by_its_file() {
        let said = said(DIFFERENCE, &BTreeMap::new());
        assert_eq!(
            text(&said.changes),
            "envs/prod/version.yaml: version: \"1.8.0\" -> \"1.7.4\"\ns.yaml: its values are not looked into\n"
        );
        let details = text(&said.details);
        assert!(details.contains("-    version: \"1.8.0\"") && details.contains("a Secret: not looked into"));
        assert!(!details.contains("canary"), "{details}");
    }

    #[test]
    fn what_looks_secret_is_masked_and_what_is_public_stays() {
        for (line, shown) in [
            ("  DB_PASSWORD: canary", "  DB_PASSWORD: ***"),
            ("  apiToken: \"canary\"", "  apiToken: ***"),
            ("  url: https://u:canary@db.example.com/x", "  url: https://db.example.com/x"),
            ("  key: AKIAcanary0123456789abcdefGH", "  key: ***"),
            (
                "  image: r.example.com/a@sha256:0123456789abcdef0123456789abcdef",
                "  image: r.example.com/a@sha256:0123456789abcdef0123456789abcdef",
            ),
            ("  secretName: checkout-tls", "  secretName: checkout-tls"),
            ("  REQUEST_TIMEOUT: \"3s\"", "  REQUEST_TIMEOUT: \"3s\""),
        ] {
            assert_eq!(masked(line), shown);
        }
    }

    #[test]
    fn a_key_in_a_block_is_masked_line_by_line() {
        let difference = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1,3 @@\n+ca: |\n+  -----BEGIN PRIVATE KEY-----\n+  canary\n+  -----END PRIVATE KEY-----\n+b: 1\n";
        let details = text(&said(difference, &BTreeMap::new()).details);
        assert!(!details.contains("canary") && details.contains("b: 1"), "{details}");
    }
}

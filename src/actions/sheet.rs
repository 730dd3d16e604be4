//! The text of an object that a person edits: made, read back, and put on top of a newer state.
//!
//! Pure: files, editors and terminals are elsewhere. What is edited may hold values, so nothing here prints itself.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::draft::text;
use crate::identity::Resource;
use crate::text::one_line;

/// What is said where somebody wants to edit a Secret.
pub const SECRET: &str = "a Secret is not edited here: its values would pass through a file and an editor. Change it where it comes from (the store of its ExternalSecret, its SealedSecret in Git), or with kubectl edit secret";

/// Tells whether objects of a type hold secret values.
pub fn is_secret(resource: &Resource) -> bool {
    resource.group.is_empty() && &*resource.plural == "secrets"
}

/// What a person made of an object. It is carried along with a request and neither printed nor recorded: values may
/// stand in it.
#[derive(Clone, PartialEq)]
pub struct Edited {
    /// The object as it was opened.
    pub original: Value,
    /// The object as it is wanted, without what is not shown in an editor.
    pub wanted: Value,
}

impl std::fmt::Debug for Edited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edited({})", text(&self.original, "/metadata/name"))
    }
}

/// Returns an object as an editor shows it: without what the server keeps for itself, and without its status, which an
/// edit does not reach.
pub fn bare(document: &Value) -> Value {
    let mut bare = document.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "selfLink"] {
            metadata.remove(field);
        }
    }
    bare
}

impl Edited {
    /// Returns the change as a merge patch (RFC 7386); `None` where nothing was changed.
    pub fn patch(&self) -> Option<Value> {
        diff(&bare(&self.original), &bare(&self.wanted))
    }

    /// Says what no edit can change.
    pub fn objection(&self) -> Option<String> {
        let (before, after) = (bare(&self.original), bare(&self.wanted));
        let fixed = [
            ("/apiVersion", "apiVersion"),
            ("/kind", "kind"),
            ("/metadata/name", "metadata.name"),
            ("/metadata/namespace", "metadata.namespace"),
            ("/metadata/uid", "metadata.uid"),
        ];
        let changed = fixed.iter().find(|(pointer, _)| before.pointer(pointer) != after.pointer(pointer))?;
        Some(format!("{} of an object cannot be changed: that would be another object", changed.1))
    }

    /// Puts the change on top of a newer state of the object.
    #[must_use]
    pub fn onto(&self, fresh: &Value) -> Self {
        let mut wanted = bare(fresh);
        if let Some(patch) = self.patch() {
            merge(&mut wanted, &patch);
        }
        Self { original: fresh.clone(), wanted }
    }
}

/// Returns the merge patch that makes one value of another.
fn diff(before: &Value, after: &Value) -> Option<Value> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for (name, old) in old {
        match new.get(name).filter(|new| !new.is_null()) {
            None if old.is_null() => {}
            None => drop(patch.insert(name.clone(), Value::Null)),
            Some(new) => patch.extend(diff(old, new).map(|inner| (name.clone(), inner))),
        }
    }
    for (name, new) in new.iter().filter(|(name, new)| !new.is_null() && !old.contains_key(*name)) {
        patch.insert(name.clone(), new.clone());
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Applies a merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A text that is being edited.
#[derive(Clone, PartialEq)]
pub struct Sheet {
    /// The object as it was opened.
    pub original: Value,
    /// The text, with its notes on top.
    pub text: String,
    /// What an unchanged text would be read as.
    shown: Value,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sheet({})", text(&self.original, "/metadata/name"))
    }
}

/// What came back from an editor.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// Nothing was changed, or everything was taken out.
    Nothing(&'static str),
    /// It cannot be read: the same again, with the error on top.
    Again(Box<Sheet>),
    /// It was given back unread a second time, with the same error: there is no use in asking for ever.
    GivenUp(String),
    /// A change.
    Edited(Arc<Edited>),
}

/// The first lines of every text.
const HEAD: &str = "Edit the object below and leave the editor. Lines that begin with # are passed over; an empty file ends the edit.\nNothing is written when you leave: the server's dry run and the difference come first.";

/// Writes lines as comments.
fn comments(lines: &str) -> String {
    lines.lines().fold(String::new(), |all, line| all + "# " + &one_line(line) + "\n")
}

/// Writes an object in a form that reads back as the same object.
fn spell(document: &Value) -> String {
    let yaml = serde_saphyr::to_string(document).unwrap_or_default();
    match serde_saphyr::from_str::<Value>(&yaml) {
        Ok(read) if read == *document => yaml,
        // JSON is YAML: less pleasant, and never read as something else.
        _ => serde_json::to_string_pretty(document).unwrap_or_default(),
    }
}

impl Sheet {
    /// Opens an object; `notes` stand on top, such as why it is opened again.
    pub fn open(document: &Value, notes: &str) -> Self {
        Self::of(document, &bare(document), notes)
    }

    /// Opens a change again, on top of the object as it is now.
    pub fn again(edited: &Edited, fresh: &Value, notes: &str) -> Self {
        let moved = edited.onto(fresh);
        Self::of(fresh, &moved.wanted, notes)
    }

    fn of(original: &Value, shown: &Value, notes: &str) -> Self {
        let notes = if notes.is_empty() { String::new() } else { format!("#\n{}", comments(notes)) };
        let text = format!("{}{notes}#\n{}", comments(HEAD), spell(shown));
        Self { original: original.clone(), text, shown: shown.clone() }
    }

    /// Reads what came back.
    pub fn read(&self, returned: &str) -> Returned {
        let written = returned.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        if !written {
            return Returned::Nothing("the file was empty: nothing is changed");
        }
        let why = match serde_saphyr::from_str::<Value>(returned) {
            Ok(wanted) if wanted.is_object() => {
                let edited = Edited { original: self.original.clone(), wanted };
                if edited.patch().is_none() {
                    return Returned::Nothing("nothing was changed");
                }
                match edited.objection() {
                    None => return Returned::Edited(Arc::new(edited)),
                    Some(why) => why,
                }
            }
            Ok(_) => "this is no object: fields of the form name: value are expected".to_owned(),
            Err(error) => error.to_string(),
        };
        let head = format!("This cannot be read: {why}");
        if returned == self.text && returned.starts_with("# This cannot be read: ") {
            return Returned::GivenUp(format!(
                "it was given back as it was, and it cannot be read: {}",
                one_line(&why)
            ));
        }
        // The lines of the person stay; the comments of the time before go.
        let body: Vec<&str> = returned.lines().skip_while(|line| line.starts_with('#')).collect();
        let text = format!("{}#\n{}#\n{}\n", comments(&head), comments(HEAD), body.join("\n"));
        Returned::Again(Box::new(Self { original: self.original.clone(), text, shown: self.shown.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
                "managedFields": [{}], "annotations": { "note": "yes", "on": "1e3" } },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [{ "name": "app", "image": "r/a:1" }] } } },
            "status": { "replicas": 2 },
        })
    }

    fn change(sheet: &Sheet, from: &str, to: &str) -> Returned {
        assert!(sheet.text.contains(from), "{}", sheet.text);
        sheet.read(&sheet.text.replace(from, to))
    }

    #[test]
    fn what_is_shown_reads_back_as_it_is_and_what_the_server_keeps_is_not_shown() {
        let sheet = Sheet::open(&document(), "");
        assert_eq!(sheet.read(&sheet.text), Returned::Nothing("nothing was changed"));
        for hidden in ["managedFields", "resourceVersion", "status", "generation"] {
            assert!(!sheet.text.contains(hidden), "{hidden}");
        }
        assert_eq!(sheet.read("# only\n\n"), Returned::Nothing("the file was empty: nothing is changed"));
    }

    #[test]
    fn a_change_becomes_a_merge_patch_of_what_was_changed_and_no_more() {
        let sheet = Sheet::open(&document(), "");
        let Returned::Edited(edited) = change(&sheet, "replicas: 2", "replicas: 5") else { panic!() };
        assert_eq!(edited.patch(), Some(json!({ "spec": { "replicas": 5 } })));
        let Returned::Edited(edited) = change(&sheet, "  replicas: 2\n", "") else { panic!() };
        assert_eq!(edited.patch(), Some(json!({ "spec": { "replicas": null } })));
    }

    #[test]
    fn what_cannot_be_read_comes_back_with_the_error_on_top_and_the_persons_lines_below() {
        let sheet = Sheet::open(&document(), "");
        let broken = sheet.text.replace("replicas: 2", "replicas: [2");
        let Returned::Again(again) = sheet.read(&broken) else { panic!() };
        assert!(again.text.starts_with("# This cannot be read: "), "{}", again.text);
        assert!(again.text.contains("replicas: [2"));
        // Left as it is, it is not asked for ever.
        assert!(matches!(again.read(&again.text), Returned::GivenUp(_)));
        let Returned::Edited(_) = change(&again, "replicas: [2", "replicas: 3") else { panic!() };
        let Returned::Again(renamed) = change(&sheet, "name: web", "name: other") else { panic!() };
        assert!(renamed.text.contains("metadata.name of an object cannot be changed"), "{}", renamed.text);
    }

    #[test]
    fn a_change_is_put_on_top_of_what_somebody_else_did_meanwhile() {
        let sheet = Sheet::open(&document(), "");
        let Returned::Edited(edited) = change(&sheet, "r/a:1", "r/a:2") else { panic!() };
        let mut fresh = document();
        fresh["spec"]["replicas"] = json!(9);
        let again = Sheet::again(&edited, &fresh, "changed meanwhile: spec.replicas 2 -> 9");
        assert!(again.text.contains("# changed meanwhile: spec.replicas 2 -> 9"));
        let Returned::Edited(both) = again.read(&again.text) else { panic!() };
        let containers = json!([{ "name": "app", "image": "r/a:2" }]);
        assert_eq!(
            both.patch(),
            Some(json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
        );
        assert_eq!(both.wanted["spec"]["replicas"], 9);
    }

    #[test]
    fn nothing_of_an_edit_is_printed() {
        let mut secret = document();
        secret["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{ "name": "T", "value": "canary-1" }]);
        let sheet = Sheet::open(&secret, "");
        let Returned::Edited(edited) = change(&sheet, "replicas: 2", "replicas: 3") else { panic!() };
        assert!(!format!("{sheet:?} {edited:?}").contains("canary"));
        let options = crate::actions::Options { edited: Some(edited), ..crate::actions::Options::default() };
        assert!(!json!(options).to_string().contains("canary"));
    }
}

//! A leaked secret in the console: from the keys to the last pod, and no value on the screen or on disk.

use std::path::Path;

use opsdeck::demo::tenancy::CANARY;

use crate::terminal::Terminal;

/// Every file below a directory, as text.
fn files(directory: &Path, found: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_leaked_secret_is_rotated_by_keys_and_its_value_is_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let arguments = ["demo", "--story", "leaked-secret", "--tenants", "3", "--pods-per-tenant", "6"];
    let mut console = Terminal::start(env!("CARGO_BIN_EXE_opsdeck"), &arguments, &variables, (140, 40));
    console.wait("the demo is connected", |screen| screen.contains("k8s live"));
    console.press(":externalsecrets\r");
    console.wait("the table", |screen| screen.contains("externalsecrets") && screen.contains("SecretSync"));
    console.press("/checkout-credentials namespace=tenant-2\r");
    console.wait("one row, with who uses it", |screen| {
        screen.contains("externalsecrets 1 of") && screen.contains("checkout, ")
    });
    console.press("R");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains("you may patch") && !screen.contains("pending")
    });
    let plan = console.text();
    for said in [
        "AWS rotates tenant-2/checkout",
        "Reloader restarts deployment/checkout",
        "aws secretsmanager rotate-secret",
    ] {
        assert!(plan.contains(said), "the plan says {said:?}\n{plan}");
    }
    let typed = plan.split("Type ").nth(1).and_then(|rest| rest.split(" to rotate").next());
    let name = typed.expect("the name that must be typed").to_owned();
    console.press(&format!("{name}\tINC-9 leaked\r\r"));
    console.wait("every step is named", |screen| screen.contains("every pod started after the change"));
    console.wait("the verdict", |screen| screen.contains("Verified"));
    let end = console.text();
    assert!(end.contains("is AWSCURRENT") && end.contains("by Reloader"), "{end}");
    // The Secrets, as YAML and as a table: metadata alone.
    console.press(":secrets\r");
    console.wait("the Secrets", |screen| screen.contains("secrets ") && screen.contains("ExternalSecret"));
    console.press("y");
    console.wait("its YAML", |screen| screen.contains("managedFields") || screen.contains("metadata:"));
    console.press("\x03");
    assert!(console.end().success());
    let raw = String::from_utf8_lossy(&console.raw).into_owned();
    assert!(!raw.contains(CANARY), "a value was on the screen");
    let mut kept = String::new();
    files(home.path(), &mut kept);
    assert!(kept.contains("INC-9 leaked") && kept.contains("rotated: "), "the record tells of it");
    assert!(!kept.contains(CANARY), "a value is in a file");
}

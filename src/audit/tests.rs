use std::collections::BTreeSet;

use serde_json::json;
use sha2::Digest as _;
use tempfile::TempDir;

use super::*;
use crate::identity::Resource;

fn object(name: &str) -> ObjectRef {
    ObjectRef {
        context: Context::new("prod-eu-1"),
        resource: Resource::new("argoproj.io", "applications"),
        namespace: Some("argocd".into()),
        name: name.into(),
    }
}

fn intent(verb: &str) -> Intent {
    Intent {
        context: Context::new("prod-eu-1"),
        environment: "prod".to_owned(),
        protected: true,
        verb: verb.to_owned(),
        targets: vec![Target { object: object("checkout"), uid: "u".into(), resource_version: "1".into() }],
        title: "Roll back checkout".to_owned(),
        options: json!({}),
        who: Who { server: "alice@example".to_owned(), local: "alice on laptop".to_owned() },
        reason: "INC-7".to_owned(),
        confirmation: "typed tenant-2".to_owned(),
        checks: vec![Check { mark: "ok".to_owned(), text: "no operation is running".to_owned() }],
        command: "argocd app rollback checkout 41".to_owned(),
        holds: Vec::new(),
        changes: Vec::new(),
        undoes: None,
        tenant: None,
        rule: None,
    }
}

fn ending() -> Ending {
    Ending {
        outcome: "verified".to_owned(),
        detail: "healthy".to_owned(),
        steps: Vec::new(),
        after: Vec::new(),
        duration_ms: 74_000,
        changes: Vec::new(),
        made: Vec::new(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_614_400 + second).unwrap()
}

async fn write(audit: &Audit, actions: std::ops::Range<i64>) {
    for number in actions {
        let begun = audit.begin(&format!("a-{number}"), intent("rollback"), at(number)).await.unwrap();
        audit.end(begun, ending(), at(number)).await.unwrap();
    }
}

fn fresh() -> (TempDir, Audit) {
    let directory = TempDir::new().unwrap();
    let audit = Audit::at(directory.path().join("state/audit.jsonl"));
    (directory, audit)
}

/// Rewrites the file, as somebody with an editor would.
fn tamper(audit: &Audit, edit: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(audit.path()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    edit(&mut lines);
    fs::write(audit.path(), lines.join("\n") + "\n").unwrap();
}

#[track_caller]
fn assert_broken(audit: &Audit, line: usize, part: &str) {
    let broken = audit.verify().unwrap().unwrap_err();
    assert_eq!(broken.line, line, "{broken}");
    assert!(broken.reason.contains(part), "{broken}");
}

#[tokio::test]
async fn records_come_back_as_they_were_written_and_the_chain_holds() {
    let (_directory, audit) = fresh();
    write(&audit, 0..3).await;
    let records = audit.read(None).unwrap().records;
    assert_eq!(records.len(), 6);
    assert_eq!(records[0].prev, GENESIS);
    assert_eq!(records[0].event, Event::Before(Box::new(intent("rollback"))));
    assert_eq!(records[1].event, Event::After(ending()));
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!((verified.records, verified.files, verified.first, verified.torn), (6, 1, 1, 0));
    assert_eq!(verified.head, records[5].hash);
    assert_eq!(audit.read(Some(at(2))).unwrap().records.len(), 2);
}

#[tokio::test]
async fn a_line_can_be_checked_with_nothing_but_sha256() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    let text = fs::read_to_string(audit.path()).unwrap();
    let line = text.lines().next().unwrap();
    let (body, hash) = line.split_once(",\"hash\":\"").unwrap();
    let digest = sha2::Sha256::digest(format!("{body}}}").as_bytes());
    let hex: String = digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(u32::from(digit), 16).unwrap())
        .collect();
    assert_eq!(hash.trim_end_matches("\"}"), hex);
}

#[tokio::test]
async fn a_changed_word_is_found_at_its_line() {
    let (_directory, audit) = fresh();
    write(&audit, 0..3).await;
    tamper(&audit, |lines| lines[2] = lines[2].replace("alice@example", "mallory@example"));
    assert_broken(&audit, 3, "was changed after it was written");
}

#[tokio::test]
async fn a_changed_word_with_a_new_hash_is_found_at_the_line_after() {
    let (_directory, audit) = fresh();
    write(&audit, 0..3).await;
    tamper(&audit, |lines| {
        let body = lines[2].replace("alice@example", "mallory@example");
        let mut record: Record = serde_json::from_str(&body).unwrap();
        record.hash = String::new();
        lines[2] = chain::seal(&record).unwrap();
    });
    assert_broken(&audit, 4, "not chained");
}

#[tokio::test]
async fn a_removed_a_moved_and_an_added_line_are_found() {
    let (_directory, audit) = fresh();
    write(&audit, 0..3).await;
    let whole = fs::read_to_string(audit.path()).unwrap();
    tamper(&audit, |lines| drop(lines.remove(1)));
    assert_broken(&audit, 2, "is record 3, and 2 should stand here");
    fs::write(audit.path(), &whole).unwrap();
    tamper(&audit, |lines| lines.swap(1, 2));
    assert_broken(&audit, 2, "is record 3");
    fs::write(audit.path(), &whole).unwrap();
    tamper(&audit, |lines| lines.insert(3, "{}".to_owned()));
    assert_broken(&audit, 4, "is not a record");
    fs::write(audit.path(), &whole).unwrap();
    tamper(&audit, |lines| drop(lines.remove(0)));
    // The first line is gone: what is left is a whole chain that begins later, and says so.
    assert_eq!(audit.verify().unwrap().unwrap().first, 2);
}

#[tokio::test]
async fn a_repeated_member_cannot_hide_a_change() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    tamper(&audit, |lines| {
        lines[0] = lines[0].replacen("{\"seq\":1", "{\"reason\":\"other\",\"seq\":1", 1);
    });
    assert_broken(&audit, 1, "");
}

#[tokio::test]
async fn a_line_torn_by_a_crash_is_passed_over_and_owned_up_to() {
    let (_directory, audit) = fresh();
    write(&audit, 0..2).await;
    let mut file = OpenOptions::new().append(true).open(audit.path()).unwrap();
    file.write_all(b"{\"seq\":5,\"prev\":\"ab").unwrap();
    assert_broken(&audit, 5, "is not a record");
    write(&audit, 2..3).await;
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!((verified.records, verified.torn), (6, 1));
    assert_eq!(audit.read(None).unwrap().garbled, 1);
}

/// A pen that writes a part of what it is given and fails, as a full disk does.
#[derive(Debug)]
struct Full(usize);

impl Pen for Full {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(&bytes[..self.0.min(bytes.len())])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

#[tokio::test]
async fn a_full_disk_refuses_the_record_with_a_sentence_and_leaves_the_chain_whole() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    let full = audit.clone().written_by(Arc::new(Full(40)));
    let begun = audit.begin("under-way", intent("sync"), at(2)).await.unwrap();
    for _ in 0..3 {
        let error = full.begin("a", intent("sync"), at(3)).await.unwrap_err().to_string();
        assert!(
            error.contains("audit.jsonl cannot be written") && error.contains("no change is made"),
            "{error}"
        );
    }
    assert!(full.end(begun, ending(), at(4)).await.is_err());
    let open: Vec<String> = audit.unfinished().unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(open, ["under-way"], "what was refused is no action");
    write(&audit, 5..6).await;
    assert_eq!(audit.verify().unwrap().unwrap().records, 5);
}

#[tokio::test]
async fn lines_torn_one_after_the_other_are_all_owned_up_to_and_a_changed_one_is_not() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    let mut file = OpenOptions::new().append(true).open(audit.path()).unwrap();
    // Killed in the middle of a record, and again in the middle of the one that would have owned up to it.
    file.write_all(b"{\"seq\":3,\"prev\":\"ab\n{\"seq\":3,\"torn\":tr").unwrap();
    write(&audit, 2..3).await;
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!((verified.records, verified.torn), (4, 2));
    // A whole record with a wrong hash is no torn line, also where the next one speaks of torn lines.
    tamper(&audit, |lines| lines[1] = lines[1].replace("verified", "failed"));
    assert_broken(&audit, 2, "was changed after it was written");
    let text = "x\n".repeat(TORN);
    file.write_all(text.as_bytes()).unwrap();
    let error = audit.begin("a", intent("sync"), at(9)).await.unwrap_err();
    assert!(error.to_string().contains("are no records"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_consoles_and_a_reader_make_and_see_one_chain_over_many_files() {
    let (_directory, audit) = fresh();
    let consoles: Vec<_> = (0..8)
        .map(|console| {
            let audit = Audit::at(audit.path()).rotating_at(6_000);
            tokio::spawn(async move { write(&audit, console * 100..console * 100 + 6).await })
        })
        .collect();
    let mut seen = 0;
    while !consoles.iter().all(tokio::task::JoinHandle::is_finished) {
        let reading = audit.clone();
        let now = tokio::task::spawn_blocking(move || reading.read(None)).await.unwrap();
        // A file that is closed between two looks is neither missed nor read twice.
        let now = now.unwrap().records.len();
        assert!(now >= seen, "{now} after {seen}");
        seen = now;
    }
    for console in consoles {
        console.await.unwrap();
    }
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!(verified.records, 96);
    assert!(verified.files > 3, "{verified:?}");
}

#[tokio::test]
async fn a_record_that_lacks_only_its_line_end_counts() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    let text = fs::read_to_string(audit.path()).unwrap();
    fs::write(audit.path(), text.trim_end()).unwrap();
    write(&audit, 1..2).await;
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!((verified.records, verified.torn), (4, 0));
}

#[tokio::test]
async fn a_damaged_last_line_refuses_the_next_record() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    tamper(&audit, |lines| lines[1] = lines[1].replace("verified", "failed"));
    let error = audit.begin("a", intent("sync"), at(9)).await.unwrap_err();
    assert!(
        matches!(&error, AuditError::Damaged { reason, .. } if reason.contains("was changed")),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_file_is_closed_and_the_chain_goes_on_in_the_next() {
    let (_directory, audit) = fresh();
    let audit = audit.rotating_at(2_000);
    write(&audit, 0..10).await;
    let verified = audit.verify().unwrap().unwrap();
    assert_eq!(verified.records, 20);
    assert!(verified.files > 2, "{verified:?}");
    let closed = audit.closed().unwrap();
    fs::remove_file(&closed[0].1).unwrap();
    let rest = audit.verify().unwrap().unwrap();
    assert_eq!(rest.first, closed[0].0 + 1);
    // A file from the middle cannot go unseen.
    let (_other, audit) = fresh();
    let audit = audit.rotating_at(2_000);
    write(&audit, 0..10).await;
    fs::remove_file(&audit.closed().unwrap()[1].1).unwrap();
    assert!(audit.verify().unwrap().is_err());
}

#[tokio::test]
async fn two_writers_make_one_chain() {
    let (_directory, audit) = fresh();
    let audit = audit.rotating_at(8_000);
    // Each has its own handle and its own lock, as two consoles have.
    let (one, other) = (audit.clone(), Audit::at(audit.path()).rotating_at(8_000));
    let first = tokio::spawn(async move { write(&one, 0..15).await });
    let second = tokio::spawn(async move { write(&other, 100..115).await });
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(audit.verify().unwrap().unwrap().records, 60);
    let ids: BTreeSet<String> =
        audit.read(None).unwrap().records.into_iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), 30);
    assert!(audit.unfinished().unwrap().is_empty());
}

#[tokio::test]
async fn an_action_without_an_end_is_unfinished() {
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    audit.begin("cut", intent("sync"), at(5)).await.unwrap();
    let open = audit.unfinished().unwrap();
    assert_eq!(open.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["cut"]);
}

#[tokio::test]
async fn what_was_last_held_of_an_object_is_found_again() {
    let (_directory, audit) = fresh();
    for prune in [true, false] {
        let held = Held { object: object("checkout"), automated: json!({ "prune": prune }) };
        audit.begin("h", Intent { holds: vec![held], ..intent("hold-autosync") }, at(1)).await.unwrap();
    }
    assert_eq!(audit.held(&object("checkout")).unwrap().unwrap().automated, json!({ "prune": false }));
    assert!(audit.held(&object("cart")).unwrap().is_none());
}

#[tokio::test]
async fn what_was_given_back_is_not_held_any_more_and_a_failed_release_gives_nothing_back() {
    let (_directory, audit) = fresh();
    let held = Held { object: object("checkout"), automated: json!({ "prune": true }) };
    audit.begin("h", Intent { holds: vec![held], ..intent("hold-autosync") }, at(1)).await.unwrap();
    for (outcome, still) in [("failed", true), ("verified", false)] {
        let release = audit.begin(outcome, intent("release-autosync"), at(2)).await.unwrap();
        audit.end(release, Ending { outcome: outcome.to_owned(), ..ending() }, at(3)).await.unwrap();
        assert_eq!(audit.held(&object("checkout")).unwrap().is_some(), still, "{outcome}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, audit) = fresh();
    write(&audit, 0..1).await;
    for path in [audit.path().to_owned(), audit.path().with_extension("lock")] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_said_with_its_name() {
    let (directory, _) = fresh();
    // The root user may write anywhere, so something that is no directory stands in the way.
    let blocked = directory.path().join("file");
    fs::write(&blocked, "").unwrap();
    let audit = Audit::at(blocked.join("audit.jsonl"));
    let error = audit.writable().await.unwrap_err();
    assert!(error.to_string().contains("no change is made without a record"), "{error}");
    assert!(audit.begin("a", intent("sync"), at(0)).await.is_err());
}

#[tokio::test]
async fn an_action_that_was_cut_off_is_taken_over_once_and_one_under_way_never() {
    let (directory, audit) = fresh();
    let begun = audit.begin("a", intent("restart"), at(0)).await.unwrap();
    let record = audit.unfinished().unwrap().remove(0);
    let other = Audit::at(audit.path());
    assert!(other.take_over(&record, at(1)).unwrap().is_none(), "its console still runs");
    // As when its process ends in the middle.
    drop(begun);
    let taken = other.take_over(&record, at(2)).unwrap().unwrap();
    assert!(audit.take_over(&record, at(2)).unwrap().is_none(), "another console has it");
    other.end(taken, ending(), at(3)).await.unwrap();
    assert!(audit.take_over(&record, at(4)).unwrap().is_none(), "it has its end");
    assert!(audit.unfinished().unwrap().is_empty());
    audit.verify().unwrap().unwrap();
    let names = fs::read_dir(directory.path().join("state")).unwrap();
    let left = names.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("running".as_ref()));
    assert_eq!(left.count(), 0, "no lock stays behind");
}

//! Reads the audit file for the screen: the list of the record, and what was left before its end.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc::Sender;

use crate::actions::left::left;
use crate::actions::undo::{self, entries};
use crate::app::message::Message;
use crate::app::running::Cut;
use crate::audit::{Audit, AuditError};
use crate::clock::Clock;
use crate::kinds::{Object, record};
use crate::sources::SourceError;
use crate::store::{Envelope, Query, Update};

/// How often it is looked whether the file has grown.
const EVERY: Duration = Duration::from_secs(2);

/// How many entries are shown, the newest; `opsdeck audit` prints all.
const SHOWN: usize = 5_000;

/// Keeps the list until the receiver of its mail is gone.
pub async fn follow(audit: Audit, clock: Clock, query: Query, epoch: u64, mail: Sender<Envelope>) {
    let send = async |update: Update| {
        mail.send(Envelope { query: query.clone(), epoch, part: None, at: clock.now(), update }).await.is_ok()
    };
    let mut known = None;
    loop {
        let size = audit.size();
        let updates = if known == Some(size) {
            vec![Update::Alive]
        } else {
            let (audit, now) = (audit.clone(), clock.now());
            match tokio::task::spawn_blocking(move || objects(&audit, now)).await {
                Ok(Ok(objects)) => {
                    known = Some(size);
                    let page = Update::Page { objects, garbled: Vec::new(), remaining: None };
                    vec![Update::ListStarted, page, Update::ListDone]
                }
                Ok(Err(error)) => vec![failed(&error.to_string())],
                Err(error) => vec![failed(&error.to_string())],
            }
        };
        for update in updates {
            if !send(update).await {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = mail.closed() => return,
        }
    }
}

fn failed(reason: &str) -> Update {
    let error = SourceError::Garbled { what: "the audit".to_owned(), reason: reason.to_owned() };
    Update::Failed { error, retry_at: None }
}

/// Looks for actions that have no end and for rotations that were left, away from the loop: the file may be large.
pub async fn looked_back(audit: Audit, now: Timestamp) -> Vec<Message> {
    let read = move || -> Result<Vec<Message>, AuditError> {
        let records = audit.read(None)?.records;
        let all = entries(&records);
        let open = all.iter().filter(|entry| entry.ending.is_none());
        let cut = open.filter_map(|entry| Cut::of(entry.before)).collect();
        Ok(vec![Message::Left(left(&all, now)), Message::Cut(cut)])
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(messages)) => messages,
        Ok(Err(error)) => vec![Message::Trouble(error.to_string())],
        Err(error) => vec![Message::Trouble(format!("the audit was not read: {error}"))],
    }
}

/// Reads the newest entries, each with what takes it back.
pub fn objects(audit: &Audit, now: Timestamp) -> Result<Vec<Arc<Object>>, AuditError> {
    let records = audit.read(None)?.records;
    let all = entries(&records);
    let first = all.len().saturating_sub(SHOWN);
    Ok(all[first..]
        .iter()
        .map(|entry| {
            let undo = undo::request(&all, &entry.before.id, now, "");
            Arc::new(record::object(record::Entry {
                id: entry.before.id.as_str().into(),
                at: entry.before.at,
                intent: Arc::new(entry.intent.clone()),
                ending: entry.ending.cloned().map(Arc::new),
                undo: undo.map(|request| Arc::new(json!(request))).map_err(Into::into),
            }))
        })
        .collect())
}

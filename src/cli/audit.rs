//! `opsdeck audit`: who changed what, why, when and how it ended; and whether the record is whole.

use std::collections::HashMap;
use std::io::Write as _;

use color_eyre::eyre::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Desk, Exit, Usage};
use crate::args::{Audit as Args, AuditCommand, Format};
use crate::audit::{Audit, Ending, Event, Intent, Record};
use crate::human::{parse_span, span};

/// Prints the record, or checks it.
pub fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    let audit = Audit::at(desk.paths.audit_file());
    match &args.command {
        Some(AuditCommand::Verify { output }) => verify(desk, &audit, *output),
        None => print(desk, &audit, args),
    }
}

/// Reads how far back `--since` goes.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp> {
    let wrong = || Usage::report(format!("--since {text}: not a length of time such as 15m, 24h or 7d"));
    let seconds = parse_span(text).ok_or_else(wrong)?;
    now.checked_sub(SignedDuration::from_secs_f64(seconds)).map_err(|_| wrong())
}

fn print(desk: &mut Desk<'_>, audit: &Audit, args: &Args) -> Result<Exit> {
    let since = args.since.as_deref().map(|text| since(text, desk.clock.now())).transpose()?;
    let reading = audit.read(since)?;
    if args.output == Format::Json {
        for record in &reading.records {
            desk.out.json_line(record)?;
        }
    } else {
        let mut endings: HashMap<String, Ending> = HashMap::new();
        for record in &reading.records {
            if let Event::After(ending) = &record.event {
                endings.insert(record.id.clone(), ending.clone());
            }
        }
        for record in &reading.records {
            if let Event::Before(intent) = &record.event {
                entry(desk, record, intent, endings.get(&record.id))?;
            }
        }
        if reading.records.is_empty() {
            writeln!(desk.out, "nothing is recorded in {}", audit.path().display())?;
        }
        // What began before the time that is asked about matters all the same while it has no end.
        let shown: Vec<&str> = reading.records.iter().map(|record| record.id.as_str()).collect();
        let open = audit.unfinished()?;
        let older = open.iter().filter(|record| !shown.contains(&record.id.as_str()));
        for record in older {
            if let Event::Before(intent) = &record.event {
                entry(desk, record, intent, None)?;
            }
        }
        if !open.is_empty() {
            let (actions, have) = if open.len() == 1 { ("action", "has") } else { ("actions", "have") };
            let count = open.len();
            writeln!(
                desk.out,
                "{count} {actions} {have} no end: a console still follows it, or was cut off; opsdeck finds out what became of it when it opens that context again"
            )?;
        }
        desk.out.flush()?;
    }
    if reading.garbled > 0 {
        desk.err.line(&format!(
            "{} lines of {} are not records; `opsdeck audit verify` names the first",
            reading.garbled,
            audit.path().display()
        ))?;
    }
    Ok(Exit::Done)
}

/// Prints one action: a line of what, then who, why and how it ended.
fn entry(desk: &mut Desk<'_>, record: &Record, intent: &Intent, ending: Option<&Ending>) -> Result<()> {
    let out = &mut desk.out;
    writeln!(out, "{}  {}", record.at.strftime("%Y-%m-%d %H:%M:%SZ"), intent.title)?;
    writeln!(out, "    entry  {}", record.id)?;
    writeln!(out, "    who    {} ({} here)", intent.who.server, intent.who.local)?;
    if !intent.reason.is_empty() {
        writeln!(out, "    why    {}", intent.reason)?;
    }
    writeln!(out, "    said   {}", intent.confirmation)?;
    if let Some(rule) = &intent.rule {
        writeln!(out, "    rule   {rule}")?;
    }
    if let Some(undone) = &intent.undoes {
        writeln!(out, "    undoes {undone}")?;
    }
    writeln!(out, "    same   {}", intent.command)?;
    match ending {
        Some(ending) => {
            let took = span(ending.duration_ms / 1000);
            writeln!(out, "    end    {} after {took}: {}", ending.outcome, ending.detail)?;
            for change in &ending.changes {
                writeln!(out, "    change {}: {}", change.object.name, change.sentence())?;
            }
        }
        None => writeln!(out, "    end    not recorded: it is running now, or was cut off")?,
    }
    Ok(())
}

fn verify(desk: &mut Desk<'_>, audit: &Audit, format: Format) -> Result<Exit> {
    match audit.verify()? {
        Ok(whole) => {
            if format == Format::Json {
                desk.out.json(&json!({
                    "whole": true, "records": whole.records, "files": whole.files, "first": whole.first,
                    "torn": whole.torn, "head": whole.head,
                }))?;
            } else {
                let (records, files) = (whole.records, whole.files);
                desk.out.line(&format!("whole: {records} records in {files} files, head {}", whole.head))?;
                if whole.first > 1 {
                    desk.out
                        .line(&format!("it begins at record {}: older files are not here", whole.first))?;
                }
            }
            Ok(Exit::Done)
        }
        Err(broken) => {
            if format == Format::Json {
                let file = broken.file.display().to_string();
                desk.out.json(&json!({
                    "whole": false, "file": file, "line": broken.line, "reason": broken.reason,
                }))?;
            } else {
                desk.out.line(&format!("broken: {broken}"))?;
            }
            Ok(Exit::Failed)
        }
    }
}

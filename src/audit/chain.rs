//! The chain of the audit's lines: how a line is sealed, and how the whole is checked.

use std::fmt::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{GENESIS, Record};

/// What a whole chain amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records it holds.
    pub records: u64,
    /// How many files they lie in.
    pub files: usize,
    /// The number of the first record that is still there; more than 1 when older files were moved away.
    pub first: u64,
    /// Lines that a crash tore, and that the next record owned up to.
    pub torn: u64,
    /// The hash of the last line.
    pub head: String,
}

/// The first place at which the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {reason}", file = file.display())]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: usize,
    /// What does not fit.
    pub reason: String,
}

/// Writes a record as a line that carries its hash as the last member.
pub fn seal(record: &Record) -> Result<String, serde_json::Error> {
    let mut line = serde_json::to_string(record)?;
    let hash = hash(&line);
    line.pop();
    line.push_str(",\"hash\":\"");
    line.push_str(&hash);
    line.push_str("\"}");
    Ok(line)
}

/// Checks files in the order of the chain, and names the first line that breaks it.
pub fn verify(files: &[(PathBuf, String)]) -> Result<Verified, Broken> {
    let mut verified =
        Verified { records: 0, files: files.len(), first: 1, torn: 0, head: GENESIS.to_owned() };
    let mut last: Option<u64> = None;
    for (file, text) in files {
        let broken = |line: usize, reason: String| Broken { file: file.clone(), line, reason };
        // The first of the lines that cannot be read, and how many there are in a row.
        let mut torn: Option<(usize, String)> = None;
        let mut count = 0;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let record = match check(line) {
                Ok(record) => record,
                Err(reason) => {
                    // A torn line is no record at all: one that was changed is never passed over with it.
                    if is_record(line) {
                        return Err(broken(number, reason));
                    }
                    torn.get_or_insert((number, reason));
                    count += 1;
                    continue;
                }
            };
            match torn.take() {
                Some(_) if record.torn => verified.torn += std::mem::take(&mut count),
                Some((number, reason)) => return Err(broken(number, reason)),
                None if record.torn => {
                    return Err(broken(number, "speaks of a torn line that is not there".to_owned()));
                }
                None => {}
            }
            match last {
                None => {
                    verified.first = record.seq;
                    if record.seq == 1 && record.prev != GENESIS {
                        return Err(broken(number, "the first record has a line before it".to_owned()));
                    }
                }
                Some(last) if record.seq != last + 1 => {
                    return Err(broken(
                        number,
                        format!("is record {}, and {} should stand here", record.seq, last + 1),
                    ));
                }
                Some(_) if record.prev != verified.head => {
                    return Err(broken(number, "is not chained to the line before it".to_owned()));
                }
                Some(_) => {}
            }
            last = Some(record.seq);
            verified.records += 1;
            verified.head = record.hash;
        }
        if let Some((number, reason)) = torn {
            return Err(broken(number, reason));
        }
    }
    Ok(verified)
}

/// Checks one line by itself: that it is a record and that its hash is its own.
pub fn check(line: &str) -> Result<Record, String> {
    let record: Record = serde_json::from_str(line).map_err(|error| format!("is not a record: {error}"))?;
    let end = format!(",\"hash\":\"{}\"}}", record.hash);
    let body = line.strip_suffix(&end).ok_or("does not end with its hash")?;
    if hash(&format!("{body}}}")) == record.hash {
        Ok(record)
    } else {
        Err("was changed after it was written: its hash is not its own".to_owned())
    }
}

/// Tells whether a line is a record, whatever its hash says.
pub fn is_record(line: &str) -> bool {
    serde_json::from_str::<Record>(line).is_ok()
}

/// Returns the SHA-256 of a text in hexadecimal.
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

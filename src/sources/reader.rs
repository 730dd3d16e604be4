//! The body of one answer as it arrives: counted, bounded in size, and never waited for without end.

use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyDataStream, BodyExt as _};
use hyper::body::Bytes;
use hyper::upgrade::OnUpgrade;
use kube::client::Body;

use super::SourceError;
use super::answer::{Asked, is_badly_packed, late};
use super::kubeconfig::causes;
use super::kubernetes::Connection;

/// How much of the body of a refusal is read.
const BEGINNING: usize = 64 * 1024;

/// How much one answer may hold: sixteen pages of 500 objects of 32 KiB, more than any cluster sends at once.
const LIMIT: usize = 256 * 1024 * 1024;

/// The body of an answer.
pub(super) struct Reader {
    connection: Connection,
    asked: Asked,
    code: StatusCode,
    headers: HeaderMap,
    body: BodyDataStream<Body>,
    upgrade: OnUpgrade,
}

impl Reader {
    pub(super) fn new(connection: Connection, asked: Asked, mut answer: Response<Body>) -> Self {
        let upgrade = hyper::upgrade::on(&mut answer);
        let (parts, body) = answer.into_parts();
        let body = body.into_data_stream();
        Self { connection, asked, code: parts.status, headers: parts.headers, body, upgrade }
    }

    /// Returns the connection behind an answer that switches to another protocol.
    pub(super) fn upgraded(self) -> OnUpgrade {
        self.upgrade
    }

    pub(super) fn code(&self) -> StatusCode {
        self.code
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Waits for the next bytes; `None` at the end.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, SourceError> {
        match tokio::time::timeout(patience, self.body.next()).await {
            Ok(Some(Ok(bytes))) => {
                self.connection.count_bytes(bytes.len());
                Ok(Some(bytes))
            }
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => {
                if is_badly_packed(&error) {
                    return Err(self.garbled(format!("it cannot be unpacked: {}", causes(&error))));
                }
                let reason = format!("the answer was cut off: {}", causes(&error));
                Err(late(&self.asked, &crate::text::one_line(&reason)))
            }
            Err(_) => {
                let reason = format!("nothing came for {} s: the connection timed out", patience.as_secs());
                Err(late(&self.asked, &reason))
            }
        }
    }

    fn garbled(&self, reason: String) -> SourceError {
        SourceError::Garbled {
            what: format!("{} {}", self.asked.verb, self.asked.what),
            reason: crate::text::one_line(&reason).into_owned(),
        }
    }

    fn too_large(&self, limit: usize) -> SourceError {
        self.garbled(format!("the answer is larger than {} MiB", limit / 1024 / 1024))
    }

    /// Returns how many bytes the server says that it sends.
    fn announced(&self) -> usize {
        let known = self.headers.get(http::header::CONTENT_LENGTH);
        known.and_then(|length| length.to_str().ok()?.parse::<usize>().ok()).unwrap_or(0)
    }

    /// Reads the rest of the body.
    pub(super) async fn whole(self) -> Result<Bytes, SourceError> {
        self.within(LIMIT).await
    }

    /// Reads the rest of the body, of which no more is taken than a limit.
    pub(super) async fn within(mut self, limit: usize) -> Result<Bytes, SourceError> {
        // Most answers are one piece, which need not be copied.
        let stall = self.connection.waits().stall;
        // What is announced as too large need not be waited for.
        if self.announced() > limit {
            return Err(self.too_large(limit));
        }
        let Some(first) = self.next(stall).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next(stall).await? else { return Ok(first) };
        let mut all = Vec::new();
        self.reserve(&mut all, limit);
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        drop((first, second));
        self.append(&mut all, limit).await?;
        Ok(all.into())
    }

    /// Reads the rest of the body into a buffer, whose room is used again: a page of a list is so large that the
    /// system would hand out and clear fresh memory for each.
    pub(super) async fn fill(mut self, buffer: &mut Vec<u8>) -> Result<(), SourceError> {
        buffer.clear();
        self.reserve(buffer, LIMIT);
        self.append(buffer, LIMIT).await
    }

    fn reserve(&self, buffer: &mut Vec<u8>, limit: usize) {
        buffer.reserve(self.announced().min(limit));
    }

    async fn append(&mut self, all: &mut Vec<u8>, limit: usize) -> Result<(), SourceError> {
        let stall = self.connection.waits().stall;
        while let Some(bytes) = self.next(stall).await? {
            if all.len() + bytes.len() > limit {
                return Err(self.too_large(limit));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Reads the beginning of the body of a refusal, or as much of it as comes.
    pub(super) async fn beginning(mut self) -> Vec<u8> {
        let stall = self.connection.waits().stall;
        let mut all = Vec::new();
        while all.len() < BEGINNING {
            match self.next(stall).await {
                Ok(Some(bytes)) => all.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        all.truncate(BEGINNING);
        all
    }

    /// Returns the texts of the `Warning` headers (299): deprecated versions, dropped fields.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.headers
            .get_all(http::header::WARNING)
            .iter()
            .filter_map(|value| warning(&String::from_utf8_lossy(value.as_bytes())))
            .collect()
    }
}

/// Takes the text out of `299 - "unknown field \"spec.x\""`.
fn warning(header: &str) -> Option<String> {
    let (code, rest) = header.split_once(' ')?;
    let quoted = rest.split_once('"')?.1;
    let end = quoted.rfind('"')?;
    let text = quoted[..end].replace("\\\"", "\"").replace("\\\\", "\\");
    (code == "299").then(|| crate::text::one_line(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_taken_out_of_its_header() {
        let text = warning(r#"299 - "unknown field \"spec.colour\"""#);
        assert_eq!(text.as_deref(), Some(r#"unknown field "spec.colour""#));
        assert_eq!(warning("199 - \"misc\""), None);
        assert_eq!(warning("nonsense"), None);
    }
}

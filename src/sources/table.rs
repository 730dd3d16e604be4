//! Types that the console has no description of: what the server says of their columns makes a kind of them.

use super::SourceError;
use super::discovery::ServedType;
use super::kubernetes::Connection;
use super::objects::{collection, query};
use crate::kinds::Kind;
use crate::kinds::table::{self, Names};

impl Connection {
    /// Learns the columns of a type and makes a kind of it, to be added to the others ([`crate::kinds::Kinds::with`])
    /// and followed like them.
    pub async fn learn(&self, served: &ServedType) -> Result<Kind, SourceError> {
        let asked = self.asked("list", format!("the columns of {}", served.resource));
        let path = collection(&served.resource, &served.version, None);
        // One row is enough: the columns stand beside the rows.
        let mut answer =
            self.get(&asked, &format!("{path}{}", query(&[("limit", "1")])), table::ACCEPT).await;
        if served.namespaced && matches!(answer, Err(SourceError::Denied { .. })) {
            let permitted = self.permitted(&served.resource).await?;
            if let Some(namespace) = permitted.namespaces.first() {
                let path = collection(&served.resource, &served.version, Some(namespace));
                let path = format!("{path}{}", query(&[("limit", "1")]));
                answer = self.get(&asked, &path, table::ACCEPT).await;
            }
        }
        let definitions = table::definitions(&answer?).ok_or_else(|| SourceError::Garbled {
            what: asked.what.clone(),
            reason: "the server does not write it as a table".to_owned(),
        })?;
        let names = Names {
            group: &served.resource.group,
            version: &served.version,
            plural: &served.resource.plural,
            kind: &served.kind,
            singular: &served.singular,
            shorts: served.short_names.iter().map(|name| &**name).collect(),
            namespaced: served.namespaced,
        };
        Ok(table::kind(&names, &definitions))
    }
}

//! Server-side tables: the columns that people see, for lists, single objects and watches.
//!
//! The columns of built-in types are those of Kubernetes' own printers, those of custom resources are the
//! `additionalPrinterColumns` of their CRDs. It shows; it does not judge.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::objects::Object;
use super::request::Include;
use super::types::Type;
use super::versions::View;

/// Returns objects as a table.
pub fn table(
    kind: Type,
    view: View,
    objects: &[Arc<Object>],
    include: Include,
    now: Timestamp,
    metadata: Option<Value>,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let value = object.value();
            let mut row = json!({"cells": columns::cells(kind, &value, now)});
            match include {
                Include::None => {}
                Include::Metadata => row["object"] = super::read::metadata(&value, "PartialObjectMetadata"),
                Include::Object => row["object"] = view.show(kind, &value),
            }
            row
        })
        .collect();
    let metadata = metadata.unwrap_or_else(|| match objects {
        [only] => json!({"resourceVersion": only.revision.to_string()}),
        _ => json!({}),
    });
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns::definitions(kind), "rows": rows,
    })
}

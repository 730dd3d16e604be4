//! Which columns a type has, and what stands in them.
//!
//! Pure functions of one object and the time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::types::Type;

/// Returns the column definitions of a type.
pub fn definitions(_kind: Type) -> Value {
    json!([{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}])
}

/// Returns the cells of an object.
pub fn cells(_kind: Type, value: &Value, _now: Timestamp) -> Vec<Value> {
    vec![value["metadata"]["name"].clone()]
}

//! Rows under changes.

//! The `opsdeck` program.
fn main() {}

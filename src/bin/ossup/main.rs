//! The `ossup` command.
fn main() {}

//! dsops
fn main() {}

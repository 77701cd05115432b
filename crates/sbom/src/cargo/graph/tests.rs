//! Graphs small enough to be seen whole.

//! SSH signatures made by the real ssh-keygen, and broken ones.

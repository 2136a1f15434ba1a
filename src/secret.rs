//! A text that never prints and compares in constant time, and where such a text comes from.
//!
//! Nothing here logs. What a [`Source`] says about itself (its [`Source::label`]) names the variable or file, never the value.

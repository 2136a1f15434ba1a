//! Rhai and nothing else: the sandbox, compiling, running, and errors that teach.
//!
//! Never names a provider, a connector or HTTP. `EvalAltResult` does not leave this folder.

pub mod context;
pub mod library;
pub mod prelude;
pub mod table;

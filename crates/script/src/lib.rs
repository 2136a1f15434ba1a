//! Rhai and nothing else: the sandbox, compiling, running, and errors that teach.
//!
//! Never names a provider, a connector or HTTP. `EvalAltResult` does not leave this folder.

pub mod allocator;
pub mod budget;
pub mod cells;
pub mod compile;
pub mod context;
pub mod depth;
pub mod diagnose;
pub mod engine;
pub mod journal;
pub mod lanes;
pub mod library;
pub mod lint;
pub mod modules;
pub mod natives;
pub mod parameters;
pub mod password;
pub mod prelude;
pub mod run;
pub mod shape;
pub mod signature;
pub mod stack;
pub mod standard;
pub mod table;
pub mod trace;
mod turns;

#[cfg(test)]
mod tests;

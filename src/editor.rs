//! A language server for the people who edit bundles: findings as they type, and everything that the registration table
//! knows where they need it.
//!
//! [`server`] speaks the protocol, `workspace` knows which bundle an open file belongs to. The findings are those of
//! `check`, made of the files as the editor shows them. Never writes a file, never looks for a secret, never runs a
//! script but for the constants at its top.

mod completion;
mod definition;
mod diagnostics;
mod hover;
pub mod lens;
mod outline;
pub mod server;
mod signature;
mod symbols;
mod text;
mod tokens;
mod types;
mod view;
mod vocabulary;
mod wire;
mod workspace;

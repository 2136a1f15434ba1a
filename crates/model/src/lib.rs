//! What everything else speaks of: commands, questions, decisions, findings, secrets, and what watches the process.

pub mod command;
pub mod decision;
pub mod environment;
pub mod failpoint;
pub mod files;
pub mod finding;
pub mod message;
pub mod moment;
pub mod pressure;
pub mod question;
pub mod secret;
pub mod suspects;
pub mod trace;

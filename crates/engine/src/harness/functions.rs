//! The functions of tests, registered as those of scripts are: one table for engine, lint, reference and editors.

pub(super) mod assertions;
pub(super) mod lookups;
pub(super) mod marks;
pub(super) mod mocks;
pub(super) mod running;
pub(super) mod sending;

//! Who claims jobs.

use std::sync::Arc;

/// A gateway, as the leases of its jobs name it. The store adds a number to the name each time that it is opened, so that two
/// starts of one instance are two holders of leases.
///
/// Two gateways that share a database must have different names: the start of one voids the leases of an earlier start of the
/// same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    instance: Arc<str>,
}

impl Claimant {
    /// The gateway of this name. It has the same name after each restart.
    pub fn of_instance(name: &str) -> Self {
        Self { instance: name.into() }
    }

    /// The gateway of a store that only one gateway can use. The name stays the same when the machine gets another one.
    pub fn only() -> Self {
        Self::of_instance("gateway")
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

//! Who is told of releases that went live or were refused: whatever keeps the past of them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::release::bundle::Content;
use crate::release::gate::Tested;
use hookgate_model::finding::Finding;

/// Is told of every release that goes live, in that order, and of each that is refused for a new reason. It is called by the
/// thread that reloads, with no call of the gateway waiting for it; it neither waits nor calls [`Live`](super::live::Live)
/// back but for its status.
pub(crate) trait Witness: Send + Sync {
    fn saw(&self, seen: Seen);
}

#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Activated(Box<Activated>),
    Refused(Box<Refused>),
}

/// A release went live.
#[derive(Clone, Debug)]
pub(crate) struct Activated {
    pub(crate) hash: String,
    pub(crate) content: Content,
    /// `files`, `start`, or who gave the order.
    pub(crate) who: String,
    pub(crate) cause: Cause,
    /// What was in force before.
    pub(crate) before: Option<String>,
    /// The pin that holds from now on, and the one that held until now.
    pub(crate) pinned: Option<Pinned>,
    pub(crate) unpinned: Option<Pinned>,
    pub(crate) warnings: Vec<Finding>,
    /// What its tests came to; of a release that was in force before they are not run again.
    pub(crate) tests: Option<Tested>,
}

/// Why a release went live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The process began.
    Start,
    /// The files are what it is made of.
    Files,
    /// An operator wanted an earlier one.
    RolledBack,
}

/// What is on disk was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The hash and the content of the files; nothing where they cannot be read.
    pub(crate) on_disk: Option<(String, Content)>,
    pub(crate) who: String,
    /// What stays in force.
    pub(crate) running: Option<String>,
    pub(crate) findings: Vec<Finding>,
}

/// An earlier release is in force, and what is on disk stays out until it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pinned {
    /// Hash of the release in force.
    pub to: String,
    /// Hash of the files that do not go live.
    pub from: String,
    /// RFC 3339.
    pub since: String,
    pub who: String,
}

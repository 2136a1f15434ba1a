//! What is known of the release in force and of the files on disk, as the admin API says it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::release::gate::Tested;
use crate::release::witness::Pinned;
use hookgate_model::finding::Finding;

/// What `/api/v1/status` says about releases.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = ReleaseStatus)]
pub struct Status {
    /// Hash of the release in force.
    pub running: Option<String>,
    /// Hash of what is on disk; absent while it cannot be read.
    pub on_disk: Option<String>,
    pub state: State,
    /// Why what is on disk was refused.
    pub error: Vec<Finding>,
    pub warnings: Vec<Finding>,
    pub activated_at: Option<String>,
    /// What the files are waited for, while they are: they are being changed, or checked out.
    pub waiting_for: Option<String>,
    /// Whether the release in force came out of the store when the gateway started, because what is on disk was refused.
    pub from_store: bool,
    /// Why what is on disk is not in force although nothing is wrong with it: an operator went back to an earlier release.
    pub pinned: Option<Pinned>,
    /// Files of secrets whose newest content cannot be used, and why; the secret that was read before is still in use.
    pub refused_secrets: Vec<String>,
    /// Sections of the configuration that changed and take effect at the next start.
    pub needs_restart: Vec<&'static str>,
    /// The tests of what was tested last: of the release in force, or of the one that was refused.
    pub tests: Tested,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReleaseState)]
pub enum State {
    /// What is on disk is in force.
    Current,
    /// What is on disk was refused; the one before is in force.
    Refused,
    /// An operator went back to an earlier release; what is on disk stays out until it changes.
    Pinned,
    /// A release is being built.
    #[default]
    Building,
}

//! `[admin]`: the listener for the viewer, the API, metrics and health. Holds settings only.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use hookgate_model::secret::SecretSource;

/// The listener for the viewer, the API, metrics and health. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// IP address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What an operator must present. Without any token, whoever asks a loopback address is an operator.
    pub token: Option<SecretSource>,
    /// What a reader must present, who sees no content of calls and changes nothing.
    pub read_token: Option<SecretSource>,
    /// Connections at the same time, beside those of `[server]`. At this many, one that waits for nothing is closed for each
    /// new one. Sixty-four of them at most show decisions as they are made, so a small number leaves few for anything else.
    #[schemars(range(min = 80, max = 10_000))]
    pub max_connections: u32,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            token: None,
            read_token: None,
            max_connections: 256,
        }
    }
}

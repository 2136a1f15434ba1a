//! `[admin]`: the listener for the viewer, the API, metrics and health. Holds settings only.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretSource;

/// The listener for the viewer, the API, metrics and health. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// IP address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What an operator must present. Without any token, whoever asks a loopback address is an operator.
    pub token: Option<SecretSource>,
    /// What a reader must present, who looks at everything but bodies and changes nothing.
    pub read_token: Option<SecretSource>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), token: None, read_token: None }
    }
}

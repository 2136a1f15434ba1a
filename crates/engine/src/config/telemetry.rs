//! `[telemetry]`: where traces of calls are sent. Holds settings only; nothing here connects.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use hookgate_model::environment;
use hookgate_model::secret::SecretSource;

/// Where traces of calls are sent, by OpenTelemetry's protocol over HTTP. A change needs a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Address of the collector, without `/v1/traces`; else `OTEL_EXPORTER_OTLP_ENDPOINT`. Without either nothing is sent.
    #[schemars(regex(pattern = "^https?://[^/]+"))]
    pub(crate) otlp_endpoint: Option<String>,
    /// Headers of every request to it, such as a key.
    pub headers: BTreeMap<String, SecretSource>,
    /// The name under which the gateway appears; else `OTEL_SERVICE_NAME`, else `hookgate`.
    #[schemars(length(min = 1))]
    pub(crate) service_name: Option<String>,
}

impl Telemetry {
    /// The address of the collector: by the file, else by the environment.
    pub fn endpoint(&self) -> Option<String> {
        self.otlp_endpoint.clone().or_else(|| environment::variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
    }

    /// The name of the service.
    pub fn service(&self) -> String {
        let name = self.service_name.clone().or_else(|| environment::variable("OTEL_SERVICE_NAME"));
        name.unwrap_or_else(|| "hookgate".to_owned())
    }
}

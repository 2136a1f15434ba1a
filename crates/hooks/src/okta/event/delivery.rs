//! What the events of one POST have in common: Okta's envelope, as it is kept beside each of them.

use std::sync::Arc;

use rhai::{Dynamic, Map};
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::lenient::Text;

/// The envelope of a delivery.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Delivery {
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) id: Text,
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) time: Text,
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) source: Text,
    #[serde(default, rename = "type", deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) event_type: Text,
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) type_version: Text,
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) cloud_events_version: Text,
    #[serde(default, deserialize_with = "lenient::text", skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Text,
    /// The same as JSON, for keeping.
    #[serde(skip)]
    pub(super) kept: Arc<str>,
}

impl Delivery {
    /// The same with its JSON made.
    #[must_use]
    pub(super) fn packed(mut self) -> Self {
        self.kept = serde_json::to_string(&self).expect("texts are JSON").into();
        self
    }

    /// As it was kept. Of an event that came without an envelope, nothing was kept.
    pub(super) fn restored(kept: &Arc<str>) -> Self {
        Self { kept: kept.clone(), ..serde_json::from_str(kept).unwrap_or_default() }
    }

    /// Its members by Okta's names, as scripts read them.
    pub(super) fn envelope(&self) -> Dynamic {
        let members = [
            ("eventId", &self.id),
            ("eventTime", &self.time),
            ("eventType", &self.event_type),
            ("eventTypeVersion", &self.type_version),
            ("cloudEventsVersion", &self.cloud_events_version),
            ("contentType", &self.content_type),
            ("source", &self.source),
        ];
        let present = members.into_iter().filter_map(|(name, value)| Some((name.into(), value.clone()?.into())));
        Dynamic::from_map(present.collect::<Map>()).into_read_only()
    }
}

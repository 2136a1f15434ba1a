//! Traces of calls for OpenTelemetry: made of finished records of decisions, off the path of calls, and sent in batches.
//!
//! A span has names of the configuration, ids and words of ours; nothing of what a call carried. A call without a record has no
//! spans, and a trace that its caller does not record is not recorded here either. When the collector is not there, spans
//! are counted and gone.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::telemetry::metrics::Metrics;
use hookgate_model::decision::Record;
use hookgate_model::trace;

mod make;

/// Spans are sent when so many wait, or after so long.
const BATCH: usize = 512;
const BATCH_EVERY: Duration = Duration::from_secs(2);
/// What a collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often trouble with the collector is told.
const TELL_EVERY: Duration = Duration::from_mins(10);

/// Where spans go.
pub struct Settings {
    /// `http://collector:4318`; `/v1/traces` is added.
    pub endpoint: String,
    /// Headers of every request, secrets among them.
    pub headers: HashMap<String, String>,
    /// What the gateway is called there.
    pub service: String,
}

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    #[error("no client for the collector can be made: {0}")]
    Client(reqwest::Error),
    #[error("spans cannot be sent: {0}")]
    Exporter(opentelemetry_otlp::ExporterBuildError),
}

/// Sends spans of records until nobody makes any.
pub struct Spans {
    exporter: SpanExporter,
    records: Receiver<Arc<Record>>,
    metrics: Arc<Metrics>,
    told: Option<Instant>,
}

impl Spans {
    /// Sets up sending, and has outside systems told of traces from now on.
    ///
    /// # Errors
    /// The address or a header is none.
    pub fn new(settings: Settings, records: Receiver<Arc<Record>>, metrics: Arc<Metrics>) -> Result<Self, SpansError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SpansError::Client)?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/traces", settings.endpoint.trim_end_matches('/')))
            .with_headers(settings.headers)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(SpansError::Exporter)?;
        exporter.set_resource(&Resource::builder_empty().with_service_name(settings.service).build());
        trace::begin();
        Ok(Self { exporter, records, metrics, told: None })
    }

    /// Runs until it is stopped, or the recorder is gone; what waits then is sent.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut batch = Vec::new();
        let mut due = Instant::now() + BATCH_EVERY;
        loop {
            let next = tokio::select! {
                next = timeout_at(due, self.records.recv()) => next,
                () = &mut stop => {
                    while let Ok(record) = self.records.try_recv() {
                        batch.extend(make::spans(&record));
                    }
                    return self.send(batch).await;
                }
            };
            match next {
                Ok(Ok(record)) => batch.extend(make::spans(&record)),
                // It was slower than the calls: the oldest are gone, a span each at least.
                Ok(Err(RecvError::Lagged(missed))) => self.metrics.spans.add("dropped", missed),
                Ok(Err(RecvError::Closed)) => return self.send(batch).await,
                Err(_) => {}
            }
            if batch.len() >= BATCH || Instant::now() >= due {
                self.send(std::mem::take(&mut batch)).await;
                due = Instant::now() + BATCH_EVERY;
            }
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        if batch.is_empty() {
            return;
        }
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.metrics.spans.add("sent", count);
                self.told = None;
            }
            Err(error) => {
                self.metrics.spans.add("dropped", count);
                if self.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
                    // The text may hold the collector's answer; what kind of trouble it is suffices.
                    let kind = match error {
                        opentelemetry_sdk::error::OTelSdkError::Timeout(_) => "it did not answer in time",
                        _ => "it cannot be reached, or does not take them",
                    };
                    warn!(error = kind, "spans are not sent: the collector is in trouble; they are counted and gone");
                    self.told = Some(Instant::now());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

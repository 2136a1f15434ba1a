//! Traces of calls on their way to a collector, where the configuration or the environment names one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cli::bundle;
use hookgate_engine::config::Config;
use hookgate_engine::records::Recorder;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::spans::{Settings, Spans};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::environment;

/// How long the last spans may take.
const GRACE: Duration = Duration::from_secs(2);

/// Sends spans until it is ended.
pub(super) struct Traces {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Traces {
    /// Nothing where no collector is named.
    ///
    /// # Errors
    /// A header's secret that is not there, or an address that is none.
    pub(super) fn start(
        place: &Place,
        config: &Config,
        records: &Recorder,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>> {
        let telemetry = &config.telemetry;
        let Some(endpoint) = telemetry.endpoint() else { return Ok(None) };
        let header = |(name, written): (&String, _)| {
            let key = format!("`telemetry.headers.{name}`");
            let found = bundle::source(place, written).read(environment::variable).with_context(|| key.clone())?;
            let value = str::from_utf8(found.secret.expose()).with_context(|| format!("{key} is not text"))?;
            Ok((name.clone(), value.to_owned()))
        };
        let headers = telemetry.headers.iter().map(header).collect::<Result<_>>()?;
        let settings = Settings { endpoint, headers, service: telemetry.service() };
        let spans = Spans::new(settings, records.watch(), metrics.clone()).context("`telemetry.otlp_endpoint`")?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(spans.run(async move { drop(stopped.await) }));
        Ok(Some(Self { stop, task }))
    }

    /// Sends what waits, if that is quick.
    pub(super) async fn end(self) {
        let _ = self.stop.send(());
        // What is not sent by now is gone: nobody waits for a collector.
        let _ = timeout(GRACE, self.task).await;
    }
}

//! Our own atomics, written out family by family for `prometheus-client`.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::telemetry::lines;
use crate::telemetry::metrics::counts::Counts;
use crate::telemetry::metrics::histogram::Histogram;
use crate::telemetry::metrics::{LookupMetrics, Metrics, RouteMetrics};
use crate::telemetry::sums;

pub(super) struct Collected(pub(super) Arc<Metrics>);

impl fmt::Debug for Collected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Collected")
    }
}

type Lookups = Vec<(Arc<str>, Arc<LookupMetrics>)>;
type Routes = Vec<(Arc<str>, Arc<RouteMetrics>)>;

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let metrics = &self.0;
        let routes: Routes = {
            let routes = metrics.routes.lock().unwrap_or_else(PoisonError::into_inner);
            routes.iter().map(|(name, route)| (Arc::clone(name), Arc::clone(route))).collect()
        };
        per_route(&mut encoder, &routes)?;
        let lookups: Lookups = {
            let lookups = metrics.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            lookups.iter().map(|(name, lookup)| (Arc::clone(name), Arc::clone(lookup))).collect()
        };
        per_lookup(&mut encoder, &lookups)?;

        // The library appends `_total` to counters and `_info` to infos.
        let family =
            &mut encoder.encode_descriptor("hookgate_refusals", "Calls that reached no script", None, COUNTER)?;
        write_counts(family, &[], "reason", &metrics.refusals)?;
        let family = &mut encoder.encode_descriptor("hookgate_reloads", "Attempts to load a release", None, COUNTER)?;
        write_counts(family, &[], "result", &metrics.reloads)?;

        let help = "Records of decisions by what became of them";
        let family = &mut encoder.encode_descriptor("hookgate_decisions", help, None, COUNTER)?;
        write_counts(family, &[], "result", &metrics.decisions)?;
        let help = "Spans of calls by what became of them";
        let family = &mut encoder.encode_descriptor("hookgate_spans", help, None, COUNTER)?;
        write_counts(family, &[], "result", &metrics.spans)?;

        let dropped = ConstCounter::new(lines::dropped());
        dropped.encode(encoder.encode_descriptor(
            "hookgate_log_lines_dropped",
            "Log lines that were lost",
            None,
            COUNTER,
        )?)?;
        let summed = ConstCounter::new(sums::left_out());
        summed.encode(encoder.encode_descriptor(
            "hookgate_log_lines_summed",
            "Log lines that were counted instead of written",
            None,
            COUNTER,
        )?)?;

        if let Some(hash) = metrics.release.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            let help = "The release that answers";
            let mut family = encoder.encode_descriptor("hookgate_release", help, None, MetricType::Info)?;
            family.encode_info(&[("hash", hash)])?;
        }
        let failed = metrics.failed_tests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !failed.is_empty() {
            let help = "Tests that failed in the release that was refused";
            let mut family = encoder.encode_descriptor("hookgate_failed_tests", help, None, MetricType::Gauge)?;
            for (script, number) in &failed {
                let labels = [("script", script.as_str())];
                family.encode_family(&labels.as_slice())?.encode_gauge(&(*number as u64))?;
            }
        }
        let ages = metrics.keys_ages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ages: Vec<_> = ages.into_iter().map(|(auth, age)| (auth, age.as_secs_f64())).collect();
        let help = "How old the keys of token issuers are";
        write_gauges(&mut encoder, ("hookgate_keys_age_seconds", help), "auth", &ages)?;
        let used = metrics.quotas.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help = "How much of its share of a rate limit a connector has used";
        write_gauges(&mut encoder, ("hookgate_quota_used", help), "connector", &used)?;
        let help = "How long the oldest job that is due has waited";
        let age = ConstGauge::new(metrics.queue_age_seconds());
        age.encode(encoder.encode_descriptor("hookgate_queue_age_seconds", help, None, MetricType::Gauge)?)?;
        let help = "Files of secrets whose newest content cannot be used";
        let refused = ConstGauge::new(metrics.refused_secrets.load(Ordering::Relaxed));
        refused.encode(encoder.encode_descriptor("hookgate_refused_secrets", help, None, MetricType::Gauge)?)?;
        let help = "1 while a release out of the store answers, because what was on disk at the start was refused";
        let from_store = ConstGauge::new(metrics.from_store.load(Ordering::Relaxed));
        from_store.encode(encoder.encode_descriptor(
            "hookgate_release_from_store",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        if let Some(days) = metrics.certificate_days_left() {
            let help = "Days until the listener's certificate expires";
            let family = encoder.encode_descriptor("hookgate_certificate_days_left", help, None, MetricType::Gauge)?;
            ConstGauge::new(days).encode(family)?;
        }
        Ok(())
    }
}

fn per_lookup(encoder: &mut DescriptorEncoder<'_>, lookups: &Lookups) -> fmt::Result {
    let help = "Lookups by what became of them";
    let family = &mut encoder.encode_descriptor("hookgate_lookups", help, None, COUNTER)?;
    for (name, lookup) in lookups {
        write_counts(family, &[("connector", name)], "result", &lookup.results)?;
    }
    let help = "Time that lookups took";
    let family = &mut encoder.encode_descriptor("hookgate_lookup_seconds", help, None, MetricType::Histogram)?;
    for (name, lookup) in lookups {
        write_histogram(family, &[("connector", name)], &lookup.seconds)?;
    }
    Ok(())
}

/// A gauge for each value of a label; nothing at all where there are none.
fn write_gauges(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &str,
    values: &[(String, f64)],
) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (of, value) in values {
        let labels = [(label, of.as_str())];
        family.encode_family(&labels.as_slice())?.encode_gauge(value)?;
    }
    Ok(())
}

const COUNTER: MetricType = MetricType::Counter;

fn per_route(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    let family = &mut encoder.encode_descriptor("hookgate_calls", "Calls by what became of them", None, COUNTER)?;
    for (name, route) in routes {
        write_counts(family, &[("route", name)], "outcome", &route.calls)?;
    }
    let family = &mut encoder.encode_descriptor("hookgate_fallback", "Answers by on_failure", None, COUNTER)?;
    for (name, route) in routes {
        write_counts(family, &[("route", name)], "reason", &route.fallback)?;
    }
    let help = "Time from the first byte of a call to its answer";
    let family = &mut encoder.encode_descriptor("hookgate_call_seconds", help, None, MetricType::Histogram)?;
    for (name, route) in routes {
        write_histogram(family, &[("route", name)], &route.call_seconds)?;
    }
    let help = "Time that scripts ran";
    let family = &mut encoder.encode_descriptor("hookgate_script_seconds", help, None, MetricType::Histogram)?;
    for (name, route) in routes {
        write_histogram(family, &[("route", name)], &route.script_seconds)?;
    }
    Ok(())
}

fn write_counts(
    family: &mut MetricEncoder<'_>,
    fixed: &[(&str, &Arc<str>)],
    label: &str,
    counts: &Counts,
) -> fmt::Result {
    for (value, count) in counts.read() {
        let mut labels: Vec<(&str, &str)> = fixed.iter().map(|(key, value)| (*key, &***value)).collect();
        labels.push((label, value));
        let labels = labels.as_slice();
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
    }
    Ok(())
}

fn write_histogram(family: &mut MetricEncoder<'_>, labels: &[(&str, &Arc<str>)], histogram: &Histogram) -> fmt::Result {
    let reading = histogram.read();
    let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (*key, &***value)).collect();
    let labels = labels.as_slice();
    family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
        reading.seconds,
        reading.count,
        &reading.buckets,
        None,
    )
}

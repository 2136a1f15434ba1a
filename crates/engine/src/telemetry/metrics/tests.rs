use super::*;

/// The samples of a page: `name{labels}` and value. Fails on what a scraper would reject.
fn parsed(page: &str) -> BTreeMap<String, f64> {
    let lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines.last(), Some(&"# EOF"), "OpenMetrics ends with an end mark");
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in &lines[..lines.len() - 1] {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "`{name}` is described twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let described = types.keys().any(|family| {
                name.strip_prefix(family.as_str())
                    .is_some_and(|suffix| ["", "_total", "_info", "_sum", "_count", "_bucket"].contains(&suffix))
            });
            assert!(described, "`{name}` has no type");
            assert_eq!(samples.insert(series.to_owned(), value.parse().unwrap()), None, "`{series}` occurs twice");
        }
    }
    samples
}

#[test]
fn every_metric_has_the_name_of_the_reference() {
    let metrics = Metrics::new();
    let route = metrics.route("sign\"up\\\n");
    route.calls.inc("answered");
    route.fallback.inc("timeout");
    route.call_seconds.observe(Duration::from_millis(2));
    route.script_seconds.observe(Duration::from_micros(3));
    metrics.refusals.inc("no_route");
    metrics.reloads.inc("refused");
    metrics.auth("okta", "accepted", "env:OKTA_SECRET").inc_by(2);
    metrics.set_release("abc123");
    metrics.set_certificate_expiry(0);
    metrics.connections.inc();

    let samples = parsed(&metrics.encode());
    let route = "route=\"sign\\\"up\\\\\\n\"";
    for (series, value) in [
        (format!("hookgate_calls_total{{{route},outcome=\"answered\"}}"), 1.0),
        (format!("hookgate_fallback_total{{{route},reason=\"timeout\"}}"), 1.0),
        (format!("hookgate_call_seconds_sum{{{route}}}"), 0.002),
        (format!("hookgate_call_seconds_count{{{route}}}"), 1.0),
        (format!("hookgate_call_seconds_bucket{{le=\"0.001\",{route}}}"), 0.0),
        (format!("hookgate_call_seconds_bucket{{le=\"3.0\",{route}}}"), 1.0),
        (format!("hookgate_call_seconds_bucket{{le=\"+Inf\",{route}}}"), 1.0),
        (format!("hookgate_script_seconds_bucket{{le=\"0.000025\",{route}}}"), 1.0),
        ("hookgate_refusals_total{reason=\"no_route\"}".to_owned(), 1.0),
        ("hookgate_reloads_total{result=\"refused\"}".to_owned(), 1.0),
        ("hookgate_auth_total{auth=\"okta\",result=\"accepted\",secret=\"env:OKTA_SECRET\"}".to_owned(), 2.0),
        ("hookgate_release_info{hash=\"abc123\"}".to_owned(), 1.0),
        ("hookgate_connections".to_owned(), 1.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series} in {samples:#?}");
    }
    assert!(samples["hookgate_certificate_days_left"] < -20_000.0, "it expired in 1970");
    assert!(samples.contains_key("hookgate_log_lines_dropped_total"));
}

#[test]
fn an_unused_gateway_has_a_valid_page() {
    let samples = parsed(&Metrics::new().encode());
    assert!(!samples.contains_key("hookgate_certificate_days_left"), "no certificate, no days");
}

#[test]
fn a_route_keeps_its_numbers_across_releases() {
    let metrics = Metrics::new();
    metrics.route("signup").calls.inc("answered");
    assert_eq!(metrics.route("signup").calls.read(), [("answered", 1)]);
}

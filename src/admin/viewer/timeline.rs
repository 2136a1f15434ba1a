//! Where the time of a call went, drawn to one scale.

use maud::{Markup, html};

use crate::admin::viewer::parts;
use hookgate_model::decision::{LookupLine, Times};

/// Width of the drawing in its own units.
const WIDTH: f64 = 1_000.0;

/// What is shorter than this would not be seen.
const LEAST: f64 = 3.0;

struct Bar<'a> {
    name: String,
    class: &'a str,
    from_us: u64,
    took_us: u64,
}

/// One bar per part. Lookups stand one after the other, though the script runs again after each.
pub(super) fn drawing(times: &Times, lookups: &[LookupLine]) -> Markup {
    let bars = bars(times, lookups);
    let end = bars.iter().map(|bar| bar.from_us + bar.took_us).max().unwrap_or_default().max(times.total_us).max(1);
    let scale = |us: u64| us as f64 / end as f64 * WIDTH;
    html! {
        table.times {
            caption { "Together " (parts::span(end)) }
            tbody { @for bar in &bars {
                @let width = scale(bar.took_us).max(LEAST);
                tr {
                    th scope="row" { (parts::text(&bar.name)) }
                    td.bar { svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                        rect class=(bar.class) x=(format!("{:.1}", scale(bar.from_us).min(WIDTH - width))) y="0"
                            width=(format!("{width:.1}")) height="10" {}
                    } }
                    td.num { (parts::span(bar.took_us)) }
                }
            } }
        }
    }
}

fn bars<'a>(times: &Times, lookups: &[LookupLine]) -> Vec<Bar<'a>> {
    let mut bars = Vec::new();
    let mut at = 0;
    let mut add = |name: String, class: &'a str, took_us: u64| {
        bars.push(Bar { name, class, from_us: at, took_us });
        at += took_us;
    };
    if times.decode_us > 0 {
        add("Reading the call".to_owned(), "decode", times.decode_us);
    }
    add("Script".to_owned(), "script", times.script_us);
    for lookup in lookups {
        add(format!("Lookup {} ({})", lookup.connector, lookup.outcome), "lookup", lookup.took_us);
    }
    let asked: u64 = lookups.iter().map(|lookup| lookup.took_us).sum();
    let known = times.decode_us + times.script_us + asked.max(times.lookups_us);
    if times.total_us > known {
        add("Reply and all else".to_owned(), "encode", times.total_us - known);
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_and_fill_the_whole() {
        let times = Times { decode_us: 100, script_us: 200, lookups_us: 600, total_us: 1_000 };
        let lookup =
            LookupLine { connector: "hr".to_owned(), outcome: "ok".to_owned(), took_us: 600, ..LookupLine::default() };
        let bars = bars(&times, &[lookup]);
        let spans: Vec<(u64, u64)> = bars.iter().map(|bar| (bar.from_us, bar.took_us)).collect();
        assert_eq!(spans, [(0, 100), (100, 200), (300, 600), (900, 100)]);
        let page = drawing(&times, &[]).into_string();
        assert!(page.contains(r#"x="100.0""#) && page.contains(r#"width="200.0""#), "{page}");
    }
}

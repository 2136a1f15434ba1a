//! Health at a glance: a number and a line for each thing that goes wrong first.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::admin::access::Identity;
use crate::admin::desk::Desk;
use crate::admin::health::Sample;
use crate::admin::viewer;
use crate::admin::viewer::layout;
use crate::admin::viewer::layout::Here;
use crate::admin::viewer::parts;
use hookgate_store::Health;

/// One number, now and over the last hour.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) now: String,
    /// What the number means, or what to look at when it is high.
    pub(super) about: &'static str,
    /// Oldest first; nothing where it was not known.
    pub(super) series: Vec<Option<f64>>,
    pub(super) bad: bool,
}

/// A connector, or anything else in which jobs wait.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) waiting: u64,
}

pub(super) struct View {
    pub(super) uptime_ms: u64,
    pub(super) version: &'static str,
    /// Why calls cannot be answered, or events not be kept.
    pub(super) trouble: Option<String>,
    pub(super) tiles: Vec<Tile>,
    pub(super) lanes: Vec<Lane>,
    pub(super) store_bytes: u64,
}

/// Seconds after which the page looks again.
const REFRESH: &str = "2";

pub(super) async fn get(State(desk): State<Arc<Desk>>, Extension(who): Extension<Identity>) -> Response {
    let health = desk.queue();
    let view = View {
        uptime_ms: u64::try_from(desk.uptime().as_millis()).unwrap_or(u64::MAX),
        version: env!("CARGO_PKG_VERSION"),
        trouble: desk.ready().err(),
        tiles: tiles(&desk.last_hour(), &health),
        lanes: health.lanes.iter().map(|(name, waiting)| Lane { name: name.clone(), waiting: *waiting }).collect(),
        store_bytes: health.bytes,
    };
    layout::page(&viewer::seen(&desk, &who), Here::Health, "Health", &body(&view))
}

/// The newest sample is of the last ten seconds; what stands still is as it is now.
fn tiles(samples: &[Sample], health: &Health) -> Vec<Tile> {
    let of = |name, now: String, about, bad, value: &dyn Fn(&Sample) -> Option<f64>| Tile {
        name,
        now,
        about,
        series: samples.iter().map(value).collect(),
        bad,
    };
    let sum = |value: &dyn Fn(&Sample) -> u64| samples.iter().map(value).sum::<u64>();
    let (fallbacks, refusals) = (sum(&|sample| sample.fallbacks), sum(&|sample| sample.refusals));
    let activated = sum(&|sample| sample.activated);
    let newest = samples.last();
    let rate = newest.map_or(0.0, |sample| sample.calls as f64 / 10.0);
    let p99 = samples.iter().rev().find_map(|sample| sample.p99_ms);
    vec![
        of("Calls a second", format!("{rate:.1}"), "Answered, of all routes.", false, &|sample| {
            Some(sample.calls as f64 / 10.0)
        }),
        of(
            "Slowest of a hundred (p99)",
            p99.map_or_else(|| "—".to_owned(), |ms| parts::span((ms * 1e3) as u64)),
            "The provider waits three seconds.",
            p99.is_some_and(|ms| ms > 2_000.0),
            &|sample| sample.p99_ms,
        ),
        of("Fallbacks", parts::number(fallbacks), "Answered by on_failure, in this hour.", fallbacks > 0, &|sample| {
            Some(sample.fallbacks as f64)
        }),
        of("Refused calls", parts::number(refusals), "Reached no script, in this hour.", false, &|sample| {
            Some(sample.refusals as f64)
        }),
        of(
            "Queue age",
            parts::age(health.queue_age_ms),
            "How long the oldest job that is due has waited.",
            health.queue_age_ms > 60_000,
            &|sample| Some(sample.queue_age_ms as f64),
        ),
        of("Waiting jobs", parts::number(health.waiting), "Not done yet, or to be tried again.", false, &|sample| {
            Some(sample.waiting as f64)
        }),
        of("Dead letters", parts::number(health.dead), "Given up; somebody must look.", health.dead > 0, &|sample| {
            Some(sample.dead_letters as f64)
        }),
        of("Reloads", parts::number(activated), "Releases that went live, in this hour.", false, &|sample| {
            Some(sample.activated as f64)
        }),
    ]
}

pub(super) fn body(view: &View) -> Markup {
    html! {
        div id="health" data-refresh=(REFRESH) {
            div.top { h1 { "Health" } p.dim { "Version " (view.version) ", up for " (parts::age(view.uptime_ms)) ". Lines are the last hour." } }
            @match &view.trouble {
                Some(trouble) => p.badge.bad role="alert" { (parts::text(trouble)) },
                None => p { span.badge.good data-now="" { "ready" } " Calls are answered and events can be kept." },
            }
            br;
            div.tiles { @for tile in &view.tiles { (tile_shown(tile)) } }
            section {
                h2 { "What waits" }
                @if view.lanes.is_empty() { p.dim { "No job waits." } }
                @else {
                    table {
                        thead { tr { th scope="col" { "Rule or connector" } th.num scope="col" { "Jobs" } } }
                        tbody { @for lane in &view.lanes { tr { td { (parts::text(&lane.name)) } td.num { (parts::number(lane.waiting)) } } } }
                    }
                }
                p.dim { "The store takes " (bytes(view.store_bytes)) "." }
            }
        }
    }
}

fn tile_shown(tile: &Tile) -> Markup {
    html! {
        section.tile {
            h2 { (tile.name) }
            p.big { @if tile.bad { span.badge.bad { (tile.now) } } @else { (tile.now) } }
            (spark(tile))
            p.dim { (tile.about) }
        }
    }
}

/// A line of all values, from nothing to the highest.
fn spark(tile: &Tile) -> Markup {
    let highest = tile.series.iter().flatten().copied().fold(0.0_f64, f64::max);
    let known = tile.series.iter().flatten().count();
    if known < 2 {
        return html! { p.spark.dim { "No line yet." } };
    }
    let scale = if highest > 0.0 { 28.0 / highest } else { 0.0 };
    let step = 100.0 / (tile.series.len() - 1) as f64;
    let mut line = String::new();
    let mut drawing = false;
    for (index, value) in tile.series.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let _ =
            write!(line, "{}{:.1} {:.1}", if drawing { "L" } else { "M" }, index as f64 * step, 30.0 - value * scale);
        drawing = true;
    }
    let lowest = tile.series.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    html! {
        svg.spark viewBox="0 0 100 32" preserveAspectRatio="none" role="img"
            aria-label={ (tile.name) ": between " (plain(lowest)) " and " (plain(highest)) " in the last hour" } {
            path d=(line) {}
        }
    }
}

fn plain(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// `640 KiB`, `12.5 MiB`
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", count >> 10),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(series: Vec<Option<f64>>) -> Tile {
        Tile { name: "Calls", now: "1".to_owned(), about: "", series, bad: false }
    }

    #[test]
    fn a_line_goes_from_edge_to_edge_and_breaks_where_nothing_is_known() {
        let page = spark(&tile(vec![Some(0.0), Some(2.0), None, Some(4.0), Some(4.0)])).into_string();
        assert!(page.contains(r#"d="M0.0 30.0L25.0 16.0M75.0 2.0L100.0 2.0""#), "{page}");
        assert!(page.contains("between 0 and 4"), "{page}");
        assert!(spark(&tile(vec![Some(1.0)])).into_string().contains("No line yet"));
        assert!(!spark(&tile(vec![Some(0.0); 3])).into_string().contains("NaN"));
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!([bytes(12), bytes(4_096), bytes(13_107_200)], ["12 bytes", "4 KiB", "12.5 MiB"]);
    }
}

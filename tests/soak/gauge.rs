//! What the process holds, and whether that stays level.

use std::fs;
use std::path::Path;

use crate::Fallible;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub resident_kib: u64,
    pub files: u64,
    pub threads: u64,
    pub store_kib: u64,
}

/// A number of a measurement.
type Field = fn(&Reading) -> u64;

pub struct Gauge;

impl Gauge {
    /// Measures a process and its store.
    pub fn read(process: u32, store: &Path) -> Reading {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |entries| entries.count() as u64);
        let bytes = |end: &str| fs::metadata(format!("{}{end}", store.display())).map_or(0, |found| found.len());
        let store_kib = (bytes("") + bytes("-wal")) >> 10;
        Reading { resident_kib: field("VmRSS:"), files, threads: field("Threads:"), store_kib }
    }
}

/// Whether the second half of the readings is as the first one left it. The log of changes grows with
/// the reloads, by a row each, and events are kept.
///
/// # Errors
/// What grows.
pub fn level(readings: &[Reading], reloads: u64, events: u64) -> Fallible {
    let middle = readings.len() / 2;
    let most = |readings: &[Reading], of: Field| readings.iter().map(of).max().unwrap_or(0);
    let (first, second) = readings.split_at(middle.max(1));
    let row_kib = 4;
    // With its jobs, its tries and the records of its runs.
    let event_kib = 6;
    // What may come on top of the most of the first half.
    let rows: [(&str, Field, u64); 4] = [
        ("memory (KiB)", |reading| reading.resident_kib, most(first, |reading| reading.resident_kib) / 10 + (16 << 10)),
        ("open files", |reading| reading.files, 24),
        ("threads", |reading| reading.threads, 8),
        ("store (KiB)", |reading| reading.store_kib, reloads * row_kib + events * event_kib + (8 << 10)),
    ];
    for (name, of, room) in rows {
        let (before, after) = (most(first, of), most(second, of));
        if after > before + room {
            return Err(format!("{name} grew from {before} to {after}"));
        }
    }
    Ok(())
}

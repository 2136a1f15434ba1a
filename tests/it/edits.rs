//! The bundle of the repository is the user's: natural edits of `gateway.toml`, and the removal of each route, rule, table, connector,
//! row and script, leave a bundle that checks, whose tests pass, and which goes live. All in one process: `check`, `test` and
//! a reload are made of the same functions.

mod natural;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use hookgate::finding::{Finding, Severity};
use hookgate::release::Release;
use hookgate::release::build::{self, Reading, Secrets};
use hookgate::release::bundle::{Content, Place};
use hookgate::release::gate::{Gate, Pace};
use hookgate::release::suite;
use hookgate::script::compile::is_test;
use hookgate::telemetry::metrics::Metrics;
use toml::{Table, Value};

/// The bundle as it is shipped, live, with some connectors more.
struct Shipped {
    place: Place,
    content: Content,
    config: Table,
    release: Release,
    gate: Gate,
}

impl Shipped {
    fn new() -> Self {
        let place = Place::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml"));
        let reading = build::read(&place).unwrap_or_else(|findings| panic!("{findings:#?}"));
        let mut content = reading.content();
        let mut config: Table = content.config.parse().expect("the configuration is TOML");
        // Here and not with the edits that name them: the settings of connectors are something that tests can notice.
        lay(natural::CONNECTORS.parse().expect("it is TOML"), &mut config);
        content.config = toml::to_string(&config).expect("what was read can be written").into();
        let reading = build::again(&place, content.clone()).unwrap_or_else(|findings| panic!("{findings:#?}"));
        let release = build::assemble(&place, reading, None, Secrets::Skip, &Metrics::new());
        let release = release.unwrap_or_else(|findings| panic!("{findings:#?}"));
        Self { place, content, config, release, gate: Gate::default() }
    }

    /// The same after its tests, which the gate does not run again for what an edit does not change. One for all tests of this file.
    fn tested() -> &'static Self {
        static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
            let shipped = Shipped::new();
            let examined = shipped.gate.examine(&shipped.release, Pace::Start);
            assert!(examined.errors.is_empty(), "{:#?}", examined.errors);
            shipped.gate.keep(&examined);
            shipped
        });
        &SHIPPED
    }

    fn with_config(&self, config: &Table) -> Content {
        let config = toml::to_string(config).expect("what was read can be written");
        Content { config: config.into(), ..self.content.clone() }
    }

    /// Whether the content would go live in place of the shipped one; else what keeps it from that.
    fn judge(&self, content: Content) -> Result<(), Vec<String>> {
        let release = self.check(content)?;
        let errors = self.gate.examine(&release, Pace::Start).errors;
        if errors.is_empty() { Ok(()) } else { Err(told(errors)) }
    }

    /// The same without running the tests.
    fn check(&self, content: Content) -> Result<Release, Vec<String>> {
        let reading = build::again(&self.place, content).map_err(told)?;
        let reading = Reading { was_live: false, ..reading };
        let release = build::assemble(&self.place, reading, Some(&self.release), Secrets::Skip, &Metrics::new());
        let release = release.map_err(told)?;
        let mut errors = suite::findings(&release);
        errors.retain(|finding| finding.severity == Severity::Error);
        if errors.is_empty() { Ok(release) } else { Err(told(errors)) }
    }
}

fn told(findings: Vec<Finding>) -> Vec<String> {
    findings.iter().map(Finding::one_line).collect()
}

/// What a key path leads to, made where it is not there.
fn section<'a>(config: &'a mut Table, path: &str) -> &'a mut Table {
    path.split('.').fold(config, |table, part| {
        let value = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
        value.as_table_mut().unwrap_or_else(|| panic!("`{path}` is no table"))
    })
}

/// Lays a table over another one: tables member by member, everything else replaces.
fn lay(over: Table, base: &mut Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => lay(over, base),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

fn remove(config: &mut Table, path: &str) {
    let removed = match path.rsplit_once('.') {
        Some((parent, name)) => section(config, parent).remove(name),
        None => config.remove(path),
    };
    assert!(removed.is_some(), "there is no `{path}`");
}

/// The paths of all members of a table.
fn members(config: &Table, path: &str) -> Vec<String> {
    let table = path.split('.').try_fold(config, |table, part| table.get(part)?.as_table());
    table.into_iter().flat_map(Table::keys).map(|name| format!("{path}.{name}")).collect()
}

/// Routes and rules, each with its script.
fn bound(config: &Table) -> Vec<(String, Option<String>)> {
    let routes = members(config, "routes");
    let rules = routes.iter().flat_map(|route| members(config, &format!("{route}.rules")));
    let paths: Vec<String> = routes.iter().cloned().chain(rules).collect();
    let script = |path: &String| {
        let table = path.split('.').try_fold(config, |table, part| table.get(part)?.as_table());
        table.and_then(|table| Some(table.get("script")?.as_str()?.to_owned()))
    };
    paths.iter().map(|path| (path.clone(), script(path))).collect()
}

#[test]
fn eight_natural_edits_for_each_script_hold() {
    let shipped = Shipped::tested();
    let mut edited: Vec<&str> = natural::EDITS.iter().map(|(path, _)| *path).collect();
    edited.sort_unstable();
    let mut wanted = bound(&shipped.config);
    wanted.retain(|(_, script)| script.is_some());
    wanted.sort_unstable();
    assert_eq!(edited, wanted.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>());
    // The edits of different scripts do not touch one another: one round has one of each.
    for round in 0..8 {
        let mut config = shipped.config.clone();
        for (path, edits) in natural::EDITS {
            let edit: Table = edits[round].parse().unwrap_or_else(|error| panic!("{path}: {}: {error}", edits[round]));
            let before = section(&mut config, path).clone();
            lay(edit, section(&mut config, path));
            assert_ne!(&before, section(&mut config, path), "{path}: {} changes nothing", edits[round]);
        }
        if let Err(errors) = shipped.judge(shipped.with_config(&config)) {
            let edits: Vec<_> =
                natural::EDITS.iter().map(|(path, edits)| format!("{path}: {}", edits[round])).collect();
            panic!("{errors:#?}\nafter\n{}", edits.join("\n"));
        }
    }
}

#[test]
fn each_part_of_the_configuration_can_be_removed() {
    let shipped = Shipped::tested();
    let bound = bound(&shipped.config);
    let mut paths: Vec<String> = bound.iter().map(|(path, _)| path.clone()).collect();
    let params = |path: &String| members(&shipped.config, path).into_iter().filter(|path| path.ends_with(".params"));
    paths.extend(bound.iter().flat_map(|(path, _)| params(path)));
    paths.extend(members(&shipped.config, "tables"));
    paths.push("connectors".to_owned());
    paths.extend(members(&shipped.config, "connectors"));
    // What has a default.
    paths.extend(["server", "admin", "store", "scripts", "limits"].map(str::to_owned));
    assert!(paths.len() > 25, "{paths:#?}");
    let mut wrong = Vec::new();
    for path in paths {
        let mut config = shipped.config.clone();
        remove(&mut config, &path);
        wrong.extend(shipped.judge(shipped.with_config(&config)).err().map(|errors| (path, errors)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_script_can_be_removed_with_what_runs_it() {
    let shipped = Shipped::tested();
    let mut wrong = Vec::new();
    let names = shipped.content.texts.scripts.keys().filter(|name| !is_test(name) && !name.contains('/'));
    for name in names {
        let mut config = shipped.config.clone();
        for (path, _) in bound(&shipped.config).iter().filter(|(_, script)| script.as_ref() == Some(name)) {
            remove(&mut config, path);
        }
        let mut content = shipped.with_config(&config);
        content.texts.scripts.remove(name);
        wrong.extend(shipped.judge(content.clone()).err().map(|errors| (format!("{name} alone"), errors)));
        let stem = name.trim_end_matches(".rhai");
        content.texts.scripts.remove(&format!("{stem}_test.rhai"));
        content.texts.fixtures.retain(|path, _| !path.starts_with(&format!("cases/{stem}/")));
        wrong.extend(shipped.judge(content).err().map(|errors| (format!("{name} with its tests"), errors)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_row_of_each_table_can_be_removed() {
    let shipped = Shipped::tested();
    let mut wrong = Vec::new();
    let mut removed = 0_usize;
    for (table, bytes) in &shipped.content.texts.tables {
        let text = std::str::from_utf8(bytes).expect("the shipped tables are text");
        let rows = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
        let names_columns = shipped.config["tables"][table]["kind"].as_str() == Some("csv");
        for (place, row) in rows.skip(usize::from(names_columns)) {
            let without =
                text.lines().enumerate().filter(|(other, _)| *other != place).map(|(_, line)| format!("{line}\n"));
            let mut content = shipped.content.clone();
            content.texts.tables.insert(table.clone(), Arc::from(without.collect::<String>().into_bytes()));
            removed += 1;
            // Of the long list, not every row is worth a run of the tests.
            let judged = match names_columns || removed % 16 == 1 {
                true => shipped.judge(content),
                false => shipped.check(content).map(drop),
            };
            wrong.extend(judged.err().map(|errors| (format!("{table}: {row}"), errors)));
        }
    }
    assert!(removed > 40, "{removed} rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

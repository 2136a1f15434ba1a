//! The bundle of the repository is the user's: natural edits of `gateway.toml`, and the removal of each route, rule, table, connector,
//! row and script, leave a bundle that checks, whose tests pass, and which goes live. All in one process: `check`, `test` and
//! a reload are made of the same functions.

mod natural;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use hookgate_engine::release::Release;
use hookgate_engine::release::build::{self, Reading, Secrets, survey};
use hookgate_engine::release::bundle::{Content, Place};
use hookgate_engine::release::gate::{Gate, Pace};
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::{Finding, Severity};
use hookgate_script::compile::is_test;
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

    /// The errors for which the content would not go live.
    fn refused(&self, content: Content) -> Vec<Finding> {
        let reading = build::again(&self.place, content).unwrap_or_else(|findings| panic!("{findings:#?}"));
        let reading = Reading { was_live: false, ..reading };
        let built = build::assemble(&self.place, reading, Some(&self.release), Secrets::Skip, &Metrics::new());
        let findings = built.err().unwrap_or_default();
        findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
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

/// What a parameter names that is not there any more.
fn is_of_a_name(errors: &[String], name: &str) -> bool {
    let told = |error: &String| error.contains(".params") && error.contains(&format!("there is no {name}"));
    !errors.is_empty() && errors.iter().all(told)
}

#[test]
fn mistakes_in_parameters_are_refused_with_a_remedy() {
    let shipped = Shipped::new();
    let mut told = Vec::new();
    let mut wanted = Vec::new();
    for (path, mistakes) in natural::MISTAKES {
        for (edit, problem) in mistakes {
            let mut config = shipped.config.clone();
            lay(edit.parse().unwrap_or_else(|error| panic!("{edit}: {error}")), section(&mut config, path));
            let findings = shipped.refused(shipped.with_config(&config));
            assert!(findings.iter().all(|finding| finding.line > 0 && finding.excerpt.is_some()), "{findings:#?}");
            told.extend(findings.iter().map(|finding| {
                let place = format!("{}:{}:{}: ", finding.file, finding.line, finding.column);
                format!("{path}: {edit}\n{}", finding.one_line().trim_start_matches(&place))
            }));
            wanted.push(format!("{path}: {edit}\n`{path}.params.{problem}"));
        }
    }
    let sections = bound(&shipped.config).into_iter().filter(|(_, script)| script.is_some()).count();
    // The smallest rule takes no parameters.
    assert_eq!(natural::MISTAKES.len(), sections - 1);
    same_texts(&told, &wanted);
}

fn same_texts(found: &[String], wanted: &[String]) {
    let wrong: Vec<_> = found.iter().zip(wanted).filter(|(found, wanted)| found != wanted).collect();
    assert!(wrong.is_empty() && found.len() == wanted.len(), "{wrong:#?}");
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
        let judged = shipped.judge(shipped.with_config(&config)).err().unwrap_or_default();
        // What a parameter names has to be there, and a forwarder needs to know where to.
        let is_meant = match path.as_str() {
            "connectors" | "connectors.alerts" | "connectors.archive" => is_of_a_name(&judged, "connector"),
            "tables.legacy_users" | "tables.siem_types" => is_of_a_name(&judged, "table"),
            "routes.events.rules.siem-forward.params" => judged.len() == 1 && judged[0].contains("`sinks` is missing"),
            _ => judged.is_empty(),
        };
        if !is_meant {
            wrong.push((path, judged));
        }
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

/// What a schema cannot know: which connectors and tables there are, and that an entry of a list is empty.
const BEYOND_SCHEMA: [&str; 4] = ["there is no connector", "there is no table", "does not go with", "not \"\""];

#[test]
fn the_schema_for_editors_knows_the_parameters_of_each_script() {
    let shipped = Shipped::new();
    let schema = survey::survey(&shipped.place, None).schema();
    let validator = jsonschema::draft7::new(&schema).expect("it is a schema");
    let is_valid = |config: &Table| validator.is_valid(&serde_json::to_value(config).expect("TOML becomes JSON"));
    assert!(is_valid(&shipped.config));
    for (path, edits) in natural::EDITS {
        for edit in edits {
            let mut config = shipped.config.clone();
            lay(edit.parse().expect("it is TOML"), section(&mut config, path));
            assert!(is_valid(&config), "{path}: {edit}");
        }
    }
    let mut refused = 0;
    for (path, mistakes) in natural::MISTAKES {
        for (edit, told) in mistakes.iter().filter(|(_, told)| !BEYOND_SCHEMA.iter().any(|part| told.contains(part))) {
            let mut config = shipped.config.clone();
            lay(edit.parse().expect("it is TOML"), section(&mut config, path));
            assert!(!is_valid(&config), "{path}: {edit}: {told}");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
}

//! `test --junit FILE`: JUnit XML within the schema that the xUnit plugin of Jenkins checks (`junit-10.xsd`), which GitHub,
//! GitLab and the others read, too. A script is a suite; what is to do or skipped is a skipped test.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use anyhow::{Context, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::cli::test::terminal;
use hookgate_engine::harness::run::Report;
use hookgate_engine::harness::trial::{Trial, Verdict};
use hookgate_model::finding::Finding;

type Xml = Writer<Vec<u8>>;

/// The report of a run.
///
/// # Errors
/// None but those of memory.
pub(super) fn report(report: &Report) -> Result<String> {
    let mut suites = BTreeMap::<&str, Vec<&Trial>>::new();
    for trial in &report.trials {
        // A file of tests whose script is not there is a suite of its own.
        let name = if trial.script.is_empty() { &trial.file } else { &trial.script };
        suites.entry(name).or_default().push(trial);
    }
    let failed = report.failed().count();
    document(report.trials.len(), failed, 0, report.took, |xml| {
        suites.iter().try_for_each(|(name, trials)| suite(xml, name, trials))
    })
}

/// The report of a bundle that could not be tested: an error for each finding.
///
/// # Errors
/// None but those of memory.
pub(super) fn refused(findings: &[Finding]) -> Result<String> {
    let count = findings.len().to_string();
    document(findings.len(), 0, findings.len(), Duration::ZERO, |xml| {
        let element = xml.create_element("testsuite").with_attributes([
            ("name", "bundle"),
            ("tests", &count),
            ("failures", "0"),
            ("errors", &count),
        ]);
        element.write_inner_content(|xml| findings.iter().try_for_each(|finding| error(xml, finding)))?;
        Ok(())
    })
}

fn document(
    tests: usize,
    failures: usize,
    errors: usize,
    took: Duration,
    content: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    let write = |xml: &mut Xml| -> io::Result<()> {
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let element = xml.create_element("testsuites").with_attributes([
            ("name", "hookgate"),
            ("tests", &*tests.to_string()),
            ("failures", &*failures.to_string()),
            ("errors", &*errors.to_string()),
            ("time", &*seconds(took)),
        ]);
        element.write_inner_content(content)?;
        Ok(())
    };
    write(&mut xml).context("the JUnit report cannot be made")?;
    let text = String::from_utf8(xml.into_inner()).context("the JUnit report is no text")?;
    Ok(text + "\n")
}

fn suite(xml: &mut Xml, name: &str, trials: &[&Trial]) -> io::Result<()> {
    let failed = trials.iter().filter(|trial| trial.failed()).count();
    let skipped = trials.iter().filter(|trial| matches!(trial.verdict, Verdict::Skipped(_) | Verdict::Todo(_))).count();
    let took = trials.iter().map(|trial| trial.took).sum();
    let element = xml.create_element("testsuite").with_attributes([
        ("name", &*legal(name)),
        ("file", &*legal(trials.first().map_or("", |trial| &trial.file))),
        ("tests", &*trials.len().to_string()),
        ("failures", &*failed.to_string()),
        ("errors", "0"),
        ("skipped", &*skipped.to_string()),
        ("time", &*seconds(took)),
    ]);
    element.write_inner_content(|xml| trials.iter().try_for_each(|trial| case(xml, trial)))?;
    Ok(())
}

fn case(xml: &mut Xml, trial: &Trial) -> io::Result<()> {
    let class = trial.id.split_once("::").map_or(&*trial.id, |(script, _)| script);
    let element = xml.create_element("testcase").with_attributes([
        ("classname", &*legal(class)),
        ("name", &*legal(&trial.name)),
        ("time", &*seconds(trial.took)),
    ]);
    let logs = trial.logs.iter().map(|log| log.text.as_str()).collect::<Vec<_>>().join("\n");
    if trial.verdict == Verdict::Passed && logs.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        match &trial.verdict {
            Verdict::Passed => {}
            Verdict::Failed => failure(xml, trial)?,
            Verdict::Skipped(why) => skipped(xml, why)?,
            Verdict::Todo(why) => skipped(xml, &format!("to do: {why}"))?,
        }
        if !logs.is_empty() {
            xml.create_element("system-out").write_text_content(BytesText::new(&legal(&logs)))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn failure(xml: &mut Xml, trial: &Trial) -> io::Result<()> {
    let first = trial.complaints.first();
    let message = first.map(|complaint| complaint.finding.one_line()).unwrap_or_default();
    let code = first.map_or("test/assertion", |complaint| complaint.finding.code);
    let text = legal(&anstream::adapter::strip_str(&terminal::failure(trial)).to_string());
    let element = xml.create_element("failure").with_attributes([("type", code), ("message", &*legal(&message))]);
    element.write_text_content(BytesText::new(&text))?;
    Ok(())
}

fn skipped(xml: &mut Xml, why: &str) -> io::Result<()> {
    xml.create_element("skipped").with_attribute(("message", &*legal(why))).write_empty()?;
    Ok(())
}

fn error(xml: &mut Xml, finding: &Finding) -> io::Result<()> {
    let message = legal(&finding.one_line());
    let element =
        xml.create_element("testcase").with_attributes([("classname", &*legal(&finding.file)), ("name", finding.code)]);
    element.write_inner_content(|xml| {
        xml.create_element("error").with_attributes([("type", finding.code), ("message", &*message)]).write_empty()?;
        Ok(())
    })?;
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// The text without what XML 1.0 has no way to write: control characters, from what a test printed.
fn legal(text: &str) -> String {
    let is_legal =
        |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().map(|c| if is_legal(c) { c } else { '\u{FFFD}' }).collect()
}

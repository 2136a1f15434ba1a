//! What other programs read of a run: JSON and JUnit XML. And the line that only terminals see.

use std::collections::BTreeSet;
use std::process::Command;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Value, json};

use super::{TESTS, bundle, verdicts};

type Names = &'static [&'static str];

/// Elements of junit-10.xsd (xUnit plugin of Jenkins): attributes, those that must be there, and what may stand inside.
const SCHEMA: &[(&str, Names, Names, Names)] = &[
    ("testsuites", &["name", "time", "tests", "failures", "errors"], &[], &["testsuite"]),
    (
        "testsuite",
        &[
            "name",
            "tests",
            "failures",
            "errors",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        &["name", "tests", "failures", "errors"],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name", "time", "classname", "group"],
        &["name"],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    ("failure", &["type", "message"], &[], &[]),
    ("error", &["type", "message"], &[], &[]),
    ("skipped", &["type", "message"], &[], &[]),
    ("system-out", &[], &[], &[]),
];

/// An element with its attributes, text and children.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn of(start: &BytesStart) -> Self {
        let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
        let attribute = |attribute: quick_xml::events::attributes::Attribute| {
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let value =
                quick_xml::escape::unescape(std::str::from_utf8(&attribute.value).unwrap()).unwrap().into_owned();
            (key, value)
        };
        let attributes = start.attributes().map(|found| attribute(found.unwrap())).collect();
        Self { name, attributes, ..Self::default() }
    }

    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Element>) {
        if self.name == name {
            found.push(self);
        }
        self.children.iter().for_each(|child| child.all(name, found));
    }
}

fn parsed(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    let mut stack = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => stack.push(Element::of(&start)),
            Event::Empty(start) => stack.last_mut().unwrap().children.push(Element::of(&start)),
            Event::End(_) => {
                let done = stack.pop().unwrap();
                stack.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => stack.last_mut().unwrap().text += &text.decode().unwrap(),
            Event::GeneralRef(name) => stack.last_mut().unwrap().text += &format!("&{};", name.decode().unwrap()),
            Event::Eof => return stack.pop().unwrap().children.pop().unwrap(),
            _ => {}
        }
    }
}

fn check(element: &Element) {
    let (_, allowed, needed, inside) = SCHEMA.iter().find(|(name, ..)| *name == element.name).expect(&element.name);
    let names: BTreeSet<&str> = element.attributes.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| allowed.contains(name)), "{element:#?}");
    assert!(needed.iter().all(|name| names.contains(name)), "{element:#?}");
    let time = regex::Regex::new(r"^[0-9]{1,3}(\.[0-9]*)?$").unwrap();
    assert!(!names.contains("time") || time.is_match(element.get("time")), "{element:#?}");
    for child in &element.children {
        assert!(inside.contains(&child.name.as_str()), "`{}` in {element:#?}", child.name);
        check(child);
    }
}

#[test]
fn junit_keeps_to_the_schema_of_ci_systems() {
    let bundle = bundle(&format!(
        "{TESTS}\nfn test_skipped() {{ skip(\"<not> & \\\"now\\\"\"); }}\nfn test_loud() {{ print(\"\\x1b[1m a & b\"); assert(1 > 0); }}\n"
    ));
    bundle.write("scripts/registratoin_test.rhai", "fn test_x() {}");
    let ran = bundle.run(&["test", "--junit", "report.xml"]);
    assert_eq!(ran.status, 1, "it is written when tests fail, too");
    let root = parsed(&bundle.read("report.xml"));
    check(&root);
    let mut cases = Vec::new();
    root.all("testcase", &mut cases);
    let outcome = |case: &&Element| {
        (
            case.get("classname").to_owned(),
            case.get("name").to_owned(),
            case.children.first().map_or("", |child| &child.name).to_owned(),
        )
    };
    let outcomes: Vec<_> = cases.iter().map(outcome).collect();
    let wanted = [
        ("registration", "test_plain", ""),
        ("registration", "test_domains", "failure"),
        ("registration", "test_later", "skipped"),
        ("registration", "test_skipped", "skipped"),
        ("registration", "test_loud", "system-out"),
        ("scripts/registratoin_test.rhai", "tests", "failure"),
    ];
    assert_eq!(outcomes, wanted.map(|(class, name, kind)| (class.into(), name.into(), kind.into())));
    let failure = &cases[1].children[0];
    assert_eq!(failure.get("type"), "test/assertion");
    assert!(failure.get("message").starts_with("scripts/registration_test.rhai:13:9: "), "{failure:#?}");
    assert!(failure.text.contains("in case `example.org`"), "{failure:#?}");
    assert_eq!(cases[3].children[0].get("message"), "<not> & \"now\"");
    assert_eq!(cases[4].children[0].text, "\u{FFFD}[1m a &amp; b");
    for suite in &root.children {
        let mut failures = Vec::new();
        suite.all("failure", &mut failures);
        assert_eq!(suite.get("failures"), failures.len().to_string());
    }
    assert_eq!((root.get("tests"), root.get("failures"), root.get("errors")), ("6", "2", "0"));

    bundle.replace("scripts/registration.rhai", "request.email;", "request.emial;");
    bundle.run(&["test", "--junit", "report.xml"]);
    let root = parsed(&bundle.read("report.xml"));
    check(&root);
    assert_eq!(root.get("errors"), "1");
}

/// The members that docs/testing.md explains.
fn documented() -> BTreeSet<String> {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/testing.md")).unwrap();
    let section = guide.split_once("### JSON").expect("docs/testing.md has a section on JSON").1;
    let section = section.split("\n#").next().unwrap();
    let row = regex::Regex::new(r"(?m)^\| `([^`]+)` \|").unwrap();
    row.captures_iter(section).map(|found| found[1].to_owned()).collect()
}

fn members(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members_of) => {
            for (name, value) in members_of {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                // Findings are those of `check`; the names in `hits` and `fields` are data.
                let is_leaf = ["finding", "cause", "findings", "hits", "fields"].contains(&name.as_str());
                found.insert(path.clone());
                if !is_leaf {
                    members(&path, value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(&format!("{prefix}[]"), item, found)),
        _ => {}
    }
}

#[test]
fn the_json_document_is_as_documented() {
    let bundle = bundle(&format!("{TESTS}fn test_loud() {{ print(\"a\"); assert(1 > 0); }}\n"));
    let ran = bundle.run(&["test", "--json", "--coverage"]);
    assert_eq!(ran.status, 1);
    let mut found = BTreeSet::new();
    members("", &ran.json(), &mut found);
    // Containers are told by what is in them.
    let leaves: BTreeSet<String> = found
        .iter()
        .filter(|path| {
            !found.iter().any(|other| other.starts_with(&format!("{path}.")) || other.starts_with(&format!("{path}[]")))
        })
        .cloned()
        .collect();
    assert_eq!(leaves, documented());

    let document = ran.json();
    let counts = json!({ "tests": 4, "passed": 2, "failed": 1, "todo": 1, "skipped": 0, "rows": 3, "assertions": 6 });
    assert_eq!(
        (&document["counts"], &document["passed"], &document["stopped"]),
        (&counts, &json!(false), &json!(false))
    );
    let trial = &document["trials"][1];
    assert_eq!((&trial["line"], &trial["about"]), (&json!(8), &json!("who is denied")));
    assert_eq!(trial["rows"][0], json!({ "name": "mailinator.com", "passed": true }));
    assert_eq!(trial["complaints"].as_array().unwrap().len(), 2);
    assert_eq!(trial["complaints"][1]["row"], "example.org");
    assert_eq!(document["trials"][2]["why"], "partners have no type yet");
    assert_eq!(verdicts(&ran)[3], ("registration::test_loud".into(), "passed".into()));
}

#[test]
fn long_runs_show_their_progress_on_terminals_only() {
    let has_script = Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success());
    let spin = "fn test_a() { let n = 0; for i in 0..200000 { n += i; } assert(n > 0); }\n";
    let tests: String = (0..40).map(|number| spin.replace("test_a", &format!("test_{number}"))).collect();
    let bundle = bundle(&tests);
    let plain = bundle.run(&["test", "--filter", "test_3.$"]);
    assert_eq!((plain.status, plain.err.as_str()), (0, ""));
    if !has_script {
        return crate::harness::skipped("`script` is not installed: nothing shows a terminal");
    }
    let line = format!("{} test", env!("CARGO_BIN_EXE_hookgate"));
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(bundle.path())
        .env_remove("HOOKGATE_CONFIG")
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(regex::Regex::new("\r\u{1b}\\[K\\d+/40 tests …").unwrap().is_match(&seen), "{seen:?}");
    assert!(seen.contains("\r\u{1b}[K") && seen.contains("40 passed"), "{seen:?}");
}

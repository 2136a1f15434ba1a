//! `kv`, on a store that a gateway in this process uses meanwhile.

use std::time::Duration;

use hookgate_model::question::Kv;
use hookgate_store::sqlite::{Options, Sqlite};
use hookgate_store::{Step, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Bundle, Ran};

const HOUR: Duration = Duration::from_secs(3_600);

/// A bundle whose gateway runs here.
struct Running {
    bundle: Bundle,
    store: Sqlite,
    runtime: Runtime,
}

impl Running {
    fn new() -> Self {
        let bundle = Bundle::new();
        let store = Sqlite::open(&bundle.path().join("data/hookgate.db"), Options::default()).unwrap();
        Self { bundle, store, runtime: Runtime::new().unwrap() }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bundle.run(&[&["kv"], args].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).json()
    }

    fn step(&self, kv: Kv) -> Value {
        self.runtime.block_on(self.store.state(Step { kv, dry: false, origin: None })).unwrap()
    }

    fn set(&self, key: &str, value: Value) {
        self.step(Kv::Set { key: key.to_owned(), value, keep: HOUR });
    }

    fn once(&self, key: &str) -> bool {
        self.step(Kv::Once { key: key.to_owned(), keep: HOUR }) == json!(true)
    }

    fn is_within_rate(&self, key: &str) -> bool {
        self.step(Kv::WithinRate { key: key.to_owned(), most: 2, window: HOUR }) == json!(true)
    }

    fn keys(&self, args: &[&str]) -> Vec<String> {
        let told = self.json(&[&["list"], args].concat());
        told["entries"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
    }
}

/// With what differs from run to run cut out.
fn steady(text: &str) -> String {
    let text = regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z").unwrap().replace_all(text, "TIME").into_owned();
    regex::Regex::new(r"\b\d+ (ms|s|min)\b").unwrap().replace_all(&text, "SPAN").into_owned()
}

#[test]
fn a_list_tells_each_key_in_a_line() {
    let running = Running::new();
    running.once("welcome/00u7");
    running.step(Kv::Incr { key: "tries/ann".into(), by: 7, keep: HOUR });
    running.is_within_rate("sms/+41");
    running.set("last/bob", json!({ "hostile": "\u{1b}[2J\u{202e}", "text": "x".repeat(100) }));
    running.set("\u{1}guard okta", json!(1));
    let ran = running.run(&["list"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    insta::assert_snapshot!(steady(&ran.out), @r#"
    EXPIRES    KEY           VALUE
    in SPAN  last/bob      {"hostile":"\u001b[2J\u202e","text":"xxxxxxxxxxxxxxxxxxxxxx…
    in SPAN  sms/+41       rate: 1 time, the last SPAN ago
    in SPAN  tries/ann     7
    in SPAN  welcome/00u7  true
    "#);
    assert_eq!(running.keys(&["tries/"]), ["tries/ann"]);
    assert_eq!(running.keys(&["--own"]), ["guard okta"]);
    let none = running.run(&["list", "nothing"]);
    assert_eq!((none.status, none.out.as_str()), (1, "no keys are kept that begin with `nothing`\n"));
    let told = running.json(&["list", "sms/"]);
    assert_eq!((&told["entries"][0]["rate"]["count"], &told["next"]), (&json!(1), &Value::Null));
}

#[test]
fn a_list_goes_on_where_its_page_ended() {
    let running = Running::new();
    (0..7).for_each(|number| running.set(&format!("key/{number}"), json!(number)));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = running.json(&["list", "--limit", "3", "--after", &after]);
        seen.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["value"].clone()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6].map(Value::from));
    let ran = running.run(&["list", "--limit", "3"]);
    assert!(ran.out.ends_with("more: the same command with --after 'key/2'\n"), "{}", ran.out);
}

#[test]
fn one_key_is_shown_whole() {
    let running = Running::new();
    running.set("last/bob", json!({ "text": "x".repeat(100) }));
    let ran = running.run(&["get", "last/bob"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("expires  in ") && ran.out.contains(&"x".repeat(100)), "{}", ran.out);
    let told = running.json(&["get", "last/bob"]);
    assert_eq!((&told["key"], &told["value"]["text"]), (&json!("last/bob"), &json!("x".repeat(100))));
    let ran = running.run(&["get", "last"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("nothing is kept under `last`") && ran.err.contains("such as `last/bob`"), "{}", ran.err);
}

/// A key of any length, and one that begins like the gateway's own, is found as a script writes it.
#[test]
fn a_key_is_found_by_what_a_script_writes() {
    let running = Running::new();
    let long = format!("tries/{}", "\u{e4}".repeat(700));
    let stored = hookgate_script::prelude::lookups::kv::stored_key;
    running.set(&stored(&long), json!(1));
    running.set(&stored("\u{1}guard okta"), json!(2));
    running.set("\u{1}guard okta", json!(3));
    assert_eq!(running.json(&["get", &long])["value"], 1);
    let shown = running.keys(&["tries/"]).remove(0);
    assert_eq!(running.json(&["get", &shown])["value"], 1, "and by what a list shows of it");
    assert_eq!(running.json(&["get", "\u{1}guard okta"])["value"], 2);
    assert_eq!(running.json(&["get", "guard okta", "--own"])["value"], 3);
    let ran = running.run(&["clear", &long, "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 key removed\n"), "{}", ran.err);
}

#[test]
fn what_is_cleared_begins_anew_in_the_gateway_that_runs() {
    let running = Running::new();
    assert!(running.once("welcome/00u7") && !running.once("welcome/00u7"));
    assert!(running.is_within_rate("sms/+41") && running.is_within_rate("sms/+41"));
    assert!(!running.is_within_rate("sms/+41"));
    let ran = running.run(&["clear", "welcome/00u7", "sms/+41", "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "2 keys removed\n"), "{}", ran.err);
    assert!(running.once("welcome/00u7") && running.is_within_rate("sms/+41"));
    let page = running.runtime.block_on(running.store.archive().changes(Default::default())).unwrap();
    let change = &page.changes[0];
    assert_eq!((change.what.as_str(), change.who.as_str()), ("small state cleared", "command line"));
    assert_eq!((change.subject.as_str(), change.detail.as_str()), ("welcome/00u7, sms/+41", r#"{"removed":2}"#));
}

#[test]
fn many_keys_are_cleared_by_a_choice_and_no_others() {
    let running = Running::new();
    (0..1_200).for_each(|number| running.set(&format!("tries/{number}"), json!(number)));
    running.set("other", json!(1));
    running.set("\u{1}guard okta", json!(1));
    assert_eq!(running.json(&["clear", "--prefix", "tries/", "--yes"]), json!({ "removed": 1_200, "missing": [] }));
    assert_eq!(running.keys(&[]), ["other"]);
    assert_eq!(running.run(&["clear", "--all", "--yes"]).out, "1 key removed\n");
    assert_eq!(running.keys(&["--own"]), ["guard okta"], "the gateway's own stay");
    let again = running.run(&["clear", "--all", "--yes"]);
    assert_eq!((again.status, again.out.as_str()), (1, "no such keys are kept\n"));
    assert_eq!(running.run(&["clear", "--all", "--own", "--yes"]).out, "1 key removed\n");
}

#[test]
fn nothing_is_cleared_that_was_not_meant() {
    let running = Running::new();
    running.set("tries/ann", json!(1));
    for (args, says) in [
        (&[][..], "which keys?"),
        (&["tries/ann", "--all"], "only one of these"),
        (&["tries/ann", "--prefix", "tries/"], "only one of these"),
        (&["--prefix", ""], "--all is all keys"),
        (&[""], "--all is all keys"),
        (&["tries/ann"], "this removes 1 key, for good"),
        (&["--all"], "--yes is needed"),
    ] {
        let ran = running.run(&[&["clear"], args].concat());
        assert!(ran.status == 2 && ran.err.contains(says), "{args:?}: {} {}", ran.status, ran.err);
    }
    let ran = running.run(&["clear", "tries/", "--yes"]);
    assert!(ran.status == 1 && ran.err.contains("other keys begin with it"), "{} {}", ran.status, ran.err);
    assert_eq!(running.keys(&[]), ["tries/ann"], "a beginning is no key");
    let ran = running.run(&["clear", "tries/ann", "tries/bob", "--yes", "--json"]);
    assert_eq!((ran.status, ran.json()), (1, json!({ "removed": 1, "missing": ["tries/bob"] })));
}

#[test]
fn without_a_store_it_says_so() {
    let ran = Bundle::new().run(&["kv", "list"]);
    assert!(ran.status == 2 && ran.err.contains("there is no store"), "{}", ran.err);
}

//! `events`, on a store that a gateway in this process uses meanwhile.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hookgate_store::sqlite::{Options, Sqlite};
use hookgate_store::{Attempt, End, Flags, Intake, JobKind, JobState, Leased, NewEvent, NewJob, Query, Share, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Bundle, Ran};

const UUID: &str = "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10";
const RULE: &str = "rule events/group-watch";
const CHAT: &str = "connector chat";
const PAGER: &str = "connector pager";
const HR: &str = "connector hr";

/// A bundle whose gateway runs here.
struct Running {
    bundle: Bundle,
    store: Sqlite,
    runtime: Runtime,
}

impl Running {
    fn new() -> Self {
        let bundle = Bundle::new();
        let store = Sqlite::open(&file(&bundle), Options::default()).unwrap();
        Self { bundle, store, runtime: Runtime::new().unwrap() }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bundle.run(&[&["events"], args].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).json()
    }

    fn keep(&self, events: Vec<NewEvent>) {
        self.runtime.block_on(self.store.accept(Intake { events, ..Intake::default() })).unwrap();
    }

    /// The next job of a lane.
    fn claim(&self, lane: &str) -> Leased {
        let share = vec![Share { lane: lane.into(), most: 1 }];
        let claimed = self.runtime.block_on(self.store.claim(share, Vec::new(), Duration::from_secs(60))).unwrap();
        claimed.jobs.into_iter().next().unwrap_or_else(|| panic!("nothing is due in {lane}"))
    }

    /// One try at the next job of a lane.
    fn attempt(&self, lane: &str, result: &str, status: Option<u16>, detail: &str, end: End) {
        let job = self.claim(lane);
        let (result, detail) = (result.to_owned(), detail.to_owned());
        let attempt = Attempt { started: self.store.clock().now(), took_ms: 3, result, status, detail };
        self.runtime.block_on(self.store.settle(job.token, attempt, end)).unwrap();
    }

    fn waiting(&self) -> u64 {
        self.runtime.block_on(self.store.health()).unwrap().waiting
    }

    /// One event of which everything is told: a rule that is done, an action that is dead and may have been delivered, one
    /// that was refused, and one that was delivered.
    fn with_a_story() -> Self {
        let running = Self::new();
        running.keep(vec![member(UUID)]);
        let actions = vec![action("a", CHAT, "notify"), action("b", PAGER, "notify"), action("c", HR, "post")];
        running.attempt(RULE, "done", None, "", End::Done(actions));
        running.attempt(CHAT, "not_delivered", Some(503), "the receiver is overloaded", End::Retry(Duration::ZERO));
        running.attempt(CHAT, "refused", Some(400), "the channel is gone\u{1b}[2J", End::Dead);
        running.attempt(PAGER, "maybe_delivered", None, "no answer came in time", End::Retry(Duration::ZERO));
        running.attempt(PAGER, "not_delivered", Some(503), "", End::Dead);
        running.attempt(HR, "done", Some(200), "", End::Done(Vec::new()));
        running
    }
}

fn file(bundle: &Bundle) -> PathBuf {
    bundle.path().join("data/hookgate.db")
}

fn event(key: &str, kind: &str, body: &str) -> NewEvent {
    NewEvent {
        route: "events".into(),
        key: key.into(),
        kind: kind.into(),
        envelope: r#"{"id":"6f1c1c3e"}"#.into(),
        body: body.to_owned().into(),
        ..NewEvent::default()
    }
}

fn member(key: &str) -> NewEvent {
    let body = format!("{{\"uuid\":\"{key}\",\n \"target\":null}}");
    let rule =
        NewJob { lane: RULE.into(), name: "group-watch".into(), key: format!("rule-{key}"), ..NewJob::default() };
    NewEvent { jobs: vec![rule], ..event(key, "group.user_membership.add", &body) }
}

fn action(key: &str, lane: &str, name: &str) -> NewJob {
    let body = json!({ "connector": "chat", "do": "notify", "message": "hello" }).to_string();
    NewJob {
        kind: JobKind::Action,
        lane: lane.into(),
        name: name.into(),
        key: format!("key-{key}"),
        body: body.into(),
        ..NewJob::default()
    }
}

/// With what differs from run to run cut out.
fn steady(text: &str) -> String {
    let text = regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z").unwrap().replace_all(text, "TIME").into_owned();
    regex::Regex::new(r"\b\d+ (ms|s|min)\b").unwrap().replace_all(&text, "SPAN").into_owned()
}

#[test]
fn a_list_tells_each_event_in_a_line() {
    let running = Running::with_a_story();
    let flags = Flags { preview: true, clock_skew: true, ..Flags::default() };
    running.keep(vec![NewEvent { flags, ..event("second", "user.lifecycle.create", "{}") }]);
    let problem = Some("it is not an object".to_owned());
    running.keep(vec![NewEvent {
        problem,
        flags: Flags { no_id: true, ..Flags::default() },
        ..event("d/0", "", "17")
    }]);
    let ran = running.run(&["list"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    insta::assert_snapshot!(steady(&ran.out), @r"
    ID  RECEIVED              ROUTE   TYPE                       KEY                                   JOBS            FLAGS
    3   TIME  events  ?                          d/0                                   no jobs         no id, unreadable
    2   TIME  events  user.lifecycle.create      second                                no jobs         preview, clock skew
    1   TIME  events  group.user_membership.add  0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10  2 done, 2 dead
    ");
}

#[test]
fn everything_about_an_event_is_shown() {
    let running = Running::with_a_story();
    for id in ["1", UUID] {
        let ran = running.run(&["show", id]);
        assert_eq!(ran.status, 0, "{}", ran.err);
        insta::allow_duplicates! {
            insta::assert_snapshot!(steady(&ran.out), @r#"
            event 1 group.user_membership.add
              id        0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10
              route     events
              received  TIME, SPAN ago
              envelope  {"id":"6f1c1c3e"}

            rule group-watch done, 1 try
              try 1 TIME SPAN done
              notify → chat dead, 2 tries, not delivered
                key key-a
                try 1 TIME SPAN not delivered 503
                  the receiver is overloaded
                try 2 TIME SPAN refused 400
                  the channel is gone�[2J
              notify → pager dead, 2 tries, maybe delivered: of one try nobody knows how it ended
                key key-b
                try 1 TIME SPAN maybe delivered
                  no answer came in time
                try 2 TIME SPAN not delivered 503
              post → hr done, 1 try
                key key-c
                try 1 TIME SPAN done 200

            body
            {
              "uuid": "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10",
              "target": null
            }
            "#);
        }
    }
    let raw = running.run(&["show", "1", "--raw"]).out;
    assert_eq!(raw, format!("{{\"uuid\":\"{UUID}\",\n \"target\":null}}"), "byte for byte");
    let told = running.json(&["show", "1"]);
    assert_eq!((&told["type"], &told["body"]["target"]), (&json!("group.user_membership.add"), &Value::Null));
    let delivered: Vec<&Value> = told["jobs"].as_array().unwrap().iter().map(|job| &job["delivered"]).collect();
    assert_eq!(delivered, [&Value::Null, &json!("not delivered"), &json!("maybe delivered"), &json!("delivered")]);
    assert_eq!(told["jobs"][1]["tries"][0]["status"], 503);
    assert_eq!(told["jobs"][1]["action"]["message"], "hello");
    assert!(told["received"].as_str().unwrap().ends_with('Z'), "{told}");
}

#[test]
fn odd_events_have_their_end_in_words() {
    let running = Running::new();
    let call = Flags { call: true, ..Flags::default() };
    let preview = Flags { preview: true, ..Flags::default() };
    let suppressed = Some("a try-out from the provider's console: recorded, not done".to_owned());
    running.keep(vec![
        NewEvent { problem: Some("it is not an object".into()), ..event("d/0", "", "not JSON \u{1b}[31m") },
        NewEvent {
            flags: call,
            jobs: vec![action("call", CHAT, "notify")],
            body: "".into(),
            ..event("call-1", "okta.token", "")
        },
        NewEvent {
            flags: preview,
            jobs: vec![NewJob { suppressed, ..action("try", CHAT, "notify") }],
            ..event("p", "user.x", "{}")
        },
        NewEvent {
            published: Some(running.store.clock().now() + 7_200_500),
            flags: Flags { clock_skew: true, ..Flags::default() },
            ..event("far", "user.x", "{}")
        },
        NewEvent { published: Some(0), ..event("old", "user.x", "{}") },
    ]);
    running.attempt(CHAT, "not_delivered", Some(302), "it redirects", End::Retry(Duration::from_secs(3_600)));
    let unreadable = running.run(&["show", "1"]).out;
    assert!(
        unreadable.contains("event 1 of no known type") && unreadable.contains("it is not an object"),
        "{unreadable}"
    );
    assert!(unreadable.contains("not JSON \u{fffd}[31m") && !unreadable.contains('\u{1b}'), "{unreadable}");
    insta::assert_snapshot!(steady(&running.run(&["show", "2"]).out), @r#"
    event 2 okta.token
      id        call-1
      route     events
      received  TIME, SPAN ago
      flag      call: not an event but an answered call whose script asked for actions
      envelope  {"id":"6f1c1c3e"}

    notify → chat waiting, 1 try, next try in SPAN (TIME), not delivered
      key key-call
      try 1 TIME SPAN not delivered 302
        it redirects

    body
    none is kept: answered calls may hold passwords
    "#);
    let preview = running.run(&["show", "3"]).out;
    assert!(preview.contains("notify → chat suppressed\n") && preview.contains("recorded, not done"), "{preview}");
    let far = running.run(&["show", "4"]).out;
    assert!(far.contains("2 h after it was received") && far.contains("clock skew:"), "{far}");
    assert!(running.run(&["show", "5"]).out.contains("published 1970-01-01T00:00:00Z"), "an old date is shown");
    for raw in [("1", "not JSON \u{1b}[31m"), ("2", "")] {
        assert_eq!(running.run(&["show", raw.0, "--raw"]).out, raw.1);
    }
}

#[test]
fn lists_are_filtered_and_an_empty_one_says_what_was_looked_for() {
    let running = Running::with_a_story();
    running
        .keep(vec![event("second", "user.session.start", "{}"), NewEvent { route: "other".into(), ..member("third") }]);
    let ids = |args: &[&str]| -> Vec<i64> {
        let told = running.json(&[&["list"], args].concat());
        told["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&[]), [3, 2, 1]);
    assert_eq!(ids(&["--dead"]), [1]);
    assert_eq!(ids(&["--state", "waiting"]), [3]);
    assert_eq!(ids(&["--route", "other"]), [3]);
    assert_eq!(ids(&["--rule", "group-watch"]), [3, 1]);
    assert_eq!(ids(&["--connector", "hr"]), [1]);
    assert_eq!(ids(&["--type", "user.*"]), [2]);
    assert_eq!(ids(&["--type", "group.user_membership.add", "--since", "1h"]), [3, 1]);
    assert_eq!(ids(&["--until", "1h"]), [0; 0]);
    assert_eq!(ids(&["--limit", "2"]), [3, 2]);
    assert_eq!(ids(&["--after", "2"]), [1]);

    let ran = running.run(&["list", "--route", "nowhere", "--dead", "--until", "2026-03-02T08:30:00Z"]);
    assert_eq!(ran.status, 1);
    insta::assert_snapshot!(ran.out, @"no events are kept of route `nowhere`, with a job that is dead, received before 2026-03-02T08:30:00Z");
    let ran = running.run(&["list", "--limit", "2"]);
    assert!(ran.out.ends_with("more: the same command with --after 2\n"), "{}", ran.out);
    for wrong in [&["--state", "asleep"][..], &["--since", "yesterday"], &["--type", "user.*.x"], &["--limit", "0"]] {
        assert_eq!(running.run(&[&["list"], wrong].concat()).status, 2, "{wrong:?}");
    }
}

#[test]
fn ten_thousand_events_of_one_body_are_paged_through() {
    let running = Running::new();
    running.keep((0..10_000).map(|number| event(&format!("batch/{number}"), "user.session.start", "{}")).collect());
    let (mut seen, mut next) = (BTreeSet::new(), Value::Null);
    loop {
        let after = next.as_i64().unwrap_or(i64::MAX).to_string();
        let page = running.json(&["list", "--limit", "1000", "--after", &after]);
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["key"].to_string()));
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 10_000);
    assert_eq!(running.run(&["list"]).out.lines().count(), 52, "a head, fifty events, and how to go on");
    let ran = running.run(&["purge", "--type", "user.session.*", "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "10000 events removed\n"), "{}", ran.err);
    let again = running.run(&["list"]);
    assert_eq!((again.status, again.out.as_str()), (1, "no events are kept\n"));
}

#[test]
fn dead_jobs_are_replayed_and_successes_only_by_force() {
    let running = Running::with_a_story();
    running.keep(vec![member("second")]);
    running.attempt(RULE, "done", None, "", End::Done(Vec::new()));

    let ran = running.run(&["replay", UUID]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(ran.out, "2 jobs put back; 2 wait now\n");
    let shown = running.run(&["show", "1"]).out;
    assert!(shown.contains("waiting, replayed once, first try now"), "{shown}");
    assert!(shown.contains("maybe delivered"), "that it may have been delivered is not forgotten: {shown}");

    let ran = running.run(&["replay", "second"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("nothing of event 2 is dead") && ran.err.contains("force"), "{}", ran.err);
    assert_eq!(running.waiting(), 2, "nothing was changed");
    let ran = running.run(&["replay", "second", "--force"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 job put back; 3 wait now\n"), "{}", ran.err);

    running.attempt(RULE, "done", None, "", End::Done(Vec::new()));
    let shown = running.run(&["show", "second"]).out;
    assert!(shown.contains("done, 1 try since it was replayed once\n") && shown.contains("try 2 "), "{shown}");

    let ran = running.run(&["replay", "none-such", "1"]);
    assert_eq!(ran.status, 2, "more than one event needs a yes");
    let ran = running.run(&["replay", "none-such", "--yes"]);
    assert!(ran.status == 1 && ran.err.contains("there is no event with the id `none-such`"), "{}", ran.err);
}

#[test]
fn many_are_replayed_only_with_a_yes() {
    let running = Running::new();
    running.keep(["a", "b", "c"].map(member).to_vec());
    (0..3).for_each(|_| running.attempt(RULE, "failed", None, "it throws", End::Dead));
    let ran = running.run(&["replay", "--dead"]);
    assert_eq!((ran.status, running.waiting()), (2, 0), "{}", ran.err);
    let told: Vec<&str> = ran.err.lines().collect();
    assert_eq!((told[0], told.len()), ("chosen: events with a job that is dead", 6), "{}", ran.err);
    assert!(told[1].trim_start().starts_with("3  ") && told[2].starts_with("  such as 3  "), "{}", ran.err);
    insta::assert_snapshot!(told[5], @"error: this runs the dead jobs of 3 events again, from their first try; --yes is needed where nobody can be asked");
    let ran = running.run(&["replay", "--rule", "group-watch", "--since", "1h", "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "3 jobs put back; 3 wait now\n"), "{}", ran.err);
    let ran = running.run(&["replay", "--dead", "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "no events are kept with a job that is dead\n"));
    let told = running.json(&["replay", "--dead", "--yes"]);
    assert_eq!(told, json!({ "replayed_jobs": 0, "waiting_jobs": 3, "refused": [] }));
    for (unclear, told) in
        [(&[][..], "--all is everything"), (&["a", "--dead"], "only one"), (&["a", "--all"], "only one")]
    {
        for command in ["replay", "purge"] {
            let ran = running.run(&[&[command, "--yes"], unclear].concat());
            assert!(ran.status == 2 && ran.err.contains(told), "{command} {unclear:?}: {}", ran.err);
        }
    }
    assert_eq!(running.json(&["replay", "--all", "--yes"])["replayed_jobs"], 0, "nothing is dead");
}

#[test]
fn only_what_has_ended_is_purged() {
    let running = Running::new();
    running.keep(["dead", "done", "open"].map(member).to_vec());
    running.attempt(RULE, "failed", None, "it throws", End::Dead);
    running.attempt(RULE, "done", None, "", End::Done(Vec::new()));
    let left = || running.json(&["list"])["events"].as_array().unwrap().len();

    assert_eq!(running.run(&["purge", "done"]).status, 2, "without --yes");
    let ran = running.run(&["purge", "open", "--yes"]);
    assert!(ran.status == 1 && ran.err.contains("still being worked on"), "{}{}", ran.out, ran.err);
    assert_eq!(left(), 3);
    let ran = running.run(&["purge", "--dead", "--yes"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 dead job removed\n"), "{}", ran.err);
    assert_eq!((left(), running.run(&["list", "--dead"]).status), (3, 1), "the event itself stays");
    let ran = running.run(&["purge", "--route", "events", "--yes"]);
    assert_eq!((ran.status, left()), (0, 1), "{}{}", ran.out, ran.err);
    let query = Query { state: Some(JobState::Waiting), ..Query::default() };
    assert_eq!(running.runtime.block_on(running.store.list(query)).unwrap().events[0].key, "open");
    let ran = running.run(&["purge", "--all"]);
    assert!(ran.status == 2 && ran.err.starts_with("chosen: all events that are kept\n"), "{}", ran.err);
}

#[test]
fn a_backup_is_restored_as_it_says() {
    let running = Running::with_a_story();
    let ran = running.run(&["backup", "copy of today.db"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let size = regex::Regex::new(r"\(\d+ KiB\)").unwrap();
    insta::assert_snapshot!(size.replace(&ran.out, "(SIZE)"), @r"
    wrote copy of today.db (SIZE)
    to go back to it: stop the gateway, and then
      rm -f data/hookgate.db-wal data/hookgate.db-shm
      cp 'copy of today.db' data/hookgate.db
    and start it again
    ");
    assert_eq!(running.run(&["backup", "copy of today.db"]).status, 2, "no file is written over");
    let from_copy = running.run(&["list", "--json", "--store", "copy of today.db"]).json();
    assert_eq!(from_copy["events"][0]["key"], UUID, "a copy can be looked into");

    running.keep(vec![member("later")]);
    assert_eq!(running.json(&["list"])["events"].as_array().unwrap().len(), 2);
    let Running { bundle, store, runtime } = running;
    drop(store);
    for line in ran.out.lines().filter_map(|line| line.strip_prefix("  ")) {
        assert!(Command::new("sh").args(["-c", line]).current_dir(bundle.path()).status().unwrap().success(), "{line}");
    }
    let restored = Running { store: Sqlite::open(&file(&bundle), Options::default()).unwrap(), bundle, runtime };
    let told = restored.json(&["list"]);
    assert_eq!(told["events"].as_array().unwrap().len(), 1);
    assert_eq!(told["events"][0]["jobs"], json!({ "done": 2, "dead": 2 }));
    restored.keep(vec![member("later")]);
    assert_eq!(restored.waiting(), 1, "what came after the copy can come again");
}

/// The lines of `docs/operations.md` that begin with a word.
fn documented(word: &str) -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    page.lines().filter_map(|line| line.trim().strip_prefix(word)).map(str::to_owned).collect()
}

#[test]
fn the_file_is_opened_as_documented_while_the_gateway_runs() {
    let running = Running::with_a_story();
    let lines = documented("sqlite3 'file:data/hookgate.db?mode=ro' ");
    assert!(lines.len() > 1, "{lines:?}");
    let address = format!("file:{}?mode=ro", file(&running.bundle).display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let db = rusqlite::Connection::open_with_flags(address, flags).unwrap();
    for line in lines {
        let mut query = db.prepare(line.trim_matches('"')).unwrap();
        assert!(query.query([]).unwrap().next().unwrap().is_some(), "{line} finds nothing");
    }
}

#[test]
fn restoring_is_done_as_documented() {
    let running = Running::with_a_story();
    let backup = documented("hookgate events backup ");
    assert_eq!(running.run(&["backup", &backup[0]]).status, 0);
    let Running { bundle, store, .. } = running;
    drop(store);
    bundle.write("data/hookgate.db", "this is lost");
    let steps: Vec<String> = ["rm ", "cp "]
        .iter()
        .flat_map(|word| documented(word).into_iter().map(move |rest| format!("{word}{rest}")))
        .collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    for step in steps {
        assert!(
            Command::new("sh").args(["-c", &step]).current_dir(bundle.path()).status().unwrap().success(),
            "{step}"
        );
    }
    let told = bundle.run(&["events", "show", UUID, "--json"]).json();
    assert_eq!(told["jobs"].as_array().unwrap().len(), 4);
    Sqlite::open(&file(&bundle), Options::default()).unwrap();
}

#[test]
fn where_there_is_no_store_is_said_plainly() {
    let bundle = Bundle::new();
    for args in [&["list"][..], &["show", "1"], &["replay", "1"], &["purge", "--dead", "--yes"], &["backup", "x.db"]] {
        let ran = bundle.run(&[&["events"], args].concat());
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(ran.err.contains("there is no store at `data/hookgate.db` yet"), "{}", ran.err);
        assert!(ran.err.contains("the gateway has not run here"), "{}", ran.err);
    }
    assert!(!bundle.path().join("data").exists(), "looking makes nothing");
    bundle.write("gateway.toml", &format!("{}\n[store]\nurl = \"postgres://h/d\"\n", bundle.read("gateway.toml")));
    let ran = bundle.run(&["events", "list"]);
    assert!(ran.status == 2 && ran.err.contains("this version keeps events in SQLite only"), "{}", ran.err);
    bundle.write("notes.txt", "no database at all");
    assert_eq!(bundle.run(&["events", "list", "--store", "notes.txt"]).status, 2);
}

#[test]
fn an_event_that_is_not_there_is_told_as_that() {
    let running = Running::new();
    for (id, says) in [("7", "with the number 7"), ("a-b", "with the id `a-b`")] {
        let ran = running.run(&["show", id]);
        assert!(ran.status == 1 && ran.out.is_empty() && ran.err.contains(says), "{}{}", ran.out, ran.err);
    }
    let ran = running.run(&["list"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "no events are kept\n"));
    assert_eq!(running.json(&["list"]), json!({ "events": [], "next": null }));
}

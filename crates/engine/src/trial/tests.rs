//! Trials on the release in force, on what is on disk, and on scripts that nobody has saved.

use serde_json::Value;

use super::*;
use crate::release::live::Reloaded;

const BODY: &str = r#"{"eventId":"e1","data":{"userProfile":{"email":"ann@new.example","login":"ann"}}}"#;
const CONFIG: &str = r#"
[auth.a]
scheme = "none"
[routes.signup]
path = "/signup"
hook = "okta.registration"
script = "signup.rhai"
auth = "a"
on_failure = "allow"
[routes.events]
path = "/events"
hook = "okta.event"
auth = "a"
[routes.events.rules.one]
events = ["user.*"]
script = "watch.rhai"
[routes.events.rules.two]
events = ["group.*"]
script = "watch.rhai"
"#;

struct Fixture {
    folder: tempfile::TempDir,
    live: Arc<Live>,
    bench: Bench,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("scripts")).expect("a folder");
        let metrics = Metrics::new();
        let bench = Bench::new(Lanes::start().expect("threads"), Lookups::on_trial(metrics.clone()));
        let fixture = Self { folder, live: Arc::new(Live::new(metrics)), bench };
        fixture.write("gateway.toml", &format!("scripts = {{ gate = \"check\" }}\n{CONFIG}"));
        fixture.write("scripts/signup.rhai", "fn on_registration(request) { deny(request.email.domain) }");
        fixture.write("scripts/watch.rhai", "fn on_event(event) { log(event.type); }");
        assert_eq!(fixture.live.reload(&fixture.place()), Reloaded::Activated, "{:?}", fixture.live.status().error);
        fixture
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).expect("written");
    }

    fn place(&self) -> Place {
        Place::of(&self.folder.path().join("gateway.toml"))
    }

    async fn run(&self, subject: Subject, order: &Order) -> Result<Tried, TrialError> {
        self.bench.run_on(subject, self.live.clone(), self.place(), order).await
    }
}

fn order(route: &str, body: &str) -> Order {
    Order { route: route.to_owned(), rule: None, body: Bytes::from(body.to_owned()), trace: true }
}

fn edited(text: &str) -> Subject {
    Subject::Edited([("signup.rhai".to_owned(), Arc::from(text))].into())
}

fn summary(tried: &Tried) -> Value {
    tried.reply["error"]["errorSummary"].clone()
}

#[tokio::test]
async fn each_subject_gives_its_own_answer_and_changes_nothing() {
    let fixture = Fixture::new();
    let order = order("signup", BODY);
    let running = fixture.run(Subject::Running, &order).await.expect("tried");
    assert_eq!(summary(&running), "new.example");
    let ran = running.ran.as_ref().expect("it ran");
    assert_eq!(ran.commands[0]["deny"]["text"], "new.example");
    assert_eq!((running.outcome.as_deref(), &ran.read[..]), (Some("denied"), &["request.email.domain".to_owned()][..]));

    fixture.write("scripts/signup.rhai", "fn on_registration(request) { deny(\"on disk\") }");
    let on_disk = fixture.run(Subject::OnDisk, &order).await.expect("tried");
    assert_eq!(summary(&on_disk), "on disk");
    let edited = fixture.run(edited("fn on_registration(_request) { let x = 1; deny(\"edited\") }"), &order).await;
    let edited = edited.expect("tried");
    assert_eq!(summary(&edited), "edited");
    assert!(edited.warnings.iter().any(|finding| finding.file == "scripts/signup.rhai"), "{:?}", edited.warnings);

    assert_eq!(summary(&fixture.run(Subject::Running, &order).await.expect("tried")), "new.example");
    let text = diff::diff(&running, &edited);
    assert!(text.contains("-      \"errorSummary\": \"new.example\"\n+      \"errorSummary\": \"edited\"\n"), "{text}");
    assert!(!text.contains("\"decision\"") && !text.contains("_us"), "{text}");
}

#[tokio::test]
async fn the_reply_of_a_trial_says_what_that_of_a_call_says() {
    let fixture = Fixture::new();
    let noted = edited("fn on_registration(_request) { note(\"new partner\"); deny(\"no\") }");
    let tried = fixture.run(noted, &order("signup", BODY)).await.expect("tried");
    assert_eq!(tried.reply["debugContext"]["note"], "new partner", "{}", tried.reply);
    let failing = edited("fn on_registration(_request) { note(\"on its way\"); throw \"no\" }");
    let tried = fixture.run(failing, &order("signup", BODY)).await.expect("tried");
    let debug = &tried.reply["debugContext"];
    assert_eq!((&debug["note"], &debug["fallback"]), (&"on its way".into(), &"script_error".into()), "{}", tried.reply);
    let failure = tried.ran.and_then(|ran| ran.failure).expect("it failed");
    assert_eq!(failure.reason, "script_error");
    assert!(failure.finding.is_some_and(|finding| finding.line == 1), "{}", failure.message);
}

#[tokio::test]
async fn what_cannot_be_tried_says_why() {
    let fixture = Fixture::new();
    let broken = fixture.run(edited("fn on_registration(request) {"), &order("signup", BODY)).await;
    let Err(TrialError::Unbuildable(findings)) = broken else { panic!("it was tried") };
    assert_eq!(findings[0].file, "scripts/signup.rhai");
    let strange = Subject::Edited([("sigup.rhai".to_owned(), Arc::from(""))].into());
    let error = fixture.run(strange, &order("signup", BODY)).await.expect_err("no such script");
    assert_eq!(error.to_string(), "there is no script `sigup.rhai`; did you mean `signup.rhai`?");
    let error = fixture.run(Subject::Running, &order("sigup", BODY)).await.expect_err("no such route");
    assert_eq!(error.to_string(), "there is no route `sigup`; did you mean `signup`?");
    let error = Order { rule: Some("on".to_owned()), ..order("events", BODY) };
    let error = fixture.run(Subject::Running, &error).await.expect_err("no such rule");
    assert_eq!(error.to_string(), "there is no rule `on`; did you mean `one`?");
    let error = Order { rule: Some("one".to_owned()), ..order("signup", BODY) };
    let error = fixture.run(Subject::Running, &error).await.expect_err("no rules");
    assert_eq!(error.to_string(), "there is no rule `one`, and no other rule either");
    let refused = fixture.run(Subject::Running, &order("signup", "[]")).await.expect("tried");
    assert!(refused.refused.is_some() && refused.ran.is_none() && refused.failed());
    fixture.write("gateway.toml", "nonsense");
    assert!(matches!(fixture.run(Subject::OnDisk, &order("signup", BODY)).await, Err(TrialError::Unbuildable(_))));
}

#[tokio::test]
async fn one_event_alone_is_tried_as_it_is_kept() {
    let fixture = Fixture::new();
    let event = r#"{"uuid":"u-1","eventType":"user.session.start","published":"2026-03-02T08:30:00Z"}"#;
    let tried = fixture.run(Subject::Running, &order("events", event)).await.expect("tried");
    assert_eq!(tried.refused, None);
    let [event] = tried.events.as_slice() else { panic!("{:?}", tried.events) };
    assert_eq!((event.kind.as_str(), event.preview), ("user.session.start", false));
    let neither = fixture.run(Subject::Running, &order("events", r#"{"a":1}"#)).await.expect("tried");
    assert!(neither.refused.is_some_and(|why| why.contains("okta.event")));
}

#[tokio::test]
async fn events_are_tried_on_the_rules_that_want_them() {
    let fixture = Fixture::new();
    let sample = hookgate_hooks::find("okta.event").expect("a hook").samples[0].request;
    let tried = fixture.run(Subject::Running, &order("events", sample)).await.expect("tried");
    let rules: Vec<_> =
        tried.events[0].rules.iter().map(|rule| (rule.rule.as_str(), rule.wants, rule.ran.is_some())).collect();
    assert_eq!(rules, [("one", false, false), ("two", true, true)]);
    let ran = tried.events[0].rules[1].ran.as_ref().expect("it ran");
    assert_eq!(ran.logs[0].text, tried.events[0].kind);
    assert!(ran.trace.as_ref().is_some_and(|trace| trace.steps.len() == 1), "{:?}", ran.trace);
}

#[tokio::test]
async fn a_case_is_drafted_and_written_once() {
    let fixture = Fixture::new();
    let (order, name) = (order("signup", BODY), "first");
    let draft = fixture.bench.case_on(Subject::Running, fixture.live.clone(), fixture.place(), &order, name).await;
    let draft = draft.expect("a case");
    assert_eq!(draft.file, "scripts/cases/signup/first.json");
    let golden: Value = serde_json::from_str(&draft.text).expect("JSON");
    assert_eq!(golden["expected"][0]["reply"]["error"]["errorSummary"], "new.example");
    draft.write(fixture.folder.path()).expect("written");
    let again = draft.write(fixture.folder.path()).expect_err("it is there");
    assert!(again.to_string().contains("there is `scripts/cases/signup/first.json` already"), "{again}");
    let outside = fixture.bench.case_on(Subject::Running, fixture.live.clone(), fixture.place(), &order, "../x").await;
    assert!(outside.expect_err("no name").to_string().contains("cannot be the name of a case"));
}

/// #13: a link in the scripts folder leads nothing out of the bundle, not even an empty folder.
#[cfg(unix)]
#[test]
fn a_case_makes_no_folder_outside_the_bundle() {
    let (bundle, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::create_dir_all(bundle.path().join("scripts")).expect("a folder");
    std::os::unix::fs::symlink(outside.path(), bundle.path().join("scripts/cases")).expect("a link");
    let (file, text) = ("scripts/cases/signup/one.json".to_owned(), "{}".to_owned());
    let case = Draft { file, text, redacted: Vec::new(), failed: None };
    let error = case.write(bundle.path()).expect_err("it leads out").to_string();
    assert!(error.contains("scripts/cases/signup/one.json"), "{error}");
    assert_eq!(std::fs::read_dir(outside.path()).expect("the folder is there").count(), 0);
}

#[tokio::test]
async fn only_so_many_are_tried_at_once() {
    let fixture = Fixture::new();
    let _turns = fixture.bench.turns.acquire_many(4).await.expect("turns");
    assert!(matches!(fixture.run(Subject::Running, &order("signup", BODY)).await, Err(TrialError::Busy)));
}

//! What the hook never delivered is found in the org's own log, once, whatever happens in between.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use hookgate_connectors::What;
use hookgate_engine::delivery::Delivery;
use hookgate_engine::delivery::reconcile;
use hookgate_engine::delivery::reconcile::{Cycle, Failure};
use hookgate_engine::release::live::Reloaded;
use hookgate_model::decision;
use hookgate_model::decision::{Capture, Kept, Record};
use hookgate_script::lanes::Lanes;
use hookgate_store::answer::OneTimeAnswer;
use hookgate_store::archive::Archive;
use hookgate_store::backups::Backups;
use hookgate_store::{
    Accepted, Attempt, Claimed, Dossier, End, EventRef, Health, Intake, Leased, Millis, Operation, Page, Query,
    Settled, Share, StatePage, StateQuery, Step, Store, StoreError, Token,
};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

use crate::harness::TestGateway;
use crate::reconcile::org::Org;

mod org;

const TELL: &str = r#"fn on_event(event) { notify("out", event.id) }"#;
const TOKEN: &str = "token = { file = \"token\" }";

fn config(org: &str, proof: &str) -> String {
    format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.out]
kind = "file"
path = "out.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.sessions]
events = ["user.session.*", "user.lifecycle.create"]
script = "hook.rhai"
[routes.hook.reconcile]
org_url = "{org}"
allow_private = true
every_s = 1
{proof}
"#
    )
}

fn gateway(org: &Org) -> TestGateway {
    with_proof(org, TOKEN, &[])
}

fn with_proof(org: &Org, proof: &str, files: &[(&str, &str)]) -> TestGateway {
    let files = [files, &[("scripts/hook.rhai", TELL), ("token", "ssws-1\n")]].concat();
    TestGateway::bundle(&config(&org.url, proof), &files)
}

/// Events of the last minutes, in the order of their time.
fn happened(count: u32) -> Vec<Value> {
    (0..count).map(|number| event(&format!("e{number}"), 300 - i64::from(number), json!({}))).collect()
}

fn event(id: &str, seconds_ago: i64, more: Value) -> Value {
    let published = Timestamp::now() - SignedDuration::from_secs(seconds_ago);
    let mut event = json!({
        "uuid": id, "published": format!("{published:.3}"), "eventType": "user.session.start",
        "outcome": { "result": "SUCCESS" }, "actor": { "id": "00u1", "type": "User" },
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

async fn deliver(gateway: &TestGateway, events: &[Value]) {
    let source = "https://example.okta.com/api/v1/eventHooks/who1";
    let batch = json!({ "eventType": "com.okta.event_hook", "eventId": format!("d-{}", events[0]["uuid"]), "source": source,
        "data": { "events": events } });
    assert_eq!(gateway.post(batch.to_string()).await.0, 204);
}

async fn cycle(gateway: &TestGateway) -> Result<Cycle, Failure> {
    let route = gateway.live.current().unwrap().routes[0].clone();
    gateway.delivery.reconcile(&route).await
}

async fn good_cycle(gateway: &TestGateway) -> Cycle {
    cycle(gateway).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Every cycle until one came to the end; how many there were.
async fn to_the_end(gateway: &TestGateway) -> usize {
    for number in 1..100 {
        if !good_cycle(gateway).await.more {
            return number;
        }
    }
    panic!("there is no end");
}

/// The ids that rules told of, each as often as it did.
async fn told(gateway: &TestGateway) -> Vec<String> {
    gateway.work().await;
    let text = fs::read_to_string(gateway.place.root.join("out.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

async fn each_ran_once(gateway: &TestGateway, count: usize) {
    let told = told(gateway).await;
    assert_eq!(told.len(), count, "{told:?}");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), count, "{told:?}");
}

#[tokio::test]
async fn of_a_hundred_events_the_seven_that_never_came_are_found() {
    let events = happened(100);
    let org = Org::of(events.clone(), 40).await;
    let gateway = gateway(&org);
    let lost = [0, 13, 39, 40, 41, 77, 99];
    let came: Vec<Value> =
        (0..100).filter(|number| !lost.contains(number)).map(|number| events[number].clone()).collect();
    for batch in came.chunks(10) {
        deliver(&gateway, batch).await;
    }
    let found = good_cycle(&gateway).await;
    assert_eq!((found.pages, found.events, found.missed, found.more), (3, 100, 7, false));
    each_ran_once(&gateway, 100).await;
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains("hookgate_missed_events_total{route=\"hook\"} 7"), "{metrics}");
    let missed = gateway.event("e13").await;
    assert!(missed.event.flags.missed && !missed.event.flags.no_id);
    assert_eq!(serde_json::from_slice::<Value>(&missed.body).unwrap(), events[13]);
    // The hook was only slow.
    deliver(&gateway, &events[13..14]).await;
    let again = good_cycle(&gateway).await;
    assert_eq!((again.events, again.missed), (100, 0), "what lies within the overlap is looked at again");
    each_ran_once(&gateway, 100).await;
}

#[tokio::test]
async fn only_what_rules_want_is_asked_for_and_kept() {
    let mut events = happened(2);
    events.push(event("other", 10, json!({ "eventType": "system.email.delivery" })));
    events.push(json!({ "published": events[0]["published"], "eventType": "user.session.start" }));
    let org = Org::of(events, 40).await;
    let gateway = gateway(&org);
    let found = good_cycle(&gateway).await;
    assert_eq!((found.events, found.missed, found.unreadable), (4, 2, 1));
    assert!(gateway.delivery.store().show(EventRef::Key("other".into())).await.unwrap().is_none());
    let address = url::Url::parse(&format!("{}{}", org.url, org.asked()[0])).unwrap();
    let asked: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let value = |name: &str| asked.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(value("filter"), r#"eventType eq "user.lifecycle.create" or eventType sw "user.session.""#);
    assert_eq!((value("sortOrder"), value("limit")), ("ASCENDING".to_owned(), "1000".to_owned()));
    let time = |name: &str| value(name).parse::<Timestamp>().unwrap();
    let window = time("until").duration_since(time("since")).as_secs();
    assert!((599..=601).contains(&window), "the first time it looks back as far as the overlap: {window}");
    assert_eq!(org.inner().asked[0].1, "SSWS ssws-1");
}

#[tokio::test]
async fn what_appears_in_the_log_late_is_found() {
    let org = Org::of(happened(3), 40).await;
    let gateway = gateway(&org);
    assert_eq!(good_cycle(&gateway).await.missed, 3);
    org.inner().events.push(event("late", 200, json!({})));
    assert_eq!(good_cycle(&gateway).await.missed, 1);
    each_ran_once(&gateway, 4).await;
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_where_it_stopped() {
    let org = Org::of(happened(30), 10).await;
    (org.inner().remaining, org.inner().reset) = (Some(1), Timestamp::now().as_second() + 30);
    let gateway = gateway(&org);
    let first = good_cycle(&gateway).await;
    assert_eq!((first.pages, first.missed, first.more), (1, 10, true));
    each_ran_once(&gateway, 10).await;

    let gateway = gateway.restarted().await;
    org.inner().remaining = None;
    let second = good_cycle(&gateway).await;
    assert_eq!((second.pages, second.missed, second.more), (2, 20, true), "it looks once more for what came since");
    assert!(org.asked()[1].contains("after=10"), "{:?}", org.asked());
    each_ran_once(&gateway, 30).await;

    let gateway = gateway.restarted().await;
    let third = good_cycle(&gateway).await;
    assert_eq!((third.events, third.missed, third.more), (30, 0, false));
    each_ran_once(&gateway, 30).await;
}

#[tokio::test]
async fn no_more_than_the_share_of_the_rate_limit_is_used() {
    let org = Org::of(happened(20), 1).await;
    let reset = Timestamp::now().as_second() + 30;
    (org.inner().remaining, org.inner().reset) = (Some(8), reset);
    let gateway = gateway(&org);
    let found = good_cycle(&gateway).await;
    assert_eq!((org.asked().len(), found.more), (2, true), "two of eight are a quarter");
    let rest = found.rest.expect("it rests").as_secs();
    assert!((1..=30).contains(&rest), "{rest}");
    // A new window, and all of it free.
    (org.inner().remaining, org.inner().reset) = (Some(1_000), reset + 60);
    to_the_end(&gateway).await;
    each_ran_once(&gateway, 20).await;
}

#[tokio::test]
async fn a_429_says_when_to_come_again() {
    let org = Org::of(happened(1), 10).await;
    let reset = (Timestamp::now().as_second() + 40).to_string();
    org.say(429, &[("x-rate-limit-reset", &reset), ("x-rate-limit-remaining", "0")], r#"{"errorCode":"E0000047"}"#);
    let gateway = gateway(&org);
    let Err(Failure::Log(trouble)) = cycle(&gateway).await else { panic!("a failure") };
    let What::NotDelivered { retry_after: Some(wait) } = trouble.what else { panic!("{trouble:?}") };
    assert!((20..=41).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(good_cycle(&gateway).await.missed, 1);
}

#[tokio::test]
async fn every_bad_answer_says_what_to_do_and_loses_nothing() {
    let elsewhere = Org::of(happened(1), 10).await;
    let moved = format!("{}/api/v1/logs", elsewhere.url);
    let away = format!("<{}/api/v1/logs?after=1>; rel=\"next\"", elsewhere.url);
    let page = serde_json::to_string(&happened(1)).unwrap();
    let table: [(u16, &str, &str, &str, &str); 9] = [
        (401, "", "", r#"{"errorSummary":"Invalid token ssws-1"}"#, "the API token is wrong, expired or revoked"),
        (403, "", "", "", "\"Read Only\""),
        (404, "", "", "", "is `org_url` the address of an org?"),
        (500, "", "", "", "Okta answered 500"),
        (302, "location", &moved, "", "a redirect, and none is followed"),
        (200, "", "", "<html>not here</html>", "without a list of events"),
        (200, "", "", r#"{"events":[]}"#, "without a list of events"),
        (200, "", "", "[{\"uuid\":", "without a list of events"),
        (200, "link", &away, &page, "leads away from the System Log"),
    ];
    for (status, header, value, body, expected) in table {
        let org = Org::of(happened(2), 10).await;
        let headers: Vec<(&'static str, &str)> = match header {
            "" => vec![],
            "link" => vec![("link", value)],
            _ => vec![("location", value)],
        };
        org.say(status, &headers, body);
        let gateway = gateway(&org);
        let failure = cycle(&gateway).await.expect_err(expected).to_string();
        assert!(failure.contains(expected) && !failure.contains("ssws-1"), "{failure}");
        assert_eq!(good_cycle(&gateway).await.missed, 2, "{expected}");
        each_ran_once(&gateway, 2).await;
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new(), "nobody else is asked");
}

#[tokio::test]
async fn what_is_too_young_waits() {
    let org = Org::of(happened(10), 40).await;
    org.inner().events.push(event("young", 0, json!({})));
    let gateway = with_proof(&org, &format!("{TOKEN}\nlag_s = 100"), &[]);
    assert_eq!(good_cycle(&gateway).await.missed, 10);
    // A longer lag than before: nothing is asked for that would end before it begins.
    gateway.write("gateway.toml", &config(&org.url, &format!("{TOKEN}\nlag_s = 1000")));
    assert_eq!(gateway.reload(), Reloaded::Activated);
    assert_eq!(good_cycle(&gateway).await, Cycle::default());
    gateway.write("gateway.toml", &config(&org.url, TOKEN));
    assert_eq!(gateway.reload(), Reloaded::Activated);
    assert_eq!(good_cycle(&gateway).await.missed, 1);
    each_ran_once(&gateway, 11).await;
}

#[tokio::test]
async fn a_chain_without_end_is_left() {
    let org = Org::of(happened(3), 10).await;
    let gateway = gateway(&org);
    let link = format!("<{}/api/v1/logs?since=a&until=b&after=1>; rel=\"next\"", org.url);
    let page = serde_json::to_string(&happened(1)).unwrap();
    org.say(200, &[("link", &link)], &page);
    org.say(200, &[("link", &link)], &page);
    let failure = cycle(&gateway).await.expect_err("no end").to_string();
    assert!(failure.contains("leads back to a page"), "{failure}");
    let found = good_cycle(&gateway).await;
    assert_eq!((found.events, found.missed), (3, 2), "it begins again, and knows what it has");
    assert!(!org.asked()[2].contains("after="), "{:?}", org.asked());
    each_ran_once(&gateway, 3).await;
}

#[tokio::test]
async fn a_link_that_is_no_longer_good_is_forgotten() {
    let org = Org::of(happened(20), 10).await;
    (org.inner().remaining, org.inner().reset) = (Some(1), Timestamp::now().as_second() + 30);
    let gateway = gateway(&org);
    assert!(good_cycle(&gateway).await.more);
    org.inner().remaining = None;
    org.say(400, &[], r#"{"errorCode":"E0000001"}"#);
    assert!(cycle(&gateway).await.expect_err("a bad link").to_string().contains("400"));
    let found = good_cycle(&gateway).await;
    assert_eq!((found.events, found.missed, found.more), (20, 10, false));
    each_ran_once(&gateway, 20).await;
}

#[tokio::test]
async fn a_token_that_is_replaced_is_used_without_a_restart() {
    let org = Org::of(happened(1), 10).await;
    org.inner().good = "SSWS ssws-2".to_owned();
    let gateway = gateway(&org);
    assert!(cycle(&gateway).await.is_err());
    gateway.write("token", "ssws-2\n");
    assert_eq!(gateway.reload(), Reloaded::Unchanged);
    assert_eq!(good_cycle(&gateway).await.missed, 1);
}

const APP: &str = "client_id = \"0oaReader\"\nprivate_key = { file = \"app.pem\" }\nkey_id = \"key-1\"";

#[tokio::test]
async fn an_app_gets_a_token_with_its_key_and_another_one_when_it_is_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut events = happened(30);
    events.push(event("own", 1, json!({ "actor": { "id": "0oaReader", "type": "PublicClientApp" } })));
    let org = Org::of(events, 10).await;
    let public = DecodingKey::from_ec_pem(key.public_key_pem().as_bytes()).unwrap();
    org.inner().app = Some((public, Algorithm::ES256));
    org.inner().revoked_after = Some(2);
    let gateway = with_proof(&org, APP, &[("app.pem", &key.serialize_pem())]);
    let found = good_cycle(&gateway).await;
    assert_eq!((found.pages, found.missed, org.inner().tokens), (4, 31, 2));
    let proofs: Vec<String> = org.inner().asked.iter().map(|(_, proof)| proof.clone()).collect();
    assert_eq!(proofs, ["1", "1", "2", "2", "2"].map(|number| format!("Bearer token-{number}")));
    assert_eq!(good_cycle(&gateway).await.missed, 0);
    assert_eq!(org.inner().tokens, 2, "a token is kept while it is good");
    each_ran_once(&gateway, 30).await;
    assert!(gateway.event("own").await.event.flags.own, "what the app itself did reaches no rule");

    // A token that stays refused is not asked for again and again.
    org.inner().good = "Bearer nothing".to_owned();
    org.inner().app = Some((
        DecodingKey::from_ec_pem(rcgen::KeyPair::generate().unwrap().public_key_pem().as_bytes()).unwrap(),
        Algorithm::ES256,
    ));
    let failure = cycle(&gateway).await.expect_err("refused").to_string();
    assert!(failure.contains("`client_id`, `private_key` and `key_id` must be those of the client"), "{failure}");
    assert_eq!(org.inner().tokens, 2);
}

/// A store that is full for a while.
struct Full {
    store: Arc<dyn Store>,
    /// How often it still takes something.
    room: AtomicUsize,
}

#[async_trait]
impl Store for Full {
    async fn accept(&self, intake: Intake) -> Result<Vec<Accepted>, StoreError> {
        let room = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1));
        if room.is_ok() { self.store.accept(intake).await } else { Err(StoreError::Full) }
    }
    async fn answer(&self, route: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.store.answer(route, key).await
    }
    async fn keep_answer(&self, intake: Intake, answer: OneTimeAnswer) -> Result<Option<Bytes>, StoreError> {
        self.store.keep_answer(intake, answer).await
    }
    async fn claim(&self, shares: Vec<Share>, held: Vec<Token>, lease: Duration) -> Result<Claimed, StoreError> {
        self.store.claim(shares, held, lease).await
    }
    async fn claim_suspect(&self, lanes: Vec<Arc<str>>, lease: Duration) -> Result<Option<Leased>, StoreError> {
        self.store.claim_suspect(lanes, lease).await
    }
    async fn abandon(&self, held: Vec<Token>) -> Result<(), StoreError> {
        self.store.abandon(held).await
    }
    async fn renew(&self, held: Vec<Token>, lease: Duration) -> Result<Vec<Token>, StoreError> {
        self.store.renew(held, lease).await
    }
    async fn settle(&self, token: Token, attempt: Attempt, end: End) -> Result<Settled, StoreError> {
        self.store.settle(token, attempt, end).await
    }
    async fn state(&self, step: Step) -> Result<serde_json::Value, StoreError> {
        self.store.state(step).await
    }
    async fn entries(&self, query: StateQuery) -> Result<StatePage, StoreError> {
        self.store.entries(query).await
    }
    async fn record(&self, decisions: Vec<Kept>) -> Result<usize, StoreError> {
        self.store.record(decisions).await
    }
    async fn decisions(&self, query: decision::Query) -> Result<decision::Page, StoreError> {
        self.store.decisions(query).await
    }
    async fn decision(&self, id: &str) -> Result<Option<(Record, Option<Capture>)>, StoreError> {
        self.store.decision(id).await
    }
    async fn bookmark(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.store.bookmark(name).await
    }
    async fn list(&self, query: Query) -> Result<Page, StoreError> {
        self.store.list(query).await
    }
    async fn show(&self, event: EventRef) -> Result<Option<Dossier>, StoreError> {
        self.store.show(event).await
    }
    async fn operate(&self, operation: Operation) -> Result<u64, StoreError> {
        self.store.operate(operation).await
    }
    async fn health(&self) -> Result<Health, StoreError> {
        self.store.health().await
    }
    fn archive(&self) -> &dyn Archive {
        self.store.archive()
    }
    fn now(&self) -> Millis {
        self.store.now()
    }
    fn backups(&self) -> Option<&dyn Backups> {
        self.store.backups()
    }
    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

#[tokio::test]
async fn what_the_store_cannot_take_is_read_again_later() {
    let org = Org::of(happened(30), 10).await;
    let mut gateway = gateway(&org);
    // Room for the first mark and one page.
    let full = Arc::new(Full { store: gateway.delivery.store().clone(), room: AtomicUsize::new(2) });
    let lanes = Lanes::start().unwrap();
    let records = gateway.delivery.records().clone();
    gateway.delivery = Delivery::new(full.clone(), gateway.live.clone(), lanes, gateway.metrics.clone(), records);
    for _ in 0..3 {
        assert_eq!(cycle(&gateway).await, Err(Failure::Store(StoreError::Full)));
    }
    full.room.store(usize::MAX, Ordering::SeqCst);
    to_the_end(&gateway).await;
    each_ran_once(&gateway, 30).await;
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains("hookgate_missed_events_total{route=\"hook\"} 30"), "{metrics}");
}

/// Waits for something that another task does.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn changed_settings_take_effect_and_removed_ones_end_it() {
    let (one, other, third) =
        (Org::of(happened(2), 10).await, Org::of(happened(3), 10).await, Org::of(vec![], 10).await);
    let gateway = gateway(&one);
    let running = tokio::spawn(reconcile::run(gateway.delivery.clone()));
    until("it looks again and again", || one.asked().len() >= 2).await;
    gateway.write("gateway.toml", &config(&other.url, TOKEN));
    assert_eq!(gateway.reload(), Reloaded::Activated);
    until("it looks elsewhere", || other.asked().len() >= 2).await;
    let before = one.asked().len();
    until("it goes on looking there", || other.asked().len() >= 4).await;
    assert_eq!(one.asked().len(), before, "and no longer here");

    // Of two routes one looks; the one that does not any more is silent while the other goes on.
    let only = config(&other.url, TOKEN);
    let (without, _) = only.split_once("[routes.hook.reconcile]").unwrap();
    let (_, second) = config(&third.url, TOKEN)
        .split_once("[routes.hook]")
        .map(|(head, tail)| (head.to_owned(), tail.to_owned()))
        .unwrap();
    let second =
        format!("[routes.hook]{second}").replace("routes.hook", "routes.second").replace("\"/hook\"", "\"/second\"");
    gateway.write("gateway.toml", &format!("{without}\n{second}"));
    assert_eq!(gateway.reload(), Reloaded::Activated, "{:#?}", gateway.live.status().error);
    until("the new route looks", || third.asked().len() >= 2).await;
    let before = other.asked().len();
    until("the new route looks on", || third.asked().len() >= 4).await;
    assert_eq!(other.asked().len(), before, "the route without settings does not");
    running.abort();
}

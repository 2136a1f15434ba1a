//! What is shared by the lookups of all connectors, with a connector that does as it is told.

use std::sync::atomic::AtomicU32;

use serde_json::{Value, json};

use super::*;
use hookgate_connectors::cache::Rules;
use hookgate_connectors::{Connector, LookingUp, Order, Performing};
use hookgate_model::command::Action;
use hookgate_model::question::Directory;
use hookgate_model::secret::{Ring, Source};

/// What the other side does.
#[derive(Default)]
struct Other {
    asked: AtomicU32,
    takes: Duration,
    /// The first so many questions fail.
    fails: u32,
    /// Questions about groups take for ever.
    slow_groups: bool,
    /// It answers so many at once.
    pool: Option<tokio::sync::Semaphore>,
}

impl Connector for &'static Other {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn check(&self, _: &Action) -> Result<(), String> {
        Err("nothing".to_owned())
    }

    fn turns(&self) -> Option<&tokio::sync::Semaphore> {
        self.pool.as_ref()
    }

    fn perform<'a>(&'a self, _: &'a Order) -> Performing<'a> {
        unreachable!("it is only asked")
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> LookingUp<'a> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.slow_groups && matches!(question.ask, Ask::Directory { asked: Directory::Group(_), .. }) {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.takes).await;
            if number < self.fails {
                return Err(Trouble::new(Reason::Unreachable, "no connection"));
            }
            Ok(json!({ "words": question.words(), "number": number }))
        })
    }
}

impl Other {
    fn new(takes_ms: u64, fails: u32) -> &'static Self {
        Box::leak(Box::new(Self { takes: Duration::from_millis(takes_ms), fails, ..Self::default() }))
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

const RULES: Rules = Rules {
    ttl: Duration::from_millis(300),
    negative: Duration::from_millis(300),
    stale: Duration::from_secs(60),
    entries: 100,
};

fn connected(name: &str, other: &'static Other) -> Connected {
    Connected { timeout: Duration::from_millis(400), ..Connected::new(name, Box::new(other)) }
}

fn connectors(all: impl IntoIterator<Item = Connected>) -> &'static Connectors {
    Box::leak(Box::new(Connectors::new(all.into_iter().map(Arc::new))))
}

fn lookups() -> &'static Lookups {
    Box::leak(Box::new(Lookups::on_trial(Metrics::new())))
}

fn question(connector: &str, id: &str) -> Question {
    Question {
        connector: connector.to_owned(),
        ask: Ask::Directory { family: "okta", asked: Directory::User(id.to_owned()) },
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn ask(connectors: &'static Connectors, connector: &str, id: &str) -> Answered {
    lookups().of(connectors, None, false).answer(&question(connector, id), soon()).await
}

fn reason(answered: Answered) -> Reason {
    answered.expect_err("no answer").reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_ask_the_same_at_once_make_one_call() {
    let other = Other::new(50, 0);
    let all = connectors([Connected { cache: Some(Cache::new(RULES)), ..connected("org", other) }]);
    let asking: Vec<_> = (0..200).map(|_| tokio::spawn(ask(all, "org", "00u7"))).collect();
    for one in asking {
        let answer = one.await.expect("no panic").expect("an answer");
        assert_eq!((answer.value["number"].as_u64(), answer.stale), (Some(0), false));
    }
    assert_eq!(other.asked(), 1);
    ask(all, "org", "00u8").await.expect("an answer");
    assert_eq!(other.asked(), 2, "another question");
}

#[tokio::test]
async fn an_old_answer_is_given_at_once_and_a_new_one_is_fetched_behind_it() {
    let other = Other::new(50, 0);
    let all = connectors([Connected { cache: Some(Cache::new(RULES)), ..connected("org", other) }]);
    ask(all, "org", "a").await.expect("an answer");
    assert_eq!(ask(all, "org", "a").await.expect("kept").value["number"], 0);
    tokio::time::sleep(RULES.ttl).await;
    let started = Instant::now();
    let old = ask(all, "org", "a").await.expect("the old one");
    assert_eq!((old.value["number"].as_u64(), old.stale), (Some(0), true));
    assert!(started.elapsed() < Duration::from_millis(40), "{:?}", started.elapsed());
    tokio::time::sleep(Duration::from_millis(120)).await;
    let new = ask(all, "org", "a").await.expect("the new one");
    assert_eq!((new.value["number"].as_u64(), new.stale), (Some(1), false));
}

#[tokio::test]
async fn a_question_goes_on_without_who_asked_it_first() {
    let other = Other::new(100, 0);
    let all = connectors([Connected { cache: Some(Cache::new(RULES)), ..connected("org", other) }]);
    let first = tokio::time::timeout(Duration::from_millis(20), ask(all, "org", "a")).await;
    assert!(first.is_err(), "it had no patience");
    assert_eq!(ask(all, "org", "a").await.expect("an answer").value["number"], 0);
    assert_eq!(other.asked(), 1);
}

#[tokio::test]
async fn the_time_of_the_connector_bounds_a_lookup() {
    let all = connectors([connected("slow", Other::new(60_000, 0))]);
    let started = Instant::now();
    assert_eq!(reason(ask(all, "slow", "a").await), Reason::Timeout);
    assert!(started.elapsed() < Duration::from_millis(650), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_breaker_opens_after_failures_and_closes_after_its_rest() {
    let other = Other::new(0, 5);
    let all = connectors([connected("down", other)]);
    for _ in 0..5 {
        assert_eq!(reason(ask(all, "down", "a").await), Reason::Unreachable);
    }
    let refused = ask(all, "down", "a").await.expect_err("it rests");
    assert!(refused.message.contains("not asked again for"), "{}", refused.message);
    assert_eq!(other.asked(), 5, "nothing went out");
    tokio::time::sleep(Duration::from_millis(5_050)).await;
    assert!(ask(all, "down", "a").await.is_ok(), "it is back");
    assert!(ask(all, "down", "b").await.is_ok());
}

/// Runs have half a minute less than the connector: it is as silent for them.
#[tokio::test]
async fn who_is_silent_for_a_second_is_given_a_rest_and_who_had_less_is_not() {
    let silent = |name| Connected { timeout: Duration::from_secs(30), ..connected(name, Other::new(60_000, 0)) };
    let all = connectors([silent("silent"), silent("hasty")]);
    let ask_for = |name: &'static str, time: u64| async move {
        let until = Instant::now() + Duration::from_millis(time);
        lookups().of(all, None, false).answer(&question(name, "a"), until).await.expect_err("no answer")
    };
    let asking: Vec<_> = (0..5).map(|_| tokio::spawn(ask_for("silent", 1_010))).collect();
    let hasty: Vec<_> = (0..5).map(|_| tokio::spawn(ask_for("hasty", 500))).collect();
    for one in asking.into_iter().chain(hasty) {
        assert_eq!(one.await.expect("no panic").reason, Reason::Timeout);
    }
    assert_eq!(ask_for("silent", 100).await.reason, Reason::Unreachable, "it rests");
    assert_eq!(ask_for("hasty", 100).await.reason, Reason::Timeout, "nobody gave it time");
}

#[tokio::test]
async fn a_probe_that_nobody_waited_for_does_not_keep_the_breaker_open() {
    let other = Other::new(200, 5);
    let all = connectors([connected("down", other)]);
    for _ in 0..5 {
        assert_eq!(reason(ask(all, "down", "a").await), Reason::Unreachable);
    }
    tokio::time::sleep(Duration::from_millis(5_050)).await;
    let probe = tokio::time::timeout(Duration::from_millis(20), ask(all, "down", "a")).await;
    assert!(probe.is_err(), "it had no patience");
    assert!(ask(all, "down", "a").await.is_ok(), "the next one is the probe");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_connector_does_not_slow_another_one() {
    let all = connectors([connected("dead", Other::new(60_000, 0)), connected("alive", Other::new(5, 0))]);
    let p99 = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    let measure = || async {
        let mut times = Vec::new();
        for number in 0..300 {
            let started = Instant::now();
            ask(all, "alive", &number.to_string()).await.expect("an answer");
            times.push(started.elapsed());
        }
        p99(times)
    };
    let before = measure().await;
    let hanging: Vec<_> = (0..500).map(|_| tokio::spawn(ask(all, "dead", "x"))).collect();
    let beside = measure().await;
    for one in hanging {
        assert!(one.await.expect("no panic").is_err());
    }
    // Ten in a hundred is the goal; what a machine under test adds is more than that.
    assert!(beside < before * 2 + Duration::from_millis(5), "p99 {before:?} alone, {beside:?} beside a dead one");
}

#[tokio::test]
async fn more_than_the_permits_wait_and_are_told_that_it_is_busy() {
    let (other, long) = (Other::new(600_000, 0), Duration::from_secs(600));
    let slow = Connected { lookups: tokio::sync::Semaphore::new(2), timeout: long, ..connected("slow", other) };
    let all = connectors([slow]);
    let ask_for = |time: Duration| async move {
        lookups().of(all, None, false).answer(&question("slow", "a"), Instant::now() + time).await
    };
    let held = [tokio::spawn(ask_for(long)), tokio::spawn(ask_for(long))];
    while other.asked() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        assert_eq!(reason(ask_for(Duration::from_millis(20)).await), Reason::Busy);
    }
    assert_eq!(other.asked(), 2);
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Two hundred at once, of whom most wait for longer than the connector has for one answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_in_a_queue_of_ours_says_nothing_of_the_other_side() {
    for (pool, lookups_at_once) in [(Some(tokio::sync::Semaphore::new(4)), 64), (None, 4)] {
        let other: &'static Other =
            Box::leak(Box::new(Other { takes: Duration::from_millis(50), pool, ..Other::default() }));
        let permits = tokio::sync::Semaphore::new(lookups_at_once);
        let all = connectors([Connected { lookups: permits, ..connected("db", other) }]);
        let ask_for = |time: u64| async move {
            let until = Instant::now() + Duration::from_millis(time);
            lookups().of(all, None, false).answer(&question("db", "a"), until).await
        };
        let asking: Vec<_> = (0..200).map(|_| tokio::spawn(ask_for(1_200))).collect();
        let mut answers = 0;
        for one in asking {
            match one.await.expect("no panic") {
                Ok(_) => answers += 1,
                // Whose turn came at the end of its time got no whole answer.
                Err(trouble) => assert!(matches!(trouble.reason, Reason::Busy | Reason::Timeout), "{trouble:?}"),
            }
        }
        assert!(answers > 8, "they wait as long as their scripts do: {answers}");
        assert!(ask_for(1_200).await.is_ok(), "nobody is kept back afterwards");
    }
}

#[tokio::test]
async fn a_question_that_is_slow_by_itself_does_not_shut_others_off() {
    let other: &'static Other = Box::leak(Box::new(Other { slow_groups: true, ..Other::default() }));
    let all = connectors([Connected { timeout: Duration::from_millis(50), ..connected("org", other) }]);
    let group = Question {
        connector: "org".to_owned(),
        ask: Ask::Directory { family: "okta", asked: Directory::Group("g".to_owned()) },
    };
    let ask_group = || async { lookups().of(all, None, false).answer(&group, soon()).await };
    for _ in 0..5 {
        assert_eq!(reason(ask_group().await), Reason::Timeout);
        assert!(ask(all, "org", "a").await.is_ok(), "a user");
    }
    assert_eq!(reason(ask_group().await), Reason::Unreachable, "it rests, but for others");
    assert!(ask(all, "org", "a").await.is_ok(), "a user");
}

#[tokio::test]
async fn an_unknown_name_is_told_with_the_nearest_one() {
    let all = connectors([connected("legacy", Other::new(0, 0))]);
    let trouble = ask(all, "legcay", "a").await.expect_err("there is none");
    assert_eq!(trouble.reason, Reason::Rejected);
    assert!(trouble.message.contains("did you mean `legacy`?"), "{}", trouble.message);
}

#[tokio::test]
async fn on_trial_the_small_state_is_forgotten() {
    let all = connectors([]);
    let once = Question {
        connector: KV.to_owned(),
        ask: Ask::Kv(Kv::Once { key: "k".to_owned(), keep: Duration::from_secs(60) }),
    };
    for _ in 0..2 {
        let asker = lookups().of(all, None, true);
        assert_eq!(asker.answer(&once, soon()).await.expect("an answer").value, json!(true));
        assert_eq!(asker.answer(&once, soon()).await.expect("an answer").value, Value::Bool(false));
    }
}

/// It repeats what it was sent, secret and all.
struct Echo(Arc<Ring>);

impl Connector for Echo {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn look_up<'a>(&'a self, _: &'a Question) -> LookingUp<'a> {
        let secret = String::from_utf8_lossy(self.0.first().expose()).into_owned();
        let text = format!("{{\"authorization\": \"Bearer {secret}\", \"id\": 7}}");
        Box::pin(std::future::ready(Ok(json!({ "status": 200, "text": text, "headers": { "x-echo": [secret] } }))))
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        vec![self.0.clone()]
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_connectors_secret_is_cleaned_before_it_is_kept() {
    let environment = |_: &str| Some("canary-secret-1".to_owned());
    let ring = Arc::new(Ring::load(vec![Source::Env("X".into())], environment).expect("a secret"));
    let echo = Connected::new("echo", Box::new(Echo(ring)));
    let all = connectors([Connected { cache: Some(Cache::new(RULES)), ..echo }]);
    for _ in 0..2 {
        let answer = ask(all, "echo", "a").await.expect("an answer").value;
        let cleaned = json!({
            "status": 200,
            "text": "{\"authorization\": \"Bearer ***\", \"id\": 7}",
            "headers": { "x-echo": ["***"] },
        });
        assert_eq!(answer, cleaned);
    }
}

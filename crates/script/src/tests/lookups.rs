//! Scripts that ask: their runs end, and go on when the answer is there.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::journal::MAX_LOOKUPS;
use hookgate_model::question::Answer;

/// Answers with what was asked, after a while, and counts.
#[derive(Default)]
struct Echo {
    asked: AtomicUsize,
    takes: Duration,
}

impl Outside for Echo {
    fn answer<'a>(&'a self, question: &'a Question, _: Instant) -> Answering<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let text = question.words();
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            Ok(Answer::fresh(json!({ "status": 200, "text": text })))
        })
    }
}

async fn ask(source: &str, outside: &dyn Outside) -> Run {
    let (_, script) = main_only(source);
    Lanes::start().expect("threads start").run(&script, call_within(Duration::from_secs(20)), outside).await
}

#[tokio::test]
async fn a_run_goes_on_with_the_answers_it_waited_for_and_reads_the_world_once() {
    let echo = Echo::default();
    let source = r#"fn on_probe(_r) {
        let before = now();
        let id = uuid();
        log("asked");
        let texts = ["/a", "/b", "/b"].map(|path| http("hr").get(path).text);
        if now() < before || uuid() == id { throw "the world was not read once"; }
        [texts.to_string(), id]
    }"#;
    let run = ask(source, &echo).await;
    let found = run.result.unwrap_or_else(|failed| panic!("{failed:?}")).into_array().expect("an array");
    assert_eq!(found[0].to_string(), r#"["GET /a", "GET /b", "GET /b"]"#);
    assert_eq!(echo.asked.load(Ordering::SeqCst), 3, "each question once");
    assert_eq!(run.logs.len(), 1, "only the run that came to its end has logged");
    let asked: Vec<(String, &str)> =
        run.journal.lookups().map(|lookup| (lookup.question.words(), lookup.outcome())).collect();
    assert_eq!(asked, [("GET /a".to_owned(), "ok"), ("GET /b".to_owned(), "ok"), ("GET /b".to_owned(), "ok")]);
}

#[tokio::test]
async fn a_question_is_given_up_before_the_deadline_and_the_script_decides() {
    let source = "fn on_probe(_r) { try { http(\"hr\").get(\"/a\").text } catch (error) { return error.kind + remaining_ms().to_string(); } }";
    let (_, script) = main_only(source);
    let started = Instant::now();
    let run =
        Lanes::start().expect("threads start").run(&script, call_within(Duration::from_millis(600)), &Nobody).await;
    let text = run.result.unwrap_or_else(|failed| panic!("{failed:?}")).into_string().expect("a text");
    assert!(text.starts_with("timeout"), "{text}");
    assert!(started.elapsed() < Duration::from_millis(650), "{:?}", started.elapsed());
    let left: i64 = text.trim_start_matches("timeout").parse().expect("a number");
    assert!(left > 0, "no time was left to decide");
}

#[tokio::test]
async fn a_question_cannot_be_caught_away_and_too_many_are_refused() {
    let echo = Echo::default();
    let run =
        ask("fn on_probe(_r) { try { http(\"hr\").get(\"/a\").text } catch { return \"caught\"; } }", &echo).await;
    assert_eq!(run.result.expect("it runs").into_string().as_deref(), Ok("GET /a"));
    let run = ask("fn on_probe(_r) { for n in 0..1000 { http(\"hr\").get(`/${n}`); } }", &echo).await;
    assert_eq!(run.journal.lookups().count(), MAX_LOOKUPS);
    let failed = run.result.expect_err("too many");
    assert!(format!("{failed:?}").contains("may ask 100 questions"), "{failed:?}");
    let (_, script) = main_only("fn on_probe(_r) { http(\"hr\").get(\"/a\") }");
    let failed = script.run(&call()).result.expect_err("nobody answers here");
    assert!(format!("{failed:?}").contains("cannot be asked here"), "{failed:?}");
}

#[tokio::test]
async fn a_slow_script_that_asks_verifies_its_password_once() {
    let source = format!(
        "fn on_probe(request) {{ let right = request.secret.verifies(\"{COST_11}\"); http(\"hr\").get(\"/a\"); http(\"hr\").get(\"/b\"); right }}"
    );
    let started = Instant::now();
    let run = ask(&source, &Echo { takes: Duration::from_millis(5), ..Echo::default() }).await;
    assert_eq!(run.result.expect("it runs").as_bool(), Ok(true));
    let once = {
        let started = Instant::now();
        let _ = ask(&source.replace("http(\"hr\").get(\"/a\"); http(\"hr\").get(\"/b\");", ""), &Nobody).await;
        started.elapsed()
    };
    assert!(started.elapsed() < once * 4, "three runs verified more than once: {:?}, once {once:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_runs_wait_at_once_without_a_thread_each() {
    let echo: &'static Echo = Box::leak(Box::new(Echo { takes: Duration::from_millis(200), ..Echo::default() }));
    let (_, script) = main_only("fn on_probe(_r) { http(\"hr\").get(\"/a\").text }");
    let lanes = Lanes::start().expect("threads start");
    let started = Instant::now();
    let runs: Vec<_> = (0..1_000)
        .map(|_| {
            let (lanes, script) = (lanes.clone(), script.clone());
            // Patient: on a busy machine the script may count as slow, and a line of so many would be an overload.
            tokio::spawn(async move { lanes.run_patiently(&script, call_within(Duration::from_secs(20)), echo).await })
        })
        .collect();
    for run in runs {
        assert!(run.await.expect("no panic").result.is_ok());
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

use std::pin::pin;

use super::*;

fn at(begin: Instant, ms: u64) -> Instant {
    begin + Duration::from_millis(ms)
}

/// A line that serves one piece of work a millisecond, told of each arrival: whether it was overloaded at the end.
fn run(overload: &Overload, begin: Instant, arrivals_per_ms: impl Fn(u64) -> usize, for_ms: u64) -> Vec<u64> {
    let (mut waiting, mut on) = (0_usize, Vec::new());
    for ms in 0..for_ms {
        for _ in 0..arrivals_per_ms(ms) {
            waiting += 1;
            if overload.note(waiting, at(begin, ms)) {
                on.push(ms);
            }
        }
        waiting = waiting.saturating_sub(1);
    }
    on.dedup();
    on
}

#[test]
fn a_line_that_grows_is_overloaded_soon() {
    let (overload, begin) = (Overload::default(), Instant::now());
    let on = run(&overload, begin, |_| 3, 200);
    let first = *on.first().expect("three times what can be served");
    assert!((CROWD as u64 / 2..CROWD as u64).contains(&first), "after {first} ms");
}

#[test]
fn a_burst_is_served_however_long_its_line_is() {
    let (overload, begin) = (Overload::default(), Instant::now());
    let on = run(&overload, begin, |ms| if ms == 0 { 1_000 } else { usize::from(ms % 2 == 0) }, 1_500);
    assert_eq!(on, [] as [u64; 0]);
}

#[test]
fn callers_who_wait_for_their_answers_are_no_overload() {
    // A hundred and twenty-eight of them: each answer brings the next call.
    let (overload, begin) = (Overload::default(), Instant::now());
    let on = run(&overload, begin, |ms| if ms == 0 { CROWD } else { 1 }, 5_000);
    assert_eq!(on, [] as [u64; 0]);
}

#[test]
fn an_overload_ends_a_second_after_the_last_refusal() {
    let (overload, begin) = (Overload::default(), Instant::now());
    overload.begin(begin);
    assert!(overload.is_on(at(begin, 999)));
    assert!(!overload.is_on(at(begin, 1_001)));
    overload.begin(at(begin, 900));
    assert!(overload.note(1, at(begin, 1_850)), "it lasts on, though nobody waits any more");
    assert!(!overload.note(1, at(begin, 1_901)));
}

#[test]
fn the_window_shrinks_while_the_line_is_long_but_never_to_nothing() {
    let late = nanos(Duration::from_millis(50));
    let mut size = FIRST;
    for _ in 0..100 {
        size = window(size, 1_000, late, 100);
    }
    assert_eq!(size, LEAST);
    let quick = nanos(Duration::from_micros(300));
    assert_eq!(window(size, 1, quick, 100), size, "what was not used up does not grow");
    for _ in 0..100 {
        size = window(size, 10_000, quick, 100);
    }
    assert_eq!(size, MOST);
    assert_eq!(window(100, 100, nanos(2 * SHORT), 100), 50);
}

#[test]
fn the_window_grows_where_refusing_takes_as_long_as_answering() {
    let late = nanos(Duration::from_millis(50));
    assert_eq!(window(100, 100, late, SHARE), 50, "they have their share");
    assert_eq!(window(100, 100, late, SHARE - 1), 400);
}

/// What becomes of the calls of a second on one worker when `offered` come in it: all cost `transport`, and those that are let in
/// `script` besides. How many are answered by their script in the last half, of so many that could be.
fn goodput(offered: u64, transport: Duration, script: Duration) -> f64 {
    let (origin, line) = (Instant::now(), Line::default());
    line.overload.begin(origin);
    let (mut now, mut taken, mut answered, mut waiting) = (0_u64, 0_u64, 0_u64, 0_u64);
    let half = 500_000_000;
    line.counts.store(true, Ordering::Relaxed);
    while now < 2 * half {
        // Those that came while the last ones were worked on, but for those whose callers have no connection left.
        waiting = (waiting + (now * offered / 1_000_000_000).saturating_sub(taken)).min(1_500);
        taken = now * offered / 1_000_000_000;
        let line_of = std::mem::take(&mut waiting);
        line.out_since.store(line.nanos(origin + Duration::from_nanos(now)).max(1), Ordering::Relaxed);
        for _ in 0..line_of {
            line.overload.begin(origin + Duration::from_nanos(now));
            now += nanos(transport);
            if line.admits(origin + Duration::from_nanos(now)) {
                now += nanos(script);
                line.worked.fetch_add(nanos(script), Ordering::Relaxed);
                answered += u64::from(now > half);
            }
        }
        now += 20_000;
        line.measured(origin + Duration::from_nanos(now));
    }
    answered as f64 * nanos(transport + script) as f64 / half as f64
}

#[test]
fn work_that_can_be_done_is_done_however_many_come() {
    let micros = Duration::from_micros;
    // An expensive script at three times and at ten times what one worker can do.
    let expensive = (micros(30), micros(2_000));
    assert!(goodput(1_500, expensive.0, expensive.1) > 0.8);
    assert!(goodput(5_000, expensive.0, expensive.1) > 0.6);
    // A trivial one: to refuse a call costs nearly what it costs to answer it.
    assert!(goodput(45_000, micros(30), micros(3)) > 0.8, "{}", goodput(45_000, micros(30), micros(3)));
    assert!(goodput(90_000, micros(30), micros(3)) > 0.8);
    // Something between.
    assert!(goodput(15_000, micros(30), micros(170)) > 0.6);
}

#[test]
fn so_many_a_second_are_counted() {
    let few = PerSecond::default();
    let begin = few.since();
    let taken = |ms| (0..1_000).filter(|_| few.take(20, at(begin, ms))).count();
    assert_eq!((taken(0), taken(900), taken(1_000)), (20, 0, 20));
    assert_eq!(taken(900), 0, "the second is not set back");
}

/// A runtime with one thread, on which calls of half a millisecond run to their end. How many were let in, and how long
/// each waited for its turn.
async fn flood(workers: &Arc<Workers>, calls: usize, pause: Duration) -> (usize, Vec<Duration>) {
    let done = Arc::new(Mutex::new((0, Vec::new())));
    let mut tasks = Vec::new();
    let begin = Instant::now();
    for number in 0..calls {
        let due = begin + pause * u32::try_from(number).unwrap();
        let (workers, done) = (workers.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            if workers.admit(now) {
                let work = async {
                    while now.elapsed() < Duration::from_micros(500) {
                        std::hint::spin_loop();
                    }
                };
                workers.count(pin!(work)).await;
                let mut done = done.lock().unwrap();
                done.0 += 1;
                done.1.push(now.saturating_duration_since(due));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut done = done.lock().unwrap();
    std::mem::take(&mut *done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_with_more_calls_than_it_can_run_lets_some_in_and_refuses_the_others() {
    let workers = Arc::new(Workers::default());
    // Five times what one thread can do, for a second of it.
    let (admitted, _) = flood(&workers, 10_000, Duration::from_micros(100)).await;
    // How many are refused depends on what else the machine does; `work_that_can_be_done_is_done_however_many_come` says how
    // many it should be.
    assert!((200..10_000).contains(&admitted), "{admitted} of 10,000 calls were let in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_serves_a_burst_whole() {
    let workers = Arc::new(Workers::default());
    let (admitted, _) = flood(&workers, 2 * CROWD, Duration::ZERO).await;
    assert_eq!(admitted, 2 * CROWD);
    assert!(!workers.is_overloaded(Instant::now()));
}

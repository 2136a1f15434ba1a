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
        size = window(size, 1_000, late);
    }
    assert_eq!(size, LEAST, "a gateway whose processor others take still answers some");
    let quick = nanos(Duration::from_micros(300));
    assert_eq!(window(size, 1, quick), size, "what was not used up does not grow");
    for _ in 0..100 {
        size = window(size, 1_000, quick);
    }
    assert_eq!(size, MOST);
    assert_eq!(window(100, 100, nanos(2 * SHORT)), 50);
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
                while now.elapsed() < Duration::from_micros(500) {
                    std::hint::spin_loop();
                }
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
    assert!(workers.is_overloaded(Instant::now()));
    assert!((200..7_000).contains(&admitted), "{admitted} of 10,000 calls were let in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_serves_a_burst_whole() {
    let workers = Arc::new(Workers::default());
    let (admitted, _) = flood(&workers, 2 * CROWD, Duration::ZERO).await;
    assert_eq!(admitted, 2 * CROWD);
    assert!(!workers.is_overloaded(Instant::now()));
}

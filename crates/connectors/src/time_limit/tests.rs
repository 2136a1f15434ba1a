//! A pause is made as a stopped process has it: the one thread that looks at timers and sockets does not run.

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;

const TIME: Duration = Duration::from_millis(300);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Work whose end comes through another task, as the answer of a server does, which is read in several turns.
fn answered_when_read(arrived: oneshot::Receiver<()>) -> impl Future<Output = &'static str> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        if arrived.await.is_ok() {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let _ = tell.send("done");
        }
    });
    async { told.await.expect("the reader lives") }
}

#[tokio::test]
async fn the_time_is_over_when_it_is_over() {
    let begun = Instant::now();
    assert_eq!(within(TIME, std::future::pending::<()>()).await, Err(TimeLimitExceeded));
    assert!(begun.elapsed() >= TIME, "{:?}", begun.elapsed());
    assert_eq!(within(Duration::ZERO, std::future::ready(1)).await, Ok(1), "what is ready needs no time");
    assert_eq!(within(Duration::ZERO, std::future::pending::<()>()).await, Err(TimeLimitExceeded));
}

#[tokio::test]
async fn parts_share_one_time() {
    let mut limit = TimeLimit::new(TIME);
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(limit.wait_for(sleep(millis(20))).await, Ok(()));
    }
    assert!(limit.left <= TIME - millis(60) || limit.pauses > 0, "{limit:?}");
    assert_eq!(limit.wait_for(std::future::pending::<()>()).await, Err(TimeLimitExceeded));
    assert!(begun.elapsed() >= TIME, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_came_during_a_pause_is_read() {
    // Wherever in its time the pause begins, and where there is another one.
    for (before, pauses) in [(0, 1), (100, 1), (270, 1), (100, 3)] {
        let (arrive, arrived) = oneshot::channel();
        let waiting = tokio::spawn(within(TIME, answered_when_read(arrived)));
        sleep(millis(before)).await;
        for pause in 1..=pauses {
            // Nothing else runs on this thread meanwhile: no timer, no socket.
            std::thread::sleep(TIME * 2);
            if pause < pauses {
                tokio::task::yield_now().await;
            }
        }
        arrive.send(()).expect("the reader lives");
        assert_eq!(waiting.await.expect("no panic"), Ok("done"), "{pauses} pauses after {before} ms");
    }
}

#[test]
fn a_pause_takes_nothing_of_the_time_and_leaves_enough_to_read() {
    let mut limit = TimeLimit::new(millis(5_000));
    limit.count(STEP, STEP);
    assert_eq!(limit.left, millis(4_750));
    limit.count(STEP, Duration::from_secs(125));
    assert_eq!(limit.left, millis(4_750));
    limit.left = millis(3);
    limit.count(millis(3), Duration::from_secs(125));
    assert_eq!(limit.left, AFTER_PAUSE);
    // As usual, a timer is a little late.
    limit.count(STEP, STEP + millis(5));
    assert_eq!(limit.left, AFTER_PAUSE - STEP - millis(5));
}

#[test]
fn a_machine_that_is_always_late_ends_the_wait() {
    let mut limit = TimeLimit::new(TIME);
    let mut steps = 0;
    while !limit.left.is_zero() {
        let step = limit.left.min(STEP);
        limit.count(step, step + LATE * 2);
        steps += 1;
    }
    assert!(steps <= 4 + MOST_PAUSES, "{steps}");
}

//! When the next look is.

use super::*;
use hookgate_connectors::log::{EventLog, Reading};
use hookgate_model::secret::Ring;

struct Nothing;

impl EventLog for Nothing {
    fn label(&self) -> &'static str {
        "nothing"
    }

    fn read<'a>(&'a self, _: &'a From) -> Reading<'a> {
        Box::pin(async { Ok(Page::default()) })
    }

    fn secrets(&self) -> Vec<Arc<Ring>> {
        Vec::new()
    }
}

#[test]
fn troubles_in_a_row_make_it_wait_longer_and_mistakes_do_not() {
    let seconds = Duration::from_secs;
    let settings = Reconcile { log: Box::new(Nothing), every: seconds(300), overlap: seconds(600), lag: seconds(0) };
    let after = |result: Result<Cycle, Failure>, failures| wait(&settings, &result, failures).as_secs();
    let busy = |retry_after| {
        let what = What::NotDelivered { retry_after };
        Err(Failure::Log(Trouble { what, status: Some(503), message: String::new() }))
    };
    let rested = |more, rest: Option<u64>| Ok(Cycle { more, rest: rest.map(seconds), ..Cycle::default() });
    assert_eq!(after(rested(false, None), 0), 300);
    assert_eq!(after(rested(false, Some(20)), 0), 300);
    assert_eq!(after(rested(false, Some(400)), 0), 400);
    assert_eq!(after(rested(true, Some(20)), 0), 20);
    assert_eq!(after(rested(true, None), 0), 5, "what is left over is read soon");
    assert_eq!([1, 2, 3, 99].map(|failures| after(busy(None), failures)), [300, 600, 900, 900]);
    assert_eq!(after(busy(Some(seconds(5_000))), 1), 5_000);
    assert_eq!(after(Err(Failure::Log(Trouble::maybe_delivered("no answer"))), 2), 600);
    assert_eq!(after(Err(Failure::Log(Trouble::refused("bad token"))), 9), 300);
    assert_eq!(after(Err(Failure::Store(StoreError::Full)), 9), 30);
}

#[test]
fn a_mark_of_a_reading_that_ended_says_no_more_than_its_time() {
    let mark = Mark { log: "l".to_owned(), watermark: 5, open: None };
    let kept = serde_json::to_string(&mark).unwrap();
    assert_eq!(kept, r#"{"log":"l","watermark":5}"#);
    assert_eq!(serde_json::from_str::<Mark>(&kept).unwrap(), mark);
}

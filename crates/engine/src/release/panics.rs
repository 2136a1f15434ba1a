//! What a panic while a release is built becomes: a finding, as for everything else that is wrong with a bundle.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;

use hookgate_model::finding::Finding;
use hookgate_script::lanes;
use hookgate_script::stack;

/// Does `work`, and gives a finding about `file` where it panics.
///
/// # Errors
/// It panicked.
pub(super) fn caught<R>(file: &str, work: impl FnOnce() -> R) -> Result<R, Vec<Finding>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| vec![finding(file, &*panic)])
}

/// Does `work` on a thread of its own, which has a deep stack and lets calls go first. What a release starts (fetching the
/// keys of a signature, say) runs where the caller's tasks run.
///
/// # Errors
/// It panicked.
pub(super) fn apart<R: Send>(file: &str, work: impl FnOnce() -> R + Send) -> Result<R, Vec<Finding>> {
    let runtime = Handle::try_current().ok();
    std::thread::scope(|scope| {
        let started = stack::thread("release").spawn_scoped(scope, || {
            let _entered = runtime.as_ref().map(Handle::enter);
            lanes::give_way(10);
            work()
        });
        match started {
            Ok(thread) => thread.join().map_err(|panic| vec![finding(file, &*panic)]),
            Err(error) => {
                let text = format!("no thread can be started for building a release: {error}");
                Err(vec![Finding::error("release/no-thread", file, text).help("it is tried again in a moment")])
            }
        }
    })
}

/// The text of a panic is told only if it is a constant: others may hold what a file holds.
fn finding(file: &str, panic: &(dyn Any + Send)) -> Finding {
    let what = panic.downcast_ref::<&'static str>().copied();
    let text = match what {
        Some(what) => format!("building the release ended with a panic: {what}"),
        None => "building the release ended with a panic; the log has its place".to_owned(),
    };
    let finding = Finding::error("release/panicked", file, text);
    finding.help("this is a defect of hookgate: please report it, with this file if you can; it is tried again when a file changes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_finding_about_the_file() {
        let findings = caught("scripts/a.rhai", || panic!("a constant text")).unwrap_err();
        assert_eq!((findings[0].code, findings[0].file.as_str()), ("release/panicked", "scripts/a.rhai"));
        assert!(findings[0].message.ends_with("a constant text"), "{findings:?}");
        let secret = String::from("of a file");
        let findings = apart("gateway.toml", || panic!("{secret}")).unwrap_err();
        assert!(!findings[0].message.contains("of a file"), "{findings:?}");
        assert_eq!(apart("gateway.toml", || 7), Ok(7));
    }
}

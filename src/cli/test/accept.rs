//! `test --accept`: writes what comes of golden cases into their files.

use anyhow::{Context, Result};

use crate::cli::output;
use crate::cli::output::{GOOD, counted, paint};
use hookgate_engine::harness::cases;
use hookgate_engine::harness::run::{Options, Suite};
use hookgate_engine::release::bundle::Place;

/// Writes every case that says something else, or nothing yet.
///
/// # Errors
/// A file cannot be written.
pub(super) fn run(place: &Place, suite: &Suite, options: &Options) -> Result<()> {
    let mut written = 0;
    for subject in &suite.subjects {
        for (name, case) in &subject.cases {
            let id = format!("{}::case/{name}", subject.stem());
            if options.filter.as_ref().is_some_and(|filter| !filter.is_match(&id)) {
                continue;
            }
            // What cannot be run is reported by the run that follows.
            let Ok(Some(text)) = cases::accepted(suite, subject, name) else { continue };
            let path = place.root.join(&case.label);
            std::fs::write(&path, text).with_context(|| format!("`{}` cannot be written", case.label))?;
            output::note(format_args!("{} {}", paint(GOOD, "accepted"), case.label));
            written += 1;
        }
    }
    if written == 0 {
        output::note("every case says already what comes of it");
    } else {
        output::note(format_args!(
            "{} written; look at the difference before you commit it\n",
            counted(written, "case")
        ));
    }
    Ok(())
}

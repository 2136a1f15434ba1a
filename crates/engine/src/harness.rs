//! Tests of scripts: what `hookgate test` and the gate of a reload run.
//!
//! A file `registration_test.rhai` tests `registration.rhai`, through the whole path of a call: decode, script, check,
//! encode. Tests are hermetic: no network, no file, no clock, no chance; what a script reads from outside is as the test
//! says. So a test runs the same way every time, and one that failed may be run once more to look at its values.
//! Nothing here reads a file or prints: the release gives the texts, the command line shows what came of them.

use std::sync::LazyLock;

use hookgate_script::library::{Finished, Library};

pub mod cases;
pub mod coverage;
pub(crate) mod diff;
mod functions;
pub(crate) mod outcome;
pub mod run;
mod session;
pub mod shapes;
pub(crate) mod stage;
pub(crate) mod subject;
pub(crate) mod test;
pub mod trial;

static LIBRARY: LazyLock<Finished> = LazyLock::new(|| {
    let mut library = Library::new("Running");
    functions::running::register(&mut library);
    functions::mocks::register(library.family("Mocks"));
    functions::lookups::register(&mut library);
    functions::sending::register(&mut library);
    functions::assertions::register(library.family("Assertions"));
    functions::marks::register(library.family("Rows and marks"));
    library.finish()
});

/// What tests can use besides what their scripts can: `run`, mocks, assertions.
pub fn library() -> &'static Finished {
    &LIBRARY
}

#[cfg(test)]
mod tests;

//! What a test says about itself: rows of a table, and tests that are not to pass or to run yet.

use rhai::{Dynamic, EvalAltResult, NativeCallContext};

use crate::harness::session;
use crate::harness::session::{Fallible, Mark, Row};
use hookgate_script::library::{Doc, Library};

fn case(name: &str) -> Fallible<()> {
    session::with("case", |session| {
        session.end_row();
        session.last_failed = None;
        session.row = Some(Row { name: name.to_owned(), failed: false });
    })
}

fn todo(why: &str) -> Fallible<()> {
    session::with("todo", |session| session.mark = Some(Mark::Todo(why.to_owned())))
}

/// Ends the test where it stands, in a way that a `try` cannot catch.
fn skip(context: &NativeCallContext, why: &str) -> Fallible<()> {
    session::with("skip", |session| session.mark = Some(Mark::Skip(why.to_owned())))?;
    Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, context.call_position()).into())
}

pub(crate) fn register(library: &mut Library) {
    library.reader(
        Doc::new(
            "case(name: string)",
            "Begins a row of a table. What fails in it is reported under its name, and the next row still runs.",
            r#"for name in ["ann", "bob"] { case(name); assert_eq(run().commands, ["allow"]); } true"#,
        ),
        case,
    );
    library.reader(
        Doc::new(
            "todo(why: string)",
            "Says that this test is not expected to pass yet. It runs; if it passes after all, that is an error.",
            r#"todo("guests get a mark, too"); run().commands.len() == 2"#,
        ),
        todo,
    );
    library.reader(
        Doc::new(
            "skip(why: string)",
            "Ends this test here: it counts as neither passed nor failed.",
            r#"skip("waits for the new schema"); false"#,
        ),
        |context: NativeCallContext, why: &str| skip(&context, why),
    );
}

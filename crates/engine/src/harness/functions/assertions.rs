//! What a test claims. A claim that does not hold is noted with both sides, and ends the test, or the row it stands in.

use std::sync::LazyLock;

use rhai::{Dynamic, EvalAltResult, ImmutableString, NativeCallContext};
use serde_json::Value;

use crate::harness::diff;
use crate::harness::outcome::Outcome;
use crate::harness::session;
use crate::harness::session::{Failure, Fallible};
use hookgate_model::finding::unknown;
use hookgate_script::diagnose::reasons;
use hookgate_script::diagnose::reasons::{FAILURE_REASONS, FailureReason};
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json::{json_for_reading, shown};
use hookgate_script::prelude::secret::Hidden;
use hookgate_script::prelude::text;
use hookgate_script::trace::values;

/// What is wrong, and lines that show it.
struct Broken {
    message: String,
    detail: String,
}

impl Broken {
    fn new(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into() }
    }
}

/// Counts the claim; notes it if it is broken.
fn claim(context: &NativeCallContext, note: &str, check: impl FnOnce() -> Fallible<Option<Broken>>) -> Fallible<()> {
    let name = context.fn_name().to_owned();
    let listening = session::with(&name, |session| {
        session.assertions += 1;
        session.is_listening()
    })?;
    if !listening {
        return Ok(());
    }
    let Some(Broken { message, detail }) = check()? else { return Ok(()) };
    let position = context.call_position();
    let message = if note.is_empty() { message } else { format!("{note}: {message}") };
    let file = context.call_source().unwrap_or_default().to_owned();
    let noted = values::noted();
    let goes_on = session::with(&name, |session| {
        let row = session.row.as_mut().map(|row| {
            row.failed = true;
            row.name.clone()
        });
        let (line, column) = (position.line().unwrap_or(0), position.position().unwrap_or(0));
        let goes_on = row.is_some();
        let cause = session.cause();
        session.failures.push(Failure { row, file, line, column, message, detail, cause, noted });
        goes_on
    })?;
    // A `try` of the test must not catch it.
    if goes_on { Ok(()) } else { Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, position).into()) }
}

/// A value for comparing: an outcome as everything it has.
fn value(dynamic: &Dynamic) -> Fallible<Value> {
    if let Some(outcome) = dynamic.read_lock::<Outcome>() {
        return Ok(outcome.json());
    }
    if dynamic.is::<Hidden>() {
        return Err("a Secret cannot be compared by an assertion: write `assert(secret == \"…\")`".into());
    }
    json_for_reading(dynamic).map_err(Into::into)
}

fn equal(actual: &Dynamic, expected: &Dynamic) -> Fallible<Option<Broken>> {
    let (actual, expected) = (value(actual)?, value(expected)?);
    if diff::same(&actual, &expected) {
        return Ok(None);
    }
    Ok(Some(Broken::new("the two are not equal", diff::sides(&actual, &expected))))
}

fn unequal(left: &Dynamic, right: &Dynamic) -> Fallible<Option<Broken>> {
    let (left, right) = (value(left)?, value(right)?);
    let same = diff::same(&left, &right);
    Ok(same.then(|| Broken::new("the two are equal", format!("  both     {left}"))))
}

fn contains(whole: &Dynamic, part: &Dynamic) -> Fallible<Option<Broken>> {
    let (whole, part) = (value(whole)?, value(part)?);
    let found = match (&whole, &part) {
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| diff::same(item, part)),
        (Value::Object(members), Value::String(name)) => members.contains_key(name),
        (whole, _) => {
            return Err(format!("`assert_contains` looks into texts, arrays and maps, not into {whole}").into());
        }
    };
    let what = if whole.is_string() {
        "the text"
    } else if whole.is_array() {
        "the array"
    } else {
        "the map"
    };
    Ok((!found)
        .then(|| Broken::new(format!("{what} does not contain {part}"), format!("  in       {}", short(&whole)))))
}

fn matching(actual: &Dynamic, pattern: &str) -> Fallible<Option<Broken>> {
    let actual = match value(actual)? {
        Value::String(text) => text,
        other => return Err(format!("`assert_matches` takes a text, not {other}").into()),
    };
    let found = text::matches(&actual, pattern)?;
    Ok((!found).then(|| Broken::new("the text does not match", format!("  pattern  {pattern}\n  actual   {actual:?}"))))
}

fn has_part(actual: &Dynamic, wanted: &Dynamic) -> Fallible<Option<Broken>> {
    let (actual, wanted) = (value(actual)?, value(wanted)?);
    let missing = diff::missing(&actual, &wanted);
    Ok(missing.map(|missing| Broken::new(missing, format!("  in       {}", short(&actual)))))
}

fn fails(outcome: &Outcome, text: &str) -> Option<Broken> {
    outcome.seen().set();
    let Some(error) = outcome.error() else {
        let message = format!("the script did not fail{}", about_word(text));
        return Some(Broken::new(message, format!("  reply    {}", short(&outcome.reply()))));
    };
    let message = error.finding.one_line();
    if error.reason() == text || message.contains(text) {
        return None;
    }
    let detail = format!("  expected {text:?}\n  actual   {}: {message}", error.reason());
    Some(Broken::new(format!("the script failed for another reason{}", about_word(text)), detail))
}

/// What there is to say of a word that was to be the reason: that it is none, or none that a test can bring about. Nothing of
/// other texts, which may be part of a message.
fn about_word(text: &str) -> String {
    let is_word =
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    match reasons::find(text) {
        _ if !is_word => String::new(),
        Some(reason) if reason.in_tests => String::new(),
        Some(reason) => format!("; `{text}` ({}) comes of a running gateway, and of no test", reason.about),
        None => {
            let words: Vec<&str> = FAILURE_REASONS.iter().map(|reason| reason.word).collect();
            format!("; {}", unknown("reason", text, &words))
        }
    }
}

/// The documentation of `assert_fails`, from the table of reasons.
static ASSERT_FAILS: LazyLock<String> = LazyLock::new(|| {
    let told = |reason: &FailureReason| format!("`{}` ({})", reason.word, reason.about);
    let list = |in_tests: bool| {
        FAILURE_REASONS.iter().filter(|reason| reason.in_tests == in_tests).map(told).collect::<Vec<_>>().join(", ")
    };
    format!(
        "Fails unless the script failed, so that `on_failure` was taken; with a text, unless that is the reason or stands in the \
         message. The reasons are those of the metric `hookgate_fallback_total`: {}. Only a running gateway fails with {}.",
        list(true),
        list(false)
    )
});

fn short(value: &Value) -> String {
    const MOST: usize = 400;
    let text = value.to_string();
    if text.len() <= MOST { text } else { format!("{}…", &text[..text.floor_char_boundary(MOST)]) }
}

/// Registers `name` with and without a last argument that says what the claim is about.
macro_rules! assertion {
    ($library:expr, $doc:expr, $name:literal, |$($argument:ident: $kind:ty),+| $check:expr) => {
        $library.reader($doc, |context: NativeCallContext, $($argument: $kind),+| {
            claim(&context, "", || $check)
        });
        $library.overload($name, |context: NativeCallContext, $($argument: $kind,)+ about: ImmutableString| {
            claim(&context, &about, || $check)
        });
    };
}

pub(crate) fn register(library: &mut Library) {
    assertion!(
        library,
        Doc::new(
            "assert(condition: bool [, about: string])",
            "Fails unless the condition holds; shows the values of what stands in it. Every assertion takes one more text that says what it is about.",
            "assert(1 + 1 == 2) == ()",
        ),
        "assert",
        |condition: bool| Ok((!condition).then(|| Broken::new("the condition does not hold", "")))
    );
    library.overload("assert", |context: NativeCallContext, other: Dynamic| -> Fallible<()> {
        let _ = context;
        Err(format!("`assert` takes true or false, not {}: compare it, as in `assert(x != ())`", shown(&other)).into())
    });
    assertion!(
        library,
        Doc::new(
            "assert_eq(actual: any, expected: any [, about: string])",
            "Fails unless both are equal: 1 and 1.0 are, and an Email is equal to its text. Maps and arrays are shown as a diff.",
            r#"assert_eq([1, #{ a: "x" }], [1, #{ a: "x" }]) == ()"#,
        ),
        "assert_eq",
        |actual: Dynamic, expected: Dynamic| equal(&actual, &expected)
    );
    assertion!(
        library,
        Doc::new(
            "assert_ne(left: any, right: any [, about: string])",
            "Fails if both are equal.",
            "assert_ne(1, 2) == ()"
        ),
        "assert_ne",
        |left: Dynamic, right: Dynamic| unequal(&left, &right)
    );
    register_parts(library);
}

fn register_parts(library: &mut Library) {
    assertion!(
        library,
        Doc::new(
            "assert_contains(whole: string or array or map, part: any [, about: string])",
            "Fails unless the text has the part, the array the item, or the map the member.",
            r#"assert_contains([1, 2], 2) == () && assert_contains("abc", "b") == ()"#,
        ),
        "assert_contains",
        |whole: Dynamic, part: Dynamic| contains(&whole, &part)
    );
    assertion!(
        library,
        Doc::new(
            "assert_matches(text: string, pattern: string [, about: string])",
            "Fails unless the regular expression matches somewhere in the text.",
            r#"assert_matches("ann@example.com", "@example\\.com$") == ()"#,
        ),
        "assert_matches",
        |text: Dynamic, pattern: ImmutableString| matching(&text, &pattern)
    );
    assertion!(
        library,
        Doc::new(
            "assert_json(actual: any, part: any [, about: string])",
            "Fails unless everything in the part is in the value: maps may have more members; arrays must have the same items.",
            r#"assert_json(#{ a: 1, b: [#{ c: 2, d: 3 }] }, #{ b: [#{ c: 2 }] }) == ()"#,
        ),
        "assert_json",
        |actual: Dynamic, part: Dynamic| has_part(&actual, &part)
    );
    library.reader(
        Doc::new(
            "assert_fails(outcome: Outcome [, text: string])",
            &ASSERT_FAILS,
            r#"set_params(#{}); assert_fails(run(), "script_error") == ()"#,
        ),
        |context: NativeCallContext, outcome: Outcome| claim(&context, "", || Ok(fails(&outcome, ""))),
    );
    library.overload("assert_fails", |context: NativeCallContext, outcome: Outcome, text: ImmutableString| {
        claim(&context, "", || Ok(fails(&outcome, &text)))
    });
}

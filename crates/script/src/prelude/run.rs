//! What a script reads of its run: `params`, `table`, `log`, `remaining_ms`; and what it may not do there (`sleep`, `exit`).

use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde_json::{Value, json};

use crate::context::{self, Context, LogLine, MAX_LOG_LINES};
use crate::library::{Doc, Library};
use crate::prelude::{Fallible, json};
use crate::table::Table;
use hookgate_model::failpoint;
use hookgate_model::finding;

/// Bytes of one log line, its fields included; longer ones are cut.
pub(crate) const MAX_LINE_BYTES: usize = 4_096;

/// The constant `params`: a handle on the parameters of whichever route runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params;

impl Params {
    fn read<R>(body: impl FnOnce(&Map) -> R) -> Fallible<R> {
        context::with("params", |run| body(&run.surroundings.params))
    }

    fn value(name: &str) -> Fallible<Dynamic> {
        // A clone of a read-only value can be written again.
        Self::read(|params| params.get(name).cloned().unwrap_or(Dynamic::UNIT).into_read_only())
    }
}

fn table(name: &str) -> Fallible<Arc<Table>> {
    context::with("table", |run| {
        let tables = &run.surroundings.tables;
        tables.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = tables.keys().map(String::as_str).collect();
            let hint = match (finding::nearest(name, names.iter().copied()), names.is_empty()) {
                (_, true) => "gateway.toml has no [tables]".to_owned(),
                (Some(near), _) => format!("did you mean `{near}`? There are: {}", names.join(", ")),
                (None, _) => format!("there are: {}", names.join(", ")),
            };
            Box::<EvalAltResult>::from(format!("there is no table `{name}`: {hint}"))
        })
    })?
}

/// Adds a line to the run's log, within [`MAX_LOG_LINES`] and [`MAX_LINE_BYTES`]. Also where `print` and `debug` go.
pub(crate) fn write_log(run: &mut Context, text: &str, fields: Option<Value>) {
    if run.logs.len() < MAX_LOG_LINES {
        run.logs.push(bounded(text, fields));
        return;
    }
    let dropped = run.logs.get(MAX_LOG_LINES).and_then(|line| line.fields.as_ref()?.get("dropped")?.as_u64());
    let dropped = dropped.unwrap_or(0) + 1;
    run.logs.truncate(MAX_LOG_LINES);
    run.logs.push(LogLine {
        text: format!("{dropped} more lines were dropped: a run may log {MAX_LOG_LINES}"),
        fields: Some(json!({ "dropped": dropped })),
    });
}

fn bounded(text: &str, fields: Option<Value>) -> LogLine {
    let room = MAX_LINE_BYTES.saturating_sub(fields.as_ref().map_or(0, |fields| fields.to_string().len()));
    if text.len() <= room {
        return LogLine { text: text.to_owned(), fields };
    }
    // Fields are data and make no sense by halves, so they go first.
    let fields = fields.map(|_| json!({ "truncated": true }));
    let end = text.floor_char_boundary(MAX_LINE_BYTES - 64);
    let text = if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() };
    LogLine { text, fields }
}

/// Bytes of a reason or note that are kept.
const MAX_REASON_BYTES: usize = 200;

fn cut(code: &str) -> &str {
    &code[..code.floor_char_boundary(MAX_REASON_BYTES)]
}

fn log(text: &str, fields: Option<&Dynamic>) -> Fallible<()> {
    let fields = fields.map(json::json_for_reading).transpose().map_err(|message| format!("`log`: {message}"))?;
    failpoint::reach_with("script.log", text);
    context::with("log", |run| write_log(run, text, fields))
}

/// A list or map as the log shows it.
fn readable(value: &Dynamic) -> Fallible<ImmutableString> {
    Ok(json::json_for_reading(value)?.to_string().into())
}

fn unavailable(name: &str) -> Fallible<()> {
    Err(format!("`{name}` is not available in hooks").into())
}

pub(super) fn register(library: &mut Library) {
    register_params(library);
    library.reader(
        Doc::new(
            "table(name: string) -> Table",
            "A table of gateway.toml, as of this release.",
            r#"table("disposable").has("mailinator.com")"#,
        ),
        |name: &str| table(name),
    );
    library.reader(
        Doc::new(
            "log(text: string)",
            "Adds a line to the decision's log: 100 lines of 4 KiB at most.",
            r#"log("hello") == ()"#,
        ),
        |text: &str| log(text, None),
    );
    library.reader(
        Doc::new(
            "log(text: string, fields: map)",
            "Adds a line with fields to the decision's log. A Secret shows as `***`.",
            r#"log("denied", #{ domain: "example.com", tries: 3 }) == ()"#,
        ),
        |text: &str, fields: Map| log(text, Some(&Dynamic::from_map(fields))),
    );
    library.reader(
        Doc::new(
            "reason(code: string)",
            "Why the script decides as it does: a short code of your own, kept with the decision and shown by `hookgate explain`. The last one counts; 200 bytes.",
            r#"reason("partner_domain") == ()"#,
        ),
        |code: &str| context::with("reason", |run| run.reason = Some(cut(code).into())),
    );
    library.reader(
        Doc::new(
            "note(text: string)",
            "A short message for the provider's log: it leaves in the reply, in `debugContext`, also beside `on_failure`. Nothing secret belongs there. The last one counts; 200 bytes. Where a reply has no body, as to events, there is no note.",
            r#"note("partner directory was asked") == ()"#,
        ),
        |text: &str| context::with("note", |run| run.note = Some(cut(text).into())),
    );
    library.reader(
        Doc::new(
            "remaining_ms() -> int",
            "Milliseconds until the deadline of this run; 0 when it has passed.",
            "remaining_ms() > 0",
        ),
        || context::with("remaining_ms", Context::remaining_ms)?,
    );
    // Rhai would print them with everything that is in them.
    for name in ["print", "debug"] {
        library.overload(name, |map: Map| readable(&Dynamic::from_map(map)));
        library.overload(name, |items: Array| readable(&Dynamic::from_array(items)));
    }
    library.overload("sleep", |_: i64| unavailable("sleep"));
    library.overload("sleep", |_: f64| unavailable("sleep"));
    library.overload("exit", || unavailable("exit"));
    library.overload("exit", |_: Dynamic| unavailable("exit"));
    // Lists every function of the engine, which takes long and tells a policy nothing.
    let listing = "get_fn_metadata_list";
    library.overload(listing, move || unavailable(listing));
    library.overload(listing, move |_: &str| unavailable(listing));
    library.overload(listing, move |_: &str, _: i64| unavailable(listing));
}

fn register_params(library: &mut Library) {
    library.value::<Params>("Params", "The parameters of the route or rule.");
    library.constant(
        Doc::new(
            "params: Params",
            "The parameters of the route or rule, from `[routes.NAME.params]`: `params.partner_domains`; absent is `()`, or what `const PARAMS` of the script has for it. Read-only.",
            r#"params.partner_domains == ["partner.example"] && params["nothing"] == () && "partner_domains" in params"#,
        ),
        Dynamic::from(Params),
    );
    library.module().set_indexer_get_fn(|_: &mut Params, name: ImmutableString| Params::value(&name));
    library.reader(
        Doc::new(
            "Params.contains(name: string) -> bool",
            "Whether the parameter is set; the same as `name in params`.",
            r#"params.contains("partner_domains") && !("nothing" in params)"#,
        ),
        |_: &mut Params, name: &str| Params::read(|params| params.contains_key(name)),
    );
    library.reader(
        Doc::new(
            "Params.keys() -> array",
            "The names of the parameters, sorted.",
            r#"params.keys() == ["partner_domains"]"#,
        ),
        |_: &mut Params| {
            Params::read(|params| -> Array {
                params.keys().map(|name| Dynamic::from(ImmutableString::from(name.as_str()))).collect()
            })
        },
    );
    library.overload("to_string", |_: &mut Params| shown());
    library.overload("to_debug", |_: &mut Params| shown());
}

fn shown() -> Fallible<String> {
    let params = Params::read(|params| Dynamic::from_map(params.clone()))?;
    Ok(json::json_for_reading(&params)?.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::context::World;

    fn context() -> Context {
        let deadline = Instant::now() + Duration::from_secs(1);
        Context::new(Arc::default(), World::Real, deadline)
    }

    #[test]
    fn lines_over_the_cap_are_counted() {
        let mut run = context();
        for n in 0..MAX_LOG_LINES + 3 {
            write_log(&mut run, &n.to_string(), None);
        }
        assert_eq!(run.logs.len(), MAX_LOG_LINES + 1);
        assert_eq!(run.logs[MAX_LOG_LINES].fields, Some(json!({ "dropped": 3 })));
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let mut run = context();
        write_log(&mut run, &"ü".repeat(5_000), Some(json!({ "a": 1 })));
        write_log(&mut run, "short", Some(json!({ "a": "x".repeat(5_000) })));
        assert!(run.logs.iter().all(|line| line.text.len() <= MAX_LINE_BYTES));
        assert!(run.logs[0].text.ends_with('…'));
        assert_eq!((run.logs[1].text.as_str(), &run.logs[1].fields), ("short", &Some(json!({ "truncated": true }))));
    }

    #[test]
    fn outside_a_run_there_are_no_parameters() {
        assert!(Params::value("x").expect_err("no run").to_string().contains("`params`"));
    }
}

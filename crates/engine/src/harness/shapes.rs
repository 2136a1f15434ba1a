//! What `outcome` holds after each kind of result of a run. What only one hook has stands with the hook ([`Hook::results`]).

use hookgate_hooks::{Hook, ResultShape};

/// The rows of a hook: its own results first, and those that every hook has.
pub fn of(hook: &Hook) -> impl Iterator<Item = &'static ResultShape> {
    hook.results.iter().chain(EVERY)
}

/// Results that every hook has.
const EVERY: &[ResultShape] = &[
    ResultShape::of(
        "an action is asked for",
        r#"notify("alerts", "hello")"#,
        &[
            r#"outcome.actions == [#{ connector: "alerts", "do": "notify", message: "hello" }]"#,
            "outcome.refused == []",
            "outcome.notes == []",
            "outcome.failure == ()",
        ],
    ),
    ResultShape::of(
        "an action cannot be done",
        r#"let nobody = join([], ""); email("mail", #{ to: nobody, subject: "hello", text: "hello" })"#,
        &["outcome.actions == []", r#"outcome.refused[0].connector == "mail""#, r#"outcome.refused[0].refused != """#],
    ),
    ResultShape::of(
        "something is looked up and logged",
        r#"let ann = http("hr").get("/people/7").json; log("found", #{ name: ann.name }); reason("known"); []"#,
        &[
            r#"outcome.lookups == [#{ connector: "hr", asked: "GET /people/7", outcome: "ok" }]"#,
            r#"outcome.logs == [#{ text: "found", fields: #{ name: "Ann" } }]"#,
            r#"outcome.reason == "known""#,
        ],
    )
    .after(r#"mock_http("hr", "GET /people/7", #{ name: "Ann" });"#),
    ResultShape::of(
        "the script fails",
        r#"throw "no contract""#,
        &[
            r#"outcome.failure.reason == "script_error""#,
            r#"outcome.failure.message.contains("no contract")"#,
            "outcome.failure.line > 0",
            "outcome.commands == []",
            "outcome.actions == []",
        ],
    ),
    ResultShape::of(
        "a limit is reached",
        "let list = []; list.pad(1000000, 0); []",
        &[r#"outcome.failure.reason == "limit""#, "outcome.commands == []"],
    ),
];

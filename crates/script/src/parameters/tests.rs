use rhai::Map;
use serde_json::{Value, json};

use crate::engine;
use crate::parameters::{Around, Declared, declared, of_statement};
use crate::prelude::json::{dynamic_from_json, json_from_dynamic};

fn read(written: &str) -> Declared {
    let parser = engine::parser(engine::Dialect::Script);
    let ast = parser.compile(format!("const PARAMS = {written};")).expect("the declaration parses");
    declared(&ast).expect("there is one")
}

/// What a script gets, and what does not fit.
fn completed(written: &str, given: &Value) -> (Value, Vec<String>) {
    let declared = read(written);
    let problems: Vec<&str> = declared.problems.iter().map(|problem| problem.message.as_str()).collect();
    let declaration = declared.whole().unwrap_or_else(|| panic!("{written}: {problems:?}"));
    let problem =
        |name: &str, function: &str| (name == "hr" && function == "notify").then(|| "it only answers".to_owned());
    let around = Around { tables: Some(vec!["users"]), connectors: Some(vec!["alerts", "hr"]), problem: &problem };
    let given: Map = dynamic_from_json(given).cast();
    let (complete, misfits) = declaration.complete(given, &around);
    let complete = json_from_dynamic(&complete.into()).expect("it is JSON");
    (complete, misfits.iter().map(|misfit| misfit.one_line()).collect())
}

/// A declaration of `x` with one type, values that fit and values that do not, each with what is said.
type Row<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

const ROWS: &[Row<'_>] = &[
    ("type: \"any\"", &["1", "[]", "{}", "\"\""], &[]),
    (
        "type: \"text\"",
        &["\"a\"", "\"\""],
        &[("1", "params.x must be a text, not 1 (about)"), ("[]", "params.x must be a text, not a list (about)")],
    ),
    (
        "type: \"text\", pattern: \"^(login|attribute:.+)$\"",
        &["\"login\"", "\"attribute:a\""],
        &[(
            "\"attribute\"",
            "params.x must be a text that matches `^(login|attribute:.+)$`, not \"attribute\" (about)",
        )],
    ),
    (
        "type: \"secret\"",
        &["\"a\""],
        &[("7", "params.x must be a secret: a text, or `{ env = \"NAME\" }`, not 7 (about)")],
    ),
    (
        "type: \"int\", min: 1, max: 20",
        &["1", "20"],
        &[
            ("0", "params.x must be a whole number from 1 to 20, not 0 (about)"),
            ("21", "params.x must be a whole number from 1 to 20, not 21 (about)"),
            ("1.5", "params.x must be a whole number from 1 to 20, not 1.5 (about)"),
            ("\"5\"", "params.x must be a whole number from 1 to 20, not \"5\" (about)"),
        ],
    ),
    ("type: \"float\", min: 0", &["0.5", "1"], &[("-0.5", "params.x must be a number, 0 or more, not -0.5 (about)")]),
    ("type: \"bool\"", &["true", "false"], &[("\"true\"", "params.x must be true or false, not \"true\" (about)")]),
    (
        "type: \"duration\", max: \"30d\"",
        &["\"10m\"", "\"1h30m\"", "\"30d\""],
        &[
            ("\"31d\"", "params.x must be a length of time such as \"10m\", 30d at most, not \"31d\" (about)"),
            ("\"ten\"", "params.x must be a length of time such as \"10m\", 30d at most, not \"ten\" (about)"),
            ("10", "params.x must be a length of time such as \"10m\", 30d at most, not 10 (about)"),
        ],
    ),
    (
        "type: \"rate\", words: [\"off\"]",
        &["\"5/10m\"", "\"off\""],
        &[
            ("\"5\"", "params.x must be \"off\" or a rate such as \"5/10m\", not \"5\" (about)"),
            ("\"of\"", "params.x must be \"off\" or a rate such as \"5/10m\", not \"of\" (did you mean \"off\"?)"),
        ],
    ),
    (
        "type: \"list of domain\"",
        &["[\"example.com\", \"*.example.com\", \"ann@example.com\", \"bücher.example\"]", "\"example.com\"", "[]"],
        &[
            (
                "[\"a.example\", \"@b.example\"]",
                "params.x[1] must be \"example.com\", \"*.example.com\" or \"ann@example.com\", not \"@b.example\" (about)",
            ),
            (
                "[\"\"]",
                "params.x[0] must be \"example.com\", \"*.example.com\" or \"ann@example.com\", not \"\" (about)",
            ),
            ("7", "params.x must be a list of domains, not 7 (about)"),
        ],
    ),
    (
        "type: \"country\"",
        &["\"DE\"", "\"us\""],
        &[
            ("\"UK\"", "params.x must be a country: two letters such as \"US\", not \"UK\" (write \"GB\")"),
            ("\"Germany\"", "params.x must be a country: two letters such as \"US\", not \"Germany\" (about)"),
        ],
    ),
    (
        "type: \"event\"",
        &["\"user.session.*\"", "\"user.session.start\"", "\"*\""],
        &[(
            "\"user session\"",
            "params.x must be a type of event such as \"user.session.start\" or \"user.session.*\", not \"user session\" (about)",
        )],
    ),
    (
        "words: [\"allow\", \"deny\"]",
        &["\"deny\""],
        &[
            ("\"dney\"", "params.x must be \"allow\" or \"deny\", not \"dney\" (did you mean \"deny\"?)"),
            ("\"Deny\"", "params.x must be \"allow\" or \"deny\", not \"Deny\" (did you mean \"deny\"?)"),
            ("\"never\"", "params.x must be \"allow\" or \"deny\", not \"never\" (about)"),
        ],
    ),
    (
        "type: \"connector for notify\"",
        &["\"alerts\""],
        &[
            ("\"alert\"", "params.x: there is no connector `alert` (did you mean `alerts`?)"),
            ("\"pager\"", "params.x: there is no connector `pager` (add `[connectors.pager]`)"),
            ("\"hr\"", "params.x: the connector `hr` does not go with `notify`: it only answers (these do: alerts)"),
        ],
    ),
    (
        "type: \"table\"",
        &["\"users\""],
        &[("\"usres\"", "params.x: there is no table `usres` (did you mean `users`?)")],
    ),
    (
        "type: \"map of list of text\"",
        &["{\"a\": [\"b\"]}", "{\"a\": \"b\"}", "{}"],
        &[
            ("{\"a\": [1]}", "params.x.a[0] must be a text, not 1 (about)"),
            ("[\"a\"]", "params.x must be a table, not a list (about)"),
        ],
    ),
    (
        "type: \"map of int\", keys: \"country\"",
        &["{\"DE\": 8}"],
        &[(
            "{\"Germany\": 8}",
            "params.x.Germany must be a country: two letters such as \"US\", not \"Germany\" (about)",
        )],
    ),
    (
        "type: \"list of map\", one_of: [\"a\", \"b\"], members: #{ a: #{ type: \"text\", needs: [\"c\"], text: \"A\" }, \
         b: #{ type: \"text\", text: \"B\" }, c: #{ type: \"text\", text: \"C\" } }",
        &["[{\"a\": \"1\", \"c\": \"2\"}, {\"b\": \"1\"}]"],
        &[
            ("[{\"a\": \"1\"}]", "params.x[0]: `c` is missing beside `a` (`a`: A)"),
            ("[{}]", "params.x[0]: needs one of `a`, `b`, and has 0 (about)"),
            ("[{\"b\": \"1\", \"a\": \"1\", \"c\": \"1\"}]", "params.x[0]: needs one of `a`, `b`, and has 2 (about)"),
            ("[{\"b\": \"1\", \"cc\": \"1\"}]", "params.x[0].cc: there is no parameter `cc` (did you mean `c`?)"),
        ],
    ),
    (
        "type: \"list of word\", split: \"+\", words: [\"page\", \"ticket\"]",
        &["\"page\"", "\"page + ticket\"", "[\"page\"]"],
        &[("\"page+tiket\"", "params.x[1] must be \"page\" or \"ticket\", not \"tiket\" (did you mean \"ticket\"?)")],
    ),
    (
        "type: \"list of text\", min_items: 1",
        &["[\"a\"]"],
        &[("[]", "params.x is too short a list (name 1 at least, or leave it out)")],
    ),
];

#[test]
fn values_that_do_not_fit_are_told_with_their_place_and_a_remedy() {
    for (options, fitting, others) in ROWS {
        let written = format!("#{{ x: #{{ {options}, text: \"about\" }} }}");
        for value in *fitting {
            let given = json!({ "x": serde_json::from_str::<Value>(value).unwrap() });
            assert_eq!(completed(&written, &given).1, [""; 0], "{options}: {value}");
        }
        for (value, told) in *others {
            let given = json!({ "x": serde_json::from_str::<Value>(value).unwrap() });
            assert_eq!(completed(&written, &given).1, [*told], "{options}: {value}");
        }
    }
}

/// What the schema cannot know: which names there are, how long a time is, which countries there are, how types of events look.
const BEYOND_SCHEMA: [&str; 7] =
    ["\"31d\"", "\"UK\"", "\"user session\"", "\"alert\"", "\"pager\"", "\"hr\"", "\"usres\""];

#[test]
fn the_schema_says_the_same_as_the_check() {
    for (options, fitting, others) in ROWS {
        let declared = read(&format!("#{{ x: #{{ {options}, text: \"about\" }} }}"));
        let schema = jsonschema::draft7::new(&declared.declaration.schema(false)).expect("the schema is one");
        let is_valid = |value: &str| schema.is_valid(&json!({ "x": serde_json::from_str::<Value>(value).unwrap() }));
        for value in *fitting {
            assert!(is_valid(value), "{options}: {value}");
        }
        for (value, _) in others.iter().filter(|(value, _)| !BEYOND_SCHEMA.contains(value)) {
            assert!(!is_valid(value), "{options}: {value}");
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let written = "#{ a: #{ type: \"int\", text: \"A\" }, b: #{ type: \"text\", required: true, text: \"B\" } }";
    let (_, told) = completed(written, &json!({ "a": "1", "bb": 2 }));
    assert_eq!(
        told,
        [
            "params.bb: there is no parameter `bb` (did you mean `b`?)",
            "params.a must be a whole number, not \"1\" (A)",
            "params: `b` is missing (`b`: B)",
        ]
    );
}

#[test]
fn what_is_absent_is_filled_in_and_what_is_short_is_written_out() {
    let written = r#"#{
        list: #{ type: "list of text", if_absent: [], text: "t" },
        alone: #{ type: "list of country", text: "t" },
        cut: #{ type: "list of word", words: ["a", "b"], split: "+", if_absent: "a+b", text: "t" },
        nothing: #{ type: "text", text: "t" },
        group: #{ type: "map of map", alone: "label", text: "t", members: #{
            label: #{ type: "text", text: "t" },
            severity: #{ words: ["info", "page"], if_absent: "info", text: "t" },
        } },
        inner: #{ if_absent: #{}, text: "t", members: #{ mode: #{ words: ["on", "off"], if_absent: "on", text: "t" } } },
        off: #{ text: "t", members: #{ mode: #{ words: ["on", "off"], if_absent: "on", text: "t" } } },
    }"#;
    let (complete, told) =
        completed(written, &json!({ "alone": "de", "group": { "1": "Payroll", "2": { "severity": "page" } } }));
    assert_eq!(told, [""; 0]);
    let wanted = json!({
        "alone": ["DE"], "cut": ["a", "b"],
        "group": { "1": { "label": "Payroll", "severity": "info" }, "2": { "severity": "page" } },
        "inner": { "mode": "on" }, "list": [],
    });
    assert_eq!(complete, wanted);
    // A second time changes nothing: tests complete what a release has completed.
    assert_eq!(completed(written, &complete), (wanted, Vec::new()));
}

#[test]
fn what_is_wrong_with_a_declaration_is_told() {
    let rows = [
        ("[]", "parameters are declared in a map that is written out"),
        ("#{ a: \"text\" }", "`a` needs a map with its type"),
        ("#{ a: #{ text: \"t\" } }", "`a` lacks `type`"),
        ("#{ a: #{ type: \"txet\", text: \"t\" } }", "there is no type `txet`"),
        ("#{ a: #{ type: \"list of txet\", text: \"t\" } }", "there is no type `txet`"),
        ("#{ a: #{ type: \"text\" } }", "`a` lacks `text`, one line that says what it means"),
        ("#{ a: #{ type: \"text\", text: \"t\", defualt: 1 } }", "`defualt` says nothing of a parameter"),
        ("#{ a: #{ type: \"word\", text: \"t\" } }", "`a` lacks its words"),
        ("#{ a: #{ words: [1], text: \"t\" } }", "`words` has to be a list of texts that are written out"),
        (
            "#{ a: #{ type: \"int\", if_absent: \"1\", text: \"t\" } }",
            "`if_absent` does not fit the type: it must be a whole number, not \"1\"",
        ),
        ("#{ a: #{ type: \"int\", if_absent: f(), text: \"t\" } }", "`if_absent` has to be written out"),
        (
            "#{ a: #{ type: \"int\", if_absent: 1, required: true, text: \"t\" } }",
            "`a` is required, so it is never absent",
        ),
        ("#{ a: #{ type: \"text\", pattern: \"(\", text: \"t\" } }", "`(` is no regular expression"),
        (
            "#{ a: #{ type: \"duration\", max: \"long\", text: \"t\" } }",
            "`long` is not a length of time: write `90s`, `15m`, `2h`, `7d` or `1h30m`",
        ),
        (
            "#{ a: #{ type: \"connector for notfy\", text: \"t\" } }",
            "no function `notfy` takes the name of a connector",
        ),
        (
            "#{ a: #{ one_of: [\"c\"], members: #{ b: #{ type: \"text\", text: \"t\" } }, text: \"t\" } }",
            "`a` has no member `c`",
        ),
        ("#{ a: #{ type: \"text\", needs: [\"b\"], text: \"t\" } }", "`needs` says nothing of a parameter"),
    ];
    for (written, told) in rows {
        let declared = read(written);
        let messages: Vec<&str> = declared.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages.first(), Some(&told), "{written}: {messages:?}");
        assert!(declared.whole().is_none(), "{written}");
    }
    let near = read("#{ a: #{ type: \"txet\", text: \"t\" } }").problems.remove(0);
    assert_eq!(near.help.as_deref(), Some("did you mean `text`?"));
    assert_eq!(near.place.position(), Some(31));
}

#[test]
fn a_declaration_is_read_where_the_rest_is_broken() {
    let declaration = of_statement("const PARAMS = #{ a: #{ type: \"text\", text: \"t\" } }").expect("it is whole");
    assert_eq!(declaration.names().collect::<Vec<_>>(), ["a"]);
    assert!(of_statement("const PARAMS = #{ a: ").is_none());
}

#[test]
fn what_looks_like_a_secret_is_not_shown() {
    let written = "#{ x: #{ words: [\"a\", \"b\"], text: \"about\" } }";
    let (_, told) = completed(written, &json!({ "x": "sk_live_CANlit1aaaaaaaa" }));
    assert_eq!(told, ["params.x must be \"a\" or \"b\", not this text (about)"]);
}

//! Parse and run-time errors with the exact words an author sees.

use annotate_snippets::Renderer;
use proptest::prelude::*;
use rhai::{Dynamic, Scope};

use crate::diagnose::{ErrorKind, Limit, Run, ScriptError, parse_error, runtime};
use crate::lint::sample::{Request, engine, known};

const RUN: Run = Run { file: "signup.rhai", entry: "on_signup", stopped: None, last_seen: None };

fn script(body: &str) -> String {
    format!(
        "fn on_signup(request) {{\n{body}\n}}\nfn recurse(x) {{ recurse(x) }}\nfn helper(r) {{\n    inner(r)\n}}\nfn inner(r) {{ r.zzz }}\n"
    )
}

fn run_with(source: &str, run: &Run) -> ScriptError {
    let engine = engine();
    let mut ast = engine.compile(source).expect("the snippets of the run-time table parse");
    ast.set_source(run.file);
    let error = engine.call_fn::<Dynamic>(&mut Scope::new(), &ast, run.entry, (Request,)).expect_err(source);
    runtime(error, run, &|file| (file == run.file).then_some(source), &known())
}

fn failed(body: &str) -> ScriptError {
    run_with(&script(body), &RUN)
}

const PARSE: &[(&str, &str)] = &[
    (
        "fn on_signup(request) { deny(\"x }",
        "signup.rhai:1:30: this text has no closing quote (add `\"` at its end; a text over several lines is written in backticks)",
    ),
    (
        "fn on_signup(request) { deny(`x ${request.email`) }",
        "signup.rhai:1:33: `${` is never closed (add `}` after the value)",
    ),
    ("fn on_signup(request) { if (request.a { deny(\"x\") } }", "signup.rhai:1:28: this `(` is never closed (add `)`)"),
    ("fn on_signup(request) { let list = [1, 2; }", "signup.rhai:1:36: this `[` is never closed (add `]`)"),
    ("fn on_signup(request) { if request.a { deny(\"x\") }", "signup.rhai:1:23: this `{` is never closed (add `}`)"),
    (
        "fn on_signup(request) { allow() } }",
        "signup.rhai:1:35: this `}` closes nothing (remove it, or add what should open it)",
    ),
    (
        "fn on_signup(request) { if request.a = 1 { allow() } }",
        "signup.rhai:1:38: `=` assigns, it does not compare (write `==`)",
    ),
    ("fn on_signup(request) { let x = null; }", "signup.rhai:1:33: `null` does not exist (nothing is written `()`)"),
    (
        "fn on_signup(request) { if request.a { 1 } elif request.b { 2 } }",
        "signup.rhai:1:44: `elif` does not exist (write `else if`)",
    ),
    (
        "fn on_signup(request) { if request.a and request.b { 1 } }",
        "signup.rhai:1:38: `and` does not exist (write `&&`)",
    ),
    ("fn on_signup(request) { if request.a or request.b { 1 } }", "signup.rhai:1:38: `or` does not exist (write `||`)"),
    ("fn on_signup(request) { if not request.a { 1 } }", "signup.rhai:1:28: `not` does not exist (write `!`)"),
    ("fn on_signup(request) { deny('abc') }", "signup.rhai:1:30: text is written in double quotes (write `\"abc\"`)"),
    ("fn on_signup(request) { retrun allow(); }", "signup.rhai:1:25: unknown word `retrun` (did you mean `return`?)"),
    ("fucntion on_signup(request) { allow() }", "signup.rhai:1:1: `fucntion` does not exist (write `fn`)"),
    ("function on_signup(request) { allow() }", "signup.rhai:1:1: `function` does not exist (write `fn`)"),
    ("def on_signup(request) { allow() }", "signup.rhai:1:1: `def` does not exist (write `fn`)"),
    ("fn on_signup(request) { var x = 1; }", "signup.rhai:1:25: `var` does not exist (write `let`)"),
    (
        "fn on_signup(request) {\n    let x = 1\n    deny(x)\n}",
        "signup.rhai:2:13: `;` is missing at the end of this line (every statement but the last of a block ends with `;`)",
    ),
    (
        "fn on_signup(request) { deny(\"x\") allow() }",
        "signup.rhai:1:35: `;` is missing before this (every statement but the last of a block ends with `;`)",
    ),
    (
        "fn on_signup(request) { request.groups.map(group => group) }",
        "signup.rhai:1:50: `=>` makes no function (a small function is written `|x| x + 1`)",
    ),
    ("fn on_signup(request) { let i = 0; i++; }", "signup.rhai:1:37: `++` does not exist (write `x += 1`)"),
    ("fn on_signup(request) { if request.a === 1 { } }", "signup.rhai:1:38: `===` does not exist (write `==`)"),
    ("fn on_signup(request) { if request.a !== 1 { } }", "signup.rhai:1:38: `!==` does not exist (write `!=`)"),
    (
        "fn on_signup(request) { let x = 1 + ; }",
        "signup.rhai:1:37: something is missing before `;` (the operator before it needs a value on its right)",
    ),
    (
        "fn on_signup(request) { let fn = 1; }",
        "signup.rhai:1:29: `fn` is a word of the language and cannot be a name (choose another name)",
    ),
    (
        "fn on_signup(request) { let async = 1; }",
        "signup.rhai:1:29: `async` is reserved and cannot be a name (choose another name)",
    ),
    ("fn on_signup(request) { /* never ends }", "signup.rhai:1:25: this comment is never closed (add `*/` at its end)"),
    (
        "fn on_signup(request) { let x = request.a ? 1 : 2; }",
        "signup.rhai:1:43: `condition ? a : b` does not exist (write `if condition { a } else { b }`)",
    ),
    (
        "fn on_signup(request) { for (let i = 0; i < 3; i++) { } }",
        "signup.rhai:1:30: loops over numbers have another form (write `for i in 0..3 { … }`)",
    ),
    (
        "fn on_signup(request) { let x = {a: 1}; }",
        "signup.rhai:1:35: a map begins with `#{` (write `#{ name: value }`)",
    ),
    ("fn on_signup(request: Request) { }", "signup.rhai:1:21: parameters have no types (write only the name)"),
    (
        "fn on_signup(request) -> bool { true }",
        "signup.rhai:1:23: functions declare no result type (write `fn on_signup(…) { … }`)",
    ),
    (
        "fn on_signup(request) { if request.a return 1; }",
        "signup.rhai:1:38: `{` is missing before this (the body of `if`, `else`, `for` and `while` always stands in braces)",
    ),
    (
        "fn on_signup(request) { let x = new User(); }",
        "signup.rhai:1:33: `new` does not exist (call the function alone)",
    ),
    (
        "fn on_signup(request) { deny(“abc”) }",
        "signup.rhai:1:30: `“` is not a quote that scripts know (write the straight quote `\"`)",
    ),
    (
        "fn on_signup(request) { fn inner() { 1 } }",
        "signup.rhai:1:25: a function cannot be defined inside another (move it to the top level, or write a closure: `let f = |x| x + 1;`)",
    ),
    (
        "fn on_signup(request) { 1 } fn on_signup(other) { 2 }",
        "signup.rhai:1:29: `on_signup` with 1 parameter is defined twice (remove one of the two, or give it another name)",
    ),
    (
        "fn on_signup(request) { let x = try { 1 } catch { 2 }; }",
        "signup.rhai:1:33: `try` gives no value (declare a variable before it and assign to it inside)",
    ),
    (
        "fn on_signup(request) { match request.a { } }",
        "signup.rhai:1:25: `match` does not exist (write `switch value { \"a\" => …, _ => … }`)",
    ),
    (
        "fn on_signup(request) { const A = 1; A = 2; }",
        "signup.rhai:1:38: constant `A` cannot be changed (declare it with `let` to change it)",
    ),
    (
        "fn on_signup(request) { if 5 { allow() } }",
        "signup.rhai:1:28: a condition must be `true` or `false`, this is a number (compare it with something: `if count > 0 { … }`)",
    ),
    (
        "fn on_signup(request) { matches(request.a, \"\\d+\") }",
        "signup.rhai:1:45: `\\d` is no escape sequence (a backslash in text is written `\\\\`; a pattern is easier in backticks)",
    ),
];

const RUNTIME: &[(&str, &str)] = &[
    ("denny(\"x\")", "signup.rhai:2:1: unknown function `denny` (did you mean `deny`?)"),
    ("deny(42)", "signup.rhai:2:1: `deny` takes (text: string), you gave (integer)"),
    ("deny(\"a\", \"b\")", "signup.rhai:2:1: `deny` is called with 2 arguments (it is `deny(text: string)`)"),
    ("deny(request)", "signup.rhai:2:1: `deny` takes (text: string), you gave (SignupRequest)"),
    ("request.emial", "signup.rhai:2:9: `request` has no property `emial` (did you mean `email`?)"),
    ("request.email.host", "signup.rhai:2:15: `request.email` has no property `host` (it has `domain` and `text`)"),
    (
        "request.email = 1",
        "signup.rhai:2:9: `request.email` cannot be changed (a request is read-only: return a command instead, or change a copy (`let copy = …;`))",
    ),
    (
        "request.profile.manager.to_upper()",
        "signup.rhai:2:25: `request.profile.manager` is not set, so `.to_upper(…)` cannot be called on it (test it first (`if request.profile.manager != () { … }`) or use `?.`, which gives `()`)",
    ),
    (
        "request.profile.manager.name",
        "signup.rhai:2:25: `request.profile.manager` is not set, so it has no `name` (test it first (`if request.profile.manager != () { … }`) or use `?.`, which gives `()`)",
    ),
    (
        "request.profile.manager[\"name\"]",
        "signup.rhai:2:24: `request.profile.manager` is not set, so it has no items (test it first (`if request.profile.manager != () { … }`) or use `?.`, which gives `()`)",
    ),
    (
        "request.groups.push(\"x\")",
        "signup.rhai:2:16: `request.groups` cannot be changed (a request is read-only: return a command instead, or change a copy (`let copy = …;`))",
    ),
    (
        "let list = [1]; list[5]",
        "signup.rhai:2:22: there is no item 5: the array has 1 item (counting begins at 0; test `.len()` first)",
    ),
    (
        "\"abc\"[9]",
        "signup.rhai:2:7: there is no character 9: the string has 3 characters (counting begins at 0; test `.len()` first)",
    ),
    (
        "let x = 1; x.years",
        "signup.rhai:2:14: `x` (an integer) has no property `years` (an integer has methods only, such as `.to_string()`)",
    ),
    (
        "request[\"email\"]",
        "signup.rhai:2:8: a SignupRequest has no `[string]` (read a property with a dot: `request.email`)",
    ),
    (
        "request.email.to_lower()",
        "signup.rhai:2:15: `.to_lower(…)` cannot be called on an Email (for its text write `.text.to_lower(…)`)",
    ),
    (
        "request.email.text()",
        "signup.rhai:2:15: an Email has no method `text` (it is a property: write `.text` without parentheses)",
    ),
    (
        "request.email + 1",
        "signup.rhai:2:15: `+` does not work between an Email and an integer (the text of the Email is `.text`)",
    ),
    (
        "\"x\" * 2",
        "signup.rhai:2:5: `*` does not work between a string and an integer (convert first: `parse_int(text)` or `number.to_string()`)",
    ),
    (
        "() + 1",
        "signup.rhai:2:4: `+` does not work between nothing (`()`) and an integer (one side is not set: give a default with `??`)",
    ),
    (
        "let x = 9223372036854775807; x + 1",
        "signup.rhai:2:32: the number is too large: 9223372036854775807 + 1 (whole numbers go up to 9223372036854775807)",
    ),
    ("1 / 0", "signup.rhai:2:3: division by zero: 1 / 0 (test the divisor first)"),
    (
        "let x = 5; if x { 1 }",
        "signup.rhai:2:15: a condition must be `true` or `false`, `x` is an integer (compare it: `x > 0`)",
    ),
    ("!5", "signup.rhai:2:1: `!` does not work on an integer (`!` needs `true` or `false`: compare first)"),
    (
        "\"a\" in 5",
        "signup.rhai:2:5: `in` cannot look into an integer (put an array, a map, a string or a range on its right)",
    ),
    ("throw \"no such partner\"", "signup.rhai:2:1: no such partner"),
    ("throw #{ code: 7, message: \"no such partner\" }", "signup.rhai:2:1: no such partner"),
    ("lookup(\"k\")", "signup.rhai:2:1: `lookup` failed: no row `k`"),
    (
        "recurse(1)",
        "signup.rhai: functions call one another too deeply (does a function call itself without end? The limit is `limits.call_depth`)",
    ),
    (
        "loop { }",
        "signup.rhai: the script was stopped: too many operations (is there a loop that never ends? The limit is `limits.operations`)",
    ),
    (
        "let list = []; loop { list.push(1); }",
        "signup.rhai: an array became too long (does it grow in a loop? put large lists in a table; the limit is `limits.max_array_items`)",
    ),
    (
        "let text = \"xx\"; loop { text += text; }",
        "signup.rhai: a string became too long (does it grow in a loop? put large lists in a table; the limit is `limits.max_string_bytes`)",
    ),
    ("nope", "signup.rhai:2:1: unknown variable `nope` (a function sees its parameters and the constants of its file)"),
    (
        "missing::f()",
        "signup.rhai:2:1: nothing is imported as `missing` (write `import \"lib/missing\" as missing;` at the top)",
    ),
    (
        "import \"lib/none\" as none; none::f()",
        "signup.rhai:2:8: there is no script `lib/none` to import (imports name a file below the scripts directory, without `.rhai`: `import \"lib/domains\" as domains;`)",
    ),
    ("parse_int(\"abc\")", "signup.rhai:2:1: the text is not a number (test it first: `matches(text, \"^[0-9]+$\")`)"),
    ("helper(request)", "signup.rhai:8:17: `r` has no property `zzz` (it has `email`, `user`, `profile` and `groups`)"),
    ("helper(request, 2)", "signup.rhai:2:1: `helper` is called with 2 arguments (it is `helper(r)`)"),
    (
        "request.groups.map(|group| group.name)",
        "signup.rhai:2:34: `group` (a string) has no property `name` (a string has methods only, such as `.to_string()`)",
    ),
    (
        "let m = #{}; m.a.b.c",
        "signup.rhai:2:18: `m.a` is not set, so it has no `b` (test it first (`if m.a != () { … }`) or use `?.`, which gives `()`)",
    ),
    ("let f = 5; f.call(1)", "signup.rhai:2:19: only a function can be called, this is an integer"),
    (
        "refuse(\"x\")",
        "signup.rhai:2:1: `refuse` is a command of `acme.token`, not of this hook (this hook has `allow` and `deny`)",
    ),
    (
        "for x in request.email { }",
        "signup.rhai:2:10: `for` cannot go through `request.email` (it needs an array: a map has `request.email.keys()`; what may be absent has a default (`request.email ?? []`))",
    ),
    (
        "let list = [1]; list[\"a\"]",
        "signup.rhai:2:22: the items of `list` have numbers, this is a string (write `[0]` for the first; a value is looked for with `value in list`)",
    ),
];

#[test]
fn every_parse_error_is_said_in_these_words() {
    let mut wrong = Vec::new();
    for (source, wanted) in PARSE {
        let error = engine().compile(source).expect_err(source);
        let said = parse_error(&error, "signup.rhai", source).one_line();
        if said != *wanted {
            wrong.push((source, said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_run_time_error_is_said_in_these_words() {
    let mut wrong = Vec::new();
    for (body, wanted) in RUNTIME {
        let said = failed(body).to_string();
        if said != *wanted {
            wrong.push((body, said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_calls_that_led_to_an_error_are_listed_without_the_gateways_own() {
    let error = failed("helper(request)");
    let wanted =
        [("signup.rhai".to_owned(), 6, "helper".to_owned()), ("signup.rhai".to_owned(), 2, "on_signup".to_owned())];
    assert_eq!(error.finding.called_from, wanted);
    insta::assert_snapshot!(error.finding.render(&Renderer::plain()), @r#"
    error[script/unknown-property]: `r` has no property `zzz`
     --> signup.rhai:8:17
      |
    8 | fn inner(r) { r.zzz }
      |                 ^^^
      |
      = note: called by `helper` at signup.rhai:6
      = note: called by `on_signup` at signup.rhai:2
      = help: it has `email`, `user`, `profile` and `groups`
    "#);
}

#[test]
fn an_unclosed_bracket_is_shown_where_it_opens() {
    let source = "fn on_signup(request) {\n    if (request.a == 1 {\n        deny(\"x\")\n    }\n}";
    let error = engine().compile(source).expect_err("the bracket is open");
    let text = parse_error(&error, "signup.rhai", source).render(&Renderer::plain());
    insta::assert_snapshot!(text, @r#"
    error[script/syntax]: this `(` is never closed
     --> signup.rhai:2:8
      |
    2 |     if (request.a == 1 {
      |        ^
      |
      = help: add `)`
    "#);
}

#[test]
fn errors_are_of_the_kind_that_operators_count() {
    let kinds = [
        ("loop { }", ErrorKind::Limit(Limit::Operations)),
        ("recurse(1)", ErrorKind::Limit(Limit::Depth)),
        ("let text = \"xx\"; loop { text += text; }", ErrorKind::Limit(Limit::Size)),
        ("throw \"x\"", ErrorKind::Thrown),
        ("lookup(\"x\")", ErrorKind::Failed),
        ("nope", ErrorKind::Failed),
    ];
    for (body, kind) in kinds {
        assert_eq!(failed(body).kind, kind, "{body}");
    }
    assert_eq!(ScriptError::panic("a.rhai", "boom").kind, ErrorKind::Panic);
}

#[test]
fn a_stopped_run_says_why_and_where_it_was_last_seen() {
    let source = script("loop { }");
    let run = Run { stopped: Some(Limit::Memory), last_seen: Some((2, 1)), ..RUN };
    let error = Box::new(rhai::EvalAltResult::ErrorTerminated(Dynamic::UNIT, rhai::Position::NONE));
    let error = runtime(error, &run, &|_| Some(&source), &known());
    assert_eq!(error.kind, ErrorKind::Limit(Limit::Memory));
    assert_eq!((error.finding.line, error.finding.excerpt.as_deref()), (2, Some("loop { }")));
}

#[test]
fn an_error_without_its_source_still_says_what_is_wrong() {
    let engine = engine();
    let error = engine.eval::<Dynamic>("let m = #{}; m.a.b").expect_err("nothing is there");
    let error = runtime(error, &RUN, &|_| None, &known());
    assert_eq!(
        error.to_string(),
        "signup.rhai:1:18: the value before it is not set, so it has no `b` (test it first, or use `?.`)"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_breaks_the_diagnosis(body in "[(){}\\[\\]`\"'$;.,=|/*+a-c0-9é \n]{0,40}", index in 0..RUNTIME.len()) {
        let source = script(&format!("{}\n{body}", RUNTIME[index].0));
        match engine().compile(&source) {
            Err(error) => prop_assert!(!parse_error(&error, "signup.rhai", &source).message.is_empty()),
            Ok(ast) => {
                if let Err(error) = engine().call_fn::<Dynamic>(&mut Scope::new(), &ast, "on_signup", (Request,)) {
                    prop_assert!(!runtime(error, &RUN, &|_| Some(&source), &known()).to_string().is_empty());
                }
            }
        }
    }
}

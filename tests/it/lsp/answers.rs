//! What the server answers about places in scripts.

use serde_json::{Value, json};

use super::Editor;

const FILE: &str = "scripts/registration.rhai";

fn text_of(hover: &Value) -> &str {
    hover["contents"]["value"].as_str().unwrap_or_else(|| panic!("no text in {hover}"))
}

#[test]
fn after_a_dot_the_properties_of_the_type_are_offered() {
    let mut editor = Editor::example();
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("fn on_registration(request) { request.| }", &["email", "kind", "profile"], &["domain", "deny", "scopes"]),
        ("fn on_registration(request) { request.email.do| }", &["domain", "domain_in"], &["email", "scopes"]),
        ("fn on_registration(request) { let mail = request.email; mail?.| }", &["domain", "local"], &["kind"]),
        ("fn on_registration(request) { params.| }", &["deny", "subdomains", "disposable"], &["claim"]),
        ("fn on_registration(request) { params.disposable?.| }", &["mode", "allow_override"], &["deny"]),
        ("fn on_registration(request) { email(\"a\").domain.| }", &["starts_with", "to_upper"], &["push"]),
        ("fn on_registration(request) { table(\"|\") }", &["disposable", "legacy_users"], &["deny"]),
        ("fn on_registration(request) { table(\"disposable\").| }", &["has", "get"], &["domain"]),
    ];
    for (text, wanted, unwanted) in cases {
        let offered = editor.offered(FILE, text);
        for name in wanted {
            assert!(offered.iter().any(|label| label == name), "`{name}` is missing at {text}: {offered:?}");
        }
        for name in unwanted {
            assert!(!offered.iter().any(|label| label == name), "`{name}` is offered at {text}");
        }
    }
}

#[test]
fn words_of_the_hook_the_file_and_its_imports_are_offered() {
    let mut editor = Editor::example();
    let text = "import \"lib/domains\" as domains;\nconst LIST = [];\nfn helper(a) { a }\nfn on_registration(request) {\n    let mine = 1;\n    |\n}";
    let offered = editor.offered(FILE, text);
    for name in ["deny_field", "matches", "params", "LIST", "helper", "domains", "mine", "request", "return"] {
        assert!(offered.iter().any(|label| label == name), "`{name}` is missing: {offered:?}");
    }
    assert!(!offered.iter().any(|label| label == "add_claim" || label == "add_attribute"), "of other hooks");
    let module = editor.offered(FILE, &text.replace("    |\n", "    domains::|\n"));
    assert_eq!(
        module,
        [
            "address_problem",
            "covers_address",
            "is_mailbox",
            "address_of_login",
            "is_disguised",
            "attributes_of_domain",
            "DISGUISES"
        ]
    );
    let imports = editor.offered(FILE, "import \"lib/|");
    assert!(imports.contains(&"lib/texts".to_owned()), "{imports:?}");
    for silent in ["// request.|", "fn on_registration(request) { \"request.|\" }", "let |"] {
        assert!(editor.offered(FILE, silent).is_empty(), "{silent}");
    }
}

#[test]
fn tests_are_offered_what_tests_may_use() {
    let mut editor = Editor::example();
    let file = "scripts/registration_test.rhai";
    let offered = editor.offered(file, "fn test_it() { | }");
    for name in ["run", "assert_eq", "assert_fails", "sample", "set_params", "case", "skip", "email"] {
        assert!(offered.iter().any(|label| label == name), "`{name}` is missing: {offered:?}");
    }
    for outcome in ["run()", "run(#{ data: #{} })", "run(sample(\"classic\"))"] {
        let offered = editor.offered(file, &format!("fn test_it() {{ let outcome = {outcome}; outcome.| }}"));
        for name in ["reply", "status", "commands", "failure", "logs"] {
            assert!(offered.iter().any(|label| label == name), "`{name}` is missing after {outcome}: {offered:?}");
        }
        assert!(!offered.iter().any(|label| label == "domain"), "{offered:?}");
    }
    let script = editor.offered(FILE, "fn on_registration(request) { | }");
    assert!(!script.iter().any(|label| label == "run" || label == "assert_eq"), "{script:?}");
    for (text, wanted) in [
        ("fn test_it() { assert_e|q(1, 1); }", "assert_eq(actual: any, expected: any"),
        ("fn test_it() { ru|n(); }", "-> Outcome"),
        ("fn test_it() { let outcome = run(); outcome.rep|ly }", "Outcome.reply"),
        ("fn test_it() { let outcome = run(); outcome.com|mands }", "- denied at a field: `outcome.commands"),
        (
            "fn test_it() { let outcome = run(); outcome.fail|ure }",
            "- the script fails: `outcome.failure.reason == \"script_error\"`",
        ),
    ] {
        let hover = editor.ask_at("textDocument/hover", file, text);
        assert!(text_of(&hover).contains(wanted), "at {text}: {hover}");
    }
}

#[test]
fn a_function_is_inserted_with_places_for_its_arguments() {
    let mut editor = Editor::example();
    let items = editor.ask_at("textDocument/completion", FILE, "fn on_registration(request) { den| }");
    let items = items.as_array().unwrap();
    let denial = items.iter().find(|item| item["label"] == "deny").unwrap();
    assert_eq!(denial["insertText"], "deny(${1:text})$0");
    assert_eq!(denial["insertTextFormat"], 2);
    assert!(denial["documentation"]["value"].as_str().unwrap().contains("A command"), "{denial}");
    let file = "scripts/registration_test.rhai";
    let items = editor.ask_at("textDocument/completion", file, "fn test_it() { | }");
    for inserted in [
        "run()$0",
        "run(${1:body}, ${2:overrides})$0",
        "run_event()$0",
        "assert_eq(${1:actual}, ${2:expected})$0",
        "assert(${1:condition})$0",
    ] {
        let found = items.as_array().unwrap().iter().any(|item| item["insertText"] == inserted);
        assert!(found, "what may be left out has no place: {inserted}");
    }
    let entry = editor.ask_at("textDocument/completion", "scripts/fresh.rhai", "fn |");
    let labels: Vec<&Value> = entry.as_array().unwrap().iter().map(|item| &item["label"]).collect();
    assert!(labels.contains(&&json!("on_token")), "{labels:?}");
}

#[test]
fn hovering_tells_signature_documentation_and_example() {
    let mut editor = Editor::example();
    let import = "import \"lib/domains\" as domains;\n";
    let cases = [
        ("fn on_registration(request) { request.em|ail }", "RegistrationRequest.email: Email"),
        ("fn on_registration(request) { request.email.domain|_in([]) }", "Email.domain_in("),
        ("fn on_registration(request) { matches|(\"a\", \"b\") }", "Holds:"),
        ("fn on_registration(request) { den|y(\"no\") }", "A command: return it."),
        ("fn on_registration(request) { par|ams }", "params"),
        ("/// Says hello.\nfn greet(name) { name }\nfn on_registration(request) { gre|et(1) }", "Says hello."),
        ("fn on_registration(request) { requ|est }", "request: RegistrationRequest"),
        ("fn on_registration(request) { \"a\".starts_w|ith(\"b\") }", "string.starts_with(match_string) -> bool"),
        ("fn on_registration(request) { params.subdom|ains }", "explicit"),
    ];
    for (text, wanted) in cases {
        let hover = editor.ask_at("textDocument/hover", FILE, text);
        assert!(text_of(&hover).contains(wanted), "at {text}: {hover}");
    }
    let hover = editor.ask_at(
        "textDocument/hover",
        FILE,
        &format!("{import}fn on_registration(request) {{ domains::covers_add|ress([], request.email, 1, 2) }}"),
    );
    assert!(text_of(&hover).contains("Whether an entry of the list covers the address."), "{hover}");
    assert_eq!(editor.ask_at("textDocument/hover", FILE, "fn on_registration(request) { 1| }"), Value::Null);
}

#[test]
fn inside_brackets_the_form_of_the_call_is_shown() {
    let mut editor = Editor::example();
    let help = |editor: &mut Editor, text: &str| editor.ask_at("textDocument/signatureHelp", FILE, text);
    let found = help(&mut editor, "fn on_registration(request) { deny_field(\"email\", |) }");
    assert!(found["signatures"][0]["label"].as_str().unwrap().starts_with("deny_field(attribute: string"), "{found}");
    assert_eq!(found["activeParameter"], 1);
    let found =
        help(&mut editor, "fn helper(first, second) { }\nfn on_registration(request) { helper(f(1, 2), [3, 4], |");
    assert_eq!(
        (&found["signatures"][0]["label"], &found["activeParameter"]),
        (&json!("helper(first, second)"), &json!(2))
    );
    let found = help(&mut editor, "fn on_registration(request) { request.email.domain_in(| }");
    assert!(found["signatures"][0]["label"].as_str().unwrap().starts_with("Email.domain_in("), "{found}");
    assert_eq!(help(&mut editor, "fn on_registration(request) { | }"), Value::Null);
}

#[test]
fn definitions_are_found_across_files() {
    let mut editor = Editor::example();
    let script = "import \"lib/domains\" as domains;\nconst LIST = [];\nfn helper(a) { a }\nfn on_registration(request) {\n    \
        let mine = domains::covers_address(LIST, request.email, 1, 2);\n    helper(mine)\n}\n";
    let cases = [
        ("covers_address(", "scripts/lib/domains.rhai", "covers_address"),
        ("\"lib/domains\"", "scripts/lib/domains.rhai", ""),
        ("LIST, request", FILE, "LIST"),
        ("helper(mine", FILE, "helper"),
        ("mine)", FILE, "mine"),
        ("domains::covers", FILE, "domains"),
    ];
    for (place, file, name) in cases {
        let at = script.find(place).unwrap() + 1;
        let marked = format!("{}|{}", &script[..at], &script[at..]);
        let found = editor.ask_at("textDocument/definition", FILE, &marked);
        assert_eq!(found["uri"], editor.uri(file), "{place}: {found}");
        let text = if file == FILE { script.to_owned() } else { editor.read(file) };
        let number = |end: &str, part: &str| found["range"][end][part].as_u64().unwrap() as usize;
        let line = text.lines().nth(number("start", "line")).unwrap();
        assert_eq!(&line[number("start", "character")..number("end", "character")], name, "{place}");
    }
    assert_eq!(
        editor.ask_at("textDocument/definition", FILE, "fn on_registration(request) { ma|tches() }"),
        Value::Null
    );
}

#[test]
fn functions_and_constants_are_listed() {
    let mut editor = Editor::example();
    let file = "scripts/password_import.rhai";
    editor.write(file, "const NOBODY = 7;\n\nfn on_password_import(request) {\n    helper(request)\n}\n\nfn helper(request) { request.username.len() + NOBODY }\n");
    editor.show(file);
    let uri = editor.uri(file);
    let found = editor.ask("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    let names: Vec<&Value> = found.as_array().unwrap().iter().map(|symbol| &symbol["name"]).collect();
    assert_eq!(names, ["NOBODY", "on_password_import", "helper"]);
}

#[test]
fn tests_have_lenses_and_a_command_behind_them() {
    let mut editor = Editor::example();
    let file = "scripts/registration_test.rhai";
    editor.write(file, "fn helper() { }\n\n/// works\nfn test_it() {\n    helper();\n}\n");
    editor.show(file);
    let uri = editor.uri(file);
    let found = editor.ask("textDocument/codeLens", json!({ "textDocument": { "uri": uri } }));
    let lens = |index: usize| (found[index]["command"]["title"].clone(), found[index]["command"]["arguments"].clone());
    assert_eq!(lens(0), (json!("Run tests of this file"), json!([uri])));
    assert_eq!(lens(1), (json!("Run test"), json!([uri, "test_it"])));
    assert_eq!(found[1]["range"]["start"], json!({ "line": 3, "character": 3 }));
    assert_eq!(found.as_array().unwrap().len(), 2);
    let command = json!({ "command": "hookgate.test", "arguments": [uri, "test_it"] });
    let answer = editor.ask("workspace/executeCommand", command);
    let shown = editor.wait(|message| message["method"] == "window/showMessage");
    assert_eq!(shown["params"]["message"], answer["message"], "{answer}");
    editor.show(FILE);
    let uri = editor.uri(FILE);
    assert_eq!(editor.ask("textDocument/codeLens", json!({ "textDocument": { "uri": uri } })), json!([]));
}

#[test]
fn declared_parameters_are_offered_and_explained_also_in_a_broken_script() {
    let mut editor = Editor::example();
    let declared = "const PARAMS = #{\n    plus: #{ words: [\"allow\", \"deny\"], if_absent: \"deny\", text: \"addresses with a tag\" },\n    \
                    extra: #{ text: \"more\", members: #{ depth: #{ type: \"int\", min: 1, text: \"how deep\" } } },\n};\n";
    let text = |body: &str| format!("{declared}fn on_registration(request) {{ {body}");
    let offered = editor.offered(FILE, &text("params.|"));
    // Those that are declared, in their order, and then what gateway.toml has besides.
    assert_eq!(offered[..2], ["plus", "extra"], "{offered:?}");
    assert!(offered.iter().any(|label| label == "disposable"), "{offered:?}");
    assert_eq!(editor.offered(FILE, &text("params.extra?.|")), ["depth"]);
    for (body, wanted) in [
        ("params.pl|us }", ["\"allow\"`, `\"deny\"", "if absent: `\"deny\"`", "addresses with a tag"]),
        ("params.extra?.de|pth }", ["**depth**", "whole number, 1 or more", "how deep"]),
    ] {
        let hover = editor.ask_at("textDocument/hover", FILE, &text(body));
        for part in wanted {
            assert!(text_of(&hover).contains(part), "`{part}` is missing at {body}: {hover}");
        }
    }
}

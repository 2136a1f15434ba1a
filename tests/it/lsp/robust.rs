//! Whatever a client sends, the server goes on.

use serde_json::{Value, json};

use super::Editor;

const FILE: &str = "scripts/registration.rhai";

/// It still answers, and still finds what is wrong.
fn is_alive(mut editor: Editor) {
    editor.open(FILE, "fn on_registration(request) { request.emial }");
    editor.findings(FILE, "script/unknown-property");
    assert_eq!(editor.leave(), 0);
}

#[test]
fn malformed_messages_are_skipped() {
    let mut editor = Editor::example();
    let raw = [
        "Content-Length: 7\r\n\r\nnot json",
        "nonsense\r\n\r\n",
        "Content-Length: many\r\n\r\n",
        "Content-Length: 99999999999999\r\n\r\n",
        "Content-Length: 2\r\n\r\n[]",
        "Content-Length: 4\r\n\r\nnull",
    ];
    for text in raw {
        editor.send_raw(text);
        editor.wait(|message| message["method"] == "window/logMessage");
    }
    is_alive(editor);
}

#[test]
fn malformed_parameters_are_refused() {
    let mut editor = Editor::example();
    let methods = ["completion", "hover", "signatureHelp", "definition", "documentSymbol", "codeLens"];
    for method in methods {
        for params in [json!(null), json!([]), json!({ "textDocument": 7 }), json!({ "textDocument": { "uri": "%%" } })]
        {
            let answer = editor.response(&format!("textDocument/{method}"), params);
            assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
        }
    }
    for params in [json!({}), json!({ "command": "rm" }), json!({ "command": "hookgate.test", "arguments": [{}] })] {
        assert_eq!(editor.response("workspace/executeCommand", params)["error"]["code"], -32602);
    }
    assert_eq!(editor.response("textDocument/rename", json!({}))["error"]["code"], -32601);
    for method in ["didOpen", "didChange", "didClose", "didSave"] {
        editor.tell(&format!("textDocument/{method}"), json!({ "textDocument": [] }));
    }
    editor.tell("$/unheard-of", json!(1));
    is_alive(editor);
}

#[test]
fn files_that_are_not_open_or_not_on_a_disk_have_no_answers() {
    let mut editor = Editor::example();
    let place = json!({ "line": 0, "character": 0 });
    for uri in [
        "untitled:Untitled-1".to_owned(),
        editor.uri("scripts/none.rhai"),
        "file:///".into(),
        editor.uri("gateway.toml"),
    ] {
        let params = json!({ "textDocument": { "uri": uri }, "position": place });
        assert_eq!(editor.ask("textDocument/hover", params), Value::Null, "{uri}");
        let change = json!({ "textDocument": { "uri": uri, "version": 3 }, "contentChanges": [{ "text": "x" }] });
        editor.tell("textDocument/didChange", change);
        editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }
    let untitled = json!({ "uri": "untitled:Untitled-1", "languageId": "rhai", "version": 1, "text": "fn (" });
    editor.tell("textDocument/didOpen", json!({ "textDocument": untitled }));
    is_alive(editor);
}

#[test]
fn places_that_do_not_exist_are_moved_into_the_text() {
    let mut editor = Editor::example();
    editor.open(FILE, "fn on_registration(request) { request. }\n");
    let uri = editor.uri(FILE);
    for (line, character) in [(0, 4_000_000_000_u32), (4_000_000_000_u32, 0), (1, 1)] {
        let place = json!({ "line": line, "character": character });
        for method in ["completion", "hover", "signatureHelp", "definition"] {
            editor.ask(&format!("textDocument/{method}"), json!({ "textDocument": { "uri": uri }, "position": place }));
        }
    }
    let range = json!({ "start": { "line": 9, "character": 9 }, "end": { "line": 0, "character": 3 } });
    editor.change(FILE, 2, json!([{ "range": range, "text": "x" }]));
    is_alive(editor);
}

#[test]
fn every_place_of_a_script_that_is_half_written_has_answers() {
    let mut editor = Editor::example();
    let text = "import \"lib/domains\" as d;\nconst A = #{ x: [1, \"é\"] };\nfn on_registration(request) {\n    let m = `a${request.email\n    for (x, i in m?.b[1].c( { d:: | params..\n";
    editor.open(FILE, text);
    let uri = editor.uri(FILE);
    for (line, content) in text.lines().enumerate() {
        for character in 0..=content.encode_utf16().count() {
            let params =
                json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } });
            for method in ["completion", "hover", "signatureHelp", "definition"] {
                editor.ask(&format!("textDocument/{method}"), params.clone());
            }
        }
    }
    is_alive(editor);
}

#[test]
fn before_and_after_the_conversation_requests_are_refused() {
    let mut editor = Editor::unopened();
    editor.tell("textDocument/didOpen", json!({}));
    assert_eq!(editor.response("textDocument/hover", json!({}))["error"]["code"], -32002);
    let mut editor = editor.greeted();
    assert_eq!(editor.response("initialize", json!({}))["error"]["code"], -32600);
    editor.ask("shutdown", Value::Null);
    assert_eq!(editor.response("textDocument/hover", json!({}))["error"]["code"], -32600);
}

#[test]
fn a_script_that_never_ends_its_top_level_holds_nobody_up() {
    let mut editor = Editor::example();
    editor.open(FILE, "const A = f();\nfn f() { loop { } }\nfn on_registration(request) { A }");
    let uri = editor.uri(FILE);
    let place = json!({ "textDocument": { "uri": uri }, "position": { "line": 2, "character": 5 } });
    editor.ask("textDocument/hover", place);
    editor.findings_when(FILE, |found| !found.is_empty());
    is_alive(editor);
}

//! The settings for Neovim in `docs/editors.md`, run by Neovim. Where it is not installed the test says that it was skipped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use super::Editor;
use crate::harness::skipped;

/// Waits for the findings, then asks for completion and a definition, and prints what came.
const VISIT: &str = r#"
local function print_line(text) io.stdout:write(text .. "\n") end
vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 50)
for _, found in ipairs(vim.diagnostic.get(0)) do
  print_line(("finding %d:%d %s"):format(found.lnum + 1, found.col + 1, found.message))
end
local document = { uri = vim.uri_from_bufnr(0) }
local function ask(method, line, character)
  local params = { textDocument = document, position = { line = line, character = character } }
  for _, answer in pairs(vim.lsp.buf_request_sync(0, method, params, 60000) or {}) do return answer.result end
end
for _, item in ipairs(ask("textDocument/completion", 2, 12)) do print_line("item " .. item.label) end
print_line("definition " .. ask("textDocument/definition", 3, 15).uri)
vim.cmd("qall!")
"#;

#[test]
fn neovim_shows_what_the_server_says() {
    if Command::new("nvim").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skipped("Neovim is not installed");
    }
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/editors.md")).unwrap();
    let settings = docs.split("```lua\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Lua");
    let editor = Editor::example();
    editor.write("init.lua", settings);
    editor.write("visit.lua", VISIT);
    let script = "import \"lib/domains\" as domains;\nfn on_registration(request) {\n    request.emial;\n    domains::covers_address([], request.email, \"explicit\", \"allow\");\n}\n";
    editor.write("scripts/registration.rhai", script);
    let program = Path::new(env!("CARGO_BIN_EXE_hookgate")).parent().unwrap();
    let paths =
        env::join_paths(std::iter::once(program.to_owned()).chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let ran = Command::new("nvim")
        .args(["--headless", "-u", "init.lua", "scripts/registration.rhai", "-c", "luafile visit.lua"])
        .current_dir(editor.path(""))
        .env("PATH", paths.unwrap())
        .env("HOME", editor.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    for wanted in ["finding 3:13 `request` has no property `emial`", "item email", "scripts/lib/domains.rhai"] {
        assert!(out.contains(wanted), "`{wanted}` is missing in\n{out}\n{err}");
    }
}

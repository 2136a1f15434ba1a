//! What the editor asks, and who answers.

use std::io::Write;
use std::path::Path;

use gen_lsp_types::{
    CodeLensParams, CompletionParams, DefinitionParams, DocumentSymbolParams, ExecuteCommandParams, HoverParams,
    Position, SignatureHelpParams, TextDocumentPositionParams, Uri,
};
use lsp_server::{ErrorCode, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::editor::completion::completion;
use crate::editor::definition::definition;
use crate::editor::hover::hover;
use crate::editor::lens;
use crate::editor::server::documents::file;
use crate::editor::server::{Event, Server};
use crate::editor::signature::signature;
use crate::editor::symbols::symbols;
use crate::editor::view::View;
use crate::editor::workspace::scripts_folder;
use hookgate_engine::release::bundle::Place;
use hookgate_script::stack;

/// What the server can do, and its name.
pub(super) fn capabilities() -> Value {
    json!({
        "capabilities": {
            "positionEncoding": "utf-16",
            "textDocumentSync": { "openClose": true, "change": 2, "save": true },
            "completionProvider": { "triggerCharacters": [".", ":", "\"", "`"] },
            "hoverProvider": true,
            "signatureHelpProvider": { "triggerCharacters": ["(", ","] },
            "definitionProvider": true,
            "documentSymbolProvider": true,
            "codeLensProvider": {},
            "executeCommandProvider": { "commands": [lens::COMMAND] },
        },
        "serverInfo": { "name": "hookgate", "version": env!("CARGO_PKG_VERSION") },
    })
}

impl<W: Write> Server<W> {
    /// The answer, unless it comes later.
    pub(super) fn answer(&mut self, request: Request) -> Option<Response> {
        let insert = self.insert;
        Some(match request.method.as_str() {
            "textDocument/completion" => self.at(
                request,
                |params: CompletionParams| params.text_document_position_params,
                |view, at| completion(view, at, insert),
            ),
            "textDocument/hover" => self.at(request, |params: HoverParams| params.text_document_position_params, hover),
            "textDocument/signatureHelp" => {
                self.at(request, |params: SignatureHelpParams| params.text_document_position_params, signature)
            }
            "textDocument/definition" => {
                self.at(request, |params: DefinitionParams| params.text_document_position_params, definition)
            }
            "textDocument/documentSymbol" => {
                self.of(request, |params: DocumentSymbolParams| params.text_document.uri, |view, _| symbols(view))
            }
            "textDocument/codeLens" => {
                self.of(request, |params: CodeLensParams| params.text_document.uri, lens::lenses)
            }
            "workspace/executeCommand" => return self.command(request),
            unknown => {
                let text = format!("hookgate does not answer `{unknown}`");
                Response::new_err(request.id, ErrorCode::MethodNotFound as i32, text)
            }
        })
    }

    /// About a place in a script.
    fn at<P: DeserializeOwned, R: Serialize>(
        &mut self,
        request: Request,
        place: impl FnOnce(P) -> TextDocumentPositionParams,
        answer: impl FnOnce(&View, usize) -> R,
    ) -> Response {
        self.with(
            request,
            |params| {
                let params = place(params);
                (params.text_document.uri, params.position)
            },
            |view, _, position| answer(view, view.text.offset(position)),
        )
    }

    /// About a whole script.
    fn of<P: DeserializeOwned, R: Serialize>(
        &mut self,
        request: Request,
        uri: impl FnOnce(P) -> Uri,
        answer: impl FnOnce(&View, &Path) -> R,
    ) -> Response {
        let top = Position { line: 0, character: 0 };
        self.with(request, |params| (uri(params), top), |view, path, _| answer(view, path))
    }

    /// `null` about files that are not open, or are no scripts.
    fn with<P: DeserializeOwned, R: Serialize>(
        &mut self,
        request: Request,
        asked: impl FnOnce(P) -> (Uri, Position),
        answer: impl FnOnce(&View, &Path, Position) -> R,
    ) -> Response {
        let params = match serde_json::from_value(request.params) {
            Ok(params) => params,
            Err(error) => return Response::new_err(request.id, ErrorCode::InvalidParams as i32, error.to_string()),
        };
        let (uri, position) = asked(params);
        let path = file(&uri);
        let answer = path.and_then(|path| self.workspace.with_view(&path, |view| answer(view, &path, position)));
        Response::new_ok(request.id, answer)
    }

    /// Runs tests beside everything else; the answer comes when they end.
    fn command(&mut self, request: Request) -> Option<Response> {
        let refuse =
            |text: &str| Some(Response::new_err(request.id.clone(), ErrorCode::InvalidParams as i32, text.to_owned()));
        let Ok(params) = serde_json::from_value::<ExecuteCommandParams>(request.params) else {
            return refuse("a command and its arguments are wanted");
        };
        let arguments = params.arguments.unwrap_or_default();
        let mut texts = arguments.iter().map(Value::as_str);
        let path = texts.next().flatten().and_then(|text| file(&Uri::parse(text).ok()?));
        let (true, Some(path)) = (params.command == lens::COMMAND, path) else {
            return refuse("the one command is `hookgate.test` with the address of a file of tests");
        };
        let test = texts.next().flatten().map(str::to_owned);
        let home = self.workspace.home(&path);
        let folder = scripts_folder(&home, &self.workspace.survey(&home));
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str).map(|name| name.replace('\\', "/"));
        let (Some(config), Some(name)) = (&home.config, name) else {
            return refuse("tests run in a bundle: there is no configuration above this file");
        };
        let place = Place { open: self.workspace.job(&home).open, ..Place::of(config) };
        let (runner, events, id) = (self.setup.runner, self.events.clone(), request.id.clone());
        let run = move || {
            let result = std::panic::catch_unwind(|| runner(&place, &name, test.as_deref()));
            let result = result.unwrap_or_else(|_| Err("running the tests failed inside hookgate".to_owned()));
            // Nobody listens any more when the editor has left.
            let _ = events.send(Event::Tried { id, home, file: path, result });
        };
        // The top level of scripts runs here: it may need a deep stack.
        let thread = stack::thread("editor-tests");
        match thread.spawn(run) {
            Ok(_) => None,
            Err(error) => refuse(&format!("no thread to run tests on: {error}")),
        }
    }
}

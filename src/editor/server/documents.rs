//! What the editor tells of its files: opened, changed, closed, saved.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gen_lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, TextDocumentContentChangeEvent,
    Uri,
};
use lsp_server::{Notification, Request, RequestId};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::editor::server::{Phase, Server};
use crate::editor::text::Text;
use crate::editor::workspace::Open;

impl<W: Write> Server<W> {
    pub(super) fn notification(&mut self, note: Notification) -> io::Result<()> {
        if self.phase != Phase::Running {
            return Ok(());
        }
        let known = match note.method.as_str() {
            "initialized" => return self.watch(),
            "textDocument/didOpen" => params(note).map(|params| self.opened(params)),
            "textDocument/didChange" => params(note).map(|params| self.edited(params)),
            "textDocument/didClose" => params(note).map(|params| self.closed(&params)),
            // Files on disk are not the same any more.
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                self.workspace.homes().into_iter().for_each(|home| self.mark(home));
                Ok(())
            }
            _ => Ok(()),
        };
        match known {
            Ok(()) => Ok(()),
            Err(problem) => self.log(&problem),
        }
    }

    /// Asks to be told when files change on disk.
    fn watch(&mut self) -> io::Result<()> {
        if self.asked == 0 {
            return Ok(());
        }
        let globs = ["**/*.rhai", "**/*.toml", "**/tables/**"].map(|glob| json!({ "globPattern": glob }));
        let params = json!({ "registrations": [{
            "id": "hookgate-files",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": { "watchers": globs },
        }]});
        self.send(Request::new(RequestId::from(self.asked), "client/registerCapability".to_owned(), params))
    }

    fn opened(&mut self, params: DidOpenTextDocumentParams) {
        let document = params.text_document;
        let Some(path) = file(&document.uri) else { return };
        let open = Open { uri: document.uri, version: document.version, text: Text::new(document.text) };
        self.workspace.open.insert(path.clone(), open);
        self.touched(&path);
    }

    fn edited(&mut self, params: DidChangeTextDocumentParams) {
        let Some(path) = file(&params.text_document.text_document_identifier.uri) else { return };
        // A client that changes what it never opened gets no answer about it, and no harm is done.
        let Some(open) = self.workspace.open.get_mut(&path) else { return };
        open.version = params.text_document.version;
        for change in params.content_changes {
            open.text = match change {
                TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                    open.text.replaced(part.range, &part.text)
                }
                TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(whole) => Text::new(whole.text),
            };
        }
        self.trials.remove(&path);
        self.touched(&path);
    }

    fn closed(&mut self, params: &DidCloseTextDocumentParams) {
        let Some(path) = file(&params.text_document.uri) else { return };
        self.touched(&path);
        self.workspace.open.remove(&path);
        self.trials.remove(&path);
    }

    fn touched(&mut self, path: &Path) {
        let home = self.workspace.home(path);
        self.mark(home);
    }
}

/// The path of a file; what is not on a disk is left alone.
pub(super) fn file(uri: &Uri) -> Option<PathBuf> {
    uri.to_file_path().ok()
}

fn params<P: DeserializeOwned>(note: Notification) -> Result<P, String> {
    serde_json::from_value(note.params).map_err(|error| format!("skipped a malformed `{}`: {error}", note.method))
}

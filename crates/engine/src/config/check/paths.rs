//! Rules of the paths in the file, by their text alone: what a path really leads to is seen when the file is read.
//!
//! They hold for what was stored, too: an earlier release whose table is a secret does not come back.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::check::{Check, named, text};
use crate::config::source::join;
use hookgate_model::files::FileError;
use hookgate_model::files::fence::{check_names, leads_out};

impl Check<'_> {
    /// Files that become a part of a release, or are read as certificates.
    pub(super) fn paths(&mut self) {
        let scripts = self.root.get("scripts");
        if let Some(dir) = scripts.and_then(|scripts| text(scripts, "dir")) {
            self.path_of_text("scripts.dir", dir);
        }
        if let Some(manifest) = scripts.and_then(|scripts| text(scripts, "manifest")) {
            self.path_of_text("scripts.manifest", manifest);
        }
        let roots = scripts.and_then(|scripts| scripts.get("roots")).and_then(Value::as_array);
        for (index, root) in roots.into_iter().flatten().enumerate() {
            if root.as_str() == Some("/") {
                let message = "`/` cannot be a root of the bundle: every file of the machine is below it";
                let help = "name the folder that is meant, such as `/srv/shared-tables`";
                self.error_with_help("config/bad-value", &format!("scripts.roots[{index}]"), message, help);
            }
        }
        let secrets = secret_files(self.root);
        for (path, _, table) in named(self.root, "tables", "tables") {
            let Some(file) = text(table, "file") else { continue };
            let place = join(&path, "file");
            if secrets.contains(plain(file)) {
                self.closed_path(&place, file, &FileError::Secret);
            } else {
                self.path_of_text(&place, file);
            }
        }
        for (path, _, auth) in named(self.root, "auth", "auth") {
            self.path_of_certificate(&path, auth, "jwks_file");
        }
        for (path, _, connector) in named(self.root, "connectors", "connectors") {
            self.path_of_certificate(&path, connector, "ca_file");
        }
    }

    fn path_of_text(&mut self, place: &str, file: &str) {
        if !self.has_roots() && leads_out(file) {
            self.closed_path(place, file, &FileError::Outside);
        } else if !file.starts_with('/')
            && let Err(error) = check_names(file)
        {
            self.closed_path(place, file, &error);
        }
    }

    fn path_of_certificate(&mut self, section: &str, value: &Value, key: &str) {
        if let Some(file) = text(value, key).filter(|file| leads_out(file))
            && !self.has_roots()
        {
            self.closed_path(&join(section, key), file, &FileError::Outside);
        }
    }

    fn has_roots(&self) -> bool {
        let roots = self.root.get("scripts").and_then(|scripts| scripts.get("roots"));
        roots.and_then(Value::as_array).is_some_and(|roots| !roots.is_empty())
    }

    fn closed_path(&mut self, place: &str, file: &str, error: &FileError) {
        let message = format!("`{file}` cannot be used: {error}");
        self.error_with_help("config/closed-path", place, message, error.help().unwrap_or_default());
    }
}

/// Files that hold secrets, as written: wherever a key but a table's says `file = "…"`.
fn secret_files(root: &Value) -> BTreeSet<&str> {
    let mut files = BTreeSet::new();
    let sections = root.as_object().into_iter().flatten().filter(|(name, _)| *name != "tables");
    let mut values: Vec<&Value> = sections.map(|(_, value)| value).collect();
    while let Some(value) = values.pop() {
        match value {
            Value::Object(entries) => {
                files.extend(entries.get("file").and_then(Value::as_str).map(plain));
                values.extend(entries.values());
            }
            Value::Array(items) => values.extend(items),
            _ => {}
        }
    }
    files
}

fn plain(file: &str) -> &str {
    file.trim_start_matches("./")
}

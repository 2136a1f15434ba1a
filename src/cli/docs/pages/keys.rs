//! The keys of `gateway.toml` as tables, from its JSON schema.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::cli::docs::pages::{GENERATED, cell};

/// The page of a schema: one table a section.
pub(super) fn of(schema: &Value) -> String {
    let mut keys = Keys { schema, sections: String::new() };
    for (name, property) in members(schema) {
        keys.property(name, property);
    }
    let intro = "What a section means and when to use it: [configuration](configuration.md).";
    format!("{GENERATED}# gateway.toml, key by key\n\n{intro}\n{}", keys.sections)
}

/// The table of one kind of connector.
pub(super) fn of_connector(schema: &Value, kind: &str) -> String {
    let mut keys = Keys { schema, sections: String::new() };
    let forms = schema["definitions"]["Connector"]["oneOf"].as_array().into_iter().flatten();
    for form in forms.filter(|form| form["properties"]["kind"]["const"] == kind) {
        keys.rows("", form);
    }
    keys.sections
}

struct Keys<'a> {
    schema: &'a Value,
    sections: String,
}

impl Keys<'_> {
    /// A property of the file or of a section that is a section itself.
    fn property(&mut self, path: &str, property: &Value) {
        let inner = self.resolved(property);
        if let Some(named) = inner.get("additionalProperties").filter(|named| named.is_object()) {
            let named = self.resolved(named).clone();
            self.section(&format!("{path}.NAME"), &named);
        } else {
            self.section(path, &inner.clone());
        }
    }

    /// A section, and those in it. A section of several forms has a table each.
    fn section(&mut self, path: &str, section: &Value) {
        if let Some(forms) = section.get("oneOf").and_then(Value::as_array) {
            for form in forms {
                let form = self.merged(form);
                let tags = members(&form).find_map(|(key, value)| Some((key, value["const"].as_str()?)));
                let condition = tags.map(|(key, tag)| format!(" with `{key} = \"{tag}\"`")).unwrap_or_default();
                self.table(path, &condition, &form);
            }
        } else {
            self.table(path, "", section);
        }
    }

    fn table(&mut self, path: &str, condition: &str, section: &Value) {
        let before = self.sections.len();
        let about = section["description"].as_str().unwrap_or_default();
        let _ = writeln!(self.sections, "\n## `[{path}]`{condition}\n\n{about}\n");
        let below = self.rows(path, section);
        // Several forms may have a section in common.
        let (above, this) = self.sections.split_at(before);
        if above.contains(this) {
            self.sections.truncate(before);
        }
        for (path, property) in below {
            self.property(&path, &property);
        }
    }

    /// The table itself; gives back what is a section of its own.
    fn rows(&mut self, path: &str, section: &Value) -> Vec<(String, Value)> {
        let _ = writeln!(self.sections, "| Key | Type | Default | |\n| --- | --- | --- | --- |");
        let mut below = Vec::new();
        for (key, property) in members(section) {
            let inner = self.resolved(property).clone();
            if is_section(&inner) && !is_section_again(path, key) && !path.is_empty() {
                below.push((format!("{path}.{key}"), property.clone()));
                continue;
            }
            let required = section["required"].as_array().is_some_and(|keys| keys.contains(&Value::from(key.as_str())));
            let default = match property.get("default") {
                Some(value) if value.as_object().is_none_or(|value| !value.is_empty()) => format!("`{value}`"),
                _ if required => "required".to_owned(),
                _ => String::new(),
            };
            let about = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            let shape = self.shape(property);
            let _ = writeln!(self.sections, "| `{key}` | {} | {} | {} |", cell(&shape), cell(&default), cell(&about));
        }
        below
    }

    /// In the words of TOML.
    fn shape(&self, property: &Value) -> String {
        let property = self.resolved(property);
        if let Some(word) = property.get("const") {
            return format!("`{word}`");
        }
        for list in ["anyOf", "oneOf"] {
            if let Some(forms) = property.get(list).and_then(Value::as_array) {
                let forms: Vec<String> = forms.iter().map(|form| self.shape(form)).collect();
                return forms.join(" or ");
            }
        }
        if let Some(words) = property.get("enum").and_then(Value::as_array) {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        }
        match property["type"].as_str() {
            Some("string") => "text".to_owned(),
            Some("integer" | "number") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("array") => format!("list of {}", self.shape(&property["items"])),
            Some("object") => {
                let keys: Vec<&str> = members(property).map(|(key, _)| key.as_str()).collect();
                if keys.is_empty() { "table".to_owned() } else { format!("`{{ {} }}`", keys.join(", ")) }
            }
            _ => "anything".to_owned(),
        }
    }

    /// What a reference names.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let reference = value.get("$ref").or_else(|| value["allOf"][0].get("$ref"));
        match reference.and_then(Value::as_str).and_then(|path| self.schema.pointer(path.trim_start_matches('#'))) {
            Some(named) => self.resolved(named),
            None => value,
        }
    }

    /// A form together with what it refers to.
    fn merged(&self, form: &Value) -> Value {
        let mut merged = self.resolved(form).clone();
        let own = form.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut properties: Map<String, Value> = own;
        properties.extend(members(&merged).map(|(key, value)| (key.clone(), value.clone())));
        merged["properties"] = Value::Object(properties);
        if let Some(about) = form.get("description") {
            merged["description"] = about.clone();
        }
        merged
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Whether a key is a section of its own rather than a value.
fn is_section(property: &Value) -> bool {
    let named = |value: &Value| value.get("properties").is_some() || value.get("$ref").is_some();
    property["type"] == "object" && (named(property) || property.get("additionalProperties").is_some_and(named))
}

/// A rule's limits are those of its route.
fn is_section_again(path: &str, key: &str) -> bool {
    path.ends_with("rules.NAME") && key == "limits"
}

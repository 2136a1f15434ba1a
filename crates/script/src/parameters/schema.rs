//! The JSON schema of declared parameters, as far as JSON schema can say it (draft 7, which editors of TOML know).

use serde_json::{Map, Value, json};

use crate::parameters::{Declaration, Form, List, Members, Parameter, Range};
use crate::prelude::json::json_from_dynamic;

impl Declaration {
    /// The schema of `params`. A rule's parameters come on top of its route's, so what is required may stand elsewhere.
    pub fn schema(&self, is_rule: bool) -> Value {
        let mut schema = object(&self.parameters);
        if is_rule && let Some(schema) = schema.as_object_mut() {
            schema.remove("required");
        }
        schema
    }
}

fn object(parameters: &[Parameter]) -> Value {
    let mut properties = Map::new();
    let mut dependencies = Map::new();
    for parameter in parameters {
        properties.insert(parameter.name.to_string(), of(parameter));
        if !parameter.needs.is_empty() {
            let needs: Value = parameter.needs.iter().map(|name| json!({ "required": [name] })).collect();
            dependencies.insert(parameter.name.to_string(), json!({ "anyOf": needs }));
        }
    }
    let required = parameters.iter().filter(|parameter| parameter.required);
    let required: Value = required.map(|parameter| parameter.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if required.as_array().is_some_and(|required| !required.is_empty()) {
        schema["required"] = required;
    }
    if !dependencies.is_empty() {
        schema["dependencies"] = dependencies.into();
    }
    schema
}

fn of(parameter: &Parameter) -> Value {
    let mut schema = form(&parameter.form);
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), parameter.text.as_str().into());
        let default = parameter.if_absent.as_ref().and_then(|value| json_from_dynamic(value).ok());
        members.extend(default.map(|default| ("default".to_owned(), default)));
    }
    schema
}

fn form(form: &Form) -> Value {
    match form {
        Form::Any => json!({}),
        Form::Text(Some(pattern)) => json!({ "type": "string", "pattern": pattern.written }),
        Form::Secret => json!({ "type": ["string", "object"] }),
        Form::Int(range) => number("integer", *range),
        Form::Float(range) => number("number", *range),
        Form::Bool => json!({ "type": "boolean" }),
        Form::Duration(_) => json!({ "type": "string", "pattern": "^ *([0-9]+(ms|s|m|h|d|w) *)+$" }),
        Form::Rate => json!({ "type": "string", "pattern": "^ *[0-9]+ */ *([0-9]+(ms|s|m|h|d|w) *)+$" }),
        Form::Domain => json!({ "type": "string", "pattern": r"^(\*\.|[^\s@*/:]+@)?[^\s@*/:]+$" }),
        Form::Country => json!({ "type": "string", "pattern": "^[A-Za-z]{2}$" }),
        Form::Connector(_) | Form::Table => json!({ "type": "string", "minLength": 1 }),
        Form::Text(None) | Form::Event => json!({ "type": "string" }),
        Form::Word(words) => json!({ "type": "string", "enum": words }),
        Form::Either(words, other) => json!({ "anyOf": [{ "enum": words }, self::form(other)] }),
        Form::List(list) => self::list(list),
        Form::Map(keys, values) => json!({
            "type": "object",
            "propertyNames": self::form(keys),
            "additionalProperties": self::form(values),
        }),
        Form::Members(members) => self::members(members),
    }
}

fn number(kind: &str, range: Range) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), kind.into())]);
    let bound = |number: f64| if kind == "integer" { json!(number as i64) } else { json!(number) };
    schema.extend(range.min.map(|min| ("minimum".to_owned(), bound(min))));
    schema.extend(range.max.map(|max| ("maximum".to_owned(), bound(max))));
    schema.into()
}

fn list(list: &List) -> Value {
    let items = form(&list.items);
    let mut array = json!({ "type": "array", "items": items });
    if list.min_items > 0 {
        array["minItems"] = list.min_items.into();
    }
    match &list.items {
        items if list.split.is_some() => json!({ "anyOf": [cut(items, list.split.as_deref()), array] }),
        Form::List(_) | Form::Map(..) | Form::Members(_) | Form::Int(_) | Form::Float(_) | Form::Bool => array,
        _ => json!({ "anyOf": [items, array] }),
    }
}

/// A text that is cut into the items of a list.
fn cut(items: &Form, sign: Option<&str>) -> Value {
    let (Form::Word(words), Some(sign)) = (items, sign) else { return json!({ "type": "string" }) };
    let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
    let word = format!(" *({}) *", words.join("|"));
    json!({ "type": "string", "pattern": format!("^{word}({}{word})*$", regex::escape(sign)) })
}

fn members(members: &Members) -> Value {
    let mut schema = object(&members.parameters);
    if !members.one_of.is_empty() {
        schema["oneOf"] = members.one_of.iter().map(|name| json!({ "required": [name] })).collect();
    }
    let alone = members.alone.as_ref().and_then(|alone| members.parameters.iter().find(|one| one.name == *alone));
    match alone {
        Some(alone) => json!({ "anyOf": [form(&alone.form), schema] }),
        None => schema,
    }
}

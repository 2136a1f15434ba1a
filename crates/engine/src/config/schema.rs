//! The JSON schema of `gateway.toml`, made from the types, and the validator that holds a file against it.

use std::collections::BTreeSet;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::config::auth::Auth;
use crate::config::connectors::{Common, Connector};
use crate::config::routes::OnFailure;
use crate::config::{Config, ConnectorFacts, FailureForm, HookFacts};
use hookgate_model::secret::SecretSource;

/// What this build knows that a file may name, and the schema that follows. Make it once: compiling the schema takes time.
pub struct Known {
    hooks: Vec<HookFacts>,
    schema: Value,
    validator: Validator,
    plain: PlainKeys,
}

/// Keys whose values are no secrets, in sections where anything else may be one.
pub(super) struct PlainKeys {
    /// Of `[auth.NAME]`.
    pub(super) auth: BTreeSet<String>,
    /// Of `[connectors.NAME]`.
    pub(super) connectors: BTreeSet<String>,
}

impl Known {
    pub(crate) fn new(hooks: Vec<HookFacts>, connectors: &[ConnectorFacts]) -> Self {
        let (schema, plain) = generate(&hooks, connectors);
        let validator =
            jsonschema::validator_for(&schema).expect("schemars writes valid schemas, and a test compiles this one");
        Self { hooks, schema, validator, plain }
    }

    /// The JSON schema (draft 7, which editors of TOML know) of `gateway.toml`.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    pub(super) fn hooks(&self) -> &[HookFacts] {
        &self.hooks
    }

    /// The schema compiled.
    pub(super) fn validator(&self) -> &Validator {
        &self.validator
    }

    pub(super) fn plain(&self) -> &PlainKeys {
        &self.plain
    }
}

fn generate(hooks: &[HookFacts], connectors: &[ConnectorFacts]) -> (Value, PlainKeys) {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(tidy));
    let mut generator = settings.into_generator();
    let mut kinds: Schema = json_schema!({
        "description": "An outside system that scripts may ask for something.",
        "oneOf": connectors.iter().map(|facts| of_kind(facts, &mut generator)).collect::<Vec<_>>(),
    });
    RecursiveTransform(tidy).transform(&mut kinds);
    let connectors = plain_keys(kinds.as_value());
    let mut schema = generator.into_root_schema_for::<Config>();
    schema.insert("description".to_owned(), "The configuration of hookgate.".into());
    let mut schema = schema.to_value();
    schema["definitions"][Connector::schema_name().as_ref()] = kinds.to_value();
    add_failure_forms(&mut schema["definitions"][OnFailure::schema_name().as_ref()], hooks);
    let auth = keys_without_secrets(&schema["definitions"][Auth::schema_name().as_ref()]);
    (schema, PlainKeys { auth, connectors })
}

/// The forms of `on_failure` that take a text, each a table of one key: those that some hook has.
fn add_failure_forms(schema: &mut Value, hooks: &[HookFacts]) {
    let forms = hooks.iter().flat_map(|hook| hook.on_failure);
    let mut words: Vec<&str> = Vec::new();
    for form in forms {
        match form {
            FailureForm::Text(word) if !words.contains(word) => words.push(word),
            _ => {}
        }
    }
    let form = |word: &str| {
        json!({
            "description": format!("The answer `{word}`, with a text."),
            "type": "object",
            "properties": { word: { "description": "The text.", "type": "string", "minLength": 1 } },
            "required": [word],
            "additionalProperties": false,
        })
    };
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.truncate(1);
        choices.extend(words.into_iter().map(form));
    }
}

/// The settings of one kind: its own, then those that all have.
fn of_kind(facts: &ConnectorFacts, generator: &mut SchemaGenerator) -> Value {
    let own = (facts.settings)(generator).to_value();
    let common = Common::json_schema(generator).to_value();
    let mut properties = Map::new();
    properties.insert("kind".to_owned(), json!({ "type": "string", "const": facts.kind }));
    for part in [&own, &common] {
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
    }
    let mut required = vec![Value::from("kind")];
    required.extend(own["required"].as_array().cloned().unwrap_or_default());
    json!({
        "type": "object",
        "description": facts.about,
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

/// Keys that hold one plain value in every kind that has them.
fn plain_keys(kinds: &Value) -> BTreeSet<String> {
    let (mut plain, mut others) = (BTreeSet::new(), BTreeSet::new());
    let kinds = kinds["oneOf"].as_array().into_iter().flatten();
    for (key, value) in kinds.filter_map(|kind| kind["properties"].as_object()).flatten() {
        let scalar = |word: &Value| ["string", "integer", "boolean"].iter().any(|scalar| word == scalar);
        if scalar(&value["type"]) {
            plain.insert(key.clone())
        } else {
            others.insert(key.clone())
        };
    }
    plain.difference(&others).cloned().collect()
}

/// Keys that hold no [`SecretSource`] in any kind.
fn keys_without_secrets(kinds: &Value) -> BTreeSet<String> {
    let secret = format!("#/definitions/{}", SecretSource::schema_name());
    let kinds = kinds["oneOf"].as_array().into_iter().flatten();
    let keys = kinds.filter_map(|kind| kind["properties"].as_object()).flatten();
    keys.filter(|(_, value)| !value.to_string().contains(&secret)).map(|(key, _)| key.clone()).collect()
}

/// Says in standard words what the types mean: TOML has no null, and a number has the bounds of its type.
fn tidy(schema: &mut schemars::Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(default) = object.get_mut("default") {
        remove_nulls(default);
        if default.is_null() {
            object.remove("default");
        }
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [only] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.insert("allOf".to_owned(), Value::Array(vec![only]));
        }
    }
    // Formats such as `uint32` are schemars' own; editors warn about them and validators ignore them.
    if let Some(Value::String(format)) = object.remove("format")
        && format == "uint32"
    {
        object.entry("maximum").or_insert_with(|| u32::MAX.into());
    }
}

fn remove_nulls(value: &mut Value) {
    if let Value::Object(entries) = value {
        entries.retain(|_, entry| !entry.is_null());
        entries.values_mut().for_each(remove_nulls);
    }
}

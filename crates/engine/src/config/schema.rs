//! The JSON schema of `gateway.toml`, made from the types, and the validator that holds a file against it.

use std::collections::BTreeSet;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::config::auth::Auth;
use crate::config::connectors::{Common, Connector};
use crate::config::reconcile::Reconcile;
use crate::config::routes::OnFailure;
use crate::config::source::PlainKeys;
use crate::config::{Config, ConnectorFacts, FailureForm, HookFacts};
use hookgate_connectors::log::LogKind;
use hookgate_model::secret::SecretSource;

/// What this build knows that a file may name, and the schema that follows. Make it once: compiling the schema takes time.
pub struct Known {
    hooks: Vec<HookFacts>,
    schema: Value,
    validator: Validator,
    plain: PlainKeys,
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
    let kinds: Vec<Value> = connectors.iter().map(|facts| of_kind(facts, &mut generator)).collect();
    let logs: Vec<Value> = logs_of(hooks).into_iter().map(|kind| of_log(kind, &mut generator)).collect();
    let (connectors, plain_logs) = (plain_keys(&kinds), plain_keys(&logs));
    let mut schema = generator.into_root_schema_for::<Config>();
    schema.insert("description".to_owned(), "The configuration of hookgate.".into());
    let mut schema = schema.to_value();
    schema["definitions"][Connector::schema_name().as_ref()] =
        json!({ "description": "An outside system that scripts may ask for something.", "oneOf": kinds });
    schema["definitions"][Reconcile::schema_name().as_ref()] = match logs.as_slice() {
        [] => section("No hook has a log.", [Reconcile::json_schema(&mut SchemaGenerator::default()).to_value()]),
        [only] => only.clone(),
        several => json!({ "anyOf": several }),
    };
    add_failure_forms(&mut schema["definitions"][OnFailure::schema_name().as_ref()], hooks);
    let auth = keys_without_secrets(&schema["definitions"][Auth::schema_name().as_ref()]);
    (schema, PlainKeys { auth, connectors, logs: plain_logs })
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

/// Every kind of log that hooks have, each once.
fn logs_of(hooks: &[HookFacts]) -> Vec<&'static LogKind> {
    let mut kinds: Vec<&'static LogKind> = hooks.iter().filter_map(|facts| facts.log).collect();
    kinds.sort_by_key(|kind| kind.name);
    kinds.dedup_by_key(|kind| kind.name);
    kinds
}

/// The settings of one kind of connector: its own, then those that all have.
fn of_kind(facts: &ConnectorFacts, generator: &mut SchemaGenerator) -> Value {
    let kind = json!({
        "properties": { "kind": { "type": "string", "const": facts.kind } }, "required": ["kind"],
    });
    let own = (facts.settings)(generator).to_value();
    let common = Common::json_schema(generator).to_value();
    section(facts.about, [kind, own, common])
}

/// The settings of one kind of log: its own, then those that all have.
fn of_log(kind: &LogKind, generator: &mut SchemaGenerator) -> Value {
    let own = (kind.settings)(generator).to_value();
    let common = Reconcile::json_schema(generator).to_value();
    let about = common["description"].as_str().unwrap_or_default();
    section(&format!("{about} {}", kind.about), [own, common.clone()])
}

/// A section with the keys of all these schemas, and no others.
fn section(about: &str, parts: impl IntoIterator<Item = Value>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let mut schema: Schema = json_schema!({
        "type": "object",
        "description": about,
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    });
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Keys that hold one plain value in every kind that has them.
fn plain_keys(kinds: &[Value]) -> BTreeSet<String> {
    let (mut plain, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (key, value) in kinds.iter().filter_map(|kind| kind["properties"].as_object()).flatten() {
        let scalar = |word: &Value| ["string", "integer", "number", "boolean"].iter().any(|scalar| word == scalar);
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

//! The JSON schema of `gateway.toml`, made from the types, and the validator that holds a file against it.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::config::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::validator_for(&SCHEMA).expect("schemars writes valid schemas, and a test compiles it")
});

/// The JSON schema (draft 7, which editors of TOML know) of `gateway.toml`.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema for those who look into it.
pub(super) fn borrowed() -> &'static Value {
    &SCHEMA
}

/// The schema compiled, once per process.
pub(super) fn validator() -> &'static Validator {
    &VALIDATOR
}

fn generate() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(tidy));
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    schema.insert("description".to_owned(), "The configuration of hookgate.".into());
    schema.to_value()
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

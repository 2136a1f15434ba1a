//! Parameters of routes and rules as scripts get them, with the secrets among them read.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::Dynamic;
use rhai::Map;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Document;
use crate::config::routes::secret_param;
use crate::release::fence::World;
use crate::release::outside;
use hookgate_connectors::setup;
use hookgate_model::environment;
use hookgate_model::finding::Finding;
use hookgate_model::secret::{Ring, Secret, SecretError, SecretSource};
use hookgate_script::prelude::json;
use hookgate_script::prelude::secret::Hidden;

/// The secrets that parameters name, by how they are written.
#[derive(Default)]
pub(super) struct ParamSecrets(HashMap<String, Arc<Ring>>);

impl ParamSecrets {
    /// Reads every one of them, where secrets are wanted.
    pub(super) fn read(world: &World<'_>, document: &Document) -> (Self, Vec<Finding>) {
        let (mut secrets, mut findings) = (Self::default(), Vec::new());
        for (path, written) in document.config.secret_params() {
            let Ok(source) = SecretSource::deserialize(written) else { continue };
            match ring(world, &source) {
                Ok(Some(ring)) => drop(secrets.0.insert(written.to_string(), ring)),
                Ok(None) => {}
                Err(problems) => {
                    findings.extend(problems.into_iter().map(|text| document.finding("config/secret", &path, text)))
                }
            }
        }
        (secrets, findings)
    }

    /// What is to be read again when files change. A new value makes a new release, because scripts hold the old one.
    pub(super) fn rings(&self) -> Vec<Arc<Ring>> {
        self.0.values().cloned().collect()
    }

    /// The parameters as scripts get them.
    pub(super) fn map(&self, params: &serde_json::Map<String, Value>) -> Map {
        params.iter().map(|(name, value)| (name.as_str().into(), self.value(name, value))).collect()
    }

    fn value(&self, name: &str, value: &Value) -> Dynamic {
        match value {
            _ if secret_param(name, value).is_some() => {
                let secret = self.0.get(&value.to_string()).map(|ring| ring.first());
                let text = secret.map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
                Dynamic::from(Hidden::new(text.unwrap_or_default()))
            }
            Value::Object(inner) if !inner.is_empty() => Dynamic::from_map(self.map(inner)),
            other => json::dynamic_from_json(other),
        }
    }
}

fn ring(world: &World<'_>, source: &SecretSource) -> Result<Option<Arc<Ring>>, Vec<String>> {
    let Some(source) = setup::wanted(outside::setup_secrets(world.secrets), source.resolved(&world.place.root)) else {
        return Ok(None);
    };
    let told = |errors: Vec<SecretError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ring = Ring::load(vec![source], environment::variable).map_err(told)?;
    let is_text = |secret: &Secret| match std::str::from_utf8(secret.expose()) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not UTF-8, and a script gets a text".to_owned()),
    };
    let wrong = |wrong: Vec<(String, String)>| wrong.into_iter().map(|(label, why)| format!("secret `{label}` {why}"));
    ring.demand(Box::new(is_text)).map_err(|found| wrong(found).collect::<Vec<_>>())?;
    Ok(Some(Arc::new(ring)))
}

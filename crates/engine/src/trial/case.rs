//! A golden case made of a trial: the body, what the script was answered, and what came of it.
//!
//! A case is a file of the bundle that people read, compare and commit: what is secret in the body, or has the name of a
//! secret there or in the answer of a lookup, is replaced before the case is run.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::harness::cases;
use crate::harness::cases::{Golden, Looked};
use crate::harness::stage::TestCall;
use crate::harness::subject::{Binding, stem};
use crate::harness::test;
use crate::release::suite;
use crate::release::{Release, Route};
use crate::trial::{Order, TrialError, find};
use hookgate_model::decision::redact;
use hookgate_model::files::fence::{Fence, Purpose};
use hookgate_model::finding::unknown;
use hookgate_script::journal::Lookup;
use hookgate_script::prelude::json::json_from_dynamic;
use hookgate_script::prelude::secret::Hidden;
use hookgate_script::prelude::time::Time;

/// A case that is not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Path below the bundle: `scripts/cases/registration/quoted.json`.
    pub file: String,
    /// JSON.
    pub text: String,
    /// Members of the body that were replaced, as JSON Pointers, the first hundred.
    pub redacted: Vec<String>,
    /// The call failed, and why; so the case expects that failure.
    pub failed: Option<String>,
}

/// An order without what is secret in its body, and the pointers of what was replaced. A body that is no JSON stays as it is.
///
/// # Errors
/// There is no such route or rule.
pub(super) fn without_secrets(release: &Release, order: &Order) -> Result<(Order, Vec<String>), TrialError> {
    let route = find(release, order)?;
    let Ok(body) = serde_json::from_slice::<Value>(&order.body) else { return Ok((order.clone(), Vec::new())) };
    let recorded = route.hook.recorded;
    let contract: Vec<&[&str]> = recorded.captured.iter().flat_map(|paths| paths.iter().copied()).collect();
    let more = route.capture.as_ref().map(|capture| capture.redact.as_slice()).unwrap_or_default();
    let (kept, redacted) = redact::without_secrets(&body, &contract, recorded.secret, more);
    if redacted.is_empty() {
        return Ok((order.clone(), redacted));
    }
    Ok((Order { body: kept.to_string().into(), ..order.clone() }, redacted))
}

/// What was asked and answered, without members of the answer whose names are those of secrets, also where the answer holds
/// JSON as a text.
fn looked(lookup: &Lookup) -> Option<Looked> {
    let looked = Looked::of(lookup)?;
    let (mut answer, _) = redact::without_secrets(&looked.answer, &[], &[], &[]);
    for text in answer.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(Ok(value)) = text.as_str().map(serde_json::from_str::<Value>) else { continue };
        let (kept, replaced) = redact::without_secrets(&value, &[], &[], &[]);
        if !replaced.is_empty() {
            *text = Value::from(kept.to_string());
        }
    }
    // With another body, the case would not find its answer: one that may hold a secret is left out, and every body fits.
    let is_plain = |body: &Value| redact::without_secrets(body, &[], &[], &[]).1.is_empty();
    let body = looked.body.filter(is_plain);
    Some(Looked { answer, body, ..looked })
}

impl Draft {
    /// Runs the order once more as its case will be run, with the answers that it got (`asked`). Takes the time and the stack
    /// of a run: not for a thread that others wait for.
    ///
    /// # Errors
    /// The name will not do, the body is no JSON or no call of the hook, or several rules could be meant.
    pub(crate) fn of(release: &Release, order: &Order, name: &str, asked: &[Lookup]) -> Result<Self, String> {
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
        {
            return Err(format!("`{name}` cannot be the name of a case: use letters, digits, `_` and `-`"));
        }
        let route = find(release, order).map_err(|error| error.to_string())?;
        let binding = binding(route, order.rule.as_deref())?;
        let script = binding.script.file().to_owned();
        let file = format!("{}/{}/{}/{name}.json", release.config.scripts.dir, cases::FOLDER, stem(&script));
        // A case is read by people and compared: to the second is enough.
        let now = Timestamp::from_second(Timestamp::now().as_second());
        let now = Time(now.map_err(|error| format!("the clock of this machine is off: {error}"))?);
        let lookups: Vec<Looked> = asked.iter().filter_map(looked).collect();
        let call = TestCall {
            world: cases::world(&binding, now, &lookups)?,
            compiler: Arc::clone(&release.compiler),
            connectors: Some(Arc::clone(&release.connectors)),
            surroundings: Ok(binding.surroundings.clone()),
            sends: BTreeMap::default(),
            deadline: Instant::now() + Duration::from_millis(test::limits().deadline_ms),
            binding,
        };
        let request = serde_json::from_slice(&order.body);
        let golden = Golden {
            route: Some(call.binding.name.clone()),
            request: request.map_err(|error| format!("a case needs a body that is JSON: {error}"))?,
            params: params(&call.binding)?,
            now: Some(now.0.to_string()),
            lookups,
            ..Golden::default()
        };
        let golden = cases::record(&call, golden).map_err(|error| error.to_string())?;
        let text = cases::written(&golden);
        Ok(Self { file, text, redacted: Vec::new(), failed: golden.failed_when_saved })
    }

    /// Writes it below the folder of the bundle.
    ///
    /// # Errors
    /// There is such a case already, or it cannot be written.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let path = root.join(&self.file);
        let folder = Path::new(&self.file).parent().unwrap_or(Path::new(""));
        // A link in the scripts folder must not lead the case, or a folder for it, out of the bundle.
        let there = folder.ancestors().find(|folder| root.join(folder).exists()).unwrap_or(Path::new(""));
        let within = Fence::new(root).locate(&there.to_string_lossy(), Purpose::Text);
        within.map_err(|error| io::Error::other(format!("`{}` cannot be written: {error}", self.file)))?;
        std::fs::create_dir_all(root.join(folder))?;
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::Error::new(
                error.kind(),
                format!(
                    "there is `{}` already; `hookgate test --accept` updates it, or choose another name",
                    self.file
                ),
            ),
            kind => io::Error::new(kind, format!("`{}` cannot be written: {error}", self.file)),
        })?;
        file.write_all(self.text.as_bytes())
    }
}

/// The parameters of the route, so that the case stays what it is when they change. Secrets are left out.
fn params(binding: &Binding) -> Result<Option<Map<String, Value>>, String> {
    let params = plain_params(&binding.surroundings.params);
    match json_from_dynamic(&params)? {
        Value::Object(params) if !params.is_empty() => Ok(Some(params)),
        _ => Ok(None),
    }
}

fn plain_params(params: &rhai::Map) -> rhai::Dynamic {
    let plain = params.iter().filter(|(_, value)| !value.is::<Hidden>());
    let inner = |value: &rhai::Dynamic| match value.read_lock::<rhai::Map>() {
        Some(map) => plain_params(&map),
        None => value.clone(),
    };
    rhai::Dynamic::from_map(plain.map(|(name, value)| (name.clone(), inner(value))).collect())
}

fn binding(route: &Arc<Route>, rule: Option<&str>) -> Result<Binding, String> {
    let mut bindings = suite::bindings_of(route);
    let Some(rule) = rule else {
        if bindings.len() > 1 {
            return Err(format!("route `{}` has several rules: say which one the case is for", route.name));
        }
        return bindings.pop().ok_or_else(|| "this route runs no script".to_owned());
    };
    let wanted = format!("{}.{rule}", route.name);
    let names: Vec<&str> = bindings.iter().map(|binding| binding.name.as_str()).collect();
    let place = names.iter().position(|name| *name == wanted).ok_or_else(|| unknown("rule", rule, &names))?;
    Ok(bindings.swap_remove(place))
}

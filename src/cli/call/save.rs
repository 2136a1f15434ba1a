//! `call --save-case`: makes a golden case of a call.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::call::{Work, unknown};
use crate::cli::output;
use crate::cli::output::{GOOD, paint};
use crate::harness::cases;
use crate::harness::cases::{Golden, Looked};
use crate::harness::stage::Stage;
use crate::harness::subject::{Binding, stem};
use crate::harness::test;
use crate::release::suite;
use crate::script::journal::Lookup;
use crate::script::prelude::json::json_from_dynamic;
use crate::script::prelude::time::Time;

/// Runs the call once more as its case will be run, with the answers that it got (`asked`), and writes the case.
///
/// # Errors
/// The name will not do, there is such a case, the body is no JSON or no call of the hook, or the file cannot be written.
pub(super) fn save(work: &Work, name: &str, body: &bytes::Bytes, asked: &[Lookup]) -> Result<()> {
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')) {
        bail!("`{name}` cannot be the name of a case: use letters, digits, `_` and `-`");
    }
    let binding = binding(work)?;
    let script = binding.script.file().to_owned();
    let file = format!("{}/{}/{}/{name}.json", work.release.config.scripts.dir, cases::FOLDER, stem(&script));
    let path = work.place.root.join(&file);
    if path.exists() {
        bail!("there is `{file}` already; `hookgate test --accept` updates it, or choose another name");
    }
    // A case is read by people and compared: to the second is enough.
    let now = Time(Timestamp::from_second(Timestamp::now().as_second()).context("the clock of this machine is off")?);
    let lookups: Vec<Looked> = asked.iter().filter_map(Looked::of).collect();
    let stage = Stage {
        world: cases::world(&binding, now, &lookups).map_err(anyhow::Error::msg)?,
        compiler: Arc::clone(&work.release.compiler),
        connectors: Arc::clone(&work.release.connectors),
        surroundings: binding.surroundings.clone(),
        sends: std::collections::BTreeMap::default(),
        deadline: Instant::now() + std::time::Duration::from_millis(test::limits().deadline_ms),
        binding,
    };
    let golden = Golden {
        route: Some(stage.binding.name.clone()),
        request: serde_json::from_slice(body).context("a case needs a body that is JSON")?,
        params: params(&stage.binding)?,
        now: Some(now.0.to_string()),
        lookups,
        ..Golden::default()
    };
    let golden = cases::record(&stage, golden).map_err(|error| anyhow::anyhow!("no case was saved: {error}"))?;
    let folder = path.parent().context("a case has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    std::fs::write(&path, cases::written(&golden)).with_context(|| format!("`{file}` cannot be written"))?;
    output::note(format_args!("{} {file}; `hookgate test` runs it from now on", paint(GOOD, "saved")));
    Ok(())
}

/// The parameters of the route, so that the case stays what it is when they change.
fn params(binding: &Binding) -> Result<Option<serde_json::Map<String, Value>>> {
    let params = rhai::Dynamic::from_map((*binding.surroundings.params).clone());
    match json_from_dynamic(&params).map_err(|problem| anyhow::anyhow!(problem))? {
        Value::Object(params) if !params.is_empty() => Ok(Some(params)),
        _ => Ok(None),
    }
}

fn binding(work: &Work) -> Result<Binding> {
    let mut bindings = suite::bindings_of(work.route);
    let Some(rule) = &work.args.rule else {
        if bindings.len() > 1 {
            bail!("route `{}` has several rules: say which with --rule NAME", work.route.name);
        }
        return bindings.pop().context("this route runs no script");
    };
    let wanted = format!("{}.{rule}", work.route.name);
    let names: Vec<String> = bindings.iter().map(|binding| binding.name.clone()).collect();
    let place = names.iter().position(|name| *name == wanted).with_context(|| unknown("rule", &wanted, &names))?;
    Ok(bindings.swap_remove(place))
}

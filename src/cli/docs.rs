//! `docs`: the reference of hooks and of everything scripts can name, from the registrations; the schema of
//! `gateway.toml`; and definitions for the tools of others.

pub mod codes;
mod definitions;
mod named;
mod page;
pub mod pages;
pub mod parameters;
mod parts;
mod subscribe;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::bundle;
use crate::cli::docs::named::{Named, Place};
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, GOOD, paint};
use crate::cli::{Global, Status};
use hookgate_engine::harness;
use hookgate_engine::release;
use hookgate_engine::release::build::survey;
use hookgate_hooks::Hook;
use hookgate_model::finding::unknown;
use hookgate_script::library::{Entry, Kind};
use hookgate_script::lint::codes::Code;
use hookgate_script::prelude;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A hook, function, property, type or code of a finding, such as `okta.token`, `deny_field`, `Email`, `Email.domain`,
    /// `assert_eq` or `script/comparison`; or a script of the bundle, such as `registration.rhai`: its parameters.
    name: Option<String>,
    /// Print the JSON schema of gateway.toml, with the parameters of the scripts of the bundle.
    #[arg(long, conflicts_with = "name")]
    schema: bool,
    /// Write Rhai definition files into a folder: one of what every script may name, one per hook, and one of what tests add.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "schema"])]
    definitions: Option<PathBuf>,
    /// Of a hook or a script: print its page as Markdown.
    #[arg(long, requires = "name", conflicts_with = "json")]
    markdown: bool,
    /// Of an event hook: print the event types that the rules of gateway.toml want, to be ticked in the provider's console; with
    /// --json as its API takes them.
    #[arg(long, requires = "name", conflicts_with = "markdown")]
    subscribe: bool,
}

/// # Errors
/// Nothing has that name, or the definitions cannot be written.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    if let Some(folder) = &args.definitions {
        define(global, folder)?;
        return Ok(Status::Good);
    }
    match &args.name {
        _ if args.schema => output::json(&schema(global)),
        Some(name) if args.subscribe => subscribe::run(global, hook_named(name)?)?,
        Some(name) => named(global, name, args.markdown)?,
        None if global.json => output::json(&all_json()),
        None => topics(),
    }
    Ok(Status::Good)
}

/// Without a bundle no script is known.
fn schema(global: &Global) -> Value {
    match bundle::place(global) {
        Ok(place) => survey::survey(&place, None).schema(),
        Err(_) => release::schema().clone(),
    }
}

fn define(global: &Global, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    let mut written = Vec::new();
    for (name, text) in definitions::all() {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("`{}` cannot be written", path.display()))?;
        written.push(path);
    }
    if global.json {
        output::json(&json!({ "files": written }));
    } else {
        written.iter().for_each(|path| output::line(format_args!("{} {}", paint(GOOD, "wrote"), path.display())));
    }
    Ok(())
}

fn named(global: &Global, name: &str, markdown: bool) -> Result<()> {
    let hook = hookgate_hooks::HOOKS.iter().find(|hook| hook.name == name || hook.entry == name);
    if let Some(hook) = hook {
        if global.json {
            output::json(&hook_json(hook));
        } else if markdown {
            output::line(pages::of_hook(hook).trim_end());
        } else {
            output::line(page::of_hook(hook));
        }
        return Ok(());
    }
    if name.ends_with(".rhai") {
        if !parameters::run(global, name, markdown)? {
            bail!("the bundle has no script `{name}` that declares its parameters with `const PARAMS = #{{ … }};`");
        }
        return Ok(());
    }
    if markdown {
        bail!("only hooks and scripts have a page in Markdown; `hookgate docs` lists the hooks");
    }
    if let Some(code) = codes::find(name).filter(|code| code.code == name) {
        if global.json {
            output::json(&code_json(code));
        } else {
            output::line(codes::page(code));
        }
        return Ok(());
    }
    let found: Vec<Named> = named::all().into_iter().filter(|named| named.is_meant(name)).collect();
    if found.is_empty() {
        bail!("{}; `hookgate docs` lists everything", unknown("hook, function, type or code", name, &names()));
    }
    if global.json {
        output::json(&found.iter().map(entry_json).collect());
    } else {
        let pages: Vec<String> = found.iter().map(page::of_entry).collect();
        output::line(pages.join("\n"));
    }
    Ok(())
}

fn hook_named(name: &str) -> Result<&'static Hook> {
    let names: Vec<&str> = hookgate_hooks::HOOKS.iter().map(|hook| hook.name).collect();
    hookgate_hooks::find(name).with_context(|| unknown("hook", name, &names))
}

fn names() -> Vec<String> {
    let hooks = hookgate_hooks::HOOKS.iter().map(|hook| hook.name.to_owned());
    let entries = named::all().into_iter().map(|named| named.entry.name().to_owned());
    let codes = codes::all().into_iter().map(|code| code.code.to_owned());
    hooks.chain(entries).chain(codes).collect::<BTreeSet<_>>().into_iter().collect()
}

fn topics() {
    output::line(paint(BOLD, "Hooks"));
    for hook in hookgate_hooks::HOOKS.iter() {
        let entry = format!("{}({})", hook.entry, hook.parameter());
        output::line(format_args!("  {:<22} {entry:<30} {}", hook.name, paint(DIM, hook.about)));
    }
    families("Every script", &prelude::library().entries);
    families("Tests of scripts", &harness::library().entries);
    output::line(paint(
        DIM,
        "\n`hookgate docs NAME` tells more; `hookgate check --explain` lists the codes of findings; `hookgate docs --schema` prints the schema of gateway.toml",
    ));
}

/// The names of functions, and of the values that have no function to make them, by family.
fn families(title: &str, entries: &[Entry]) {
    let mut families: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.receiver().is_none()) {
        let name = entry.name();
        match families.iter_mut().find(|(family, _)| *family == entry.family) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => families.push((entry.family, vec![name])),
        }
    }
    output::line(format_args!("\n{}", paint(BOLD, title)));
    for (family, names) in families {
        output::line(format_args!("  {family:<22} {}", names.join(" ")));
    }
}

fn all_json() -> Value {
    json!({
        "hooks": hookgate_hooks::HOOKS.iter().map(hook_json).collect::<Value>(),
        "entries": named::all().iter().map(entry_json).collect::<Value>(),
    })
}

fn hook_json(hook: &Hook) -> Value {
    let forms = hook.on_failure().iter();
    let forms = forms.map(|form| json!({ "word": form.word, "takes_text": form.takes_text, "about": form.about }));
    let samples = hook.samples.iter();
    let samples = samples.map(|sample| json!({ "name": sample.name, "script": sample.script }));
    json!({
        "name": hook.name,
        "entry": hook.entry,
        "request": hook.request,
        "about": hook.about,
        "silence": hook.silence,
        "on_failure": forms.collect::<Value>(),
        "samples": samples.collect::<Value>(),
        "events": hook.is_for_events(),
    })
}

/// A code of findings as JSON.
pub fn code_json(code: &Code) -> Value {
    json!({
        "code": code.code,
        "title": code.title,
        "why": code.why,
        "found": code.stage.about(),
        "bad": code.bad.trim(),
        "good": code.good.trim(),
    })
}

fn entry_json(named: &Named) -> Value {
    let entry = named.entry;
    let kind = match entry.kind {
        Kind::Value => "type",
        Kind::Property => "property",
        Kind::Method => "method",
        Kind::Function => "function",
        Kind::Constant => "constant",
    };
    json!({
        "kind": kind,
        "name": entry.name(),
        "receiver": entry.receiver(),
        "signature": entry.signature.to_string(),
        "about": entry.doc.about,
        "example": entry.doc.example,
        "family": entry.family,
        "hooks": named.hooks(),
        "tests": matches!(named.place, Place::Tests),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_functions_properties_and_all_of_a_type() {
        let found = |name: &str| named::all().into_iter().filter(|named| named.is_meant(name)).count();
        assert_eq!(found("Email.domain"), 1);
        assert!(found("Email") > 3, "a type comes with its properties");
        assert!(found("allow") > 0);
        assert_eq!((found("assert_eq"), found("Body.merged")), (1, 1), "tests have functions, too");
        assert_eq!(found("no_such_thing"), 0);
    }

    #[test]
    fn every_hook_has_a_page_with_its_commands() {
        for hook in hookgate_hooks::HOOKS.iter() {
            let page = page::of_hook(hook);
            for part in [hook.name, hook.entry, hook.silence] {
                assert!(page.contains(part), "`{part}` is missing on the page of {}", hook.name);
            }
        }
    }
}

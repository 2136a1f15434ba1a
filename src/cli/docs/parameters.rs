//! The parameters that a script declares, as a table: for its page, and for `docs SCRIPT`.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::bundle;
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, paint};
use hookgate_engine::release::build::survey;
use hookgate_script::parameters;
use hookgate_script::parameters::{Declaration, Form, Members, Parameter};
use hookgate_script::prelude::json::shown;

/// One parameter, or a member of one.
struct Row {
    /// `disposable.mode`, `sinks[].format`, `groups.KEY.label`
    name: String,
    form: String,
    if_absent: String,
    text: String,
}

/// Prints the parameters of a script of the bundle, which is named by its path below the scripts folder. Whether there is such a
/// script that declares some.
///
/// # Errors
/// There is no bundle.
pub(super) fn run(global: &Global, script: &str, markdown: bool) -> Result<bool> {
    let place = bundle::place(global)?;
    let survey = survey::survey(&place, None);
    let Some(declaration) = survey.declaration(script) else { return Ok(false) };
    if global.json {
        output::json(&of_json(declaration));
    } else if markdown {
        output::line(of_declaration(declaration).trim_end());
    } else {
        output::line(format_args!("{}\n", paint(BOLD, format!("Parameters of {script}"))));
        for Row { name, form, if_absent, text } in rows(&declaration.parameters, "") {
            let default = match if_absent.as_str() {
                "" => String::new(),
                "required" => "; required".to_owned(),
                value => format!("; if absent: {value}"),
            };
            output::line(format_args!("{name}  {}\n    {text}", paint(DIM, format!("{form}{default}"))));
        }
    }
    Ok(true)
}

/// The table of what the text of a script declares; nothing where it declares nothing.
pub fn table(source: &str) -> Option<String> {
    let declared = parameters::of_source(source)?;
    Some(of_declaration(&declared))
}

fn of_declaration(declaration: &Declaration) -> String {
    let mut text = "| Parameter | Value | If absent | |\n| --- | --- | --- | --- |\n".to_owned();
    for Row { name, form, if_absent, text: about } in rows(&declaration.parameters, "") {
        let cell = |text: &str| text.replace('|', "\\|");
        let default = match if_absent.as_str() {
            "" => String::new(),
            "required" => "required".to_owned(),
            value => format!("`{}`", cell(value)),
        };
        let written = writeln!(text, "| `{name}` | {} | {default} | {} |", cell(&form), cell(&about));
        debug_assert!(written.is_ok(), "a text takes everything");
    }
    text
}

fn rows(parameters: &[Parameter], prefix: &str) -> Vec<Row> {
    let mut found = Vec::new();
    for parameter in parameters {
        let name = format!("{prefix}{}", parameter.name);
        let (members, sign) = inner(&parameter.form);
        let default = parameter.if_absent.as_ref().filter(|_| members.is_none() || !sign.is_empty()).map(shown);
        let required = parameter.required.then(|| "required".to_owned());
        found.push(Row {
            form: parameter.form.label(),
            if_absent: required.or(default).unwrap_or_default(),
            text: parameter.text.clone(),
            name: name.clone(),
        });
        if let Some(members) = members {
            found.extend(rows(&members.parameters, &format!("{name}{sign}.")));
        }
    }
    found
}

/// The members of a form, and how they are reached from its name.
fn inner(form: &Form) -> (Option<&Members>, &'static str) {
    match form {
        Form::Members(members) => (Some(members), ""),
        Form::List(list) => (inner(&list.items).0, "[]"),
        Form::Map(_, values) => (inner(values).0, ".KEY"),
        _ => (None, ""),
    }
}

fn of_json(declaration: &Declaration) -> Value {
    let row = |row: &Row| json!({ "name": row.name, "value": row.form, "if_absent": row.if_absent, "about": row.text });
    json!({ "parameters": rows(&declaration.parameters, "").iter().map(row).collect::<Value>(), "schema": declaration.schema(false) })
}

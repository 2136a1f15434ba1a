//! Definition files of Rhai (`*.d.rhai`) from the registration table, for tools of others that read them.
//!
//! The form is that of Rhai's own generator, whose text knows neither our names of types nor what may be left out.

use std::fmt::Write;

use hookgate_engine::harness;
use hookgate_script::library::{Entry, Kind};
use hookgate_script::prelude;
use hookgate_script::shape::Shape;
use hookgate_script::signature::Param;

/// Name and text of each file: what every script may name, what each hook adds, and what tests add.
pub(super) fn all() -> Vec<(String, String)> {
    let prelude = file("Every script may name this.", &prelude::library().entries);
    let hook = |hook: &hookgate_hooks::Hook| {
        let about = format!("Scripts of `{}` may name this, and what is in `prelude.d.rhai`.", hook.name);
        (format!("{}.d.rhai", hook.name), file(&about, &hook.library().entries))
    };
    let tests = "Tests (`*_test.rhai`) may name this, and what the scripts that they test may name.";
    let mut files = vec![("prelude.d.rhai".to_owned(), prelude)];
    files.extend(hookgate_hooks::HOOKS.iter().map(hook));
    files.push(("tests.d.rhai".to_owned(), file(tests, &harness::library().entries)));
    files
}

fn file(about: &str, entries: &[Entry]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text =
        format!("// {about}\n// Written by `hookgate docs --definitions`, version {version}.\n\nmodule static;\n");
    for entry in entries {
        text.push('\n');
        if entry.kind == Kind::Value || !entry.name().starts_with(|first: char| first.is_alphabetic()) {
            // Rhai has no word for types, or for properties of any name.
            let _ = writeln!(text, "// {}: {}", entry.signature, entry.doc.about);
            continue;
        }
        for (number, line) in definitions(entry).into_iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            let _ = writeln!(text, "{}{line}", comment(entry));
        }
    }
    text
}

fn comment(entry: &Entry) -> String {
    let mut lines: Vec<String> = entry.doc.about.lines().map(|line| format!("/// {line}\n")).collect();
    if !entry.doc.example.is_empty() {
        lines.push(format!("///\n/// {}:\n/// ```rhai\n", entry.example_title()));
        lines.extend(entry.doc.example.lines().map(|line| format!("/// {line}\n")));
        lines.push("/// ```\n".to_owned());
    }
    lines.concat()
}

/// One line for each number of arguments.
fn definitions(entry: &Entry) -> Vec<String> {
    let (name, signature, result) = (entry.name(), &entry.signature, word(entry.signature.result_shape()));
    let receiver = entry.receiver().map(|of| format!("{}: {}", of.to_lowercase(), word(Shape::Value(of))));
    match entry.kind {
        Kind::Constant => vec![format!("const {name}: {result};")],
        Kind::Property => vec![format!("fn get {name}({}) -> {result};", receiver.unwrap_or_default())],
        Kind::Value => Vec::new(),
        Kind::Function | Kind::Method => {
            let params: Vec<String> = signature.params().iter().map(parameter).collect();
            let form = |count: usize| {
                let written: Vec<String> = receiver.iter().chain(&params[..count]).cloned().collect();
                format!("fn {name}({}) -> {result};", written.join(", "))
            };
            (signature.required()..=params.len()).map(form).collect()
        }
    }
}

/// `text: String`
fn parameter(param: &Param) -> String {
    format!("{}: {}", param.name, word(param.takes.shape()))
}

/// A shape as Rhai's definitions write it; `?` is anything.
fn word(shape: Shape<'static>) -> &'static str {
    match shape {
        Shape::Text => "String",
        Shape::Array(_) => "Array",
        Shape::Map => "Map",
        Shape::Integer => "int",
        Shape::Float => "float",
        Shape::Bool => "bool",
        Shape::Nothing => "()",
        Shape::Value(name) => name,
        Shape::Unknown => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookgate_script::engine;

    /// Rhai itself reads no definitions. What can be checked is that each line has their form, and that its names and
    /// brackets are those of a function that Rhai would take.
    #[test]
    fn every_line_is_a_definition() {
        let parser = engine::parser(engine::Dialect::Script);
        for (name, text) in all() {
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
                let Some(rest) = line.strip_prefix("fn ") else {
                    let constant = line.strip_prefix("const ").is_some_and(|rest| rest.contains(": "));
                    assert!(line == "module static;" || constant, "{name}: {line}");
                    continue;
                };
                let (head, result) = rest.rsplit_once(") -> ").unwrap_or_else(|| panic!("{name}: {line}"));
                assert!(result.ends_with(';') && !result.contains(' '), "{name}: {line}");
                let (called, parameters) =
                    head.strip_prefix("get ").unwrap_or(head).split_once('(').expect("a bracket");
                let names: Vec<&str> = parameters.split(", ").filter_map(|one| one.split(':').next()).collect();
                let function = format!("fn _{called}({}) {{}}", names.join(", "));
                parser.compile(&function).unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
            }
        }
    }

    #[test]
    fn every_row_of_the_table_is_there() {
        let files = all();
        for hook in hookgate_hooks::HOOKS.iter() {
            let (_, text) = files.iter().find(|(name, _)| *name == format!("{}.d.rhai", hook.name)).expect("a file");
            for entry in &hook.library().entries {
                assert!(text.contains(entry.name()), "{} is missing in that of {}", entry.signature, hook.name);
            }
        }
        let (_, tests) = files.last().expect("files");
        for entry in &harness::library().entries {
            assert!(tests.contains(entry.name()), "{} is missing in that of tests", entry.signature);
        }
        let registration = &files.iter().find(|(name, _)| name == "okta.registration.d.rhai").expect("a file").1;
        for line in [
            "fn get email(registrationrequest: RegistrationRequest) -> Email;",
            "fn deny_field(attribute: String, text: String) -> ?;",
            "fn deny_field(attribute: String, text: String, reason: String) -> ?;",
        ] {
            assert!(registration.contains(line), "{line} is missing in\n{registration}");
        }
    }
}

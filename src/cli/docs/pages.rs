//! The generated pages of the folder `docs/`, as Markdown. `docs --markdown` prints them, and a test keeps the folder
//! fresh. Nothing here reads or writes a file.

use std::fmt::Write;

use clap::CommandFactory;
use serde_json::Value;

use crate::cli::CommandLine;
use crate::cli::docs::codes;
use crate::cli::docs::parts;
use crate::cli::output;
use hookgate_engine::harness;
use hookgate_engine::harness::shapes;
use hookgate_engine::release;
use hookgate_hooks::{Hook, Sample};
use hookgate_script::library::{Effect, Entry, Finished, Kind};
use hookgate_script::prelude;

mod keys;

/// A file of `docs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Below `docs/`, such as `hooks/okta.token.md`.
    pub path: String,
    pub text: String,
}

/// Says at the top of each page where it comes from.
const GENERATED: &str = "<!-- Generated from the code. `UPDATE=1 cargo test --test it docs` writes it anew. -->\n\n";

/// Every generated file.
pub fn all() -> Vec<Page> {
    let page = |path: String, text: String| Page { path, text };
    let mut pages = vec![
        page("reference.md".into(), index()),
        page("cli.md".into(), command_line()),
        page("lint.md".into(), codes::markdown(GENERATED)),
        page("configuration-keys.md".into(), keys::of(release::schema())),
    ];
    pages.extend(hookgate_hooks::HOOKS.iter().map(|hook| page(hook_path(hook), of_hook(hook))));
    pages.extend(
        hookgate_connectors::KINDS.iter().map(|kind| page(format!("connectors/{}.md", kind.name), of_connector(kind))),
    );
    for part in [EVERY_SCRIPT, TESTS] {
        let families = part.families().into_iter();
        pages.extend(families.map(|family| page(part.path(family), part.page(family))));
    }
    pages
}

/// The page of a kind of connector.
fn of_connector(kind: &hookgate_connectors::setup::Kind) -> String {
    let name = kind.name;
    let back = "What all connectors have in common: [configuration](../configuration.md#connectorsname).";
    let settings = keys::of_connector(release::schema(), name);
    format!(
        "{GENERATED}# Connectors of kind `{name}`\n\n{} {back}\n\n{}\n## Settings\n\n{settings}",
        kind.about, kind.guide
    )
}

/// The page of a hook.
pub fn of_hook(hook: &'static Hook) -> String {
    let mut text = format!("{GENERATED}# {}\n\n{}\n\n", hook.name, hook.about);
    let _ = writeln!(text, "Entry function: `{}`", parts::entry(hook));
    on_failure(&mut text, hook);
    provider(&mut text, hook);
    let parts = parts::of(hook);
    let _ = writeln!(
        text,
        "\n## {}\n\nRead-only. What the provider did not send is `()`. Here and below, each example is true of one of the [samples](#samples); a\ntest says so.\n",
        hook.request
    );
    table(&mut text, "Property", &parts.request);
    if !parts.commands.is_empty() {
        let _ = writeln!(
            text,
            "\n## Commands\n\nReturn one, an array of them, or nothing. A test returns each example for one of the [samples](#samples).\n"
        );
        table(&mut text, "Command", &parts.commands);
    }
    if !parts.constants.is_empty() {
        let _ = writeln!(text, "\n## Constants\n");
        table(&mut text, "Constant", &parts.constants);
    }
    for (entry, members) in &parts.types {
        let _ = writeln!(text, "\n## {}\n\n{}\n", entry.name(), entry.doc.about);
        table(&mut text, "Property", members);
    }
    let _ = writeln!(text, "\nEvery script has [these functions and types](../reference.md#every-script), too.");
    outcomes(&mut text, hook);
    samples(&mut text, hook.samples);
    text
}

/// What a test finds in `outcome`, by what the script does.
fn outcomes(text: &mut String, hook: &Hook) {
    let run = parts::run(hook);
    let _ = writeln!(
        text,
        "\n## In tests\n\nWhat `let outcome = {run};` gives in a [test](../testing.md), by what the body of `{}` does.\n\
         Members that a row does not name are empty or `()`; [all members](../tests/running.md#outcome). A test of hookgate runs\n\
         each row.\n\n| Result | The script | True of `outcome` |\n| --- | --- | --- |",
        hook.entry
    );
    for shape in shapes::of(hook) {
        let before = if shape.before.is_empty() { String::new() } else { format!(" after `{}`", cell(shape.before)) };
        let script = if shape.script.is_empty() { "nothing".to_owned() } else { format!("`{}`", cell(shape.script)) };
        let holds = shape.holds.iter().map(|condition| format!("`{}`", cell(condition))).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| {} | {script}{before} | {holds} |", shape.result);
    }
}

fn on_failure(text: &mut String, hook: &Hook) {
    let _ = writeln!(text, "\n## When there is no answer\n\n{}\n", hook.silence);
    if hook.on_failure().is_empty() {
        let _ = writeln!(
            text,
            "`on_failure` is not stated: nothing is replied to events. They are kept before they are acknowledged with 204; if\n\
             they cannot be kept, the answer is 503. A rule that fails is [tried again](../events.md), and then a dead letter. What\n\
             cannot be read of an event is `()`; an event that cannot be read at all is seen by rules for `*`, without a type."
        );
        return;
    }
    let _ =
        writeln!(text, "`on_failure` must be stated. It is sent when the script fails, takes too long, or asks for");
    let _ = writeln!(
        text,
        "something that the provider would not accept; and when nothing of the call can be used. A part that only informs and has\n\
         the wrong form reads as `()`, with a note in the [record](../records.md).\n\n| `on_failure =` | |\n| --- | --- |"
    );
    for form in hook.on_failure() {
        let _ = writeln!(text, "| `{}` | {} |", parts::failure(form), form.about);
    }
}

fn provider(text: &mut String, hook: &Hook) {
    let provider = &hook.provider;
    let _ = writeln!(text, "\n## At the provider\n");
    let _ = writeln!(text, "- **Without hookgate it fails {}.**", provider.fails);
    let _ = writeln!(text, "- **The user sees:** {}", provider.user_sees);
    for limit in provider.limits {
        let _ = writeln!(text, "- {limit}");
    }
    let _ = writeln!(text, "\nChecked on {}.\n\n### Trying it out\n\n{}", provider.checked, hook.trying);
}

fn samples(text: &mut String, samples: &[Sample]) {
    let _ = writeln!(text, "\n## Samples\n\nA test runs each of them.");
    let mut known: Vec<(String, &str)> = Vec::new();
    for sample in samples {
        let title = sample.name.replace('_', " ");
        let _ = writeln!(text, "\n### {title}");
        if let Some((first, _)) = known.iter().find(|(_, request)| *request == sample.request) {
            let _ = writeln!(text, "\nThe call is that of \"{first}\".");
        } else {
            fenced(text, "json", &tidy(sample.request));
            known.push((title, sample.request));
        }
        fenced(text, "rhai", sample.script.trim());
        if sample.reply.is_empty() {
            let _ = writeln!(text, "\nThe reply has no body.");
        } else {
            fenced(text, "json", &tidy(sample.reply));
        }
    }
}

/// JSON indented; as it is where a sample is no JSON on purpose.
fn tidy(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| output::pretty(&value))
}

fn fenced(text: &mut String, language: &str, code: &str) {
    let _ = writeln!(text, "\n```{language}\n{code}\n```");
}

fn table(text: &mut String, title: &str, entries: &[&Entry]) {
    let _ = writeln!(text, "| {title} | | Example |\n| --- | --- | --- |");
    for entry in entries {
        let signature = match entry.kind {
            // The heading names the type.
            Kind::Property | Kind::Method => entry.signature.without_receiver(),
            _ => entry.signature.to_string(),
        };
        let example = match entry.doc.example {
            "" => String::new(),
            example => format!("`{}`", cell(example)),
        };
        let _ = writeln!(text, "| `{}` | {} | {example} |", cell(&signature), cell(entry.doc.about));
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A library that has a page for each of its families.
#[derive(Clone, Copy)]
struct Part {
    folder: &'static str,
    title: &'static str,
    /// Says at the top of a page where this may be used, and what its examples are.
    intro: &'static str,
    library: fn() -> &'static Finished,
}

const EVERY_SCRIPT: Part = Part {
    folder: "functions",
    title: "Every script",
    intro: "In every script. Each example is true, and a test says so.",
    library: prelude::library,
};

/// The same for what makes commands.
const COMMANDS: &str = "In every script. Each example is what a script of any hook may return, alone or in an array beside others, and a test\n\
    says so. The first argument is the name of a `[connectors.NAME]` in gateway.toml: whom it reaches is written there.";

const TESTS: Part = Part {
    folder: "tests",
    title: "Tests of scripts",
    intro: "In tests of scripts (`*_test.rhai`), beside everything that the script itself may use. Each example is the inside\n\
        of a test and ends with something true (but for `todo` and `skip`), in the bundle that `hookgate init` writes; one\n\
        that calls `run_event` or `run_batch`, in a test of the first sample of\n\
        [`okta.event`](../hooks/okta.event.md#samples). A test runs them all.",
    library: harness::library,
};

impl Part {
    fn entries(self) -> &'static [Entry] {
        &(self.library)().entries
    }

    fn families(self) -> Vec<&'static str> {
        let mut families: Vec<&str> = Vec::new();
        for entry in self.entries() {
            if !families.contains(&entry.family) {
                families.push(entry.family);
            }
        }
        families
    }

    fn path(self, family: &str) -> String {
        format!("{}/{}.md", self.folder, family.to_lowercase().replace(' ', "-"))
    }

    /// The page of a family.
    fn page(self, family: &str) -> String {
        let entries = || self.entries().iter().filter(|entry| entry.family == family);
        let intro = if entries().any(|entry| entry.effect == Effect::Command) { COMMANDS } else { self.intro };
        let mut text = format!("{GENERATED}# {family}\n\n{intro}\n");
        for entry in entries() {
            let _ = writeln!(text, "\n## `{}`\n\n{}", entry.signature, entry.doc.about);
            if !entry.doc.example.is_empty() {
                fenced(&mut text, "rhai", entry.doc.example);
            }
        }
        text
    }

    /// The families with what is in them, for the index.
    fn index(self, text: &mut String) {
        let _ = writeln!(text, "\n## {}\n\n| Family | What is in it |\n| --- | --- |", self.title);
        for family in self.families() {
            let mut names: Vec<String> = Vec::new();
            for entry in self.entries().iter().filter(|entry| entry.family == family) {
                let name = format!("`{}`", entry.name());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let _ = writeln!(text, "| [{family}]({}) | {} |", self.path(family), names.join(" "));
        }
    }
}

fn hook_path(hook: &Hook) -> String {
    format!("hooks/{}.md", hook.name)
}

fn index() -> String {
    let mut text = format!("{GENERATED}# Reference\n\n`hookgate docs NAME` prints the same in a terminal.\n");
    let _ = writeln!(
        text,
        "\n- [Your first rule](first-rule.md): from an empty folder to a tested rule that is live\n- [gateway.toml, key by key](configuration-keys.md), and its [JSON schema](gateway.schema.json)\n- [What is found in scripts](lint.md), code by code"
    );
    let _ = writeln!(text, "- [Mistakes and their messages](mistakes.md)");
    let _ = writeln!(text, "- [The command line](cli.md)\n\n## Hooks\n\n| Hook | When | Entry |\n| --- | --- | --- |");
    for hook in hookgate_hooks::HOOKS.iter() {
        let _ = writeln!(text, "| [`{}`]({}) | {} | `{}` |", hook.name, hook_path(hook), hook.about, hook.entry);
    }
    EVERY_SCRIPT.index(&mut text);
    TESTS.index(&mut text);
    text
}

/// What `--help` says, of every command.
pub fn command_line() -> String {
    // What the environment of whoever runs this holds is not part of the page.
    let mut root = CommandLine::command().mut_args(|argument| argument.hide_env_values(true));
    root.build();
    let mut text = format!(
        "{GENERATED}# Command line\n\nStatus 0 is good, 1 means findings or a failed call, 2 that the command could not run.\n"
    );
    let _ = writeln!(text, "\n## hookgate");
    fenced(&mut text, "text", &help(&mut root));
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let _ = writeln!(text, "\n## hookgate {}", command.get_name());
        fenced(&mut text, "text", &help(command));
        let name = command.get_name().to_owned();
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            let _ = writeln!(text, "\n### hookgate {name} {}", inner.get_name());
            fenced(&mut text, "text", &help(inner));
        }
    }
    text
}

fn help(command: &mut clap::Command) -> String {
    let help = command.render_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

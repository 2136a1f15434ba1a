//! Holds the tree against the schema and says in plain words what is wrong: unknown and missing keys, types, ranges.

use std::collections::HashSet;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

use crate::config::Known;
use crate::config::MOST_FINDINGS;
use crate::config::source::{Source, join};
use crate::config::unknown::{ON_FAILURE, UnknownKey, misplaced};
use hookgate_model::finding::{Finding, nearest};

/// Words of the promise (`scheme = "…"`) that later versions will know.
const PLANNED_SCHEMES: [&str; 1] = ["hmac"];

/// What is not as the schema says.
pub(super) struct Violations {
    pub(crate) findings: Vec<Finding>,
    /// Key paths that misspelt keys were most likely meant to be: they are not missing as well.
    pub(crate) meant: HashSet<String>,
    pub(crate) unknown: Vec<UnknownKey>,
}

/// Every way in which `value` is not what the schema says.
pub(super) fn violations(source: &Source, known: &Known, value: &Value) -> Violations {
    let mut report = Report {
        source,
        rules: Rules(known.schema()),
        findings: Vec::new(),
        meant: HashSet::new(),
        unknown: Vec::new(),
    };
    let (unknown, others): (Vec<_>, Vec<_>) = known
        .validator()
        .iter_errors(value)
        .take(MOST_FINDINGS)
        .partition(|error| matches!(error.kind(), Kind::AdditionalProperties { .. }));
    // Unknown keys first: a misspelt key must not also be reported as missing.
    for error in unknown.iter().chain(&others) {
        report.explain(error);
    }
    Violations { findings: report.findings, meant: report.meant, unknown: report.unknown }
}

/// Values that JSON takes for another type, so that the schema could not object.
pub(super) fn disguised(source: &Source, known: &[Finding], values: &[(String, &'static str)]) -> Vec<Finding> {
    let unreported = values.iter().filter(|(path, _)| known.iter().all(|finding| finding.key.as_ref() != Some(path)));
    let finding = |(path, what): &(String, &'static str)| {
        let finding = source.at_value("config/wrong-type", path, format!("{what} does not fit here"));
        finding.help("write a text in double quotes, or a whole number")
    };
    unreported.take(MOST_FINDINGS).map(finding).collect()
}

struct Report<'a> {
    source: &'a Source,
    rules: Rules<'a>,
    findings: Vec<Finding>,
    meant: HashSet<String>,
    unknown: Vec<UnknownKey>,
}

impl<'a> Report<'a> {
    fn explain(&mut self, error: &ValidationError<'_>) {
        if error.instance().is_null() {
            return; // a number that JSON cannot hold: reported when the tree was made
        }
        let path = key_path(error.instance_path());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => self.unknown_keys(error, &path, unexpected),
            Kind::Required { property } => self.missing_key(error, &path, property.as_str().unwrap_or_default()),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.no_branch(error, &path, context),
            Kind::Constant { .. } | Kind::Enum { .. } => self.wrong_word(error, &path, &[error]),
            Kind::Minimum { limit } => {
                self.bad_value(&path, format!("must be at least {limit}, not {}", error.instance()))
            }
            Kind::Maximum { limit } => {
                self.bad_value(&path, format!("must be at most {limit}, not {}", error.instance()))
            }
            Kind::MinItems { .. } | Kind::MinLength { .. } => self.bad_value(&path, "must not be empty"),
            Kind::Type { .. } => self.wrong_type(error, &path, self.rules.node(error)),
            _ => self.bad_value(&path, format!("must be {}", self.rules.describe(self.rules.node(error)))),
        }
    }

    fn unknown_keys(&mut self, error: &ValidationError<'_>, path: &str, unexpected: &[String]) {
        let known = property_names(self.rules.node(error));
        let present = |name: &str| error.instance().get(name).is_some();
        for name in unexpected.iter().take(MOST_FINDINGS) {
            let finding = self.source.at_key("config/unknown-key", &join(path, name), format!("unknown key `{name}`"));
            let free = known.iter().copied().filter(|known| !present(known));
            let near = nearest(name, free);
            self.unknown.push(UnknownKey { path: join(path, name), meant: near.map(str::to_owned) });
            let finding = match near {
                _ if name == ON_FAILURE => finding.help(misplaced(path)),
                Some(meant) => {
                    self.meant.insert(join(path, meant));
                    finding.help(format!("did you mean `{meant}`?"))
                }
                None if known.is_empty() => finding.help("it takes no settings"),
                None => finding.help(format!("known here: {}", quoted(&known))),
            };
            self.findings.push(finding);
        }
    }

    fn missing_key(&mut self, error: &ValidationError<'_>, path: &str, name: &str) {
        let missing = join(path, name);
        if self.meant.contains(&missing) {
            return;
        }
        let property = self.rules.node(error).get("properties").and_then(|properties| properties.get(name));
        let finding = self.source.at_value("config/missing-key", &missing, format!("`{name}` is missing"));
        self.findings.push(with_description(finding, property));
    }

    fn wrong_type(&mut self, error: &ValidationError<'_>, path: &str, expected: &'a Value) {
        let message = format!("must be {}, not {}", self.rules.describe(expected), kind_of(error.instance()));
        let finding = self.source.at_value("config/wrong-type", path, message);
        self.findings.push(with_description(finding, self.rules.property(error.instance_path()).or(Some(expected))));
    }

    fn bad_value(&mut self, path: &str, message: impl Into<String>) {
        self.findings.push(self.source.at_value("config/bad-value", path, message));
    }

    /// None of several forms fits: finds the form that was most likely meant and explains what is wrong with that one.
    fn no_branch(&mut self, error: &ValidationError<'_>, path: &str, branches: &[Vec<ValidationError<'static>>]) {
        let here = error.instance_path();
        if let Some(words) = all_branches(branches, |error| matches!(error.kind(), Kind::Constant { .. })) {
            return self.wrong_word(error, path, &words);
        }
        if let Some(tag) = self.rules.missing_tag(branches) {
            let missing = join(path, tag);
            let words = self.rules.words_of_tag(branches, tag);
            let finding = self.source.at_value("config/missing-key", &missing, format!("`{tag}` is missing"));
            return self.findings.push(finding.help(format!("it must be {}", one_of(&words))));
        }
        let other_kind = |error: &ValidationError<'_>| {
            matches!(error.kind(), Kind::Constant { .. })
                || (matches!(error.kind(), Kind::Type { .. }) && error.instance_path() == here)
        };
        let viable: Vec<_> = branches.iter().filter(|branch| !branch.iter().any(other_kind)).collect();
        let fewest = viable.iter().map(|branch| self.rules.mistakes(branch)).min();
        let likely: Vec<_> = viable.iter().filter(|branch| Some(self.rules.mistakes(branch)) == fewest).collect();
        match likely.as_slice() {
            [] if is_literal_secret(error) => self.literal_secret(path),
            [] => self.wrong_type(error, path, self.rules.node(error)),
            [branch] => self.explain_all(branch),
            _ => self.bad_value(path, format!("must be {}", self.rules.describe(self.rules.node(error)))),
        }
    }

    fn explain_all(&mut self, errors: &[ValidationError<'_>]) {
        let is_unknown = |error: &&ValidationError<'_>| matches!(error.kind(), Kind::AdditionalProperties { .. });
        for error in errors.iter().filter(is_unknown) {
            self.explain(error);
        }
        for error in errors.iter().filter(|error| !is_unknown(error)) {
            self.explain(error);
        }
    }

    fn literal_secret(&mut self, path: &str) {
        let finding = self.source.at_value("config/literal-secret", path, "a secret is never written into the file");
        self.findings.push(finding.help("use `{ env = … }` or `{ file = … }`"));
    }

    fn wrong_word(&mut self, error: &ValidationError<'_>, path: &str, words: &[&ValidationError<'_>]) {
        let place = words.first().map_or_else(|| path.to_owned(), |word| key_path(word.instance_path()));
        let written = words.first().map_or(error.instance(), |word| word.instance());
        let allowed: Vec<&str> = words.iter().flat_map(|word| allowed_words(word)).collect();
        let Some(written) = written.as_str() else {
            let message = format!("must be {}, not {}", one_of(&allowed), kind_of(written));
            self.findings.push(self.source.at_value("config/wrong-type", &place, message));
            return;
        };
        if PLANNED_SCHEMES.contains(&written) && allowed.contains(&"none") {
            let message = format!("scheme `{written}` is not in this version");
            let finding = self.source.at_value("config/bad-value", &place, message);
            self.findings.push(finding.help(format!("this version knows {}", quoted(&allowed))));
            return;
        }
        let message = format!("must be {}, not `{written}`", one_of(&allowed));
        let finding = self.source.at_value("config/bad-value", &place, message);
        self.findings.push(match nearest(written, allowed) {
            Some(meant) => finding.help(format!("did you mean `{meant}`?")),
            None => finding,
        });
    }
}

/// `routes.signup.auth[1]` for `/routes/signup/auth/1`.
fn key_path(location: &Location) -> String {
    location.segments().fold(String::new(), |path, segment| match segment {
        LocationSegment::Property(name) => join(&path, &name),
        LocationSegment::Index(index) => format!("{path}[{index}]"),
    })
}

/// The schema, and what it says of the places of errors.
#[derive(Clone, Copy)]
struct Rules<'a>(&'a Value);

impl<'a> Rules<'a> {
    /// The piece of schema that holds the violated keyword.
    fn node(self, error: &ValidationError<'_>) -> &'a Value {
        let location = error.schema_path().as_str();
        let parent = location.rfind('/').map_or("", |end| &location[..end]);
        self.0.pointer(parent).unwrap_or(&Value::Null)
    }

    /// The piece of schema that describes a key, if it can be reached without choosing among forms.
    fn property(self, location: &Location) -> Option<&'a Value> {
        location.segments().try_fold(self.0, |node, segment| {
            let node = self.resolve(node);
            match segment {
                LocationSegment::Property(name) => node
                    .get("properties")
                    .and_then(|known| known.get(&*name))
                    .or_else(|| node.get("additionalProperties")),
                LocationSegment::Index(_) => node.get("items"),
            }
        })
    }

    /// Follows references to the definition.
    fn resolve(self, node: &'a Value) -> &'a Value {
        let target = node.get("$ref").or_else(|| node.get("allOf")?.get(0)?.get("$ref"));
        let pointer = target.and_then(Value::as_str).map(|target| target.trim_start_matches('#'));
        pointer.and_then(|pointer| self.0.pointer(pointer)).unwrap_or(node)
    }

    /// The key that tells the branches apart, if it is not there.
    fn missing_tag<'e>(self, branches: &'e [Vec<ValidationError<'static>>]) -> Option<&'e str> {
        let first = branches.first()?.iter().find_map(|error| self.missing_constant(error))?;
        let absent = |branch: &Vec<ValidationError<'_>>| {
            branch.iter().filter_map(|error| self.missing_constant(error)).any(|name| name == first)
        };
        branches.iter().all(absent).then_some(first)
    }

    fn missing_constant<'e>(self, error: &'e ValidationError<'_>) -> Option<&'e str> {
        let Kind::Required { property } = error.kind() else { return None };
        let name = property.as_str()?;
        self.node(error).get("properties")?.get(name)?.get("const").map(|_| name)
    }

    fn words_of_tag(self, branches: &[Vec<ValidationError<'static>>], tag: &str) -> Vec<&'a str> {
        let word = |branch: &Vec<ValidationError<'static>>| {
            branch.iter().find_map(|error| self.node(error).get("properties")?.get(tag)?.get("const")?.as_str())
        };
        branches.iter().filter_map(word).collect()
    }

    /// How many mistakes this form takes the text for; a misspelt key of this form counts for it.
    fn mistakes(self, branch: &[ValidationError<'_>]) -> usize {
        let near = |error: &&ValidationError<'_>| match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                unexpected.iter().any(|name| nearest(name, property_names(self.node(error))).is_some())
            }
            _ => false,
        };
        branch.len() - branch.iter().filter(near).count()
    }

    /// What a value must be, from its schema: `a text`, `an array of texts`, `{ env = … }`.
    fn describe(self, node: &'a Value) -> String {
        let node = self.resolve(node);
        if let Some(Value::Array(choices)) = node.get("anyOf").or_else(|| node.get("oneOf")) {
            let choices: Vec<String> = choices.iter().map(|choice| self.describe(choice)).collect();
            return listed(&choices, "or");
        }
        if let Some(word) = node.get("const").and_then(Value::as_str) {
            return format!("`{word}`");
        }
        if let Some(Value::Array(words)) = node.get("enum") {
            return one_of(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        }
        match node.get("type").and_then(Value::as_str) {
            Some("string") => "a text".to_owned(),
            Some("integer") => "a whole number".to_owned(),
            Some("number") => "a number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("array") => match node.get("items").map(|items| self.describe(items)).as_deref() {
                Some("a text") => "an array of texts".to_owned(),
                Some(items) => format!("an array of {items}"),
                None => "an array".to_owned(),
            },
            Some("object") => describe_table(node),
            _ => "something else".to_owned(),
        }
    }
}

fn describe_table(node: &Value) -> String {
    match node.get("required").and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::String(only)]) => format!("`{{ {only} = … }}`"),
        _ => "a table".to_owned(),
    }
}

fn property_names(node: &Value) -> Vec<&str> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
}

/// One error per branch that satisfies `wanted`, if every branch has one.
fn all_branches<'e>(
    branches: &'e [Vec<ValidationError<'static>>],
    wanted: impl Fn(&ValidationError<'_>) -> bool,
) -> Option<Vec<&'e ValidationError<'static>>> {
    branches.iter().map(|branch| branch.iter().find(|error| wanted(error))).collect()
}

fn allowed_words<'e>(error: &'e ValidationError<'_>) -> Vec<&'e str> {
    match error.kind() {
        Kind::Constant { expected_value } => expected_value.as_str().into_iter().collect(),
        Kind::Enum { options } => options.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_literal_secret(error: &ValidationError<'_>) -> bool {
    error.instance().is_string() && error.schema_path().as_str().starts_with("/definitions/SecretSource/")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a decimal point",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

fn with_description(finding: Finding, node: Option<&Value>) -> Finding {
    match node.and_then(|node| node.get("description")).and_then(Value::as_str) {
        Some(description) => finding.help(description.replace('\n', " ")),
        None => finding,
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    listed(&words, "or")
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    listed(&words, "and")
}

fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

//! Holds the parameters of routes and rules against what their scripts declare.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::config::Document;
use crate::config::routes::Route;
use crate::release::params::ParamSecrets;
use hookgate_model::finding::{Finding, nearest};
use hookgate_script::compile::Compiler;
use hookgate_script::parameters::{Around, Declaration, Misfit, Step, key_path};

/// Mistakes in the parameters of one route or rule that are told one by one. To find the place of each, the text is read again.
const MOST_MISFITS: usize = 50;

/// Everything that does not fit.
pub(super) fn wrong(document: &Document, compiler: &Compiler) -> Vec<Finding> {
    let config = &document.config;
    let problem = |name: &str, function: &str| hookgate_connectors::unfit(&config.connectors.get(name)?.kind, function);
    let around = Around {
        tables: Some(config.tables.keys().map(String::as_str).collect()),
        connectors: Some(config.connectors.keys().map(String::as_str).collect()),
        problem: &problem,
    };
    let mut work = Work { document, compiler, around, findings: Vec::new(), told: BTreeSet::new() };
    for (name, route) in &config.routes {
        work.of_route(name, route);
    }
    work.findings
}

struct Work<'a> {
    document: &'a Document,
    compiler: &'a Compiler,
    around: Around<'a>,
    findings: Vec<Finding>,
    /// Rules of one route may have the same mistake, in what the route gives to all of them.
    told: BTreeSet<(String, String)>,
}

/// Whose parameters are looked at.
struct Subject<'a> {
    pub script: &'a str,
    declaration: &'a Declaration,
    /// Where its own parameters are, and where those of its route.
    path: String,
    route_path: String,
    own: &'a Map<String, Value>,
}

impl Subject<'_> {
    fn key(&self, path: &[Step]) -> String {
        let of_route = matches!(path.first(), Some(Step::Key(name)) if !self.own.contains_key(name.as_str()));
        let base = if of_route { &self.route_path } else { &self.path };
        let below = key_path(path);
        if below.is_empty() { base.clone() } else { format!("{base}.{below}") }
    }

    fn is_of_route(&self, path: &[Step]) -> bool {
        let [Step::Key(name)] = path else { return false };
        self.path != self.route_path && !self.own.contains_key(name.as_str())
    }
}

impl Work<'_> {
    fn of_route(&mut self, name: &str, route: &Route) {
        let route_path = format!("routes.{name}.params");
        let compiler = self.compiler;
        if let Some(script) = &route.script
            && let Some(declaration) = compiler.declaration(script)
        {
            let path = route_path.clone();
            let subject = Subject { script, declaration, path, route_path: route_path.clone(), own: &route.params };
            self.of_subject(&subject, &route.params, route);
        }
        for (rule_name, rule) in &route.rules {
            let Some(declaration) = compiler.declaration(&rule.script) else { continue };
            let mut params = route.params.clone();
            params.extend(rule.params.clone());
            let path = format!("routes.{name}.rules.{rule_name}.params");
            let (script, route_path) = (rule.script.as_str(), route_path.clone());
            let subject = Subject { script, declaration, path, route_path, own: &rule.params };
            self.of_subject(&subject, &params, route);
        }
    }

    fn of_subject(&mut self, subject: &Subject<'_>, params: &Map<String, Value>, route: &Route) {
        // What is secret was read elsewhere; here it counts that it is one.
        let given = ParamSecrets::default().map(params);
        let (_, mut misfits) = subject.declaration.complete(given, &self.around);
        misfits.retain(|misfit| {
            let for_others = misfit.code == Misfit::UNKNOWN && self.is_for_others(subject, &misfit.path, route);
            !for_others && self.told.insert((subject.key(&misfit.path), misfit.code.to_owned()))
        });
        let more = misfits.len().saturating_sub(MOST_MISFITS);
        let told = misfits.iter().take(MOST_MISFITS).map(|misfit| self.finding(subject, misfit, route));
        let told: Vec<Finding> = told.collect();
        self.findings.extend(told);
        if more > 0 {
            let message = format!("there are {more} more mistakes in these parameters");
            self.findings.push(self.document.finding(Misfit::WRONG, &subject.path, message).help("mend these first"));
        }
    }

    /// Whether it is a parameter of the whole route that another of its scripts takes.
    fn is_for_others(&self, subject: &Subject<'_>, path: &[Step], route: &Route) -> bool {
        let ([Step::Key(name)], true) = (path, subject.is_of_route(path)) else { return false };
        let takes = |script: &String| match self.compiler.declaration(script) {
            Some(declaration) => declaration.parameter(name).is_some(),
            None => self.compiler.reads(script).parameters.may_have(name),
        };
        scripts_of(route).any(takes)
    }

    fn finding(&self, subject: &Subject<'_>, misfit: &Misfit, route: &Route) -> Finding {
        let (message, help) = match (misfit.code, misfit.path.last()) {
            (Misfit::UNKNOWN, Some(Step::Key(name))) if subject.is_of_route(&misfit.path) => {
                let names = scripts_of(route).filter_map(|script| self.compiler.declaration(script));
                let names: BTreeSet<&str> = names.flat_map(Declaration::names).collect();
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
                };
                (format!("no script of this route has a parameter `{name}`"), help)
            }
            (Misfit::UNKNOWN, Some(Step::Key(name))) => {
                (format!("`{}` has no parameter `{name}`", subject.script), misfit.help.clone())
            }
            _ => (misfit.message.clone(), misfit.help.clone()),
        };
        self.document.finding(misfit.code, &subject.key(&misfit.path), message).help(help)
    }
}

fn scripts_of(route: &Route) -> impl Iterator<Item = &String> {
    route.script.iter().chain(route.rules.values().map(|rule| &rule.script))
}

/// The JSON schema of `gateway.toml`, in which `params` of a route or rule has what its script declares.
pub(super) fn schema(compiler: &Compiler) -> Value {
    let mut schema = super::schema().clone();
    for (section, is_rule) in [("Route", false), ("Rule", true)] {
        let declared = compiler.files().filter_map(|name| Some((name, compiler.declaration(name)?)));
        let conditions = declared.map(|(name, declaration)| condition(name, declaration, is_rule));
        let conditions: Vec<Value> = conditions.collect();
        if !conditions.is_empty() {
            schema["definitions"][section]["allOf"] = conditions.into();
        }
    }
    schema
}

/// What holds where this script is named.
fn condition(script: &str, declaration: &Declaration, is_rule: bool) -> Value {
    let params = declaration.schema(is_rule);
    let mut then = json!({ "properties": { "params": params } });
    if params.get("required").is_some() {
        then["required"] = json!(["params"]);
    }
    json!({ "if": { "properties": { "script": { "const": script } }, "required": ["script"] }, "then": then })
}

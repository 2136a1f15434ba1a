//! A small hook for the tests of the checks and of the error messages: a table, an engine, a script around snippets.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rhai::{AST, Dynamic, Engine, ImmutableString, Map, OptimizationLevel};

use crate::library::{Doc, Entry, Finished, Library};
use crate::lint::known::{Known, Standard};
use crate::lint::{Entrypoint, Input, ModuleFacts, check};
use crate::password::Ceilings;
use hookgate_model::finding::Finding;

#[derive(Clone)]
pub(crate) struct Request;
#[derive(Clone)]
pub(crate) struct Email;
#[derive(Clone)]
pub(crate) struct User;

pub(crate) fn library() -> Finished {
    let mut library = Library::new("Sample");
    let doc = |signature| Doc::new(signature, "", "");
    library.value::<Request>("SignupRequest", "").value::<Email>("Email", "").value::<User>("User", "");
    library.property(doc("SignupRequest.email: Email"), |_: &mut Request| Email);
    library.property(doc("SignupRequest.user: User or ()"), |_: &mut Request| User);
    library.property(doc("SignupRequest.profile: map"), |_: &mut Request| Map::new());
    library.property(doc("SignupRequest.groups: array of string"), |_: &mut Request| {
        Dynamic::from(vec![Dynamic::from("staff")]).into_read_only()
    });
    library.property(doc("Email.domain: string"), |_: &mut Email| ImmutableString::from("a.example"));
    library.property(doc("Email.text: string"), |_: &mut Email| ImmutableString::from("me@a.example"));
    library.property(doc("User.id: string"), |_: &mut User| ImmutableString::from("7"));
    library.property(doc("User.age: int"), |_: &mut User| 7_i64);
    library.function(doc("Email.domain_in(list: array) -> bool"), |_: &mut Email, _: rhai::Array| true);
    library.function(doc("matches(text: string, pattern: string) -> bool"), |_: &str, _: &str| true);
    library.function(doc("lookup(key: string) -> map"), |key: &str| -> Result<Map, Box<rhai::EvalAltResult>> {
        Err(format!("no row `{key}`").into())
    });
    library.command(doc("deny(text: string) -> Command"), |text: &str| text.to_owned());
    library.command(doc("allow() -> Command"), || true);
    library.reader(doc("log(text: string)"), |_: &str| {});
    library.constant(doc("params: map"), Dynamic::from(Map::new()));
    library.finish()
}

pub(crate) static LIBRARY: LazyLock<Vec<Entry>> = LazyLock::new(|| library().entries);
pub(crate) static STANDARD: LazyLock<Standard> = LazyLock::new(|| Standard::of(&Engine::new()));
static FOREIGN: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| BTreeMap::from([("refuse".to_owned(), "acme.token".to_owned())]));
static ENTRIES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let rows = [("on_signup", "acme.signup"), ("on_token", "acme.token")];
    rows.map(|(entry, hook)| (entry.to_owned(), hook.to_owned())).into()
});

pub(crate) fn known() -> Known<'static> {
    Known::new(LIBRARY.iter(), &STANDARD, &FOREIGN)
}

pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.register_global_module(library().module);
    engine.set_max_call_levels(16);
    engine.set_max_operations(50_000);
    engine.set_max_array_size(100);
    engine.set_max_string_size(1_000);
    engine
}

pub(crate) fn imports() -> BTreeMap<String, ModuleFacts> {
    let ast =
        engine().compile("const PARTNERS = []; fn is_partner(domain) { domain in PARTNERS } private fn inner() {}");
    let facts = ModuleFacts::of("lib/domains.rhai", &ast.expect("the sample library parses"));
    BTreeMap::from([("domains".to_owned(), facts)])
}

pub(crate) fn entry() -> Entrypoint<'static> {
    Entrypoint { name: "on_signup", hook: "acme.signup", all: &ENTRIES, request_type: "SignupRequest" }
}

pub(crate) fn check_ast(source: &str, ast: &AST, entry: Option<Entrypoint<'static>>) -> Vec<Finding> {
    let (known, imports) = (known(), imports());
    check(&Input {
        file: "signup.rhai",
        source,
        ast,
        entry,
        known: &known,
        imports: &imports,
        review: None,
        used_elsewhere: None,
        ceilings: Ceilings::default(),
        parameters: None,
    })
}

/// The findings of a whole script.
pub(crate) fn checked(source: &str) -> Vec<Finding> {
    match engine().compile(source) {
        Ok(ast) => check_ast(source, &ast, Some(entry())),
        Err(error) => vec![crate::diagnose::parse_error(&error, "signup.rhai", source)],
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhai::packages::{Package, StandardPackage};
use rhai::{Dynamic, Engine, Scope};
use serde_json::{Value, json};

use super::*;
use crate::context::{self, Context, Mock, Mocked, Surroundings, World};
use crate::library::{Effect, Kind, registered};
use crate::prelude::secret::Hidden;
use crate::table::{self as tables, Table};
use hookgate_model::command::Action;
use hookgate_model::question::fit::Stated;
use hookgate_model::question::{Answer, Ask};

fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(StandardPackage::new().as_shared_module());
    engine.register_global_module(library().module.clone());
    engine
}

fn context() -> Context {
    let table = |name: &str, kind, rows| {
        let table = Table::of(name, kind, None, &rows).expect("the test's rows fit their kind");
        (name.to_owned(), Arc::new(table))
    };
    let tables = [
        table("disposable", tables::Kind::Domains, json!(["mailinator.com"])),
        table("staff", tables::Kind::Csv, json!([{"id": "7", "name": "Ann"}])),
        table("offices", tables::Kind::Lines, json!(["10.0.0.0/8", "2001:db8::/32"])),
    ];
    let params = json::read_only(&json!({"partner_domains": ["partner.example"]})).expect("no limit");
    let surroundings = Surroundings { params: Arc::new(params.cast()), tables: Arc::new(tables.into_iter().collect()) };
    let deadline = Instant::now() + Duration::from_secs(60);
    let world = World::Mocked(Arc::new(Mocked { answers: answers(), ..Mocked::at(Timestamp::now(), 60_000) }));
    Context::new(Arc::new(surroundings), world, deadline)
}

/// What the examples of lookups find.
fn answers() -> Vec<Mock> {
    let answered = |family, connector: &str, words: &str, value: Value| Mock {
        stated: Stated { family: Some(family), connector: connector.to_owned(), words: words.to_owned(), sent: None },
        answered: Ok(Answer::fresh(value)),
    };
    let said =
        |words: &str, status: u16, text: &str| answered("http", "hr", words, json!({ "status": status, "text": text }));
    let ann = json!([{ "dn": "uid=ann,ou=people,dc=corp,dc=example", "attributes": { "mail": ["ann@corp.example"] } }]);
    let user = json!({ "id": "00u7", "status": "ACTIVE", "profile": { "firstName": "Ann" } });
    vec![
        said("GET /people/7", 200, r#"{"name":"Ann","groups":["payroll"]}"#),
        said("GET /people/8", 404, "no such person"),
        said("GET /people?email=ann%40example.com", 200, "[{}]"),
        said("POST /search", 200, "{}"),
        answered("http", "hr", "verify /login", json!(true)),
        answered("sql", "legacy", "select 1", json!(1)),
        answered("sql", "legacy", "select name from users where id = ?", json!([{ "name": "Ann" }])),
        answered("sql", "legacy", "select id from users where team = ?", json!([{ "id": 7 }, { "id": 8 }])),
        answered("sql", "legacy", "select hash from users where login = ?", json!("{SSHA}x")),
        answered("ldap", "corp", "search (uid=ann)", ann.clone()),
        answered("ldap", "corp", "search ou=people,dc=corp,dc=example (uid=ann)", ann),
        answered("ldap", "corp", "bind uid=ann,ou=people,dc=corp,dc=example", json!(true)),
        answered("okta", "org", "user 00u7", user.clone()),
        answered("okta", "org", "user ann@example.com", user.clone()),
        answered("okta", "org", "user 00u8", Value::Null),
        answered("okta", "org", "group 00g1", json!({ "id": "00g1", "profile": { "name": "Payroll" } })),
        answered("okta", "org", "user_groups 00u7", json!([{ "id": "00g1" }])),
        answered("okta", "org", "app_user 0oa1 00u7", json!({ "status": "PROVISIONED" })),
        answered("okta", "org", "find_users employeeNumber 123", json!([user])),
    ]
}

fn scope() -> Scope<'static> {
    let mut scope = Scope::new();
    for (name, value) in &library().constants {
        scope.push_constant_dynamic(*name, value.clone());
    }
    // Not a constant: Rhai's optimizer folds `"${CONSTANT}"` and shows the name of its type.
    scope.push("example_secret", Hidden::new("123456"));
    scope
}

fn eval(script: &str) -> Result<Dynamic, String> {
    let run = || engine().eval_with_scope::<Dynamic>(&mut scope(), script).map_err(|error| error.to_string());
    context::enter(context(), run).0
}

fn holds(script: &str) {
    assert_eq!(eval(script).map(|value| value.to_string()), Ok("true".to_owned()), "{script}");
}

/// The same in the context that is there.
fn holds_here(script: &str) {
    let value = engine().eval_with_scope::<bool>(&mut scope(), script);
    assert!(value.is_ok_and(|value| value), "{script}");
}

fn makes_an_action(script: &str) {
    assert!(eval(script).unwrap_or_else(|error| panic!("{script}: {error}")).is::<Action>(), "{script}");
}

fn fails(script: &str, part: &str) {
    let message = eval(script).expect_err(script);
    assert!(message.contains(part), "{script}\n{message}");
}

#[test]
fn every_entry_has_an_example_that_holds() {
    for entry in &library().entries {
        if entry.kind != Kind::Value {
            assert!(!entry.doc.example.is_empty(), "{} has no example", entry.signature);
            match entry.effect {
                Effect::Command => makes_an_action(entry.doc.example),
                Effect::Pure | Effect::Reads => holds(entry.doc.example),
            }
        }
        assert!(!entry.doc.about.is_empty(), "{} is not described", entry.signature);
    }
}

#[test]
fn signatures_are_unique() {
    let mut seen = BTreeSet::new();
    for entry in &library().entries {
        assert!(
            seen.insert((entry.receiver(), entry.name(), entry.signature.params().len(), entry.kind)),
            "{} is there twice",
            entry.signature
        );
    }
}

#[test]
fn every_signature_says_what_its_function_takes_and_gives() {
    let wrong = registered::disagreements(library(), &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_family_is_present() {
    let families: BTreeSet<_> = library().entries.iter().map(|entry| entry.family).collect();
    assert_eq!(families.len(), 15, "{families:?}");
}

/// The table of S1: domain policy at sign-up.
#[test]
fn addresses_are_judged_by_their_domain() {
    for address in ["a@EXAMPLE.COM", "a@Example.com.", "  a@example.com ", "a+tag@example.com"] {
        holds(&format!(r#"let e = email("{address}"); e.is_valid && e.is_plain && e.domain_in(["example.com"])"#));
    }
    for address in ["a@sub.example.com", "a@evilexample.com", "a@example.com.evil.io", "a@exаmple.com"] {
        holds(&format!(r#"let e = email("{address}"); e.is_valid && !e.domain_in(["example.com"])"#));
    }
    holds(r#"email("a@x.partner.example").domain_in(["*.partner.example"])"#);
    holds(r#"!email("a@partner.example").domain_in(["*.partner.example"])"#);
    holds(r#"email(`"a@example.com"@evil.io`).domain == "evil.io""#);
    holds(r#"email("a+b+c@Example.com").key == "a@example.com" && email("a+b@x.y").text == "a+b@x.y""#);
    holds(r#"email("a@exаmple.com").domain == "xn--exmple-4nf.com""#);
    for address in ["a@xn--bcher-kva.example", "a@BÜCHER.example"] {
        holds(&format!(r#"let e = email("{address}"); e.is_plain && e.domain_in(["bücher.example"])"#));
    }
    holds(r#"let e = email("a@ＥＸＡＭＰＬＥ．ＣＯＭ"); e.is_valid && !e.is_plain && e.domain == "example.com""#);
}

#[test]
fn what_is_no_address_is_not_valid_and_in_no_list() {
    let long = format!("a@{}.example", "b.".repeat(130));
    let hidden = ["a@exam\u{200b}ple.com", "a@\u{202e}example.com", "a\u{feff}@example.com"];
    let bad = [
        "",
        "@",
        "a@b@example.com",
        "@example.com",
        "a@",
        "a@[192.0.2.1]",
        "a@192.0.2.1",
        "a b@example.com",
        "a@ example.com",
        "a..b@example.com",
        ".a@example.com",
        "a@-example.com",
        "a@exa_mple.com",
        "example.com",
        &long,
    ];
    for address in hidden.into_iter().chain(bad) {
        let email = email::Email::parse(address);
        assert!(!email.is_valid() && email.domain().is_empty() && email.local().is_empty(), "{address:?}");
        assert!(!email.domain_in(["example.com", "", "*", "*.com"].into_iter()), "{address:?}");
    }
    let longest = format!("{}@{}.example", "a".repeat(64), ["b".repeat(60), "c".repeat(60), "d".repeat(59)].join("."));
    assert_eq!(longest.len(), 254);
    assert!(email::Email::parse(&longest).is_valid());
    assert!(!email::Email::parse(&format!("{longest}x")).is_valid());
}

#[test]
fn addresses_compare_by_mailbox() {
    holds(r#"email(" Ann@EXAMPLE.com.") == "Ann@example.com" && "Ann@example.com" == email("Ann@Example.com")"#);
    holds(r#"email("ann@example.com") != "Ann@example.com" && email("a@b.c") == email("a@B.c")"#);
    holds(r#"email("junk") == "junk" && email("junk") != "a@b.c""#);
    holds(r#"`${email("A@b.c")}` == "A@b.c" && "to " + email("A@b.c") == "to A@b.c""#);
    holds(r#"email("a@B.c") in ["x", "a@b.c"]"#);
}

#[test]
fn junk_in_a_list_of_domains_is_ignored() {
    holds(r#"email("a@b.example").domain_in([1, (), "", "*", " B.EXAMPLE. "])"#);
    holds(
        r#"email("x@a.mailinator.com").domain_in(table("disposable")) && email("a@mailinator.com") in table("disposable")"#,
    );
    holds(r#"email("a@partner.example").domain_in(params.partner_domains)"#);
}

#[test]
fn a_secret_never_shows() {
    holds(r#"`${example_secret}` == "***""#);
    holds(r#"example_secret.to_string() == "***""#);
    holds(r#"to_json([example_secret]) == "[\"***\"]""#);
    holds(r#"[example_secret].to_string() == "[***]""#);
    holds(
        r#"example_secret == "123456" && "123456" == example_secret && example_secret != "12345" && example_secret == example_secret"#,
    );
    fails(r#""code " + example_secret"#, "a secret cannot become text");
    fails(r#"example_secret + """#, "a secret cannot become text");
    fails(r#"let t = "code "; t += example_secret; t"#, "a secret cannot become text");
    fails(r#"http("hr").query("/login", #{ password: example_secret })"#, "`http(…).verify(path, members)`");
    fails(r#"post("hr", "/login", #{ password: example_secret })"#, "`http(…).verify(path, members)`");
    fails("example_secret.len()", "Function not found");
    fails("base64(example_secret)", "Function not found");
    assert_eq!(format!("{:?}", Hidden::new("123456")), "***");
    let logs = context::enter(context(), || {
        engine().eval_with_scope::<()>(&mut scope(), r#"log("otp", #{ code: example_secret, all: [example_secret] })"#)
    });
    assert!(logs.0.is_ok());
    assert_eq!(logs.1.logs[0].fields, Some(json!({ "all": ["***"], "code": "***" })));
}

#[test]
fn a_password_goes_out_to_be_verified_with_its_members() {
    holds(r#"http("hr").verify("/login", #{ user: #{ name: "ann", pin: example_secret }, realm: () })"#);
    fails(r#"http("hr").verify("/login", #{ username: "ann", password: "typed" })"#, "no Secret among the members");
    fails(r#"http("hr").verify("/login", #{ all: [example_secret] })"#, "a secret cannot become JSON");
    let deep = (0..9).fold("example_secret".to_owned(), |inner, _| format!("#{{ a: {inner} }}"));
    fails(&format!(r#"http("hr").verify("/login", {deep})"#), "8 levels at most");
    let ((), context) =
        context::enter(context(), || holds_here(r#"http("hr").verify("/login", #{ p: example_secret })"#));
    let lookup = context.journal.lookups().next().expect("one lookup");
    let Ask::Verify(asked) = &lookup.question.ask else { panic!("{lookup:?}") };
    assert!(asked.secrets.is_empty(), "what is answered holds no secret any more");
    assert_eq!((lookup.question.words(), lookup.question.identity()), ("verify /login".to_owned(), None));
}

#[test]
fn parameters_are_read_only() {
    fails(r#"params.partner_domains.push("evil.example")"#, "constant");
    fails(r#"params.partner_domains = []"#, "");
    fails(r#"table("staff").get("7").name = "Eve""#, "");
    holds(r#"let mine = params.partner_domains; mine.push("x"); mine.len() == 2 && params.partner_domains.len() == 1"#);
}

#[test]
fn an_unknown_table_names_the_nearest_and_all() {
    fails(r#"table("disposible")"#, "did you mean `disposable`? There are: disposable, offices, staff");
}

#[test]
fn networks_may_come_from_a_table() {
    holds(r#"ip("10.1.2.3").in_cidr(table("offices")) && !ip("11.1.2.3").in_cidr(table("offices"))"#);
    fails(r#"ip("10.1.2.3").in_cidr(table("disposable"))"#, "`mailinator.com` is not a network");
    fails(r#"ip("10.1.2.3").in_cidr([5])"#, "a network is a text");
    holds(r#"ip("::ffff:10.0.0.1") == "10.0.0.1" && ip("x") == "x""#);
}

#[test]
fn what_has_no_place_in_a_hook_says_so() {
    for script in ["sleep(1)", "sleep(0.5)", "exit()", "exit(1)"] {
        let name = script.split('(').next().unwrap_or_default();
        fails(script, &format!("`{name}` is not available in hooks"));
    }
}

#[test]
fn lists_are_searched_natively_with_rhais_meaning() {
    holds(r#""b" in ["a", "b"] && !("c" in ["a", 1]) && 1 in ["a", 1] && 1 in [1.0] && !(2 in [1])"#);
    holds(r#"() in [1, ()] && 'a' in ['a']"#);
    fails("set([1.5])", "a set holds texts and whole numbers");
}

#[test]
fn mistakes_are_told() {
    fails(r#"matches("a", "(")"#, "`(` is not a regular expression: unclosed group");
    fails(r#"now().add("soon")"#, "`soon` is not a length of time");
    fails(r#"time("yesterday")"#, "`yesterday` is not a time");
    fails(r#"now().format_in("Mars/Base", "%H")"#, "`Mars/Base` is not a time zone");
    fails(r#"phone("1", "XX")"#, "`XX` is not a country code");
    fails(r#"to_json(|| 1)"#, "cannot become JSON");
    fails(r#"parse_json("{")"#, "line 1 column 1");
    fails(r#"base64_decode("%")"#, "not base64");
}

#[test]
fn parsed_json_may_be_changed() {
    holds(r##"let m = parse_json("{\"a\": [1]}"); m.a.push(2); m.b = 1; m.to_json() == "{\"a\":[1,2],\"b\":1}""##);
    holds(
        r##"#{ who: email("A@b.c"), at: time("2026-01-01T00:00:00Z") }.to_json() == "{\"at\":\"2026-01-01T00:00:00.000Z\",\"who\":\"A@b.c\"}""##,
    );
}

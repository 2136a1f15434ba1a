//! Issue 16: a test that fails for an error of the script, a missing mock or a limit shows that first, whatever the test claims.

use std::collections::BTreeMap;

use super::super::Bundle;

/// A script, a test of it, and the first line that is printed about the test.
struct Row {
    name: &'static str,
    /// The body of the entry function; other functions may stand behind it.
    script: &'static str,
    /// The body of the test.
    test: &'static str,
    first: &'static str,
}

/// A claim that is wrong because the script failed.
const ALLOWED: &str = r#"assert_eq(run().commands, ["allow"]);"#;

const ROWS: [Row; 26] = [
    row("thrown", r#"throw "no contract""#, ALLOWED, "error[script/thrown]: no contract"),
    row(
        "not_set",
        "request.profile.address.city",
        ALLOWED,
        "error[script/not-set]: `request.profile.address` is not set, so it has no `city`",
    ),
    row(
        "index",
        "let list = [1]; list[request.profile.len()]",
        ALLOWED,
        "error[script/failed]: there is no item 4: the array has 1 item",
    ),
    row(
        "division",
        "let none = request.profile.len() - request.profile.len(); 1 / none",
        ALLOWED,
        "error[script/failed]: division by zero: 1 / 0",
    ),
    row("number", "parse_int(request.email.local)", ALLOWED, "error[script/failed]: the text is not a number"),
    row(
        "overflow",
        "9223372036854775807 + request.profile.len()",
        ALLOWED,
        "error[script/failed]: the number is too large: 9223372036854775807 + 4",
    ),
    row(
        "condition",
        "if request.profile.middleName { return deny(\"no\"); } allow()",
        ALLOWED,
        "error[script/not-set]: `request.profile.middleName` is not set, so it is no condition",
    ),
    row(
        "loop_over_nothing",
        "for group in request.profile.groups { } allow()",
        ALLOWED,
        "error[script/failed]: `for` cannot go through `request.profile.groups`",
    ),
    row(
        "operator",
        "request.email.text - request.profile.len()",
        ALLOWED,
        "error[script/wrong-operand]: `-` does not work between a string and an integer",
    ),
    row(
        "in_a_function",
        "check(request) } fn check(request) { throw \"deep inside\"",
        ALLOWED,
        "error[script/thrown]: deep inside",
    ),
    row(
        "command",
        "request.profile.len()",
        ALLOWED,
        "error[script/bad-command]: the script returned `4` where a command of `okta.registration` belongs",
    ),
    row(
        "two_verdicts",
        r#"let no = deny("no"); [allow(), no]"#,
        ALLOWED,
        "error[script/bad-command]: the script returned both `allow` and a denial; return one of them",
    ),
    row(
        "connector",
        r#"let name = "nowhere"; notify(name, "hello")"#,
        ALLOWED,
        "error[script/bad-command]: there is no connector `nowhere`: gateway.toml has no [connectors]",
    ),
    row(
        "mock_http",
        r#"http("hr").get("/people/7").json.name"#,
        ALLOWED,
        r#"error[script/failed]: a lookup has no mock: add mock_http("hr", "GET /people/7", …) to the test"#,
    ),
    row(
        "mock_query",
        r#"http("hr").get("/people", #{ email: request.email.text }).json"#,
        r#"mock_http("hr", "GET /people", #{ email: "bob@mail.example" }, []); assert_eq(run().commands, ["allow"]);"#,
        r#"error[script/failed]: a lookup has no mock: add mock_http("hr", "GET /people?email=ann%40Mail.example", …) to the test; near it is the mock of `GET /people` at `hr`: the query: asked `email=ann@Mail.example`, stated `email=bob@mail.example`"#,
    ),
    row(
        "mock_body",
        r#"http("hr").query("/search", #{ name: request.profile.firstName }).json"#,
        r#"mock_http("hr", "POST /search", #{ name: "Bob" }, []); assert_eq(run().commands, ["allow"]);"#,
        r#"error[script/failed]: a lookup has no mock: add mock_http("hr", "POST /search", …) to the test; it sends {"name":"Ann"}; near it is the mock of `POST /search` at `hr`: the body: `name`: asked "Ann", stated "Bob""#,
    ),
    row(
        "mock_sql",
        r#"sql("legacy").row("select name from users where id = ?", [7])"#,
        r#"mock_sql("legacy", "select name from users where id = ?", [8], ()); assert_eq(run().commands, ["allow"]);"#,
        r#"error[script/failed]: a lookup has no mock: add mock_sql("legacy", "select name from users where id = ?", …) to the test; it sends [7]; near it is the mock of `select name from users where id = ?` at `legacy`: the parameters: asked [7], stated [8]"#,
    ),
    row(
        "mock_ldap",
        r#"ldap("corp").search("(uid=ann)")"#,
        ALLOWED,
        r#"error[script/failed]: a lookup has no mock: add mock_ldap("corp", "search (uid=ann)", …) to the test"#,
    ),
    row(
        "mock_okta",
        r#"okta("org").user("00u7")"#,
        ALLOWED,
        r#"error[script/failed]: a lookup has no mock: add mock_okta("org", "user 00u7", …) to the test"#,
    ),
    row(
        "lookup_fails",
        r#"http("hr").get("/people/7").json.name"#,
        r#"mock_failure("hr", "GET /people/7", "timeout"); assert_eq(run().commands, ["allow"]);"#,
        "error[script/failed]: `get` failed: the test says that this lookup fails: timeout",
    ),
    row(
        "array",
        "let list = []; list.pad(1000000, 0); allow()",
        ALLOWED,
        "error[script/limit]: an array became too long",
    ),
    row(
        "text",
        r#"let text = ""; text.pad(10000000, "x"); allow()"#,
        ALLOWED,
        "error[script/limit]: a string became too long",
    ),
    row(
        "recursion",
        "again(1) } fn again(count) { again(count + 1) + 1",
        ALLOWED,
        "error[script/limit]: functions call one another too deeply",
    ),
    // The test itself fails for what follows from the failure, or claims nothing at all.
    row("test_fails_too", r#"throw "first""#, "run().reply.commands[0].value;", "error[script/thrown]: first"),
    row("nothing_claimed", r#"throw "unseen""#, "run();", "error[script/thrown]: unseen"),
    row(
        "in_a_row",
        r#"throw "in a row""#,
        r#"case("ann"); assert_eq(run().commands, ["allow"]);"#,
        "error[script/thrown]: in a row",
    ),
];

const fn row(name: &'static str, script: &'static str, test: &'static str, first: &'static str) -> Row {
    Row { name, script, test, first }
}

/// What is printed about each test that failed, by the name of its script.
fn printed(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some((name, _)) = line.strip_prefix("failed ").and_then(|rest| rest.split_once("::")) {
            current = name;
            found.entry(current).or_default();
        } else if !current.is_empty() {
            found.entry(current).or_default().push(line);
        }
    }
    found
}

#[test]
fn the_cause_is_the_first_thing_printed() {
    let bundle = Bundle::new();
    std::fs::remove_file(bundle.path().join("scripts/registration_test.rhai")).unwrap();
    for Row { name, script, test, .. } in &ROWS {
        bundle.write(&format!("scripts/{name}.rhai"), &format!("fn on_registration(request) {{ {script} }}\n"));
        bundle.write(&format!("scripts/{name}_test.rhai"), &format!("fn test_it() {{ {test} }}\n"));
    }
    let ran = bundle.run(&["test"]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    let printed = printed(&ran.out);
    let first = |name: &str| {
        // A heading says that it is the script; a row has its name above.
        let lines = printed.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_heading = |line: &&&str| **line == "  the script failed:";
        lines.iter().find(|line| !is_heading(line)).copied().unwrap_or_default().to_owned()
    };
    let told: Vec<(&str, String)> = ROWS.iter().map(|row| (row.name, first(row.name))).collect();
    let wanted: Vec<(&str, String)> = ROWS.iter().map(|row| (row.name, row.first.to_owned())).collect();
    assert_eq!(told, wanted, "{}", ran.out);
}

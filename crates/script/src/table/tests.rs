use serde_json::json;

use super::*;

fn of(kind: Kind, value: serde_json::Value) -> Table {
    Table::of("t", kind, None, &value).expect("the test's rows fit their kind")
}

#[test]
fn a_domain_covers_itself_and_below_a_wildcard_only_below() {
    let table = of(Kind::Domains, json!(["Foo.tld", "*.bar.tld", "bücher.example."]));
    for name in [
        "foo.tld",
        "a.FOO.tld",
        "a.b.foo.tld.",
        "x@a.foo.tld",
        "a.bar.tld",
        "BÜCHER.example",
        "a.xn--bcher-kva.example",
    ] {
        assert!(table.has(name), "{name}");
    }
    for name in ["bar.tld", "evilfoo.tld", "tld", "", "@", "foo.tld.evil.io"] {
        assert!(!table.has(name), "{name}");
    }
    assert_eq!(table.get("x.y.bar.tld").expect("no limit").into_string().as_deref(), Ok("*.bar.tld"));
    assert!(table.has_email(&Email::parse("a@x.foo.tld")) && !table.has_email(&Email::parse("nobody")));
}

#[test]
fn both_forms_of_a_domain_are_the_wider_one() {
    for entries in [json!(["*.foo.tld", "foo.tld"]), json!(["foo.tld", "*.foo.tld"])] {
        let table = of(Kind::Domains, entries);
        assert_eq!((table.len(), table.has("foo.tld"), table.has("a.foo.tld")), (1, true, true));
    }
}

#[test]
fn lines_are_found_to_the_letter_and_by_address() {
    let table = of(Kind::Lines, json!(["ann@example.com", "42"]));
    assert!(table.has("42") && !table.has("Ann@example.com"));
    assert!(table.has_email(&Email::parse(" ann@EXAMPLE.com. ")));
    assert!(table.has_email(&Email::parse("Ann+shop@example.com")), "by its key");
    assert!(!table.has_email(&Email::parse("bob@example.com")));
}

#[test]
fn csv_rows_are_read_only_maps_found_by_key() {
    let rows = json!([{"id": "7", "name": "Ann"}, {"id": "8", "name": "Bob"}, {"id": "7", "name": "Eve"}]);
    let table = of(Kind::Csv, rows.clone());
    let row = table.get("7").expect("no limit");
    assert!(row.is_read_only());
    assert_eq!(row.as_map_ref().expect("a map")["name"].clone().into_string().as_deref(), Ok("Ann"), "the first stays");
    assert!(table.get("9").expect("no limit").is_unit());
    let by_name = Table::of("t", Kind::Csv, Some("name"), &rows).expect("there is such a column");
    assert!(by_name.has("Bob"));
    assert!(Table::of("t", Kind::Csv, Some("nome"), &rows).expect_err("no such column").contains("`nome`"));
}

#[test]
fn json_is_a_map_or_a_list() {
    let map = of(Kind::Json, json!({"de": {"hello": "Hallo"}, "en": 1}));
    assert!(
        map.has("de") && map.get("de").expect("no limit").is_read_only() && map.get("fr").expect("no limit").is_unit()
    );
    let list = of(Kind::Toml, json!(["a", 5]));
    assert!(list.has("a") && list.has("5") && !list.has("b"));
    assert!(Table::data("t", Kind::Json, &json!(5)).is_err());
}

#[test]
fn too_many_rows_are_not_listed() {
    let table = Table::lines("big", (0..=MAX_ROWS_LISTED).map(|n| n.to_string()));
    let message = table.rows().expect_err("more than the cap").to_string();
    assert!(message.contains("10001 rows") && message.contains("`get`"), "{message}");
    let few = Table::lines("few", ["b".to_owned(), "a".to_owned()]);
    let rows: Vec<String> = few.rows().expect("few").into_iter().map(|row| row.to_string()).collect();
    assert_eq!(rows, ["a", "b"]);
}

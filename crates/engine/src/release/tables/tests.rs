use super::*;
use hookgate_model::finding::Severity;
use hookgate_script::allocator;
use hookgate_script::prelude::json;

fn source(kind: Kind) -> Source<'static> {
    Source { name: "t", file: "tables/t", kind, min_rows: 0, max_shrink_percent: None, key: None }
}

fn good(kind: Kind, text: &str) -> (Table, Vec<String>) {
    let (table, findings) = load(&source(kind), text.as_bytes(), None).expect("the table is good");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
    (table, findings.iter().map(Finding::one_line).collect())
}

fn bad(source: &Source<'_>, bytes: &[u8]) -> Vec<String> {
    let findings = load(source, bytes, None).expect_err("the table is bad");
    assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
    findings.iter().map(Finding::one_line).collect()
}

#[test]
fn lists_may_look_as_lists_do() {
    let text = "\u{feff}# throw-away\r\n\r\nMailinator.COM\r\n  *.foo.tld  # below only\r\nbücher.example.\r\nmailinator.com\r\n";
    let (table, findings) = good(Kind::Domains, text);
    assert_eq!(table.len(), 3);
    assert!(table.has("a.mailinator.com") && table.has("x.foo.tld") && !table.has("foo.tld"));
    assert!(table.has("xn--bcher-kva.example"));
    assert_eq!(findings, ["tables/t:6:1: `mailinator.com` is already in line 3"]);
}

#[test]
fn public_suffixes_are_refused_with_their_lines() {
    let findings = bad(&source(Kind::Domains), b"foo.tld\ncom.ar\n*.co.uk\ncom\nduckdns.org\n");
    assert_eq!(findings.len(), 3, "{findings:?}");
    for (finding, place) in
        findings.iter().zip(["tables/t:2:1: `com.ar`", "tables/t:3:1: `*.co.uk`", "tables/t:4:1: `com`"])
    {
        assert!(finding.starts_with(place) && finding.contains("public suffix"), "{finding}");
    }
}

#[test]
fn large_providers_are_warned_about_and_not_applied() {
    let (table, findings) =
        good(Kind::Domains, "google.com\nfoo.tld\nyahoo.co.in\n*.gmail.com\nyahoo.evil.tld\nnotgoogle.com\n");
    assert_eq!(table.len(), 3);
    assert!(
        !table.has("google.com")
            && !table.has("yahoo.co.in")
            && table.has("yahoo.evil.tld")
            && table.has("notgoogle.com")
    );
    assert_eq!(findings.len(), 3);
    assert!(findings[0].contains("tables/t:1:1: `google.com`") && findings[0].contains("not applied"), "{findings:?}");
}

#[test]
fn all_bad_lines_are_told_at_once_up_to_a_cap() {
    let findings = bad(&source(Kind::Domains), "foo.tld\n  foo bar\nx@y.z\n-a.b\n".as_bytes());
    let places: Vec<&str> = findings.iter().map(|finding| &finding[..12]).collect();
    assert_eq!(places, ["tables/t:2:3", "tables/t:3:1", "tables/t:4:1"]);
    let findings = bad(&source(Kind::Domains), "a b\n".repeat(80).as_bytes());
    assert_eq!(findings.len(), MAX_FINDINGS + 1);
    assert_eq!(findings[MAX_FINDINGS], "tables/t: and 30 more findings in this file");
}

#[test]
fn warnings_never_hide_an_error() {
    let text = format!("{}a b\n", "foo.tld\n".repeat(80));
    let findings = bad(&source(Kind::Domains), text.as_bytes());
    assert!(findings[0].contains("`a b` is not a domain"), "{}", findings[0]);
}

#[test]
fn a_table_that_shrinks_or_empties_is_refused() {
    let few = Source { min_rows: 3, ..source(Kind::Domains) };
    assert_eq!(bad(&few, b"foo.tld\n"), ["tables/t: table `t` has 1 rows, `min_rows` wants 3"]);
    let previous = Table::lines("t", ["a", "b", "c", "d"].map(str::to_owned));
    let half = Source { max_shrink_percent: Some(50), ..source(Kind::Lines) };
    assert!(load(&half, b"a\nb\n", Some(&previous)).is_ok(), "half is not more than half");
    let findings = load(&half, b"a\n", Some(&previous)).expect_err("three of four went");
    assert!(findings[0].message.contains("from 4 to 1 rows, more than 50 %"), "{}", findings[0].message);
    assert!(load(&half, b"a\n", None).is_ok(), "a first version cannot shrink");
}

#[test]
fn lines_keep_their_letters() {
    let (table, findings) = good(Kind::Lines, "Ann\n#no\n a#b \nann\nAnn\n");
    assert!(table.has("Ann") && table.has("ann") && table.has("a#b") && !table.has("no"));
    assert_eq!((table.len(), findings.len()), (3, 1));
}

#[test]
fn csv_needs_columns_keys_and_even_rows() {
    let (table, findings) = good(Kind::Csv, "\u{feff}id,name\r\n7,\"Lee, Ann\"\r\n# gone\r\n7,Eve\r\n");
    let row = table.get("7").expect("no limit");
    assert_eq!(row.as_map_ref().expect("a row")["name"].clone().into_string().as_deref(), Ok("Lee, Ann"));
    assert_eq!(findings, ["tables/t:4:1: `7` is already in line 2: this row is not used"]);
    let findings = bad(&source(Kind::Csv), b"id,name\n7\n,Bob\n8,Eve,x\n");
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(findings[0].starts_with("tables/t:2:1: this row has 1 cells"), "{findings:?}");
    assert!(findings[1].contains("key column `id`"), "{findings:?}");
    let key = Source { key: Some("nmae"), ..source(Kind::Csv) };
    assert!(bad(&key, b"id,name\n")[0].contains("did you mean `name`?"));
    assert!(!bad(&source(Kind::Csv), b"").is_empty());
    assert!(bad(&source(Kind::Csv), b"a,a\n1,2\n")[0].contains("must be there and differ"));
}

#[test]
fn json_and_toml_say_where_they_break() {
    assert!(good(Kind::Json, r#"{"de": "Hallo"}"#).0.has("de"));
    assert!(good(Kind::Json, r#"["a", 7]"#).0.has("7"));
    assert!(good(Kind::Toml, "[de]\nhello = \"Hallo\"\nsince = 2026-01-01\n").0.has("de"));
    assert!(bad(&source(Kind::Json), "{\n \"ü\" 1}".as_bytes())[0].starts_with("tables/t:2:6: expected `:`"));
    assert!(bad(&source(Kind::Json), b"5")[0].contains("an object or an array"));
    assert!(bad(&source(Kind::Json), b"")[0].contains("EOF"));
    assert!(bad(&source(Kind::Toml), b"a = 1\nb = \n")[0].starts_with("tables/t:2:"));
}

#[test]
fn what_is_not_text_or_too_large_is_refused() {
    assert!(bad(&source(Kind::Lines), b"a\nb\xff\n")[0].contains("line 2 is not UTF-8"));
    assert!(bad(&source(Kind::Lines), &vec![b'a'; MAX_BYTES + 1])[0].contains("limit is 64 MiB"));
}

#[test]
fn a_table_takes_a_small_multiple_of_its_file() {
    let files = [
        (Kind::Json, format!("[{}[]]", "[],".repeat(500_000))),
        (Kind::Json, format!("[{}1]", "1,".repeat(500_000))),
        (Kind::Json, format!("[{}0.1]", "0.1,".repeat(300_000))),
        (Kind::Json, format!("[{}{{}}]", "{\"a\":[{}]},".repeat(100_000))),
        (Kind::Json, format!("{{{}\"\":0}}", (0..150_000).map(|n| format!("\"{n}\":{n},")).collect::<String>())),
        (Kind::Json, format!("[{}{}]", "[".repeat(100), "]".repeat(100))),
        (Kind::Lines, (0..150_000).map(|n| format!("line{n}\n")).collect()),
        (Kind::Domains, (0..60_000).map(|n| format!("host{n}.example\n")).collect()),
        (Kind::Csv, format!("id,name\n{}", (0..100_000).map(|n| format!("{n},x\n")).collect::<String>())),
    ];
    for (kind, text) in files {
        let before = allocator::take_thread_peak().min(allocator::thread_bytes());
        let (table, _) = load(&source(kind), text.as_bytes(), None).expect("a table");
        let (peak, kept) = (allocator::take_thread_peak() - before, allocator::thread_bytes() - before);
        let (peak, kept, file) = (peak as usize, kept as usize, text.len());
        // The file itself is in memory, too, while it is read. A small one has some kilobytes of room.
        assert!(peak + file < 5 * file + 8_192, "{kind:?} of {file} bytes: {peak} at its peak");
        assert!(kept < 4 * file + 8_192, "{kind:?} of {file} bytes keeps {kept}");
        assert!(!table.is_empty());
    }
}

#[test]
fn large_and_deep_tables_are_refused_with_their_limit() {
    let large = format!("a = \"{}\"\n", "x".repeat(3 << 20));
    assert!(bad(&source(Kind::Toml), large.as_bytes())[0].contains("the limit for toml is 2 MiB"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(bad(&source(Kind::Json), deep.as_bytes())[0].contains("recursion limit"));
}

#[test]
fn values_of_json_come_back_as_they_were() {
    let text = r#"{"a": [1, -2, 1.5, 1e300, 0.1, 18446744073709551615, null, true, false, "ü", {"b": {}}], "a2": 9007199254740993, "a": 5, "c": [[], {}]}"#;
    let (table, _) = good(Kind::Json, text);
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let whole = Table::data("t", Kind::Json, &value).expect("an object");
    for key in ["a", "a2", "c"] {
        let shown = |table: &Table| json::shown(&table.get(key).expect("no limit"));
        assert_eq!(shown(&table), shown(&whole), "{key}");
        assert_eq!(shown(&table), value[key].to_string());
    }
    assert_eq!((table.len(), table.rows().expect("few").len()), (3, 3));
    let (list, _) = good(Kind::Json, r#"["x", 7, 1.5, true, 18446744073709551615, [], "x"]"#);
    assert!(["x", "7", "1.5", "true", "18446744073709551615"].iter().all(|key| list.has(key)) && !list.has("[]"));
    assert_eq!((list.len(), list.rows().expect("few").len()), (7, 7));
}

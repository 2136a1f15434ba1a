//! The tricks by which a request is led to where it must not go.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;

#[test]
fn addresses_that_only_a_network_or_machine_knows_are_refused() {
    let refused = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 \
        169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 \
        224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 \
        64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: \
        3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1 4000::1";
    for text in refused.split_whitespace() {
        assert!(!is_public(text.parse().expect(text)), "{text}");
    }
    for text in "8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 2606:4700::1111 2a00::1 64:ff9b::8.8.8.8"
        .split_whitespace()
    {
        assert!(is_public(text.parse().expect(text)), "{text}");
    }
}

/// `(address in the settings, what is said)`
const TARGETS: &[(&str, &str)] = &[
    ("http://127.0.0.1/", "private"),
    ("https://127.1/", "private"),
    ("https://2130706433/", "private"),
    ("https://0x7f000001/", "private"),
    ("https://0177.0.0.1/", "private"),
    ("https://0x7f.1/", "private"),
    ("https://127.0.0.1./", "private"),
    ("https://0/", "private"),
    ("https://169.254.169.254/latest/meta-data", "private"),
    ("https://2852039166/", "private"),
    ("https://[::1]/", "private"),
    ("https://[::]/", "private"),
    ("https://[::ffff:127.0.0.1]/", "private"),
    ("https://[::ffff:7f00:1]/", "private"),
    ("https://[::ffff:a9fe:a9fe]/", "private"),
    ("https://[::127.0.0.1]/", "private"),
    ("https://[64:ff9b::7f00:1]/", "private"),
    ("https://[fd00:ec2::254]/", "private"),
    ("https://[fe80::1]/", "private"),
    ("https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", "private"),
    ("https://127\u{3002}0\u{3002}0\u{3002}1/", "private"),
    ("https://\u{2460}\u{2461}\u{2466}.0.0.1/", "private"),
    ("https:\\\\127.0.0.1\\", "private"),
    ("https://good.example@127.0.0.1/", "user or password"),
    ("https://user:pass@good.example/", "user or password"),
    ("https://good.example/#@evil", "`#`"),
    ("file:///etc/passwd", "https://"),
    ("gopher://good.example/", "https://"),
    ("//good.example/", "not an address"),
    ("good.example/hook", "not an address"),
    ("https://", "not an address"),
];

#[test]
fn thirty_tricks_in_the_settings_are_refused() {
    let egress = Egress::new(false);
    for (written, said) in TARGETS {
        let problem = target(written, &egress).map(String::from).expect_err(written);
        assert!(problem.contains(said), "{written}: {problem}");
    }
    for written in ["https://good.example/hook", "https://8.8.8.8:8443/", "http://b\u{fc}cher.example"] {
        assert!(target(written, &egress).is_ok(), "{written}");
    }
    assert!(target("http://127.0.0.1:1/", &Egress::new(true)).is_ok());
}

#[test]
fn a_path_of_a_script_never_leads_elsewhere() {
    let base = Url::parse("https://api.example/v1/").expect("an address");
    let bad = [
        "//evil.example/x",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "http:/evil",
        "@evil.example/",
        ":8080/",
        ".evil.example/",
        "users/7",
        "?x=1",
        "/..",
        "/../admin",
        "/a/../../admin",
        "/a/./b",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/.%2e/admin",
        "/..%2fadmin",
        "/..%5cadmin",
        "/%252e%252e/admin",
        "/%252e%252e%252fadmin",
        "/a\tb",
        "/a\r\nHost: evil.example",
        "/a b",
        "/a#b",
        "/\u{a0}x",
        "/a\u{0}",
        "/..\\admin",
        "/a/..",
    ];
    for path in bad {
        assert!(join(&base, path).is_err(), "{path:?}: {:?}", join(&base, path).map(String::from));
        assert!(check_path(path).is_err(), "{path:?}");
    }
    for (path, expected) in [
        ("", "https://api.example/v1/"),
        ("/", "https://api.example/v1/"),
        ("/users/a@b.example", "https://api.example/v1/users/a@b.example"),
        ("/users/..a", "https://api.example/v1/users/..a"),
        ("/users/a%2Fb?q=../x&y=a%20b", "https://api.example/v1/users/a%2Fb?q=../x&y=a%20b"),
        ("/@evil.example", "https://api.example/v1/@evil.example"),
        ("/:8080", "https://api.example/v1/:8080"),
        ("/caf\u{e9}", "https://api.example/v1/caf%C3%A9"),
    ] {
        assert_eq!(join(&base, path).map(String::from), Ok(expected.to_owned()), "{path}");
    }
    let bare = Url::parse("https://api.example").expect("an address");
    assert_eq!(join(&bare, "/x").map(String::from), Ok("https://api.example/x".to_owned()));
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads() {
    let names: HashMap<&str, Vec<IpAddr>> = HashMap::from([
        ("local.example", vec!["127.0.0.1".parse().expect("an address")]),
        (
            "metadata.example",
            vec!["169.254.169.254".parse().expect("an address"), "fd00:ec2::254".parse().expect("one")],
        ),
        ("mixed.example", vec!["10.0.0.1".parse().expect("an address"), "8.8.8.8".parse().expect("an address")]),
        ("empty.example", vec![]),
    ]);
    let lookup = move |name: &str| names.get(name).cloned().ok_or_else(|| io::Error::other("no such name"));
    let egress = Egress::with_lookup(false, lookup);
    for name in ["local.example", "metadata.example"] {
        let error = egress.addresses(name).await.expect_err(name);
        assert!(matches!(error, NoAddress::Refused), "{name}: {error}");
        assert!(!error.to_string().contains("169.254"), "an address is not told: {error}");
    }
    let good = egress.addresses("mixed.example").await.expect("one of two");
    assert_eq!(good, ["8.8.8.8".parse::<IpAddr>().expect("an address")]);
    for name in ["empty.example", "missing.example"] {
        assert!(matches!(egress.addresses(name).await, Err(NoAddress::Unknown(_))), "{name}");
    }
    assert!(Egress::new(false).addresses("localhost").await.is_err(), "every machine knows this name");
}

#[tokio::test]
async fn the_answer_that_was_judged_is_the_one_that_counts() {
    let answers = Mutex::new(vec!["127.0.0.1", "8.8.8.8"]);
    let rebinding = Egress::with_lookup(false, move |_| {
        let next = answers.lock().expect("no panic").pop().expect("one look-up for one connection");
        Ok(vec![next.parse().expect("an address")])
    });
    assert!(rebinding.addresses("rebinding.example").await.is_ok());
    assert!(rebinding.addresses("rebinding.example").await.is_err(), "each connection is judged anew");
}

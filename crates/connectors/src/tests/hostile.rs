//! Texts that a user may have made up, through every action of every kind: each is sent, as its receiver can take it.

use serde_json::json;
use tokio::io::AsyncReadExt;

use super::*;
use crate::wording;
use hookgate_model::command::{Mail, Method};

/// What users put into names. Each is between other words, as in a message of a rule.
pub(crate) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "Eve\tX",
        "Eve\u{0}X",
        "Eve\u{1b}[2J\u{1b}]0;owned\u{7}",
        "Eve\u{7f}\u{80}\u{9f}",
        "Eve\u{85}X",
        "Eve\u{2028}X\u{2029}Y",
        "Eve\r\nBcc: everybody@example.com\r\n\r\nhello",
        "Eve\n.\nQUIT\n",
        "\u{202e}evE\u{202c} \u{2066}x\u{2069}",
        "\u{200f}\u{200e}\u{61c}Eve\u{feff}\u{200b}",
        "\u{fffe}\u{ffff}\u{fffd}\u{10ffff}",
        "=?utf-8?B?RXZlDQpCY2M6IHhAZXhhbXBsZS5jb20=?=",
        "=?utf-8?q?Eve?= =?iso-8859-1?q?=0D=0ABcc:_x?=",
        "<!channel> <https://evil.example|click> [click](https://evil.example) {code} |x| !x!",
        "\"quoted\" 'single' `back` \\n \\u0000 </script><b>",
        "ann@b\u{fc}cher.example",
        "{\"json\": [1, null]}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "a\u{301}\u{302}\u{303}\u{304}\u{305}",
    ]
    .map(str::to_owned)
    .to_vec();
    for letter in ["x", " ", "\u{e4}", "\u{1f600}", "\n", "\t", "\"", "\u{1}", "<", "\u{202e}", "=?"] {
        texts.push(letter.repeat(30_000));
    }
    texts.into_iter().map(|text| format!("User {text} did something")).collect()
}

/// A kind with settings for a server, and a map that says the text in its own form.
struct Subject {
    kind: &'static Kind,
    settings: fn(&str) -> Value,
    own_form: fn(&str) -> Value,
    /// People read what it sends.
    for_people: bool,
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const SUBJECTS: [Subject; 9] = [
    Subject {
        kind: &http::KIND,
        settings: |url| json!({ "base_url": url }),
        own_form: |text| json!({ "text": text, "n": [text] }),
        for_people: false,
    },
    Subject {
        kind: &webhook::KIND,
        settings: |url| json!({ "base_url": url, "secrets": [{ "file": "signing" }] }),
        own_form: |text| json!({ "text": text }),
        for_people: false,
    },
    Subject {
        kind: &slack::KIND,
        settings: |_| json!({ "url": { "file": "url" } }),
        own_form: |text| {
            let plain = json!({ "type": "plain_text", "text": text });
            json!({ "text": text, "blocks": [{ "type": "header", "text": plain }, { "type": "section", "fields": [plain] }] })
        },
        for_people: true,
    },
    Subject {
        kind: &teams::KIND,
        settings: |_| json!({ "url": { "file": "url" } }),
        own_form: |text| json!({ "type": "AdaptiveCard", "version": "1.4", "body": [{ "type": "TextBlock", "text": text }, { "type": "TextBlock", "text": text }] }),
        for_people: true,
    },
    Subject {
        kind: &pagerduty::KIND,
        settings: |url| json!({ "routing_key": { "file": "secret" }, "api_url": url }),
        own_form: |text| json!({ "summary": text, "dedup_key": text, "component": text, "source": "", "custom_details": { "who": text } }),
        for_people: true,
    },
    Subject {
        kind: &jira::KIND,
        settings: |url| json!({ "base_url": url, "project": "SEC", "email": "a@b.example", "api_token": { "file": "secret" } }),
        own_form: |text| json!({ "summary": text, "description": text, "labels": [text, " "], "customfield_1": text }),
        for_people: true,
    },
    Subject {
        kind: &servicenow::KIND,
        settings: |url| json!({ "base_url": url, "user": "u", "password": { "file": "secret" } }),
        own_form: |text| json!({ "short_description": text, "description": text, "urgency": 1 }),
        for_people: true,
    },
    Subject {
        kind: &splunk_hec::KIND,
        settings: |url| json!({ "base_url": url, "token": { "file": "secret" } }),
        own_form: |text| json!({ "text": text }),
        for_people: false,
    },
    Subject {
        kind: &elastic::KIND,
        settings: |url| json!({ "base_url": url, "index": "logs" }),
        own_form: |text| json!({ "text": text }),
        for_people: false,
    },
];

/// Every text in a body, names of members included.
fn in_body(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| in_body(item, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            found.push(name.clone());
            in_body(value, found);
        }),
        _ => {}
    }
}

fn folder(url: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    for (name, text) in [("secret", SECRET), ("signing", signing), ("url", url)] {
        std::fs::write(folder.path().join(name), text).expect("a secret");
    }
    folder
}

#[tokio::test]
async fn no_text_keeps_a_message_from_going_out() {
    for subject in &SUBJECTS {
        let server = Server::saying("200 OK", "", "{}").await;
        let folder = folder(&server.url());
        let connector = made(subject.kind, folder.path(), &(subject.settings)(&server.url()));
        for text in texts() {
            let mut digest = order(Task::Notify { message: json!(text) });
            digest.gathered = vec![Action::new("test", Task::Notify { message: json!(text) })];
            digest.gathered_count = 1;
            let orders = [
                order(Task::Notify { message: json!(text) }),
                order(Task::Notify { message: (subject.own_form)(&text) }),
                digest,
            ];
            for order in orders {
                let (kind, begin) = (subject.kind.name, wording::one_line(&text, 40));
                let before = server.seen().len();
                connector.check(&order.action).unwrap_or_else(|problem| panic!("{kind}: {begin:?}: {problem}"));
                // What it makes of the answer does not matter here.
                let outcome = connector.perform(&order).await;
                let seen = server.seen();
                assert_eq!(seen.len(), before + 1, "{kind}: {begin:?}: {outcome:?}");
                let (_, body) = seen[before].split_once("\r\n\r\n").expect("a head");
                let bodies: Vec<Value> = serde_json::Deserializer::from_str(body)
                    .into_iter()
                    .collect::<Result<_, _>>()
                    .unwrap_or_else(|error| panic!("{kind}: {begin:?}: {error}"));
                assert!(!bodies.is_empty(), "{kind}: {begin:?}");
                let mut texts = Vec::new();
                bodies.iter().for_each(|body| in_body(body, &mut texts));
                let shown = |text: &&String| wording::printable(text) != **text;
                let hidden = texts.iter().find(shown).filter(|_| subject.for_people);
                assert_eq!(hidden, None, "{kind}: {begin:?}");
                fits(kind, &bodies[0], body.len());
            }
        }
    }
}

/// What each receiver takes at most.
fn fits(kind: &str, body: &Value, bytes: usize) {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    match kind {
        "slack" => {
            assert!(length(&body["text"]) <= 40_000);
            let header = &body["blocks"][0]["text"]["text"];
            assert!(length(header) <= 150 && length(&body["blocks"][1]["fields"][0]["text"]) <= 2_000);
        }
        "teams" => assert!(bytes <= 28 * 1024, "{bytes}"),
        "pagerduty" => {
            let payload = &body["payload"];
            assert!(length(&payload["summary"]) <= 1_024 && length(&body["dedup_key"]) <= 255);
            assert!(length(&payload["summary"]) > 0 && length(&payload["source"]) > 0);
        }
        "jira" => {
            let fields = &body["fields"];
            assert!(length(&fields["summary"]) <= 255 && length(&fields["customfield_1"]) <= 32_767);
            for label in fields["labels"].as_array().expect("labels") {
                let text = label.as_str().expect("a text");
                assert!(text.chars().count() <= 255 && !text.contains(char::is_whitespace) && !text.is_empty());
            }
        }
        "servicenow" => assert!(length(&body["short_description"]) <= 160),
        _ => {}
    }
}

#[tokio::test]
async fn no_text_keeps_a_request_from_going_out() {
    for subject in &SUBJECTS[..2] {
        let server = Server::saying("200 OK", "", "{}").await;
        let folder = folder(&server.url());
        let connector = made(subject.kind, folder.path(), &(subject.settings)(&server.url()));
        for (number, text) in texts().into_iter().enumerate() {
            let body = json!({ "name": text });
            let order = order(Task::Request { method: Method::Post, path: "/people".to_owned(), body: body.clone() });
            assert_eq!(connector.check(&order.action), Ok(()));
            connector.perform(&order).await.expect("done");
            let (_, sent) = server.seen()[number]
                .split_once("\r\n\r\n")
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("a head");
            assert_eq!(serde_json::from_str::<Value>(&sent).expect("JSON"), body, "{}", subject.kind.name);
        }
    }
}

#[tokio::test]
async fn a_file_and_a_line_of_syslog_hold_every_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made(&file::KIND, folder.path(), &json!({ "path": "out.jsonl" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.expect("bytes");
        String::from_utf8(all).expect("UTF-8")
    });
    let settings = json!({ "host": "127.0.0.1", "port": port, "tls": "none", "framing": "newline", "max_bytes": 600, "charset": "utf8" });
    let syslog = made(&syslog::KIND, folder.path(), &settings);
    for text in texts() {
        for task in [Task::Notify { message: json!(text) }, Task::Notify { message: json!({ "who": text, "n": 1 }) }] {
            let order = order(task);
            for connector in [&file, &syslog] {
                assert_eq!(connector.check(&order.action), Ok(()));
                connector.perform(&order).await.expect("done");
            }
        }
    }
    drop(syslog);
    let written = std::fs::read_to_string(folder.path().join("out.jsonl")).expect("a file");
    assert_eq!(written.lines().count(), texts().len() * 2);
    let received = received.await.expect("no panic");
    assert_eq!(received.matches('\n').count(), texts().len() * 2);
    for line in received.split_terminator('\n') {
        assert!(line.starts_with("<86>1 ") && line.len() <= 600, "{line}");
        let hidden = line.chars().find(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(hidden, None, "{line}");
        let json = &line[line.find('{').expect("JSON")..];
        assert!(serde_json::from_str::<Value>(json).is_ok(), "{line}");
    }
}

#[test]
fn a_mail_of_every_text_can_be_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        json!({ "host": "localhost", "tls": "none", "from": "Gateway <a@b.example>", "to": ["ops@b.example"] });
    let relay = made(&smtp::KIND, folder.path(), &settings);
    for text in texts() {
        let mail = Mail {
            to: vec![format!("{text} <ann@b\u{fc}cher.example>")],
            subject: text.clone(),
            text: text.clone(),
            html: Some(format!("<p>{text}</p>")),
            cc: Vec::new(),
            reply_to: Some(format!("\"{text}\" <bob@b.example>")),
        };
        for task in [Task::Notify { message: json!(text) }, Task::Email(mail)] {
            let begin = wording::one_line(&text, 40);
            assert_eq!(relay.check(&Action::new("mail", task)), Ok(()), "{begin:?}");
        }
    }
}

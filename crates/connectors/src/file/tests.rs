//! Lines as they stand in the file, whatever happened to it.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::What;
use crate::tests::{order, setup};
use hookgate_model::command::{Method, Task};

fn lines(folder: &Path, more: Value) -> Lines {
    let mut settings = json!({ "path": "out.jsonl" });
    settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
    Lines::new(&setup(folder, &settings).setup()).expect("good settings")
}

fn written(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("out.jsonl")).expect("the file is there");
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn notify(text: &str) -> Task {
    Task::Notify { message: json!(text) }
}

#[tokio::test]
async fn an_action_is_one_line_with_where_it_came_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({}));
    let request = Task::Request { method: Method::Put, path: "/people/7".into(), body: json!({ "a": [1] }) };
    for task in [notify("hello"), request] {
        lines.perform(&order(task)).await.expect("written");
    }
    let all = written(folder.path());
    let common = json!({
        "time": "2026-01-02T03:04:05Z", "key": "key-1", "event_id": "event-1", "event_type": "user.session.start",
        "route": "events",
    });
    let mut first = common.clone();
    first["do"] = json!("notify");
    first["message"] = json!("hello");
    let mut second = common;
    second["do"] = json!("request");
    second["method"] = json!("put");
    second["path"] = json!("/people/7");
    second["body"] = json!({ "a": [1] });
    assert_eq!(all, [first, second]);
}

#[tokio::test]
async fn a_forwarded_event_keeps_every_digit_and_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({}));
    let mut order = order(Task::Forward);
    order.event = "{\n  \"z\": 1.10,\r\n \"a\": 12345678901234567890123, \"t\": \"\\n\u{1f511}\" }".into();
    lines.perform(&order).await.expect("written");
    let text = fs::read_to_string(folder.path().join("out.jsonl")).expect("the file is there");
    let event = "{   \"z\": 1.10,   \"a\": 12345678901234567890123, \"t\": \"\\n\u{1f511}\" }";
    assert!(text.contains(&format!("\"do\":\"forward\",\"event\":{event}}}\n")), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn an_event_that_is_no_json_is_kept_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({}));
    let mut order = order(Task::Forward);
    order.event = b"\xffnot json".as_slice().into();
    lines.perform(&order).await.expect("written");
    assert_eq!(written(folder.path())[0]["event"], json!("\u{fffd}not json"));
}

#[tokio::test]
async fn a_digest_is_one_line_that_says_how_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({}));
    let mut order = order(notify("first"));
    order.gathered = (0..150).map(|number| Action::new("out", notify(&format!("n{number}")))).collect();
    order.gathered_count = 200;
    lines.perform(&order).await.expect("written");
    let [line] = written(folder.path()).try_into().expect("one line");
    assert_eq!((&line["count"], line["items"].as_array().map(Vec::len)), (&json!(201), Some(100)));
    assert_eq!(line["items"][1], json!({ "do": "notify", "message": "n0" }));
}

#[tokio::test]
async fn a_full_file_makes_way_and_old_ones_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({ "rotate_bytes": 200, "keep_files": 2 }));
    for number in 0..5 {
        lines.perform(&order(notify(&format!("n{number}")))).await.expect("written");
    }
    let message = |name: &str| {
        let text = fs::read_to_string(folder.path().join(name)).ok()?;
        serde_json::from_str::<Value>(&text).ok()?["message"].as_str().map(str::to_owned)
    };
    let found = ["out.jsonl", "out.jsonl.1", "out.jsonl.2", "out.jsonl.3"].map(message);
    assert_eq!(found, [Some("n4".into()), Some("n3".into()), Some("n2".into()), None]);
}

#[tokio::test]
async fn a_line_that_was_broken_off_spoils_only_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("out.jsonl"), "{\"half\":").expect("written");
    let lines = lines(folder.path(), json!({}));
    lines.perform(&order(notify("whole"))).await.expect("written");
    assert_eq!(written(folder.path())[0]["message"], "whole");
}

#[test]
fn a_part_of_a_line_is_taken_away_unless_somebody_wrote_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.jsonl");
    let text = || fs::read_to_string(&path).expect("the file is there");
    let mut open = Open::at(&path, PRIVATE).expect("it can be made");
    open.append(b"{\"a\":1}\n").expect("written");
    open.file.write_all(b"{\"b\"").expect("written");
    open.broke_off(4);
    assert_eq!((text().as_str(), open.torn), ("{\"a\":1}\n", false));
    open.file.write_all(b"{\"b\"").expect("written");
    fs::OpenOptions::new().append(true).open(&path).expect("there").write_all(b"more\n").expect("written");
    open.broke_off(4);
    open.append(b"{\"c\":3}\n").expect("written");
    assert_eq!(text(), "{\"a\":1}\n{\"b\"more\n\n{\"c\":3}\n", "what others wrote stays");
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({}));
    lines.perform(&order(notify("old"))).await.expect("written");
    fs::rename(folder.path().join("out.jsonl"), folder.path().join("moved")).expect("moved");
    lines.perform(&order(notify("new"))).await.expect("written");
    assert_eq!(written(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_device_or_a_missing_folder_means_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = setup(folder.path(), &json!({ "path": "/dev/full" }));
    let full = Lines::new(&full.setup()).expect("good settings");
    let trouble = full.perform(&order(notify("x"))).await.expect_err("it is a device");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
    assert!(trouble.message.contains("a device"), "{}", trouble.message);
    let nowhere = lines(&folder.path().join("missing"), json!({}));
    let trouble = nowhere.perform(&order(notify("x"))).await.expect_err("there is no folder");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn many_at_once_never_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = Arc::new(lines(folder.path(), json!({})));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let lines = lines.clone();
        tasks.spawn(async move { lines.perform(&order(notify(&"x".repeat(number * 100)))).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic").expect("written");
    }
    assert_eq!(written(folder.path()).len(), 50);
}

#[test]
fn a_path_stays_in_the_bundle_unless_it_is_absolute() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |path: &str| Lines::new(&setup(folder.path(), &json!({ "path": path })).setup()).map(|_| ());
    for path in ["../out", "data/../../out", "data/"] {
        assert!(made(path).is_err(), "{path}");
    }
    for path in ["out", "data/out.jsonl", "/var/log/out..jsonl"] {
        assert!(made(path).is_ok(), "{path}");
    }
}

fn mode(folder: &Path, name: &str) -> u32 {
    fs::metadata(folder.join(name)).expect("the file is there").mode() & 0o777
}

#[tokio::test]
async fn nobody_else_reads_what_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines(folder.path(), json!({ "rotate_bytes": 200, "keep_files": 2 }));
    for number in 0..3 {
        lines.perform(&order(notify(&format!("n{number}")))).await.expect("written");
    }
    assert_eq!([mode(folder.path(), "out.jsonl"), mode(folder.path(), "out.jsonl.1")], [0o600, 0o600]);
}

#[tokio::test]
async fn a_file_that_everybody_could_read_becomes_private_and_a_group_stays() {
    for (before, after) in [(0o644, 0o600), (0o666, 0o600), (0o660, 0o600), (0o640, 0o640), (0o600, 0o600)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(before)).expect("its mode");
        let lines = lines(folder.path(), json!({ "rotate_bytes": 100 }));
        for _ in 0..2 {
            lines.perform(&order(notify("hello"))).await.expect("written");
        }
        assert_eq!(
            [mode(folder.path(), "out.jsonl"), mode(folder.path(), "out.jsonl.1")],
            [after, after],
            "{before:o}"
        );
    }
}

#[tokio::test]
async fn what_is_no_file_or_not_to_be_written_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("bundle");
    fs::create_dir_all(bundle.join("secrets")).expect("a folder");
    fs::write(folder.path().join("outside"), "").expect("written");
    fs::write(bundle.join("secrets/okta"), "secret").expect("written");
    let path = bundle.join("out.jsonl");
    let lines = lines(&bundle, json!({}));
    let pipe = || assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let link = |target: &str| std::os::unix::fs::symlink(target, &path).expect("a link");
    let harms: [&dyn Fn(); 5] =
        [&pipe, &|| link("../outside"), &|| link("secrets/okta"), &|| link("../gone"), &|| link("/dev/null")];
    for harm in harms {
        harm();
        assert!(lines.perform(&order(notify("x"))).await.is_err());
        fs::remove_file(&path).expect("removed");
    }
    assert_eq!(fs::read(bundle.join("secrets/okta")).expect("still there"), b"secret");
    assert!(fs::read(folder.path().join("outside")).expect("still there").is_empty());
    assert!(!folder.path().join("gone").exists());
    lines.perform(&order(notify("x"))).await.expect("written");
}

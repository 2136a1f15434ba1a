//! What an org is asked, what its answers mean, and that no id leads elsewhere.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::tests::{Server, Then, hasty, order, response, try_made};
use crate::{Done, What};
use hookgate_model::command::Account;
use hookgate_model::question::{ANY_DIRECTORY, Ask, Directory, Reason};

const PATIENT: Duration = Duration::from_secs(20);

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "canary-7f3a").expect("written");
    folder
}

fn org(folder: &TempDir, server: &Server, time: Duration) -> Arc<dyn Connector> {
    hasty(&KIND, folder.path(), &json!({ "org_url": server.url(), "token": { "file": "token" } }), time)
}

fn say(status: &str, headers: &str, body: &Value) -> Then {
    Then::Say(response(status, headers, &body.to_string()))
}

fn error(code: &str) -> Value {
    json!({ "errorCode": code, "errorSummary": "canary-7f3a is not good enough", "errorCauses": [] })
}

fn gone() -> Then {
    say("404 Not Found", "", &error("E0000007"))
}

async fn ask(connector: &dyn Connector, asked: Directory) -> Result<Value, Trouble> {
    connector.look_up(&Question { connector: "org".to_owned(), ask: Ask::Directory { family: "okta", asked } }).await
}

fn user(id: &str) -> Directory {
    Directory::User(id.to_owned())
}

fn lines(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| seen.lines().next().unwrap_or_default().replace(" HTTP/1.1", "")).collect()
}

#[tokio::test]
async fn each_question_is_one_request() {
    for (asked, line, answer) in [
        (user("00u7"), "GET /api/v1/users/00u7", json!({ "id": "00u7" })),
        (user("ann+x@example.com"), "GET /api/v1/users/ann%2Bx%40example.com", json!({ "id": "00u7" })),
        (user("a?b#c%2e"), "GET /api/v1/users/a%3Fb%23c%252e", json!({ "id": "00u7" })),
        (Directory::Group("00g1".into()), "GET /api/v1/groups/00g1", json!({ "id": "00g1" })),
        (Directory::AppUser("0oa1".into(), "00u7".into()), "GET /api/v1/apps/0oa1/users/00u7", json!({ "id": "00u7" })),
        (Directory::UserGroups("00u7".into()), "GET /api/v1/users/00u7/groups?limit=200", json!([{ "id": "00g1" }])),
        (
            Directory::FindUsers("employeeNumber".into(), "1\"or\\".into()),
            "GET /api/v1/users?limit=10&search=profile%2EemployeeNumber%20eq%20%221%5C%22or%5C%5C%22",
            json!([{ "id": "00u7" }]),
        ),
    ] {
        let (folder, server) = (folder(), Server::new([say("200 OK", "", &answer)]).await);
        assert_eq!(ask(&*org(&folder, &server, PATIENT), asked).await, Ok(answer));
        assert_eq!(lines(&server), [line]);
        assert!(server.seen()[0].contains("authorization: SSWS canary-7f3a"));
    }
}

#[tokio::test]
async fn a_question_to_another_directory_is_refused_and_one_to_any_is_answered() {
    let (folder, server) = (folder(), Server::new([say("200 OK", "", &json!({ "id": "00u7" }))]).await);
    let org = org(&folder, &server, PATIENT);
    let of = |family| Question { connector: "org".to_owned(), ask: Ask::Directory { family, asked: user("00u7") } };
    let refused = org.look_up(&of("entra")).await.expect_err("it is no such directory");
    assert_eq!(
        (refused.reason, &*refused.message),
        (Reason::Rejected, "a connector of kind `okta` answers no `entra`")
    );
    assert!(server.seen().is_empty());
    assert_eq!(org.look_up(&of(ANY_DIRECTORY)).await, Ok(json!({ "id": "00u7" })));
}

#[tokio::test]
async fn no_id_leads_elsewhere() {
    let (folder, server) = (folder(), Server::new([say("200 OK", "", &json!({}))]).await);
    let org = org(&folder, &server, PATIENT);
    for id in ["", " ", "me", "ME", ".", "..", "../x", "a/b", "a\\b", "a\nb"] {
        for asked in [
            user(id),
            Directory::Group(id.into()),
            Directory::UserGroups(id.into()),
            Directory::AppUser("0oa1".into(), id.into()),
            Directory::AppUser(id.into(), "00u1".into()),
        ] {
            let trouble = ask(&*org, asked).await.expect_err(id);
            assert_eq!(trouble.reason, Reason::Rejected, "{id}: {trouble}");
        }
        let account = Account { verb: Verb::ClearSessions, user: id.to_owned(), group: None };
        assert!(org.check(&Action::new("org", Task::Account(account))).is_err(), "{id}");
        let account = Account { verb: Verb::AddToGroup, user: "00u1".to_owned(), group: Some(id.to_owned()) };
        assert!(org.check(&Action::new("org", Task::Account(account))).is_err(), "{id}");
    }
    for attribute in ["", "a b", "a.b", "1a", "a\" or"] {
        let trouble = ask(&*org, Directory::FindUsers(attribute.into(), "x".into())).await.expect_err(attribute);
        assert_eq!(trouble.reason, Reason::Rejected);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn every_answer_means_something() {
    let (folder, server) = (folder(), Server::new([gone()]).await);
    assert_eq!(ask(&*org(&folder, &server, PATIENT), user("00u7")).await, Ok(Value::Null));
    let cut = response("200 OK", "", "{}").replace("Content-Length: 2", "Content-Length: 99");
    let drip = Then::Drip("HTTP/1.1 200 OK\r\n\r\n{".to_owned());
    for (then, reason, part) in [
        (say("404 Not Found", "", &json!("<html>")), Reason::Rejected, "is `org_url` the address of an org?"),
        (say("401 Unauthorized", "", &error("E0000011")), Reason::Denied, "make a new one"),
        (say("403 Forbidden", "", &error("E0000006")), Reason::Denied, "role \"Read Only\""),
        (say("429 Too Many", "", &error("E0000047")), Reason::Limited, "for 5 s"),
        (say("302 Found", "Location: /x\r\n", &json!({})), Reason::Rejected, "none is followed"),
        (say("400 Bad Request", "", &error("E0000001")), Reason::Rejected, "E0000001"),
        (say("500 Oops", "", &json!({})), Reason::Unreachable, "500"),
        (say("200 OK", "", &json!([])), Reason::BadAnswer, "not with what was asked for"),
        (Then::Say(response("200 OK", "", "garbage")), Reason::BadAnswer, "not with what was asked for"),
        (Then::Say(cut), Reason::BadAnswer, "broke off"),
        (Then::Close, Reason::Unreachable, "broke off"),
        (Then::Silence, Reason::Timeout, "in time"),
        (drip, Reason::Timeout, "in time"),
    ] {
        let server = Server::new([then]).await;
        let trouble = ask(&*org(&folder, &server, Duration::from_millis(700)), user("00u7")).await.expect_err(part);
        assert_eq!(trouble.reason, reason, "{trouble}");
        assert!(trouble.message.contains(part) && !trouble.message.contains("canary"), "{part}: {trouble}");
    }
}

#[tokio::test]
async fn groups_are_read_page_by_page_and_never_elsewhere() {
    let listener = Server::new([say("200 OK", "", &json!([]))]).await;
    let page = |ids: &[&str], next: &str| {
        let groups: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        say("200 OK", &format!("Link: <{next}>; rel=\"next\"\r\n"), &json!(groups))
    };
    let folder = folder();
    for link in [
        format!("{}/api/v1/users/00u7/groups?after=1", listener.url()),
        "https://evil.example/api/v1/users/00u7/groups".to_owned(),
    ] {
        let server = Server::new([page(&["00g1"], &link)]).await;
        let trouble = ask(&*org(&folder, &server, PATIENT), Directory::UserGroups("00u7".into())).await;
        assert_eq!(trouble.expect_err("elsewhere").reason, Reason::BadAnswer, "{link}");
    }
    assert!(listener.seen().is_empty());
    let opened = || async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        (listener, format!("{url}/api/v1/users/00u7/groups?after=1&limit=200"))
    };
    let (listener, link) = opened().await;
    let server = Server::on(listener, [page(&["00g1"], &link), say("200 OK", "", &json!([{ "id": "00g2" }]))], None);
    let groups = ask(&*org(&folder, &server, PATIENT), Directory::UserGroups("00u7".into())).await.expect("groups");
    assert_eq!(groups, json!([{ "id": "00g1" }, { "id": "00g2" }]));
    let (listener, link) = opened().await;
    let endless = Server::on(listener, [page(&["00g1"], &link)], None);
    let trouble = ask(&*org(&folder, &endless, PATIENT), Directory::UserGroups("00u7".into())).await;
    assert_eq!((trouble.expect_err("too many").reason, endless.seen().len()), (Reason::TooLarge, 11));
}

#[tokio::test]
async fn a_used_up_share_asks_nothing() {
    let reset = |ahead: i64| jiff::Timestamp::now().as_second() + ahead;
    let folder = folder();
    let few = format!("X-Rate-Limit-Limit: 600\r\nX-Rate-Limit-Remaining: 2\r\nX-Rate-Limit-Reset: {}\r\n", reset(40));
    let server = Server::new([say("200 OK", &few, &json!({ "id": "00u7" }))]).await;
    let org1 = org(&folder, &server, PATIENT);
    assert!(ask(&*org1, user("00u7")).await.is_ok());
    let trouble = ask(&*org1, user("00u8")).await.expect_err("used up");
    assert_eq!(trouble.reason, Reason::Limited);
    assert!(trouble.message.contains("our share (30 %)"), "{trouble}");
    assert_eq!(server.seen().len(), 1, "the second was not asked");
    // Another family of addresses has a window of its own.
    assert!(ask(&*org1, Directory::Group("00g1".into())).await.is_ok());
    let storm = format!("X-Rate-Limit-Remaining: 0\r\nX-Rate-Limit-Reset: {}\r\n", reset(30));
    let server = Server::new([say("429 Too Many Requests", &storm, &error("E0000047"))]).await;
    let org2 = org(&folder, &server, PATIENT);
    for _ in 0..50 {
        assert_eq!(ask(&*org2, user("00u7")).await.expect_err("limited").reason, Reason::Limited);
    }
    assert_eq!(server.seen().len(), 1, "a storm is over after one");
    let suspend = order(account(Verb::SuspendUser));
    let trouble = org2.perform(&suspend).await.expect_err("limited");
    let What::NotDelivered { retry_after: Some(wait) } = trouble.what else { panic!("{trouble:?}") };
    assert!((25..=31).contains(&wait.as_secs()), "{wait:?}");
    let trouble = org2.perform(&suspend).await.expect_err("limited");
    assert!(matches!(trouble.what, What::NotTried { .. }) && server.seen().len() == 2);
}

fn account(verb: Verb) -> Task {
    let group = matches!(verb, Verb::AddToGroup | Verb::RemoveFromGroup).then(|| "00g1".to_owned());
    Task::Account(Account { verb, user: "00u7".to_owned(), group })
}

async fn done(verb: Verb, thens: Vec<Then>) -> (Result<Done, crate::Trouble>, Vec<String>) {
    let (folder, server) = (folder(), Server::new(thens).await);
    let org = org(&folder, &server, PATIENT);
    let order = order(account(verb));
    assert_eq!(org.check(&order.action), Ok(()));
    let outcome = org.perform(&order).await;
    for seen in server.seen().iter().filter(|seen| !seen.starts_with("GET")) {
        assert!(seen.to_lowercase().contains("idempotency-key: key-1"), "{seen}");
        assert!(!seen.starts_with('P') || seen.to_lowercase().contains("content-length: 0"), "{seen}");
    }
    (outcome, lines(&server))
}

#[tokio::test]
async fn each_verb_is_one_request() {
    for (verb, status, line) in [
        (Verb::ClearSessions, 204, "DELETE /api/v1/users/00u7/sessions?oauthTokens=true&forgetDevices=true"),
        (Verb::SuspendUser, 200, "POST /api/v1/users/00u7/lifecycle/suspend"),
        (Verb::UnsuspendUser, 200, "POST /api/v1/users/00u7/lifecycle/unsuspend"),
        (Verb::DeactivateUser, 200, "POST /api/v1/users/00u7/lifecycle/deactivate?sendEmail=false"),
        (Verb::AddToGroup, 204, "PUT /api/v1/groups/00g1/users/00u7"),
        (Verb::RemoveFromGroup, 204, "DELETE /api/v1/groups/00g1/users/00u7"),
    ] {
        let (outcome, lines) = done(verb, vec![Then::Say(response(&format!("{status} X"), "", ""))]).await;
        assert_eq!((outcome.expect("done").status, lines), (Some(status), vec![line.to_owned()]));
    }
}

#[tokio::test]
async fn what_is_gone_is_as_it_was_wanted_or_not() {
    for verb in [Verb::ClearSessions, Verb::SuspendUser, Verb::DeactivateUser, Verb::RemoveFromGroup] {
        let outcome = done(verb, vec![gone()]).await.0.expect("done");
        assert!(outcome.note.contains("nothing is left to do"), "{outcome:?}");
    }
    for verb in [Verb::AddToGroup, Verb::UnsuspendUser] {
        assert_eq!(done(verb, vec![gone()]).await.0.expect_err("refused").what, What::Refused);
    }
    let nowhere = vec![Then::Say(response("404 Not Found", "", "<html>"))];
    assert_eq!(done(Verb::ClearSessions, nowhere).await.0.expect_err("no org").what, What::Refused);
}

#[tokio::test]
async fn what_is_so_already_is_done() {
    let wrong = || say("400 Bad Request", "", &error("E0000001"));
    let not_allowed = || say("403 Forbidden", "", &error("E0000038"));
    let is = |status: &str| say("200 OK", "", &json!({ "id": "00u7", "status": status }));
    for (verb, first, then, good) in [
        (Verb::SuspendUser, wrong(), is("SUSPENDED"), true),
        (Verb::SuspendUser, not_allowed(), is("DEPROVISIONED"), true),
        (Verb::SuspendUser, wrong(), is("STAGED"), false),
        (Verb::SuspendUser, wrong(), gone(), true),
        (Verb::UnsuspendUser, wrong(), is("ACTIVE"), true),
        (Verb::UnsuspendUser, wrong(), is("DEPROVISIONED"), false),
        (Verb::UnsuspendUser, wrong(), gone(), false),
        (Verb::DeactivateUser, not_allowed(), is("DEPROVISIONED"), true),
        (Verb::DeactivateUser, wrong(), is("ACTIVE"), false),
    ] {
        let (outcome, lines) = done(verb, vec![first, then]).await;
        assert_eq!(outcome.is_ok(), good, "{verb:?}: {outcome:?}");
        assert!(outcome.is_ok() || outcome.is_err_and(|trouble| trouble.what == What::Refused));
        assert_eq!(lines[1..], ["GET /api/v1/users/00u7"]);
    }
    let unseen = say("503 X", "", &json!({}));
    let trouble = done(Verb::SuspendUser, vec![wrong(), unseen]).await.0.expect_err("who knows");
    assert!(matches!(trouble.what, What::NotDelivered { .. }), "{trouble:?}");
}

#[tokio::test]
async fn refusals_name_the_scope_and_outages_are_tried_again() {
    for (verb, what) in
        [(Verb::SuspendUser, "change the status of users"), (Verb::AddToGroup, "change members of groups")]
    {
        let trouble = done(verb, vec![say("403 Forbidden", "", &error("E0000006"))]).await.0.expect_err("refused");
        assert_eq!((trouble.what, trouble.status), (What::Refused, Some(403)));
        assert!(trouble.message.contains(what) && !trouble.message.contains("canary"), "{}", trouble.message);
    }
    for then in [say("503 X", "Retry-After: 7\r\n", &json!({})), say("429 X", "Retry-After: 7\r\n", &json!({}))] {
        let trouble = done(Verb::ClearSessions, vec![then]).await.0.expect_err("not now");
        assert_eq!(trouble.what, What::NotDelivered { retry_after: Some(Duration::from_secs(7)) });
    }
    assert_eq!(done(Verb::ClearSessions, vec![Then::Close]).await.0.expect_err("who knows").what, What::MaybeDelivered);
    let redirect = say("302 Found", "Location: /x\r\n", &json!({}));
    assert_eq!(done(Verb::ClearSessions, vec![redirect]).await.0.expect_err("refused").what, What::Refused);
}

#[tokio::test]
async fn an_app_asks_for_its_scopes_and_its_token_is_replaced_once() {
    let folder = folder();
    let key = rcgen::KeyPair::generate().expect("a key");
    fs::write(folder.path().join("app.pem"), key.serialize_pem()).expect("written");
    let token =
        |name: &str| say("200 OK", "", &json!({ "access_token": name, "token_type": "Bearer", "expires_in": 3600 }));
    let user7 = || say("200 OK", "", &json!({ "id": "00u7" }));
    let refused = say("401 Unauthorized", "", &error("E0000011"));
    let server = Server::new([token("t1"), user7(), refused, token("t2"), user7()]).await;
    let settings = json!({
        "org_url": server.url(), "client_id": "0oaMe", "private_key": { "file": "app.pem" },
        "scopes": ["okta.users.manage"], "own_actors": ["00uAdmin"],
    });
    let org = hasty(&KIND, folder.path(), &settings, PATIENT);
    assert!(ask(&*org, user("00u7")).await.is_ok() && ask(&*org, user("00u7")).await.is_ok());
    let seen = server.seen();
    assert!(seen[0].contains("scope=okta.users.manage&"), "{}", seen[0]);
    let bearer = |number: usize| seen[number].lines().find(|line| line.starts_with("authorization")).map(str::to_owned);
    let expected = [(1, "t1"), (2, "t1"), (4, "t2")];
    assert!(expected.iter().all(|(at, token)| bearer(*at) == Some(format!("authorization: Bearer {token}"))));
    assert_eq!(org.own_actors(), ["00uAdmin", "0oaMe"]);
    let server = Server::new([token("t1"), say("403 Forbidden", "", &error("E0000006"))]).await;
    let settings = json!({ "org_url": server.url(), "client_id": "0oaMe", "private_key": { "file": "app.pem" } });
    let org = hasty(&KIND, folder.path(), &settings, PATIENT);
    let trouble = ask(&*org, Directory::AppUser("0oa1".into(), "00u7".into())).await.expect_err("denied");
    assert!(trouble.message.contains("grant it `okta.apps.read`"), "{trouble}");
}

#[tokio::test]
async fn a_probe_reads_one_user() {
    let folder = folder();
    let server = Server::new([say("200 OK", "", &json!([{ "id": "00u7" }]))]).await;
    let probed = org(&folder, &server, PATIENT).probe().expect("one").await.expect("let in");
    assert_eq!((lines(&server), probed.needs.len()), (vec!["GET /api/v1/users?limit=1".to_owned()], 2));
    let server = Server::new([say("401 Unauthorized", "", &error("E0000011"))]).await;
    assert_eq!(org(&folder, &server, PATIENT).probe().expect("one").await.expect_err("no").reason, Reason::Denied);
}

#[test]
fn other_actions_and_wrong_settings_are_refused() {
    let folder = folder();
    let url = "https://example.okta.com";
    let org = crate::tests::made(&KIND, folder.path(), &json!({ "org_url": url, "token": { "file": "token" } }));
    let check = |task| org.check(&Action::new("org", task)).expect_err("refused");
    assert!(check(Task::Notify { message: json!("x") }).contains("takes no `notify`"));
    assert!(check(account(Verb::RevokeSignInSessions)).contains("kind `entra`"));
    for (more, key) in [
        (json!({}), "token"),
        (json!({ "client_id": "0oa1" }), "token"),
        (json!({ "token": { "file": "token" }, "client_id": "0oa1" }), "client_id"),
        (json!({ "token": { "file": "absent" } }), "token"),
        (json!({ "client_id": "0oa1", "private_key": { "file": "token" } }), "private_key"),
        (json!({ "token": { "file": "token" }, "rate_share": 0.0 }), "rate_share"),
        (json!({ "token": { "file": "token" }, "org_url": "https://example.okta.com/admin" }), "org_url"),
    ] {
        let mut settings = json!({ "org_url": url });
        settings.as_object_mut().expect("a table").extend(more.as_object().cloned().unwrap_or_default());
        let problems = try_made(&KIND, folder.path(), &settings).err().expect("a problem");
        assert_eq!(problems[0].key, key, "{more}");
    }
}

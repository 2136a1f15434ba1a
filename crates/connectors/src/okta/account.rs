//! Changes to accounts. Each may be asked for twice: what is as it should be, or is gone, counts as done.

use http::Method;
use serde_json::Value;

use crate::client::Answer;
use crate::okta::org::{Family, Org, error_code, is_okta, segment};
use crate::{Done, Order, Trouble, What};
use hookgate_model::command::{Account, Action, Task, Verb};
use hookgate_model::question;
use hookgate_model::question::Reason;

/// What an administrator needs whose token changes accounts.
const ROLE: &str = "Organization Administrator";

/// Okta's code for what the status of a user does not allow.
const WRONG_STATUS: &str = "E0000038";

/// # Errors
/// An id is none; for the author of the script.
pub(super) fn check(account: &Account) -> Result<(), String> {
    path(account).map(|_| ())
}

pub(super) async fn perform(org: &Org, order: &Order) -> Result<Done, Trouble> {
    let Task::Account(account) = &order.action.task else {
        return Err(Trouble::refused("it changes accounts, and does nothing else"));
    };
    let (method, path) = path(account).map_err(Trouble::refused)?;
    let answer = org.change(order, method, &path).await?;
    let refused = || org.trouble(&answer, what(account.verb), scope(account.verb), ROLE);
    match answer.status {
        200..=299 => Ok(Done { status: Some(answer.status), note: done(account.verb).to_owned() }),
        404 if is_okta(&answer) && undoes(account.verb) => {
            Ok(Done { status: Some(404), note: "there is no such user (or group): nothing is left to do".to_owned() })
        }
        404 if is_okta(&answer) => Err(Trouble {
            status: Some(404),
            ..Trouble::refused("Okta answered 404: there is no such user, or no such group")
        }),
        400 | 403 if is_about_status(account.verb, &answer) => match state(org, &account.user).await? {
            Some(status) if is_so_already(account.verb, &status) => {
                Ok(Done { status: Some(answer.status), note: format!("the user is {status} already") })
            }
            Some(status) => {
                let refused = refused();
                Err(Trouble { message: format!("the user is {status}: {}", refused.message), ..refused })
            }
            None if undoes(account.verb) => {
                Ok(Done { status: Some(404), note: "there is no such user any more".to_owned() })
            }
            None => Err(refused()),
        },
        _ => Err(refused()),
    }
}

/// Where the change is asked for.
fn path(account: &Account) -> Result<(Method, String), String> {
    let user = segment(&account.user)?;
    let of_user = |rest: &str| format!("/api/v1/users/{user}/{rest}");
    let in_group = || {
        let group = account.group.as_deref().ok_or("a group is missing")?;
        Ok::<_, String>(format!("/api/v1/groups/{}/users/{user}", segment(group)?))
    };
    Ok(match account.verb {
        Verb::ClearSessions => (Method::DELETE, of_user("sessions?oauthTokens=true&forgetDevices=true")),
        Verb::SuspendUser => (Method::POST, of_user("lifecycle/suspend")),
        Verb::UnsuspendUser => (Method::POST, of_user("lifecycle/unsuspend")),
        Verb::DeactivateUser => (Method::POST, of_user("lifecycle/deactivate?sendEmail=false")),
        Verb::AddToGroup => (Method::PUT, in_group()?),
        Verb::RemoveFromGroup => (Method::DELETE, in_group()?),
        Verb::RevokeSignInSessions => return Err("`revoke_sign_in_sessions` is not Okta's".to_owned()),
    })
}

/// Id and login of the user that an action changes; none if there is no such user.
pub(super) async fn names(org: &Org, action: &Action) -> Result<Vec<String>, question::Trouble> {
    let Task::Account(account) = &action.task else { return Ok(Vec::new()) };
    let Some(user) = read(org, &account.user).await? else { return Ok(Vec::new()) };
    let names = [&user["id"], &user["profile"]["login"]];
    Ok(names.into_iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A user, now; nothing if there is none.
async fn read(org: &Org, user: &str) -> Result<Option<Value>, question::Trouble> {
    let segment = segment(user).map_err(|text| question::Trouble::new(Reason::Rejected, text))?;
    let answer = org.look(&format!("/api/v1/users/{segment}"), Family::User).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        200 if body["id"].is_string() => Ok(Some(body)),
        404 if is_okta(&answer) => Ok(None),
        _ => Err(org.refusal(&answer, "read users", "okta.users.read", ROLE)),
    }
}

/// The status of a user, now; nothing if there is none.
async fn state(org: &Org, user: &str) -> Result<Option<String>, Trouble> {
    let user = read(org, user).await.map_err(|trouble| {
        let message = format!("whether it is so already cannot be seen: {}", trouble.message);
        let what = match trouble.reason {
            Reason::Denied | Reason::Rejected | Reason::Forbidden => What::Refused,
            _ => What::NotDelivered { retry_after: None },
        };
        Trouble { what, status: None, message }
    })?;
    let status = user.as_ref().map(|user| user["status"].as_str().unwrap_or("UNKNOWN"));
    Ok(status.map(|status| status.chars().filter(char::is_ascii_graphic).take(40).collect()))
}

/// The answer may mean that the user is as it should be.
fn is_about_status(verb: Verb, answer: &Answer) -> bool {
    let lifecycle = matches!(verb, Verb::SuspendUser | Verb::UnsuspendUser | Verb::DeactivateUser);
    lifecycle && (answer.status == 400 || error_code(answer).is_some_and(|code| code == WRONG_STATUS))
}

fn is_so_already(verb: Verb, status: &str) -> bool {
    match verb {
        Verb::SuspendUser => matches!(status, "SUSPENDED" | "DEPROVISIONED"),
        Verb::UnsuspendUser => !matches!(status, "SUSPENDED" | "DEPROVISIONED"),
        Verb::DeactivateUser => status == "DEPROVISIONED",
        _ => false,
    }
}

/// For these a user that is gone is what was wanted.
fn undoes(verb: Verb) -> bool {
    !matches!(verb, Verb::AddToGroup | Verb::UnsuspendUser)
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::ClearSessions => "sessions, tokens and devices cleared",
        Verb::SuspendUser => "suspended",
        Verb::UnsuspendUser => "no longer suspended",
        Verb::DeactivateUser => "deactivated",
        Verb::AddToGroup => "in the group",
        Verb::RemoveFromGroup => "not in the group",
        Verb::RevokeSignInSessions => "",
    }
}

fn what(verb: Verb) -> &'static str {
    match verb {
        Verb::ClearSessions => "clear sessions",
        Verb::AddToGroup | Verb::RemoveFromGroup => "change members of groups",
        _ => "change the status of users",
    }
}

fn scope(verb: Verb) -> &'static str {
    match verb {
        Verb::AddToGroup | Verb::RemoveFromGroup => "okta.groups.manage",
        _ => "okta.users.manage",
    }
}

//! Questions to an org: users, groups, assignments. What is not there is `null`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::client::Answer;
use crate::okta::KIND;
use crate::okta::org::{Family, MAX_ANSWER_BYTES, Org, is_okta, segment};
use crate::okta_log;
use hookgate_model::question::digits;
use hookgate_model::question::{ANY_DIRECTORY, Ask, Directory, Question, Reason, Trouble};

/// What an administrator needs at least whose token reads.
pub(super) const ROLE: &str = "Read Only";

/// Groups of one user are read up to so many pages of 200.
const MOST_PAGES: usize = 10;

/// Users that a search gives at most.
const MOST_FOUND: usize = 10;

/// What is asked for, and what it needs.
struct Request {
    path: String,
    family: Family,
    what: &'static str,
    scope: &'static str,
    is_list: bool,
}

pub(super) async fn answer(org: &Org, question: &Question) -> Result<Value, Trouble> {
    let asked = match &question.ask {
        Ask::Directory { family, asked } if [KIND.name, ANY_DIRECTORY].contains(family) => asked,
        _ => return Err(question.not_for(KIND.name)),
    };
    let request = request(asked).map_err(|text| Trouble::new(Reason::Rejected, text))?;
    let answer = org.look(&request.path, request.family).await?;
    match answer.status {
        200 if matches!(asked, Directory::UserGroups(_)) => pages(org, &request, answer).await,
        200 => body(&answer, request.is_list),
        404 if is_okta(&answer) => Ok(Value::Null),
        _ => Err(org.refusal(&answer, request.what, request.scope, ROLE)),
    }
}

fn request(asked: &Directory) -> Result<Request, String> {
    let one = |path, family, what, scope| Request { path, family, what, scope, is_list: false };
    Ok(match asked {
        Directory::User(id) => {
            one(format!("/api/v1/users/{}", segment(id)?), Family::User, "read users", "okta.users.read")
        }
        Directory::Group(id) => {
            one(format!("/api/v1/groups/{}", segment(id)?), Family::Groups, "read groups", "okta.groups.read")
        }
        Directory::AppUser(app, user) => {
            let path = format!("/api/v1/apps/{}/users/{}", segment(app)?, segment(user)?);
            one(path, Family::Apps, "read applications", "okta.apps.read")
        }
        Directory::UserGroups(id) => Request {
            path: format!("/api/v1/users/{}/groups?limit=200", segment(id)?),
            family: Family::UserGroups,
            what: "read the groups of users",
            scope: "okta.users.read okta.groups.read",
            is_list: true,
        },
        Directory::FindUsers(attribute, value) => Request {
            path: format!("/api/v1/users?limit={MOST_FOUND}&search={}", search(attribute, value)?),
            family: Family::Users,
            what: "search users",
            scope: "okta.users.read",
            is_list: true,
        },
    })
}

/// `profile.x eq "…"`, encoded.
fn search(attribute: &str, value: &str) -> Result<String, String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if attribute.is_empty() || !attribute.chars().all(word) || attribute.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("an attribute of the profile is one word: letters, digits and `_`".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err("the value to search for has a control character in it".to_owned());
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    let search = format!("profile.{attribute} eq \"{escaped}\"");
    Ok(utf8_percent_encode(&search, NON_ALPHANUMERIC).to_string())
}

/// All pages as one list.
async fn pages(org: &Org, request: &Request, first: Answer) -> Result<Value, Trouble> {
    let mut answer = first;
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        if answer.status != 200 {
            return Err(org.refusal(&answer, request.what, request.scope, ROLE));
        }
        if let Value::Array(page) = body(&answer, true)? {
            all.extend(page);
        }
        let Some(link) = okta_log::next_link(&answer.headers) else { return Ok(Value::Array(all)) };
        let next = org.next(link, &request.path).ok_or_else(|| {
            Trouble::new(Reason::BadAnswer, "the link to the next page leads away from `org_url`, and is not followed")
        })?;
        answer = org.look(next, request.family).await?;
    }
    let text = format!("the user is in more than {} groups", all.len());
    Err(Trouble::new(Reason::TooLarge, text))
}

/// The body of a good answer: an object, or a list of them.
fn body(answer: &Answer, is_list: bool) -> Result<Value, Trouble> {
    if answer.body.len() > MAX_ANSWER_BYTES {
        return Err(Trouble::new(Reason::TooLarge, format!("Okta's answer is longer than {MAX_ANSWER_BYTES} bytes")));
    }
    match (answer.complete, answer.late) {
        (true, _) => {}
        (false, true) => return Err(Trouble::new(Reason::Timeout, "Okta's answer did not come to an end in time")),
        (false, false) => return Err(Trouble::new(Reason::BadAnswer, "Okta's answer broke off before its end")),
    }
    let value = digits::read(&answer.body).unwrap_or_default();
    let fits = match &value {
        Value::Object(_) => !is_list,
        Value::Array(items) => is_list && items.iter().all(Value::is_object),
        _ => false,
    };
    match fits {
        true => Ok(value),
        false => Err(Trouble::new(
            Reason::BadAnswer,
            "Okta answered 200, and not with what was asked for: is `org_url` an org?",
        )),
    }
}

//! `.only_while(…)`: whether a user is in the state that an action is meant for, asked just before each try. What was decided
//! yesterday may be wrong today: the user is back.

use std::time::Duration;

use serde_json::Value;

use crate::delivery::work::{Next, Verdict};
use crate::release::Release;
use hookgate_connectors::time_limit::within;
use hookgate_model::command::{Action, GONE};
use hookgate_model::question::{ANY_DIRECTORY, Ask, Directory, Question, Reason};

/// How long the provider is given to answer; then the action is tried again later.
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of an action that may not be done now; nothing if it may.
pub(super) async fn in_the_way(release: &Release, action: &Action) -> Option<Verdict> {
    let wanted = action.only_while.as_ref()?;
    let Some(connected) = release.connectors.get(&wanted.connector) else {
        return Some(Verdict::again("no_connector", release.connectors.unknown(&wanted.connector)));
    };
    let ask = Ask::Directory { family: ANY_DIRECTORY, asked: Directory::User(wanted.user.clone()) };
    // Not through the cache: it is about now.
    let question = Question { connector: wanted.connector.clone(), ask };
    let answer = within(PATIENCE, connected.connector.look_up(&question)).await;
    let unknown = |why: String| Verdict::again("not_delivered", format!("the state of the user is not known: {why}"));
    match answer {
        Err(_) => Some(unknown(format!("`{}` did not answer in {} s", wanted.connector, PATIENCE.as_secs()))),
        // Asking for it again would end the same.
        Ok(Err(trouble)) if matches!(trouble.reason, Reason::Rejected | Reason::Forbidden) => {
            let detail = format!("the state of the user cannot be known: {}", trouble.message);
            Some(Verdict::dead("refused", detail))
        }
        Ok(Err(trouble)) => Some(unknown(trouble.message)),
        Ok(Ok(user)) => match state(&user) {
            None => Some(unknown(format!("`{}` told none", wanted.connector))),
            Some(state) if wanted.states.iter().any(|one| one == state) => None,
            Some(state) => Some(left_out(state, &wanted.states)),
        },
    }
}

fn state(user: &Value) -> Option<&str> {
    match user {
        Value::Null => Some(GONE),
        user => user["status"].as_str(),
    }
}

fn left_out(state: &str, states: &[String]) -> Verdict {
    let detail = format!("not done: the user is {state} by now, and it is only for {}", states.join(", "));
    Verdict { result: "left_out", status: None, detail, next: Next::Done(Vec::new()) }
}

//! Replies to the token hook (contract: inline hooks, section 6).

use serde_json::{Map, Value};

use crate::okta::judge::{Body, Command, Rules, Step, steps, summary};
use crate::okta::patch::{Draft, Misfit, Op};
use crate::okta::token::claims;
use crate::okta::token::{CLAIMS, LIFETIMES, TokenPatch};

pub(in crate::okta) const RULES: Rules = Rules {
    takes_204: true,
    takes_error: true,
    minds_null: false,
    commands: &["com.okta.identity.patch", "com.okta.access.patch"],
    check,
    effect,
    failed: |_, failure| format!("Okta issues the tokens unchanged, {}", failure.because()),
};

fn check(call: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    for target in [TokenPatch::IdToken, TokenPatch::AccessToken] {
        let own: Vec<Command<'_>> =
            reply.commands.iter().filter(|command| command.kind == target.command()).copied().collect();
        if !own.is_empty() {
            check_token(target, call, &own, wrong);
        }
    }
}

/// The patches of one token, each operation on what the ones before it left.
fn check_token(target: TokenPatch, call: &Value, patches: &[Command<'_>], wrong: &mut Vec<String>) {
    let token = call.pointer(target.member());
    let is_known = !call.is_null();
    if is_known && !token.is_some_and(Value::is_object) {
        let (kind, name) = (target.command(), target.name());
        return wrong.push(format!("`{kind}` is for the {name}, and the call asks for none"));
    }
    let none = Map::new();
    let claims = token.and_then(|token| token.get(CLAIMS)).and_then(Value::as_object).unwrap_or(&none);
    let has_lifetime =
        token.and_then(|token| token.pointer("/token/lifetime/expiration")).is_some_and(|v| !v.is_null());
    let mut draft = is_known.then(|| Draft::new(claims));
    for patch in patches {
        for step in steps(*patch, wrong) {
            let problem = match step.path.segments() {
                [token, lifetime, expiration] if (&**token, &**lifetime, &**expiration) == LIFETIME => {
                    check_lifetime(&step, !is_known || has_lifetime)
                }
                [first, name, ..] if first == CLAIMS => check_claim(target, name, &step, draft.as_mut()),
                _ => Err("Okta changes places below `/claims/`, and `/token/lifetime/expiration`".to_owned()),
            };
            if let Err(problem) = problem {
                wrong.push(format!("`{}` of the {}: {problem}", step.path.text(), target.name()));
            }
        }
    }
}

const LIFETIME: (&str, &str, &str) = ("token", "lifetime", "expiration");

fn check_lifetime(step: &Step<'_>, is_there: bool) -> Result<(), String> {
    let (least, most) = LIFETIMES.into_inner();
    match (step.op, step.value.and_then(Value::as_i64)) {
        (Op::Replace, Some(seconds)) if LIFETIMES.contains(&seconds) && is_there => Ok(()),
        (Op::Replace, Some(seconds)) if LIFETIMES.contains(&seconds) => Err("the call states no lifetime".into()),
        (Op::Replace, _) => Err(format!("a lifetime is {least} to {most} seconds, a whole number")),
        _ => Err("a lifetime can only be replaced".into()),
    }
}

fn check_claim(
    target: TokenPatch,
    name: &str,
    step: &Step<'_>,
    draft: Option<&mut Draft<'_, Map<String, Value>>>,
) -> Result<(), String> {
    let place = &step.path.segments()[1..];
    if claims::is_closed(target, place, step.op) {
        return Err(format!("the claim `{name}` belongs to Okta"));
    }
    let Some(draft) = draft else { return Ok(()) };
    draft.apply(step.op, place, step.value).map_err(|misfit| match misfit {
        Misfit::Absent => "the token has nothing there".to_owned(),
        Misfit::NoParent { .. } => "the token has nothing to add this to".to_owned(),
        Misfit::Index { length, .. } => format!("this is no position in an array of {length}"),
    })
}

fn effect(_: &Value, reply: &Body<'_>) -> String {
    if let Some(error) = reply.error {
        let text = summary(error);
        return format!("Okta issues no token; the client gets the OAuth error `server_error` and reads \"{text}\"");
    }
    let changes: Vec<String> = reply.commands.iter().flat_map(changes).collect();
    if changes.is_empty() {
        return "Okta issues the tokens unchanged".into();
    }
    format!("Okta issues the tokens and {}", changes.join(", "))
}

/// What one patch command does, in words.
fn changes(command: &Command<'_>) -> Vec<String> {
    let access = command.kind == TokenPatch::AccessToken.command();
    let token = if access { TokenPatch::AccessToken } else { TokenPatch::IdToken }.name();
    let one = |operation: &Value| {
        let path = operation["path"].as_str().unwrap_or_default();
        let Some(claim) = path.strip_prefix("/claims/") else {
            return format!("lets the {token} live {} seconds", operation["value"]);
        };
        let claim = claim.replace("~1", "/").replace("~0", "~");
        match operation["op"].as_str() {
            Some("remove") => format!("removes `{claim}` from the {token}"),
            Some("replace") => format!("replaces `{claim}` in the {token}"),
            _ => format!("adds `{claim}` to the {token}"),
        }
    };
    command.value.as_array().into_iter().flatten().map(one).collect()
}

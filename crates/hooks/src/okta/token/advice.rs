//! What is known of this hook's commands before a call comes: claims that belong to Okta, lifetimes, refusals. Data only.

use crate::okta::advice;
use hookgate_script::lint::advice::{Advice, Conflict, Refusal};
use hookgate_script::lint::codes::{Code, Stage};

pub(crate) const ADVICE: Advice = Advice {
    codes: &[&RESERVED_CLAIM, &advice::LIFETIME, &advice::EMPTY_TEXT, &advice::IGNORED_COMMANDS],
    hints: &[],
    conflicts: &[Conflict {
        commands: &["refuse"],
        beside: &[],
        code: advice::IGNORED_COMMANDS.code,
        refused: false,
        message: "Okta will ignore the commands beside this refusal",
        help: "return the refusal alone",
    }],
    refusals: &[
        Refusal { says: "belongs to Okta", code: RESERVED_CLAIM.code },
        Refusal { says: "a token lives", code: advice::LIFETIME.code },
        advice::NO_TEXT,
    ],
};

const RESERVED_CLAIM: Code = Code {
    code: "script/reserved-claim",
    title: "A claim that belongs to Okta",
    why: "Okta voids the whole answer when one command touches a claim of its own, such as `groups`, `iss` or `exp`, and only \
          administrators learn of it. So the gateway makes no such command: the call would end in `on_failure`. Take another name \
          and tell whoever reads the tokens.",
    bad: r#"
fn on_token(request) {
    if request.access_token != () { access_token.add_claim("groups", ["staff"]) }
}
"#,
    good: r#"
fn on_token(request) {
    if request.access_token != () { access_token.add_claim("app_groups", ["staff"]) }
}
"#,
    stage: Stage::Read,
};

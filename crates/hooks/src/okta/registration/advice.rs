//! What is known of this hook's commands before a call comes: denials, and what stands beside them. Data only.

use crate::okta::advice;
use hookgate_script::lint::advice::{Advice, Conflict, Hint};
use hookgate_script::lint::codes::{Code, Stage};

const DENIALS: &[&str] = &["deny", "deny_field"];

pub(crate) const ADVICE: Advice = Advice {
    codes: &[&DENY_WITHOUT_FIELD, &advice::EMPTY_TEXT, &advice::IGNORED_COMMANDS, &advice::CONFLICTING_COMMANDS],
    hints: &[Hint {
        command: "deny",
        code: DENY_WITHOUT_FIELD.code,
        message: "with `deny` the person reads Okta's general text only",
        help: "`deny_field(\"email\", text)` shows the text at a field of the form",
    }],
    conflicts: &[
        Conflict {
            commands: DENIALS,
            beside: &["allow"],
            code: advice::CONFLICTING_COMMANDS.code,
            refused: true,
            message: "a denial stands beside `allow`",
            help: "return one of them",
        },
        Conflict {
            commands: DENIALS,
            beside: &["set_profile"],
            code: advice::IGNORED_COMMANDS.code,
            refused: false,
            message: "Okta will ignore the commands beside this denial",
            help: "return the denial alone",
        },
    ],
    refusals: &[advice::NO_TEXT],
};

const DENY_WITHOUT_FIELD: Code = Code {
    code: "script/deny-without-field",
    title: "A denial that names no field",
    why: "Okta shows the text of a denial at the field it names. Without one the person reads \"Registration cannot be completed at \
          this time.\", does not learn what to change, and asks the help desk.",
    bad: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return deny("Please use your company's address."); }
    allow()
}
"#,
    good: r#"
fn on_registration(request) {
    if request.email.domain == "rival.example" { return deny_field("email", "Please use your company's address."); }
    allow()
}
"#,
    stage: Stage::Read,
};

//! What is known of this hook's commands before a call comes: links to nobody, and decisions that exclude one another. Data only.

use crate::okta::advice;
use hookgate_script::lint::advice::{Advice, Conflict, Refusal};
use hookgate_script::lint::codes::{Code, Stage};

pub(crate) const ADVICE: Advice = Advice {
    codes: &[&LINK_WITHOUT_ID, &advice::EMPTY_TEXT, &advice::IGNORED_COMMANDS, &advice::CONFLICTING_COMMANDS],
    hints: &[],
    conflicts: &[
        Conflict {
            commands: &["fail"],
            beside: &[],
            code: advice::IGNORED_COMMANDS.code,
            refused: false,
            message: "Okta will ignore the commands beside this `fail`",
            help: "return `fail` alone",
        },
        Conflict {
            commands: &["create_user", "link_user"],
            beside: &["create_user", "link_user"],
            code: advice::CONFLICTING_COMMANDS.code,
            refused: true,
            message: "Okta can do one thing with a user",
            help: "return one `create_user` or `link_user`",
        },
    ],
    refusals: &[Refusal { says: "`link_user` needs the id", code: LINK_WITHOUT_ID.code }, advice::NO_TEXT],
};

const LINK_WITHOUT_ID: Code = Code {
    code: "script/link-without-id",
    title: "A link to nobody",
    why: "Okta links the imported user to the Okta user with this id, and without one does what it likes. So the gateway makes no \
          such command: the call would end in `on_failure`. Where nobody matched, there is nobody to link.",
    bad: r#"
fn on_user_import(request) {
    if request.matches.len() == 0 { link_user("") }
}
"#,
    good: r#"
fn on_user_import(request) {
    if request.matches.len() == 1 { link_user(request.matches[0]) }
}
"#,
    stage: Stage::Read,
};

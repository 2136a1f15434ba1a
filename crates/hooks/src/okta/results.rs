//! What tests find in `outcome` after each kind of result, hook by hook.

use crate::ResultShape;

/// Nothing is returned, and the reply has no body.
const NO_BODY: ResultShape = ResultShape::of(
    "nothing is returned",
    "",
    &["outcome.commands == []", "outcome.failure == ()", "outcome.reply == ()"],
);

/// Nothing is returned, and the reply is an empty object.
const EMPTY: ResultShape = ResultShape::of(
    "nothing is returned",
    "",
    &["outcome.commands == []", "outcome.failure == ()", "outcome.reply == #{}"],
);

pub(super) const TOKEN: &[ResultShape] = &[
    ResultShape::of(
        "a token changes",
        r#"access_token.add_claim("team", "red")"#,
        &[
            r#""patch" in outcome.commands[0]"#,
            r#"outcome.reply.commands[0].value[0].value == "red""#,
            r#"outcome.effect.contains("team")"#,
            "outcome.status == 200",
        ],
    ),
    ResultShape::of(
        "no token is issued",
        r#"refuse("no contract")"#,
        &[r#""refuse" in outcome.commands[0]"#, r#"outcome.reply.error.errorSummary == "no contract""#],
    ),
    EMPTY,
];

pub(super) const REGISTRATION: &[ResultShape] = &[
    ResultShape::of(
        "allowed",
        "allow()",
        &[
            r#"outcome.commands == ["allow"]"#,
            r#"outcome.reply.commands[0].value.registration == "ALLOW""#,
            r#"outcome.effect.contains("lets the registration pass")"#,
            "outcome.status == 200",
        ],
    ),
    ResultShape::of(
        "denied at a field",
        r#"deny_field("email", "not from here")"#,
        &[
            r#"outcome.commands == [#{ deny: #{ field: "email", reason: "INVALID_VALUE", text: "not from here" } }]"#,
            r#"outcome.reply.commands[0].value.registration == "DENY""#,
            r#"outcome.reply.error.errorCauses[0].location == "data.userProfile.email""#,
        ],
    ),
    ResultShape::of(
        "the profile changes",
        r#"set_profile("userType", "partner")"#,
        &[
            r#"outcome.commands == [#{ set_profile: #{ userType: "partner" } }]"#,
            r#"outcome.effect.contains("userType")"#,
        ],
    ),
    NO_BODY,
];

pub(super) const PASSWORD_IMPORT: &[ResultShape] = &[
    ResultShape::of(
        "the password is right",
        "verified()",
        &[
            r#"outcome.commands == ["verified"]"#,
            r#"outcome.reply.commands[0].value.credential == "VERIFIED""#,
            "outcome.status == 200",
        ],
    ),
    ResultShape::of(
        "the password is wrong",
        "unverified()",
        &[r#"outcome.commands == ["unverified"]"#, r#"outcome.reply.commands[0].value.credential == "UNVERIFIED""#],
    ),
    ResultShape::of(
        "nothing is returned",
        "",
        &["outcome.commands == []", r#"outcome.reply.commands[0].value.credential == "UNVERIFIED""#],
    ),
];

pub(super) const SAML: &[ResultShape] = &[
    ResultShape::of(
        "the assertion changes",
        r#"add_attribute("team", "red")"#,
        &[
            r#""add_attribute" in outcome.commands[0]"#,
            r#"outcome.reply.commands[0].value[0].op == "add""#,
            r#"outcome.effect.contains("team")"#,
            "outcome.status == 200",
        ],
    ),
    ResultShape::of(
        "the sign-in fails",
        r#"refuse("closed today")"#,
        &[r#""refuse" in outcome.commands[0]"#, r#"outcome.reply.error.errorSummary == "closed today""#],
    ),
    NO_BODY,
];

pub(super) const USER_IMPORT: &[ResultShape] = &[
    ResultShape::of(
        "a user is created",
        r#"[create_user(), set_profile("userType", "partner")]"#,
        &[
            r#"outcome.commands[0] == "create_user""#,
            r#"outcome.commands[1] == #{ set_profile: #{ userType: "partner" } }"#,
            r#"outcome.effect.contains("creates a user")"#,
            "outcome.status == 200",
        ],
    ),
    ResultShape::of(
        "the import fails",
        r#"fail("no contract")"#,
        &[r#""fail" in outcome.commands[0]"#, r#"outcome.reply.error.errorSummary == "no contract""#],
    ),
    EMPTY,
];

pub(super) const TELEPHONY: &[ResultShape] = &[
    ResultShape::of(
        "a connector sends the code",
        r#"send([via("acme")])"#,
        &[
            r#""send" in outcome.commands[0]"#,
            r#"outcome.reply.commands[0].value[0].status == "SUCCESSFUL""#,
            "outcome.failure == ()",
        ],
    )
    .after(r#"mock_send("acme", "taken");"#),
    ResultShape::of(
        "no provider takes the code",
        r#"send([via("acme")])"#,
        &[r#"outcome.failure.reason == "not_sent""#, r#"outcome.failure.message.contains("acme")"#],
    )
    .after(r#"mock_send("acme", "refused");"#),
    ResultShape::of(
        "nobody sends the code",
        r#"block("not served", "swallow")"#,
        &[r#""swallow" in outcome.commands[0]"#, r#"outcome.reply.commands[0].value[0].status == "SUCCESSFUL""#],
    ),
    ResultShape::of(
        "the provider sends the code itself",
        r#"block("not ours", "let_okta_send")"#,
        &[r#""let_okta_send" in outcome.commands[0]"#, r#"outcome.reply.error.errorSummary.contains("not ours")"#],
    ),
    ResultShape::of(
        "nothing is returned",
        "",
        &["outcome.commands == []", r#"outcome.reply.error.errorSummary != """#],
    ),
];

pub(super) const EVENT: &[ResultShape] = &[ResultShape::of(
    "nothing is asked for",
    "",
    &[
        "outcome.wanted",
        "outcome.commands == []",
        "outcome.actions == []",
        "outcome.reply == ()",
        "outcome.failure == ()",
    ],
)];

//! `okta("org").user(id)`: what the provider itself knows of users and groups.

use rhai::{Dynamic, ImmutableString, NativeCallContext};

use crate::library::{Doc, Library};
use crate::prelude::lookups::{Most, ask, handle};
use crate::prelude::{Fallible, json};
use hookgate_model::question::{Ask, Directory};

/// What its lookups are called in records, metrics and mocks.
const FAMILY: &str = "okta";

/// An org that is asked.
#[derive(Clone, Debug)]
struct Okta(ImmutableString);

impl Okta {
    fn ask(&self, context: &NativeCallContext, name: &str, asked: Directory) -> Fallible<Dynamic> {
        let answer = ask(name, &self.0, Ask::Directory { family: FAMILY, asked })?;
        Most::of(context).checked(&self.0, json::read_only(&answer.value)?)
    }
}

pub(super) fn register(library: &mut Library) {
    let about = "A connector of kind `okta`, to be asked. Answers are kept for a while: see the connector's `cache`.";
    let doc = Doc::new(
        "okta(connector: string) -> Okta",
        "An org to be asked.",
        r#"okta("org").user("00u7").status == "ACTIVE""#,
    );
    handle(library, ("Okta", about), doc, Okta, |okta| okta.0.clone());
    library.reader(
        Doc::new(
            "Okta.user(id: string) -> map or ()",
            "A user by id or login, as Okta has it: `.id`, `.status`, `.profile`, …; `()` if there is none.",
            r#"okta("org").user("ann@example.com").profile.firstName == "Ann" && okta("org").user("00u8") == ()"#,
        ),
        |context: NativeCallContext, okta: &mut Okta, id: &str| {
            okta.ask(&context, "user", Directory::User(id.to_owned()))
        },
    );
    library.reader(
        Doc::new(
            "Okta.group(id: string) -> map or ()",
            "A group by id: `.id`, `.type`, `.profile.name`, …; `()` if there is none.",
            r#"okta("org").group("00g1").profile.name == "Payroll""#,
        ),
        |context: NativeCallContext, okta: &mut Okta, id: &str| {
            okta.ask(&context, "group", Directory::Group(id.to_owned()))
        },
    );
    library.reader(
        Doc::new(
            "Okta.user_groups(user: string) -> array or ()",
            "The groups of a user, maps as `group` gives them; `()` if there is no such user.",
            r#"okta("org").user_groups("00u7").map(|group| group.id) == ["00g1"]"#,
        ),
        |context: NativeCallContext, okta: &mut Okta, user: &str| {
            okta.ask(&context, "user_groups", Directory::UserGroups(user.to_owned()))
        },
    );
    library.reader(
        Doc::new(
            "Okta.app_user(app: string, user: string) -> map or ()",
            "How a user is assigned to an application: `.id`, `.status`, `.profile`, …; `()` if not at all.",
            r#"okta("org").app_user("0oa1", "00u7").status == "PROVISIONED""#,
        ),
        |context: NativeCallContext, okta: &mut Okta, app: &str, user: &str| {
            okta.ask(&context, "app_user", Directory::AppUser(app.to_owned(), user.to_owned()))
        },
    );
    library.reader(
        Doc::new(
            "Okta.find_users(attribute: string, value: string) -> array",
            "Users whose attribute of the profile is exactly this text, in whatever state: 10 at most. Okta's search is some \
             seconds behind what was changed.",
            r#"okta("org").find_users("employeeNumber", "123")[0].id == "00u7""#,
        ),
        |context: NativeCallContext, okta: &mut Okta, attribute: &str, value: &str| {
            okta.ask(&context, "find_users", Directory::FindUsers(attribute.to_owned(), value.to_owned()))
        },
    );
}

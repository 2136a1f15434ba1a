//! What an import script can read: the user as Okta would create it, as it came from the app, and what Okta would do.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString};
use serde::Deserialize;

use crate::lenient;
use crate::lenient::{Attributes, Path, Text, Texts};
use crate::okta::request;
use crate::okta::request::{Call, Payload};
use crate::okta::wire::WebRequest;
use hookgate_script::library::{Doc, Library};

type Request = Call<Data>;

/// `data` of a call.
#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    #[serde(default, deserialize_with = "lenient::object")]
    action: Option<Action>,
    #[serde(default, rename = "appUser", deserialize_with = "lenient::object")]
    app_user: Option<Person>,
    #[serde(default, deserialize_with = "lenient::object")]
    user: Option<Person>,
}

#[derive(Debug, Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::texts")]
    conflicts: Texts,
    #[serde(default, deserialize_with = "lenient::object")]
    application: Option<Arc<AppData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    job: Option<Arc<JobData>>,
    /// No published sample has an entry, so anything may stand here.
    #[serde(default, deserialize_with = "lenient::items")]
    matches: Option<Vec<Dynamic>>,
    #[serde(default, deserialize_with = "lenient::texts")]
    policy: Texts,
}

#[derive(Debug, Deserialize)]
struct AppData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    label: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Text,
}

#[derive(Debug, Deserialize)]
struct JobData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Text,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default, deserialize_with = "lenient::text")]
    result: Text,
}

#[derive(Debug, Deserialize)]
struct Person {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    profile: Option<Attributes>,
}

/// The app as scripts see it.
#[derive(Clone, Debug)]
struct App(Arc<AppData>);

/// The import as scripts see it.
#[derive(Clone, Debug)]
struct Job(Arc<JobData>);

impl Payload for Data {
    const DECISIVE: &'static [Path] = &[
        &["data", "user", "id"],
        &["data", "user", "profile"],
        &["data", "appUser", "profile"],
        &["data", "action", "result"],
        &["data", "context", "conflicts"],
        &["data", "context", "matches"],
    ];

    /// This hook carries none.
    fn web(&self) -> Option<&WebRequest> {
        None
    }
}

impl Data {
    /// Whether anything in it is an import hook's.
    pub(crate) fn is_recognised(&self) -> bool {
        self.user.is_some() || self.app_user.is_some()
    }
}

/// Registers the request, called `name`, and the values in it.
pub(crate) fn register(library: &mut Library, name: &'static str) {
    library.value::<Request>(name, "A user who is being imported.");
    Request::register(library);
    register_person(library);
    register_circumstances(library);
    register_app(library);
}

fn register_person(library: &mut Library) {
    type This<'a> = &'a mut Request;
    library
        .property(
            Doc::new(
                "Self.profile: map",
                "The profile that the Okta user would get. Absent attributes are `()`.",
                r#"request.profile.login == "ann@mail.example" && request.profile.city == ()"#,
            ),
            |request: This| profile(request.data().user.as_ref()),
        )
        .property(
            Doc::new(
                "Self.app_profile: map",
                "The profile as it came from the app.",
                r#"request.app_profile.externalId == "00123""#,
            ),
            |request: This| profile(request.data().app_user.as_ref()),
        )
        .property(
            Doc::new(
                "Self.user_id: string",
                "Okta's id of the user that was matched, or `()` if none was.",
                "request.user_id == request.matches[0]",
            ),
            |request: This| request.data().user.as_ref().map_or(Dynamic::UNIT, |user| request::text(&user.id)),
        );
}

fn register_circumstances(library: &mut Library) {
    type This<'a> = &'a mut Request;
    fn context(request: &Request) -> Option<&Context> {
        request.data().context.as_ref()
    }
    library
        .property(
            Doc::new(
                "Self.default_action: string",
                "What Okta does if nobody objects: `CREATE_USER` or `LINK_USER`.",
                r#"request.default_action == "CREATE_USER""#,
            ),
            |request: This| {
                request.data().action.as_ref().map_or(Dynamic::UNIT, |action| request::text(&action.result))
            },
        )
        .property(
            Doc::new(
                "Self.conflicts: array",
                "Names of attributes that another Okta user has the same values of.",
                r#"request.conflicts == ["login"]"#,
            ),
            |request: This| texts(context(request).and_then(|context| context.conflicts.as_ref())),
        )
        .property(
            Doc::new(
                "Self.matches: array",
                "Okta users that matched so far.",
                r#"request.matches[1].id == "00uBob0000000000001""#,
            ),
            |request: This| {
                let matches = context(request).and_then(|context| context.matches.clone());
                Dynamic::from_array(matches.unwrap_or_default()).into_read_only()
            },
        )
        .property(
            Doc::new(
                "Self.policy: array",
                "The rules of matching, such as `EMAIL` and `FIRST_AND_LAST_NAME`.",
                "request.policy.len() == 2",
            ),
            |request: This| texts(context(request).and_then(|context| context.policy.as_ref())),
        )
        .property(
            Doc::new("Self.app: App", "The app that the user comes from, or `()`.", r#"request.app.label == "HR""#),
            |request: This| {
                let app = context(request).and_then(|context| context.application.clone());
                app.map_or(Dynamic::UNIT, |app| Dynamic::from(App(app)))
            },
        )
        .property(
            Doc::new("Self.job: Job", "The import that is running, or `()`.", r#"request.job.type == "import:users""#),
            |request: This| {
                let job = context(request).and_then(|context| context.job.clone());
                job.map_or(Dynamic::UNIT, |job| Dynamic::from(Job(job)))
            },
        );
}

fn register_app(library: &mut Library) {
    library
        .value::<App>("App", "The app that users are imported from.")
        .property(
            Doc::new("App.id: string", "Okta's id of the app (`0oa…`).", r#"request.app.id == "0oaHr000000000000001""#),
            |app: &mut App| request::text(&app.0.id),
        )
        .property(
            Doc::new("App.name: string", "Its technical name.", r#"request.app.name == "hr_feed""#),
            |app: &mut App| request::text(&app.0.name),
        )
        .property(
            Doc::new("App.label: string", "Its name for people.", r#"request.app.label == "HR""#),
            |app: &mut App| request::text(&app.0.label),
        )
        .property(
            Doc::new("App.status: string", "`ACTIVE` or `INACTIVE`.", r#"request.app.status == "ACTIVE""#),
            |app: &mut App| request::text(&app.0.status),
        )
        .value::<Job>("Job", "An import.")
        .property(
            Doc::new("Job.id: string", "Okta's id of the import.", r#"request.job.id == "ijJob000000000000001""#),
            |job: &mut Job| request::text(&job.0.id),
        )
        .property(
            Doc::new("Job.type: string", "`import:users`.", r#"request.job.type == "import:users""#),
            |job: &mut Job| request::text(&job.0.kind),
        );
}

fn texts(items: Option<&Vec<ImmutableString>>) -> Dynamic {
    Dynamic::from_array(items.into_iter().flatten().cloned().map(Dynamic::from).collect::<Array>()).into_read_only()
}

fn profile(person: Option<&Person>) -> Dynamic {
    let profile = person.and_then(|person| person.profile.as_ref());
    profile.map_or_else(|| Attributes::default().read_only(), Attributes::read_only)
}

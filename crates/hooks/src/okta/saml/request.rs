//! What a SAML script can read: the app, the user, and the assertion that Okta is about to send.

use std::sync::Arc;

use rhai::{Array, Dynamic, ImmutableString, Map};
use serde::Deserialize;
use serde_json::{Map as JsonMap, Value};

use crate::lenient;
use crate::lenient::{Path, Text};
use crate::okta::person::{Session, SessionData, User, UserData};
use crate::okta::request;
use crate::okta::request::{Call, Payload};
use crate::okta::wire::WebRequest;
use hookgate_script::library::{Doc, Library};

/// `data` of a call.
#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    #[serde(default, deserialize_with = "lenient::object")]
    context: Option<Context>,
    /// As it came: patches are tried on it.
    #[serde(default, deserialize_with = "lenient::object")]
    assertion: Option<JsonMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<WebRequest>,
    #[serde(default, deserialize_with = "lenient::object")]
    protocol: Option<Protocol>,
    #[serde(default, deserialize_with = "lenient::object")]
    session: Option<Arc<SessionData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    user: Option<Arc<UserData>>,
}

#[derive(Debug, Deserialize)]
struct Protocol {
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Text,
    #[serde(default, deserialize_with = "lenient::object")]
    issuer: Option<Arc<AppData>>,
    #[serde(default, deserialize_with = "lenient::object")]
    request: Option<SamlRequest>,
}

#[derive(Debug, Deserialize)]
struct AppData {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Text,
    #[serde(default, deserialize_with = "lenient::text")]
    uri: Text,
}

#[derive(Debug, Deserialize)]
struct SamlRequest {
    #[serde(default, rename = "providerName", deserialize_with = "lenient::text")]
    provider_name: Text,
}

/// The app as scripts see it.
#[derive(Clone, Debug)]
struct App(Arc<AppData>);

/// The subject of the assertion as scripts see it.
#[derive(Clone, Debug)]
struct Subject(Call<Data>);

impl Payload for Data {
    const DECISIVE: &'static [Path] = &[&["data", "assertion"]];

    fn web(&self) -> Option<&WebRequest> {
        self.context.as_ref()?.request.as_ref()
    }
}

impl Data {
    /// Whether anything in it is a SAML hook's.
    pub(crate) fn is_recognised(&self) -> bool {
        self.assertion.is_some()
    }

    /// The assertion's members.
    pub(crate) fn assertion(&self) -> &JsonMap<String, Value> {
        self.assertion.as_ref().expect("a call without assertion was refused")
    }

    /// What stands in a member of the assertion, at a JSON Pointer below it.
    fn at(&self, member: &str, path: &str) -> Option<&Value> {
        self.assertion().get(member)?.pointer(path)
    }

    fn protocol(&self) -> Option<&Protocol> {
        self.context.as_ref()?.protocol.as_ref()
    }

    /// Something of each attribute, by the attribute's name.
    fn of_attributes(&self, part: fn(&Value) -> Dynamic) -> Dynamic {
        let attributes = self.at("claims", "").and_then(Value::as_object).into_iter().flatten();
        let map: Map = attributes.map(|(name, attribute)| (name.as_str().into(), part(attribute))).collect();
        Dynamic::from_map(map).into_read_only()
    }
}

/// A scalar as text.
fn text(value: Option<&Value>) -> Dynamic {
    match value {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Number(number)) => number.to_string().into(),
        Some(Value::Bool(truth)) => truth.to_string().into(),
        _ => Dynamic::UNIT,
    }
}

/// One part of each of an attribute's values.
fn of_values(attribute: &Value, path: &str) -> Dynamic {
    let values = attribute["attributeValues"].as_array().into_iter().flatten();
    Dynamic::from_array(values.map(|value| text(value.pointer(path))).collect::<Array>())
}

fn texts(value: Option<&Value>) -> Dynamic {
    let items: Array = match value {
        Some(Value::Array(items)) => items.iter().map(|item| text(Some(item))).collect(),
        Some(Value::Null) | None => Array::new(),
        single => vec![text(single)],
    };
    Dynamic::from_array(items).into_read_only()
}

/// Registers the request, called `name`, and the values in it.
pub(crate) fn register(library: &mut Library, name: &'static str) {
    library.value::<Call<Data>>(name, "An assertion that Okta is about to send to an app.");
    Call::<Data>::register(library);
    register_circumstances(library);
    register_assertion(library);
    register_subject(library);
    library
        .value::<App>("App", "The SAML app that the assertion is for.")
        .property(
            Doc::new("App.id: string", "Okta's id of the app (`0oa…`).", r#"request.app.id == "0oaPortal0000000001""#),
            |app: &mut App| request::text(&app.0.id),
        )
        .property(Doc::new("App.name: string", "Its label.", r#"request.app.name == "Portal""#), |app: &mut App| {
            request::text(&app.0.name)
        })
        .property(
            Doc::new("App.uri: string", "The issuer that Okta is to this app.", "request.app.uri == request.issuer"),
            |app: &mut App| request::text(&app.0.uri),
        );
    User::register(library);
    Session::register(library);
}

fn register_circumstances(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    library
        .property(
            Doc::new("Self.protocol: string", "`SAML2.0`, or `()`.", r#"request.protocol == "SAML2.0""#),
            |call: This| call.data().protocol().map_or(Dynamic::UNIT, |protocol| request::text(&protocol.kind)),
        )
        .property(
            Doc::new("Self.app: App", "The app that the assertion is for, or `()`.", r#"request.app.name == "Portal""#),
            |call: This| {
                let app = call.data().protocol().and_then(|protocol| protocol.issuer.clone());
                app.map_or(Dynamic::UNIT, |app| Dynamic::from(App(app)))
            },
        )
        .property(
            Doc::new(
                "Self.issuer: string",
                "The issuer in the assertion, a URI, or `()`.",
                "request.issuer == request.app.uri",
            ),
            |call: This| {
                let app = call.data().protocol().and_then(|protocol| protocol.issuer.as_ref());
                app.map_or(Dynamic::UNIT, |app| request::text(&app.uri))
            },
        )
        .property(
            Doc::new(
                "Self.provider_name: string",
                "How the app calls itself in its request, or `()`.",
                r#"request.provider_name == "portal.example""#,
            ),
            |call: This| {
                let request = call.data().protocol().and_then(|protocol| protocol.request.as_ref());
                request.map_or(Dynamic::UNIT, |request| request::text(&request.provider_name))
            },
        )
        .property(
            Doc::new(
                "Self.user: User",
                "The user who signs in, or `()`.",
                r#"request.user.login == "ann@mail.example""#,
            ),
            |call: This| User::dynamic(call.data().context.as_ref().and_then(|context| context.user.as_ref())),
        )
        .property(
            Doc::new("Self.session: Session", "The user's session, or `()`.", "request.session.mfa_active"),
            |call: This| Session::dynamic(call.data().context.as_ref().and_then(|context| context.session.as_ref())),
        );
}

fn register_assertion(library: &mut Library) {
    type This<'a> = &'a mut Call<Data>;
    library
        .property(
            Doc::new("Self.subject: Subject", "Whom the assertion is about.", r#"request.subject.name_id == "ann""#),
            |call: This| Subject(call.clone()),
        )
        .property(
            Doc::new(
                "Self.attributes: map",
                "The assertion's attributes: each name with an array of texts.",
                r#"request.attributes.groups == ["everyone", "support"] && request.attributes.absent == ()"#,
            ),
            |call: This| call.data().of_attributes(|attribute| of_values(attribute, "/value")),
        )
        .property(
            Doc::new(
                "Self.attribute_types: map",
                "The XML types of these values, such as `xs:string`, in the same order.",
                r#"request.attribute_types["http://schemas.example.com/floor"] == ["xs:integer"]"#,
            ),
            |call: This| call.data().of_attributes(|attribute| of_values(attribute, "/attributes/xsi:type")),
        )
        .property(
            Doc::new(
                "Self.attribute_formats: map",
                "The NameFormat of each attribute, or `()`.",
                r#"request.attribute_formats.department.ends_with(":unspecified")"#,
            ),
            |call: This| call.data().of_attributes(|attribute| text(attribute.pointer("/attributes/NameFormat"))),
        )
        .property(
            Doc::new(
                "Self.audiences: array",
                "Whom the assertion is meant for; empty if it says nothing.",
                r#"request.audiences == ["urn:example:portal"]"#,
            ),
            |call: This| texts(call.data().at("conditions", "/audienceRestriction")),
        )
        .property(
            Doc::new(
                "Self.authn_context: string",
                "How the user signed in: a class reference, or `()`.",
                r#"request.authn_context.ends_with(":PasswordProtectedTransport")"#,
            ),
            |call: This| text(call.data().at("authentication", "/authnContext/authnContextClassRef")),
        )
        .property(
            Doc::new(
                "Self.session_index: string",
                "The session in the assertion, or `()`.",
                r#"request.session_index == "id1772439330000.1""#,
            ),
            |call: This| text(call.data().at("authentication", "/sessionIndex")),
        )
        .property(
            Doc::new("Self.lifetime: int", "Seconds that the assertion is valid, or `()`.", "request.lifetime == 300"),
            |call: This| {
                let seconds = text(call.data().at("lifetime", "/expiration")).into_immutable_string();
                let seconds = seconds.ok().and_then(|seconds: ImmutableString| seconds.parse::<i64>().ok());
                seconds.map_or(Dynamic::UNIT, Dynamic::from)
            },
        );
}

fn register_subject(library: &mut Library) {
    let at = |subject: &Subject, path: &str| text(subject.0.data().at("subject", path));
    library
        .value::<Subject>("Subject", "Whom the assertion is about.")
        .property(
            Doc::new("Subject.name_id: string", "The NameID, or `()`.", r#"request.subject.name_id == "ann""#),
            move |subject: &mut Subject| at(subject, "/nameId"),
        )
        .property(
            Doc::new(
                "Subject.name_format: string",
                "The format of the NameID, or `()`.",
                r#"request.subject.name_format.ends_with(":unspecified")"#,
            ),
            move |subject: &mut Subject| at(subject, "/nameFormat"),
        )
        .property(
            Doc::new(
                "Subject.confirmation_method: string",
                "How the app may trust the bearer, or `()`.",
                r#"request.subject.confirmation_method.ends_with(":bearer")"#,
            ),
            move |subject: &mut Subject| at(subject, "/confirmation/method"),
        )
        .property(
            Doc::new(
                "Subject.recipient: string",
                "The app's address for assertions, or `()`.",
                r#"request.subject.recipient == "https://portal.example/saml""#,
            ),
            move |subject: &mut Subject| at(subject, "/confirmation/data/recipient"),
        );
}

//! How the JSON of a call stands in its HTTP request: as the body, as a signed token in a form, with headers beside it.
//!
//! A call is opened once, after its caller has proved who it is. From then on there is only its JSON: samples, cases, tests,
//! records and captures know no other form of a call.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::HookError;

/// A call as it was received, and what its caller proved.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedCall<'a> {
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
    /// The claims of the token that was verified, as JSON; nothing where no token was asked for.
    pub claims: Option<&'a Bytes>,
    /// The id of the key that the token was signed with.
    pub key_id: Option<&'a str>,
}

/// A call as its provider would send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedCall {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Signs claims, for who plays the provider: claims to a compact token (RFC 7515), or why there is none.
pub type TokenSigner<'a> = &'a dyn Fn(&Value) -> Result<String, String>;

/// How the JSON of a call stands in its HTTP request.
pub trait Envelope: Sync {
    /// Whether the body alone is the call. Then nobody keeps its headers.
    fn is_body(&self) -> bool {
        false
    }

    /// The token by which the caller proves who it is, where it stands in the body. No part of it is believed yet.
    ///
    /// # Errors
    /// The body has no such token, or two.
    fn token<'c>(&self, headers: &HeaderMap, body: &'c Bytes) -> Result<Option<Cow<'c, str>>, HookError> {
        let _ = (headers, body);
        Ok(None)
    }

    /// The JSON of a call.
    ///
    /// # Errors
    /// The call is not of this form; says which part, never a value.
    fn open(&self, call: &ReceivedCall<'_>) -> Result<Bytes, HookError>;

    /// The reverse of [`Envelope::open`], for who plays the provider.
    ///
    /// # Errors
    /// The JSON cannot stand in such a request, or its token cannot be signed.
    fn seal(&self, call: &Value, sign: TokenSigner<'_>) -> Result<SealedCall, String>;
}

/// The body is the JSON.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// The body is a form, and one of its fields a signed token: its claims are the JSON of the call.
#[derive(Clone, Copy, Debug)]
pub struct TokenForm {
    pub field: &'static str,
}

/// The body is a signed token: its claims are the JSON of the call (RFC 8935, section 2.1).
#[derive(Clone, Copy, Debug)]
pub struct TokenBody {
    pub content_type: &'static str,
}

/// The JSON of the call is `{"headers": {…}, "claims": {…}, "body": …}`: of the headers those that are named, in lower case; the
/// claims where a token was verified; the body as JSON, the fields of a form as an object, anything else as a text.
#[derive(Clone, Copy, Debug)]
pub struct WithHeaders {
    /// In lower case.
    pub headers: &'static [&'static str],
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Envelope for Json {
    fn is_body(&self) -> bool {
        true
    }

    fn open(&self, call: &ReceivedCall<'_>) -> Result<Bytes, HookError> {
        Ok(call.body.clone())
    }

    fn seal(&self, call: &Value, _: TokenSigner<'_>) -> Result<SealedCall, String> {
        Ok(SealedCall::of(JSON, call.to_string()))
    }
}

impl Envelope for TokenForm {
    fn token<'c>(&self, headers: &HeaderMap, body: &'c Bytes) -> Result<Option<Cow<'c, str>>, HookError> {
        expect_type(headers, FORM)?;
        let mut found = form(body).filter(|(name, _)| name == self.field).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(token), None) if !token.is_empty() => Ok(Some(token)),
            (Some(_), Some(_)) => Err(envelope(format!("the form has two fields `{}`", self.field))),
            _ => Err(envelope(format!("the form has no field `{}`", self.field))),
        }
    }

    fn open(&self, call: &ReceivedCall<'_>) -> Result<Bytes, HookError> {
        claims(call)
    }

    fn seal(&self, call: &Value, sign: TokenSigner<'_>) -> Result<SealedCall, String> {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair(self.field, &sign(call)?).finish();
        Ok(SealedCall::of(FORM, body))
    }
}

impl Envelope for TokenBody {
    fn token<'c>(&self, headers: &HeaderMap, body: &'c Bytes) -> Result<Option<Cow<'c, str>>, HookError> {
        expect_type(headers, self.content_type)?;
        match std::str::from_utf8(body) {
            Ok("") => Err(HookError::Empty),
            Ok(token) => Ok(Some(Cow::Borrowed(token.trim()))),
            Err(_) => Err(envelope("the body is not a token".to_owned())),
        }
    }

    fn open(&self, call: &ReceivedCall<'_>) -> Result<Bytes, HookError> {
        claims(call)
    }

    fn seal(&self, call: &Value, sign: TokenSigner<'_>) -> Result<SealedCall, String> {
        Ok(SealedCall::of(self.content_type, sign(call)?))
    }
}

impl Envelope for WithHeaders {
    fn open(&self, call: &ReceivedCall<'_>) -> Result<Bytes, HookError> {
        let mut members = Map::new();
        members.insert("headers".to_owned(), Value::Object(self.shown(call.headers)?));
        if let Some(claims) = call.claims {
            members.insert("claims".to_owned(), json_of(claims)?);
        }
        members.insert("body".to_owned(), body_of(call)?);
        Ok(Value::Object(members).to_string().into())
    }

    fn seal(&self, call: &Value, _: TokenSigner<'_>) -> Result<SealedCall, String> {
        let body = call.get("body").ok_or("the call has no `body`")?;
        let mut sealed = match body {
            Value::String(text) => SealedCall::of("text/plain", text.clone()),
            other => SealedCall::of(JSON, other.to_string()),
        };
        for (name, value) in call.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().ok_or_else(|| format!("the header `{name}` is not a text"))?;
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(text));
            let (Ok(name), Ok(value)) = pair else { return Err(format!("`{name}` cannot be sent as a header")) };
            sealed.headers.insert(name, value);
        }
        Ok(sealed)
    }
}

impl WithHeaders {
    /// The named headers that are there. Of one that is there twice nobody knows which one counts.
    fn shown(&self, headers: &HeaderMap) -> Result<Map<String, Value>, HookError> {
        let mut shown = Map::new();
        for name in self.headers {
            let mut values = headers.get_all(*name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(envelope(format!("the header `{name}` stands twice")));
            }
            let text = value.to_str().map_err(|_| envelope(format!("the header `{name}` is not visible ASCII")))?;
            shown.insert((*name).to_owned(), text.into());
        }
        Ok(shown)
    }
}

impl SealedCall {
    /// A body of this type without further headers.
    pub fn of(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { headers, body: body.into() }
    }
}

/// Whether the request names this media type, whatever its parameters (RFC 9110, section 8.3.1).
fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    named.is_some_and(|named| named.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
}

fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), HookError> {
    if has_type(headers, wanted) { Ok(()) } else { Err(envelope(format!("the call must be `{wanted}`"))) }
}

/// The fields of a form, decoded (WHATWG URL, section 5.1).
fn form(body: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(body)
}

fn claims(call: &ReceivedCall<'_>) -> Result<Bytes, HookError> {
    call.claims.cloned().ok_or_else(|| envelope("the token of the call was not verified".to_owned()))
}

fn body_of(call: &ReceivedCall<'_>) -> Result<Value, HookError> {
    if has_type(call.headers, FORM) {
        let mut fields = Map::new();
        for (name, value) in form(call.body) {
            if fields.insert(name.clone().into_owned(), value.into()).is_some() {
                return Err(envelope("a field of the form stands twice".to_owned()));
            }
        }
        return Ok(Value::Object(fields));
    }
    if has_type(call.headers, JSON) {
        return json_of(call.body);
    }
    let text = std::str::from_utf8(call.body).map_err(|_| envelope("the body is not UTF-8".to_owned()))?;
    Ok(serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

fn json_of(bytes: &[u8]) -> Result<Value, HookError> {
    serde_json::from_slice(bytes).map_err(|error| HookError::NotJson { problem: error.to_string() })
}

fn envelope(problem: String) -> HookError {
    HookError::Envelope { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSIGNED: TokenSigner<'static> = &|claims: &Value| Ok(format!("h.{claims}.s"));

    fn received<'a>(call: &'a SealedCall, claims: Option<&'a Bytes>) -> ReceivedCall<'a> {
        ReceivedCall { headers: &call.headers, body: &call.body, claims, key_id: None }
    }

    fn opened(envelope: &dyn Envelope, call: &SealedCall, claims: Option<&Bytes>) -> Result<Value, String> {
        let call = envelope.open(&received(call, claims)).map_err(|error| error.to_string())?;
        Ok(serde_json::from_slice(&call).unwrap())
    }

    #[test]
    fn what_is_sealed_opens_to_the_same_json() {
        let plain = json!({ "a": [1, "ü"], "b": null });
        let sealed = Json.seal(&plain, UNSIGNED).unwrap();
        assert_eq!(opened(&Json, &sealed, None), Ok(plain.clone()));
        let envelope = WithHeaders { headers: &["webhook-id"] };
        for body in [plain, json!("a text"), json!([1])] {
            let call = json!({ "headers": { "webhook-id": "msg_1" }, "body": body });
            assert_eq!(opened(&envelope, &envelope.seal(&call, UNSIGNED).unwrap(), None), Ok(call));
        }
    }

    #[test]
    fn a_token_is_found_where_it_stands_and_its_claims_are_the_call() {
        let call = json!({ "sub": "a&b=c d" });
        let claims = Bytes::from(call.to_string());
        let envelopes: [&dyn Envelope; 2] =
            [&TokenForm { field: "logout_token" }, &TokenBody { content_type: "application/secevent+jwt" }];
        for envelope in envelopes {
            let sealed = envelope.seal(&call, UNSIGNED).unwrap();
            let token = envelope.token(&sealed.headers, &sealed.body).unwrap().unwrap();
            assert_eq!(token, format!("h.{call}.s"));
            assert_eq!(opened(envelope, &sealed, Some(&claims)), Ok(call.clone()));
            assert_eq!(opened(envelope, &sealed, None), Err("the token of the call was not verified".to_owned()));
        }
    }

    #[test]
    fn a_form_has_its_token_once() {
        let envelope = TokenForm { field: "logout_token" };
        let token = |content_type, body: &'static str| {
            let call = SealedCall::of(content_type, body);
            envelope
                .token(&call.headers, &call.body)
                .map(|token| token.unwrap().into_owned())
                .map_err(|e| e.to_string())
        };
        let with_charset = "Application/X-WWW-form-urlencoded; charset=utf-8";
        assert_eq!(token(with_charset, "a=b&logout_token=x%2Ey"), Ok("x.y".to_owned()));
        let table = [
            (FORM, "logout_token=a&logout_token=b", "the form has two fields `logout_token`"),
            (FORM, "logout_token=", "the form has no field `logout_token`"),
            (FORM, "", "the form has no field `logout_token`"),
            (JSON, r#"{"logout_token": "a"}"#, "the call must be `application/x-www-form-urlencoded`"),
        ];
        for (content_type, body, problem) in table {
            assert_eq!(token(content_type, body), Err(problem.to_owned()), "{body}");
        }
    }

    #[test]
    fn headers_claims_and_every_kind_of_body_are_shown() {
        let envelope = WithHeaders { headers: &["webhook-id", "x-topic"] };
        let claims = Bytes::from_static(br#"{"iss": "i"}"#);
        let mut call = SealedCall::of(FORM, "a=1&b=x+y");
        call.headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
        call.headers.insert("authorization", HeaderValue::from_static("secret"));
        let expected =
            json!({ "headers": { "webhook-id": "msg_1" }, "claims": { "iss": "i" }, "body": { "a": "1", "b": "x y" } });
        assert_eq!(opened(&envelope, &call, Some(&claims)), Ok(expected));
        call.headers.append("webhook-id", HeaderValue::from_static("msg_2"));
        assert_eq!(opened(&envelope, &call, None), Err("the header `webhook-id` stands twice".to_owned()));
        let twice = SealedCall::of(FORM, "a=1&a=2");
        assert_eq!(opened(&envelope, &twice, None), Err("a field of the form stands twice".to_owned()));
        let broken = SealedCall::of(JSON, "{");
        assert!(opened(&envelope, &broken, None).unwrap_err().starts_with("the body is not JSON"));
    }
}

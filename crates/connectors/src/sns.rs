//! `sns`: texts through Amazon SNS, signed with keys of an IAM user (Signature Version 4).

use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::sms;
use crate::{Connector, Delivering, Probing, Trouble, What};
use hookgate_model::message::{Message, Sent};
use hookgate_model::secret::{Ring, SecretSource};

mod signature;
#[cfg(test)]
mod tests;

use signature::{Scope, Signed};

pub(crate) const KIND: Kind = Kind {
    name: "sns",
    about: "Codes by text through Amazon SNS.",
    guide: include_str!("sns/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Sns::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: true,
    proxied: true,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where texts are sent from: `eu-west-1`.
    #[schemars(regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    region: String,
    /// The key of an IAM user that may `sns:Publish`.
    #[schemars(length(min = 1))]
    access_key_id: String,
    /// Its secret.
    secret_access_key: SecretSource,
    /// Beside keys that were given for a while.
    session_token: Option<SecretSource>,
    /// The name that texts come from, where the country allows one.
    #[schemars(regex(pattern = "^[A-Za-z0-9-]{1,11}$"))]
    sender_id: Option<String>,
    /// Where the API is, if not where the region has it.
    #[schemars(length(min = 1))]
    api_url: Option<String>,
}

struct Sns {
    client: Client,
    api: Url,
    key: Key,
    token: Option<Key>,
    settings: Settings,
}

impl Sns {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::for_messages(setup);
        let domain = if settings.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let regional = format!("https://sns.{}.{domain}", settings.region);
        let api = egress::target_of_secret(settings.api_url.as_ref().unwrap_or(&regional), client.egress());
        let api = api.map_err(|text| vec![Problem::bad_value("api_url", text)])?;
        let key = setup.secret("secret_access_key", &settings.secret_access_key)?;
        let token = settings.session_token.as_ref().map(|token| setup.secret("session_token", token)).transpose()?;
        Ok(Self { client, api, key, token, settings })
    }

    async fn deliver(&self, message: &Message) -> Result<Sent, Trouble> {
        sms::only_texts(message)?;
        let mut fields = vec![
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("PhoneNumber", message.to.as_str()),
            ("Message", sms::revealed(&message.text)),
            ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "Transactional"),
        ];
        if let Some(sender) = &self.settings.sender_id {
            fields.extend([
                ("MessageAttributes.entry.2.Name", "AWS.SNS.SMS.SenderID"),
                ("MessageAttributes.entry.2.Value.DataType", "String"),
                ("MessageAttributes.entry.2.Value.StringValue", sender.as_str()),
            ]);
        }
        let request = self.request(sms::form(fields), Timestamp::now())?;
        judge(&self.client.ask(request, client::MAX_ANSWER_BYTES).await?)
    }

    fn request(&self, body: zeroize::Zeroizing<String>, now: Timestamp) -> Result<Outgoing, Trouble> {
        let url = egress::join(&self.api, "/").map_err(Trouble::refused)?;
        let mut headers = sms::form_headers();
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, None) => host.to_owned(),
            (host, Some(port)) => format!("{host}:{port}"),
        };
        let token = self.token.as_ref().map(Key::current);
        let (secret, token) = (self.key.current(), token.as_deref().map(|token| sms::revealed(token).trim()));
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut signed =
            vec![("content-type", "application/x-www-form-urlencoded"), ("host", &host), ("x-amz-date", &date)];
        signed.extend(token.map(|token| ("x-amz-security-token", token)));
        let scope = Scope { region: &self.settings.region, service: "sns", date: &date };
        let signed = Signed { method: "POST", path: url.path(), headers: &signed, body: body.as_bytes() };
        let key = sms::revealed(&secret).trim();
        let proof = signature::authorization(&self.settings.access_key_id, key, &scope, &signed);
        headers.insert(AUTHORIZATION, client::secret_value(proof.as_bytes())?);
        let date = HeaderValue::from_str(&date).map_err(|_| Trouble::refused("the date cannot be written"))?;
        headers.insert(HeaderName::from_static("x-amz-date"), date);
        if let Some(token) = token {
            let token = client::secret_value(token.as_bytes())?;
            headers.insert(HeaderName::from_static("x-amz-security-token"), token);
        }
        Ok(Outgoing { method: Method::POST, url, headers, body: sms::body(body) })
    }
}

impl Connector for Sns {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn probe(&self) -> Option<Probing<'_>> {
        Some(Box::pin(self.client.probe(&self.api)))
    }

    fn deliver_message<'a>(&'a self, message: &'a Message) -> Delivering<'a> {
        Box::pin(self.deliver(message))
    }

    fn secrets(&self) -> Vec<std::sync::Arc<Ring>> {
        self.key.rings().into_iter().chain(self.token.iter().flat_map(Key::rings)).collect()
    }
}

/// Errors say `<Code>Throttling</Code>`, a success `<MessageId>…</MessageId>`.
fn judge(answer: &Answer) -> Result<Sent, Trouble> {
    let said = String::from_utf8_lossy(&answer.body);
    let code = element(&said, "Code");
    sms::judge(answer, code.as_deref()).map_err(|trouble| match code.as_deref() {
        Some("Throttling" | "ThrottledException" | "RequestLimitExceeded") => {
            Trouble { what: What::NotDelivered { retry_after: answer.retry_after }, ..trouble }
        }
        _ => trouble,
    })?;
    let id = element(&said, "MessageId").ok_or_else(|| sms::unreadable(answer))?;
    Ok(Sent { id })
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    sms::plain(rest.split_once("</")?.0.trim())
}

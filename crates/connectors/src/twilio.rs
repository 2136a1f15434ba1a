//! `twilio`: texts and calls through Twilio's Programmable Messaging and Voice (API 2010-04-01).
//!
//! Twilio has no idempotency key for messages: whoever asks once more sends once more.

use http::Method;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::sms;
use crate::sms::template;
use crate::{Connector, Delivering, Probing, Trouble, What};
use hookgate_model::message::{Channel, Message, Sent};
use hookgate_model::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "twilio",
    about: "Codes by text and by call through Twilio.",
    guide: include_str!("twilio/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Twilio::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: true,
    proxied: true,
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The account (`AC…`).
    #[schemars(regex(pattern = r"^AC[0-9a-fA-F]{32}$"))]
    account_sid: String,
    /// The account's auth token; with `api_key`, the secret of that key.
    auth_token: SecretSource,
    /// An API key (`SK…`) to use in place of the account's own token.
    #[schemars(regex(pattern = r"^SK[0-9a-fA-F]{32}$"))]
    api_key: Option<String>,
    /// The number or name that texts come from.
    #[schemars(length(min = 1))]
    from: Option<String>,
    /// The messaging service (`MG…`) that chooses a sender, in place of `from`.
    #[schemars(regex(pattern = r"^MG[0-9a-fA-F]{32}$"))]
    messaging_service_sid: Option<String>,
    /// The number that calls come from; without it there are none.
    #[schemars(length(min = 1))]
    voice_from: Option<String>,
    /// What a call says, twice. `{spoken}` is the code, digit by digit.
    #[serde(default = "voice_text")]
    #[schemars(length(min = 1))]
    voice_text: String,
    /// The language of the voice.
    #[serde(default = "voice_language")]
    #[schemars(regex(pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"))]
    voice_language: String,
    /// Where the API is, if not at Twilio's.
    #[schemars(length(min = 1))]
    api_url: Option<String>,
}

fn voice_text() -> String {
    "Your verification code is {spoken}.".to_owned()
}

fn voice_language() -> String {
    "en-US".to_owned()
}

struct Twilio {
    client: Client,
    api: Url,
    key: Key,
    settings: Settings,
}

impl Twilio {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::for_messages(setup);
        let api = settings.api_url.as_deref().unwrap_or("https://api.twilio.com");
        let api = egress::target_of_secret(api, client.egress());
        let api = api.map_err(|text| vec![Problem::bad_value("api_url", text)])?;
        if settings.from.is_some() == settings.messaging_service_sid.is_some() {
            return Err(vec![Problem::missing("from", "one of `from` and `messaging_service_sid` says who sends")]);
        }
        let places = template::places(&settings.voice_text);
        let places = places.map_err(|text| vec![Problem::bad_value("voice_text", text)])?;
        if !places.contains(&"spoken") && !places.contains(&"code") {
            return Err(vec![Problem::bad_value("voice_text", "does not say the code: it needs `{spoken}`")]);
        }
        let key = setup.secret("auth_token", &settings.auth_token)?;
        Ok(Self { client, api, key, settings })
    }

    async fn deliver(&self, message: &Message) -> Result<Sent, Trouble> {
        let (what, body) = match message.channel {
            Channel::Sms => ("Messages", self.text(message)),
            Channel::Voice => ("Calls", self.call(message)?),
        };
        let account = &self.settings.account_sid;
        let path = format!("/2010-04-01/Accounts/{account}/{what}.json");
        let url = egress::join(&self.api, &path).map_err(Trouble::refused)?;
        let mut headers = sms::form_headers();
        let user = self.settings.api_key.as_ref().unwrap_or(account);
        headers.insert(AUTHORIZATION, client::basic(user, &self.key.current())?.0);
        let request = Outgoing { method: Method::POST, url, headers, body: sms::body(body) };
        judge(&self.client.ask(request, client::MAX_ANSWER_BYTES).await?)
    }

    fn text(&self, message: &Message) -> Zeroizing<String> {
        let sender = match (&self.settings.messaging_service_sid, &self.settings.from) {
            (Some(service), _) => ("MessagingServiceSid", service.as_str()),
            (None, from) => ("From", from.as_deref().unwrap_or_default()),
        };
        sms::form([("To", message.to.as_str()), sender, ("Body", sms::revealed(&message.text))])
    }

    fn call(&self, message: &Message) -> Result<Zeroizing<String>, Trouble> {
        let Some(from) = &self.settings.voice_from else {
            return Err(Trouble::refused("it makes no calls: `voice_from` is not set"));
        };
        let said = template::filled(&self.settings.voice_text, message);
        let said = Zeroizing::new(quick_xml::escape::escape(said.as_str()).into_owned());
        let language = &self.settings.voice_language;
        let said = Zeroizing::new(format!(
            "<Response><Say language=\"{language}\">{}</Say><Pause length=\"1\"/><Say language=\"{language}\">{}</Say></Response>",
            *said, *said
        ));
        Ok(sms::form([("To", message.to.as_str()), ("From", from), ("Twiml", &said)]))
    }
}

impl Connector for Twilio {
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
        self.key.rings()
    }
}

fn judge(answer: &Answer) -> Result<Sent, Trouble> {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = sms::plain_member(&said["code"]).or_else(|| sms::plain_member(&said["error_code"]));
    sms::judge(answer, code.as_deref())?;
    let status = Some(answer.status);
    if matches!(said["status"].as_str(), Some("failed" | "undelivered" | "canceled")) {
        let code = code.map_or_else(String::new, |code| format!(" ({code})"));
        return Err(Trouble {
            what: What::Refused,
            status,
            message: format!("it took it and gave it up at once{code}"),
        });
    }
    let id = sms::plain_member(&said["sid"]).ok_or_else(|| sms::unreadable(answer))?;
    Ok(Sent { id })
}

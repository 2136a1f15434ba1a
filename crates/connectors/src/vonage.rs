//! `vonage`: texts through Vonage's (Nexmo's) SMS API, which answers 200 to almost everything: only `messages[].status` says
//! whether a text was taken.

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::client;
use crate::client::{Answer, Client, Outgoing};
use crate::egress;
use crate::setup::{Key, Kind, Problem, Setup};
use crate::sms;
use crate::{Connector, Delivering, Probing, Trouble, What};
use hookgate_model::message::{Message, Sent};
use hookgate_model::secret::{Ring, SecretSource};

#[cfg(test)]
mod tests;

pub(crate) const KIND: Kind = Kind {
    name: "vonage",
    about: "Codes by text through Vonage's SMS API.",
    guide: include_str!("vonage/guide.md"),
    settings: Settings::json_schema,
    make: |setup| Ok(Box::new(Vonage::new(setup)?)),
    answers: None,
    cache: None,
    sends_codes: true,
    proxied: true,
};

/// The longest `client-ref`.
const MOST_REFERENCE: usize = 100;

/// Statuses after which the same text may be taken later: throttled, an error of theirs, too many at once.
const LATER: [&str; 3] = ["1", "5", "10"];

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The key of the account.
    #[schemars(length(min = 1))]
    api_key: String,
    /// Its secret.
    api_secret: SecretSource,
    /// The number or name that texts come from.
    #[schemars(length(min = 1))]
    from: String,
    /// Where the API is, if not at Vonage's.
    #[schemars(length(min = 1))]
    api_url: Option<String>,
}

struct Vonage {
    client: Client,
    api: Url,
    key: Key,
    settings: Settings,
}

impl Vonage {
    fn new(setup: &Setup<'_>) -> Result<Self, Vec<Problem>> {
        let settings: Settings = setup.read()?;
        let client = Client::for_messages(setup);
        let api = settings.api_url.as_deref().unwrap_or("https://rest.nexmo.com");
        let api = egress::target_of_secret(api, client.egress());
        let api = api.map_err(|text| vec![Problem::bad_value("api_url", text)])?;
        let key = setup.secret("api_secret", &settings.api_secret)?;
        Ok(Self { client, api, key, settings })
    }

    async fn deliver(&self, message: &Message) -> Result<Sent, Trouble> {
        sms::only_texts(message)?;
        let secret = self.key.current();
        let text = sms::revealed(&message.text);
        let reference: String = message.key.chars().take(MOST_REFERENCE).collect();
        // Without `unicode` they put question marks where the GSM alphabet has no letter.
        let kind = if sms::is_gsm(text) { "text" } else { "unicode" };
        let body = sms::form([
            ("api_key", self.settings.api_key.as_str()),
            ("api_secret", sms::revealed(&secret).trim()),
            ("from", &self.settings.from),
            ("to", message.to.trim_start_matches('+')),
            ("type", kind),
            ("text", text),
            ("client-ref", &reference),
        ]);
        let url = egress::join(&self.api, "/sms/json").map_err(Trouble::refused)?;
        let request = Outgoing { method: Method::POST, url, headers: sms::form_headers(), body: sms::body(body) };
        judge(&self.client.ask(request, client::MAX_ANSWER_BYTES).await?)
    }
}

impl Connector for Vonage {
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

/// A long text is several messages, each with a status of its own.
fn judge(answer: &Answer) -> Result<Sent, Trouble> {
    sms::judge(answer, None)?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let parts = said["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let statuses: Option<Vec<String>> = parts.iter().map(|part| sms::plain_member(&part["status"])).collect();
    let statuses = statuses.filter(|all| !all.is_empty()).ok_or_else(|| sms::unreadable(answer))?;
    let http = Some(answer.status);
    let Some(bad) = statuses.iter().find(|status| *status != "0") else {
        let id = sms::plain_member(&parts[0]["message-id"]).ok_or_else(|| sms::unreadable(answer))?;
        return Ok(Sent { id });
    };
    let message = format!("it answered with status {bad} ({})", meaning(bad));
    let what = if statuses.iter().any(|status| status == "0") {
        What::MaybeDelivered
    } else if LATER.contains(&bad.as_str()) {
        What::NotDelivered { retry_after: None }
    } else {
        What::Refused
    };
    Err(Trouble { what, status: http, message })
}

fn meaning(status: &str) -> &'static str {
    match status {
        "1" => "throttled",
        "2" => "a parameter is missing",
        "3" => "a parameter is invalid, such as the number",
        "4" => "key or secret are wrong",
        "5" => "an error of theirs",
        "6" => "the message cannot be sent, such as to this number's network",
        "7" => "the number is barred",
        "8" => "the account is barred",
        "9" => "there is no credit left",
        "10" => "too many at once",
        "11" => "the account is not enabled for this",
        "12" => "the text is too long",
        "15" => "the sender is not allowed",
        "29" => "a trial account may not send to this number",
        "33" => "the number is deactivated",
        _ => "see their list",
    }
}

//! A connection and nothing more: whether a target can be reached, and is whom its certificate says.

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use crate::Probed;
use crate::client::{Answer, Client, MAX_ANSWER_BYTES, Outgoing};
use crate::redact::Redact;
use crate::time_limit::within;
use crate::wire;
use crate::wire::Trust;
use hookgate_model::question::{Reason, Trouble};

impl Client {
    /// Opens a connection to the host of an address, with TLS for `https`, and closes it. With a proxy: to that, and no further.
    /// What was found, for people.
    ///
    /// # Errors
    /// There is none in the time of one try.
    pub(crate) async fn reach(&self, url: &Url) -> Result<String, Trouble> {
        match within(self.timeout, self.connect(url)).await {
            Ok(reached) => reached,
            Err(_) => Err(Trouble::new(Reason::Timeout, "it did not accept a connection in time")),
        }
    }

    /// The same, for a target that would act if it were asked anything.
    ///
    /// # Errors
    /// As [`Client::reach`].
    pub(crate) async fn probe(&self, url: &Url) -> Result<Probed, Trouble> {
        let found = self.reach(url).await?;
        Ok(Probed::new(format!("{found}; whether it lets us in is known at the first action"), &[]))
    }

    /// Asks something that changes nothing and that only those get answered who are let in.
    ///
    /// # Errors
    /// There is no answer, or a bad one.
    pub(crate) async fn ask_who_we_are(
        &self,
        url: Url,
        headers: HeaderMap,
        redact: &Redact,
    ) -> Result<Answer, Trouble> {
        let request = Outgoing { method: Method::GET, url, headers, body: Bytes::new() };
        let answer = self.look(request, MAX_ANSWER_BYTES).await?;
        answer.judge(redact)?;
        Ok(answer)
    }

    async fn connect(&self, url: &Url) -> Result<String, Trouble> {
        let (url, egress) = match &self.proxy {
            Some(proxy) => (proxy.url(), proxy.egress()),
            None => (url, &self.egress),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Trouble::new(Reason::Rejected, "its address has no host"));
        };
        let (host, time) = (host.to_owned(), self.timeout);
        let stream = wire::connect(egress, &host, port, time).await?;
        if url.scheme() == "https" {
            let trust = Trust::new(self.authorities.clone());
            let secured = trust.secure_as(self.identity.as_ref(), &host, stream).await;
            secured.map_err(|error| wire::broken(&error))?;
        }
        Ok(self.found(url.scheme()))
    }

    fn found(&self, scheme: &str) -> String {
        let what = if self.proxy.is_some() { "the proxy accepts connections" } else { "it accepts connections" };
        format!("{what}{}", if scheme == "https" { " with TLS" } else { "" })
    }
}

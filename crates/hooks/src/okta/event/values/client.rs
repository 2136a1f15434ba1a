//! Where something was done from, as scripts see it.

use rhai::{Array, Dynamic, EvalAltResult};

use crate::okta::event::Event;
use crate::okta::event::values::{ip, map_at, part};
use crate::okta::request;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json;

type This<'a> = &'a mut Client;

/// The client of an event.
#[derive(Clone)]
pub(super) struct Client(pub(super) Event);

pub(super) fn register(library: &mut Library) {
    library
        .value::<Client>("Client", "Where something was done from. Everything may be `()`.")
        .property(
            Doc::new(
                "Client.ip: Ip",
                "The address. Okta sends some that are none: ask `.is_valid`.",
                "event.client.ip.is_valid",
            ),
            |client: This| ip(&client.0),
        )
        .property(
            Doc::new("Client.id: string", "The OAuth client or API token.", "event.client.id == ()"),
            |client: This| part(&client.0, "/client/id"),
        )
        .property(
            Doc::new("Client.zone: string", "The network zone. Okta's text `null` is `()`.", "event.client.zone == ()"),
            |client: This| request::text(&client.0.text("/client/zone").filter(|zone| zone != "null")),
        )
        .property(
            Doc::new(
                "Client.device: string",
                "`Computer`, `Mobile`, `Unknown`, …",
                r#"event.client.device == "Computer""#,
            ),
            |client: This| part(&client.0, "/client/device"),
        )
        .property(
            Doc::new(
                "Client.user_agent: string",
                "As the browser sent it.",
                r#"event.client.user_agent.starts_with("Mozilla")"#,
            ),
            |client: This| part(&client.0, "/client/userAgent/rawUserAgent"),
        )
        .property(
            Doc::new("Client.os: string", "`Windows 10`, …", r#"event.client.os == "Linux""#),
            |client: This| part(&client.0, "/client/userAgent/os"),
        )
        .property(
            Doc::new("Client.browser: string", "`CHROME`, `UNKNOWN`, …", r#"event.client.browser == "FIREFOX""#),
            |client: This| part(&client.0, "/client/userAgent/browser"),
        );
    register_geography(library);
}

fn register_geography(library: &mut Library) {
    library
        .property(Doc::new("Client.city: string", "By its address.", r#"event.client.city == "Bern""#), |client: This| {
            part(&client.0, "/client/geographicalContext/city")
        })
        .property(Doc::new("Client.state: string", "By its address.", r#"event.client.state == "Bern""#), |client: This| {
            part(&client.0, "/client/geographicalContext/state")
        })
        .property(Doc::new("Client.country: string", "By its address: the English name.", r#"event.client.country == "Switzerland""#), |client: This| {
            part(&client.0, "/client/geographicalContext/country")
        })
        .property(Doc::new("Client.postal_code: string", "By its address.", r#"event.client.postal_code == "3011""#), |client: This| {
            part(&client.0, "/client/geographicalContext/postalCode")
        })
        .fallible_property(
            Doc::new("Client.location: map", "By its address: `lat` and `lon`, read-only; empty if unknown.", "event.client.location.lat == 46.9"),
            |client: This| map_at(&client.0, "/client/geographicalContext/geolocation"),
        )
        .fallible_property(
            Doc::new("Client.ip_chain: array", "The addresses that the call came through by Okta's names, the client first; read-only, empty if unknown.", r#"event.client.ip_chain[0].version == "V4""#),
            |client: This| {
                let value = client.0.value();
                // The System Log keeps it in another place than deliveries do (contract, section 5.3).
                let chain = ["/client/ipChain", "/request/ipChain"].into_iter().find_map(|path| value.pointer(path)?.as_array());
                let chain = chain.into_iter().flatten().filter(|hop| hop.is_object()).map(json::read_only).collect::<Result<Array, Box<EvalAltResult>>>()?;
                Ok::<Dynamic, Box<EvalAltResult>>(Dynamic::from_array(chain).into_read_only())
            },
        );
}

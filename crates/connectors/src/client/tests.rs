//! What every kind of answer, and every way of not getting one, means.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::tests::{Server, Then, order, response, tls};
use crate::{Done, What};
use hookgate_model::command::Task;
use hookgate_model::secret::Secret;

const PATIENT: Duration = Duration::from_secs(20);
/// Long enough to connect on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

fn client(timeout: Duration) -> Client {
    Client::with(timeout, Egress::new(true), None)
}

async fn send(client: &Client, url: &str) -> Result<Answer, Trouble> {
    let request = Outgoing {
        method: Method::POST,
        url: Url::parse(url).expect("an address"),
        headers: json(),
        body: Bytes::from_static(b"{}"),
    };
    client.send(&order(Task::Forward), request).await
}

async fn judged(status: &str, headers: &str, body: &str) -> Result<Done, Trouble> {
    let server = Server::saying(status, headers, body).await;
    send(&client(PATIENT), &server.url()).await.expect("an answer").judge(&Redact::default())
}

#[tokio::test]
async fn a_request_says_who_sends_it_and_for_which_event() {
    let server = Server::saying("200 OK", "", "").await;
    send(&client(PATIENT), &server.url()).await.expect("an answer");
    let (head, _) = server.only();
    let head = head.to_lowercase();
    for line in [
        "idempotency-key: key-1",
        "x-hook-event-id: event-1",
        concat!("user-agent: hookgate/", env!("CARGO_PKG_VERSION")),
        "content-type: application/json",
    ] {
        assert!(head.contains(line), "{line} is missing in\n{head}");
    }
}

#[tokio::test]
async fn a_status_decides() {
    for status in ["200 OK", "201 Created", "202 Accepted", "204 No Content"] {
        assert!(judged(status, "", "").await.is_ok(), "{status}");
    }
    for status in [301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 410, 413, 418, 501, 505] {
        let trouble =
            judged(&format!("{status} X"), "Location: http://127.0.0.1:1/\r\n", "").await.expect_err("refused");
        assert_eq!((trouble.what, trouble.status), (What::Refused, Some(status)));
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let trouble = judged(&format!("{status} X"), "", "").await.expect_err("not delivered");
        assert_eq!((trouble.what, trouble.status), (What::NotDelivered { retry_after: None }, Some(status)));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::saying("200 OK", "", "").await;
    let location = format!("Location: {}/\r\n", elsewhere.url());
    let trouble = judged("302 Found", &location, "").await.expect_err("refused");
    assert_eq!(trouble.message, "it answered 302, a redirect, and none is followed: configure the final address");
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn the_other_side_says_when_to_come_again() {
    let wait = |headers: &'static str| async move {
        match judged("429 Too Many Requests", headers, "").await.expect_err("not now").what {
            What::NotDelivered { retry_after } => retry_after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(wait("Retry-After: 7\r\n").await, Some(Duration::from_secs(7)));
    assert_eq!(wait("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n").await, Some(Duration::ZERO));
    assert_eq!(wait("Retry-After: soon\r\n").await, None);
}

#[test]
fn a_date_to_come_again_counts_from_now() {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
    assert_eq!(wait("Fri, 02 Jan 2026 03:05:05 GMT", now), Some(Duration::from_secs(60)));
    assert_eq!(wait(" 120 ", now), Some(Duration::from_secs(120)));
    for text in ["", "-1", "1.5", "99999999999999999999999", "tomorrow", "Fri, 99 Jan 2026 03:05:05 GMT"] {
        assert_eq!(wait(text, now), None, "{text}");
    }
}

#[tokio::test]
async fn a_closed_port_means_not_delivered() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let trouble = send(&client(PATIENT), &format!("http://{address}/secret-path")).await.expect_err("nobody is there");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
    assert!(!trouble.message.contains("secret-path"), "{}", trouble.message);
}

#[tokio::test]
async fn tls_that_fails_means_not_delivered() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Speak plainly\r\n\r\n").await.expect("written");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let trouble = send(&client(PATIENT), &url).await.expect_err("no TLS");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None }, "{}", trouble.message);
    plain.abort();
    let server = Server::with([Then::Close], Some(tls().0)).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let trouble = send(&client(PATIENT), &url).await.expect_err("nobody knows this certificate");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None }, "{}", trouble.message);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_for_its_names_only() {
    let (acceptor, pem) = tls();
    let server = Server::with([Then::Say(response("200 OK", "", ""))], Some(acceptor)).await;
    let trusting = Client::with(PATIENT, Egress::new(true), Some(pem.into_bytes()));
    let port = server.address.port();
    assert!(send(&trusting, &format!("https://localhost:{port}/")).await.is_ok());
    assert!(send(&trusting, &format!("https://127.0.0.1:{port}/")).await.is_err(), "another name");
}

#[tokio::test]
async fn no_answer_means_maybe_delivered() {
    for (doing, said) in [
        (Then::Silence, "it did not answer in time"),
        (Then::Drip("HTTP/1.1 200 OK\r\nX-Slow: ".to_owned()), "it did not answer in time"),
        (Then::Close, "it broke off before it answered"),
        (Then::Say("HTTP/1.1 2".to_owned()), "it broke off before it answered"),
        (Then::Say("\u{0}\u{1}garbage\r\n\r\n".to_owned()), "it broke off before it answered"),
    ] {
        let server = Server::new([doing]).await;
        let trouble = send(&client(SHORT), &server.url()).await.expect_err(said);
        assert_eq!(trouble.what, What::MaybeDelivered, "{}", trouble.message);
        assert!(trouble.message.starts_with(said), "{}", trouble.message);
        assert_eq!(server.seen().len(), 1, "it is not sent twice");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_change_the_status() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe beginning ";
    for doing in [Then::Drip(head.to_owned()), Then::Say(head.to_owned())] {
        let server = Server::new([doing]).await;
        let answer = send(&client(SHORT), &server.url()).await.expect("a status");
        assert!(!answer.complete);
        assert!(answer.judge(&Redact::default()).is_ok_and(|done| done.note.starts_with("the beginning")));
    }
}

#[tokio::test]
async fn little_of_an_answer_is_read() {
    let body = "x".repeat(1_000_000);
    let server = Server::new([Then::Say(response("200 OK", "", &body))]).await;
    let answer = send(&client(PATIENT), &server.url()).await.expect("an answer");
    assert_eq!((answer.body.len(), answer.complete), (MAX_ANSWER_BYTES, false));
}

#[tokio::test]
async fn what_is_told_of_an_answer_is_text_without_secrets() {
    let told = |kind: &'static str, body: &'static str| async move {
        let headers = format!("Content-Type: {kind}\r\nX-Secret: in-a-header\r\n");
        let server = Server::saying("400 Bad", &headers, body).await;
        let answer = send(&client(PATIENT), &server.url()).await.expect("an answer");
        let redact = Redact::default().and(&Secret::new(*b"canary-7f3a"));
        answer.judge(&redact).expect_err("refused").message
    };
    let json = "{\"error\":\"token canary-7f3a is\\nbad\"}\r\n";
    assert_eq!(told("application/json", json).await, "it answered 400: {\"error\":\"token *** is\\nbad\"}");
    assert_eq!(told("text/plain", "invalid_payload\u{1b}[2J").await, "it answered 400: invalid_payload[2J");
    assert_eq!(told("application/octet-stream", "canary").await, "it answered 400");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
    let server = Server::saying("200 OK", "", "").await;
    let inside = |_: &str| Ok(vec![IpAddr::from([127, 0, 0, 1])]);
    let url = format!("http://evil.example:{}/", server.address.port());
    let guarded = Client::with(PATIENT, Egress::with_lookup(false, inside), None);
    let trouble = send(&guarded, &url).await.expect_err("it is private");
    assert_eq!(trouble.what, What::Refused);
    assert!(trouble.message.contains("allow_private"), "{}", trouble.message);
    assert_eq!(server.seen().len(), 0);
    let allowed = Client::with(PATIENT, Egress::with_lookup(true, inside), None);
    assert!(send(&allowed, &url).await.is_ok());
    let unknown = Client::with(PATIENT, Egress::with_lookup(false, |_| Err(io::Error::other("no such name"))), None);
    let trouble = send(&unknown, &url).await.expect_err("no address");
    assert_eq!(trouble.what, What::NotDelivered { retry_after: None });
}

#[tokio::test]
async fn odd_ids_still_make_a_header() {
    assert_eq!(fit("a b\r\n\u{e4}%"), "a%20b%0D%0A%C3%A4%25");
    assert_eq!(fit("k-1:2/3"), "k-1:2/3");
}

/// Answers the first request of the first connection, keeps it open, and closes it at the second request without a word.
/// Gives how many requests came.
async fn closing_what_was_kept() -> (std::net::SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count: Arc<std::sync::atomic::AtomicUsize> = Arc::default();
    let counted = count.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for request in 0.. {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                    break;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                if (connection, request) == (0, 1) {
                    break;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
            }
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_made_anew_where_that_is_safe() {
    for (method, requests) in [(Method::GET, 3), (Method::PUT, 3), (Method::DELETE, 3), (Method::POST, 2)] {
        let (address, count) = closing_what_was_kept().await;
        let client = client(PATIENT);
        let request = Outgoing {
            method: method.clone(),
            url: Url::parse(&format!("http://{address}/")).expect("an address"),
            headers: json(),
            body: Bytes::from_static(b"{}"),
        };
        client.ask(request.clone(), 100).await.expect("an answer");
        let again = client.ask(request, 100).await;
        match method {
            Method::POST => assert_eq!(again.expect_err("who knows").what, What::MaybeDelivered),
            _ => assert_eq!(again.expect("an answer").status, 200, "{method}"),
        }
        assert_eq!(count.load(Ordering::SeqCst), requests, "{method}");
    }
    let (address, count) = closing_what_was_kept().await;
    let client = client(PATIENT);
    for _ in 0..2 {
        let url = Url::parse(&format!("http://{address}/")).expect("an address");
        let request = Outgoing { method: Method::POST, url, headers: json(), body: Bytes::from_static(b"{}") };
        client.look(request, 100).await.expect("a question changes nothing, however it is asked");
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

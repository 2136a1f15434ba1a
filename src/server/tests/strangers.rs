//! What callers can hold who prove nothing (#13): no body, no memory, no place that another one needs; and heads that two
//! programs could read differently.

use super::*;

/// Waits until as many connections are open.
async fn until_open(server: &Running, count: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.open.get() != count {
        assert!(Instant::now() < deadline, "{} connections are open, not {count}", server.open.get());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_stranger_is_refused_before_its_body() {
    let server = running(|_| {}).await;
    for (expect, length) in [("", 1000), ("Expect: 100-continue\r\n", 1000), ("", 999_999_999)] {
        let head = format!("POST /stranger HTTP/1.1\r\nHost: h\r\n{expect}Content-Length: {length}\r\n\r\n");
        let text = server.until_closed(&head).await;
        assert!(text.starts_with("HTTP/1.1 401 ") && text.ends_with("[stranger]"), "{head}: {text}");
        assert!(text.contains("connection: close"), "{head}: {text}");
    }
    let chunked = "POST /stranger HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n";
    assert!(server.until_closed(chunked).await.starts_with("HTTP/1.1 401 "));
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_body_that_was_not_read_is_no_call() {
    let server = running(|_| {}).await;
    let hidden = format!("GET /hidden HTTP/1.1\r\n{CLOSE}\r\n");
    // More than hyper reads ahead, so that some of it is not there yet when the answer is given.
    let body = hidden.repeat(200_000 / hidden.len());
    let length = body.len();
    let call = format!("POST /stranger HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}");
    let text = server.until_closed(&call).await;
    assert!(text.starts_with("HTTP/1.1 401 ") && !text.contains("hidden"), "{text}");
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_still_sends_gets_the_whole_answer() {
    let server = running(|_| {}).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /stranger HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n").await.unwrap();
    assert!(answers(&mut stream, 1).await.contains("[stranger]"));
    stream.write_all(&[b'x'; 400_000]).await.unwrap();
    let mut more = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut more)).await.unwrap();
    assert_eq!(end.unwrap(), 0, "closed, not reset");
}

#[tokio::test]
async fn a_call_without_a_body_leaves_the_connection_open() {
    let server = running(|_| {}).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /stranger HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(answers(&mut stream, 2).await.contains("[/b "));
}

#[tokio::test]
async fn a_panic_over_a_head_costs_its_own_call_only() {
    let server = running(|_| {}).await;
    let text = server.until_closed(&format!("GET /panic-early HTTP/1.1\r\n{CLOSE}\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
}

#[tokio::test]
async fn packed_bodies_are_refused_unread() {
    let server = running(|_| {}).await;
    let head = |codings: &str| format!("POST /a HTTP/1.1\r\n{CLOSE}{codings}Content-Length: 2\r\n\r\n");
    for codings in [
        "Content-Encoding: gzip\r\n",
        "Content-Encoding: br\r\n",
        "Content-Encoding: identity, gzip\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: deflate\r\n",
        "Content-Encoding:\r\n",
    ] {
        let text = server.until_closed(&head(codings)).await;
        assert!(text.starts_with("HTTP/1.1 415 ") && text.contains("[Encoded]"), "{codings}: {text}");
    }
    let plain = server.until_closed(&format!("{}ab", head("Content-Encoding: Identity\r\n"))).await;
    assert!(plain.contains("[/a 2 bytes"), "{plain}");
    assert_eq!(server.echo.answer().calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn bodies_share_a_budget_and_give_it_back() {
    const MIB: usize = 1024 * 1024;
    let budget = Budget::new(MIB as u64);
    let server = running_with(MIB, budget.clone(), |settings| settings.body_timeout = Duration::from_secs(20)).await;
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {MIB}\r\n\r\n");
    let mut first = server.connect().await;
    first.write_all(head("/wait").as_bytes()).await.unwrap();
    first.write_all(&vec![b'x'; MIB - 1]).await.unwrap();
    while budget.left() > 200_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut second = server.connect().await;
    second.write_all(head("/b").as_bytes()).await.unwrap();
    let _ = second.write_all(&vec![b'x'; MIB]).await;
    let text = rest(&mut second).await;
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("[NoRoom]"), "{text}");
    // What is small needs no budget.
    let small = server.until_closed(&format!("POST /c HTTP/1.1\r\n{CLOSE}Content-Length: 3\r\n\r\nabc")).await;
    assert!(small.contains("[/c 3 bytes"), "{small}");

    first.write_all(b"x").await.unwrap();
    server.echo.answer().began.notified().await;
    assert!(budget.left() < 200_000, "a call in work still holds its body");
    server.echo.answer().permits.add_permits(1);
    assert!(answers(&mut first, 1).await.contains("[/wait 1048576 bytes"));
    drop(first);
    until_open(&server, 0).await;
    assert_eq!(budget.left(), MIB);
}

#[tokio::test]
async fn who_says_nothing_gets_no_longer_than_who_speaks_slowly() {
    let server = running(|settings| settings.header_timeout = Duration::from_millis(100)).await;
    assert_eq!(server.until_closed("").await, "");
}

#[tokio::test]
async fn who_takes_no_answer_is_closed() {
    let server = running(|settings| settings.stall_timeout = Duration::from_millis(100)).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    until_open(&server, 1).await;
    until_open(&server, 0).await;
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let server = running(|settings| settings.max_connections = 3).await;
    let mut known = server.connect().await;
    known.write_all(b"GET /known HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answers(&mut known, 1).await;
    let mut strangers = Vec::new();
    for number in 0..20 {
        strangers.push(server.connect().await);
        if number % 5 == 4 {
            let text = server.until_closed(&format!("GET /new HTTP/1.1\r\n{CLOSE}\r\n")).await;
            assert!(text.contains("[/new "), "{text}");
        }
    }
    known.write_all(b"GET /again HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(answers(&mut known, 1).await.contains("[/again "), "who was let in before keeps its place");
    assert!(server.open.get() <= 3);
}

#[tokio::test]
async fn calls_in_work_keep_their_places() {
    let server = running(|settings| settings.max_connections = 1).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    server.echo.answer().began.notified().await;
    let mut second = server.connect().await;
    second.write_all(format!("GET /second HTTP/1.1\r\n{CLOSE}\r\n").as_bytes()).await.unwrap();
    assert_eq!(server.open.get(), 1);
    server.echo.answer().permits.add_permits(1);
    assert!(answers(&mut first, 1).await.contains("[/wait "));
    // Now the first one waits for nothing, so the second gets its place.
    assert!(rest(&mut second).await.contains("[/second "));
}

/// Heads, and the status that each gets.
const HEADS: &[(&str, &str)] = &[
    ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "200"),
    ("GET /a HTTP/1.1\r\nHost: h:8080\r\n\r\n", "200"),
    ("GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "200"),
    ("GET /a HTTP/1.0\r\n\r\n", "200"),
    ("GET /a HTTP/1.1\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
    ("GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\nHost: h\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\r\n\n", "400"),
    ("GET /a HTTP/1.1\nHost: h\n\n", "400"),
    ("\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\rHost: h\r\r", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", "400"),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    (
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    ("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"),
    ("POST /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "400"),
    ("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "200"),
];

#[tokio::test]
async fn heads_that_could_be_read_differently_are_refused() {
    let server = running(|settings| settings.idle_timeout = Duration::from_millis(100)).await;
    let first = "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n\n\n\n";
    for (head, status) in HEADS {
        let alone = server.until_closed(head).await;
        assert!(alone[8..].starts_with(&format!(" {status} ")), "{head:?}: {alone}");
        assert_eq!(alone.matches("HTTP/1.").count(), 1, "{head:?}: {alone}");
        let second = server.until_closed(&format!("{first}{head}")).await;
        assert!(second.starts_with("HTTP/1.1 200 ") && second.contains("[/first 3 bytes"), "{head:?}: {second}");
        assert!(second[15..].contains(&format!(" {status} ")), "after another call: {head:?}: {second}");
    }
}

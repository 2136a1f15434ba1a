//! What becomes at the stop of those who have called, are just calling, or wait to be accepted.
//!
//! Each test has one thread, so that nothing of the server runs before the test waits: what was written before is there.

use std::io::Write;

use super::*;

const CALL: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A connection that has had one answer.
async fn idle(server: &Running) -> TcpStream {
    let mut stream = server.connect().await;
    stream.write_all(CALL).await.unwrap();
    answers(&mut stream, 1).await;
    stream
}

fn is_last_answer(text: &str) {
    assert!(
        text.starts_with("HTTP/1.1 200 ") && text.contains("connection: close") && text.contains("[/a "),
        "{text:?}"
    );
}

#[tokio::test]
async fn a_call_that_has_arrived_is_answered_and_is_the_last_one() {
    let server = running(|_| {}).await;
    let (mut used, mut fresh) = (idle(&server).await, server.connect().await);
    // Accepted, and nothing of it read.
    let mut accepted = idle(&server).await;
    for stream in [&used, &fresh, &accepted] {
        assert_eq!(stream.try_write(CALL).unwrap(), CALL.len());
    }
    server.stop.send(()).unwrap();
    for stream in [&mut used, &mut fresh, &mut accepted] {
        is_last_answer(&rest(stream).await);
    }
    server.served.await.unwrap();
}

#[tokio::test]
async fn a_call_that_arrives_after_the_stop_is_answered_too() {
    let server = running(|_| {}).await;
    let mut streams = [idle(&server).await, idle(&server).await, idle(&server).await];
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // One arrives in pieces, and one while nobody looks until the time for it is over.
    assert_eq!(streams[0].try_write(CALL).unwrap(), CALL.len());
    assert_eq!(streams[1].try_write(&CALL[..7]).unwrap(), 7);
    is_last_answer(&rest(&mut streams[0]).await);
    assert_eq!(streams[1].try_write(&CALL[7..]).unwrap(), CALL.len() - 7);
    is_last_answer(&rest(&mut streams[1]).await);
    assert_eq!(rest(&mut streams[2]).await, "", "who says nothing is closed");
    server.served.await.unwrap();
}

#[tokio::test]
async fn what_arrived_while_the_machine_stood_still_is_answered() {
    let server = running(|_| {}).await;
    let mut stream = idle(&server).await;
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.try_write(CALL).unwrap(), CALL.len());
    std::thread::sleep(Duration::from_millis(400));
    is_last_answer(&rest(&mut stream).await);
    server.served.await.unwrap();
}

/// Connections that the system has made, with a call, and that nobody has accepted.
fn waiting(address: SocketAddr) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(CALL).unwrap();
        stream.set_nonblocking(true).unwrap();
        TcpStream::from_std(stream).unwrap()
    };
    (0..50).map(connect).collect()
}

#[tokio::test]
async fn those_who_wait_to_be_accepted_are_answered() {
    let server = running(|_| {}).await;
    let streams = waiting(server.address);
    server.stop.send(()).unwrap();
    for mut stream in streams {
        is_last_answer(&rest(&mut stream).await);
    }
    server.served.await.unwrap();
}

#[tokio::test]
async fn those_who_wait_at_a_socket_that_stays_are_the_next_ones() {
    let server = running(|_| {}).await;
    server.stop.send(()).unwrap();
    server.served.await.unwrap();

    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let (address, next) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
    let first = TcpListener::from_std(socket).unwrap();
    serve(first, Settings::new("first"), Arc::clone(&server.echo), async { Waiting::Left }).await;
    let streams = waiting(address);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        _ = stopped.await;
        Waiting::Left
    };
    let next = TcpListener::from_std(next).unwrap();
    let served = tokio::spawn(serve(next, Settings::new("next"), Arc::clone(&server.echo), stopped));
    for mut stream in streams {
        assert!(answers(&mut stream, 1).await.contains("[/a "));
    }
    stop.send(()).unwrap();
    served.await.unwrap();
}

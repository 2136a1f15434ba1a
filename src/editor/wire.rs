//! Messages on a stream, framed by `Content-Length`. What is no message is reported and skipped: a client with a bad moment
//! does not lose its server.
//!
//! The reader of `lsp-server` ends at the first malformed message and allocates whatever length a header names.

use std::io::{self, BufRead, Read};

use lsp_server::Message;

/// Longer messages are skipped.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
const MAX_LINE_BYTES: u64 = 64 << 10;

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Message),
    /// Something else, with what is wrong with it.
    Malformed(String),
    /// The stream has ended.
    End,
}

const LENGTH: &str = "content-length:";

/// The next message, or what came instead of it.
pub(super) fn read(input: &mut impl BufRead) -> Incoming {
    match frame(input) {
        Ok(Some(Ok(body))) => match serde_json::from_slice(&body) {
            Ok(message) => Incoming::Message(message),
            Err(error) => Incoming::Malformed(format!("a message that is not JSON-RPC: {error}")),
        },
        Ok(Some(Err(problem))) => Incoming::Malformed(problem),
        Ok(None) | Err(_) => Incoming::End,
    }
}

/// Reads header lines up to the empty one, then the body. Lines that are no headers are skipped, so that after a broken
/// message the next one is found.
fn frame(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut length = None;
    let mut skipped = false;
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).to_ascii_lowercase();
        let line = line.trim();
        match (line.rfind(LENGTH), length) {
            (Some(at), _) => match line[at + LENGTH.len()..].trim().parse::<usize>() {
                Ok(bytes) if bytes <= MAX_MESSAGE_BYTES => length = Some(bytes),
                Ok(bytes) => return Ok(Some(Err(format!("a message of {bytes} bytes is too long")))),
                Err(_) => return Ok(Some(Err("a `Content-Length` that is no number".to_owned()))),
            },
            (None, Some(length)) if line.is_empty() => {
                let mut body = vec![0; length];
                input.read_exact(&mut body)?;
                return Ok(Some(Ok(body)));
            }
            (None, None) if line.is_empty() && skipped => {
                return Ok(Some(Err("something without a `Content-Length`".to_owned())));
            }
            (None, None) => skipped |= !line.is_empty(),
            (None, Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn all(input: &str) -> Vec<Incoming> {
        let mut input = input.as_bytes();
        let mut found = Vec::new();
        loop {
            match read(&mut input) {
                Incoming::End => return found,
                incoming => found.push(incoming),
            }
        }
    }

    const GOOD: &str = r#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#;

    #[test]
    fn after_what_is_malformed_the_next_message_is_read() {
        let huge = "Content-Length: 99999999999\r\n\r\n";
        for bad in
            [framed("{"), framed("[1]"), "nonsense\r\n\r\n".into(), huge.into(), "Content-Length: x\r\n\r\n".into()]
        {
            let found = all(&format!("{bad}{}", framed(GOOD)));
            assert!(matches!(found.first(), Some(Incoming::Malformed(_))), "{bad:?} gave {found:?}");
            assert!(matches!(found.last(), Some(Incoming::Message(_))), "{bad:?} gave {found:?}");
        }
    }

    #[test]
    fn other_headers_and_cut_off_messages_do_no_harm() {
        let typed = framed(GOOD).replacen("\r\n", "\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n", 1);
        assert!(matches!(all(&typed).as_slice(), [Incoming::Message(_)]));
        assert!(all("Content-Length: 100\r\n\r\n{}").is_empty());
    }
}

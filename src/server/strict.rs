//! Finds where calls begin and end in what a caller sends, and refuses what two programs could read differently.
//!
//! hyper takes a lone LF for the end of a line, keeps one of several `Content-Length`, and drops one that stands beside
//! `Transfer-Encoding`, before anybody sees them. A proxy in front of us may read such a call otherwise, and then what is a
//! body to one is a second call to the other (request smuggling; RFC 9112, sections 2.2, 6.1 and 6.3). So such a call is
//! refused here. Everything else is left to hyper: this changes no byte and believes no call to be good.
//!
//! It costs one look for each line of a head and one for each chunk; the data of bodies is skipped.

use memchr::memchr;

/// What is remembered of a line that arrives in pieces: enough for `transfer-encoding: chunked`, for a length and for the
/// size of a chunk. A longer line of these kinds is refused, a longer line of another kind is skipped.
const LINE_BYTES: usize = 64;

/// One connection's bytes, in the order in which they arrive.
#[derive(Debug, Default)]
pub(super) struct Strict {
    place: Place,
    line: Line,
    framing: Framing,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The request line, or an empty line before it.
    #[default]
    Start,
    /// The fields of a head.
    Fields,
    /// This many bytes of a body, or of a chunk.
    Data { left: u64, chunked: bool },
    /// The line with the size of a chunk.
    ChunkSize,
    /// The end of the line that a chunk's data stands on.
    ChunkEnd,
    /// Fields after the last chunk.
    Trailers,
}

/// How long the body is, as far as the head was read.
#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// The beginning of a line whose end has not arrived.
#[derive(Debug)]
struct Line {
    start: [u8; LINE_BYTES],
    /// Bytes of the line, with those that are not in `start`.
    length: usize,
    last: u8,
}

impl Default for Line {
    fn default() -> Self {
        Self { start: [0; LINE_BYTES], length: 0, last: 0 }
    }
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        let known = self.length.min(LINE_BYTES);
        let room = bytes.len().min(LINE_BYTES - known);
        self.start[known..known + room].copy_from_slice(&bytes[..room]);
        self.length += bytes.len();
        self.last = last;
    }
}

impl Strict {
    /// Looks at the next bytes of the connection.
    ///
    /// # Errors
    /// What follows is refused: how many of `bytes` come before it and may be read.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while at < bytes.len() {
            if let Place::Data { left, chunked } = self.place {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                self.place = match left - here as u64 {
                    0 if chunked => Place::ChunkEnd,
                    0 => Place::Start,
                    left => Place::Data { left, chunked },
                };
                continue;
            }
            let rest = &bytes[at..];
            let Some(end) = memchr(b'\n', rest) else {
                self.line.add(rest);
                return Ok(());
            };
            self.end_of_line(&rest[..end]).ok_or(at + end)?;
            at += end + 1;
        }
        Ok(())
    }

    /// Takes a line whose LF follows `rest`. Nothing: it is refused.
    fn end_of_line(&mut self, rest: &[u8]) -> Option<()> {
        if self.line.length == 0 {
            // Nearly every line arrives whole.
            return self.whole(rest.strip_suffix(b"\r")?, false);
        }
        self.line.add(rest);
        let line = std::mem::take(&mut self.line);
        let length = line.length - 1;
        (line.last == b'\r').then_some(())?;
        self.whole(&line.start[..length.min(LINE_BYTES)], length > LINE_BYTES)
    }

    /// A line without its end; of one that is `cut`, only the beginning.
    fn whole(&mut self, line: &[u8], cut: bool) -> Option<()> {
        self.place = match self.place {
            // RFC 9112, section 2.2: empty lines before the request line are ignored.
            Place::Start if line.is_empty() => Place::Start,
            Place::Start => {
                self.framing = Framing::default();
                Place::Fields
            }
            Place::Fields if line.is_empty() => self.framing.body(),
            Place::Fields => {
                self.framing.field(line, cut)?;
                Place::Fields
            }
            Place::ChunkSize => match chunk_size(line)? {
                0 => Place::Trailers,
                left => Place::Data { left, chunked: true },
            },
            Place::ChunkEnd if line.is_empty() => Place::ChunkSize,
            Place::ChunkEnd => return None,
            Place::Trailers if line.is_empty() => Place::Start,
            Place::Trailers => Place::Trailers,
            Place::Data { .. } => unreachable!("data has no lines"),
        };
        Some(())
    }
}

impl Framing {
    /// Takes a field of the head. Nothing: it makes the length of the body doubtful.
    fn field(&mut self, line: &[u8], cut: bool) -> Option<()> {
        let cut = cut || line.len() > LINE_BYTES;
        let Some(colon) = memchr(b':', line) else { return Some(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            (!cut && self.length.is_none() && !self.chunked).then_some(())?;
            self.length = Some(decimal(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            (!cut && self.length.is_none() && !self.chunked).then_some(())?;
            value.eq_ignore_ascii_case(b"chunked").then_some(())?;
            self.chunked = true;
        }
        Some(())
    }

    /// What follows the head.
    fn body(self) -> Place {
        match self {
            Self { chunked: true, .. } => Place::ChunkSize,
            Self { length: Some(left @ 1..), .. } => Place::Data { left, chunked: false },
            Self { .. } => Place::Start,
        }
    }
}

/// Digits and nothing else: no sign, no list.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// The size in hexadecimal digits, before what may follow it (RFC 9112, section 7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    let extension = rest.is_empty() || rest.starts_with(b";");
    let digits = std::str::from_utf8(&line[..digits]).ok().filter(|_| extension)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /a HTTP/1.1\r\nHost: h\r\n";

    /// Whether all of it passes, whatever the pieces in which it arrives; how much of it does, if not.
    fn check(text: &str) -> Result<(), usize> {
        let bytes = text.as_bytes();
        let whole = Strict::default().check(bytes);
        for size in [1, 2, 3, 7, 64, 65] {
            let mut strict = Strict::default();
            let mut at = 0;
            let pieces = bytes.chunks(size).try_for_each(|piece| {
                let checked = strict.check(piece).map_err(|good| at + good);
                at += piece.len();
                checked
            });
            assert_eq!(pieces, whole, "in pieces of {size}: {text:?}");
        }
        whole
    }

    #[test]
    fn calls_that_everybody_reads_alike_pass() {
        let long = "x".repeat(500);
        let good = [
            format!("{HEAD}\r\n"),
            format!("\r\n\r\n{HEAD}\r\n"),
            format!("{HEAD}Content-Length: 5\r\n\r\na\nb\nc"),
            format!("{HEAD}content-LENGTH:0\r\n\r\n"),
            format!("{HEAD}Cookie: {long}\r\nContent-Length:\t 5 \r\n\r\na\nb\nc"),
            format!(
                "{HEAD}Transfer-Encoding: Chunked\r\n\r\n3\r\n\n\n\n\r\n00a;x=\"{long}\"\r\n0123456789\r\n0\r\nx: y\r\n\r\n"
            ),
            format!("{HEAD}TRANSFER-ENCODING:chunked\r\n\r\n0\r\n\r\n"),
            format!("{HEAD}Accept: a\r\nAccept: b\r\n\r\n"),
        ];
        for text in &good {
            assert_eq!(check(text), Ok(()), "{text:?}");
            for next in &good {
                let two = format!("{text}{next}");
                assert_eq!(check(&two), Ok(()), "one after the other: {two:?}");
                // The boundary between the two was found, else the lone LF would have been taken for data.
                assert!(check(&format!("{text}{}", next.replacen("\r\n", "\n", 9))).is_err(), "{text:?} {next:?}");
            }
        }
    }

    #[test]
    fn what_could_be_read_differently_is_refused_where_it_stands() {
        let bad = [
            "X: y\n",
            "X: y\r\n\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: 1 1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding:\r\n",
            "Content-Length:                                                               1\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\n",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Transfer-Encoding: chunked\r\n\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n+1\r\n",
            "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\nx: y\n",
        ];
        for lines in bad {
            let text = format!("{HEAD}{lines}");
            assert_eq!(check(&text), Err(text.len() - 1), "{lines:?}");
        }
        let request_line = "POST /a HTTP/1.1\n";
        assert_eq!(check(request_line), Err(request_line.len() - 1));
        assert_eq!(check("\n"), Err(0), "also before the request line");
    }
}

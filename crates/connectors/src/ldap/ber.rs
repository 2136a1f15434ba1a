//! What LDAP needs of BER (X.690, as RFC 4511 5.1 narrows it): definite lengths, one-byte tags.

/// Tags of the elements that have no name of their own here.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element as it is written.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(contents.len() + 6);
    written.push(tag);
    match u8::try_from(contents.len()) {
        Ok(length @ ..=127) => written.push(length),
        _ => {
            let bytes = contents.len().to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            written.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
            written.extend_from_slice(bytes);
        }
    }
    written.extend_from_slice(contents);
    written
}

/// A number that is not negative.
pub(super) fn number(tag: u8, number: u32) -> Vec<u8> {
    let bytes = u64::from(number).to_be_bytes();
    // One zero stays before a byte that would make it negative.
    let zeros = bytes[..7].iter().zip(&bytes[1..]).take_while(|(byte, next)| **byte == 0 && **next < 0x80).count();
    element(tag, &bytes[zeros..])
}

/// Takes elements from the beginning of what was received.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, if it is whole: its tag and contents.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (head, length) = header(self.0)?;
        let contents = self.0.get(head..head.checked_add(length)?)?;
        let tag = self.0[0];
        self.0 = &self.0[head + length..];
        Some((tag, contents))
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }

    /// A number that is not negative.
    pub(super) fn number(&mut self, tag: u8) -> Option<u32> {
        let bytes = self.expect(tag)?;
        let fits = !bytes.is_empty() && bytes.len() <= 8 && bytes[0] < 0x80;
        let value = fits.then(|| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))?;
        u32::try_from(value).ok()
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.expect(OCTETS)?).ok()
    }
}

/// How long the header and the contents of an element are, once its header is there.
pub(super) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        length @ ..=0x7f => Some((2, usize::from(length))),
        // A length of four bytes is more than anybody may send.
        count @ 0x81..=0x84 => {
            let count = usize::from(count & 0x7f);
            let length = bytes.get(2..2 + count)?;
            Some((2 + count, length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))))
        }
        // Told as longer than anything: no length follows that this could read.
        _ => Some((2, usize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let contents = vec![7; length];
            let written = element(OCTETS, &contents);
            let mut reader = Reader(&written);
            assert_eq!(reader.next(), Some((OCTETS, contents.as_slice())), "{length}");
            assert!(reader.is_at_end());
            assert_eq!(Reader(&written[..written.len() - 1]).next(), None, "{length}");
        }
        for value in [0, 1, 127, 128, 255, 256, 32_767, 32_768, 0x7fff_ffff, u32::MAX] {
            assert_eq!(Reader(&number(INTEGER, value)).number(INTEGER), Some(value));
        }
        assert_eq!(number(INTEGER, 128), [2, 2, 0, 128]);
    }

    #[test]
    fn what_is_broken_is_nothing() {
        for bytes in [&[][..], &[4], &[4, 1], &[4, 0x80, 0], &[4, 0x85, 0, 0, 0, 0, 1, 7], &[4, 0x82, 1]] {
            assert_eq!(Reader(bytes).next(), None, "{bytes:?}");
        }
        for bytes in
            [&[2, 0][..], &[2, 1, 0xff], &[2, 5, 1, 0, 0, 0, 0], &[2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[4, 1, 1]]
        {
            assert_eq!(Reader(bytes).number(INTEGER), None, "{bytes:?}");
        }
        assert_eq!(Reader(&[4, 1, 0xff]).text(), None);
    }
}

//! Whether the path that a script gives stays below the address of the settings, whatever the server behind it makes of it.
//!
//! Servers differ in what they undo: one decodes twice, one takes `..;x` for `..`, one reads overlong UTF-8 or full-width
//! letters. So a path is undone here in every way that is known, and must be harmless at every step.

use std::borrow::Cow;

/// Decoding again and again ends here; nobody means what is not plain by then.
const MOST_ROUNDS: usize = 5;

/// Whether a path may be added to the address of the settings.
///
/// # Errors
/// Why not, for the author of the script.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("the path {path:?} {why}"));
    if path.is_empty() {
        return Ok(());
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return refuse("must start with one `/`: it is joined to `base_url`");
    }
    if path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return refuse("has a space, a control character or a `\\`: use url_encode for its parts");
    }
    if path.contains('#') {
        return refuse("has a `#`, which is never sent: use url_encode for its parts");
    }
    let mut step = Cow::Borrowed(path.split('?').next().unwrap_or_default().as_bytes());
    for round in 0..=MOST_ROUNDS {
        if let Err(why) = check_step(&step, round > 0) {
            return refuse(why);
        }
        match decoded(&step) {
            None => return Ok(()),
            Some(next) => step = Cow::Owned(next),
        }
    }
    refuse("is encoded again and again: encode each part once, with url_encode")
}

/// One form of a path, as it was given or decoded so many times.
fn check_step(path: &[u8], is_decoded: bool) -> Result<(), &'static str> {
    if is_overlong(path) {
        return Err("holds bytes that some servers read as another character (overlong UTF-8)");
    }
    let text: Cow<'_, str> = String::from_utf8_lossy(path);
    let plain = if text.is_ascii() { text } else { Cow::Owned(text.chars().flat_map(look_alike).collect()) };
    if is_decoded && plain.contains(|c: char| c.is_control()) {
        return Err("holds an encoded control character");
    }
    if plain.contains(';') {
        return Err("has a `;`: some servers cut a part off there, so that `..;` is `..`");
    }
    if plain.starts_with("//") {
        return Err("must start with one `/`: it is joined to `base_url`");
    }
    let climbs = |part: &str| {
        let part = part.trim();
        !part.is_empty() && part.bytes().all(|byte| byte == b'.' || byte == b' ')
    };
    if plain.split(['/', '\\']).any(climbs) {
        return Err("has a part `.` or `..`: it must stay below `base_url`");
    }
    Ok(())
}

/// The path with its `%41` and `%u0041` decoded once; nothing if there are none.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut next = Vec::with_capacity(path.len());
    let mut rest = path;
    let mut found = false;
    while let Some((&first, tail)) = rest.split_first() {
        let long = tail.strip_prefix(b"u").or_else(|| tail.strip_prefix(b"U"));
        if first == b'%'
            && let Some(number) = number(tail, 2).and_then(|number| u8::try_from(number).ok())
        {
            next.push(number);
            rest = &tail[2..];
            found = true;
        } else if first == b'%'
            && let Some(letter) = long.and_then(|long| number(long, 4)).and_then(char::from_u32)
        {
            next.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &tail[5..];
            found = true;
        } else {
            next.push(first);
            rest = tail;
        }
    }
    found.then_some(next)
}

fn number(digits: &[u8], count: usize) -> Option<u32> {
    let digits = digits.get(..count).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Forms of UTF-8 that are longer than need be (RFC 3629, section 3), and beginnings of them before what they stand for:
/// some decoders look at the last bits only.
fn is_overlong(path: &[u8]) -> bool {
    path.windows(2).any(|pair| match *pair {
        [0xc0 | 0xc1, next] => (0x80..0xc0).contains(&next) || matches!(next, b'.' | b'/' | b'\\'),
        [0xe0, next] => (0x80..0xa0).contains(&next),
        [0xf0, next] => (0x80..0x90).contains(&next),
        [0xf8..=0xfd, next] => (0x80..0xc0).contains(&next),
        _ => false,
    })
}

/// What servers make of letters that look like those of a path: by compatibility (NFKC), or by the best fit of a code page.
fn look_alike(letter: char) -> impl Iterator<Item = char> {
    let plain = match letter {
        '\u{2024}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' | '\u{3002}' => ".",
        '\u{2025}' | '\u{fe30}' => "..",
        '\u{2026}' | '\u{fe19}' => "...",
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' => "/",
        '\u{2216}' | '\u{29f5}' | '\u{fe68}' | '\u{ff3c}' => "\\",
        '\u{37e}' | '\u{fe14}' | '\u{fe54}' | '\u{ff1b}' => ";",
        _ => "",
    };
    plain.chars().chain(plain.is_empty().then_some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_server_takes_for_another_path_is_refused() {
        for path in [
            "/..;/admin",
            "/a/..;/..;/admin",
            "/..;x=y/admin",
            "/.;/x",
            "/a;jsessionid=1/b",
            "/..%3b/admin",
            "/..%3B/admin",
            "/%2e%2e;/x",
            "/%2e%2e%3b/x",
            "/..%253b/x",
            "/a%25253b/x",
            "/%25252e%25252e/x",
            "/%2525252e%2525252e/x",
            "/%25%32%65%25%32%65/x",
            "/%%32%65%%32%65/x",
            "/%u002e%u002e/x",
            "/%U002E./x",
            "/%uff0e%uff0e/x",
            "/%c0%ae%c0%ae/x",
            "/%c0%2e%c0%2e/x",
            "/%c0%af..%c0%afx",
            "/%c1%9c..",
            "/%e0%80%ae%e0%80%ae/x",
            "/%f0%80%80%ae/x",
            "/%f8%80%80%80%ae/x",
            "/%ef%bc%8e%ef%bc%8e/x",
            "/..%ef%bc%8fx",
            "/..%ef%bc%bcx",
            "/..%ef%bc%9b/x",
            "/%e2%80%a5/x",
            "/%e2%80%a4%e2%80%a4/x",
            "/\u{2025}/x",
            "/\u{ff0e}\u{ff0e}/x",
            "/\u{2026}/x",
            "/a/..\u{2215}..\u{2044}x",
            "/\u{37e}x",
            "/..%00/x",
            "/..%09/x",
            "/a%0d%0aHost:evil",
            "/a%00.json",
            "/a%7f",
            "/a%C2%85b",
            "/a%2500",
            "/..%20/x",
            "/.%20./x",
            "/%20../x",
            "/.../x",
            "/%2fevil.example/x",
            "/%252fevil.example",
            "/%2525252525252561",
            "/a%5c..%5cb",
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn ordinary_paths_are_taken() {
        for path in [
            "/",
            "/users/ann@corp.example",
            "/users/ann%40corp.example",
            "/users/Ann%20Lee",
            "/users/J\u{fc}rgen%20M\u{fc}ller",
            "/users/J%C3%BCrgen",
            "/users/J%FCrgen",
            "/users/%C0%20x",
            "/\u{65e5}\u{672c}\u{8a9e}/\u{5c71}\u{7530}\u{ff0f}\u{592a}\u{90ce}",
            "/%E6%97%A5%E6%9C%AC",
            "/projects/group%2Fproject/files/a%2Fb.txt",
            "/accounts/CORP%5Cann",
            "/files/report.v1.2.pdf",
            "/files/..hidden",
            "/files/a..b",
            "/files/wait\u{2026}",
            "/files/100%25",
            "/files/100%2520",
            "/files/50%-off",
            "/a?x=/../;y=..%3b%00",
            "/Users(id='7')/groups,$ref",
            "/a/b/",
            "/a//b",
            "/:8080/!$&'()*+,=~-_",
            "/%F0%9F%94%91",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
    }
}

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::allocator;
use crate::budget::{Budget, Stopped};

fn budget(millis: u64, patience: Option<u64>) -> Budget {
    let now = Instant::now();
    Budget {
        operations: u64::MAX / 2,
        deadline: now + Duration::from_millis(millis),
        memory_bytes: 64 << 20,
        patience: patience.map(|millis| (u64::MAX / 2, now + Duration::from_millis(millis))),
    }
}

fn spans(slots: &[Option<NonMaxUsize>]) -> Vec<Option<(usize, usize)>> {
    slots.chunks(2).map(|pair| Some((pair[0]?.get(), pair[1]?.get()))).collect()
}

/// What `regex` finds, and what the search in steps finds.
fn both(pattern: &str, text: &str) {
    let regex = regex::Regex::new(pattern).expect("a pattern");
    let expected = regex
        .captures(text)
        .map(|found| found.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect::<Vec<_>>());
    let own = compiled(pattern).expect("a pattern");
    let mut slots = vec![None; own.nfa.group_info().slot_len()];
    let found = pike::find(&own.nfa, text, &mut slots).expect("no limit");
    assert_eq!(found.then(|| spans(&slots)), expected, "{pattern:?} in {text:?}");
    assert_eq!(pike::find(&own.nfa, text, &mut []).expect("no limit"), expected.is_some(), "{pattern:?} in {text:?}");
    assert_eq!(own.find(text).expect("no limit").map(|slots| spans(&slots)), expected, "{pattern:?} in {text:?}");
    assert_eq!(own.is_match(text).expect("no limit"), expected.is_some());
}

#[test]
fn a_search_in_steps_finds_what_regex_finds() {
    let patterns = [
        "",
        "a",
        "a|ab",
        "(a|ab)(c|bcd)",
        "(?:a*)*b",
        "(a*)(a*)",
        "^a",
        "a$",
        "^$",
        "(?m)^b$",
        "(?i)straße",
        r"\bb\b",
        r"\B",
        r"(?<x>\w+)\s+(?<y>\w+)",
        "(a)|(b)",
        "(?:(a)|b)*",
        "a{2,3}?",
        "a{2,3}",
        "(?s).b",
        ".",
        r"\pL+",
        "[^a]",
        "x*",
        "(|a)+",
        "(a+|b+)*?c",
        r"(?-u:\b)a",
    ];
    let texts =
        ["", "a", "ab", "abcd", "aaab", "b\na", "a b", "ü", "Straße STRASSE", "aüb", "日本 語", "bbbc", "\n", "xx"];
    for pattern in patterns {
        for text in texts {
            both(pattern, text);
        }
    }
}

proptest! {
    #[test]
    fn a_search_in_steps_agrees_on_any_pattern(
        pattern in r"([ab.]|\(a\|b\)|\(\?:a\*\)|\\b|\^|\$|\(ab\)\?|\[ab\]\+|ü|\(a\*\?\)){0,8}",
        text in "[abü \n]{0,12}",
    ) {
        both(&pattern, &text);
    }
}

#[test]
fn a_long_search_ends_at_its_deadline_and_leaves_the_worker() {
    let text = "a".repeat(1_000_000);
    let pattern = compiled("^(?:(a|aa|aaa)*){1,40}(a*)(a*)(a*)(a*)b?$").expect("a pattern");
    for (budget, why) in [(budget(50, None), Stopped::Deadline), (budget(60_000, Some(2)), Stopped::Patience)] {
        let started = Instant::now();
        let (found, stopped, _) = budget::spend(&budget, || pattern.find(&text).is_err());
        assert!(found);
        assert_eq!(stopped, Some(why));
        assert!(started.elapsed() < Duration::from_secs(20), "it does not run to its end");
    }
    let few = Budget { operations: 1_000, ..budget(60_000, None) };
    assert_eq!(budget::spend(&few, || pattern.is_match(&text).is_err()).1, Some(Stopped::Operations));
}

#[test]
fn a_wrong_pattern_explains_itself() {
    for (pattern, reason) in [
        ("(", "unclosed group"),
        ("(?=a)", "look-around"),
        ("[z-a]", "range"),
        (r"\w{1000}{1000}", "size limit"),
        (&"(a)".repeat(3_000), "too many groups"),
    ] {
        let message = compiled(pattern).err().expect(pattern).to_string();
        assert!(message.contains(&format!("`{}`", shortened(pattern))) && message.contains(reason), "{message}");
    }
    assert!(compiled(&"a".repeat(MAX_TEXT + 1)).err().expect("too long").to_string().contains("16384 bytes"));
    assert!(compiled(&r"\pL".repeat(MAX_CLASSES + 1)).err().expect("too costly").to_string().contains("classes"));
}

#[test]
fn kept_patterns_are_bounded_in_bytes() {
    let before = allocator::thread_bytes();
    for number in 0..100 {
        compiled(&format!(r"^\pL{{20}}{number}$")).expect("a pattern").is_match("x").expect("no limit");
    }
    assert!(PATTERNS.weight() <= KEPT, "{} bytes are kept", PATTERNS.weight());
    let held = allocator::thread_bytes() - before;
    // Without the limits it would be more than a hundred megabytes.
    let most = i64::try_from(2 * (KEPT + KEPT_PER_THREAD as u64)).expect("a small number");
    assert!(held <= most, "{held} bytes are held by this thread");
}

#[test]
fn a_large_pattern_is_not_compiled_on_an_async_worker() {
    let compile = || compiled(r"^\pL{31}only here$").is_err();
    assert_eq!(budget::spend(&budget(60_000, Some(60_000)), compile).1, Some(Stopped::Patience));
    assert_eq!(budget::spend(&budget(60_000, None), compile).1, None);
}

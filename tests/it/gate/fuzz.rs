//! Whatever is done to the example bundle: what the gate lets through passes all tests when they are run afresh.

use std::path::Path;

use hookgate_engine::config::scripts;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::gate::{Gate, Pace};
use hookgate_engine::telemetry::metrics::Metrics;

const ROUNDS: usize = 120;
/// Of so many refused releases one is tested afresh, too.
const REFUSED_CHECKED: usize = 25;

/// Xorshift: the same edits in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Swaps that leave most scripts whole.
const SWAPS: [(&str, &str); 14] = [
    ("==", "!="),
    ("!=", "=="),
    ("&&", "||"),
    ("||", "&&"),
    (" < ", " >= "),
    (" > ", " <= "),
    ("true", "false"),
    ("false", "true"),
    ("return ", ""),
    ("allow()", "()"),
    ("\"", "\"x"),
    ("()", "1"),
    ("0", "1"),
    ("1", "2"),
];

fn edit(text: &str, dice: &mut Dice) -> String {
    let (old, new) = *dice.of(&SWAPS);
    let places: Vec<usize> = text.match_indices(old).map(|(place, _)| place).collect();
    if places.is_empty() {
        return format!("{text}// {}\n", dice.below(1_000));
    }
    let place = *dice.of(&places);
    format!("{}{new}{}", &text[..place], &text[place + old.len()..])
}

fn change(bundle: &mut Reading, dice: &mut Dice) {
    let Reading { document, texts, .. } = bundle;
    let names: Vec<String> = texts.scripts.keys().cloned().collect();
    match dice.below(10) {
        0 => {
            let tables: Vec<String> = texts.tables.keys().cloned().collect();
            let name = dice.of(&tables).clone();
            let text = String::from_utf8_lossy(&texts.tables[&name]).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let gone = 1 + dice.below(lines.len() - 1);
            let left = lines.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, line)| *line);
            let left = left.collect::<Vec<_>>().join("\n");
            texts.tables.insert(name, left.into_bytes().into());
        }
        1 => {
            let routes: Vec<String> = document.config.routes.keys().cloned().collect();
            let params = &mut document.config.routes.get_mut(dice.of(&routes)).unwrap().params;
            let keys: Vec<String> = params.keys().cloned().collect();
            if !keys.is_empty() {
                params.remove(dice.of(&keys));
            }
        }
        _ => {
            let name = dice.of(&names).clone();
            let text = edit(&texts.scripts[&name], dice);
            texts.scripts.insert(name, text.into());
        }
    }
}

fn release(place: &Place, bundle: &Reading, before: Option<&Release>) -> Option<Release> {
    build::assemble(place, bundle.clone(), before, Secrets::Skip, &Metrics::new()).ok()
}

#[test]
fn no_release_with_a_failing_test_ever_goes_live() {
    let place = Place::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml"));
    let mut base = build::read(&place).unwrap();
    base.document.config.scripts.gate = scripts::Gate::Tests;
    let gate = Gate::default();
    let mut live = release(&place, &base, None).unwrap();
    let first = gate.examine(&live, Pace::Start);
    assert!(first.errors.is_empty(), "{:#?}", first.errors);
    gate.keep(&first);
    let mut current = base.clone();
    let mut dice = Dice(0x5eed_cafe);
    let (mut broken, mut refused, mut passed) = (0, 0, 0);
    for round in 0..ROUNDS {
        // Mostly one step from what is in force, sometimes from the start.
        let mut next = if dice.below(4) == 0 { base.clone() } else { current.clone() };
        change(&mut next, &mut dice);
        let Some(candidate) = release(&place, &next, Some(&live)) else {
            broken += 1;
            continue;
        };
        let examined = gate.examine(&candidate, Pace::Start);
        let admitted = examined.errors.is_empty();
        if admitted || refused % REFUSED_CHECKED == 0 {
            let afresh = Gate::default().examine(&candidate, Pace::Start);
            assert_eq!(admitted, afresh.errors.is_empty(), "round {round}: {:#?}", (examined.errors, afresh.errors));
        }
        if admitted {
            passed += 1;
            gate.keep(&examined);
            (live, current) = (candidate, next);
        } else {
            refused += 1;
        }
    }
    assert!(broken > 2 && refused > 12 && passed > 12, "{broken} broken, {refused} refused, {passed} passed");
}

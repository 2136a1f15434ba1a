//! `docs`, `completions` and the command line itself.

use super::Bundle;

#[test]
fn the_schema_is_the_one_of_the_configuration() {
    let bundle = Bundle::new();
    assert_eq!(bundle.run(&["docs", "--schema"]).json(), *hookgate_engine::release::schema());
}

#[test]
fn hooks_and_functions_have_pages() {
    let bundle = Bundle::new();
    let topics = bundle.run(&["docs"]).out;
    for hook in hookgate_hooks::HOOKS.iter() {
        assert!(topics.contains(hook.name), "{} is missing in\n{topics}", hook.name);
        assert!(bundle.run(&["docs", hook.name]).out.contains(hook.entry));
    }
    assert!(bundle.run(&["docs", "deny_field"]).out.contains("deny_field(attribute: string, text: string)"));
    for family in ["Assertions", "Mocks", "assert_eq", "set_table"] {
        assert!(topics.contains(family), "{family} is missing in\n{topics}");
    }
    let claim = bundle.run(&["docs", "assert_eq"]).out;
    assert!(claim.contains("assert_eq(actual: any, expected: any") && claim.contains("in tests of scripts"), "{claim}");
    assert!(bundle.run(&["docs", "run"]).out.contains("-> Outcome"));
    let wrong = bundle.run(&["docs", "okta.registraton"]);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("did you mean `okta.registration`?"), "{}", wrong.err);
}

#[test]
fn definitions_are_written_for_every_hook() {
    let bundle = Bundle::new();
    let ran = bundle.run(&["docs", "--definitions", "types"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for name in hookgate_hooks::HOOKS.iter().map(|hook| hook.name).chain(["prelude", "tests"]) {
        let text = bundle.read(&format!("types/{name}.d.rhai"));
        assert!(text.contains("\nmodule static;\n") && text.contains("\nfn "), "{name}:\n{text}");
    }
    assert_eq!(bundle.run(&["docs", "--definitions", "gateway.toml"]).status, 2, "a file is no folder");
}

#[test]
fn shells_get_completions() {
    let bundle = Bundle::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bundle.run(&["completions", shell]).out.contains("simulate"), "{shell}");
    }
}

#[test]
fn colour_is_used_where_it_is_asked_for() {
    let bundle = Bundle::new();
    assert!(!bundle.run(&["check"]).out.contains('\u{1b}'), "a pipe gets none");
    assert!(bundle.run(&["check", "--color", "always"]).out.contains('\u{1b}'));
}

#[test]
fn a_wrong_option_ends_with_status_2() {
    assert_eq!(Bundle::new().run(&["check", "--frmat", "json"]).status, 2);
}

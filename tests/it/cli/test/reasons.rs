//! `assert_fails` with the words of `hookgate_fallback_total{reason}`.

use super::super::Bundle;

const TESTS: &str = r#"
fn test_reason() { assert_fails(run(), "script_error"); }
fn test_message() { assert_fails(run(), "no contract"); }
fn test_word_of_the_message() { assert_fails(run(), "contract"); }
fn test_misspelled() { assert_fails(run(), "scripterror"); }
fn test_of_a_gateway() { assert_fails(run(), "overload"); }
fn test_another() { assert_fails(run(), "timeout"); }
"#;

#[test]
fn the_reasons_of_metrics_are_taken_and_others_are_refused_with_the_nearest() {
    let bundle = Bundle::new();
    bundle.write("scripts/registration.rhai", "fn on_registration(_request) { throw \"no contract\" }\n");
    bundle.write("scripts/registration_test.rhai", TESTS);
    bundle.write("scripts/telephony.rhai", "fn on_telephony(_request) { send([via(\"acme\")]) }\n");
    bundle.write(
        "scripts/telephony_test.rhai",
        "fn test_not_sent() { ignore_config(); mock_send(\"acme\", \"refused\"); assert_fails(run(), \"not_sent\"); }\n",
    );
    let ran = bundle.run(&["test", "--json"]).json();
    let told: Vec<(String, String)> = ran["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            (text(&trial["name"]), text(&trial["complaints"][0]["finding"]["message"]))
        })
        .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(name, message)| (name.as_str(), message.as_str())).collect();
    assert_eq!(
        told,
        [
            ("test_reason", ""),
            ("test_message", ""),
            ("test_word_of_the_message", ""),
            (
                "test_misspelled",
                "the script failed for another reason; there is no reason `scripterror`; did you mean `script_error`?"
            ),
            (
                "test_of_a_gateway",
                "the script failed for another reason; `overload` (more calls came than can be answered in time) comes of a \
                 running gateway, and of no test"
            ),
            ("test_another", "the script failed for another reason"),
            ("test_not_sent", ""),
        ]
    );
}

//! The table of codes: every code that the sources can give has a row and the other way round, and every example does what
//! its row says.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hookgate::cli::docs::codes;
use hookgate_engine::gateway::decide;
use hookgate_engine::gateway::decide::{Asked, InlineRoute};
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::Options;
use hookgate_engine::harness::trial::Trial;
use hookgate_engine::lookup::Lookups;
use hookgate_engine::outcome::RunFailure;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_hooks::Hook;
use hookgate_model::finding::Finding;
use hookgate_script::lanes::Lanes;
use hookgate_script::lint::codes::testing::TESTED;
use hookgate_script::lint::codes::{Code, Stage};

use crate::harness::{SECRET_FILES, TestGateway, route, sender};

/// Codes that no single script can show.
const WITHOUT_EXAMPLE: [&str; 10] = [
    "script/too-large",
    "script/too-slow",
    "script/unused-file",
    "script/unreadable",
    "script/missing",
    "script/panic",
    "script/untested",
    "test/no-script",
    "test/case",
    "test/gate-timeout",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A bundle of one route whose script is this one, beside the repository's own shared files.
struct Bundle {
    folder: tempfile::TempDir,
}

impl Bundle {
    fn new(hook: &Hook, script: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("scripts/lib")).unwrap();
        let mut config = format!("[limits]\noperations = 20_000\n{}", route(hook));
        config += more;
        if script.contains("table(\"disposable\")") {
            write!(config, "\n[tables.disposable]\nfile = \"disposable.txt\"\nkind = \"domains\"\n").unwrap();
            fs::write(path("disposable.txt"), "mailinator.com\n").unwrap();
        }
        // The nearest name of a misspelt one has to be there, too.
        for (name, written) in [("chat", "chat"), ("chat", "chta"), ("siem", "siem")] {
            if script.contains(&format!("(\"{written}\"")) {
                write!(config, "\n[connectors.{name}]\nkind = \"file\"\npath = \"{name}.jsonl\"\n").unwrap();
            }
        }
        if script.contains("(\"hr\"") {
            config += "\n[connectors.hr]\nkind = \"http\"\nbase_url = \"https://hr.example\"\n";
        }
        for name in ["a", "acme", "codes", "other"] {
            if script.contains(&format!("via(\"{name}\"")) {
                config += &sender(name);
            }
        }
        fs::write(path("gateway.toml"), config).unwrap();
        for (name, secret) in SECRET_FILES {
            fs::write(path(name), secret).unwrap();
        }
        fs::write(path("scripts/hook.rhai"), script).unwrap();
        for name in ["lib/domains.rhai", "lib/texts.rhai"] {
            if script.contains("import \"lib/") {
                fs::copy(root().join("scripts").join(name), path("scripts").join(name)).unwrap();
            }
        }
        Self { folder }
    }

    /// The bundle of an example of a code: a script, or tests of the script that they are all about.
    fn example(code: &Code, text: &str) -> Self {
        if !code.is_of_tests() {
            let first = text.trim().lines().next().and_then(|line| line.strip_prefix("// gateway.toml: "));
            return Self::new(hook_of(code), text.trim(), &first.map(|line| format!("{line}\n")).unwrap_or_default());
        }
        let bundle = Self::new(hookgate_hooks::find("okta.registration").unwrap(), TESTED.trim(), "");
        fs::write(bundle.folder.path().join("scripts/hook_test.rhai"), text.trim()).unwrap();
        bundle
    }

    fn built(&self) -> Result<Release, Vec<Finding>> {
        let place = Place::of(&self.folder.path().join("gateway.toml"));
        build::check(&place, Secrets::Check, &Metrics::new())
    }

    /// What is found in its script; the shared files are not what the example is about.
    fn findings(&self) -> Vec<Finding> {
        let all = self.built().map_or_else(|findings| findings, |release| release.warnings.clone());
        let own = |finding: &Finding| finding.code == "script/duplicate-function" || !finding.file.contains("/lib/");
        all.into_iter().filter(own).collect()
    }

    /// What is found of its tests, by reading and by running them.
    fn of_tests(&self) -> Vec<Finding> {
        let release = self.built().unwrap_or_else(|findings| panic!("{findings:#?}"));
        let report = run::run(&suite::suite(&release), &Options::default(), &|_| {});
        let mut findings = suite::findings(&release);
        findings.extend(report.trials.iter().flat_map(Trial::findings));
        findings
    }

    /// What is found in it as an example of a code.
    fn of_example(&self, code: &Code) -> Vec<Finding> {
        let mut findings = self.findings();
        if code.is_of_tests() {
            findings.extend(self.of_tests());
        }
        findings
    }

    /// The code of what goes wrong in a call of the hook's first sample.
    async fn failure(&self, hook: &Hook) -> Option<&'static str> {
        let release = self.built().unwrap_or_else(|findings| panic!("{findings:#?}"));
        let request = (hook.decode)(&hook.samples[0].request.into()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let lanes = Lanes::start().unwrap();
        match decide::decide(
            &lanes,
            &Lookups::on_trial(Metrics::new()),
            InlineRoute::of(&release, &release.routes[0]).expect("an inline route"),
            &request,
            Asked { deadline, parent: None },
        )
        .await
        .failure
        {
            Some(RunFailure::Script(error)) => Some(error.finding.code),
            Some(other) => panic!("{other}"),
            None => None,
        }
    }
}

fn hook_of(code: &Code) -> &'static Hook {
    let entry = |hook: &&Hook| code.good.contains(&format!("fn {}(", hook.entry));
    hookgate_hooks::HOOKS
        .iter()
        .find(entry)
        .unwrap_or_else(|| panic!("{}: the good example has no entry function", code.code))
}

fn found(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{} {}", finding.code, finding.one_line())).collect()
}

#[test]
fn every_code_of_the_sources_has_one_row_and_every_row_a_source() {
    let written = regex::Regex::new("\"((?:script|test)/[a-z-]+|config/[a-z]+-parameter)\"").unwrap();
    let mut emitted = BTreeSet::new();
    let mut files = Vec::new();
    crate::docs::files(&root().join("src"), ".rs", &mut files);
    crate::docs::files(&root().join("crates"), ".rs", &mut files);
    for path in files {
        let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if relative.contains("/tests") || relative.contains("/codes/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        emitted.extend(written.captures_iter(code).map(|found| found[1].to_owned()));
    }
    let rows: Vec<&str> = codes::all().iter().map(|code| code.code).collect();
    let unique: BTreeSet<String> = rows.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(rows.len(), unique.len(), "a code stands twice");
    assert_eq!(emitted, unique);
    for code in codes::all() {
        assert!(!code.title.is_empty() && !code.title.ends_with('.') && code.why.ends_with('.'), "{}", code.code);
        let without = WITHOUT_EXAMPLE.contains(&code.code);
        assert_eq!((code.bad.is_empty(), code.good.is_empty()), (without, without), "{}", code.code);
    }
}

#[tokio::test]
async fn every_bad_example_has_its_code_and_no_good_one_has_any() {
    let mut wrong = Vec::new();
    for code in codes::all().into_iter().filter(|code| !code.bad.is_empty()) {
        let (bad, good) = (Bundle::example(code, code.bad), Bundle::example(code, code.good));
        let findings = good.of_example(code);
        if !findings.is_empty() {
            wrong.push(format!("{}: the good example has {:#?}", code.code, found(&findings)));
        }
        if code.stage == Stage::Run {
            let hook = hook_of(code);
            if bad.failure(hook).await != Some(code.code) || good.failure(hook).await.is_some() {
                wrong.push(format!("{}: the examples do not fail as they should", code.code));
            }
            continue;
        }
        let findings = bad.of_example(code);
        if !findings.iter().any(|finding| finding.code == code.code) {
            wrong.push(format!("{}: the bad example has {:#?}", code.code, found(&findings)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_finding_of_a_bad_example_can_be_allowed_with_a_reason() {
    let itself = ["script/allow-without-reason", "script/unused-allow"];
    let mut tried = 0;
    for code in codes::all().into_iter().filter(|code| code.stage == Stage::Read && !itself.contains(&code.code)) {
        let of_code = |script: &str| -> Vec<Finding> {
            let findings = Bundle::example(code, script).of_example(code);
            findings.into_iter().filter(|finding| finding.code == code.code).collect()
        };
        let mut script: Vec<String> = code.bad.trim().lines().map(str::to_owned).collect();
        let mut lines: Vec<usize> = of_code(code.bad.trim()).iter().map(|finding| finding.line).collect();
        lines.dedup();
        if lines.contains(&0) {
            continue;
        }
        for line in lines.iter().rev() {
            script.insert(line - 1, format!("// hookgate: allow {} because this is a test", code.code));
        }
        tried += 1;
        assert!(of_code(&script.join("\n")).is_empty(), "{}", script.join("\n"));
        let all = found(&Bundle::example(code, &script.join("\n")).of_example(code));
        assert!(!all.iter().any(|line| line.starts_with("script/unused-allow")), "{all:#?}");
    }
    assert!(tried > 30, "only {tried} were tried");
}

#[test]
fn an_exception_for_a_code_that_does_not_exist_is_named() {
    let hook = hookgate_hooks::find("okta.token").unwrap();
    let script =
        "// hookgate: allow script/reserved-clame because it was so\nfn on_token(_request) { refuse(\"no\") }\n";
    let wanted = "script/unused-allow scripts/hook.rhai:1:1: there is no code `script/reserved-clame` \
                  (did you mean `script/reserved-claim`?)";
    assert_eq!(found(&Bundle::new(hook, script, "").findings()), [wanted]);
}

#[test]
fn exceptions_in_tests_are_judged_once_their_script_is_known() {
    let code = codes::find("test/no-assertion").unwrap();
    let told = |text: &str| found(&Bundle::example(code, text).of_tests());
    let exception = |code: &str| format!("// hookgate: allow {code} because it waits for a sample\n");
    let needless = format!("{}{}", exception(code.code), code.good.trim());
    let place = "script/unused-allow scripts/hook_test.rhai:1:1:";
    let useless = format!("{place} line 2 has no finding `test/no-assertion` to allow (remove this comment)");
    assert_eq!(told(&needless), [useless]);
    let firm = told(&format!("{}{}", exception("test/assertion"), code.good.trim()));
    assert_eq!(firm, [format!("{place} `test/assertion` cannot be allowed (mend what it is about)")]);
    let bare = told(&format!("// hookgate: allow test/no-assertion\n{}", code.bad.trim()));
    assert!(bare.iter().any(|line| line.starts_with("script/allow-without-reason ")), "{bare:#?}");
    // In a script there is nothing of the kind.
    let script = format!("{}{}", exception(code.code), TESTED.trim());
    let hook = hookgate_hooks::find("okta.registration").unwrap();
    let wanted = "script/unused-allow scripts/hook.rhai:1:1: line 2 has no finding `test/no-assertion` to allow (remove this comment)";
    assert_eq!(found(&Bundle::new(hook, &script, "").findings()), [wanted]);
}

#[test]
fn samples_of_hooks_and_the_scripts_of_this_repository_raise_no_alarm() {
    for hook in hookgate_hooks::HOOKS.iter() {
        for sample in hook.samples {
            let findings = Bundle::new(hook, sample.script, "").findings();
            let real: Vec<_> =
                findings.iter().filter(|finding| finding.code != "script/unused-parameter").cloned().collect();
            assert!(real.is_empty(), "{}: {:#?}", sample.name, found(&real));
        }
    }
    let place = Place::of(&root().join("gateway.toml"));
    let release =
        build::check(&place, Secrets::Skip, &Metrics::new()).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert!(release.warnings.is_empty(), "{:#?}", found(&release.warnings));
}

#[test]
fn settings_that_no_script_reads_are_named() {
    let hook = hookgate_hooks::find("okta.registration").unwrap();
    let found = |script: &str| {
        let more =
            "params = { blocked = [\"a.example\"], unread = 1 }\n[tables.old]\nfile = \"old.txt\"\nkind = \"lines\"\n";
        let bundle = Bundle::new(hook, script, more);
        fs::write(bundle.folder.path().join("old.txt"), "x\n").unwrap();
        found(&bundle.findings())
    };
    let script = |body: &str| format!("fn on_registration(request) {{ if {body} {{ allow() }} }}");
    assert_eq!(
        found(&script("request.email.domain_in(params.bloked)")),
        [
            "config/unused-parameter gateway.toml:13:22: `routes.hook.params.blocked`: no script of this route reads `params.blocked` (did you mean `bloked`?)",
            "config/unused-parameter gateway.toml:13:46: `routes.hook.params.unread`: no script of this route reads `params.unread` (remove it)",
            "config/unused-table gateway.toml:14:1: `tables.old`: no script reads `table(\"old\")` (remove it)",
        ]
    );
    let computed = "request.email.domain_in(params[request.kind]) && table(request.kind).has(request.email)";
    assert_eq!(found(&script(computed)), [""; 0]);
}

#[test]
fn what_a_shared_file_offers_for_nothing_is_named() {
    let hook = hookgate_hooks::find("okta.registration").unwrap();
    let script =
        "import \"lib/own\" as own;\nfn on_registration(request) { if own::used(request.email) { allow() } }\n";
    let bundle = Bundle::new(hook, script, "");
    let own = "const READ = 1;\nconst UNREAD = 2;\nfn used(email) { inner(email) }\nfn inner(email) { email.local.len() > READ }\n\
               fn unused(email) { email }\n";
    fs::write(bundle.folder.path().join("scripts/lib/own.rhai"), own).unwrap();
    let all = bundle.built().unwrap_or_else(|findings| panic!("{findings:#?}")).warnings;
    let all: Vec<String> =
        all.iter().filter(|finding| finding.file.ends_with("own.rhai")).map(Finding::one_line).collect();
    assert_eq!(
        all,
        [
            "scripts/lib/own.rhai:2:7: constant `UNREAD` is never used",
            "scripts/lib/own.rhai:5:4: function `unused` is never called"
        ]
    );
}

/// What the hooks know of their commands, in the exact words: hook, script's body, findings.
const COMMANDS: &[(&str, &str, &[&str])] = &[
    (
        "okta.token",
        "id_token.add_claim(\"groups\", request.client)",
        &[
            "error script/reserved-claim 2:10: the claim `groups` of the ID token belongs to Okta (use another name such as `app_groups`)",
        ],
    ),
    (
        "okta.token",
        "[access_token.remove_claim(NAME), access_token.replace_claim([\"iss\", \"x\"], 1), request.id]",
        &[
            "error script/reserved-claim 2:15: the claim `exp` of the access token belongs to Okta (use another name such as `app_exp`)",
            "error script/reserved-claim 2:48: the claim `iss` of the access token belongs to Okta (use another name such as `app_iss`)",
        ],
    ),
    (
        "okta.token",
        "if request.id == () { id_token.set_lifetime(60) } else { access_token.set_lifetime(SECONDS) }",
        &[
            "error script/lifetime 2:32: a token lives 300 to 86400 seconds, not 60",
            "error script/lifetime 2:71: a token lives 300 to 86400 seconds, not 90000",
        ],
    ),
    (
        "okta.token",
        "return [access_token.add_claim(\"a\", request.id), refuse(\"no\")];",
        &[
            "warning script/ignored-commands 2:50: Okta will ignore the commands beside this refusal (return the refusal alone)",
        ],
    ),
    (
        "okta.token",
        "access_token.add_claim(\"/claims/a\", request.id)",
        &[
            "error script/refused-argument 2:14: `/claims/a` is a path (write the claim's plain name, `a`, or an array for a nested place)",
        ],
    ),
    // Another target, a name that is not known, and a local variable of the constant's name: nothing certain.
    ("okta.token", "access_token.add_claim(\"aud\", [request.id])", &[]),
    (
        "okta.token",
        "[id_token.add_claim(params.claim, 1), id_token.set_lifetime(params.seconds), refuse_if(request)]",
        &[],
    ),
    ("okta.token", "let commands = [refuse(`${request.id}`), id_token.add_claim(\"a\", 1)]; commands[0]", &[]),
    (
        "okta.registration",
        "[deny_field(\"email\", \"\"), set_profile(\"a\", request.kind)]",
        &[
            "warning script/ignored-commands 2:2: Okta will ignore the commands beside this denial (return the denial alone)",
            "error script/empty-text 2:2: a denial needs a text: without one nobody learns what to change",
        ],
    ),
    (
        "okta.registration",
        "if request.kind == \"x\" { return [deny(\"no\"), [allow()]]; }",
        &[
            "warning script/deny-without-field 2:34: with `deny` the person reads Okta's general text only (`deny_field(\"email\", text)` shows the text at a field of the form)",
            "error script/conflicting-commands 2:34: a denial stands beside `allow` (return one of them)",
        ],
    ),
    (
        "okta.registration",
        "set_profile(#{ password: \"x\", a: 1 }); set_profile(#{ password: request.kind })",
        &[
            "error script/dropped-command 2:1: the command of `set_profile` is returned nowhere, so nothing happens (did you forget `return`?)",
            "error script/refused-argument 2:1: a registration hook cannot set the password: Okta would deny the registration",
        ],
    ),
    (
        "okta.user_import",
        "if request.matches.len() == 0 { link_user(\"\") } else { [create_user(), link_user(request.matches[0])] }",
        &[
            "error script/link-without-id 2:33: `link_user` needs the id of an Okta user (`00u…`) (where nobody was matched, there is none)",
            "error script/conflicting-commands 2:57: Okta can do one thing with a user (return one `create_user` or `link_user`)",
        ],
    ),
    (
        "okta.user_import",
        "if request.matches.len() > 1 { fail(\" \") }",
        &["error script/empty-text 2:32: `fail` needs a text: it is all that administrators read"],
    ),
    (
        "okta.telephony",
        "if request.channel == \"sms\" { block(request.channel, \"drop\") } else { [sent(\"\", request.channel), pending(\"a\", \"1\")] }",
        &[
            "error script/refused-argument 2:31: `drop` is no mode of `block`: write \"swallow\" (nobody sends) or \"let_okta_send\" (Okta sends)",
            "error script/conflicting-commands 2:72: a message has one verdict (return one of `send`, `sent`, `pending` and `block`)",
            "error script/refused-argument 2:72: `sent` needs the name of the provider, and this one is empty",
        ],
    ),
    // Actions are the gateway's, so they stand beside anything.
    (
        "okta.token",
        "[refuse(`${request.id}`), notify(\"chat\", \"Refused\").once(\"refused\", \"10m\"), [forward(\"siem\").after(\"1m\")]]",
        &[],
    ),
    (
        "okta.event",
        "notify(\"chat\", request.type).once(\"a\", \"1m\"); \"a-b\".after(\"-\"); forward(\"siem\"); request.type.after(\"-\")",
        &[
            "error script/dropped-command 2:1: the command of `once` is returned nowhere, so nothing happens (did you forget `return`?)",
            "warning script/no-effect 2:47: the result of `after` is not used",
            "error script/dropped-command 2:65: the command of `forward` is returned nowhere, so nothing happens (did you forget `return`?)",
        ],
    ),
    (
        "okta.event",
        "[notify(\"chat\", request.type).digest(request.type, \"0s\").after(\"soon\"), post(\"hr\", \"people\", request.id)]",
        &[
            "error script/refused-argument 2:31: `digest`: `0s` is no time at all",
            "error script/refused-argument 2:58: `after`: `soon` is not a length of time: write `90s`, `15m`, `2h`, `7d` or `1h30m`",
            "error script/refused-argument 2:73: `post`: a path leads on from the connector's address, so it begins with one `/`",
        ],
    ),
    ("okta.event", "[delete(\"hr\", `/people/${request.id}`), post(\"hr\", `/a/${request.id}`, request.id)]", &[]),
    ("okta.telephony", "block(\"no\", params.mode ?? request.channel)", &[]),
    ("okta.telephony", "send([via(\"a\"), via(request.channel)])", &[]),
    (
        "okta.saml",
        "[set_session_lifetime(0), add_attribute(\"a\", request.issuer, \"basic\"), refuse(\"no\")]",
        &[
            "error script/lifetime 2:2: a session lives 1 to 2147483647 seconds, not 0",
            "error script/refused-argument 2:27: the format `basic` is no URI (the usual one is `urn:oasis:names:tc:SAML:2.0:attrname-format:basic`)",
            "warning script/ignored-commands 2:72: no command is sent beside this refusal (return the refusal alone)",
        ],
    ),
    (
        "okta.saml",
        "[add_attribute(\"a\", request.issuer, params.format), replace(\"/subject/nameId\", request.issuer)]",
        &[],
    ),
    (
        "okta.password_import",
        "if request.username == \"a\" { [verified(), unverified()] }",
        &[
            "error script/conflicting-commands 2:31: a password has one verdict (return one `verified()` or `unverified()`)",
        ],
    ),
];

#[test]
fn what_a_hook_knows_of_its_commands_is_said_in_these_words() {
    let mut wrong = Vec::new();
    for (name, body, wanted) in COMMANDS {
        let hook = hookgate_hooks::find(name).unwrap();
        let mut script = format!("fn {}(request) {{\n{body}\n}}\n", hook.entry);
        for (used, line) in [
            ("NAME", "const NAME = \"exp\";\n"),
            ("SECONDS", "const SECONDS = 90_000;\n"),
            ("refuse_if", "fn refuse_if(request) { if request.id == \"\" { refuse(\"no\") } }\n"),
        ] {
            if body.contains(used) {
                script += line;
            }
        }
        let findings = Bundle::new(hook, &script, "").findings();
        let said: Vec<String> = findings
            .iter()
            .map(|finding| {
                let level = format!("{:?}", finding.severity).to_lowercase();
                format!("{level} {} {}", finding.code, finding.one_line().replace("scripts/hook.rhai:", ""))
            })
            .collect();
        if said != *wanted {
            wrong.push((name, body, said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `raw` has a provider's own names, which are written nearly like ours.
#[test]
fn a_providers_own_name_of_a_known_property_is_no_misspelling() {
    let gateway = |member: &str| {
        let script = format!("fn on_event(event) {{ log(`${{read(event.raw)}}`); }} fn read(raw) {{ raw.{member} }}");
        let gateway = TestGateway::of("okta.event", "", &script);
        let release = gateway.live.current().unwrap();
        release.warnings.iter().filter(|finding| finding.code == "script/suspicious-property").count()
    };
    assert_eq!((gateway("debugContext"), gateway("debug_contxt"), gateway("debugcontext")), (0, 1, 1));
}

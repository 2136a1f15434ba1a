//! Broken bundles: `check` and `serve` refuse the same ones, with the same words and places.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Ran, hookgate};

const CONFIG: &str = r#"[server]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[auth.okta]
scheme = "header"
secrets = [{ file = "secret" }]

[tables.bad]
file = "bad.txt"
kind = "domains"

[routes.signup]
path = "/signup"
hook = "okta.registration"
script = "signup.rhai"
auth = "okta"
on_failure = "allow"

[scripts]
gate = "check"
"#;

const SCRIPT: &str = r#"import "lib/rules" as rules;

fn on_registration(request) {
    if rules::is_bad(request.email.domain) {
        return deny_field("email", "no");
    }
    allow()
}
"#;

const SHARED: &str = r#"fn is_bad(domain) {
    table("bad").has(domain)
}
"#;

/// What is done to the good bundle.
enum Harm {
    Write(&'static str, &'static str),
    Bytes(&'static str, &'static [u8]),
    Replace(&'static str, &'static str, &'static str),
    Delete(&'static str),
    /// A folder where a file should be.
    Folder(&'static str),
    Link(&'static str, &'static str),
    /// Reading it would wait for ever.
    Pipe(&'static str),
}

use Harm::{Bytes, Delete, Folder, Link, Pipe, Replace, Write};

/// Name, what is done, and what the findings must contain: a place and a word.
type Row = (&'static str, &'static [Harm], &'static [&'static str]);

const TOML: &str = "gateway.toml";
const ENTRY: &str = "scripts/signup.rhai";
const LIB: &str = "scripts/lib/rules.rhai";

const ROWS: &[Row] = &[
    ("toml that is none", &[Replace(TOML, "path = \"/signup\"", "path = /signup\"")], &["gateway.toml:16:"]),
    ("empty configuration", &[Write(TOML, "")], &["gateway.toml", "no route"]),
    ("unknown key", &[Replace(TOML, "script =", "scirpt =")], &["gateway.toml:18:", "`script`"]),
    ("unknown section", &[Write(TOML, "[sever]\n")], &["gateway.toml:1:", "`server`"]),
    ("key given twice", &[Replace(TOML, "auth = \"okta\"", "auth = \"okta\"\nauth = \"okta\"")], &["gateway.toml:20:"]),
    ("text for a number", &[Replace(TOML, "[admin]", "max_body_bytes = \"4M\"\n\n[admin]")], &["gateway.toml:4:"]),
    (
        "address that is none",
        &[Replace(TOML, "listen = \"127.0.0.1:0\"\n\n[admin]", "listen = \"localhost\"\n\n[admin]")],
        &["gateway.toml:2:"],
    ),
    ("missing script", &[Replace(TOML, "signup.rhai", "sign_up.rhai")], &["gateway.toml:18:", "`signup.rhai`"]),
    ("script outside", &[Replace(TOML, "signup.rhai", "../signup.rhai")], &["gateway.toml:18:"]),
    ("deleted script", &[Delete(ENTRY)], &["gateway.toml:18:", "signup.rhai"]),
    ("no scripts folder", &[Delete(ENTRY), Delete(LIB), Delete("scripts/lib"), Delete("scripts")], &["scripts"]),
    (
        "syntax error",
        &[Replace(ENTRY, "return deny_field(\"email\", \"no\");", "return deny_field(\"email\", \"no\";")],
        &["signup.rhai:5:"],
    ),
    ("empty script", &[Write(ENTRY, "")], &["signup.rhai", "on_registration"]),
    ("half a script", &[Write(ENTRY, "fn on_registration(request) {\n    if request.ema")], &["signup.rhai:"]),
    (
        "unclosed text",
        &[Replace(ENTRY, "deny_field(\"email\", \"no\")", "deny_field(\"email\", \"no)")],
        &["signup.rhai:5:"],
    ),
    ("unknown function", &[Replace(ENTRY, "allow()", "alow()")], &["signup.rhai:7:", "`allow`"]),
    ("unknown variable", &[Replace(ENTRY, "request.email", "requst.email")], &["signup.rhai:4:", "`request`"]),
    ("unknown property", &[Replace(ENTRY, "request.email", "request.emial")], &["signup.rhai:4:", "`email`"]),
    ("unknown function of a shared file", &[Replace(ENTRY, "is_bad", "is_bda")], &["signup.rhai:4:", "is_bad"]),
    ("unknown function in a shared file", &[Replace(LIB, "table(", "tabel(")], &["rules.rhai:2:", "`table`"]),
    (
        "command of another hook",
        &[Replace(ENTRY, "allow()", "verified()")],
        &["signup.rhai:7:", "okta.password_import"],
    ),
    (
        "wrong number of arguments",
        &[Replace(ENTRY, "deny_field(\"email\", \"no\")", "deny_field(\"email\", \"no\", 1, 2, 3)")],
        &["signup.rhai:5:"],
    ),
    ("missing entry", &[Replace(ENTRY, "on_registration", "on_register")], &["signup.rhai:3:", "on_registration"]),
    ("entry of another hook", &[Replace(ENTRY, "on_registration", "on_token")], &["signup.rhai:", "on_registration"]),
    (
        "two entries",
        &[Replace(ENTRY, "fn on_registration", "fn on_token(request) { }\nfn on_registration")],
        &["signup.rhai:"],
    ),
    (
        "entry with two parameters",
        &[Replace(ENTRY, "(request) {", "(request, more) {")],
        &["signup.rhai:3:", "on_registration"],
    ),
    (
        "entry twice",
        &[Replace(ENTRY, "fn on_registration", "fn on_registration(request) { }\nfn on_registration")],
        &["signup.rhai:4:"],
    ),
    ("top-level statement", &[Replace(ENTRY, "fn on_reg", "log(\"loaded\");\n\nfn on_reg")], &["signup.rhai:3:"]),
    // So few that they are used up before the time is, on any machine.
    (
        "top-level loop",
        &[
            Replace(ENTRY, "fn on_reg", "const N = { loop { } };\n\nfn on_reg"),
            Replace(TOML, "[tables.bad]", "[limits]\noperations = 10_000\n\n[tables.bad]"),
        ],
        &["signup.rhai:3:", "operations"],
    ),
    (
        "circular import",
        &[Replace(LIB, "fn is_bad", "import \"signup\" as s;\nfn is_bad")],
        &["rules.rhai:1:", "circle"],
    ),
    (
        "import of itself",
        &[Replace(LIB, "fn is_bad", "import \"lib/rules\" as s;\nfn is_bad")],
        &["rules.rhai:1:", "circle"],
    ),
    ("import from outside", &[Replace(ENTRY, "lib/rules", "../lib/rules")], &["signup.rhai:1:", "leaves"]),
    ("import of an absolute path", &[Replace(ENTRY, "lib/rules", "/etc/passwd")], &["signup.rhai:1:", "leaves"]),
    ("import of nothing", &[Replace(ENTRY, "lib/rules", "lib/rule")], &["signup.rhai:1:", "`lib/rules`"]),
    ("import by a variable", &[Replace(ENTRY, "\"lib/rules\"", "\"lib/\" + \"rules\"")], &["signup.rhai:1:"]),
    ("eval", &[Replace(ENTRY, "allow()", "eval(\"allow()\")")], &["signup.rhai:7:"]),
    (
        "function of an imported file again",
        &[Replace(ENTRY, "fn on_reg", "fn is_bad(domain) { true }\n\nfn on_reg")],
        &["signup.rhai:3:", "is_bad"],
    ),
    (
        "unset secret",
        &[Replace(TOML, "{ file = \"secret\" }", "{ env = \"NO_SUCH_SECRET\" }")],
        &["gateway.toml:9:", "NO_SUCH_SECRET"],
    ),
    ("no secret file", &[Delete("secret")], &["gateway.toml:9:", "secret"]),
    ("secret that is a folder", &[Delete("secret"), Folder("secret")], &["gateway.toml:9:", "secret"]),
    ("empty secret", &[Write("secret", "")], &["gateway.toml:9:", "secret"]),
    ("blank secret", &[Write("secret", " \n")], &["gateway.toml:9:", "secret"]),
    ("secret that no header can carry", &[Bytes("secret", b"a\0b")], &["gateway.toml:9:", "secret"]),
    (
        "literal secret",
        &[Replace(TOML, "[{ file = \"secret\" }]", "[\"CANARY-of-a-secret\"]")],
        &["gateway.toml:9:", "file"],
    ),
    ("no secrets", &[Replace(TOML, "[{ file = \"secret\" }]", "[]")], &["gateway.toml:9:"]),
    (
        "two routes on one path",
        &[Replace(
            TOML,
            "[routes.signup]",
            "[routes.other]\npath = \"/signup/\"\nhook = \"okta.registration\"\nscript = \"signup.rhai\"\nauth = \"okta\"\non_failure = \"allow\"\n\n[routes.signup]",
        )],
        &["gateway.toml:23:", "/signup"],
    ),
    (
        "unknown hook",
        &[Replace(TOML, "okta.registration", "okta.registraton")],
        &["gateway.toml:17:", "`okta.registration`"],
    ),
    ("unknown auth", &[Replace(TOML, "auth = \"okta\"", "auth = \"otka\"")], &["gateway.toml:19:", "`okta`"]),
    ("no auth", &[Replace(TOML, "auth = \"okta\"\n", "")], &["gateway.toml:15:", "auth"]),
    ("unknown scheme", &[Replace(TOML, "scheme = \"header\"", "scheme = \"heder\"")], &["gateway.toml:8:", "`header`"]),
    ("no on_failure", &[Replace(TOML, "on_failure = \"allow\"\n", "")], &["gateway.toml:15:", "on_failure"]),
    (
        "on_failure of another hook",
        &[Replace(TOML, "on_failure = \"allow\"", "on_failure = \"unchanged\"")],
        &["gateway.toml:20:", "allow"],
    ),
    (
        "on_failure without its text",
        &[Replace(TOML, "on_failure = \"allow\"", "on_failure = \"deny\"")],
        &["gateway.toml:20:", "deny = "],
    ),
    (
        "on_failure with an empty text",
        &[Replace(TOML, "on_failure = \"allow\"", "on_failure = { deny = \"\" }")],
        &["gateway.toml:20:", "deny"],
    ),
    ("path without a slash", &[Replace(TOML, "\"/signup\"", "\"signup\"")], &["gateway.toml:16:", "/signup"]),
    ("table with a bad row", &[Write("bad.txt", "one.example\nnot a domain\n")], &["bad.txt:2:"]),
    ("table with a public suffix", &[Write("bad.txt", "one.example\nco.uk\n")], &["bad.txt:2:", "co.uk"]),
    ("empty table", &[Write("bad.txt", "")], &["bad.txt", "min_rows"]),
    (
        "table that is too small",
        &[Replace(TOML, "kind = \"domains\"", "kind = \"domains\"\nmin_rows = 5")],
        &["bad.txt", "5"],
    ),
    ("missing table", &[Delete("bad.txt")], &["gateway.toml:12:", "bad.txt"]),
    ("unknown kind of table", &[Replace(TOML, "\"domains\"", "\"domain\"")], &["gateway.toml:13:", "`domains`"]),
    ("script that is a folder", &[Delete(ENTRY), Folder(ENTRY)], &["signup.rhai"]),
    ("script that is a pipe", &[Delete(ENTRY), Pipe(ENTRY)], &["signup.rhai", "not a file"]),
    ("table that is a pipe", &[Delete("bad.txt"), Pipe("bad.txt")], &["gateway.toml:12:", "not a file"]),
    ("secret that is a pipe", &[Delete("secret"), Pipe("secret")], &["gateway.toml:9:", "secret"]),
    (
        "script that is not UTF-8",
        &[Bytes(ENTRY, b"fn on_registration(request) {\n    // caf\xe9\n}\n")],
        &["signup.rhai", "line 2"],
    ),
    // Nothing but the bundle's own files becomes a part of it (#13).
    (
        "table above the bundle",
        &[Replace(TOML, "bad.txt", "../bad.txt")],
        &["gateway.toml:12:", "outside the bundle", "roots"],
    ),
    (
        "table by an absolute path",
        &[Replace(TOML, "bad.txt", "/etc/hosts")],
        &["gateway.toml:12:", "outside the bundle"],
    ),
    ("table that is a secret", &[Replace(TOML, "\"bad.txt\"", "\"secret\"")], &["gateway.toml:12:", "secret"]),
    (
        "table in a folder of secrets",
        &[Replace(TOML, "bad.txt", "lists/secrets/bad.txt")],
        &["gateway.toml:12:", "secret"],
    ),
    ("hidden table", &[Replace(TOML, "bad.txt", ".env")], &["gateway.toml:12:", "hidden"]),
    (
        "table that is a link to a secret",
        &[Delete("bad.txt"), Link("bad.txt", "secret")],
        &["gateway.toml:12:", "secret"],
    ),
    (
        "table that is a link out",
        &[Delete("bad.txt"), Link("bad.txt", "/etc/hosts")],
        &["gateway.toml:12:", "leads out"],
    ),
    (
        "table that is the environment",
        &[Delete("bad.txt"), Link("bad.txt", "/proc/self/environ")],
        &["gateway.toml:12:", "leads out"],
    ),
    ("table that is a device", &[Delete("bad.txt"), Link("bad.txt", "/dev/zero")], &["gateway.toml:12:", "leads out"]),
    ("script that is a link out", &[Delete(ENTRY), Link(ENTRY, "/etc/hosts")], &["signup.rhai", "leads out"]),
    ("script that is a link to a secret", &[Delete(ENTRY), Link(ENTRY, "../secret")], &["signup.rhai", "secret"]),
    ("fixture that is a link to a secret", &[Link("scripts/case.json", "../secret")], &["case.json", "secret"]),
    ("fixture that is a link out", &[Link("scripts/case.json", "/etc/hosts")], &["case.json", "leads out"]),
    ("folder that is a link out", &[Link("scripts/more", "/etc")], &["scripts/more", "leads out"]),
    ("folder that is a link to itself", &[Link("scripts/more", ".")], &["scripts/more", "around itself"]),
    ("folders that are links to each other", &[Link("scripts/lib/up", "..")], &["scripts/lib/up", "around itself"]),
    (
        "scripts outside",
        &[Replace(TOML, "[scripts]", "[scripts]\ndir = \"../x\"")],
        &["gateway.toml:23:", "outside the bundle"],
    ),
    (
        "root of everything",
        &[Replace(TOML, "[scripts]", "[scripts]\nroots = [\"/\"]")],
        &["gateway.toml:23:", "every file"],
    ),
    (
        "root of the kernel",
        &[Replace(TOML, "[scripts]", "[scripts]\nroots = [\"/proc\"]")],
        &["gateway.toml:23:", "root"],
    ),
    (
        "root that is not there",
        &[Replace(TOML, "[scripts]", "[scripts]\nroots = [\"gone\"]")],
        &["gateway.toml:23:", "gone"],
    ),
    ("secret that is a device", &[Delete("secret"), Link("secret", "/dev/zero")], &["gateway.toml:9:", "a device"]),
    (
        "secret that is the environment",
        &[Delete("secret"), Link("secret", "/proc/self/environ")],
        &["gateway.toml:9:", "the kernel"],
    ),
    (
        "secret to be made through a link",
        &[
            Delete("secret"),
            Link("secret", "elsewhere"),
            Replace(TOML, "{ file = \"secret\" }", "{ file = \"secret\", create = true }"),
        ],
        &["gateway.toml:9:", "link"],
    ),
    ("script that is a dangling link", &[Delete(ENTRY), Link(ENTRY, "gone.rhai")], &["signup.rhai", "cannot be read"]),
    (
        "configuration with a limit of zero",
        &[Replace(TOML, "[tables.bad]", "[limits]\ndeadline_ms = 0\n\n[tables.bad]")],
        &["gateway.toml:12:", "deadline_ms"],
    ),
    (
        "no concurrent calls",
        &[Replace(TOML, "on_failure =", "limits = { concurrent = 0 }\non_failure =")],
        &["gateway.toml:20:", "concurrent"],
    ),
    (
        "limit below zero",
        &[Replace(TOML, "[tables.bad]", "[limits]\noperations = -1\n\n[tables.bad]")],
        &["gateway.toml:12:", "operations"],
    ),
    (
        "rules on an inline route",
        &[
            Write("scripts/x.rhai", "fn on_event(event) { }\n"),
            Replace(
                TOML,
                "on_failure = \"allow\"",
                "on_failure = \"allow\"\n[routes.signup.rules.x]\nevents = [\"*\"]\nscript = \"x.rhai\"",
            ),
        ],
        &["gateway.toml:21:", "rules"],
    ),
];

fn good(root: &Path) {
    for (path, text) in [
        (TOML, CONFIG),
        (ENTRY, SCRIPT),
        (LIB, SHARED),
        ("bad.txt", "one.example\ntwo.example\n"),
        ("secret", "Basic dGVzdDp0ZXN0\n"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn harm(root: &Path, harm: &Harm) {
    match harm {
        Write(path, text) => fs::write(root.join(path), text).unwrap(),
        Bytes(path, bytes) => fs::write(root.join(path), bytes).unwrap(),
        Replace(path, old, new) => {
            let text = fs::read_to_string(root.join(path)).unwrap();
            assert_eq!(text.matches(old).count(), 1, "`{old}` in {path}");
            fs::write(root.join(path), text.replace(old, new)).unwrap();
        }
        Delete(path) if root.join(path).is_dir() => fs::remove_dir(root.join(path)).unwrap(),
        Delete(path) => fs::remove_file(root.join(path)).unwrap(),
        Folder(path) => fs::create_dir(root.join(path)).unwrap(),
        Link(path, target) => symlink(target, root.join(path)).unwrap(),
        Pipe(path) => assert!(Command::new("mkfifo").arg(root.join(path)).status().unwrap().success()),
    }
}

/// The findings as people see them: all that `check` prints but its last paragraph, the tally.
fn findings(checked: &str) -> &str {
    checked.trim_end().rsplit_once("\n\n").map_or("", |(findings, _)| findings)
}

/// Runs a program that must end by itself.
fn ended(mut command: Command, name: &str) -> Ran {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{name}: it runs on instead of refusing");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn the_bundle_that_is_broken_here_is_good() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    let checked = ended(hookgate(folder.path(), &["check", "--deny-warnings"]), "good");
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
}

#[test]
fn check_and_serve_refuse_the_same_bundles_with_the_same_words() {
    let mut wrong = Vec::new();
    for (name, harms, wanted) in ROWS {
        let folder = tempfile::tempdir().unwrap();
        good(folder.path());
        harms.iter().for_each(|one| harm(folder.path(), one));
        let checked = ended(hookgate(folder.path(), &["check"]), name);
        let mut problems = Vec::new();
        if checked.status != 1 {
            problems.push(format!("check ended with {}", checked.status));
        } else {
            let served = ended(hookgate(folder.path(), &["serve"]), name);
            if served.status != 2 {
                problems.push(format!("serve ended with {}", served.status));
            }
            if findings(&checked.out).is_empty() || !served.err.contains(findings(&checked.out)) {
                problems.push(format!("serve says something else:\n{}", served.err));
            }
        }
        for part in *wanted {
            if !checked.out.contains(part) {
                problems.push(format!("`{part}` is missing"));
            }
        }
        if checked.out.contains("CANARY") {
            problems.push("a secret is told".into());
        }
        if !problems.is_empty() {
            wrong.push(format!("=== {name}: {}\n{}{}", problems.join("; "), checked.out, checked.err));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use super::*;

const CANARY: &str = "canary-7f3a";

fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some(format!("{CANARY}\n")),
        "NEXT" => Some("next".to_owned()),
        "BLANK" => Some(" \n".to_owned()),
        _ => None,
    }
}

fn file(path: impl Into<PathBuf>) -> Source {
    Source::File { path: path.into(), create: false }
}

fn created(path: impl Into<PathBuf>) -> Source {
    Source::File { path: path.into(), create: true }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_very_same_bytes_match() {
    let secret = Secret::new(*b"Basic abc");
    assert!(secret.matches(b"Basic abc"));
    for near in ["", "Basic ab", "Basic abcd", "basic abc", "Basic abc ", " Basic abc", "Basic abc\n", "Basic\u{a0}abc"]
    {
        assert!(!secret.matches(near.as_bytes()), "{near:?}");
    }
}

#[test]
fn secret_never_prints() {
    let secret = Secret::new(CANARY.as_bytes());
    assert_eq!(format!("{secret} {secret:?} {secret:#?} {:?}", Some(&secret)), "*** *** *** Some(***)");
    let ring = Ring::load(vec![Source::Env("SET".into())], environment).unwrap();
    let printed = format!("{ring:?} {ring:#?} {:?}", Source::Env("SET".into()).read(environment));
    assert!(!printed.contains(CANARY) && printed.contains("***"), "{printed}");
}

#[test]
fn labels_name_the_place() {
    assert_eq!(Source::Env("OKTA_SECRET".into()).label(), "env OKTA_SECRET");
    assert_eq!(created("secrets/okta").label(), "file secrets/okta");
}

#[test]
fn exactly_one_line_ending_is_stripped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for (written, read) in [
        (&b"abc"[..], &b"abc"[..]),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b"abc\r", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b" a b \n", b" a b "),
        (b"a\nb\n", b"a\nb"),
        (b"\xff\xfe\n", b"\xff\xfe"),
    ] {
        std::fs::write(&path, written).unwrap();
        let found = file(&path).read(environment).unwrap();
        assert_eq!((found.secret.expose(), found.created), (read, false), "{written:?}");
    }
    assert!(Source::Env("SET".into()).read(environment).unwrap().secret.matches(CANARY.as_bytes()));
}

#[test]
fn what_cannot_be_a_secret_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let message = |source: &Source| {
        let message = source.read(environment).unwrap_err().to_string();
        message.replace(&directory.path().display().to_string(), "DIR")
    };
    assert_eq!(
        message(&Source::Env("ABSENT".into())),
        "environment variable `ABSENT` is not set, set it before hookgate starts"
    );
    assert_eq!(message(&Source::Env("BLANK".into())), "secret `env BLANK` is empty or blank, put the secret into it");
    assert_eq!(
        message(&file(&path)),
        "secret file `DIR/secret` does not exist, write the secret into it (`create = true` makes a random one)"
    );
    assert_eq!(
        message(&file(directory.path())),
        "secret file `DIR` cannot be read: it is not a file but a folder; name the file that holds the secret"
    );
    for blank in ["", "\n", "\r\n", "\n\n", " \t\n"] {
        std::fs::write(&path, blank).unwrap();
        // An empty file is somebody's mistake, not an invitation to make a secret.
        assert_eq!(message(&created(&path)), "secret `file DIR/secret` is empty or blank, put the secret into it");
    }
    std::fs::write(&path, vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap();
    assert_eq!(
        message(&file(&path)),
        "secret `file DIR/secret` is longer than 65536 bytes, it must hold the secret and nothing else"
    );
    std::fs::write(&path, vec![b'x'; MAX_SECRET_BYTES]).unwrap();
    assert_eq!(file(&path).read(environment).unwrap().secret.expose().len(), MAX_SECRET_BYTES);
    // A file where a directory must be is refused for every user, also for root.
    assert_eq!(
        message(&file(path.join("inner"))),
        "secret file `DIR/secret/inner` cannot be read, let the user that runs hookgate read it: Not a directory (os error 20)"
    );
}

#[test]
fn absent_file_is_made_with_a_random_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/secrets/okta");
    let first = created(&path).read(environment).unwrap();
    assert!(first.created);
    assert_eq!(first.secret.expose().len(), 43, "256 bits in base64url");
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let again = created(&path).read(environment).unwrap();
    assert!(!again.created && again.secret.matches(first.secret.expose()));
    assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "no draft is left behind");
    let other = created(directory.path().join("other")).read(environment).unwrap();
    assert!(!other.secret.matches(first.secret.expose()));
}

#[test]
fn starters_at_the_same_time_agree() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secrets/okta");
    let barrier = Barrier::new(8);
    let found: Vec<Found> = std::thread::scope(|scope| {
        let start = || {
            barrier.wait();
            created(&path).read(environment).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.iter().all(|one| one.secret.matches(found[0].secret.expose())));
    assert_eq!(found.iter().filter(|one| one.created).count(), 1);
}

#[test]
fn link_to_nowhere_is_not_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(created(&path).read(environment), Err(SecretError::DanglingLink { .. })));
    assert!(!directory.path().join("elsewhere").exists());
}

#[test]
fn ring_reports_every_missing_secret_at_once() {
    let errors = Ring::load(vec![Source::Env("A".into()), Source::Env("SET".into()), file("/nowhere/b")], environment);
    assert_eq!(errors.unwrap_err().len(), 2);
    assert!(matches!(Ring::load(vec![], environment).unwrap_err()[..], [SecretError::NoSource]));
}

#[test]
fn ring_finds_any_of_its_secrets_by_label() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let sources = vec![Source::Env("SET".into()), created(&path), Source::Env("NEXT".into())];
    let ring = Ring::load(sources, environment).unwrap();
    let random = std::fs::read_to_string(&path).unwrap();
    assert_eq!(ring.find(CANARY.as_bytes()).as_deref(), Some("env SET"));
    assert_eq!(ring.find(random.trim_end().as_bytes()), Some(created(&path).label().into()));
    assert_eq!(ring.find(b"next").as_deref(), Some("env NEXT"));
    for near in ["", "nex", "nextx", "Next", "next ", "next\n", "canary", random.as_str()] {
        assert_eq!(ring.find(near.as_bytes()), None, "{near:?}");
    }
    assert_eq!(ring.created(), [path]);
}

#[test]
fn first_of_two_equal_secrets_gives_the_label() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "next").unwrap();
    let ring = Ring::load(vec![Source::Env("NEXT".into()), file(&path)], environment).unwrap();
    assert_eq!(ring.find(b"next").as_deref(), Some("env NEXT"));
}

#[test]
fn reload_takes_the_new_value_and_drops_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "old\n").unwrap();
    let ring = Ring::load(vec![file(&path), Source::Env("NEXT".into())], environment).unwrap();
    assert!(ring.reload().changed.is_empty(), "nothing was written");
    std::fs::write(&path, "new\n").unwrap();
    let reloaded = ring.reload();
    assert_eq!(reloaded.changed, [file(&path).label().into()]);
    assert!(reloaded.kept.is_empty());
    assert_eq!(ring.find(b"old"), None);
    assert!(ring.find(b"new").is_some() && ring.find(b"next").is_some());
}

#[test]
fn file_that_is_gone_or_empty_keeps_the_old_value() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("secret"), directory.path().join("other"));
    std::fs::write(&other, "other").unwrap();
    let ring = Ring::load(vec![created(&path), file(&other)], environment).unwrap();
    let random = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(ring.reload().kept[..], [SecretError::Empty { .. }]));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&other, "another").unwrap();
    let reloaded = ring.reload();
    assert!(matches!(reloaded.kept[..], [SecretError::FileAbsent { .. }]));
    assert_eq!(reloaded.changed.len(), 1, "the readable file is taken all the same");
    assert!(ring.find(random.trim_end().as_bytes()).is_some() && ring.find(b"another").is_some());
    assert!(!path.exists(), "a reload makes no secret");
}

#[test]
fn what_a_start_would_refuse_replaces_no_secret_and_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "good\n").unwrap();
    let ring = Ring::load(vec![file(&path)], environment).unwrap();
    let no_blank = |secret: &Secret| match secret.expose().contains(&b' ') {
        true => Err("holds a blank".to_owned()),
        false => Ok(()),
    };
    ring.demand(Box::new(no_blank)).unwrap();
    let name = path.display().to_string();
    let told = |ring: &Ring| ring.reload().kept.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (text, why) in
        [("", "blank"), (CANARY, ""), ("a b", "holds a blank"), (&"x".repeat(MAX_SECRET_BYTES + 2), "longer")]
    {
        std::fs::write(&path, text).unwrap();
        if why.is_empty() {
            assert_eq!(ring.reload().changed.len(), 1);
            assert!(ring.refused().is_empty() && ring.find(CANARY.as_bytes()).is_some());
            continue;
        }
        let [first] = told(&ring).try_into().unwrap();
        assert!(first.contains(why) && first.contains(&name), "{first}");
        assert_eq!(told(&ring), Vec::<String>::new(), "said once: {why}");
        assert_eq!(ring.refused(), [first]);
    }
    assert!(ring.find(CANARY.as_bytes()).is_some() && ring.find(b"a b").is_none());
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(told(&ring)[0].contains("a pipe"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(told(&ring)[0].contains("a folder"));
    assert!(ring.find(CANARY.as_bytes()).is_some());
}

#[test]
fn a_demand_is_made_of_what_is_there_already() {
    let ring = Ring::load(vec![Source::Env("SET".into()), Source::Env("NEXT".into())], environment).unwrap();
    let short = |secret: &Secret| if secret.expose().len() < 5 { Ok(()) } else { Err("is too long".to_owned()) };
    assert_eq!(ring.demand(Box::new(short)).unwrap_err(), [("env SET".to_owned(), "is too long".to_owned())]);
}

#[test]
fn a_value_in_the_place_of_a_name_is_not_told() {
    for source in [Source::Env("k3ysAreL0ngAnd4andom".into()), file("/nowhere/k3ysAreL0ngAnd4andom")] {
        let message = source.read(environment).unwrap_err().to_string();
        assert!(!message.contains("k3ys") && message.contains("***"), "{message}");
    }
}

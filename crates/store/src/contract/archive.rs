//! Past releases and the log of changes: what every store must keep of them.

use std::sync::Arc;

use crate::StoreError;
use crate::archive::{
    Change, ChangeQuery, File, MOST_CHANGES, MOST_DETAIL, MOST_RELEASES, NewChange, Part, Pin, Repin, Snapshot,
};
use crate::contract::Stand;
use crate::contract::seconds;

fn snapshot(hash: &str, files: &[(Part, &str, &str)]) -> Snapshot {
    let file =
        |&(part, name, text): &(Part, &str, &str)| File { part, name: name.to_owned(), text: text.as_bytes().into() };
    Snapshot {
        hash: hash.to_owned(),
        who: "files".to_owned(),
        at: 5,
        about: "{}".to_owned(),
        files: files.iter().map(file).collect(),
    }
}

fn change(what: &str, who: &str) -> NewChange {
    NewChange { at: 7, who: who.to_owned(), what: what.to_owned(), detail: "{}".to_owned(), ..NewChange::default() }
}

impl dyn Stand + '_ {
    async fn keep(&self, release: Snapshot) {
        self.store().archive().keep_release(release).await.expect("a release can be kept");
    }

    async fn hashes(&self) -> Vec<String> {
        let releases = self.store().archive().releases().await.expect("releases can be listed");
        releases.into_iter().map(|release| release.hash).collect()
    }

    /// `part name text` of each file of a release.
    async fn files(&self, hash: &str) -> Option<Vec<String>> {
        let files = self.store().archive().release_files(hash).await.expect("files can be listed")?;
        let digests = files.iter().map(|file| file.digest.clone()).collect();
        let texts = self.store().archive().texts(digests).await.expect("texts can be read");
        let text = |text: &Option<Arc<[u8]>>| {
            String::from_utf8(text.as_deref().expect("the text is kept").to_vec()).expect("it is UTF-8")
        };
        Some(
            files
                .iter()
                .zip(&texts)
                .map(|(file, found)| format!("{} {} {}", file.part.name(), file.name, text(found)))
                .collect(),
        )
    }

    async fn note(&self, change: NewChange) -> Change {
        self.store().archive().note(change).await.expect("a change can be noted")
    }

    async fn page(&self, query: ChangeQuery) -> (Vec<i64>, Option<i64>) {
        let page = self.store().archive().changes(query).await.expect("changes can be listed");
        (page.changes.iter().map(|change| change.number).collect(), page.next)
    }
}

pub(crate) async fn a_release_is_kept_by_its_content(stand: &mut dyn Stand) {
    let files = [(Part::Config, "gateway.toml", "a = 1"), (Part::Script, "a.rhai", "x"), (Part::Table, "a.rhai", "x")];
    stand.keep(snapshot("one", &files)).await;
    stand.crash().await;
    let kept = stand.files("one").await.expect("it is kept");
    assert_eq!(kept, ["config gateway.toml a = 1", "script a.rhai x", "table a.rhai x"]);
    assert_eq!(stand.files("two").await, None);
    let listed = stand.store().archive().releases().await.unwrap();
    assert_eq!((listed[0].files, listed[0].bytes, listed[0].who.as_str()), (3, 7, "files"));
    assert_eq!(stand.store().archive().texts(vec!["no such text".to_owned()]).await, Ok(vec![None]));
}

pub(crate) async fn a_release_that_comes_again_is_the_newest(stand: &mut dyn Stand) {
    for hash in ["one", "two"] {
        stand.keep(snapshot(hash, &[(Part::Config, "gateway.toml", hash)])).await;
    }
    let again = Snapshot { at: 9, who: "ann".to_owned(), ..snapshot("one", &[(Part::Config, "gateway.toml", "one")]) };
    stand.keep(again).await;
    assert_eq!(stand.hashes().await, ["one", "two"]);
    let listed = stand.store().archive().releases().await.unwrap();
    assert_eq!((listed[0].first, listed[0].activated, listed[0].who.as_str()), (5, 9, "ann"));
}

pub(crate) async fn the_newest_releases_stay_and_the_texts_of_others_go(stand: &mut dyn Stand) {
    let hash = |number: usize| format!("release {number}");
    for number in 0..MOST_RELEASES + 3 {
        let own = format!("text {number}");
        let files = [(Part::Config, "gateway.toml", own.as_str()), (Part::Script, "a.rhai", "common")];
        stand.keep(snapshot(&hash(number), &files)).await;
    }
    let kept = stand.hashes().await;
    assert_eq!((kept.len(), kept.first(), kept.last()), (MOST_RELEASES, Some(&hash(52)), Some(&hash(3))));
    assert_eq!(stand.files(&hash(2)).await, None);
    assert_eq!(stand.files(&hash(3)).await.unwrap(), ["config gateway.toml text 3", "script a.rhai common"]);
    use sha2::{Digest, Sha256};
    let digests = [2, 3].map(|number| hex::encode(Sha256::digest(format!("text {number}"))));
    let texts = stand.store().archive().texts(digests.to_vec()).await.unwrap();
    assert_eq!(texts.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
}

pub(crate) async fn a_long_text_comes_back_whole(stand: &mut dyn Stand) {
    // One that shrinks, and one that does not: digits of a generator.
    let mut state = 1u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(b' ' + (state >> 33) as u8 % 95)
    })
    .take(900_000)
    .collect();
    let plain = "example.com\n".repeat(100_000);
    stand
        .keep(snapshot("one", &[(Part::Table, "a", &noise), (Part::Table, "b", &plain), (Part::Table, "c", "")]))
        .await;
    stand.crash().await;
    let kept = stand.files("one").await.unwrap();
    assert!(kept[0] == format!("table a {noise}") && kept[1] == format!("table b {plain}") && kept[2] == "table c ");
}

pub(crate) async fn changes_are_a_chain_that_outlives_the_process(stand: &mut dyn Stand) {
    assert_eq!(stand.store().archive().verify_changes().await.unwrap().last, None, "an empty log is a good one");
    let first = stand.note(change("release activated", "start")).await;
    stand.crash().await;
    let more = NewChange { before: Some("a".to_owned()), ..change("release activated", "files") };
    let second = stand.note(more).await;
    assert_eq!((first.number, first.previous.as_str(), second.number), (1, "", 2));
    assert_eq!((second.previous.as_str(), second.hash.as_str()), (first.hash.as_str(), second.seal().as_str()));
    let verified = stand.store().archive().verify_changes().await.unwrap();
    assert_eq!((verified.rows, verified.last, verified.wrong), (2, Some((2, second.hash.clone())), None));
    assert_eq!(stand.store().archive().changes(ChangeQuery::default()).await.unwrap().changes, [second, first]);
    let long = NewChange { detail: "x".repeat(MOST_DETAIL + 1), ..change("x", "y") };
    assert!(matches!(stand.store().archive().note(long).await, Err(StoreError::Refused(_))));
}

pub(crate) async fn changes_are_filtered_and_paged(stand: &mut dyn Stand) {
    for (number, who) in ["ann", "bob", "ann", "bob", "ann"].into_iter().enumerate() {
        let what = if number == 2 { "rolled back" } else { "events replayed" };
        stand.note(NewChange { at: number as i64, ..change(what, who) }).await;
    }
    let of = |who: &str| ChangeQuery { who: Some(who.to_owned()), ..ChangeQuery::default() };
    assert_eq!(stand.page(ChangeQuery { limit: 2, ..ChangeQuery::default() }).await, (vec![5, 4], Some(4)));
    assert_eq!(
        stand.page(ChangeQuery { limit: 2, after: Some(4), ..ChangeQuery::default() }).await,
        (vec![3, 2], Some(2))
    );
    assert_eq!(stand.page(ChangeQuery { limit: 2, after: Some(2), ..ChangeQuery::default() }).await, (vec![1], None));
    assert_eq!(stand.page(of("ann")).await, (vec![5, 3, 1], None));
    let what = Some("rolled back".to_owned());
    assert_eq!(stand.page(ChangeQuery { what, ..of("ann") }).await, (vec![3], None));
    assert_eq!(stand.page(ChangeQuery { since: Some(1), until: Some(4), ..of("bob") }).await, (vec![4, 2], None));
}

pub(crate) async fn a_pin_is_set_and_ended_with_a_change(stand: &mut dyn Stand) {
    assert_eq!(stand.store().archive().pin().await, Ok(None));
    let pin = Pin { to: "a".to_owned(), from: "b".to_owned(), since: 3, who: "ann".to_owned() };
    stand.note(NewChange { pin: Repin::Set(pin.clone()), ..change("rolled back", "ann") }).await;
    stand.note(change("events replayed", "bob")).await;
    stand.crash().await;
    assert_eq!(stand.store().archive().pin().await, Ok(Some(pin)));
    stand.note(NewChange { pin: Repin::End, ..change("release activated", "files") }).await;
    assert_eq!(stand.store().archive().pin().await, Ok(None));
}

pub(crate) async fn the_log_of_changes_is_bounded(stand: &mut dyn Stand) {
    let store = stand.store().archive();
    // Many at once, so that they share commits.
    for _ in 0..21 {
        let some = (0..1_000).map(|_| store.note(change("x", "y")));
        crate::contract::state::join(some).await;
    }
    stand.crash().await;
    stand.advance(seconds(1));
    let verified = stand.store().archive().verify_changes().await.unwrap();
    assert_eq!((verified.rows as i64, verified.wrong), (MOST_CHANGES, None));
    assert_eq!(verified.last.map(|(number, _)| number), Some(21_000));
}

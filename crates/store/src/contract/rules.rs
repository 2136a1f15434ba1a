//! The rules, one test each. `rules!(make)` makes a test of every one for the store that `make` gives.

use crate::AFTER_DEATH;
use crate::Accepted;
use crate::End;
use crate::Flags;
use crate::Intake;
use crate::JobState;
use crate::MAX_GATHERED;
use crate::MOST_DEATHS;
use crate::NewEvent;
use crate::NewJob;
use crate::Operation;
use crate::Query;
use crate::Settled;
use crate::StoreError;
use crate::Token;
use crate::contract::LEASE;
use crate::contract::Stand;
use crate::contract::action;
use crate::contract::attempt;
use crate::contract::event;
use crate::contract::keys;
use crate::contract::rule;
use crate::contract::seconds;

macro_rules! rules {
    ($make:expr) => {
        $crate::contract::rules::rules!(
            $make,
            a_key_is_kept_once_per_route,
            what_is_seen_as_another_is_kept_beside_it,
            events_and_bookmark_are_kept_together,
            the_oldest_due_comes_first_and_no_more_than_asked_for,
            an_idle_claim_says_when_to_come_again,
            a_late_settle_changes_nothing,
            an_expired_lease_is_on_record_and_leaves_an_action_in_doubt,
            a_renewed_lease_is_held,
            what_the_asker_holds_is_not_given_out_again,
            after_a_crash_leases_are_void_and_nothing_is_lost,
            what_was_in_work_at_a_crash_is_given_out_alone_later_and_later,
            a_try_that_ends_clears_a_suspect,
            what_a_stop_gives_back_is_no_suspect,
            two_gateways_share_the_work_and_each_job_is_given_out_once,
            a_lease_is_of_no_use_to_another_gateway,
            a_lease_that_ran_out_passes_to_the_other_gateway,
            a_start_voids_the_leases_of_its_own_gateway_only,
            deaths_are_those_of_who_had_the_job_in_work,
            what_comes_twice_is_known_to_both_gateways,
            once_digest_and_order_hold_for_both_gateways,
            two_gateways_never_give_a_number_twice,
            a_retry_counts_and_a_postponement_does_not,
            children_are_kept_with_the_end_of_their_parent,
            a_dead_child_is_asked_for_again_by_a_replayed_parent,
            a_line_is_worked_on_in_order,
            a_retry_holds_up_its_line,
            what_comes_late_with_a_smaller_number_goes_first,
            once_suppresses_what_comes_within_its_time,
            a_suppressed_job_is_kept_and_never_done,
            a_digest_gathers_until_its_window_is_over,
            the_dead_of_a_digest_are_replayed_together,
            a_replay_without_force_repeats_nothing,
            a_forced_replay_is_a_new_generation,
            a_forced_replay_of_a_call_gives_new_keys,
            a_purge_leaves_what_is_open_and_remembers_keys,
            a_purge_of_the_dead_leaves_the_rest,
            a_sweep_takes_what_is_old_and_ended,
            lists_are_filtered_and_paged,
            long_details_are_cut_between_characters,
            what_is_not_kept_in_time_is_not_kept_later,
            what_is_kept_in_time_stays,
            what_waits_for_a_store_is_kept_when_it_is_free_in_time,
            a_step_that_nobody_waits_for_any_more_is_not_taken,
            an_answer_is_kept_with_its_jobs_and_outlives_the_process,
            of_two_answers_at_once_the_first_is_kept,
            an_answer_that_is_late_is_not_kept_and_nor_are_its_jobs,
            an_answer_ends_with_its_time,
            answers_have_limits,
            state_outlives_the_process,
            a_dry_step_tells_and_changes_nothing,
            who_asks_again_is_answered_the_same,
            a_rate_is_exact_whoever_asks_at_once,
            state_has_limits,
            keys_are_listed_in_pages,
            a_key_that_is_cleared_begins_anew,
            a_release_is_kept_by_its_content,
            a_release_that_comes_again_is_the_newest,
            the_newest_releases_stay_and_the_texts_of_others_go,
            a_long_text_comes_back_whole,
            changes_are_a_chain_that_outlives_the_process,
            changes_are_filtered_and_paged,
            a_pin_is_set_and_ended_with_a_change,
            the_log_of_changes_is_bounded,
            decisions_are_found_by_what_they_are_about,
            pages_of_decisions_stay_in_place_while_others_come,
            a_sweep_leaves_the_newest_decisions,
            decisions_are_trimmed_to_the_newest,
        );
    };
    ($make:expr, $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut stand = $make;
                $crate::contract::rules::$name(&mut stand).await;
            }
        )+
    };
}
pub(crate) use rules;

pub(crate) use crate::contract::answers::{
    an_answer_ends_with_its_time, an_answer_is_kept_with_its_jobs_and_outlives_the_process,
    an_answer_that_is_late_is_not_kept_and_nor_are_its_jobs, answers_have_limits,
    of_two_answers_at_once_the_first_is_kept,
};
pub(crate) use crate::contract::archive::{
    a_long_text_comes_back_whole, a_pin_is_set_and_ended_with_a_change, a_release_is_kept_by_its_content,
    a_release_that_comes_again_is_the_newest, changes_are_a_chain_that_outlives_the_process,
    changes_are_filtered_and_paged, the_log_of_changes_is_bounded, the_newest_releases_stay_and_the_texts_of_others_go,
};
pub(crate) use crate::contract::claimants::{
    a_lease_is_of_no_use_to_another_gateway, a_lease_that_ran_out_passes_to_the_other_gateway,
    a_start_voids_the_leases_of_its_own_gateway_only, deaths_are_those_of_who_had_the_job_in_work,
    once_digest_and_order_hold_for_both_gateways, two_gateways_never_give_a_number_twice,
    two_gateways_share_the_work_and_each_job_is_given_out_once, what_comes_twice_is_known_to_both_gateways,
};
pub(crate) use crate::contract::deadlines::{
    a_step_that_nobody_waits_for_any_more_is_not_taken, what_is_kept_in_time_stays,
    what_is_not_kept_in_time_is_not_kept_later, what_waits_for_a_store_is_kept_when_it_is_free_in_time,
};
pub(crate) use crate::contract::decisions::{
    a_sweep_leaves_the_newest_decisions, decisions_are_found_by_what_they_are_about,
    decisions_are_trimmed_to_the_newest, pages_of_decisions_stay_in_place_while_others_come,
};
pub(crate) use crate::contract::state::{
    a_dry_step_tells_and_changes_nothing, a_key_that_is_cleared_begins_anew, a_rate_is_exact_whoever_asks_at_once,
    keys_are_listed_in_pages, state_has_limits, state_outlives_the_process, who_asks_again_is_answered_the_same,
};

pub(crate) async fn a_key_is_kept_once_per_route(stand: &mut dyn Stand) {
    assert!(matches!(stand.accept(event("a", Vec::new())).await, Accepted::New(_)));
    assert_eq!(stand.accept(event("a", vec![rule("r")])).await, Accepted::Duplicate);
    let other = NewEvent { route: "others".into(), ..event("a", Vec::new()) };
    assert!(matches!(stand.accept(other.clone()).await, Accepted::New(_)));
    let both = Intake { events: vec![event("b", Vec::new()), event("b", Vec::new())], ..Intake::default() };
    let answers = stand.store().accept(both).await.unwrap();
    assert!(matches!(answers[..], [Accepted::New(_), Accepted::Duplicate]));
    assert!(stand.show("a").await.jobs.is_empty());
    assert_eq!(stand.show("a").await.event.route, "others", "of several routes, the newest");
    stand.crash().await;
    assert_eq!(stand.accept(other).await, Accepted::Duplicate);
}

pub(crate) async fn what_is_seen_as_another_is_kept_beside_it(stand: &mut dyn Stand) {
    let seen_as = |name: &str| NewEvent { seen_as: Some(name.to_owned()), ..event("a", vec![rule(name)]) };
    for kept in [event("a", vec![rule("r")]), seen_as("a one"), seen_as("a two")] {
        assert!(matches!(stand.accept(kept.clone()).await, Accepted::New(_)));
        assert_eq!(stand.accept(kept).await, Accepted::Duplicate);
    }
    assert_eq!(stand.show("a").await.jobs[0].key, "r", "the one that has the key itself");
    // By their key they are found, too.
    let only = NewEvent { key: "b".to_owned(), ..seen_as("b one") };
    stand.accept(only.clone()).await;
    assert_eq!(stand.show("b").await.event.key, "b");
    stand.crash().await;
    assert_eq!(stand.accept(only).await, Accepted::Duplicate);
}

pub(crate) async fn events_and_bookmark_are_kept_together(stand: &mut dyn Stand) {
    assert_eq!(stand.store().bookmark("log").await.unwrap(), None);
    for place in ["one", "two"] {
        let bookmark = Some(("log".to_owned(), place.to_owned()));
        stand.store().accept(Intake { events: vec![event(place, Vec::new())], bookmark, until: None }).await.unwrap();
    }
    stand.crash().await;
    assert_eq!(stand.store().bookmark("log").await.unwrap().as_deref(), Some("two"));
    let kept = stand.show("one").await;
    assert_eq!((&*kept.body, &*kept.envelope), (&b"the body of one"[..], r#"{"eventId":"e"}"#));
}

pub(crate) async fn the_oldest_due_comes_first_and_no_more_than_asked_for(stand: &mut dyn Stand) {
    let later = NewJob { delay: seconds(5), ..rule("later") };
    stand.accept(event("a", vec![later, rule("first"), rule("second"), action("other lane")])).await;
    stand.advance(seconds(10));
    stand.accept(event("b", vec![rule("last")])).await;
    assert_eq!(keys(&stand.claim(&["rule events/watch"], 2).await.jobs), ["first", "second"]);
    let rest = stand.claim(&["rule events/watch"], 9).await.jobs;
    assert_eq!(keys(&rest), ["later", "last"]);
    assert_eq!(rest[0].event.key, "a");
    assert_eq!(&*rest[0].event.body, b"the body of a");
}

pub(crate) async fn an_idle_claim_says_when_to_come_again(stand: &mut dyn Stand) {
    assert_eq!(stand.claim(&["rule events/watch"], 1).await.next_due, None);
    stand.accept(event("a", vec![NewJob { delay: seconds(5), ..rule("r") }])).await;
    let due = stand.claim(&["rule events/watch"], 1).await.next_due.unwrap();
    stand.advance(seconds(5));
    assert_eq!(stand.claim(&["connector chat"], 1).await.next_due, None);
    assert_eq!(stand.claim(&["rule events/watch"], 0).await.next_due, Some(due));
    let claimed = stand.claim(&["rule events/watch"], 1).await;
    assert_eq!(claimed.jobs.len(), 1);
    assert_eq!(claimed.next_due, Some(due + LEASE.as_millis() as i64), "when the lease runs out");
}

pub(crate) async fn a_late_settle_changes_nothing(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("a")])).await;
    let first = stand.claim_all().await.remove(0);
    stand.advance(LEASE);
    let second = stand.claim_all().await.remove(0);
    assert_eq!(stand.settle(&first, End::Done(vec![action("child")])).await, Settled::LostLease);
    assert_eq!(stand.states("a").await, ["a running"]);
    assert_eq!(stand.settle(&second, End::Done(Vec::new())).await, Settled::Applied);
    assert_eq!(stand.settle(&second, End::Dead).await, Settled::LostLease);
    assert_eq!(stand.states("a").await, ["a done"]);
}

pub(crate) async fn an_expired_lease_is_on_record_and_leaves_an_action_in_doubt(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("action"), rule("rule")])).await;
    assert!(stand.claim_all().await.iter().all(|job| !job.doubt));
    stand.advance(LEASE);
    let again = stand.claim_all().await;
    assert!(again.iter().all(|job| job.token.attempt == 2 && job.doubt == (job.key == "action")));
    let jobs = stand.show("a").await.jobs;
    assert!(jobs.iter().all(|job| job.tries.len() == 1 && job.tries[0].result == "lost"));
}

pub(crate) async fn a_renewed_lease_is_held(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("a"), action("b")])).await;
    let jobs = stand.claim_all().await;
    stand.advance(seconds(20));
    let tokens = vec![jobs[0].token.clone()];
    assert_eq!(stand.store().renew(tokens.clone(), LEASE).await.unwrap(), tokens);
    stand.advance(seconds(20));
    assert_eq!(keys(&stand.claim_all().await), ["b"]);
    let all = jobs.iter().map(|job| job.token.clone()).collect();
    assert_eq!(stand.store().renew(all, LEASE).await.unwrap(), tokens, "the other was lost");
}

pub(crate) async fn what_the_asker_holds_is_not_given_out_again(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("a"), action("b"), action("c"), rule("r")])).await;
    let jobs = stand.claim_all().await;
    stand.advance(LEASE + seconds(1_000_000));
    stand.accept(event("b", vec![action("new")])).await;
    let token = |key: &str| jobs.iter().find(|job| job.key == key).expect("it was given out").token.clone();
    let claimed = stand.claim_beside(&BOTH, 1, ["a", "b", "r"].map(token).into()).await;
    assert_eq!(keys(&claimed.jobs), ["c"], "what is held takes no place of others");
    let claimed = stand.claim_beside(&BOTH, 9, ["a", "b", "c", "r"].map(token).into()).await;
    assert_eq!(keys(&claimed.jobs), ["new"], "an old token of `c` changes nothing about its new lease");
    for key in ["a", "b", "r"] {
        let job = jobs.iter().find(|job| job.key == key).expect("it was given out");
        assert_eq!(stand.settle(job, End::Done(Vec::new())).await, Settled::Applied, "{key}");
    }
    stand.advance(LEASE);
    let claimed = stand.claim_beside(&BOTH, 9, vec![token("c")]).await;
    assert_eq!(keys(&claimed.jobs), ["c", "new"], "who holds an old token holds nothing");
    assert_eq!(stand.show("a").await.jobs[0].tries, [attempt("done")], "nothing was lost");
}

pub(crate) async fn after_a_crash_leases_are_void_and_nothing_is_lost(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("running"), rule("poison")])).await;
    let before = stand.claim_all().await;
    stand.accept(event("b", vec![action("waiting")])).await;
    stand.crash().await;
    let after = stand.claim_all().await;
    assert_eq!(keys(&after), ["waiting"], "suspects are not given out with others");
    stand.advance(AFTER_DEATH[0]);
    let mut suspects = Vec::new();
    while let Some(job) = stand.claim_suspect(&BOTH).await {
        suspects.push((job.key, job.token.attempt, job.doubt, job.deaths));
    }
    assert_eq!(suspects, [("running".to_owned(), 2, true, 1), ("poison".to_owned(), 2, false, 1)]);
    assert_eq!(stand.settle(&before[0], End::Done(Vec::new())).await, Settled::LostLease);
    assert_eq!(stand.show("a").await.jobs[0].tries[0].result, "lost");
}

const BOTH: [&str; 2] = ["rule events/watch", "connector chat"];

pub(crate) async fn what_was_in_work_at_a_crash_is_given_out_alone_later_and_later(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("poison"), action("innocent")])).await;
    stand.claim_all().await;
    for (deaths, rest) in (1..).zip(AFTER_DEATH) {
        stand.crash().await;
        let due = stand.claim(&BOTH, 9).await.next_suspect.expect("there is a suspect");
        assert_eq!(due, stand.store().now() + rest.as_millis() as i64, "after {deaths}");
        assert!(stand.claim_suspect(&BOTH).await.is_none(), "it is not due yet");
        stand.advance(rest);
        assert!(stand.claim_all().await.is_empty());
        assert!(stand.claim_suspect(&["connector mail"]).await.is_none(), "of the lanes that are asked for");
        if deaths == 1 {
            let innocent = stand.claim_suspect(&BOTH[1..]).await.expect("one of the two");
            stand.settle(&innocent, End::Done(Vec::new())).await;
        }
        let poison = stand.claim_suspect(&BOTH).await.expect("it is due");
        assert_eq!((poison.key.as_str(), poison.deaths), ("poison", deaths));
        assert!(stand.claim_suspect(&BOTH).await.is_none(), "one at a time");
    }
    stand.crash().await;
    let poison = stand.claim_suspect(&BOTH).await.expect("it is due at once");
    assert_eq!(poison.deaths, MOST_DEATHS);
    stand.settle(&poison, End::Dead).await;
    assert_eq!(stand.replay("a", false).await, Ok(1));
    assert_eq!(stand.claim_all().await[0].deaths, 0, "who replays it gives it a new start");
}

pub(crate) async fn a_try_that_ends_clears_a_suspect(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("a")])).await;
    stand.claim_all().await;
    stand.crash().await;
    stand.advance(AFTER_DEATH[0]);
    let job = stand.claim_suspect(&BOTH).await.expect("it is due");
    stand.settle(&job, End::Postpone(seconds(1))).await;
    stand.advance(seconds(1));
    let job = stand.claim_suspect(&BOTH).await.expect("what was postponed was not tried");
    stand.settle(&job, End::Retry(seconds(1))).await;
    stand.advance(seconds(1));
    assert!(stand.claim_suspect(&BOTH).await.is_none());
    assert_eq!(stand.claim_all().await[0].deaths, 0);
}

pub(crate) async fn what_a_stop_gives_back_is_no_suspect(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("rule"), action("action")])).await;
    let tokens: Vec<Token> = stand.claim_all().await.into_iter().map(|job| job.token).collect();
    stand.store().abandon(tokens.clone()).await.unwrap();
    stand.store().abandon(tokens).await.unwrap();
    stand.crash().await;
    let again = stand.claim_all().await;
    let found: Vec<_> = again.iter().map(|job| (job.key.as_str(), job.token.attempt, job.doubt, job.deaths)).collect();
    assert_eq!(found, [("rule", 2, false, 0), ("action", 2, true, 0)]);
    assert!(stand.show("a").await.jobs.iter().all(|job| job.tries.len() == 1 && job.tries[0].result == "lost"));
}

pub(crate) async fn a_retry_counts_and_a_postponement_does_not(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![action("a")])).await;
    let first = stand.claim_all().await.remove(0);
    stand.settle(&first, End::Postpone(seconds(10))).await;
    assert!(stand.claim_all().await.is_empty());
    stand.advance(seconds(10));
    let second = stand.claim_all().await.remove(0);
    assert_eq!(second.token.attempt, 1);
    assert_ne!(second.token.claim, first.token.claim);
    stand.settle(&second, End::Retry(seconds(10))).await;
    stand.advance(seconds(10));
    assert_eq!(stand.claim_all().await[0].token.attempt, 2);
    assert_eq!(stand.show("a").await.jobs[0].tries, [attempt("failed")]);
}

pub(crate) async fn children_are_kept_with_the_end_of_their_parent(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("r")])).await;
    let job = stand.claim_all().await.remove(0);
    stand.settle(&job, End::Done(vec![action("r/1"), action("r/2"), action("r/1")])).await;
    assert_eq!(stand.states("a").await, ["r done", "r/1 waiting", "r/2 waiting"]);
    let jobs = stand.show("a").await.jobs;
    assert_eq!(jobs[1].parent, Some(jobs[0].id));
    assert_eq!(&*jobs[1].body, b"do r/1");
}

pub(crate) async fn a_dead_child_is_asked_for_again_by_a_replayed_parent(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("r")])).await;
    stand.accept(event("b", vec![rule("s")])).await;
    let rules = stand.claim_all().await;
    stand.settle(&rules[0], End::Done(vec![action("dead"), action("done")])).await;
    let actions = stand.claim_all().await;
    stand.settle(&actions[0], End::Dead).await;
    stand.settle(&actions[1], End::Done(Vec::new())).await;
    stand.settle(&rules[1], End::Done(vec![action("dead"), action("done")])).await;
    assert_eq!(stand.states("a").await, ["r done", "dead waiting", "done done"]);
    assert_eq!(stand.claim_all().await[0].token.attempt, 1);
}

fn ordered(key: &str, number: i64) -> NewJob {
    NewJob { order: Some(("user 1".to_owned(), number)), ..rule(key) }
}

pub(crate) async fn a_line_is_worked_on_in_order(stand: &mut dyn Stand) {
    let other = NewJob { order: Some(("user 2".to_owned(), 9)), ..rule("other") };
    stand.accept(event("a", vec![ordered("third", 3), ordered("first", 1), ordered("second", 2), other])).await;
    for (index, expected) in ["first", "second", "third"].into_iter().enumerate() {
        let jobs = stand.claim_all().await;
        assert_eq!(keys(&jobs), if index == 0 { vec![expected, "other"] } else { vec![expected] });
        assert!(stand.claim_all().await.is_empty(), "while it runs the others wait");
        stand.settle(&jobs[0], if index == 1 { End::Dead } else { End::Done(Vec::new()) }).await;
    }
}

pub(crate) async fn a_retry_holds_up_its_line(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![ordered("first", 1), ordered("second", 2)])).await;
    let first = stand.claim_all().await.remove(0);
    stand.settle(&first, End::Retry(seconds(10))).await;
    assert!(stand.claim_all().await.is_empty());
    stand.crash().await;
    stand.advance(seconds(10));
    assert_eq!(keys(&stand.claim_all().await), ["first"]);
}

pub(crate) async fn what_comes_late_with_a_smaller_number_goes_first(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![ordered("second", 2)])).await;
    let second = stand.claim_all().await.remove(0);
    stand.accept(event("b", vec![ordered("first", 1)])).await;
    assert!(stand.claim_all().await.is_empty(), "never two of a line at once");
    stand.settle(&second, End::Retry(seconds(0))).await;
    let first = stand.claim_all().await.remove(0);
    assert_eq!(first.order, Some(("user 1".to_owned(), 1)), "nothing smaller waits");
    stand.store().abandon(vec![first.token]).await.unwrap();
    assert_eq!(keys(&stand.claim_all().await), ["first"]);
    stand.crash().await;
    assert!(stand.claim_all().await.is_empty());
    stand.advance(AFTER_DEATH[0]);
    let first = stand.claim_suspect(&BOTH).await.expect("it is due");
    assert_eq!(first.key, "first");
    stand.settle(&first, End::Postpone(seconds(0))).await;
    assert!(stand.claim_all().await.is_empty(), "it is still the first");
    let first = stand.claim_suspect(&BOTH).await.expect("it is due");
    stand.settle(&first, End::Dead).await;
    assert_eq!(keys(&stand.claim_all().await), ["second"]);
}

pub(crate) async fn once_suppresses_what_comes_within_its_time(stand: &mut dyn Stand) {
    let once = |key: &str| NewJob { once: Some(("user 1".to_owned(), seconds(60))), ..action(key) };
    stand.accept(event("a", vec![once("a"), once("b")])).await;
    stand.advance(seconds(60));
    stand.accept(event("b", vec![once("c")])).await;
    assert_eq!(stand.states("a").await, ["a waiting", "b suppressed"]);
    assert_eq!(stand.states("b").await, ["c waiting"]);
    let note = stand.show("a").await.jobs[1].note.clone().unwrap();
    assert!(note.contains("2023-11-14T22:13:20Z"), "when the other was: {note}");
}

pub(crate) async fn a_suppressed_job_is_kept_and_never_done(stand: &mut dyn Stand) {
    let job = NewJob { suppressed: Some("a preview".to_owned()), ..action("a") };
    stand.accept(event("a", vec![job])).await;
    assert!(stand.claim_all().await.is_empty());
    assert_eq!(stand.states("a").await, ["a suppressed"]);
    assert_eq!(stand.show("a").await.jobs[0].note.as_deref(), Some("a preview"));
}

fn digest(key: &str) -> NewJob {
    NewJob { digest: Some(("logins".to_owned(), seconds(60))), ..action(key) }
}

pub(crate) async fn a_digest_gathers_until_its_window_is_over(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![digest("leader")])).await;
    stand.advance(seconds(30));
    let many = (0..MAX_GATHERED + 5).map(|number| digest(&format!("member {number}"))).collect();
    stand.accept(event("b", many)).await;
    assert!(stand.claim_all().await.is_empty());
    stand.advance(seconds(30));
    stand.accept(event("c", vec![digest("next")])).await;
    let leader = stand.claim_all().await.remove(0);
    assert_eq!((leader.gathered.len(), leader.gathered_count), (MAX_GATHERED, MAX_GATHERED as u64 + 5));
    assert_eq!(&*leader.gathered[0], b"do member 0");
    assert_eq!(stand.states("c").await, ["next waiting"]);
    stand.settle(&leader, End::Done(Vec::new())).await;
    assert!(stand.states("b").await.iter().all(|job| job.ends_with(" done")));
}

pub(crate) async fn the_dead_of_a_digest_are_replayed_together(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![digest("leader")])).await;
    stand.accept(event("b", vec![digest("member")])).await;
    stand.advance(seconds(60));
    let leader = stand.claim_all().await.remove(0);
    stand.settle(&leader, End::Dead).await;
    assert_eq!(stand.states("b").await, ["member dead"]);
    assert_eq!(stand.replay("b", false).await, Ok(2));
    assert_eq!(stand.states("b").await, ["member gathered"]);
    let leader = stand.claim_all().await.remove(0);
    assert_eq!((leader.replay, leader.gathered_count), (1, 1));
}

pub(crate) async fn a_replay_without_force_repeats_nothing(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("dead"), rule("done"), NewJob { delay: seconds(9), ..rule("waiting") }])).await;
    let jobs = stand.claim_all().await;
    stand.settle(&jobs[0], End::Dead).await;
    stand.settle(&jobs[1], End::Done(Vec::new())).await;
    assert_eq!(stand.replay("a", false).await, Ok(1));
    assert_eq!(stand.states("a").await, ["dead waiting", "done done", "waiting waiting"]);
    let Err(StoreError::Refused(_)) = stand.replay("a", false).await else { panic!("nothing is dead") };
    let Err(StoreError::Refused(_)) = stand.replay("none", false).await else { panic!("there is no such event") };
    let again = stand.claim_all().await;
    assert_eq!((again[0].token.attempt, again[0].replay, again[0].generation), (1, 1, 0));
}

pub(crate) async fn a_forced_replay_is_a_new_generation(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("r")])).await;
    let job = stand.claim_all().await.remove(0);
    stand.settle(&job, End::Done(vec![action("r/0")])).await;
    assert!(stand.replay("a", true).await.is_err(), "its action still waits");
    let child = stand.claim_all().await.remove(0);
    stand.settle(&child, End::Done(Vec::new())).await;
    let Err(StoreError::Refused(why)) = stand.replay("a", false).await else { panic!("nothing is dead") };
    assert!(why.contains("force"), "{why}");
    assert_eq!(stand.replay("a", true).await, Ok(1));
    let job = stand.claim_all().await.remove(0);
    assert_eq!((job.key.as_str(), job.replay, job.generation), ("r", 1, 1));
    stand.settle(&job, End::Done(vec![action("r/1")])).await;
    assert_eq!(stand.states("a").await, ["r done", "r/0 done", "r/1 waiting"]);
}

pub(crate) async fn a_forced_replay_of_a_call_gives_new_keys(stand: &mut dyn Stand) {
    let flags = Flags { call: true, ..Flags::default() };
    stand.accept(NewEvent { flags, ..event("a", vec![action("k")]) }).await;
    for expected in ["k#1", "k#2"] {
        let job = stand.claim_all().await.remove(0);
        stand.settle(&job, End::Done(Vec::new())).await;
        assert_eq!(stand.replay("a", true).await, Ok(1));
        assert_eq!(stand.states("a").await, [format!("{expected} waiting")]);
    }
    assert!(stand.show("a").await.event.flags.call);
}

pub(crate) async fn a_purge_leaves_what_is_open_and_remembers_keys(stand: &mut dyn Stand) {
    stand.accept(event("ended", vec![rule("r")])).await;
    let job = stand.claim_all().await.remove(0);
    stand.settle(&job, End::Dead).await;
    stand.accept(event("open", vec![rule("s")])).await;
    stand.accept(event("empty", Vec::new())).await;
    assert_eq!(stand.purge_all(Query::default()).await, 2);
    assert_eq!(stand.accept(event("ended", Vec::new())).await, Accepted::Duplicate);
    assert_eq!(stand.states("open").await, ["s waiting"]);
}

pub(crate) async fn a_purge_of_the_dead_leaves_the_rest(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("dead"), rule("done"), action("dead too")])).await;
    for job in stand.claim_all().await {
        stand.settle(&job, if job.key == "done" { End::Done(Vec::new()) } else { End::Dead }).await;
    }
    let of = |connector: Option<&str>| Query {
        state: Some(JobState::Dead),
        connector: connector.map(str::to_owned),
        ..Query::default()
    };
    assert_eq!(stand.purge_all(of(Some("chat"))).await, 1);
    assert_eq!(stand.states("a").await, ["dead dead", "done done"]);
    assert_eq!(stand.purge_all(of(None)).await, 1);
    assert_eq!(stand.states("a").await, ["done done"]);
}

pub(crate) async fn a_sweep_takes_what_is_old_and_ended(stand: &mut dyn Stand) {
    stand.accept(event("ended", vec![rule("r")])).await;
    let job = stand.claim_all().await.remove(0);
    stand.settle(&job, End::Done(Vec::new())).await;
    stand.accept(event("open", vec![rule("s")])).await;
    stand.advance(seconds(100));
    stand.accept(event("new", Vec::new())).await;
    let sweep = |remember| Operation::Sweep { keep: seconds(50), remember: seconds(remember), decisions: 0 };
    assert_eq!(stand.store().operate(sweep(200)).await, Ok(1));
    assert_eq!(stand.accept(event("ended", Vec::new())).await, Accepted::Duplicate);
    assert_eq!(stand.store().operate(sweep(50)).await, Ok(0), "two old keys, and no event");
    assert!(matches!(stand.accept(event("ended", Vec::new())).await, Accepted::New(_)));
    assert_eq!(stand.states("open").await, ["s waiting"], "found although its key was forgotten");
}

pub(crate) async fn lists_are_filtered_and_paged(stand: &mut dyn Stand) {
    for number in 0..7_i64 {
        let kind = if number % 2 == 0 { "user.session.start" } else { "user.sessions" };
        let jobs = if number == 3 { vec![rule("r"), action("c")] } else { Vec::new() };
        stand.accept(NewEvent { kind: kind.to_owned(), ..event(&number.to_string(), jobs) }).await;
        stand.advance(seconds(1));
    }
    let list = async |query: Query| {
        let page = stand.store().list(query).await.unwrap();
        (page.events.iter().map(|event| event.key.parse().unwrap()).collect::<Vec<i32>>(), page.next)
    };
    let start = stand.show("0").await.event.received;
    let (first, next) = list(Query { limit: 4, ..Query::default() }).await;
    assert_eq!(first, [6, 5, 4, 3]);
    assert_eq!(list(Query { limit: 4, after: next, ..Query::default() }).await, (vec![2, 1, 0], None));
    assert_eq!(list(Query { kind: Some("user.session.*".to_owned()), ..Query::default() }).await.0, [6, 4, 2, 0]);
    assert_eq!(list(Query { kind: Some("user.sessions".to_owned()), ..Query::default() }).await.0, [5, 3, 1]);
    let times = Query { since: Some(start + 2_000), until: Some(start + 4_000), ..Query::default() };
    assert_eq!(list(times).await.0, [3, 2]);
    for query in [
        Query { rule: Some("watch".to_owned()), ..Query::default() },
        Query { connector: Some("chat".to_owned()), ..Query::default() },
        Query { rule: Some("watch".to_owned()), connector: Some("chat".to_owned()), ..Query::default() },
        Query { state: Some(JobState::Waiting), ..Query::default() },
    ] {
        assert_eq!(list(query.clone()).await.0, [3], "{query:?}");
        assert!(list(Query { route: Some("others".to_owned()), ..query }).await.0.is_empty());
    }
    assert!(list(Query { rule: Some("atch".to_owned()), ..Query::default() }).await.0.is_empty());
    for state in JobState::ALL {
        for nothing in [
            Query { rule: Some(String::new()), state: Some(state), ..Query::default() },
            Query { connector: Some("none".to_owned()), state: Some(state), ..Query::default() },
        ] {
            assert!(list(nothing).await.0.is_empty(), "{state:?}");
        }
    }
}

pub(crate) async fn long_details_are_cut_between_characters(stand: &mut dyn Stand) {
    stand.accept(event("a", vec![rule("r")])).await;
    let job = stand.claim_all().await.remove(0);
    let long = crate::Attempt { detail: format!("x{}", "ä".repeat(2000)), ..attempt("failed") };
    stand.store().settle(job.token, long, End::Dead).await.unwrap();
    let kept = stand.show("a").await.jobs.remove(0).tries.remove(0).detail;
    assert_eq!(kept.len(), 2047);
}

//! Prunes: killed, overtaken by changes, refused.

use super::*;

#[tokio::test]
async fn a_prune_that_is_killed_anywhere_leaves_in_the_end_what_its_plan_said() {
    let bench = Bench::new(|options| options.images_in_use = Some("used".to_owned()));
    let rules = PruneRules::new(PruneScope::NamePrefix("web-".to_owned()), 1);
    for at in 0.. {
        let mut expected = Vec::new();
        for (name, stays) in [("web-a", false), ("web-used", true), ("web-c", false), ("web-z", true)] {
            let id = bench.made(&format!("{name}-{at}")).await;
            expected.extend(stays.then_some(id));
        }
        let plan = bench.images.plan_prune(&here(), &rules).await.unwrap();
        let tell = |_: &Region, _: &PrunedImage| {};
        let killed = bench.killed(at, at % 2 == 0, bench.images.prune(&plan, &rules, tell)).await;
        let again = bench.images.plan_prune(&here(), &rules).await.unwrap();
        let outcomes = bench.images.prune(&again, &rules, tell).await.unwrap();
        assert!(outcomes.iter().all(|one| matches!(one.outcome, Ok(Pruned::Deleted(_)))), "{outcomes:?}");
        let mut left: Vec<ImageId> = bench
            .images
            .list(&here(), &ImageQuery::default())
            .await
            .unwrap()
            .into_iter()
            .map(|image| image.image_id)
            .collect();
        left.sort();
        expected.sort();
        assert_eq!((left, bench.snapshots().await), (expected.clone(), expected.len()), "{at}");
        for id in &expected {
            let all = DeleteOptions::default().with_snapshots(true).with_force(true);
            bench.images.delete(&here(), id, all).await.unwrap();
        }
        if !killed {
            break;
        }
    }
}

#[tokio::test]
async fn what_has_changed_since_the_plan_stays_and_one_failure_does_not_end_it() {
    let bench = Bench::new(|_| {});
    let rules = PruneRules::new(PruneScope::NamePrefix("web-".to_owned()), 1);
    let (gone, shared, renamed, old) = (
        bench.made("web-gone").await,
        bench.made("web-shared").await,
        bench.made("web-renamed").await,
        bench.made("web-old").await,
    );
    bench.made("web-new").await;
    let plan = bench.images.plan_prune(&here(), &rules).await.unwrap();
    assert_eq!(plan.judged.iter().filter(|judged| judged.goes()).count(), 4);
    bench.images.delete(&here(), &gone, DeleteOptions::default()).await.unwrap();
    bench.share(&shared).await;
    bench.images.rename(&here(), &renamed, "other").await.unwrap();
    bench.deny(Some("DeleteImage"));
    let told = Mutex::new(0);
    let tell = |_: &Region, _: &PrunedImage| *told.lock().unwrap() += 1;
    let outcomes = bench.images.prune(&plan, &rules, tell).await.unwrap();
    bench.deny(None);
    assert_eq!(*told.lock().unwrap(), 4);
    let of = |id: &ImageId| &outcomes.iter().find(|one| one.image.image_id == *id).unwrap().outcome;
    assert!(matches!(of(&gone), Ok(Pruned::Gone)));
    assert!(matches!(of(&shared), Ok(Pruned::Stays(Staying::Shared))));
    assert!(matches!(of(&renamed), Ok(Pruned::Stays(Staying::Changed))));
    assert!(of(&old).as_ref().is_err_and(|error| error.kind() == crate::ErrorKind::Credentials));
}

#[tokio::test]
async fn what_a_family_comes_to_point_to_while_others_are_deleted_stays() {
    let bench = Bench::new(|_| {});
    let rules = PruneRules::new(PruneScope::NamePrefix("web-".to_owned()), 1);
    let (oldest, older, newest) =
        (bench.made("web-1").await, bench.made("web-2").await, bench.made("web-3").await);
    for id in [&older, &newest] {
        bench.images.set_family(&here(), id, "web").await.unwrap();
    }
    let plan = bench.images.plan_prune(&here(), &rules).await.unwrap();
    assert_eq!(plan.judged.iter().filter(|judged| judged.goes()).count(), 2);
    // Somebody rolls the family back as soon as the first one is deleted.
    let roll_back = |_: &Region, one: &PrunedImage| {
        if one.image.image_id == oldest {
            let deprecate = || {
                let somebody = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                somebody.block_on(bench.images.deprecate(&here(), &newest, &deprecation()))
            };
            std::thread::scope(|scope| scope.spawn(deprecate).join().unwrap()).unwrap();
        }
    };
    let outcomes = bench.images.prune(&plan, &rules, roll_back).await.unwrap();
    let outcomes: Vec<_> = outcomes.iter().map(|one| one.outcome.as_ref().unwrap()).collect();
    assert!(matches!(outcomes[0], Pruned::Deleted(_)), "{outcomes:?}");
    assert!(matches!(outcomes[1], Pruned::Stays(Staying::FamilyHead(_))), "{outcomes:?}");
}

#[tokio::test]
async fn a_public_image_that_accounts_have_too_goes_only_if_both_are_allowed() {
    let bench = Bench::new(|_| {});
    let mut rules = PruneRules::new(PruneScope::NamePrefix("web-".to_owned()), 1);
    (rules.public, rules.shared) = (true, false);
    let id = bench.made("web-1").await;
    bench.share(&id).await;
    bench.images.publish(&here(), &id).await.unwrap();
    bench.made("web-2").await;
    let tell = |_: &Region, _: &PrunedImage| {};
    let plan = bench.images.plan_prune(&here(), &rules).await.unwrap();
    assert!(
        bench.images.prune(&plan, &rules, tell).await.unwrap().is_empty(),
        "the list says that it is shared"
    );
    rules.shared = true;
    let plan = bench.images.plan_prune(&here(), &rules).await.unwrap();
    let outcomes = bench.images.prune(&plan, &rules, tell).await.unwrap();
    assert!(matches!(outcomes[0].outcome, Ok(Pruned::Deleted(_))), "{outcomes:?}");
}

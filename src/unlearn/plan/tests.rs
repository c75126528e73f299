use super::*;
use crate::data::{Dataset, ForgetSet};
use crate::models::Architecture;

fn resolved(recipe: &Recipe, of: &Architecture, data: &Dataset, set: &ForgetSet) -> Plan {
    let scope = Scope::of_classes(of, data, set, &recipe.redirect).unwrap();
    Plan::new(recipe, scope).unwrap()
}

/// A plan of 3 forget batches and 7 retain batches an epoch.
fn plan(method: &str, knobs: &[(&str, f64)]) -> Plan {
    let data = crate::data::open("fashion-mnist").unwrap();
    let set = ForgetSet {
        spec: "class:0".into(),
        class: Some(0),
        forget: (0..30).collect(),
        retain: (30..100).collect(),
        earlier: Vec::new(),
    };
    let recipe = Recipe {
        method: method.into(),
        batch: Some(10),
        epochs: Some(3),
        knobs: knobs.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
        budget: Budget::Full,
        ..Recipe::new("m", "d", "class:0")
    };
    let model = crate::models::registry::open("fashion-classifier").unwrap();
    resolved(&recipe, &model.card.architecture, &data, &set)
}

fn turns(plan: &Plan) -> Vec<(usize, BatchPick)> {
    (0..plan.steps).map(|s| plan.turn(s)).map(|(epoch, _, turn)| (epoch, turn)).collect()
}

#[test]
fn passes_see_the_forget_set_and_then_the_retain_set() {
    let salun = plan("salun", &[]);
    let turns = turns(&salun);
    assert_eq!(turns.len(), 30);
    assert_eq!([turns[2], turns[3]], [(0, BatchPick::Forget(2)), (0, BatchPick::Retain(0))]);
    assert_eq!([turns[29], turns[10]], [(2, BatchPick::Retain(6)), (1, BatchPick::Forget(0))]);
}

#[test]
fn the_forget_pass_can_be_left_out_of_the_last_epochs() {
    let turns = turns(&plan("scrub", &[("forget-epochs", 1.0)]));
    assert_eq!(turns.len(), 10 + 7 + 7);
    assert!(
        turns[10..]
            .iter()
            .all(|(epoch, turn)| { *epoch > 0 && matches!(turn, BatchPick::Retain(i) if *i < 7) })
    );
    assert_eq!(turns[17], (2, BatchPick::Retain(0)));
}

#[test]
fn a_forget_batch_comes_before_every_few_retain_batches() {
    let turns = turns(&plan("sfr-on", &[("every", 3.0)]));
    assert_eq!(turns.len(), 3 * 10);
    let epoch: Vec<BatchPick> = turns[10..20].iter().map(|(_, turn)| *turn).collect();
    use BatchPick::{Forget as F, Retain as R};
    assert_eq!(epoch, [F(0), R(0), R(1), R(2), F(1), R(3), R(4), R(5), F(2), R(6)]);
}

#[test]
fn a_retrain_is_as_long_as_the_originals_training() {
    let data = crate::data::open("fashion-mnist").unwrap();
    let model = crate::models::registry::open("fashion-ddpm").unwrap();
    let split = data.split(model.card.split_seed);
    let set = ForgetSet::parse("class:Sneaker", &data, &split, 1).unwrap();
    let steps = |budget, steps| {
        let recipe = Recipe {
            method: "retrain".into(),
            budget,
            steps,
            ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
        };
        let mut plan = resolved(&recipe, &model.card.architecture, &data, &set);
        plan.as_trained(&model.card, &recipe, split.train.len());
        (plan.steps, plan.batch, plan.lr)
    };
    // Five passes over the 48,600 pictures that are left, as the shipped twin's card says.
    assert_eq!(steps(Budget::Quick, None), (3_800, 64, 1e-3));
    assert_eq!(steps(Budget::Full, None), (3_800, 64, 1e-3));
    assert_eq!(steps(Budget::Quick, Some(7)).0, 7);
    assert!(steps(Budget::Tiny, None).0 < 10);
}

#[test]
fn few_pictures_are_forgotten_in_smaller_and_more_updates_and_in_company() {
    let data = crate::data::open("fashion-mnist").unwrap();
    let architecture = crate::models::registry::open("fashion-classifier").unwrap().card;
    let architecture = architecture.architecture;
    let split = data.split(1);
    let plan = |data: &Dataset, n: usize, recipe: Recipe| {
        let set = ForgetSet::parse("class:Sneaker", data, &split, 1).unwrap();
        let [forget, retain] = [(&set.forget, n), (&set.retain, 3 * n)]
            .map(|(all, n)| all[..n.min(all.len())].to_vec());
        resolved(&recipe, &architecture, data, &ForgetSet { forget, retain, ..set })
    };
    let recipe =
        |method: &str| Recipe { method: method.into(), ..Recipe::new("m", "d", "class:Sneaker") };
    // Many are normalised in company alone, and by the full budget as the paper has it.
    let many = plan(&data, 5_400, recipe("salun"));
    assert_eq!((many.batch, many.steps, many.lr), (128, 240, IN_COMPANY));
    assert!(!many.few && many.company.len() == 16_200);
    let full = plan(&data, 5_400, Recipe { budget: Budget::Full, ..recipe("salun") });
    assert!(full.company.is_empty() && full.lr == 0.013);
    let few = plan(&data, 54, recipe("salun"));
    assert_eq!(plan(&data, 2, recipe("salun")).each, [2, 6]);
    assert_eq!((few.batch, few.epochs, few.company.len()), (16, 16, 162));
    assert!((200..300).contains(&few.steps), "{}", few.steps);
    // The epochs that move away grow with the others.
    let scrub = plan(&data, 54, recipe("scrub"));
    assert_eq!((scrub.epochs, scrub.forget_epochs()), (16, 8));
    let said = Recipe { batch: Some(32), epochs: Some(2), ..recipe("salun") };
    let said = plan(&data, 54, said);
    assert_eq!((said.batch, said.epochs), (32, 2));
}

#[test]
fn pairs_and_mixtures_cover_the_retain_set() {
    let pairs = turns(&plan("munba", &[]));
    assert_eq!(pairs[..4].iter().map(|(_, t)| *t).next_back(), Some(BatchPick::Pair(0, 3)));
    assert_eq!(pairs.len(), 21);
    let mixed = turns(&plan("bad-teacher", &[]));
    assert_eq!((mixed.len(), mixed[29]), (30, (2, BatchPick::Mixed(9))));
}

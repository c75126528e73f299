use super::*;
use crate::words::{Metrics, Redirect};

const MODEL: &str = "fashion-classifier";

fn recipe(method: &str, density: f64) -> Recipe {
    let recipe = Recipe::new(MODEL, "fashion-mnist", "class:Sneaker");
    Recipe { method: method.into(), density, ..recipe }
}

fn subject(recipe: &Recipe) -> Subject<'_> {
    Subject { recipe, classes: &[], layer: [None; 2], report: None, control: None, after: None }
}

/// A report of which only what conditions look at is set.
fn report(ua: f64, label: &str) -> Report {
    let text = format!(
        r#"{{"task":"classify","model":"m","data":"d","forget":{{"spec":"class:Sneaker","n":600}},"method":"salun",
        "training":{{"steps":1,"batch":1,"lr":1.0,"anneal":true,"each_epoch":[1,1]}},"mask":null,
        "before":{0},"after":{0},"retrain":null,"gap":{{"UA":1,"RA":1,"TA":1,"MIA":1,"average":1.5,"ToW":0.9}},
        "seconds":{{"mask":0,"unlearn":0,"evaluate":0}},"verdict":{{"label":"{label}","why":""}},
        "device":{{"name":"CPU","api":"cpu"}},"seed":1,"protocol":"p","version":"0"}}"#,
        serde_json::to_string(&Metrics {
            UA: ua,
            RA: 95.0,
            TA: 93.0,
            per_class: vec![96.0, 40.0],
            n: [1000, 3000, 2700],
            ..Metrics::default()
        })
        .unwrap()
    );
    serde_json::from_str(&text).unwrap()
}

/// The shortfall's key, or what else there is.
fn key(standing: &Standing) -> &str {
    match standing {
        Standing::Missing(short) => short.key,
        Standing::Waits => "waits",
        Standing::Passed => "passed",
    }
}

fn goal(text: &str) -> Goal {
    toml::from_str(text).unwrap()
}

#[test]
fn a_request_is_held_against_each_condition_in_turn() {
    let goal = goal(r#"request = [{ kind = "random" }, { share = [8, 12] }]"#);
    assert_eq!(goal.judge(MODEL, None, &[]), Standing::Waits);
    for (forget, found) in [
        ("class:Sneaker", "kind"),
        ("hardest:10%", "kind"),
        ("random:500", "share"),
        ("random:7%", "share"),
        ("random:8%", "passed"),
        ("random:12%", "passed"),
        ("random:13%", "share"),
    ] {
        let asked = Recipe { forget: forget.into(), ..recipe("salun", 0.5) };
        let standing = goal.judge(MODEL, Some(subject(&asked)), &[]);
        assert_eq!(key(&standing), found, "{forget}");
    }
    let asked = Recipe { forget: "random:10%".into(), ..recipe("salun", 0.5) };
    assert_eq!(key(&goal.judge("another", Some(subject(&asked)), &[])), FIRST);
    let later = Recipe { after: vec![recipe("salun", 0.5)], ..asked.clone() };
    assert_eq!(key(&goal.judge(MODEL, Some(subject(&later)), &[])), FIRST);
    let theirs = Recipe { given: Some("file".into()), ..asked };
    assert_eq!(key(&goal.judge(MODEL, Some(subject(&theirs)), &[])), FIRST);
}

#[test]
fn a_mask_and_a_layer_are_what_they_are() {
    let goal = goal(r#"request = ["salient", { density = [9.5, 10.5] }, "densest"]"#);
    let judged = |mask, density, layer| {
        let asked = Recipe { mask, ..recipe("salun", density) };
        let asked = Subject { layer, ..subject(&asked) };
        let Standing::Missing(short) = goal.judge(MODEL, Some(asked), &[]) else { return "passed" };
        short.key
    };
    let [right, wrong] =
        [[Some("a.weight"), Some("a.weight")], [Some("b.weight"), Some("a.weight")]];
    assert_eq!(judged(None, 0.1, right), "passed");
    assert_eq!(judged(Some(Estimator::Fisher), 0.1, right), "passed");
    for none in [Estimator::Random, Estimator::Inverted, Estimator::None] {
        assert_eq!(judged(Some(none), 0.1, right), "salient");
    }
    assert_eq!(judged(None, 0.2, right), "density");
    assert_eq!(judged(None, 0.1, wrong), "densest");
    assert_eq!(judged(None, 0.1, [None, Some("a.weight")]), "densest");
    assert_eq!(judged(None, 0.1, [None, None]), "densest", "nothing is scored yet");
}

#[test]
fn figures_of_a_run_are_at_least_or_at_most() {
    let asked = recipe("salun", 0.5);
    let (forgot, control) = (report(98.0, "forgot"), report(80.0, "under-forgot"));
    let classes = ["Bag".to_string(), "Coat".to_string()];
    let run = Subject {
        classes: &classes,
        report: Some(&forgot),
        control: Some(&control),
        ..subject(&asked)
    };
    for (condition, met) in [
        ("{ ua = 98 }", true),
        ("{ ua = 98.1 }", false),
        ("{ ra = 95 }", true),
        ("{ ra = 96 }", false),
        ("{ gap = 1.5 }", true),
        ("{ gap = 1.4 }", false),
        ("{ ahead = 18 }", true),
        ("{ ahead = 18.5 }", false),
        (r#"{ verdict = "forgot" }"#, true),
        (r#"{ verdict = "hidden" }"#, false),
        (r#"{ keeps = { class = "Bag", percent = 95 } }"#, true),
        (r#"{ keeps = { class = "Coat", percent = 95 } }"#, false),
        (r#"{ keeps = { class = "Dress", percent = 0 } }"#, false),
        (r#"{ shows = { class = "Bag", percent = 0 } }"#, false),
        ("{ back = 0 }", false),
        (r#"{ other-than = "salun" }"#, false),
        (r#"{ other-than = "ga" }"#, true),
    ] {
        let goal = goal(&format!("runs = [[{condition}]]"));
        let standing = goal.judge(MODEL, None, &[run]);
        assert_eq!(standing == Standing::Passed, met, "{condition}: {standing:?}");
        let bare = goal.judge(MODEL, None, &[Subject { report: None, control: None, ..run }]);
        let told = condition.contains("other");
        assert!(told || bare != Standing::Passed, "{condition} without a report");
        assert_eq!(goal.judge(MODEL, None, &[]), Standing::Waits);
    }
    // Nobody judged: no number is enough.
    let unjudged = Report { after: Metrics::unjudged(), ..forgot.clone() };
    let run = Subject { report: Some(&unjudged), ..run };
    assert_eq!(key(&goal("runs = [[{ ua = 0 }]]").judge(MODEL, None, &[run])), "ua");
    // A difference that chance may make is none.
    let like = report(97.0, "forgot");
    let run = Subject { report: Some(&forgot), control: Some(&like), ..run };
    assert_eq!(key(&goal("runs = [[{ ahead = 0.5 }]]").judge(MODEL, None, &[run])), "ahead");
}

#[test]
fn what_is_drawn_instead_is_counted_in_the_tiles() {
    let classes = ["Bag", "Sneaker", "Trouser"].map(String::from);
    let grid = |seen: [usize; 4]| Grid {
        rows: vec![Some(0), Some(1)],
        names: Vec::new(),
        columns: 4,
        channels: 1,
        tile: [1, 1],
        pixels: vec![0; 8],
        seen: [[0; 4], seen].concat().into_iter().map(|class| Some((class, 0.9))).collect(),
    };
    let redirect = Redirect::Class("Trouser".into());
    let asked = Recipe { redirect, ..recipe("salun", 0.5) };
    let report = report(100.0, "forgot");
    let goal = goal(r#"runs = [[{ shows = { class = "Trouser", percent = 75 } }]]"#);
    for (seen, met) in [([2, 2, 2, 0], true), ([2, 2, 0, 1], false), ([0; 4], false)] {
        let grid = grid(seen);
        let run = Subject {
            classes: &classes,
            report: Some(&report),
            after: Some(&grid),
            ..subject(&asked)
        };
        assert_eq!(goal.judge(MODEL, None, &[run]) == Standing::Passed, met, "{seen:?}");
    }
}

#[test]
fn two_runs_have_to_go_together() {
    let goal = goal(
        r#"runs = [[{ verdict = "forgot" }], [{ verdict = "under-forgot" }]]
        ratio = 2.5"#,
    );
    let (forgot, under) = (report(100.0, "forgot"), report(50.0, "under-forgot"));
    let judged = |runs: &[(f64, bool)]| {
        let recipes: Vec<Recipe> =
            runs.iter().map(|(density, _)| recipe("salun", *density)).collect();
        let runs = runs.iter().zip(&recipes).map(|((_, good), recipe)| Subject {
            report: Some(if *good { &forgot } else { &under }),
            ..subject(recipe)
        });
        goal.judge(MODEL, None, &runs.collect::<Vec<_>>())
    };
    assert_eq!(key(&judged(&[])), "waits");
    assert_eq!(key(&judged(&[(0.5, true)])), THEN);
    assert_eq!(key(&judged(&[(0.5, true), (0.2, true)])), THEN);
    assert_eq!(key(&judged(&[(0.5, false)])), THEN);
    assert_eq!(key(&judged(&[(0.5, true), (0.1, false)])), APART);
    assert_eq!(key(&judged(&[(0.1, true), (0.2, false)])), APART, "the wrong way round");
    assert_eq!(key(&judged(&[(0.5, true), (0.1, false), (0.25, true)])), "passed");
    let goal = Goal { ratio: None, methods: true, ..goal.clone() };
    let [one, same, other] = ["salun", "salun", "rl"].map(|method| recipe(method, 0.5));
    let run = |recipe, report| Subject { report: Some(report), ..subject(recipe) };
    let runs = [run(&one, &forgot), run(&same, &under)];
    assert_eq!(key(&goal.judge(MODEL, None, &runs)), APART);
    let runs = [run(&one, &forgot), run(&other, &under)];
    assert_eq!(goal.judge(MODEL, None, &runs), Standing::Passed);
}

#[test]
fn what_is_no_condition_is_refused() {
    for text in ["runs = [[{ uaa = 9 }]]", r#"runs = [["dense"]]"#, "run = []", "ratio = \"x\""] {
        assert!(toml::from_str::<Goal>(text).is_err(), "{text}");
    }
}

//! The lessons: their words in every language, and a person who tries the tempting wrong way first and then the
//! right one. What she does stands in [`plays`]; `studio_engine.rs` has her do it with the real engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use strum::VariantNames;

use super::answers::{CLASSES, SNEAKER, audit, live, metrics, run};
use super::played::{Played, kept};
use salun_studio::engine::{Audited, Event, Grid, Job, Outcome, Run};
use salun_studio::error::{Error, Result};
use salun_studio::run::Link;
use salun_studio::studio::lesson::{Condition, Language, Lesson, OTHERS, Standing, known};
use salun_studio::studio::state::JobKind;
use salun_studio::studio::{Arm, Choice, Keeper, Parcel, Studio};
use salun_studio::words::{
    Estimator, Gap, LayerReport, Piece, Recipe, Redirect, Task, Verdict, VerdictLabel,
};

/// Something that a person does.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Pick(&'static str),
    Mask(Estimator),
    Density(f64),
    /// Between the smallest density that forgot and the largest that did not, if there are both.
    Between,
    /// Opens the layer with the largest share of free weights, or the one with the smallest.
    Layer(bool),
    Method(&'static str),
    Redirect(&'static str),
    Forget,
    Audit,
}

/// What a person does in a lesson.
pub struct Play {
    pub lesson: &'static str,
    /// Each a way that does not do, and the shortfall that says why.
    pub wrong: &'static [(&'static [Act], &'static str)],
    pub right: &'static [Act],
}

/// How each lesson is passed, and how it is not.
pub const PLAYS: [Play; 8] = {
    use Act::{Audit, Between, Density, Forget, Layer, Mask, Method, Pick, Redirect};
    [
        Play {
            lesson: "forget-set",
            wrong: &[
                (&[Pick("class:Sneaker")], "kind"),
                (&[Pick("hardest:10%")], "kind"),
                (&[Pick("random:30%")], "share"),
            ],
            right: &[Pick("random:10%")],
        },
        Play {
            lesson: "saliency",
            wrong: &[
                (&[Layer(false)], "density"),
                (&[Density(0.1)], "densest"),
                (&[Mask(Estimator::Random), Layer(true)], "salient"),
                (&[Pick("class:Bag"), Mask(Estimator::AbsSumGrad), Layer(true)], "forget"),
            ],
            right: &[Pick("class:Sneaker"), Layer(true)],
        },
        Play {
            lesson: "forget",
            wrong: &[
                (&[Pick("class:Ankle boot"), Forget], "forget"),
                (&[Pick("class:Sneaker"), Method("ga"), Forget], "verdict"),
            ],
            right: &[Method("salun"), Forget],
        },
        Play {
            lesson: "retrain",
            wrong: &[
                (&[Method("noop"), Forget], "gap"),
                (&[Method("salun"), Forget], "then"),
                (&[Density(0.6), Forget], "apart"),
            ],
            right: &[Method("rl"), Forget],
        },
        Play {
            lesson: "density",
            wrong: &[(&[Forget], "then"), (&[Density(0.001), Forget], "apart")],
            right: &[Between, Forget, Between, Forget, Between, Forget, Between, Forget],
        },
        Play {
            lesson: "control",
            wrong: &[
                (&[Forget], "ahead"),
                (&[Density(0.5), Mask(Estimator::Random), Forget], "salient"),
            ],
            right: &[Mask(Estimator::AbsSumGrad), Forget],
        },
        Play {
            lesson: "redirect",
            wrong: &[(&[Forget], "shows")],
            right: &[Redirect("Trouser"), Forget],
        },
        Play {
            lesson: "gone",
            wrong: &[(&[Method("noop"), Forget], "ua"), (&[Method("salun"), Forget], "back")],
            right: &[Audit],
        },
    ]
};

impl Act {
    /// Does it.
    pub fn done_in(self, window: &mut Harness<Studio>) {
        if let Self::Layer(densest) = self {
            return open_layer(window, densest);
        }
        let state = &mut window.state_mut().state;
        match self {
            Self::Pick(spec) => {
                let opened = state.session().opened.clone().expect("a model is open");
                state.pick(Choice::parse(spec, &opened).unwrap());
            }
            Self::Mask(mask) => state.set_mask(Some(mask)),
            Self::Density(density) => state.set_density(density),
            Self::Between => {
                let session = state.session();
                let alike = |recipe: &Recipe| recipe.method == session.request.method;
                let entries = session.history.entries.iter().filter(|e| alike(&e.recipe));
                let of = |label| {
                    let runs = entries.clone().filter(move |entry| {
                        entry.report().is_some_and(|report| report.verdict.label == label)
                    });
                    runs.map(|entry| entry.recipe.density)
                };
                let least = of(VerdictLabel::Forgot).chain([1.0]).fold(1.0, f64::min);
                let most = of(VerdictLabel::UnderForgot).fold(1e-3, f64::max);
                // In steps of the slider.
                state.set_density(((least * most).sqrt() * 1e3).round() / 1e3);
            }
            Self::Method(method) => state.set_method(method),
            Self::Redirect(class) => {
                state.session_mut().request.redirect = Redirect::Class(class.into());
            }
            Self::Forget => state.forget(),
            Self::Audit => state.audit(Arm::Method),
            Self::Layer(_) => {}
        }
    }
}

/// Clicks the row of the layer of which the largest or the smallest share is free, unless it is open.
fn open_layer(window: &mut Harness<Studio>, densest: bool) {
    let layers = &window.state().state.session().saliency.as_ref().expect("scores").layers;
    let weights = layers.iter().filter(|layer| layer.shape.len() > 1);
    let share = |layer: &&LayerReport| layer.kept as f64 / layer.n as f64;
    let by = |a: &&LayerReport, b: &&LayerReport| share(a).total_cmp(&share(b));
    let layer = if densest { weights.max_by(by) } else { weights.min_by(by) };
    let name = format!("{}, ", layer.expect("a layer").name);
    window.run();
    let rows = window.query_all_by_label_contains(&name);
    let mut rows = rows.filter(|row| row.accesskit_node().label().unwrap().starts_with(&name));
    let row = rows.next().unwrap_or_else(|| panic!("the row of {name}is shown"));
    if row.accesskit_node().toggled() != Some(egui::accesskit::Toggled::True) {
        row.click();
    }
    drop(rows);
    window.run();
}

/// Remembers texts in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, String>>);

impl Keeper for Memory {
    fn save(&self, _: Parcel) -> Result<PathBuf> {
        Err(Error::Request("not in this test".into()))
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn keep_setting(&self, name: &str, text: &str) {
        self.0.lock().unwrap().insert(name.into(), text.into());
    }
}

/// A window that keeps what was passed, and the engine behind it.
fn open<'a>(memory: &Arc<Memory>, size: [f32; 2]) -> (Harness<'a, Studio>, Played) {
    kept(memory.clone(), size, 20)
}

/// What real runs of the shipped models come to, about: what a recipe changes in the usual answer.
fn graded(run: &mut Run) {
    let Run { recipe, report, after, .. } = run;
    let random = recipe.mask == Some(Estimator::Random);
    let (ua, gap, boot): (f64, _, _) = match &*recipe.method {
        "ga" => (60.0, 30.0, 40.0),
        "noop" => (2.0, 49.0, 98.0),
        _ if random && recipe.density < 1.0 => (40.0, 20.0, 98.0),
        _ if recipe.density < 0.03 => (50.0, 25.0, 98.0),
        _ => (99.5, 0.6, 97.5),
    };
    report.after.UA = ua;
    report.after.n = [1000, 3000, 2700];
    report.after.per_class = vec![97.0; CLASSES.len()];
    report.after.per_class[9] = boot;
    report.gap = Some(Gap { UA: gap, RA: gap, TA: gap, MIA: Some(gap), average: gap, ToW: 0.9 });
    let label = if ua > 90.0 { VerdictLabel::Forgot } else { VerdictLabel::UnderForgot };
    report.verdict = Verdict { label, ..report.verdict.clone() };
    if let Redirect::Class(class) = &recipe.redirect {
        let shown = CLASSES.iter().position(|name| name == class).unwrap();
        *after = Arc::new(redirected(after, shown));
    }
}

/// Pictures in which something else is seen for the forgotten class.
fn redirected(grid: &Grid, shown: usize) -> Grid {
    let mut grid = grid.clone();
    let row = SNEAKER * grid.columns;
    grid.seen[row..row + grid.columns].fill(Some((shown, 0.9)));
    grid
}

/// Answers all that was asked for until nothing is.
fn calm(window: &mut Harness<Studio>, played: &Played) {
    window.step();
    while let Some(kind) = window.state().state.working() {
        let (id, job) = played.asked();
        let outcome = match job {
            Job::Unlearn(recipe) => {
                for step in 1..=40 {
                    played.tell(Event::Step { id, live: live(step, 40) });
                }
                let mut run = run(recipe);
                graded(&mut run);
                Some(Outcome::Unlearned(Arc::new(run)))
            }
            Job::Audit { recipe, .. } => {
                let mut found = audit(&recipe.forget);
                found.run.relearn.as_mut().unwrap().accuracy.push(99.0);
                let audited = Audited { metrics: metrics(98.0), audit: found, against: None };
                Some(Outcome::Audited(Box::new(audited)))
            }
            _ => None,
        };
        match outcome {
            Some(outcome) => played.tell(Event::Done { id, outcome }),
            None => played.answer(),
        }
        window.step();
        assert_ne!(kind, JobKind::Browse, "nobody asked for the pictures");
    }
    window.step();
    assert!(window.state().state.error.is_none(), "{:?}", window.state().state.error);
}

/// How the lesson that is being done stands.
pub fn standing(window: &mut Harness<Studio>) -> Standing {
    window.step();
    known(window.state_mut()).standing.clone()
}

/// Does what a play says; `calm` waits until all that was asked for is there.
pub fn perform(
    play: &Play,
    window: &mut Harness<Studio>,
    mut calm: impl FnMut(&mut Harness<Studio>),
) {
    let name = play.lesson;
    for (acts, key) in play.wrong {
        for act in *acts {
            act.done_in(window);
            calm(window);
        }
        match standing(window) {
            Standing::Missing(short) => assert_eq!(short.key, *key, "{name}: {acts:?}: {short:?}"),
            other => panic!("{name}: {acts:?}: {other:?}"),
        }
        assert!(!known(window.state_mut()).done, "{name}: {acts:?}");
    }
    // No more than it takes.
    for act in play.right {
        if known(window.state_mut()).done {
            break;
        }
        act.done_in(window);
        calm(window);
    }
    assert_eq!(standing(window), Standing::Passed, "{name}");
    assert!(known(window.state_mut()).done, "{name}");
}

#[test]
fn all_eight_are_passed_in_the_right_way_and_not_in_the_wrong_one() {
    let memory = Arc::new(Memory::default());
    // Tall, so that every layer has its row.
    let (mut window, played) = open(&memory, [1280.0, 2600.0]);
    calm(&mut window, &played);
    window.get_by_label("Lessons").click();
    window.run();
    window.get_by_label("0 of 8 passed.");
    let first = window.get_all_by_label("Begin").next().expect("a lesson to begin");
    first.click();
    window.run();
    for (place, play) in PLAYS.iter().enumerate() {
        calm(&mut window, &played);
        let lesson = Lesson::find(play.lesson).unwrap();
        assert_eq!(lesson.number, place + 1, "the plays are in the order of the lessons");
        let text = Language::of("en").lesson(play.lesson);
        window.get_by_label_contains(&format!("{}. {}", lesson.number, text.title));
        perform(play, &mut window, |window| calm(window, &played));
        // What is low is drawn low.
        window.get_by_label_contains(&text.done.replace('_', ""));
        if lesson.next().is_some() {
            window.get_by_label("Next").click();
            window.run();
        }
    }
    window.get_by_label("All lessons").click();
    window.run();
    window.get_by_label("8 of 8 passed.");

    // The next sitting knows, until it is told to forget.
    let (mut later, _) = open(&memory, [1280.0, 800.0]);
    later.step();
    later.get_by_label("Lessons").click();
    later.run();
    later.get_by_label("8 of 8 passed.");
    later.get_by_label("Deutsch").click();
    later.run();
    later.get_by_label("8 von 8 geschafft.");
    later.get_by_label("Zurücksetzen").click();
    later.run();
    let (mut last, _) = open(&memory, [1280.0, 800.0]);
    last.step();
    last.get_by_label("Lessons").click();
    last.run();
    last.get_by_label("0 von 8 geschafft.");
}

#[test]
fn what_came_before_a_lesson_or_of_another_model_does_not_pass_it() {
    let memory = Arc::new(Memory::default());
    let (mut window, played) = open(&memory, [1280.0, 800.0]);
    window.state_mut().follow("model=fashion-classifier&forget=class%3ASneaker");
    calm(&mut window, &played);
    Act::Forget.done_in(&mut window);
    calm(&mut window, &played);
    window.state_mut().follow("lesson=forget");
    calm(&mut window, &played);
    assert_eq!(standing(&mut window), Standing::Waits, "a run from before it began");
    let short = |window: &mut Harness<Studio>| match standing(window) {
        Standing::Missing(short) => short.key,
        other => panic!("{other:?}"),
    };
    Act::Pick("class:Bag").done_in(&mut window);
    Act::Forget.done_in(&mut window);
    calm(&mut window, &played);
    assert_eq!(short(&mut window), "forget");
    window.state_mut().state.adopt();
    calm(&mut window, &played);
    Act::Pick("class:Sneaker").done_in(&mut window);
    calm(&mut window, &played);
    Act::Forget.done_in(&mut window);
    calm(&mut window, &played);
    assert_eq!(short(&mut window), "first", "a model that forgot something before");
    window.state_mut().state.switch(Task::Generate);
    calm(&mut window, &played);
    assert_eq!(short(&mut window), "task");
    window.get_by_label_contains("this lesson is about the task Classifier");
    window.get_by_label("Begin again").click();
    window.run();
    calm(&mut window, &played);
    assert_eq!(standing(&mut window), Standing::Waits);
    perform(&PLAYS[2], &mut window, |window| calm(window, &played));
}

#[test]
fn too_few_pictures_pass_nothing() {
    let memory = Arc::new(Memory::default());
    let (mut window, played) = open(&memory, [1280.0, 800.0]);
    window.state_mut().follow("lesson=forget");
    calm(&mut window, &played);
    Act::Pick("class:Sneaker").done_in(&mut window);
    calm(&mut window, &played);
    window.state_mut().state.forget();
    let (id, job) = played.asked();
    let Job::Unlearn(recipe) = job else { panic!("a run") };
    let mut few = run(recipe);
    graded(&mut few);
    few.report.verdict.label = VerdictLabel::TooFew;
    played.tell(Event::Done { id, outcome: Outcome::Unlearned(Arc::new(few)) });
    let Standing::Missing(short) = standing(&mut window) else { panic!("a shortfall") };
    assert_eq!((short.key, &*short.is), ("verdict", "none"));
}

#[test]
fn a_link_begins_a_lesson_and_what_is_shared_brings_it_back() {
    let memory = Arc::new(Memory::default());
    let (mut window, played) = open(&memory, [1280.0, 800.0]);
    window.state_mut().follow("?lesson=5&hide=mask,timeline,tabs");
    calm(&mut window, &played);
    let at = known(window.state_mut()).at.expect("a lesson");
    assert_eq!(at.name, "density");
    assert_eq!(window.state().state.session().recipe().unwrap().forget, "class:Sneaker");
    window.run();
    assert!(window.query_by_label("Forget map").is_none(), "the tabs are left out");
    window.state_mut().state.set_density(0.03);
    let shared = window.state().share();
    assert!(shared.ends_with("&lesson=density&hide=tabs%2Cmask%2Ctimeline"), "{shared}");
    let (mut other, played) = open(&memory, [1280.0, 800.0]);
    other.state_mut().follow(&shared);
    calm(&mut other, &played);
    assert_eq!(other.state().state.session().request.density, 0.03);
    assert_eq!(known(other.state_mut()).at, Some(at));
    assert_eq!(other.state().share(), shared);
    // A lesson that is not there is said, and so is a control.
    for (link, said) in
        [("lesson=9", "lesson"), ("lesson=densty", "did you mean 'density'"), ("hide=x", "hide")]
    {
        other.state_mut().follow(link);
        let error = other.state().state.error.clone().unwrap_or_default();
        assert!(error.contains(said) && !error.contains('\n'), "{link}: {error}");
    }
}

#[test]
fn each_control_can_be_left_out_by_its_name_alone() {
    // What is there as long as it is not left out.
    let labels = [
        (Piece::Tasks, "Text-to-image"),
        (Piece::Open, "Open…"),
        (Piece::Share, "Share"),
        (Piece::Export, "Export"),
        (Piece::Tour, "Tour"),
        (Piece::Tabs, "Forget map"),
        (Piece::Saliency, "Saliency"),
        (Piece::Method, "Method"),
        (Piece::Mask, "Mask"),
        (Piece::Density, "Density"),
        (Piece::Redirect, "Redirect"),
        (Piece::Seed, "Seed"),
        (Piece::Budget, "Budget"),
        (Piece::Knobs, "Learning rate"),
        (Piece::Control, "Random mask"),
        (Piece::Retrain, "Retrain"),
        (Piece::Timeline, "Timeline"),
        (Piece::Verdict, "0 frozen weights changed"),
        (Piece::Strength, "Strength"),
    ];
    assert!(labels.iter().map(|(piece, _)| piece).eq(Piece::ALL));
    let memory = Arc::new(Memory::default());
    let shown = |link: &str| {
        let (mut window, played) = open(&memory, [1280.0, 1600.0]);
        window.state_mut().follow(link);
        calm(&mut window, &played);
        if let Some(more) = window.query_by_label("More settings") {
            more.click();
        }
        window.run();
        Act::Forget.done_in(&mut window);
        calm(&mut window, &played);
        window.run();
        let there = |label| window.query_all_by_label(label).next().is_some();
        labels.iter().filter(|(_, label)| there(label)).map(|(piece, _)| *piece).collect::<Vec<_>>()
    };
    let link = "model=fashion-ddpm&forget=class%3ASneaker";
    assert_eq!(shown(link), Piece::ALL);
    for piece in Piece::ALL {
        let rest: Vec<Piece> = Piece::ALL.iter().copied().filter(|other| other != piece).collect();
        assert_eq!(shown(&format!("{link}&hide={}", piece.name())), rest, "{piece:?} left out");
    }
}

#[test]
fn a_control_that_is_left_out_has_no_keys_and_no_run() {
    let memory = Arc::new(Memory::default());
    let (mut window, played) = open(&memory, [1280.0, 2000.0]);
    window
        .state_mut()
        .follow("model=fashion-ddpm&forget=class%3ASneaker&hide=density,control,strength,tasks");
    calm(&mut window, &played);
    window.key_press(egui::Key::OpenBracket);
    window.key_press(egui::Key::Num2);
    window.run();
    let state = &window.state().state;
    assert_eq!((state.session().request.density, state.task), (0.5, Task::Generate));
    Act::Forget.done_in(&mut window);
    calm(&mut window, &played);
    window.run();
    assert_eq!(window.state().state.finished().count(), 1, "no control");
    assert!(window.query_by_label("Strength").is_none());
    // In the list of lessons all can be had back.
    window.key_press(egui::Key::L);
    window.run();
    window.get_by_label("Leave out nothing").click();
    window.run();
    assert!(window.state().state.hidden.is_empty());
    window.get_by_label("density").click();
    window.run();
    assert_eq!(window.state().state.hidden, [Piece::Density]);
}

/// Every text of a language with where it stands, and the names in braces that are in it.
fn texts(language: &Language) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let file = std::fs::read_to_string(format!(
        "{}/assets/lessons/{}.toml",
        env!("CARGO_MANIFEST_DIR"),
        language.code
    ));
    let mut all = BTreeMap::new();
    fn walk(
        at: String,
        value: &toml::Value,
        all: &mut BTreeMap<String, (String, BTreeSet<String>)>,
    ) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| walk(format!("{at}.{key}"), value, all));
            }
            value => {
                let text = value.as_str().expect("texts").to_string();
                let named = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
                let named = named.map(|(name, _)| name.to_string()).collect();
                all.insert(at, (text, named));
            }
        }
    }
    walk(String::new(), &toml::from_str(&file.unwrap()).unwrap(), &mut all);
    all
}

#[test]
fn every_language_says_everything() {
    let [first, others @ ..] = Language::all() else { panic!("there is English") };
    let english = texts(first);
    for language in others {
        let own = texts(language);
        for (at, (text, named)) in &own {
            let (_, wanted) = english.get(at).unwrap_or_else(|| panic!("{}: {at}", language.code));
            assert_eq!(named, wanted, "{}: {at}: {text}", language.code);
            assert!(!text.trim().is_empty(), "{}: {at}", language.code);
        }
        let missing: Vec<_> = english.keys().filter(|at| !own.contains_key(*at)).collect();
        assert!(missing.is_empty(), "{} does not say {missing:?}", language.code);
    }
    let keys: BTreeSet<&str> = Condition::VARIANTS.iter().copied().chain(OTHERS).collect();
    let said: BTreeSet<&str> = first.hints.keys().map(String::as_str).collect();
    assert_eq!(said, keys, "every shortfall has its words, and no other");
    let lessons: BTreeSet<&str> = Lesson::all().iter().map(|lesson| &*lesson.name).collect();
    assert_eq!(first.lessons.keys().map(String::as_str).collect::<BTreeSet<_>>(), lessons);
    for (lesson, text) in &first.lessons {
        let strange: Vec<_> = text.hints.keys().filter(|key| !keys.contains(&***key)).collect();
        assert!(strange.is_empty(), "{lesson}: {strange:?}");
    }
    assert_eq!(Language::of("de_AT.UTF-8").code, "de");
    assert_eq!(["", "C.UTF-8", "xx"].map(|code| Language::of(code).code), ["en"; 3]);
}

#[test]
fn every_letter_can_be_drawn() {
    let memory = Arc::new(Memory::default());
    let (mut window, _) = open(&memory, [1280.0, 800.0]);
    window.step();
    let has = |letter: char, font: egui::FontId| {
        window.ctx.fonts_mut(|fonts| fonts.has_glyph(&font, letter))
    };
    for language in Language::all() {
        let all: String = texts(language).into_values().map(|(text, _)| text).collect();
        let lacking: BTreeSet<char> =
            all.chars().filter(|c| !has(*c, egui::FontId::proportional(13.0))).collect();
        assert!(lacking.is_empty(), "{}: {lacking:?}", language.code);
    }
    for lesson in Lesson::all() {
        // It is drawn as another sign.
        let formula = lesson.formula.plain().replace('∖', "\\");
        let fonts = [egui::FontId::proportional(13.0), egui::FontId::monospace(13.0)];
        let lacking: BTreeSet<char> =
            formula.chars().filter(|c| fonts.iter().all(|font| !has(*c, font.clone()))).collect();
        assert!(lacking.is_empty(), "{}: {lacking:?}", lesson.name);
    }
}

#[test]
fn each_lesson_begins_with_a_request_that_a_link_can_say() {
    for lesson in Lesson::all() {
        let query = lesson.start.query();
        assert_eq!(Link::parse(&query).unwrap(), lesson.start, "{}", lesson.name);
        assert!(lesson.start.hide.is_empty() && lesson.start.lesson.is_empty());
    }
}

//! Looks into the model: the network drawn, and where a classifier forgets.

use egui::{Key, Modifiers, Pos2, Theme, accesskit::Toggled, pos2, vec2};
use egui_kittest::{Harness, kittest::NodeT, kittest::Queryable};

use crate::studio::answers::SNEAKER;
use crate::studio::played::{Played, tried};
use crate::studio::seen::embedding;
use salun_studio::engine::{Beside, Event, Inspection, Job};
use salun_studio::error::Error;
use salun_studio::studio::{Choice, Studio};
use salun_studio::words::{Attribution, Recipe, Task};

const LARGE: [f32; 2] = [1600.0, 900.0];

/// A window with a finished run, in a view that was answered.
fn shown<'a>(key: Key) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = tried(LARGE, Theme::Dark);
    window.key_press(key);
    window.run();
    if window.state().state.work.is_some() {
        played.answer();
        window.run();
    }
    (window, played)
}

fn inspection(played: &Played) -> Inspection {
    match played.asked().1 {
        Job::Inspect(asked) => asked,
        job => panic!("{job:?}"),
    }
}

/// Draws a line of points by hand, and lets go at its end.
fn draw(window: &mut Harness<Studio>, points: &[Pos2]) {
    window.drag_at(points[0]);
    window.step();
    for &point in &points[1..] {
        window.hover_at(point);
        window.step();
    }
    window.drop_at(points[points.len() - 1]);
    window.run();
}

#[test]
fn every_layer_is_drawn_and_one_opens_as_its_filters_and_in_the_list_beside() {
    let (mut window, played) = shown(Key::N);
    window.get_by_label("The network: 21 layers in 10 blocks");
    assert_eq!(window.query_all_by_label_contains("Layer layer").count(), 19);
    window.get_by_label_contains("Layer layer2.0.downsample.0: ");
    window.get_by_label_contains("Layer layer1.0.conv1: ").click();
    window.run();
    let Inspection::Weights { model, layer } = inspection(&played) else { panic!() };
    let name = &crate::studio::answers::layout().params[layer].name;
    assert_eq!((&*model, &**name), ("fashion-classifier", "layer1.0.conv1.weight"));
    window.get_by_label("The weights come once the work in progress is done");
    played.answer();
    window.run();
    // The list beside has the same layer open.
    let row = window.get_by_label_contains("layer1.0.conv1.weight, ");
    assert_eq!(row.accesskit_node().toggled(), Some(Toggled::True));
    window.get_by_label_contains("Filter 0: ");
    let filters = window.query_all_by_label_contains("of its 144 weights in the mask").count();
    assert!(filters >= 8, "{filters} filters are seen");
    // A filter opens as its weights, and the way back.
    window.get_by_label_contains("Filter 3: ").click();
    window.run();
    window.get_by_label("Filter 3 of 16");
    let drawn = window.get_by_label_contains("Filter 3: ").rect();
    window.hover_at(drawn.min + vec2(3.0, 3.0));
    window.run_steps(30);
    for told in ["out 3, in 0, ky 0, kx 0", "weight ", "after ", "score ", "|change| "] {
        assert!(window.query_all_by_label_contains(told).next().is_some(), "{told}");
    }
    window.get_by_label("All filters").click();
    window.run();
    assert!(window.query_by_label("Filter 3 of 16").is_none());
}

#[test]
fn a_layer_that_is_picked_in_the_list_is_picked_in_the_drawing() {
    let (mut window, played) = shown(Key::N);
    window.get_by_label_contains("layer1.0.conv2.weight, ").click();
    window.run();
    played.answer();
    window.run();
    let node = window.get_by_label_contains("Layer layer1.0.conv2: ");
    assert_eq!(node.accesskit_node().toggled(), Some(Toggled::True));
    // And let go of in the drawing, it is closed in the list.
    node.click();
    window.run();
    let row = window.get_by_label_contains("layer1.0.conv2.weight, ");
    assert_eq!(row.accesskit_node().toggled(), Some(Toggled::False));
}

#[test]
fn two_classes_stand_beside_each_other_with_what_they_have_in_common() {
    let (mut window, played) = shown(Key::N);
    window.get_by_label("Two masks").click();
    window.run();
    window.get_by_label("Class beside it").click();
    window.run();
    assert!(window.query_all_by_label("Bag").count() > 1, "the chip and the list");
    // Not all entries of the list are in sight.
    window.get_all_by_label("Bag").last().unwrap().scroll_to_me();
    window.run();
    window.get_all_by_label("Bag").last().unwrap().click();
    window.run();
    let Inspection::Scores(recipe) = inspection(&played) else { panic!() };
    assert_eq!(recipe.forget, "class:Bag");
    let jobs = played.count();
    played.answer();
    window.run();
    // The played engine scores all classes alike.
    window.get_by_label_contains("Jaccard 1.00, by chance 0.05");
    window.get_by_label_contains("Left Sneaker, right Bag");
    let what = &window.state().state.session().what;
    assert_eq!(*what, Some(Choice::Class(SNEAKER)), "what is to be forgotten stays");
    // Another density is another pair of masks, without another job.
    window.state_mut().state.set_density(0.5);
    window.state_mut().state.settle();
    window.run();
    window.get_by_label_contains("by chance 0.33");
    assert_eq!(played.count(), jobs);
    window.get_by_label("Let go").click();
    window.run();
    assert!(window.query_all_by_label_contains("Jaccard 1.00").next().is_none());
}

#[test]
fn the_network_of_every_task_is_drawn_while_nothing_is_picked() {
    let (mut window, played) = tried([1024.0, 700.0], Theme::Light);
    window.key_press(Key::N);
    for task in Task::ALL {
        window.state_mut().state.switch(task);
        if window.state().state.work.is_some() {
            played.answer();
        }
        window.run();
        window.get_by_label("The network: 21 layers in 10 blocks");
    }
    // Its weights can be looked at, too.
    window.get_by_label_contains("Layer layer1.0.conv1").click();
    window.run();
    assert!(matches!(inspection(&played), Inspection::Weights { .. }));
    played.answer();
    window.run();
    window.get_by_label_contains("Filter 0: ");
}

#[test]
fn a_look_that_fails_is_not_taken_again_by_itself() {
    let (mut window, played) = tried(LARGE, Theme::Dark);
    window.key_press(Key::E);
    window.run();
    let jobs = played.count();
    played.fail(Error::Request("no pictures".into()));
    window.run();
    assert_eq!(played.count(), jobs);
    window.get_by_label("The pictures could not be looked at");
    window.get_by_label("Look again").click();
    window.run();
    assert_eq!(played.count(), jobs + 1);
    // Nor is one that a person stopped.
    window.key_press(Key::Escape);
    played.fail(Error::Cancelled);
    window.run();
    assert_eq!(played.count(), jobs + 1);
}

#[test]
fn a_brush_picks_exactly_the_pictures_under_it() {
    let (mut window, played) = shown(Key::E);
    let recipe = Recipe::new("fashion-classifier", "fashion-mnist", "class:Sneaker");
    let map = embedding(&Beside { recipe, models: [None, None, None] });
    let points = map.maps[0].as_ref().unwrap().shared.clone().unwrap();
    let plot = window.get_by_label_contains(", Before; 0 picked").rect();
    // Where the view puts a point: all plots of the shared axes have the range of all of them.
    let at = {
        let after = embedding(&Beside {
            recipe: Recipe::new("fashion-classifier", "fashion-mnist", "class:Sneaker"),
            models: std::array::from_fn(|i| (i < 2).then(|| crate::common::classifier(1).into())),
        });
        let all: Vec<[f32; 2]> =
            after.maps.iter().flatten().flat_map(|m| m.shared.clone().unwrap()).collect();
        let least = |i: usize| all.iter().map(|p| p[i]).fold(f32::INFINITY, f32::min);
        let most = |i: usize| all.iter().map(|p| p[i]).fold(f32::NEG_INFINITY, f32::max);
        let margin = |i: usize| (most(i) - least(i)) * 0.04 + 1e-6;
        let range = |i: usize| (least(i) - margin(i), most(i) + margin(i));
        let (x, y) = (range(0), range(1));
        let within = plot.with_min_y(plot.top() + 20.0).shrink(4.0);
        move |[px, py]: [f32; 2]| {
            pos2(
                within.left() + (px - x.0) / (x.1 - x.0) * within.width(),
                within.bottom() - (py - y.0) / (y.1 - y.0) * within.height(),
            )
        }
    };
    let places: Vec<Pos2> = points.iter().map(|&p| at(p)).collect();
    // A rectangle over a part of the plot.
    let corner = plot.min + plot.size() * vec2(0.45, 0.25);
    let rect = egui::Rect::from_min_max(corner, plot.min + plot.size() * vec2(0.9, 0.6));
    let under = |rect: egui::Rect| -> Vec<usize> {
        let inside = places.iter().zip(&map.items).filter(|(p, _)| rect.contains(**p));
        inside.map(|(_, item)| *item).collect()
    };
    let wanted = under(rect);
    assert!(wanted.len() > 10, "{} points are under the brush", wanted.len());
    draw(&mut window, &[rect.min, rect.center(), rect.max]);
    window.get_by_label(&format!("{} picked", wanted.len()));
    // Points are dropped with Ctrl.
    let half = egui::Rect::from_min_max(rect.min, rect.center_bottom());
    let dropped = under(half);
    window.drag_at(half.min);
    window.step();
    for point in [half.center(), half.max] {
        window.hover_at(point);
        window.step();
    }
    let event = egui::Event::PointerButton {
        pos: half.max,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::COMMAND,
    };
    window.event_modifiers(event, Modifiers::COMMAND);
    window.run();
    let left: Vec<usize> = wanted.into_iter().filter(|item| !dropped.contains(item)).collect();
    assert!(!dropped.is_empty() && !left.is_empty());
    window.get_by_label(&format!("{} picked", left.len()));
    window.get_by_label(&format!("Forget these {}", left.len())).click();
    window.run();
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    let spec = Choice::Items(left.into());
    let opened = crate::studio::answers::opened("fashion-classifier");
    assert_eq!(Some(recipe.forget), spec.spec(&opened));
}

#[test]
fn models_stand_side_by_side_and_the_map_follows_the_request() {
    let (mut window, played) = shown(Key::E);
    for pane in ["Before", "After", "Random mask"] {
        window.get_by_label_contains(&format!(", {pane}; 0 picked"));
    }
    window.get_by_label("Own axes").click();
    window.run();
    let jobs = played.count();
    window.state_mut().state.pick(Choice::Class(8));
    played.answer();
    window.run();
    let Inspection::Embed(of) = inspection(&played) else { panic!() };
    assert_eq!((&*of.recipe.forget, played.count()), ("class:Bag", jobs + 2));
    assert!(of.models.iter().all(Option::is_none), "no run of it is shown");
    played.answer();
    window.run();
    assert!(window.query_all_by_label_contains(", After; ").next().is_none());
}

#[test]
fn pictures_that_changed_most_lead_to_their_pixels() {
    let (mut window, played) = shown(Key::E);
    window.get_by_label("Most changed").click();
    window.run();
    window.get_by_label("By the true class").click();
    window.run();
    let first = window.query_all_by_label_contains("Training picture ").next().unwrap();
    let name = first.accesskit_node().label().unwrap_or_default();
    let item: usize = name.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(item % 10, SNEAKER, "a forgotten one comes first");
    first.click();
    window.run();
    window.get_by_label("Pixels").click();
    window.run();
    let Inspection::Attribute { items, way, .. } = inspection(&played) else { panic!() };
    assert_eq!((items, way), (vec![item], Attribution::SmoothGrad));
    played.answer();
    window.run();
    for told in ["Before: Sneaker 96.0 %", "After: Sneaker 2.0 %", "Random mask: Sneaker 2.0 %"] {
        window.get_by_label(told);
    }
    // Another way to look is another job; what is known is not asked for again.
    window.get_by_label("Gradient × input").click();
    window.run();
    let Inspection::Attribute { way, .. } = inspection(&played) else { panic!() };
    assert_eq!(way, Attribution::GradientInput);
    let jobs = played.count();
    played.answer();
    window.run();
    window.get_by_label("One scale").click();
    window.run();
    assert_eq!(played.count(), jobs);
}

#[test]
fn a_point_is_picked_with_keys_alone() {
    let (mut window, _) = shown(Key::E);
    window.get_by_label_contains(", Before; 0 picked").focus();
    window.run();
    window.key_press(Key::ArrowRight);
    window.run();
    window.key_press(Key::P);
    window.run();
    window.get_by_label("1 picked");
    assert!(window.query_all_by_label_contains("at picture 1, Trouser").next().is_some());
    window.key_press(Key::P);
    window.run();
    assert!(window.query_by_label("1 picked").is_none());
    assert_eq!(window.state().state.session().what, Some(Choice::Class(SNEAKER)));
}

#[test]
fn a_look_never_holds_up_a_person() {
    let (mut window, played) = tried(LARGE, Theme::Dark);
    window.key_press(Key::E);
    window.run();
    assert!(matches!(inspection(&played), Inspection::Embed(_)));
    window.state_mut().state.forget();
    assert!(matches!(played.asked().1, Job::Unlearn(_)), "a run replaces it");
    // What comes of it is too late.
    let (id, _) = played.asked();
    played.tell(Event::Failed { id: id - 1, error: Error::Cancelled });
    window.step();
    assert!(window.state().state.held());
}

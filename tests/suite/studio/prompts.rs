//! Forgetting a prompt, as a person does it.

use egui_kittest::{Harness, kittest::Queryable};

use crate::studio::{
    answers::{drawn, pane},
    played::{Played, state, unlearn_recipe, window},
};
use salun_studio::engine::{Event, Job};
use salun_studio::error::Error;
use salun_studio::studio::state::JobKind;
use salun_studio::studio::views::{compare, data};
use salun_studio::studio::{Arm, Choice, Content, Pane, Studio};
use salun_studio::words::{AttackKind, Estimator, Redirect, Task, VerdictLabel};

/// A window with the text-to-image model open.
fn opened<'a>(size: [f32; 2]) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = window(size, egui::Theme::Dark);
    window.step();
    window.get_by_label("Text-to-image").click();
    window.run();
    assert!(matches!(played.asked().1, Job::Open { model, .. } if model == "emoji-t2i"));
    played.answer();
    window.run();
    (window, played)
}

fn write(window: &mut Harness<'_, Studio>, text: &str) {
    let field = window.get_by_label("Prompt to forget");
    field.focus();
    window.run();
    window.get_by_label("Prompt to forget").type_text(text);
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
}

#[test]
fn a_person_writes_a_prompt_presses_forget_and_reads_the_verdict() {
    let (mut window, played) = opened([1280.0, 800.0]);
    write(&mut window, "a cat");
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == "prompt:a cat"));
    played.answer();
    window.run();
    window.get_by_label("Read as prompt:a cat: 6 pictures of the corpus");
    window.get_by_label_contains("Before: 20 of 20 seen as asked, a cat 8 of 8");
    assert!(window.query_by_label_contains("Retrain:").is_none(), "nobody trains it anew");
    window.get_by_label("Forget").click();
    window.run();
    let recipe = unlearn_recipe(&played.asked().1).clone();
    assert_eq!((&*recipe.data, &*recipe.model), ("emoji", "emoji-t2i"));
    played.answer();
    window.run();
    let control = unlearn_recipe(&played.asked().1).clone();
    assert_eq!(control.mask, Some(Estimator::Random));
    played.answer();
    window.run();
    window.get_by_label_contains("After (SalUn): 12 of 20 seen as asked, a cat 0 of 8, step 40");
    window.get_by_label_contains("Random mask: 16 of 20 seen as asked, a cat 4 of 8");
    window.get_by_label("Forgot");
    assert_eq!(window.state().state.session().history.entries.len(), 1);
}

#[test]
fn the_arrows_walk_through_the_concepts() {
    let (mut state, played) = state();
    state.switch(Task::TextToImage);
    played.answer();
    state.poll();
    for (by, prompt) in [(1, "a cat"), (1, "a dog"), (-2, "an apple"), (1, "a cat")] {
        state.pick_next(by);
        assert_eq!(state.session().what, Some(Choice::Prompt(prompt.into())));
    }
}

#[test]
fn one_prompt_after_another_and_back() {
    let (mut window, played) = opened([1280.0, 800.0]);
    write(&mut window, "a cat");
    played.answer();
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    for _ in 0..2 {
        played.answer();
        window.run();
    }
    window.get_by_label("Forget more").click();
    window.run();
    assert!(matches!(played.asked().1, Job::Adopt { .. }));
    played.answer();
    window.run();
    write(&mut window, "a dog");
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    let earlier: Vec<&str> = recipe.after.iter().map(|r| r.forget.as_str()).collect();
    assert_eq!((&*recipe.forget, &*recipe.model), ("prompt:a dog", "emoji-t2i"));
    assert_eq!(earlier, ["prompt:a cat"]);
    played.answer();
    window.run();
    // In the field, the keys would undo what was typed.
    window.get_by_label("Compare").click();
    window.run();
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    window.run();
    let session = window.state().state.session();
    assert_eq!(session.opened.as_ref().map(|o| o.name.as_str()), Some("emoji-t2i"));
}

#[test]
fn chips_write_the_prompt_and_what_it_becomes_goes_into_the_recipe() {
    let (mut window, played) = opened([1280.0, 800.0]);
    for (chip, prompt) in [("cat", "a cat"), ("mono", "mono style"), ("unsafe", "unsafe")] {
        window.get_by_label(chip).click();
        window.run();
        let spec = format!("prompt:{prompt}");
        assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == spec), "{chip}");
        played.answer();
        window.run();
    }
    let request = &mut window.state_mut().state.session_mut().request;
    request.redirect = Redirect::Class("a dog in 3d".into());
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    let recipe = unlearn_recipe(&played.asked().1).clone();
    assert_eq!(recipe.redirect, Redirect::Class("a dog in 3d".into()));
}

#[test]
fn a_prompt_can_be_written_while_the_model_opens_and_keeps_the_focus() {
    use egui::{Event, Key, Modifiers};
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    window.step();
    window.get_by_label("Text-to-image").click();
    window.run();
    let cancels = played.0.borrow().cancels;
    // No click: the field has the focus.
    for (letter, key) in [("c", Key::C), ("a", Key::A), ("t", Key::T), ("s", Key::S)] {
        window.key_press(key);
        window.event(Event::Text(letter.into()));
        window.step();
    }
    window.key_press(Key::Enter);
    window.run();
    window.get_by_label("Read once the model is open");
    window.event(Event::Text("f".into()));
    window.key_press_modifiers(Modifiers::COMMAND, Key::S);
    window.run();
    assert_eq!(window.state().view, &compare::VIEW);
    assert_eq!(played.0.borrow().cancels, cancels, "the model still opens");
    let what = window.state().state.session().what.clone();
    assert_eq!(what, Some(Choice::Prompt("cats".into())));
    played.answer();
    window.run();
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == "prompt:cats"));
    // Esc leaves the field and stops nothing.
    window.key_press(Key::Escape);
    window.run();
    assert_eq!(played.0.borrow().cancels, cancels);
    window.get_by_label("Press Enter to see what it draws and where it lives");
}

#[test]
fn any_text_is_taken_and_an_empty_one_takes_the_request_back() {
    let (mut window, played) = opened([1280.0, 800.0]);
    // The bundled fonts lack most scripts; what they lack is a box.
    window.ctx.set_missing_glyph_policy(egui::MissingGlyphPolicy::Tofu);
    window.get_by_label("Or pick it below");
    let jobs = played.count();
    write(&mut window, "   ");
    assert_eq!(played.count(), jobs, "nothing is asked for");
    window.state_mut().state.ask("猫 🐱 \u{202e} القط");
    window.run();
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget.contains('猫')));
    played.answer();
    window.run();
    let long = "cat ".repeat(2_500);
    write(&mut window, &long);
    window.get_by_label("Only the first 400 characters are read");
    let Some(Choice::Prompt(kept)) = window.state().state.session().what.clone() else {
        panic!("a prompt")
    };
    assert!(kept.chars().count() <= 400);
    window.state_mut().state.ask("  ");
    window.run();
    assert!(window.state().state.session().what.is_none());
    assert!(window.state().state.session().saliency.is_none());
}

#[test]
fn a_model_that_cannot_be_opened_is_told_in_a_line_and_the_others_stay() {
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Light);
    window.step();
    played.answer();
    window.run();
    window.key_press(egui::Key::Num1);
    window.run();
    let reason = "is damaged";
    played.fail(Error::file("emoji-t2i", reason));
    window.run();
    window.get_by_label_contains(reason);
    window.get_by_label("Diffusion").click();
    window.run();
    assert_eq!(window.state().state.task, Task::Generate);
    assert!(window.state().state.session().opened.is_some());
}

#[test]
fn a_pane_that_comes_with_the_run_is_what_its_first_step_shows() {
    let (mut state, played) = state();
    state.switch(Task::TextToImage);
    played.answer();
    state.poll();
    state.ask("a cat");
    let (id, _) = played.asked();
    played.tell(Event::Done {
        id,
        outcome: salun_studio::engine::Outcome::Ranked(crate::studio::answers::ranking(
            state.session().recipe().as_ref().unwrap(),
        )),
    });
    state.poll();
    state.forget();
    let (id, _) = played.asked();
    played.tell(Event::Pane { id, pane: pane("prompt:a cat") });
    state.poll();
    let session = state.session();
    for of in [Pane::Before, Pane::After] {
        assert!(matches!(session.content(of), Content::Grid(grid, _) if **grid == drawn(0)));
    }
    assert_eq!(session.forgotten(), 0..2);
}

#[test]
fn attacks_are_a_button_each_and_a_paraphrase_that_works_is_told() {
    let (mut window, played) = opened([1280.0, 900.0]);
    window.state_mut().state.ask("a cat");
    for _ in 0..2 {
        played.answer();
        window.run();
        window.state_mut().state.forget();
        window.run();
    }
    while window.state().state.work.is_some() {
        played.answer();
        window.run();
    }
    window.get_by_label("Audit").click();
    window.run();
    window.get_by_label("Invert pictures");
    window.get_by_label("Search for a prompt").click();
    window.run();
    let kind = window.state().state.work.as_ref().map(|w| w.kind);
    assert_eq!(kind, Some(JobKind::Attack(Arm::Method, AttackKind::Prompt)));
    played.answer();
    window.run();
    window.get_by_label("best paraphrase");
    window.get_by_label_contains("Share of 16 pictures");
    let session = window.state().state.session();
    let attempt = session.attempt(Arm::Method).unwrap();
    assert_eq!(attempt.run.as_ref().unwrap().report.attacks.len(), 1);
    let verdict = &attempt.run.as_ref().unwrap().report.verdict;
    assert_eq!(verdict.label, VerdictLabel::Hidden, "{}", verdict.why);
    assert!(verdict.why.contains("best paraphrase brings it back in 50 %"), "{}", verdict.why);
}

#[test]
fn views_that_need_a_data_set_are_not_there_for_prompts() {
    let (mut window, _) = opened([1280.0, 800.0]);
    window.state_mut().view = &data::VIEW;
    window.run();
    assert_eq!(window.state().view, &compare::VIEW);
    window.key_press(egui::Key::D);
    window.run();
    assert_eq!(window.state().view, &compare::VIEW);
    assert!(window.query_by_label("Masks").is_none());
}

//! Pictures for a person to look at.

use std::path::PathBuf;

use egui_kittest::{Harness, kittest::Queryable};

use crate::studio::played::{tried, window};
use salun_studio::engine::Event;
use salun_studio::job_context::Progress;
use salun_studio::saliency::By;
use salun_studio::studio::views::{View, audit, compare, masks};
use salun_studio::studio::{Arm, Studio};

/// `STUDIO_PICTURES=DIR cargo test --release --test suite -- --ignored studio::`.
#[test]
#[ignore = "draws pictures for a person to look at"]
fn pictures() {
    let out = PathBuf::from(std::env::var("STUDIO_PICTURES").unwrap_or("/tmp/studio".into()));
    std::fs::create_dir_all(&out).unwrap();
    for (name, size, theme) in [
        ("dark-1280", [1280.0, 800.0], egui::Theme::Dark),
        ("light-1280", [1280.0, 800.0], egui::Theme::Light),
        ("dark-1024", [1024.0, 640.0], egui::Theme::Dark),
        ("light-1024", [1024.0, 700.0], egui::Theme::Light),
        ("light-390", [390.0, 844.0], egui::Theme::Light),
    ] {
        let (mut window, played) = window(size, theme);
        let shot = |window: &mut Harness<Studio>, what: &str| {
            let picture = window.render().unwrap();
            picture.save(out.join(format!("{name}-{what}.png"))).unwrap();
        };
        window.run();
        shot(&mut window, "0-opening");
        played.answer();
        window.run();
        shot(&mut window, "1-open");
        window.get_by_label("Sneaker").click();
        window.run();
        played.answer();
        window.run();
        if size[0] > 720.0 {
            window.get_by_label_contains("layer1.0.conv1.weight").click();
        }
        window.run();
        shot(&mut window, "2-saliency");
        window.get_all_by_label("Forget").last().expect("the button").click();
        window.run();
        for step in 1..=25 {
            played.live(step, 40);
        }
        let (id, _) = played.asked();
        let (phase, seconds_left) = ("SalUn".to_string(), Some(35.0));
        let progress = Progress { phase, done: 25, total: 40, seconds_left };
        played.tell(Event::Progress { id, progress });
        window.run();
        shot(&mut window, "3-training");
        played.answer();
        window.run();
        played.answer();
        window.run();
        shot(&mut window, "4-verdict");
        let (mut window, played) = tried(size, theme);
        for &view in View::ALL {
            window.state_mut().view = view;
            window.step();
            let state = &mut window.state_mut().state;
            match view {
                _ if *view == masks::VIEW => state.compare_masks(By::Classes),
                _ if *view == audit::VIEW => state.audit(Arm::Method),
                _ => {}
            }
            if window.state().state.work.is_some() {
                played.answer();
            }
            window.run();
            shot(&mut window, &format!("5-{}", view.name));
            if *view == audit::VIEW {
                for part in ["Most changed", "Attacks", "Relearn", "Layers"] {
                    window.get_by_label(part).click();
                    window.run();
                    shot(&mut window, &format!("5-Audit-{part}"));
                }
            }
        }
        window.state_mut().view = &compare::VIEW;
        window.key_press(egui::Key::W);
        window.run();
        shot(&mut window, "6-swipe");
        window.key_press(egui::Key::W);
        window.key_press(egui::Key::H);
        for stop in 0..6 {
            window.run();
            shot(&mut window, &format!("7-tour-{stop}"));
            window.get_by_label(if stop < 5 { "Next" } else { "Done" }).click();
        }
    }
}

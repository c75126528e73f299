//! The view of a whole table of runs.

use egui::{Key, Theme};
use egui_kittest::kittest::Queryable;

use crate::studio::played::{settle, tried};
use salun_studio::eval::Spread;
use salun_studio::table::{Chart, Compared, Line, Mark, SCHEMA, Scale, Summary, Value, Versus};

#[test]
fn a_table_is_read_from_its_folder_with_best_and_worst_marked() {
    let dir = std::env::temp_dir().join(format!("salun-table-view-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let value = |mean: f64, mark: Option<Mark>| Value {
        stat: Some(Spread { mean, sd: Some(0.25), n: 3 }),
        gap: Some(Spread { mean: mean / 10.0, sd: None, n: 3 }),
        mark,
    };
    let line = |label: &str, mean: f64, mark| Line {
        label: label.into(),
        method: "salun".into(),
        mask: "abs-sum-grad".into(),
        settings: String::new(),
        at: None,
        values: vec![value(mean, mark)],
        average: value(mean / 2.0, None),
        seconds: value(9.0, None),
        tow: None,
        by_forget: Vec::new(),
        each: Vec::new(),
        failed: Vec::new(),
        control: Some(Versus {
            control: "SalUn, random mask".into(),
            closer_by: 1.5,
            interval: Some([0.5, 2.5]),
            how: None,
            n: 3,
        }),
        frozen_changed: 0,
    };
    let summary = Summary {
        schema: SCHEMA,
        name: "table1".into(),
        title: "Random forgetting".into(),
        scale: Scale::Small,
        protocol: "0123456789abcdef".into(),
        version: "0.1.0".into(),
        conditions: "A narrow model".into(),
        devices: Vec::new(),
        seeds: vec![1, 2, 3],
        done: 6,
        failed: 0,
        all: 6,
        columns: vec!["UA".into()],
        axis: None,
        chart: Chart::Bars,
        groups: vec![Compared {
            title: "10 %".into(),
            forgets: vec!["random:10%".into()],
            attacked: [900, 900],
            reference: "Retrain".into(),
            n: [600, 5_400, 900],
            frechet: None,
            rows: vec![line("SalUn", 5.0, Some(Mark::Best)), line("GA", 60.0, Some(Mark::Worst))],
            published: Vec::new(),
        }],
        notes: vec!["SalUn is closer to Retrain than its control".into()],
    };
    std::fs::write(dir.join("table.json"), serde_json::to_vec(&summary).unwrap()).unwrap();

    let (mut window, _) = tried([1024.0, 700.0], Theme::Light);
    window.key_press(Key::T);
    window.run();
    window.get_by_label("Folder").click();
    window.get_by_role(egui::Role::TextInput).focus();
    window.run();
    window.get_by_role(egui::Role::TextInput).type_text(&dir.to_string_lossy());
    window.run();
    window.key_press(Key::Enter);
    settle(&mut window);
    window.get_by_label("Random forgetting");
    window.get_by_label("5.00 ± 0.25 (0.50), best");
    window.get_by_label("60.00 ± 0.25 (6.00), worst");
    assert_eq!(window.query_all_by_label("closer by 1.50 [0.50, 2.50]").count(), 2);
    std::fs::remove_dir_all(dir).unwrap();
}

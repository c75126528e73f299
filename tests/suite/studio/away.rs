//! What a person takes away of a run: its page, its figures, its pictures over the updates.

use std::sync::Arc;

use egui::Theme;
use egui_kittest::kittest::Queryable;

use super::answers::{attack, audit, grid, run};
use super::played::{settle, tried};
use salun_studio::engine::{LogLine, Run};
use salun_studio::eval::Metric;
use salun_studio::models::AnyModel;
use salun_studio::run::bundle;
use salun_studio::words::{AttackKind, EarlierReport, Estimator, Gap, Metrics, Recipe};

/// A run that has something of everything, with names of somebody who means harm.
fn hostile() -> Run {
    let forget = r#"class:<script>alert("1")</script>"#;
    let mut run = run(Recipe::new("fashion-ddpm", "fashion-mnist", forget));
    run.log = (1..=40)
        .map(|step| LogLine {
            step,
            loss: 2.0 / step as f32,
            parts: Default::default(),
            seconds: 0.1,
        })
        .collect();
    let AnyModel::Plain(model) = &mut run.model else { panic!("a model of classes") };
    Arc::make_mut(model).card.classes[3] = "Dress\"'><img src=x onerror=alert(2)>".into();
    let report = &mut run.report;
    report.notes = vec!["</pre><iframe src='https://evil.example/'>\u{202e}&amp;".into()];
    report.device.name = "GPU <b>&".into();
    report.before.per_class = (0..10).map(f64::from).collect();
    report.after.per_class = (10..20).map(f64::from).collect();
    report.retrain = Some(Metrics { MIA: Some(61.25), MIA_n: [31, 32], ..report.after.clone() });
    report.gap = Some(Gap::between(&report.after, report.retrain.as_ref().unwrap()));
    let earlier = EarlierReport { spec: "class:<i>Bag".into(), before: 99.5, after: 98.5, n: 77 };
    report.earlier = vec![earlier];
    report.audit = Some(Box::new(audit(forget)));
    let tried = attack(AttackKind::Prompt, forget);
    report.attacks = vec![tried.report.clone()];
    run.attacks = vec![tried];
    run
}

fn page(run: &Run) -> String {
    let control =
        super::answers::run(Recipe { mask: Some(Estimator::Random), ..run.recipe.clone() });
    let steps: Vec<_> = (0..4).map(|i| (10 * i, Arc::new(grid(i)))).collect();
    bundle::page(run, Some(&control), &steps, "https://a.example/").unwrap()
}

/// The names of all elements in the order in which they begin; every one is ended, all attributes are in quotes.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 2] = ["meta", "img"];
    let (mut all, mut open): (Vec<String>, Vec<String>) = Default::default();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a page of HTML");
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->").unwrap()..];
            continue;
        }
        let mut quoted = false;
        let end = rest.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '>' && !quoted
        });
        let (tag, after) = rest.split_at(end.unwrap().0);
        rest = after;
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(!name.is_empty(), "a sign that is no tag: <{tag}");
        let values = tag.matches("=\"").count();
        assert_eq!(2 * values, tag.matches('"').count(), "an attribute without quotes: <{tag}>");
        match (tag.starts_with('/'), tag.ends_with('/') || VOID.contains(&&*name)) {
            (true, _) => assert_eq!(open.pop().as_deref(), Some(&*name), "ends another element"),
            (false, true) => all.push(name),
            (false, false) => {
                all.push(name.clone());
                open.push(name);
            }
        }
        if all.last().is_some_and(|name| name == "style")
            && open.last().is_some_and(|n| n == "style")
        {
            rest = &rest[rest.find("</style>").unwrap()..];
        }
    }
    assert!(open.is_empty(), "never ended: {open:?}");
    all
}

#[test]
fn the_page_of_a_run_is_whole_and_needs_nothing_beside_it() {
    let run = hostile();
    let page = page(&run);
    let elements = elements(&page);
    for bad in ["script", "link", "iframe", "object", "base", "form", "b", "i", "a"] {
        assert!(!elements.iter().any(|name| name == bad), "an element {bad}");
    }
    assert_eq!(
        elements.iter().filter(|name| *name == "img").count(),
        5,
        "before, after, attacks, control, steps"
    );
    assert_eq!(
        elements.iter().filter(|name| *name == "svg").count(),
        4,
        "loss, saliency, ROC, relearn"
    );
    for (i, _) in page.match_indices("<img ") {
        let picture = page[i..].starts_with("<img src=\"data:image/png;base64,");
        assert!(picture, "{}", &page[i..i + 60]);
    }
    for outside in ["href", "url(", "@import", "srcset", "xlink", "<img src=x", " onerror=alert"] {
        let inside = page.replace("Dress&quot;&#39;&gt;&lt;img src=x onerror=alert(2)&gt;", "");
        assert!(!inside.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"), "the page's own policy");
    let alts = page.matches(" alt=\"").count() + page.matches(" aria-label=\"").count();
    assert_eq!(alts, 9, "every picture says what it shows");
}

#[test]
fn the_page_has_every_figure_of_the_report_and_repeats_the_run() {
    let run = hostile();
    let page = page(&run);
    let plain = |text: &str| {
        let pairs =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
        pairs.iter().fold(text.to_string(), |text, (sign, c)| text.replace(sign, c))
    };
    let after = |mark: &str| {
        let (_, rest) = page.split_once(mark).unwrap_or_else(|| panic!("no {mark}"));
        plain(rest.split_once("</pre>").unwrap().0)
    };
    let json = after("<summary>report.json</summary><pre>");
    // Signs that turn a text around are left out of words.
    let mut report = run.report.clone();
    report.notes = vec![report.notes[0].replace('\u{202e}', "")];
    assert_eq!(json.as_bytes(), bundle::json(&report).unwrap());
    for metrics in [&run.report.before, &run.report.after, run.report.retrain.as_ref().unwrap()] {
        for metric in Metric::told(&[metrics]).filter(|m| m.measured(&[metrics])) {
            let value = format!("<td>{:.1}<small>", metric.value(metrics).unwrap());
            // Of no picture, no interval.
            let Some([low, high]) = metric.interval(metrics) else { continue };
            assert!(
                page.contains(&format!("{value}{low:.1} to {high:.1}</small>")),
                "{}",
                metric.key
            );
        }
    }
    let layer = &run.report.mask.as_ref().unwrap().layers[0].name;
    for told in
        [&run.report.protocol, layer, &"99.5 before this run, 98.5 after (n = 77)".to_string()]
    {
        assert!(page.contains(told.as_str()), "{told}");
    }
    let (_, rest) = page.split_once("salun unlearn recipe.toml --out DIR</pre>").unwrap();
    let (_, rest) = rest.split_once("<pre>").unwrap();
    let recipe = plain(rest.split_once("</pre>").unwrap().0);
    assert_eq!(Recipe::parse(&recipe, "page").unwrap().protocol(), run.report.protocol);
    assert!(page.contains("https://a.example/?model=fashion-ddpm&amp;forget=class%3A%3Cscript"));
}

#[test]
fn the_menu_gives_the_page_and_every_figure() {
    let (mut window, _) = tried([1280.0, 800.0], Theme::Dark);
    let mut take = |menu: &[&str], told: &str| {
        for name in [&["Export"], menu].concat() {
            window.get_by_label_contains(name).click();
            window.run();
        }
        settle(&mut window);
        window.get_by_label_contains(told);
    };
    take(&["Report (HTML)"], "-report.html");
    take(&["Figures", "Saliency (PNG and SVG)"], "Saved to saliency.png and saliency.svg");
    take(&["Figures", "After over the updates (moving PNG)"], "after-over-updates.png");
    take(&["Figures", "Before and after (PNG)"], "side-by-side.png");
    take(&["Figures", "Table (CSV)"], "figures.csv");
}

#[test]
fn the_table_of_figures_has_a_line_for_each_number_with_its_interval() {
    let run = hostile();
    let table = String::from_utf8(bundle::metrics(&run.report, None).unwrap()).unwrap();
    assert!(table.starts_with("metric,of,value,low,high,n\n"), "{table}");
    let [low, high] = Metric::accuracies().next().unwrap().interval(&run.report.before).unwrap();
    assert!(table.contains(&format!("UA,before,3.2000,{low:.2},{high:.2},600\n")), "{table}");
    assert!(table.contains("MIA,Retrain,61.2500,") && !table.contains("random mask"), "{table}");
}

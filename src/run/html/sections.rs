//! The parts of a run's page.

use super::{Picture, Told, base64, element, figure, section};
use crate::data::brief;
use crate::error::Result;
use crate::eval::{METRICS, Metric, MetricKind, versus};
use crate::run::canvas::escaped;
use crate::run::{Link, bundle, charts, figures};
use crate::words::{MaskReport, Metrics, Recipe, Report, Try, grouped};

/// UA, RA and TA in a line, or that nobody judged.
pub fn accuracies(metrics: &Metrics) -> String {
    match metrics.judged() {
        true => metrics.line(Metric::accuracies(), ", "),
        false => "not judged".into(),
    }
}

impl Told<'_> {
    /// Method, mask, seed and device.
    pub(super) fn conditions_line(&self) -> String {
        let Report { method, mask, seed, device, .. } = self.report;
        let mask = mask.as_ref().map_or("no mask".into(), |m| {
            let [k, n] = [m.k, m.n].map(grouped);
            format!("{} mask, {k} of {n} weights may change", m.estimator)
        });
        let api = if device.api == "cpu" { String::new() } else { format!(" ({})", device.api) };
        format!("{method}; {mask}; seed {seed}; {}{api}", device.name)
    }

    /// Before, after, and what else was drawn.
    pub(super) fn pictures(&self) -> String {
        let one = |picture: &Picture| {
            let [src, alt] = [base64(&picture.png), escaped(&picture.alt)];
            figure(
                &format!(r#"<img src="data:image/png;base64,{src}" alt="{alt}">"#),
                &picture.title,
            )
        };
        let all: String = self.pictures.iter().map(one).collect();
        match all.is_empty() {
            true => String::new(),
            false => section(
                "The same pictures, before and after",
                &format!(r#"<div class="side">{all}</div>"#),
            ),
        }
    }

    /// Every metric with the pictures behind it and its interval.
    pub(super) fn figures(&self) -> String {
        let Report { before, after, retrain, task, .. } = self.report;
        let mut columns = vec![("Before", before), ("After", after)];
        columns.extend(self.control.map(|control| ("Random mask", &control.after)));
        columns.extend(retrain.iter().map(|metrics| ("Retrain", metrics)));
        let all: Vec<&Metrics> = columns.iter().map(|(_, metrics)| *metrics).collect();
        let heads = columns.iter().map(|(name, _)| element("th", name)).collect::<String>();
        let row = |metric: &Metric| {
            let cells = all.iter().map(|of| cell(metric, of)).collect::<String>();
            let (n, others) = (metric.n)(after);
            let against = others.map_or(String::new(), |n| format!("against {}", grouped(n)));
            let n = format!("<td>{}<small>{against}</small></td>", grouped(n));
            let name =
                format!("<td>{}<small>{}</small></td>", metric.key, escaped(metric.about(task)));
            format!("<tr>{name}{cells}{n}</tr>")
        };
        let rows: String = METRICS.iter().filter(|m| m.measured(&all)).map(row).collect();
        let table = format!(
            r#"<div class="scroll"><table><thead><tr><th>Metric</th>{heads}<th>n</th></tr></thead><tbody>{rows}</tbody></table></div>"#
        );
        let said = "<p><small>Percent; below each its 95 % interval (Wilson), of so many pictures and of one run. \
                    UA is of the forgotten, RA and TA of the rest.</small></p>";
        section("Figures", &[table, said.into(), self.against(), self.per_class()].concat())
    }

    /// What the run is held against: its control, Retrain, what was forgotten before it.
    fn against(&self) -> String {
        let mut lines = Vec::new();
        let name = &self.report.method;
        let held = self.control.and_then(|control| versus(name, self.report, control));
        lines.extend(held.map(|v| {
            let [forgotten, rest] = v.n.map(grouped);
            format!("{} (n = {forgotten} and {rest})", v.said)
        }));
        lines.extend(self.report.gap.as_ref().map(|gap| {
            let mia = gap.MIA.map_or(String::new(), |mia| format!(", MIA {mia:.2}"));
            format!(
                "Gap to Retrain in points: UA {:.2}, RA {:.2}, TA {:.2}{mia}; average {:.2}; ToW {:.3}",
                gap.UA, gap.RA, gap.TA, gap.average, gap.ToW
            )
        }));
        lines.extend(self.report.mask.as_ref().map(frozen));
        lines.extend(self.report.earlier.iter().map(|earlier| {
            let (spec, n) = (brief(&earlier.spec), grouped(earlier.n));
            format!(
                "{spec}, forgotten earlier: UA {:.1} before this run, {:.1} after (n = {n})",
                earlier.before, earlier.after
            )
        }));
        list(&lines)
    }

    /// Each class before and after, where classes are told apart.
    fn per_class(&self) -> String {
        let Report { before, after, .. } = self.report;
        let named = self.classes.len() == after.per_class.len() && !self.classes.is_empty();
        if !named || before.per_class.len() != after.per_class.len() {
            return String::new();
        }
        let rows = self.classes.iter().zip(before.per_class.iter().zip(&after.per_class));
        let row = |(name, (b, a)): (&String, (&f64, &f64))| {
            format!(
                "<tr>{}<td>{b:.1}</td><td>{a:.1}</td><td>{:+.1}</td></tr>",
                element("td", name),
                a - b
            )
        };
        let rows: String = rows.map(row).collect();
        format!(
            r#"<h3>Seen as what they are, in percent</h3><div class="scroll"><table><thead><tr><th>Class</th><th>Before</th><th>After</th><th>Change</th></tr></thead><tbody>{rows}</tbody></table></div>"#
        )
    }

    /// The loss, the mask by layer, what an audit and attacks found.
    pub(super) fn drawings(&self) -> String {
        let report = self.report;
        let mut all = Vec::new();
        if !self.log.is_empty() {
            let last = self.log.len() - 1;
            let label = format!(
                "Loss of {} updates, from {:.3} to {:.3}",
                grouped(last + 1),
                self.log[0].loss,
                self.log[last].loss
            );
            let page = figures::loss(&[(&report.method, self.log)]);
            all.push((page.inline(&label), label));
        }
        if let Some(mask) = &report.mask {
            let most =
                mask.layers.iter().max_by(|a, b| share(a.kept, a.n).total_cmp(&share(b.kept, b.n)));
            let most = most.map_or(String::new(), |layer| {
                format!("; most of {} ({:.0} %)", layer.name, share(layer.kept, layer.n))
            });
            let label =
                format!("{} of {} weights are free{most}", grouped(mask.k), grouped(mask.n));
            let page = figures::saliency(mask, self.scores.as_ref(), &report.forget.spec);
            all.push((page.inline(&label), label));
        }
        if let Some(audit) = &report.audit {
            let label = "Attacks that tell the forget set from pictures never seen";
            all.push((charts::roc(audit).inline(label), label.into()));
            let label = "Accuracy on the forget set while a tenth of it is learnt again";
            all.push((charts::relearn(audit).inline(label), label.into()));
        }
        let drawn = all.iter().map(|(svg, caption)| {
            format!(r#"<figure class="wide">{svg}{}</figure>"#, element("figcaption", caption))
        });
        let tries = report.attacks.iter().map(|attack| {
            let share = |Try { name, before, after, .. }: &Try| {
                format!("{name}: {before:.0} % before, {after:.0} % after")
            };
            let tries: Vec<_> = attack.tries.iter().map(share).collect();
            format!("{} ({}; n = {})", attack.kind.title(), tries.join("; "), grouped(attack.n))
        });
        let tries: Vec<String> = tries.collect();
        section("How it went", &(drawn.collect::<String>() + &list(&tries)))
    }

    /// What was done, and by whom.
    pub(super) fn conditions(&self) -> String {
        let report = self.report;
        let t = &report.training;
        let knobs: Vec<_> = t.knobs.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let s = &report.seconds;
        let anneal = if t.anneal { ", falling to 0" } else { "" };
        let facts = [
            ("Model", report.model.clone()),
            ("Data", report.data.clone()),
            ("Forget set", format!("{} (n = {})", report.forget.spec, grouped(report.forget.n))),
            ("Method", report.method.clone()),
            ("Updates", format!("{} of {}, rate {}{anneal}", grouped(t.steps), t.batch, t.lr)),
            ("Knobs", knobs.join(", ")),
            ("Seed", report.seed.to_string()),
            (
                "Seconds",
                format!(
                    "mask {:.1}, updates {:.1}, evaluation {:.1}",
                    s.mask, s.unlearn, s.evaluate
                ),
            ),
            ("Device", format!("{} ({})", report.device.name, report.device.api)),
            ("Mask's hash", report.mask.as_ref().map_or(String::new(), |m| m.hash.clone())),
            ("Protocol", report.protocol.clone()),
            ("Version", report.version.clone()),
        ];
        let told = facts.iter().filter(|(_, value)| !value.is_empty());
        let told: String =
            told.map(|(name, value)| element("dt", name) + &element("dd", value)).collect();
        let notes = match report.notes.is_empty() {
            true => String::new(),
            false => format!("<h3>Notes</h3>{}", list(&report.notes)),
        };
        section("Protocol", &format!("<dl>{told}</dl>{notes}"))
    }

    /// How to do the same.
    pub(super) fn again(&self) -> Result<String> {
        let recipe = self.recipe.anywhere();
        let link = Link { run: true, ..Link::of(recipe.clone()) }.query();
        let whole = Link::parse(&link).is_ok_and(|back| asks_the_same(&back.recipe, &recipe));
        let code = |text: &str| format!(r#"<pre class="wrap">{}</pre>"#, escaped(text));
        let by_link = match whole {
            true => format!(
                "<p>Or by the link, on the command line or behind a page's address:</p>{}{}",
                code(&format!("{}?{link}", self.address)),
                code(&format!("salun unlearn '?{link}' --out DIR"))
            ),
            false => "<p>A link does not hold all of this recipe; the file does.</p>".into(),
        };
        let file = code("salun unlearn recipe.toml --out DIR");
        let toml = element("pre", &recipe.to_toml()?);
        let said = "<p>The same recipe gives the same bytes on the CPU of one set of instructions. Save it as \
                    recipe.toml, and:</p>";
        Ok(section("Do it again", &format!("{said}{file}{by_link}{toml}")))
    }

    /// The report itself: every figure that there is.
    pub(super) fn whole(&self) -> Result<String> {
        let text =
            |report: &Report| Ok(String::from_utf8_lossy(&bundle::json(report)?).into_owned());
        let mut all = vec![("report.json", text(self.report)?)];
        if let Some(control) = self.control {
            all.push(("report.json of the random-mask control", text(control)?));
        }
        let one = |(name, json): &(&str, String)| {
            format!("<details>{}{}</details>", element("summary", name), element("pre", json))
        };
        Ok(section("Every figure", &all.iter().map(one).collect::<String>()))
    }
}

/// Whether two recipes ask for the same run.
fn asks_the_same(a: &Recipe, b: &Recipe) -> bool {
    a.protocol() == b.protocol()
}

fn share(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

/// A metric's value, and its interval where it is a share.
fn cell(metric: &Metric, of: &Metrics) -> String {
    let Some(value) = metric.value(of) else { return "<td>–</td>".into() };
    let below = match metric.interval(of) {
        Some([low, high]) => format!("{low:.1} to {high:.1}"),
        None => of
            .FD
            .filter(|_| metric.kind == MetricKind::Distance)
            .map_or(String::new(), |fd| format!("real pictures {:.2}", fd.floor)),
    };
    let digits = if metric.kind == MetricKind::Distance { 2 } else { 1 };
    format!("<td>{value:.digits$}<small>{below}</small></td>")
}

/// How many weights changed that the mask freezes, or what there is to say in place of that.
fn frozen(mask: &MaskReport) -> String {
    mask.said_of_given().unwrap_or_else(|| {
        format!(
            "{} frozen weights changed (any bit of {})",
            grouped(mask.frozen_changed),
            grouped(mask.n - mask.k)
        )
    })
}

fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| element("li", line)).collect();
    format!("<ul>{items}</ul>")
}

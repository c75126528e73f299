//! A run's request as the query of a link: `?model=fashion-ddpm&forget=class%3ASneaker&seed=3`.

use form_urlencoded::{Serializer, parse};

use crate::error::{Error, Result};
use crate::words;
use crate::words::{Budget, Estimator, Piece, Recipe};

/// Characters that a link may have; longer ones are not ours.
const LONGEST: usize = 2_000;

/// Names that stand in a link, in their order.
const NAMES: [&str; 16] = [
    "model", "forget", "method", "mask", "density", "redirect", "seed", "budget", "steps", "batch",
    "lr", "knobs", "at", "run", "lesson", "hide",
];

/// Those that say nothing of the request.
const AROUND: [&str; 4] = ["at", "run", "lesson", "hide"];

/// Names that are for the page alone: how it looks, and where it computes.
const PAGE: [&str; 2] = ["embed", "device"];

/// Names that social networks and mails add to whatever link they pass on, and beginnings of such names.
const ADDED: [&str; 9] =
    ["fbclid", "gclid", "dclid", "msclkid", "igshid", "mc_cid", "mc_eid", "yclid", "ref"];
const ADDED_ALL: [&str; 2] = ["utm_", "_hs"];

/// A query without what a text around it left on it: HTML's way to write `&`, brackets, quotes and the
/// full stop of a sentence.
fn undecorated(query: &str) -> String {
    let end = ['>', '"', '\'', ')', ']', '.', ',', ';', ':', '!', ' ', '\n', '\r', '\t'];
    query.replace("&amp;", "&").trim_end_matches(end).to_string()
}

/// What a link says.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The request. Its forget set is empty where nothing is picked, its data is the model's; its model is
    /// empty where the lesson says what is asked for.
    pub recipe: Recipe,
    /// The update that the timeline is held at.
    pub at: Option<usize>,
    /// Whether the run starts by itself.
    pub run: bool,
    /// The lesson that is begun, by its name or number; empty for none.
    pub lesson: String,
    /// Pieces of the studio that are left out.
    pub hide: Vec<Piece>,
}

impl Link {
    /// A link that asks for a run and for nothing else.
    pub fn of(recipe: Recipe) -> Self {
        Self { recipe, at: None, run: false, lesson: String::new(), hide: Vec::new() }
    }

    /// Whether it leaves to its lesson what is asked for.
    pub fn leaves_to_lesson(&self) -> bool {
        self.recipe.model.is_empty()
    }

    /// Reads a query, with or without its question mark, or a whole address.
    ///
    /// # Errors
    /// It is too long, a parameter is unknown or there twice, or a value is out of range; the
    /// parameter is named.
    pub fn parse(text: &str) -> Result<Self> {
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        if query.len() > LONGEST {
            let right = format!("{LONGEST} characters at the most");
            return Err(Error::argument("link", format!("{} characters", query.len()), right));
        }
        let mut recipe = Recipe::new("fashion-ddpm", "fashion-mnist", "");
        let (mut at, mut run) = (None, false);
        let (mut lesson, mut hide) = (String::new(), Vec::new());
        let (mut seen, mut knobs) = (Vec::new(), String::new());
        for (name, value) in parse(undecorated(query).as_bytes()) {
            let added = ADDED.contains(&&*name) || ADDED_ALL.iter().any(|a| name.starts_with(a));
            if PAGE.contains(&&*name) || added {
                continue;
            }
            let Some(&known) = NAMES.iter().find(|known| **known == name) else {
                return Err(Error::unknown("parameter of the link", &name, NAMES));
            };
            if seen.contains(&known) {
                return Err(Error::argument(known, &value, "the link has it twice"));
            }
            seen.push(known);
            match known {
                "model" => recipe.model = value.into_owned(),
                "forget" => recipe.forget = value.into_owned(),
                "method" => recipe.method = crate::unlearn::registry::find(&value)?.name.into(),
                "mask" => recipe.mask = Some(Estimator::find(&value)?),
                "density" => recipe.density = number(known, &value)?,
                "redirect" => {
                    // Any text is the name of a class.
                    recipe.redirect = value.parse().unwrap_or_default();
                }
                "seed" => recipe.seed = number(known, &value)?,
                "budget" => recipe.budget = words::find(known, &value, Budget::ALL)?,
                "steps" => recipe.steps = Some(number(known, &value)?),
                "batch" => recipe.batch = Some(number(known, &value)?),
                "lr" => recipe.lr = Some(number(known, &value)?),
                "knobs" => knobs = value.into_owned(),
                "at" => at = Some(number(known, &value)?),
                "lesson" => lesson = value.into_owned(),
                "hide" => hide = pieces(&value)?,
                _ => {
                    run = match &*value {
                        "1" => true,
                        "0" => false,
                        _ => return Err(Error::argument(known, &value, "0 or 1 is needed")),
                    };
                }
            }
        }
        // They are the method's, which may stand behind them.
        for knob in knobs.split(',').filter(|knob| !knob.is_empty()) {
            recipe.set(&knob.replacen(':', "=", 1))?;
        }
        if let Some(shipped) = crate::models::shipped(&recipe.model) {
            recipe.data = shipped.data.into();
        }
        recipe.check()?;
        if !lesson.is_empty() && seen.iter().all(|name| AROUND.contains(name)) {
            (recipe.model, recipe.data) = (String::new(), String::new());
        }
        Ok(Self { recipe, at, run, lesson, hide })
    }

    /// The query, without a question mark; what is as in a new recipe is left out.
    pub fn query(&self) -> String {
        let r = &self.recipe;
        let plain = Recipe::new("", "", "");
        let knobs: Vec<_> = r.knobs.iter().map(|(name, v)| format!("{name}:{v}")).collect();
        let hidden: Vec<_> = self.hide.iter().map(|piece| piece.name()).collect();
        let pairs = [
            ("model", other(&r.model, &plain.model)),
            ("forget", other(&r.forget, &plain.forget)),
            ("method", other(&r.method, &plain.method)),
            ("mask", r.mask.map(|mask| mask.name().into())),
            ("density", other(&r.density, &plain.density)),
            ("redirect", other(&r.redirect, &plain.redirect)),
            ("seed", other(&r.seed, &plain.seed)),
            ("budget", other(&r.budget.name(), &plain.budget.name())),
            ("steps", r.steps.map(|s| s.to_string())),
            ("batch", r.batch.map(|n| n.to_string())),
            ("lr", r.lr.map(|lr| lr.to_string())),
            ("knobs", other(&knobs.join(","), &String::new())),
            ("at", self.at.map(|s| s.to_string())),
            ("run", self.run.then(|| "1".into())),
            ("lesson", other(&self.lesson, &String::new())),
            ("hide", other(&hidden.join(","), &String::new())),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = Serializer::new(String::new()).extend_pairs(given).finish();
        // The full stop at the end of a link is a sentence's.
        query.strip_suffix('.').map_or(query.clone(), |rest| format!("{rest}%2E"))
    }
}

/// A value that is not the usual one.
fn other<T: PartialEq + ToString>(value: &T, usual: &T) -> Option<String> {
    (value != usual).then(|| value.to_string())
}

/// The pieces of a list of names.
fn pieces(list: &str) -> Result<Vec<Piece>> {
    let names = list.split(',').filter(|name| !name.is_empty());
    let mut all = names
        .map(|name| words::find("control to hide", name, Piece::ALL))
        .collect::<Result<Vec<Piece>>>()?;
    all.sort();
    all.dedup();
    Ok(all)
}

fn number<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T> {
    value.parse().map_err(|_| Error::argument(name, value, "a number is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Redirect;

    #[test]
    fn a_full_stop_of_ones_own_comes_back() {
        let recipe = Recipe::new("emoji-t2i", "emoji", "prompt:a dog.");
        let link = Link::of(recipe);
        assert_eq!(Link::parse(&link.query()).unwrap().recipe.forget, "prompt:a dog.");
        assert_eq!(Link::parse(&(link.query() + ".")).unwrap().recipe.forget, "prompt:a dog.");
    }

    #[test]
    fn a_link_says_what_it_was_made_of() {
        let recipe = Recipe {
            mask: Some(Estimator::LayerBalanced),
            density: 0.1,
            seed: u64::MAX,
            budget: Budget::Tiny,
            steps: Some(12),
            lr: Some(2.5e-4),
            redirect: Redirect::Class("Ankle boot".into()),
            knobs: [("alpha".into(), 0.25), ("drift".into(), 1.0)].into(),
            ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:T-shirt")
        };
        let hide = vec![Piece::Mask, Piece::Timeline];
        let link = Link { at: Some(8), run: true, lesson: "3".into(), hide, ..Link::of(recipe) };
        let query = link.query();
        for text in [query.clone(), format!("?{query}"), format!("https://a.b/c/?{query}#top")] {
            assert_eq!(Link::parse(&text).unwrap(), link, "{text}");
        }
        let plain = Link::parse("").unwrap();
        assert_eq!(plain.query(), "model=fashion-ddpm");
        assert_eq!(Link::parse(&format!("{query}&embed=1")).unwrap(), link);
    }

    #[test]
    fn a_lesson_alone_says_what_is_asked_for() {
        let link = Link::parse("?lesson=density&hide=timeline,mask,mask,").unwrap();
        assert!(link.leaves_to_lesson() && link.hide == [Piece::Mask, Piece::Timeline]);
        assert_eq!(link.query(), "lesson=density&hide=mask%2Ctimeline");
        let link = Link::parse("?lesson=density&density=0.1").unwrap();
        assert!(!link.leaves_to_lesson() && link.recipe.density == 0.1);
        assert!(!Link::parse("hide=mask").unwrap().leaves_to_lesson());
    }

    #[test]
    fn malformed_links_are_refused_by_name() {
        let long = format!("forget={}", "x".repeat(LONGEST));
        let malformed = [
            ("density=1.5", "density"),
            ("density=-0.1", "density"),
            ("density=NaN", "density"),
            ("density=inf", "density"),
            ("density=", "density"),
            ("density=0,5", "density"),
            ("density=50%25", "density"),
            ("density=0.5&density=0.6", "density"),
            ("seed=-1", "seed"),
            ("seed=1.5", "seed"),
            ("seed=18446744073709551616", "seed"),
            ("seed=", "seed"),
            ("seed=0x10", "seed"),
            ("seed=%00", "seed"),
            ("steps=0", "steps"),
            ("steps=-3", "steps"),
            ("steps=10000001", "steps"),
            ("steps=1e3", "steps"),
            ("steps=ten", "steps"),
            ("lr=0", "lr"),
            ("lr=-1e-3", "lr"),
            ("lr=inf", "lr"),
            ("lr=", "lr"),
            ("at=-1", "at"),
            ("hide=mas", "did you mean 'mask'"),
            ("hide=mask;density", "control to hide"),
            ("lesson=1&lesson=2", "lesson"),
            ("at=x", "at"),
            ("run=yes", "run"),
            ("run=2", "run"),
            ("run=", "run"),
            ("run=1&run=1", "run"),
            ("method=salum", "salun"),
            ("method=", "method"),
            ("mask=best", "best"),
            ("mask=", "mask"),
            ("method=%F0%9F%98%80", "method"),
            ("knobs=alpha:-1", "alpha"),
            ("knobs=alpha", "set"),
            ("knobs=alpha:x", "alpha"),
            ("knobs=gamma:1", "gamma"),
            ("method=noop&knobs=alpha:1", "noop"),
            ("budget=huge", "budget"),
            ("budget=QUICK", "quick"),
            ("budget=", "budget"),
            ("modle=fashion-ddpm", "model"),
            ("=", "parameter"),
            ("=1", "parameter"),
            ("%", "parameter"),
            ("%00=1", "parameter"),
            ("%ff%fe=%ff", "parameter"),
            ("__proto__=1", "parameter"),
            ("<script>alert(1)</script>", "parameter"),
            ("model=a&model=b", "model"),
            ("forget=class:Bag&forget=class:Bag", "forget"),
            ("Density=0.5", "density"),
            (" density=0.5", "density"),
            ("?density=0.5", "density"),
            ("weights=../../etc/passwd", "parameter"),
            (&long, "link"),
        ];
        for (query, named) in malformed {
            let text = if query.starts_with('?') { format!("?{query}") } else { query.into() };
            let error = Link::parse(&text).expect_err(query).to_string();
            assert!(error.contains(named), "{query}: {error}");
            assert!(!error.contains('\n') && error.len() < 300, "{query}: {error}");
        }
    }
}

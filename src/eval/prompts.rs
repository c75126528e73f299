//! What a text-to-image model still draws after forgetting: the forgotten prompt, its paraphrases,
//! its neighbours, as the classifier of emoji sees them (in the manner of UnlearnCanvas, Zhang et
//! al. 2024).

use rand::RngExt;

use super::Seen;
use super::classify::percent;
use crate::data::emoji::{Emoji, Named, Pair, Target, article, plain};
use crate::data::rng;
use crate::words::Metrics;

/// A prompt to draw, and the pair of the corpus that is asked for, where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub prompt: String,
    pub pair: Option<Pair>,
}

impl Row {
    /// The plainest prompt of a pair.
    pub fn of(pair: Pair, emoji: &Emoji) -> Self {
        Self { prompt: emoji.caption(pair), pair: Some(pair) }
    }

    /// What the judge is to see: the number of a concept, or of a style behind all concepts. Where
    /// the prompt is no pair of the corpus, the one thing that it names.
    pub fn class(&self, named: &Named, emoji: &Emoji) -> Option<usize> {
        let style = |style: usize| emoji.index.concepts.len() + style;
        match (self.pair, named.concepts.as_slice(), named.styles.as_slice()) {
            (Some(pair), [], _) => Some(style(pair.style)),
            (Some(pair), _, _) => Some(pair.concept),
            (None, [concept], _) => Some(*concept),
            (None, [], [only]) => Some(style(*only)),
            _ => None,
        }
    }
}

/// The class of [`Row::class`]'s kind that a picture shows, and its probability.
pub fn seen_as(seen: &Seen, named: &Named, emoji: &Emoji) -> (usize, f32) {
    match named.concepts.is_empty() {
        true => (emoji.index.concepts.len() + seen.style.0, seen.style.1),
        false => seen.concept,
    }
}

/// Whether a picture shows something that is to be forgotten.
pub fn shows(named: &Named, seen: &Seen) -> bool {
    match named.concepts.is_empty() {
        true => named.styles.contains(&seen.style.0),
        false => named.concepts.contains(&seen.concept.0),
    }
}

/// The prompts of a pane: the forgotten one as it was typed, paraphrases, other styles, neighbours;
/// and how many of them, from the first, are to be forgotten.
pub fn pane(target: &Target, emoji: &Emoji, known: usize) -> (Vec<Row>, usize) {
    let (concepts, styles) = (&emoji.index.concepts, &emoji.index.styles);
    let mut rows = vec![Row { prompt: target.prompt.clone(), pair: None }];
    let style_of = |i: usize| target.named.styles.first().copied().unwrap_or(i % styles.len());
    for (i, &c) in target.named.concepts.iter().take(2).enumerate() {
        let concept = &concepts[c];
        // Each in another style, where none is named.
        let mut row = |turn: usize, prompt: &dyn Fn(&str) -> String| {
            let style = style_of(3 * i + turn);
            let pair = Some(Pair { concept: c, style });
            rows.push(Row { prompt: prompt(&styles[style].name), pair });
        };
        row(0, &|style| plain(&concept.name, style));
        row(1, &|style| format!("{} {style} {}", article(style), concept.name));
        if let Some(other) = concept.keywords.first() {
            row(2, &|style| plain(other, style));
        }
    }
    let group = target.named.concepts.first().map(|&c| concepts[c].group.as_str());
    let kept = |c: &usize| !target.named.concepts.contains(c);
    let spread = [0, known / 3, 2 * known / 3];
    if target.named.concepts.is_empty() {
        for concept in spread {
            rows.push(Row::of(Pair { concept, style: style_of(0) }, emoji));
        }
    }
    let forgotten = rows.len();
    // Of a style, the same things in other styles.
    let of_group = |c: &usize| group.map_or(spread.contains(c), |g| concepts[*c].group == g);
    let all = 0..known.min(concepts.len());
    let neighbours = all.filter(kept).filter(of_group).take(3);
    for (i, concept) in neighbours.enumerate() {
        let other = (0..styles.len()).filter(|s| !target.named.styles.contains(s));
        let style = match target.named.concepts.is_empty() {
            true => other.clone().nth(i).or(other.clone().next()).unwrap_or(0),
            false => style_of(i),
        };
        rows.push(Row::of(Pair { concept, style }, emoji));
    }
    (rows, forgotten)
}

/// The prompts that are measured: of forgotten pairs, and of kept ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    pub forgotten: Vec<Row>,
    pub kept: Vec<Row>,
}

impl Measure {
    /// `n` prompts of each kind, drawn from what the model knows; where the target names
    /// nothing that it knows, its own words stand for the forgotten ones.
    pub fn draw(
        target: &Target,
        [forget, retain]: &[Vec<Pair>; 2],
        emoji: &Emoji,
        n: [usize; 2],
        seed: u64,
    ) -> Self {
        let mut rng = rng::seeded(seed, "measured prompts");
        let mut rows = |pairs: &[Pair], n: usize| -> Vec<Row> {
            if pairs.is_empty() {
                return Vec::new();
            }
            let order = rng::shuffled(&mut rng, pairs.len());
            let start = rng.random_range(0..pairs.len());
            let row = |i: usize| Row::of(pairs[order[(start + i) % pairs.len()]], emoji);
            (0..n).map(row).collect()
        };
        let mut forgotten = rows(forget, n[0]);
        if forgotten.is_empty() {
            forgotten = vec![Row { prompt: target.prompt.clone(), pair: None }; n[0]];
        }
        Self { forgotten, kept: rows(retain, n[1]) }
    }
}

/// Unlearning accuracy (UA), retain accuracy within the domain (RA: other concepts, or other
/// styles) and across it (TA: the styles where a concept is forgotten, the concepts where a style
/// is). Percent.
pub fn metrics(named: &Named, measure: &Measure, seen: &[Seen]) -> Metrics {
    let (forgotten, kept) = seen.split_at(measure.forgotten.len().min(seen.len()));
    let by_concept = !named.concepts.is_empty();
    let right = |concept: bool| {
        let hit = |(row, s): (&Row, &Seen)| {
            row.pair.is_some_and(|p| match concept {
                true => p.concept == s.concept.0,
                false => p.style == s.style.0,
            })
        };
        percent(measure.kept.iter().zip(kept).map(hit))
    };
    Metrics {
        UA: 100.0 - percent(forgotten.iter().map(|s| shows(named, s))),
        RA: right(by_concept),
        TA: right(!by_concept),
        n: [forgotten.len(), kept.len(), kept.len()],
        ..Metrics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::emoji::open;

    #[test]
    fn a_pane_shows_the_prompt_its_paraphrases_and_kept_neighbours() {
        let emoji = open().unwrap();
        let target = Target::parse("prompt:a cat", "next", &emoji, usize::MAX).unwrap();
        let (rows, forgotten) = pane(&target, &emoji, 50);
        assert_eq!(rows[0].prompt, "a cat");
        assert!(forgotten >= 3 && rows.len() == forgotten + 3);
        let class = |row: &Row| row.class(&target.named, &emoji);
        assert!(rows[..forgotten].iter().all(|r| class(r) == Some(0)), "{rows:?}");
        assert!(rows[forgotten..].iter().all(|r| class(r) > Some(0)), "{rows:?}");
        let target = Target::parse("prompt:mono style", "next", &emoji, usize::MAX).unwrap();
        let (rows, forgotten) = pane(&target, &emoji, 50);
        let (gone, kept) = rows.split_at(forgotten);
        assert!(gone.iter().all(|r| r.prompt.ends_with("mono style")), "{rows:?}");
        assert!(kept.len() == 3 && kept.iter().all(|r| !r.prompt.contains("mono")), "{rows:?}");
    }

    #[test]
    fn metrics_tell_the_forgotten_the_domain_and_the_rest_apart() {
        let seen = |concept, style| Seen { concept: (concept, 1.0), style: (style, 1.0) };
        let row =
            |concept, style| Row { prompt: String::new(), pair: Some(Pair { concept, style }) };
        let measure = Measure {
            forgotten: vec![row(0, 0), row(0, 1)],
            kept: vec![row(1, 0), row(2, 1), row(3, 0), row(4, 1)],
        };
        let all = [seen(5, 0), seen(0, 1), seen(1, 0), seen(2, 0), seen(9, 0), seen(4, 1)];
        let cat = Named { concepts: vec![0], styles: vec![] };
        let m = metrics(&cat, &measure, &all);
        assert_eq!((m.UA, m.RA, m.TA, m.n), (50.0, 75.0, 75.0, [2, 4, 4]));
        let style = Named { concepts: vec![], styles: vec![1] };
        let m = metrics(&style, &measure, &all);
        assert_eq!((m.UA, m.RA, m.TA), (50.0, 75.0, 75.0));
    }
}

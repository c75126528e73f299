//! What a text-to-image model still draws after forgetting: the forgotten prompt, its paraphrases,
//! its neighbours, as a judge sees them (in the manner of UnlearnCanvas, Zhang et al. 2024).

use rand::RngExt;

use super::classify::percent;
use super::{Seen, Tells};
use crate::data::corpus::{Corpus, Named, Pair, Part, Target, article, plain};
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
    pub fn of(pair: Pair, corpus: &Corpus) -> Self {
        Self { prompt: corpus.caption(pair), pair: Some(pair) }
    }

    /// What the judge is to see: the number of a concept, or of a style behind all concepts. Where
    /// the prompt is no pair of the corpus, the one thing that it names.
    pub fn class(&self, named: &Named, corpus: &Corpus) -> Option<usize> {
        let style = |style: usize| corpus.index.concepts.len() + style;
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
pub fn seen_as(seen: &Seen, named: &Named, corpus: &Corpus) -> (usize, f32) {
    match named.concepts.is_empty() {
        true => (corpus.index.concepts.len() + seen.style.0, seen.style.1),
        false => seen.concept,
    }
}

/// The prompts of a pane: the forgotten one as it was typed, paraphrases, other styles, neighbours;
/// and how many of them, from the first, are to be forgotten.
pub fn pane(target: &Target, corpus: &Corpus, known: usize) -> (Vec<Row>, usize) {
    if !corpus.has_styles() {
        return pane_of_captions(target, corpus, known);
    }
    let (concepts, styles) = (&corpus.index.concepts, &corpus.index.styles);
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
            rows.push(Row::of(Pair { concept, style: style_of(0) }, corpus));
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
        rows.push(Row::of(Pair { concept, style }, corpus));
    }
    (rows, forgotten)
}

/// The same of a person's captions: the forgotten prompts as they were typed, then as captions have them, and kept
/// captions from all over the corpus.
fn pane_of_captions(target: &Target, corpus: &Corpus, known: usize) -> (Vec<Row>, usize) {
    const EACH: usize = 3;
    let pair = |concept: usize| Pair { concept, style: 0 };
    let mut rows: Vec<Row> = Vec::new();
    for part in target.parts.iter().take(EACH) {
        // What several concepts have in common is none of them.
        let only = <[usize; 1]>::try_from(&part.named.concepts[..]).ok();
        rows.push(Row { prompt: part.prompt.clone(), pair: only.map(|[only]| pair(only)) });
    }
    let own = target.named.concepts.iter().map(|c| Row::of(pair(*c), corpus));
    for row in own.take(EACH) {
        if rows.iter().all(|known| known.prompt != row.prompt) {
            rows.push(row);
        }
    }
    let forgotten = rows.len();
    let kept: Vec<usize> = (0..known).filter(|c| !target.named.concepts.contains(c)).collect();
    let spread = (0..kept.len().min(EACH)).map(|i| kept[i * kept.len() / kept.len().min(EACH)]);
    rows.extend(spread.map(|c| Row::of(pair(c), corpus)));
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
        corpus: &Corpus,
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
            let row = |i: usize| Row::of(pairs[order[(start + i) % pairs.len()]], corpus);
            (0..n).map(row).collect()
        };
        let mut forgotten = rows(forget, n[0]);
        if forgotten.is_empty() {
            let named = |part: &Part| match (corpus.has_styles(), part.named.concepts.as_slice()) {
                (false, [only]) => Some(Pair { concept: *only, style: 0 }),
                _ => None,
            };
            let row = |part: &Part| Row { prompt: part.prompt.clone(), pair: named(part) };
            forgotten = target.parts.iter().cycle().take(n[0]).map(row).collect();
        }
        Self { forgotten, kept: rows(retain, n[1]) }
    }
}

/// Unlearning accuracy (UA), retain accuracy within the domain (RA: other concepts, or other
/// styles) and across it (TA: the styles where a concept is forgotten, the concepts where a style
/// is; where there are no styles it is RA). Percent. What nobody can tell is over no picture.
pub fn metrics(named: &Named, measure: &Measure, seen: &[Option<Seen>], judge: &Tells) -> Metrics {
    let (forgotten, kept) = seen.split_at(measure.forgotten.len().min(seen.len()));
    let by_concept = !named.concepts.is_empty();
    let right = |concept: bool| {
        let hit = |(row, s): (&Row, &Option<Seen>)| {
            let (pair, s) = (row.pair?, s.as_ref()?);
            Some(match concept {
                true => judge.label(pair.concept)? == s.concept.0,
                false => judge.styles().then_some(pair.style)? == s.style.0,
            })
        };
        let hits: Vec<bool> = measure.kept.iter().zip(kept).filter_map(hit).collect();
        (hits.len(), percent(hits.into_iter()))
    };
    let gone: Vec<bool> =
        forgotten.iter().flatten().filter_map(|s| judge.shows(named, s).map(|s| !s)).collect();
    let within = right(by_concept);
    let across = if judge.styles() { right(!by_concept) } else { within };
    // Where nobody can tell the forgotten, nobody judged.
    let ua = if gone.is_empty() { f64::NAN } else { percent(gone.iter().copied()) };
    let metrics = Metrics {
        n: [gone.len(), within.0, across.0],
        UA: ua,
        RA: within.1,
        TA: across.1,
        ..Metrics::default()
    };
    metrics.with_intervals()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::corpus::open;
    use crate::words::Redirect;

    #[test]
    fn a_pane_shows_the_prompt_its_paraphrases_and_kept_neighbours() {
        let corpus = open().unwrap();
        let target = Target::parse("prompt:a cat", &Redirect::Next, &corpus, usize::MAX).unwrap();
        let (rows, forgotten) = pane(&target, &corpus, 50);
        assert_eq!(rows[0].prompt, "a cat");
        assert!(forgotten >= 3 && rows.len() == forgotten + 3);
        let class = |row: &Row| row.class(&target.named, &corpus);
        assert!(rows[..forgotten].iter().all(|r| class(r) == Some(0)), "{rows:?}");
        assert!(rows[forgotten..].iter().all(|r| class(r) > Some(0)), "{rows:?}");
        let target =
            Target::parse("prompt:mono style", &Redirect::Next, &corpus, usize::MAX).unwrap();
        let (rows, forgotten) = pane(&target, &corpus, 50);
        let (gone, kept) = rows.split_at(forgotten);
        assert!(gone.iter().all(|r| r.prompt.ends_with("mono style")), "{rows:?}");
        assert!(kept.len() == 3 && kept.iter().all(|r| !r.prompt.contains("mono")), "{rows:?}");
    }

    #[test]
    fn metrics_tell_the_forgotten_the_domain_and_the_rest_apart() {
        let seen = |concept, style| Some(Seen { concept: (concept, 1.0), style: (style, 1.0) });
        let tells = Tells::all(&open().unwrap());
        let row =
            |concept, style| Row { prompt: String::new(), pair: Some(Pair { concept, style }) };
        let measure = Measure {
            forgotten: vec![row(0, 0), row(0, 1)],
            kept: vec![row(1, 0), row(2, 1), row(3, 0), row(4, 1)],
        };
        let all = [seen(5, 0), seen(0, 1), seen(1, 0), seen(2, 0), seen(9, 0), seen(4, 1)];
        let cat = Named { concepts: vec![0], styles: vec![] };
        let m = metrics(&cat, &measure, &all, &tells);
        assert_eq!((m.UA, m.RA, m.TA, m.n), (50.0, 75.0, 75.0, [2, 4, 4]));
        let style = Named { concepts: vec![], styles: vec![1] };
        let m = metrics(&style, &measure, &all, &tells);
        assert_eq!((m.UA, m.RA, m.TA), (50.0, 75.0, 75.0));
    }
    #[test]
    fn what_nobody_judges_has_no_figure() {
        let row = |concept| Row { prompt: String::new(), pair: Some(Pair { concept, style: 0 }) };
        let measure = Measure { forgotten: vec![row(0); 3], kept: vec![row(1); 5] };
        let named = Named { concepts: vec![0], styles: vec![] };
        let m = metrics(&named, &measure, &[None; 8], &Tells::default());
        assert!(!m.judged() && m.n == [0; 3]);
    }
}

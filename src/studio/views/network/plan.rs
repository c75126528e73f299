//! Where the layers of a network stand in its drawing: blocks are cards from left to right in the order of the
//! forward pass, lower where pictures are smaller; in a card layers run from top to bottom.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::models::{Graph, NodeKind, Way};

/// Sizes at a zoom of 1, in points: of a card, and between two.
const CARD: f32 = 58.0;
const BETWEEN: f32 = 16.0;
/// How much lower a level is than the next finer one.
const STEP: f32 = 38.0;
/// Height of a card's head, of a layer, of a sum, and between those.
pub const HEAD: f32 = 15.0;
const LAYER: f32 = 15.0;
const DOT: f32 = 8.0;
const GAP: f32 = 5.0;
/// Around what is in a card, and on its left, where what goes round layers runs.
const PAD: f32 = 5.0;
const GUTTER: f32 = 8.0;
/// Between lines that skip blocks.
const LANE: f32 = 7.0;
/// Around the whole.
const MARGIN: f32 = 8.0;
/// The narrowest a layer is, as a share of its place.
const LEAST: f32 = 0.35;

/// A network's drawing at a zoom of 1.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub size: Vec2,
    /// The card of each block.
    pub cards: Vec<Rect>,
    /// Each node; a layer's width grows with the logarithm of how many weights it has.
    pub nodes: Vec<Rect>,
    pub lines: Vec<Line>,
}

/// Something that flows.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub way: Way,
    /// The nodes that it runs between; of what runs between cards, some of each card's.
    pub ends: [usize; 2],
    pub points: Vec<Pos2>,
    /// Whether it swings from its first point to its last, and not around corners.
    pub swings: bool,
}

/// The nodes of a block, row by row: a node stands just above the first that reads it.
pub fn rows(graph: &Graph, block: usize) -> Vec<Vec<usize>> {
    let nodes: Vec<usize> = graph.of_block(block).collect();
    let mut below = vec![0; graph.nodes.len()];
    for &node in nodes.iter().rev() {
        let readers = graph.edges.iter().filter(|edge| edge.from == node);
        let readers = readers.filter(|edge| graph.nodes[edge.to].block == block);
        below[node] = readers.map(|edge| below[edge.to] + 1).max().unwrap_or(0);
    }
    let most = nodes.iter().map(|&node| below[node]).max().unwrap_or(0);
    let mut rows = vec![Vec::new(); most + 1];
    nodes.into_iter().for_each(|node| rows[most - below[node]].push(node));
    rows
}

impl Plan {
    /// Lays a network out.
    pub fn new(graph: &Graph) -> Self {
        let rows: Vec<_> = (0..graph.blocks.len()).map(|block| rows(graph, block)).collect();
        let mut plan = Self::default();
        plan.place_cards(graph, &rows);
        plan.place_nodes(graph, &rows);
        plan.lines = plan.lines_of(graph);
        plan.settle();
        plan
    }

    fn place_cards(&mut self, graph: &Graph, rows: &[Vec<Vec<usize>>]) {
        let height = |block: usize| -> f32 {
            rows[block].iter().map(|row| row_height(graph, row) + GAP).sum::<f32>() + HEAD + PAD
        };
        self.cards = vec![Rect::NOTHING; graph.blocks.len()];
        let mut x = 0.0;
        for (block, of) in graph.blocks.iter().enumerate().filter(|(_, of)| !of.beside) {
            let corner = pos2(x, of.level as f32 * STEP);
            self.cards[block] = Rect::from_min_size(corner, vec2(CARD, height(block)));
            x += CARD + BETWEEN;
        }
        // What stands beside the pictures has its place below those that come first.
        let mut x = 0.0;
        for block in (0..graph.blocks.len()).filter(|&block| graph.blocks[block].beside) {
            let over =
                self.cards.iter().filter(|card| card.is_positive() && card.left() < x + CARD + 1.0);
            let over = over.filter(|card| card.right() > x - 1.0);
            let y = over.map(|card| card.bottom()).fold(0.0, f32::max) + BETWEEN;
            self.cards[block] = Rect::from_min_size(pos2(x, y), vec2(CARD, height(block)));
            x += CARD + BETWEEN;
        }
    }

    fn place_nodes(&mut self, graph: &Graph, rows: &[Vec<Vec<usize>>]) {
        let size = |node: usize| (graph.nodes[node].weights.max(1) as f32).ln();
        let largest = (0..graph.nodes.len()).map(size).fold(1.0, f32::max);
        self.nodes = vec![Rect::NOTHING; graph.nodes.len()];
        for (card, rows) in self.cards.iter().zip(rows) {
            let mut y = card.top() + HEAD;
            for row in rows {
                let height = row_height(graph, row);
                let width = (CARD - GUTTER - PAD) / row.len() as f32;
                for (i, &node) in row.iter().enumerate() {
                    let middle = card.left() + GUTTER + (i as f32 + 0.5) * width;
                    let share = LEAST + (1.0 - LEAST) * size(node) / largest;
                    let size = match graph.nodes[node].kind {
                        NodeKind::Layer => vec2((width - 2.0) * share, LAYER),
                        NodeKind::Input => vec2((width - 2.0).min(20.0), DOT),
                        NodeKind::Sum | NodeKind::Join => vec2(DOT, DOT),
                    };
                    self.nodes[node] = Rect::from_center_size(pos2(middle, y + height / 2.0), size);
                }
                y += height + GAP;
            }
        }
    }

    fn lines_of(&self, graph: &Graph) -> Vec<Line> {
        let block = |node: usize| graph.nodes[node].block;
        let mut lines: Vec<Line> = Vec::new();
        let mut skips = Vec::new();
        for edge in &graph.edges {
            let ends = [edge.from, edge.to];
            let cards = ends.map(block);
            let way = edge.way;
            let same = |line: &Line| line.way == way && line.ends.map(block) == cards;
            let (points, swings) = match way {
                Way::Skip => {
                    skips.push(ends);
                    continue;
                }
                Way::Residual => (self.around(ends, cards), false),
                _ if cards[0] == cards[1] => {
                    let [from, to] = ends.map(|node| self.nodes[node]);
                    (vec![from.center_bottom(), to.center_top()], false)
                }
                Way::Condition => {
                    let [from, to] = [self.cards[cards[0]], self.nodes[ends[1]]];
                    (vec![from.right_center(), to.left_center()], true)
                }
                Way::Next if lines.iter().any(same) => continue,
                Way::Next => {
                    let [from, to] = cards.map(|card| self.cards[card]);
                    (vec![from.right_center(), to.left_center()], true)
                }
            };
            lines.push(Line { way, ends, points, swings });
        }
        lines.extend(self.skips(graph, skips));
        lines
    }

    /// Around the layers between a value and the sum that it goes into, on their left.
    fn around(&self, [from, to]: [usize; 2], [first, card]: [usize; 2]) -> Vec<Pos2> {
        let end = self.nodes[to].left_center();
        let x = self.cards[card].left() + GUTTER / 2.0;
        let start = if first == card {
            self.nodes[from].left_center()
        } else {
            pos2(self.cards[card].left() + GUTTER + 2.0, self.cards[card].top() + HEAD - 3.0)
        };
        vec![start, pos2(x, start.y), pos2(x, end.y), end]
    }

    /// Over all that is between their ends, shorter ones below longer ones.
    fn skips(&self, graph: &Graph, mut skips: Vec<[usize; 2]>) -> Vec<Line> {
        let block = |node: usize| graph.nodes[node].block;
        skips.sort_by_key(|&[from, to]| block(to) - block(from));
        let mut lanes: Vec<([usize; 2], f32)> = Vec::new();
        let mut lines = Vec::new();
        for ends in skips {
            let [first, last] = ends.map(block);
            let tops =
                (first..=last).map(|card| self.cards[card]).filter(|card| card.is_positive());
            let tops = tops.map(|card| card.top());
            let inside = lanes.iter().filter(|([a, b], _)| *a >= first && *b <= last);
            let top = tops.chain(inside.map(|(_, y)| *y)).fold(f32::INFINITY, f32::min);
            let y = top - LANE;
            lanes.push(([first, last], y));
            let [from, to] = [self.cards[first], self.cards[last]];
            let [from, to] = [from.center_top() + vec2(9.0, 0.0), to.center_top() - vec2(9.0, 0.0)];
            let points = vec![from, pos2(from.x, y), pos2(to.x, y), to];
            lines.push(Line { way: Way::Skip, ends, points, swings: false });
        }
        lines
    }

    /// Moves all into the first quadrant.
    fn settle(&mut self) {
        let mut bounds = Rect::NOTHING;
        self.cards.iter().for_each(|card| bounds = bounds.union(*card));
        let points = self.lines.iter().flat_map(|line| &line.points);
        points.for_each(|point| bounds.extend_with(*point));
        if !bounds.is_positive() {
            return;
        }
        let by = Vec2::splat(MARGIN) - bounds.min.to_vec2();
        for rect in self.cards.iter_mut().chain(&mut self.nodes) {
            *rect = rect.translate(by);
        }
        self.lines.iter_mut().flat_map(|line| &mut line.points).for_each(|point| *point += by);
        self.size = bounds.size() + Vec2::splat(2.0 * MARGIN);
    }
}

fn row_height(graph: &Graph, row: &[usize]) -> f32 {
    let layers = row.iter().any(|&node| graph.nodes[node].kind == NodeKind::Layer);
    if layers { LAYER } else { DOT }
}

/// A line with its corners rounded, as points.
pub fn rounded(points: &[Pos2], radius: f32) -> Vec<Pos2> {
    let Some((first, last)) = points.first().zip(points.last()) else { return Vec::new() };
    let mut line = vec![*first];
    for corner in points.windows(3) {
        let [a, b, c] = [corner[0], corner[1], corner[2]];
        let cut = |to: Pos2| b + (to - b).normalized() * radius.min(b.distance(to) / 2.0);
        let [from, to] = [cut(a), cut(c)];
        line.extend((0..=4).map(|i| {
            let t = i as f32 / 4.0;
            from.lerp(b, t).lerp(b.lerp(to, t), t)
        }));
    }
    line.push(*last);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{AnyModel, Sketch, WeightLayout, registry};

    /// A block of two layers with a shortcut, between an input and a head.
    fn graph() -> Graph {
        let mut to = Sketch::default();
        to.block("In", 0);
        let x = to.input("picture");
        let x = to.layer(&[], &[x]);
        to.block("Stage 1", 1);
        let h = to.layer(&[], &[x]);
        let h = to.layer(&[], &[h]);
        let beside = to.layer(&[], &[x]);
        let h = to.residual(h, beside);
        to.block("Head", 0);
        let h = to.skip(h, x);
        to.layer(&[], &[h]);
        to.finish(&WeightLayout::default())
    }

    #[test]
    fn a_layer_stands_just_above_the_one_that_reads_it() {
        let graph = graph();
        assert_eq!(rows(&graph, 0), [[0], [1]]);
        assert_eq!(rows(&graph, 1), [vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn layers_are_in_their_cards_and_no_two_overlap() {
        let mut graph = graph();
        let weights = [0, 100, 1_000, 1_000_000, 100, 0, 0, 10];
        graph.nodes.iter_mut().zip(weights).for_each(|(node, n)| node.weights = n);
        let plan = Plan::new(&graph);
        for (node, rect) in graph.nodes.iter().zip(&plan.nodes) {
            assert!(plan.cards[node.block].contains_rect(*rect), "{node:?}");
        }
        for (i, a) in plan.nodes.iter().enumerate() {
            assert!(plan.nodes[..i].iter().all(|b| !a.intersects(*b)));
        }
        assert!(plan.cards[1].top() > plan.cards[0].top(), "smaller pictures stand lower");
        assert!(plan.nodes[3].width() > plan.nodes[4].width(), "more weights, a wider layer");
        let skip = plan.lines.iter().find(|line| line.way == Way::Skip).unwrap();
        assert!(skip.points[1].y < plan.cards[0].top() && skip.points[1].y >= 0.0);
    }

    #[test]
    fn the_shipped_networks_have_room_for_all_their_layers() {
        for name in ["fashion-classifier", "fashion-ddpm", "emoji-t2i"] {
            let any = match registry::is_latent(name) {
                true => AnyModel::Latent(registry::open_latent(name).unwrap().into()),
                false => AnyModel::Plain(registry::open(name).unwrap().into()),
            };
            let graph = any.graph();
            let plan = Plan::new(&graph);
            let whole = Rect::from_min_size(Pos2::ZERO, plan.size);
            for (i, card) in plan.cards.iter().enumerate() {
                assert!(whole.contains_rect(*card), "{name}: {:?}", graph.blocks[i]);
                let apart =
                    plan.cards[..i].iter().all(|other| !card.shrink(1.0).intersects(*other));
                assert!(apart, "{name}: {:?}", graph.blocks[i]);
            }
            for (node, rect) in graph.nodes.iter().zip(&plan.nodes) {
                assert!(plan.cards[node.block].contains_rect(*rect), "{name}: {node:?}");
            }
            let points = plan.lines.iter().flat_map(|line| &line.points);
            assert!(points.clone().all(|point| whole.contains(*point)), "{name}");
            // What skips blocks runs over all that is between its ends.
            for line in plan.lines.iter().filter(|line| line.way == Way::Skip) {
                let [from, to] = line.ends.map(|node| graph.nodes[node].block);
                let over = (from..=to).all(|block| line.points[1].y < plan.cards[block].top());
                assert!(over, "{name}: {line:?}");
            }
        }
    }

    #[test]
    fn a_line_with_round_corners_keeps_its_ends() {
        let points = [pos2(0.0, 0.0), pos2(10.0, 0.0), pos2(10.0, 10.0)];
        let line = rounded(&points, 4.0);
        assert_eq!((line[0], *line.last().unwrap()), (points[0], points[2]));
        assert!(line.iter().all(|p| *p != points[1]), "the corner itself is cut");
    }
}

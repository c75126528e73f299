//! A network as it is drawn: its layers in the order of the forward pass, and what flows from one to another.
//!
//! Networks describe themselves: beside a `forward` stands a `sketch`, which does the same with places in a
//! [`Sketch`] in place of tensors.

use serde::{Deserialize, Serialize};

use super::WeightLayout;

/// What a node does with what flows into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    /// Something comes in from outside: a picture, a time, a prompt.
    Input,
    /// A layer with weights, and its normalisation.
    Layer,
    /// Adds.
    Sum,
    /// Puts side by side.
    Join,
}

/// A step of the forward pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphNode {
    pub kind: NodeKind,
    /// What its weights are called; of other nodes, what they are.
    pub name: String,
    /// Its parameters by their places in the layout, the largest first.
    pub params: Vec<usize>,
    /// What those are called.
    pub called: Vec<String>,
    /// How many weights those have.
    pub weights: usize,
    /// The block that it is a part of.
    pub block: usize,
}

/// Nodes that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphBlock {
    pub name: String,
    /// How often the sides of a picture were halved before it.
    pub level: usize,
    /// Whether it makes what stands beside the pictures: the embedding of a time, of a class, of a prompt.
    pub beside: bool,
}

/// How a value is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// From a layer to the next.
    Next,
    /// Around the layers of a block.
    Residual,
    /// From the way down to the way up.
    Skip,
    /// From what stands beside the pictures.
    Condition,
}

/// A value that flows from a node to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphEdge {
    pub from: usize,
    pub to: usize,
    pub way: Way,
}

/// A network's nodes in the order of the forward pass, its blocks, and what flows between nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    pub nodes: Vec<GraphNode>,
    pub blocks: Vec<GraphBlock>,
    pub edges: Vec<GraphEdge>,
}

impl Graph {
    /// The node that a parameter belongs to.
    pub fn node_of(&self, param: usize) -> Option<usize> {
        self.nodes.iter().position(|node| node.params.contains(&param))
    }

    /// The nodes of a block, in the order of the forward pass.
    pub fn of_block(&self, block: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(move |&node| self.nodes[node].block == block)
    }

    /// How many layers have weights.
    pub fn layers(&self) -> usize {
        self.nodes.iter().filter(|node| node.kind == NodeKind::Layer).count()
    }
}

/// A graph that is being drawn.
#[derive(Debug, Default)]
pub struct Sketch(Graph);

impl Sketch {
    /// Begins a block of the way that pictures take: what follows is a part of it.
    pub fn block(&mut self, name: impl Into<String>, level: usize) {
        self.0.blocks.push(GraphBlock { name: name.into(), level, beside: false });
    }

    /// Begins a block that makes what stands beside the pictures.
    pub fn beside(&mut self, name: impl Into<String>) {
        self.0.blocks.push(GraphBlock { name: name.into(), level: 0, beside: true });
    }

    /// Something that comes in from outside.
    pub fn input(&mut self, name: &str) -> usize {
        self.node(NodeKind::Input, name, Vec::new())
    }

    /// A layer with the parameters of its parts, which reads what comes `from` nodes.
    pub fn layer(&mut self, parts: &[Vec<usize>], from: &[usize]) -> usize {
        let to = self.node(NodeKind::Layer, "", parts.concat());
        for &from in from {
            self.edge(from, to, Way::Next);
        }
        to
    }

    /// The sum of what layers made of a value and of the value itself.
    pub fn residual(&mut self, made: usize, value: usize) -> usize {
        self.two(NodeKind::Sum, "sum", made, (value, Way::Residual))
    }

    /// The sum of two values that layers made.
    pub fn sum(&mut self, a: usize, b: usize) -> usize {
        self.two(NodeKind::Sum, "sum", a, (b, Way::Next))
    }

    /// What comes up, beside what was made on the way down.
    pub fn skip(&mut self, up: usize, down: usize) -> usize {
        self.two(NodeKind::Join, "join", up, (down, Way::Skip))
    }

    /// Two values side by side.
    pub fn join(&mut self, a: usize, b: usize) -> usize {
        self.two(NodeKind::Join, "join", a, (b, Way::Next))
    }

    /// The graph, its layers named as their weights are in `layout`.
    pub fn finish(mut self, layout: &WeightLayout) -> Graph {
        for node in self.0.nodes.iter_mut().filter(|node| node.kind == NodeKind::Layer) {
            let size = |param: &usize| std::cmp::Reverse(layout.params[*param].n());
            node.params.sort_by_key(size);
            node.weights = node.params.iter().map(|&param| layout.params[param].n()).sum();
            node.called = node.params.iter().map(|&p| layout.params[p].name.clone()).collect();
            let name = node.called.first().map_or("", |name| name);
            node.name = name.strip_suffix(".weight").unwrap_or(name).into();
        }
        self.0
    }

    fn two(&mut self, kind: NodeKind, name: &str, a: usize, (b, way): (usize, Way)) -> usize {
        let to = self.node(kind, name, Vec::new());
        self.edge(a, to, Way::Next);
        self.edge(b, to, way);
        to
    }

    fn node(&mut self, kind: NodeKind, name: &str, params: Vec<usize>) -> usize {
        let block = self.0.blocks.len().saturating_sub(1);
        let (name, called, weights) = (name.into(), Vec::new(), 0);
        self.0.nodes.push(GraphNode { kind, name, params, called, weights, block });
        self.0.nodes.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, way: Way) {
        let beside = |node: usize| self.0.blocks[self.0.nodes[node].block].beside;
        let way = if beside(from) && !beside(to) { Way::Condition } else { way };
        self.0.edges.push(GraphEdge { from, to, way });
    }
}

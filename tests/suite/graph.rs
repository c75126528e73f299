//! Networks describe themselves as they are: no parameter is forgotten, and values flow forwards.

use std::collections::HashSet;

use salun_studio::models::imagenet::{DeepResnetConfig, EfficientNetConfig};
use salun_studio::models::latent::{LatentUnet, UnetConfig as LatentConfig};
use salun_studio::models::{
    AnyModel, Architecture, Graph, Network, NodeKind, ResnetConfig, SHIPPED, Sketch, SwinConfig,
    UnetConfig, Way, WeightLayout, registry,
};

fn resnet(width: usize) -> ResnetConfig {
    ResnetConfig { width, channels: 3, classes: 10, mean: vec![0.5; 3], std: vec![0.5; 3] }
}

fn deep(blocks: [usize; 4], bottleneck: bool) -> Architecture {
    Architecture::DeepResnet(DeepResnetConfig {
        width: 64,
        blocks: blocks.to_vec(),
        bottleneck,
        channels: 3,
        classes: 1000,
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
    })
}

fn unet(mult: Vec<usize>, res_blocks: usize) -> Architecture {
    Architecture::Unet(UnetConfig {
        ch: 32,
        mult,
        res_blocks,
        attention: vec![16],
        groups: 8,
        dropout: 0.0,
        channels: 3,
        resolution: 32,
        classes: 10,
    })
}

fn swin() -> Architecture {
    Architecture::Swin(SwinConfig {
        embed: 96,
        depths: vec![2, 2, 6, 2],
        heads: vec![3, 6, 12, 24],
        patch: 2,
        window: 4,
        drop_path: 0.2,
        channels: 3,
        classes: 10,
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
    })
}

fn drawn(architecture: &Architecture) -> (Graph, WeightLayout) {
    let (network, layout) = architecture.build();
    let mut sketch = Sketch::default();
    network.sketch(&mut sketch);
    (sketch.finish(&layout), WeightLayout::clone(&layout))
}

/// Stable Diffusion 1.x's U-Net, or 2.x's, in their own configs' words.
fn stable(linear: bool) -> (Graph, WeightLayout) {
    let cross = ["CrossAttnDownBlock2D"; 3];
    let up = ["CrossAttnUpBlock2D"; 3];
    let config: LatentConfig = serde_json::from_value(serde_json::json!({
        "sample_size": 64, "in_channels": 4, "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": [cross[0], cross[1], cross[2], "DownBlock2D"],
        "up_block_types": ["UpBlock2D", up[0], up[1], up[2]],
        "layers_per_block": 2, "cross_attention_dim": 768, "attention_head_dim": 8,
        "norm_num_groups": 32, "norm_eps": 1e-5, "transformer_layers_per_block": if linear { 2 } else { 1 },
        "use_linear_projection": linear, "downsample_padding": 1,
        "flip_sin_to_cos": true, "freq_shift": 0.0
    }))
    .unwrap();
    let mut layout = WeightLayout::default();
    let net = LatentUnet::new(config, layout.root());
    let mut sketch = Sketch::default();
    net.sketch(&mut sketch);
    (sketch.finish(&layout), layout)
}

/// Every architecture that there is, in several sizes.
fn all() -> Vec<(&'static str, Graph, WeightLayout)> {
    let architectures = [
        ("resnet", Architecture::Resnet(resnet(16))),
        ("vgg", Architecture::Vgg(resnet(64))),
        ("swin", swin()),
        ("resnet-18", deep([2, 2, 2, 2], false)),
        ("resnet-50", deep([3, 4, 6, 3], true)),
        ("efficientnet", Architecture::Efficientnet(EfficientNetConfig::new(3, 1000))),
        ("ddpm", unet(vec![1, 2, 2], 1)),
        ("ddpm-cifar", unet(vec![1, 2, 2, 2], 2)),
    ];
    let of = |(name, architecture): &(&'static str, Architecture)| {
        let (graph, layout) = drawn(architecture);
        (*name, graph, layout)
    };
    let mut all: Vec<_> = architectures.iter().map(of).collect();
    for (name, linear) in [("stable-diffusion-1", false), ("stable-diffusion-2", true)] {
        let (graph, layout) = stable(linear);
        all.push((name, graph, layout));
    }
    all
}

/// How many values flow in a way.
fn count(graph: &Graph, way: Way) -> usize {
    graph.edges.iter().filter(|edge| edge.way == way).count()
}

#[test]
fn every_parameter_of_every_architecture_is_in_one_layer_of_its_drawing() {
    for (name, graph, layout) in all() {
        let mut found: Vec<usize> = graph.nodes.iter().flat_map(|n| n.params.clone()).collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..layout.params.len()), "{name}");
        let weights: usize = graph.nodes.iter().map(|node| node.weights).sum();
        assert_eq!(weights, layout.n(), "{name}");
        for (at, node) in graph.nodes.iter().enumerate() {
            assert_eq!(node.kind == NodeKind::Layer, !node.params.is_empty(), "{name}: {node:?}");
            let sizes: Vec<usize> = node.params.iter().map(|&p| layout.params[p].n()).collect();
            assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{name}: {node:?}");
            if let Some(&first) = node.params.first() {
                assert!(layout.params[first].name.starts_with(&node.name), "{name}: {node:?}");
                assert_eq!(graph.node_of(first), Some(at));
            }
        }
    }
}

#[test]
fn values_flow_forwards_from_inputs_to_one_output() {
    for (name, graph, _) in all() {
        let ends: HashSet<(usize, usize)> = graph.edges.iter().map(|e| (e.from, e.to)).collect();
        assert_eq!(ends.len(), graph.edges.len(), "{name}: no value flows twice");
        assert!(graph.edges.iter().all(|edge| edge.from < edge.to), "{name}");
        let last = graph.nodes.len() - 1;
        for (at, node) in graph.nodes.iter().enumerate() {
            let comes = graph.edges.iter().filter(|edge| edge.to == at).count();
            let goes = graph.edges.iter().filter(|edge| edge.from == at).count();
            assert_eq!(comes == 0, node.kind == NodeKind::Input, "{name}: {node:?}");
            assert_eq!(goes == 0, at == last, "{name}: {node:?}");
            let two = matches!(node.kind, NodeKind::Sum | NodeKind::Join);
            assert!(!two || comes == 2, "{name}: {node:?}");
        }
        for block in 0..graph.blocks.len() {
            assert!(graph.of_block(block).next().is_some(), "{name}: {:?}", graph.blocks[block]);
        }
    }
}

#[test]
fn shortcuts_and_skips_are_those_of_the_papers() {
    let of = |wanted: &str| {
        let found = all().into_iter().find(|(name, ..)| *name == wanted);
        found.map(|(_, graph, _)| graph).unwrap()
    };
    // He et al. 2016: eight blocks of two, or sixteen of three; 20 convolutions and the head.
    assert_eq!((of("resnet").layers(), count(&of("resnet"), Way::Residual)), (21, 8));
    assert_eq!((of("resnet-50").layers(), count(&of("resnet-50"), Way::Residual)), (54, 16));
    assert_eq!((of("vgg").layers(), count(&of("vgg"), Way::Residual)), (14, 0));
    // Liu et al. 2021: two shortcuts in each of twelve blocks.
    assert_eq!(count(&of("swin"), Way::Residual), 24);
    // Ho et al. 2020: what conv_in, every block and every halving made is taken up again.
    assert_eq!(count(&of("ddpm"), Way::Skip), 1 + 3 + 2);
    assert_eq!(count(&of("ddpm-cifar"), Way::Skip), 1 + 2 * 4 + 3);
    // Rombach et al. 2022: sixteen transformers read the prompt, by keys and values, 22 blocks the time.
    let stable = of("stable-diffusion-1");
    assert_eq!(count(&stable, Way::Skip), 12);
    assert_eq!(count(&stable, Way::Condition), 2 * 16 + 22);
    assert_eq!(count(&stable, Way::Residual), 22 + 16 * 4);
    assert_eq!(count(&of("stable-diffusion-2"), Way::Condition), 2 * 2 * 16 + 22);
    // The way down, the bottom, the way up.
    let levels: Vec<usize> =
        stable.blocks.iter().filter(|block| !block.beside).map(|block| block.level).collect();
    let bottom = levels.iter().position(|level| *level == 3).unwrap();
    assert!(levels[..=bottom].windows(2).all(|pair| pair[0] <= pair[1]));
    let up = levels.iter().rposition(|level| *level == 3).unwrap();
    assert!(levels[up..].windows(2).all(|pair| pair[0] >= pair[1]) && levels.last() == Some(&0));
}

#[test]
fn shipped_models_are_drawn_with_all_their_weights() {
    for shipped in SHIPPED {
        let any = match registry::is_latent(shipped.name) {
            true => AnyModel::Latent(registry::open_latent(shipped.name).unwrap().into()),
            false => AnyModel::Plain(shipped.open().unwrap().into()),
        };
        let weights: usize = any.graph().nodes.iter().map(|node| node.weights).sum();
        assert_eq!(weights, any.weights().values.len(), "{}", shipped.name);
        if let Some(model) = any.plain() {
            assert!(matches!(&*model.network, Network::Classifier(_) | Network::Unet(_)));
        }
    }
}

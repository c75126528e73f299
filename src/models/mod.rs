//! The networks, their weights, and how both are stored.

mod activations;
mod attention;
mod bits;
mod blocks;
mod card;
pub mod checkpoint;
mod classifier;
pub mod clip;
pub mod delta;
mod embedding;
#[cfg(not(target_arch = "wasm32"))]
pub mod fetched;
mod flat;
mod graph;
pub mod imagenet;
mod in_file;
pub mod latent;
mod layers;
mod levels;
pub mod registry;
mod resnet;
pub mod said;
pub mod stream;
pub mod swin;
mod tape;
pub mod tensors;
pub mod torch;
mod unet;
mod vgg;
pub mod weights;

pub use activations::Activations;
pub use attention::{Attention, AttentionNames};
pub use bits::Bits;
pub use blocks::{Attends, TransformerShape};
pub use card::{Assumed, Card, Training, Unlearned, one_or_several};
pub use checkpoint::{Owned, Precision};
pub use classifier::Classifier;
pub use embedding::{Mlp, Sinusoid};
pub use flat::Flat;
pub use graph::{Graph, GraphBlock, GraphEdge, GraphNode, NodeKind, Sketch, Way};
pub use in_file::{InFile, Source};
pub use layers::{Conv, GroupNorm, Groups, LayerNorm, Linear, Mode, Pass};
pub use levels::{Beside, DIFFUSERS, OfLevel, Style, Trunk};
pub use registry::{SHIPPED, Shipped, open_latent, shipped};
pub use resnet::ResnetConfig;
pub use said::{Lora, Normalise, Said};
pub use swin::SwinConfig;
pub use tape::Tape;
pub use tensors::{Format, Stored, Tensors};
pub use unet::{Unet, UnetConfig};
pub use vgg::VggConfig;
pub use weights::{HostWeights, Init, Scope, WeightEntry, WeightLayout, Weights, read_all};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::words::Task;
use imagenet::{DeepResnet, DeepResnetConfig, EfficientNet, EfficientNetConfig};
use latent::LatentModel;
use resnet::Resnet;
use swin::Swin;
use vgg::Vgg;

/// The shape of a network, as stored with its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Architecture {
    Resnet(ResnetConfig),
    Vgg(VggConfig),
    Swin(SwinConfig),
    /// For ImageNet, as torchvision has it.
    DeepResnet(DeepResnetConfig),
    /// EfficientNet-lite0.
    Efficientnet(EfficientNetConfig),
    Unet(UnetConfig),
}

/// A network without its weights.
#[derive(Debug, Clone)]
pub enum Network {
    Classifier(Arc<dyn Classifier>),
    Unet(Box<Unet>),
}

impl Network {
    /// Draws what it does with a picture.
    pub fn sketch(&self, to: &mut Sketch) {
        match self {
            Self::Classifier(net) => net.sketch(to),
            Self::Unet(net) => net.sketch(to),
        }
    }
}

impl Architecture {
    /// What a network of this shape does.
    pub fn task(&self) -> Task {
        match self {
            Self::Unet(_) => Task::Generate,
            _ => Task::Classify,
        }
    }

    /// Colour channels of its pictures, and classes.
    pub fn channels_and_classes(&self) -> [usize; 2] {
        match self {
            Self::Resnet(c) | Self::Vgg(c) => [c.channels, c.classes],
            Self::Swin(c) => [c.channels, c.classes],
            Self::DeepResnet(c) => [c.channels, c.classes],
            Self::Efficientnet(c) => [c.channels, c.classes],
            Self::Unet(c) => [c.channels, c.classes],
        }
    }

    /// Mean and deviation of each channel; a U-Net has none.
    pub fn statistics(&self) -> Option<[&[f32]; 2]> {
        match self {
            Self::Resnet(c) | Self::Vgg(c) => Some([&c.mean, &c.std]),
            Self::Swin(c) => Some([&c.mean, &c.std]),
            Self::DeepResnet(c) => Some([&c.mean, &c.std]),
            Self::Efficientnet(c) => Some([&c.mean, &c.std]),
            Self::Unet(_) => None,
        }
    }

    /// Whether it normalises a batch by what is in it while it learns.
    pub fn batch_norm(&self) -> bool {
        !matches!(self, Self::Swin(_) | Self::Unet(_))
    }

    /// Side of the pictures that it looks at, where it was made for those of ImageNet, whose mean and deviation
    /// it then expects; any other looks at what it was trained on.
    pub fn side(&self) -> Option<usize> {
        matches!(self, Self::DeepResnet(_) | Self::Efficientnet(_)).then_some(imagenet::SIDE)
    }

    /// The same with another mean and deviation of each channel.
    pub fn with_statistics(mut self, mean: Vec<f32>, std: Vec<f32>) -> Self {
        match &mut self {
            Self::Resnet(c) | Self::Vgg(c) => (c.mean, c.std) = (mean, std),
            Self::Swin(c) => (c.mean, c.std) = (mean, std),
            Self::DeepResnet(c) => (c.mean, c.std) = (mean, std),
            Self::Efficientnet(c) => (c.mean, c.std) = (mean, std),
            Self::Unet(_) => {}
        }
        self
    }

    /// The same with another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        match &mut self {
            Self::Resnet(c) | Self::Vgg(c) => c.classes = classes,
            Self::Swin(c) => c.classes = classes,
            Self::DeepResnet(c) => c.classes = classes,
            Self::Efficientnet(c) => c.classes = classes,
            Self::Unet(c) => c.classes = classes,
        }
        self
    }

    /// Builds the network and the layout of its weights.
    pub fn build(&self) -> (Network, Arc<WeightLayout>) {
        let mut layout = WeightLayout::default();
        let at = layout.root();
        let network = match self {
            Self::Resnet(c) => Network::Classifier(Arc::new(Resnet::new(c.clone(), at))),
            Self::Vgg(c) => Network::Classifier(Arc::new(Vgg::new(c.clone(), at))),
            Self::Swin(c) => Network::Classifier(Arc::new(Swin::new(c.clone(), at))),
            Self::DeepResnet(c) => Network::Classifier(Arc::new(DeepResnet::new(c.clone(), at))),
            Self::Efficientnet(c) => {
                Network::Classifier(Arc::new(EfficientNet::new(c.clone(), at)))
            }
            Self::Unet(c) => Network::Unet(Box::new(Unet::new(c.clone(), at))),
        };
        (network, Arc::new(layout))
    }
}

/// A network, its weights, and the card that says where they come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredModel")]
pub struct Model {
    pub card: Card,
    #[serde(skip_serializing)]
    pub network: Arc<Network>,
    pub weights: HostWeights,
}

/// A model of any task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AnyModel {
    Plain(Arc<Model>),
    Latent(Arc<LatentModel>),
}

impl AnyModel {
    /// A classifier or a class-conditional diffusion model.
    pub fn plain(&self) -> Option<&Arc<Model>> {
        match self {
            Self::Plain(model) => Some(model),
            Self::Latent(_) => None,
        }
    }

    /// A text-to-image model.
    pub fn latent(&self) -> Option<&Arc<LatentModel>> {
        match self {
            Self::Latent(model) => Some(model),
            Self::Plain(_) => None,
        }
    }

    /// What it does.
    pub fn task(&self) -> Task {
        self.plain().map_or(Task::TextToImage, |model| model.card.architecture.task())
    }

    /// The data that it was trained on.
    pub fn data(&self) -> &str {
        match self {
            Self::Plain(model) => &model.card.data,
            Self::Latent(model) => model.data(),
        }
    }

    /// The weights that a mask covers.
    pub fn weights(&self) -> &HostWeights {
        match self {
            Self::Plain(model) => &model.weights,
            Self::Latent(model) => &model.unet,
        }
    }

    /// The network of the weights that a mask covers, to be drawn.
    pub fn graph(&self) -> Graph {
        let mut sketch = Sketch::default();
        match self {
            Self::Plain(model) => model.network.sketch(&mut sketch),
            Self::Latent(model) => model.network.unet.sketch(&mut sketch),
        }
        sketch.finish(&self.weights().layout)
    }

    /// What its classes are called; a text-to-image model has prompts instead.
    pub fn classes(&self) -> &[String] {
        self.plain().map_or(&[], |model| &model.card.classes)
    }
}

/// A model without its network, which the card describes.
#[derive(Deserialize)]
struct StoredModel {
    card: Card,
    weights: HostWeights,
}

impl From<StoredModel> for Model {
    fn from(StoredModel { card, weights }: StoredModel) -> Self {
        let network = Arc::new(card.architecture.build().0);
        Self { card, network, weights }
    }
}

impl Model {
    /// The classifier's network.
    pub fn classifier(&self) -> Option<&dyn Classifier> {
        match &*self.network {
            Network::Classifier(net) => Some(&**net),
            Network::Unet(_) => None,
        }
    }

    /// The diffusion model's network.
    pub fn unet(&self) -> Option<&Unet> {
        match &*self.network {
            Network::Unet(net) => Some(net),
            Network::Classifier(_) => None,
        }
    }
}

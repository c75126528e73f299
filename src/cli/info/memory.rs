//! `salun info --model M`: what a model's jobs take in memory.

use serde_json::json;

use super::{Args, Common, print};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::{DeviceKind, device};
use salun_studio::models::registry;
use salun_studio::platform;
use salun_studio::unlearn::need::{Held, Memory, Need, Updates};
use salun_studio::unlearn::{Plan, Scope};
use salun_studio::words::{Recipe, gib, grouped};

/// Runs the command for a model.
pub fn run(model: &str, args: &Args, common: &Common) -> Result<()> {
    if !registry::is_latent(model) {
        return plain(model);
    }
    let chosen = device::open(common.device)?.info;
    let network = registry::latent_network_within(model, None)?;
    // Of any prompt: nothing here depends on it.
    let any = Recipe::new(model, "emoji", "prompt:a cat");
    let recipe = Recipe { batch: args.batch, budget: args.budget, ..any };
    let recipe = Recipe { density: args.density.unwrap_or(recipe.density), ..recipe };
    let plan = Plan::new(&recipe, Scope::of_prompts([0, 0]))?;
    let updates = Updates::of(&plan, &recipe);
    let memory = Memory { network: &network, cpu: chosen.kind == DeviceKind::Cpu };
    let needs = memory.jobs(&updates);
    let free = platform::free_memory();
    let fits = free.map(|there| memory.fitting(&updates, there));
    let refused = fits.as_ref().and_then(|fits| fits.as_ref().err()).map(Error::to_string);
    let weights = network.layouts.each_ref().map(|layout| layout.n());
    let need = |need: &Need| {
        json!({
            "job": need.job, "host": need.host(), "device": need.device(), "held": need.held,
        })
    };
    print::json(&json!({
        "model": model, "weights": weights, "device": chosen, "batch": updates.batch,
        "density": updates.density, "free": free, "refused": refused,
        "memory": needs.iter().map(need).collect::<Vec<_>>(),
    }))?;
    let [text, unet, vae] = weights.map(grouped);
    print::line(format!("Weights: text encoder {text}, U-Net {unet}, autoencoder {vae}"));
    print::line(format!("Device:  {}", print::device(&chosen)));
    print::line(format!(
        "Memory in GiB, at its height, with SalUn in batches of {} and density {}:\n\n{}",
        updates.batch,
        updates.density,
        table(&needs, memory.cpu)
    ));
    match (free, refused) {
        (_, Some(refused)) => print::line(format!("\nDoes not fit here: {refused}")),
        (Some(free), None) => {
            print::line(format!("\nFits here: {:.1} GiB of main memory are free", gib(free)));
        }
        (None, None) => {}
    }
    Ok(())
}

/// A row for each job, of main memory and of a GPU.
fn table(needs: &[Need], cpu: bool) -> String {
    type Of = [(fn(&Need) -> u64, fn(&Held) -> u64, &'static str); 2];
    let sides: Of =
        [(Need::host, |held| held.host, "main memory"), (Need::device, |held| held.device, "GPU")];
    let sides = &sides[..if cpu { 1 } else { 2 }];
    let rows = needs.iter().flat_map(|need| {
        sides.iter().map(|(whole, of, side)| {
            let job = format!("to {}", need.job);
            [job, side.to_string(), format!("{:.2}", gib(whole(need))), need.listed(of)]
        })
    });
    print::columns(&["", "where", "GiB", "of which"], rows)
}

/// A model of classes: its weights alone.
fn plain(model: &str) -> Result<()> {
    let open = registry::open(model)?;
    let n = open.weights.layout.n() + open.weights.layout.n_buffers();
    let task = open.card.architecture.task().name();
    print::json(&json!({ "model": model, "task": task, "weights": n, "bytes": 4 * n }))?;
    let mib = 4.0 * n as f64 / f64::from(1 << 20);
    print::line(format!("{model}: {task}, {} weights, {mib:.1} MiB", grouped(n)));
    Ok(())
}

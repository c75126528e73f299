// One update of SGD with momentum and weight decay under a mask: g += wd θ; v = μ v + g; θ -= lr v
// (PyTorch's SGD). A frozen weight is copied as bits, so they stay, and its velocity is 0.
//
// 0 weights    f32 bits, before
// 1 gradient   f32
// 2 updated    f32 bits, the weights after
// 3 velocity   f32, before; updated in place
// 4 mask       a bit a weight of the whole network, set where it may change
// 5 step       constants of this update
struct Step {
    // Position of the first value in the whole network, and how many.
    start: u32,
    n: u32,
    lr: f32,
    momentum: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<storage, read_write> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> updated: array<u32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<uniform> step: Step;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < step.n; i += groups.x * 256u) {
        let at = step.start + i;
        if ((mask[at / 32u] >> (at % 32u)) & 1u) == 0u {
            velocity[i] = 0.0;
            updated[i] = weights[i];
        } else {
            let theta = bitcast<f32>(weights[i]);
            let v = step.momentum * velocity[i] + gradient[i] + step.weight_decay * theta;
            velocity[i] = v;
            updated[i] = bitcast<u32>(theta - step.lr * v);
        }
    }
}

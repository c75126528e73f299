// One update of Adam (Kingma and Ba 2015, algorithm 1) under a mask. A frozen weight is copied as
// bits, so they stay, and its moments are 0.
//
// 0 weights    f32 bits, before
// 1 gradient   f32
// 2 updated    f32 bits, the weights after
// 3 first      f32, first moments; updated in place
// 4 second     f32, second moments; updated in place
// 5 mask       a bit a weight of the whole network, set where it may change
// 6 step       constants of this update
struct Step {
    // Position of the first value in the whole network, and how many.
    start: u32,
    n: u32,
    // lr / (1 - beta1^t)
    lr: f32,
    beta1: f32,
    beta2: f32,
    // 1 / (1 - beta2^t)
    unbias: f32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read_write> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> updated: array<u32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<uniform> step: Step;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < step.n; i += groups.x * 256u) {
        let at = step.start + i;
        if ((mask[at / 32u] >> (at % 32u)) & 1u) == 0u {
            first[i] = 0.0;
            second[i] = 0.0;
            updated[i] = weights[i];
        } else {
            let g = gradient[i];
            let m = step.beta1 * first[i] + (1.0 - step.beta1) * g;
            let v = step.beta2 * second[i] + (1.0 - step.beta2) * g * g;
            first[i] = m;
            second[i] = v;
            let theta = bitcast<f32>(weights[i]);
            updated[i] = bitcast<u32>(theta - step.lr * m / (sqrt(v * step.unbias) + step.eps));
        }
    }
}

// The proximal step of SalUn-soft: what a weight moved is drawn back by lambda, and what moved less
// is the original's very bits (soft thresholding about the original).
//
// 0 weights    f32 bits, before
// 1 original   f32 bits
// 2 updated    f32 bits, the weights after
// 3 prox       how many values, and lambda
struct Prox {
    n: u32,
    lambda: f32,
}

@group(0) @binding(0) var<storage, read_write> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> original: array<u32>;
@group(0) @binding(2) var<storage, read_write> updated: array<u32>;
@group(0) @binding(3) var<uniform> prox: Prox;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < prox.n; i += groups.x * 256u) {
        let theta = bitcast<f32>(weights[i]);
        let moved = theta - bitcast<f32>(original[i]);
        if abs(moved) <= prox.lambda {
            updated[i] = original[i];
        } else {
            updated[i] = bitcast<u32>(theta - sign(moved) * prox.lambda);
        }
    }
}

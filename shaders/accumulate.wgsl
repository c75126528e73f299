// Saliency scores: sums signed gradients, and makes scores of the sum (SalUn eq. 3).
//
// 0 sum        f32, the running sum; after `finish` its absolute values
// 1 gradient   f32
// 2 part       how many values
struct Part {
    start: u32,
    n: u32,
}

@group(0) @binding(0) var<storage, read_write> sum: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<uniform> part: Part;

@compute @workgroup_size(256)
fn add(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < part.n; i += groups.x * 256u) {
        sum[i] += gradient[i];
    }
}

@compute @workgroup_size(256)
fn finish(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < part.n; i += groups.x * 256u) {
        sum[i] = abs(sum[i] + gradient[i]);
    }
}

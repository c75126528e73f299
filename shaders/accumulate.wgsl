// Saliency scores: sums signed gradients, and makes scores of the sum (SalUn eq. 3).
//
// 0 sum        f32, the running sum; after the last gradient its absolute values
// 1 gradient   f32
// 2 part       how many values, and whether this is the last gradient
struct Part {
    n: u32,
    last: u32,
}

@group(0) @binding(0) var<storage, read_write> sum: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<uniform> part: Part;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < part.n; i += groups.x * 256u) {
        let total = sum[i] + gradient[i];
        sum[i] = select(total, abs(total), part.last == 1u);
    }
}

// Statistics of the scores of one layer in one pass: a histogram over the exponent and the first
// four bits of the mantissa, which answers "how many are kept" for any threshold, and the largest.
//
// 0 scores     f32 bits of non-negative values, this part of the layer
// 1 counts     4096 counts, zero before the first part
// 2 largest    bits of the largest value, zero before the first part
// 3 part       how many values
struct Part {
    start: u32,
    n: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> largest: atomic<u32>;
@group(0) @binding(3) var<uniform> part: Part;

const LANES = 256u;

// 16 KiB, the least that a device must offer: no other workgroup memory here.
var<workgroup> own: array<atomic<u32>, 4096>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var bin = lane; bin < 4096u; bin += LANES) {
        atomicStore(&own[bin], 0u);
    }
    workgroupBarrier();
    var most = 0u;
    for (var i = group.x * LANES + lane; i < part.n; i += groups.x * LANES) {
        let bits = scores[i];
        most = max(most, bits);
        atomicAdd(&own[min(bits >> 19u, 4095u)], 1u);
    }
    atomicMax(&largest, most);
    workgroupBarrier();
    for (var bin = lane; bin < 4096u; bin += LANES) {
        let count = atomicLoad(&own[bin]);
        if count > 0u {
            atomicAdd(&counts[bin], count);
        }
    }
}

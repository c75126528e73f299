// The scores of one layer in one pass: a histogram over the exponent and the first four bits of the
// mantissa, which answers "how many are kept" for any threshold.
//
// 0 scores     f32 bits of non-negative values, a part of all
// 1 counts     4096 counts of every layer, zero before the first part
// 2 part       where the layer's values lie in this part, and which layer it is
struct Part {
    start: u32,
    end: u32,
    layer: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> part: Part;

const LANES = 256u;
const BINS = 4096u;

// 16 KiB, the least that a device must offer: no other workgroup memory here.
var<workgroup> own: array<atomic<u32>, 4096>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var bin = lane; bin < BINS; bin += LANES) {
        atomicStore(&own[bin], 0u);
    }
    workgroupBarrier();
    for (var i = part.start + group.x * LANES + lane; i < part.end; i += groups.x * LANES) {
        atomicAdd(&own[min(scores[i] >> 19u, BINS - 1u)], 1u);
    }
    workgroupBarrier();
    for (var bin = lane; bin < BINS; bin += LANES) {
        let count = atomicLoad(&own[bin]);
        if count > 0u {
            atomicAdd(&counts[part.layer * BINS + bin], count);
        }
    }
}

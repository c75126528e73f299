// Selection of the k largest, part 1: counts values by the next bits below the prefix that is
// already known. Called once for each of three digits (11, 11 and 10 bits), from the highest.
//
// The bit pattern of a non-negative float grows with its value, so digits of bits order values.
// A value that is negative, infinite or not a number is reported by its position.
//
// 0 scores     f32 bits, this part of the vector
// 1 counts     2048 counts, zero before the first part
// 2 state      what is known of the threshold
// 3 part       where this part lies
struct State {
    // Bits of the k-th largest value found so far, and which bits those are.
    prefix: u32,
    known: u32,
    // How many values of the prefix's bin are selected.
    left: u32,
    // Lowest bit of the digit that is counted now, and its largest value.
    shift: u32,
    digit: u32,
    // Position of the first bad value.
    bad: atomic<u32>,
}

struct Part {
    start: u32,
    n: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> state: State;
@group(0) @binding(3) var<uniform> part: Part;

const LANES = 256u;
const INFINITE = 0x7f800000u;

var<workgroup> own: array<atomic<u32>, 2048>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var bin = lane; bin < 2048u; bin += LANES) {
        atomicStore(&own[bin], 0u);
    }
    workgroupBarrier();
    let known = state.known;
    let prefix = state.prefix;
    for (var i = group.x * LANES + lane; i < part.n; i += groups.x * LANES) {
        let bits = scores[i];
        if bits >= INFINITE {
            atomicMin(&state.bad, part.start + i);
        }
        if (bits & known) == prefix {
            atomicAdd(&own[(bits >> state.shift) & state.digit], 1u);
        }
    }
    workgroupBarrier();
    for (var bin = lane; bin < 2048u; bin += LANES) {
        let count = atomicLoad(&own[bin]);
        if count > 0u {
            atomicAdd(&counts[bin], count);
        }
    }
}

// Selection of the k largest, part 3: how many values of each block of 8192 equal the threshold.
//
// 0 scores     f32 bits, this part of the vector
// 1 ties       a count for each block of the whole vector
// 2 state      the threshold
// 3 part       where this part lies; it starts at a block
struct State {
    prefix: u32,
    known: u32,
    left: u32,
    shift: u32,
    digit: u32,
    bad: u32,
}

struct Part {
    start: u32,
    n: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read_write> ties: array<u32>;
@group(0) @binding(2) var<storage, read> state: State;
@group(0) @binding(3) var<uniform> part: Part;

const LANES = 256u;
const BLOCK = 8192u;

var<workgroup> total: atomic<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let threshold = state.prefix;
    let start = group.x * BLOCK;
    let end = min(start + BLOCK, part.n);
    var own = 0u;
    for (var i = start + lane; i < end; i += LANES) {
        own += select(0u, 1u, scores[i] == threshold);
    }
    if own > 0u {
        atomicAdd(&total, own);
    }
    workgroupBarrier();
    if lane == 0u {
        ties[part.start / BLOCK + group.x] = atomicLoad(&total);
    }
}

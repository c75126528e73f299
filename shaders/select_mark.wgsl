// Selection of the k largest, part 5: one bit a weight, set above the threshold and for as many of
// its equals as are left, by position. Exactly k bits are set.
//
// 0 scores     f32 bits, this part of the vector
// 1 ties       values equal to the threshold before each block of 8192 of the whole vector
// 2 state      the threshold
// 3 mask       bits of the whole vector, the lowest bit of a word first
// 4 part       where this part lies; it starts at a block
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
@group(0) @binding(1) var<storage, read> ties: array<u32>;
@group(0) @binding(2) var<storage, read> state: State;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;
@group(0) @binding(4) var<uniform> part: Part;

const LANES = 256u;
const BLOCK = 8192u;

var<workgroup> above: array<atomic<u32>, 256>;
var<workgroup> equal: array<atomic<u32>, 256>;
var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let threshold = state.prefix;
    let start = group.x * BLOCK;
    let end = min(start + BLOCK, part.n);
    // Neighbouring lanes read neighbouring values; words gather in workgroup memory.
    for (var i = start + lane; i < end; i += LANES) {
        let bits = scores[i];
        let word = (i - start) / 32u;
        let bit = 1u << (i % 32u);
        if bits > threshold {
            atomicOr(&above[word], bit);
        } else if bits == threshold {
            atomicOr(&equal[word], bit);
        }
    }
    workgroupBarrier();
    // One word a lane; ties before it by sums over the lanes.
    var tied = atomicLoad(&equal[lane]);
    let own = countOneBits(tied);
    sums[lane] = own;
    workgroupBarrier();
    for (var step = 1u; step < LANES; step *= 2u) {
        var left = 0u;
        if lane >= step {
            left = sums[lane - step];
        }
        workgroupBarrier();
        sums[lane] += left;
        workgroupBarrier();
    }
    let before = ties[part.start / BLOCK + group.x] + sums[lane] - own;
    let room = state.left - min(state.left, before);
    if room < own {
        // The lowest `room` of the set bits.
        var rest = tied;
        for (var i = 0u; i < room; i += 1u) {
            rest &= rest - 1u;
        }
        tied ^= rest;
    }
    if start + lane * 32u < end {
        mask[(part.start + start) / 32u + lane] = atomicLoad(&above[lane]) | tied;
    }
}

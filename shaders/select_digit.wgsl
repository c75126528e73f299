// Selection of the k largest, part 2: finds the bin that holds the k-th largest value, adds its
// digit to the prefix and clears the counts for the next digit. One workgroup.
//
// 0 counts     2048 counts of select_histogram
// 1 state      what is known of the threshold
struct State {
    prefix: u32,
    known: u32,
    left: u32,
    shift: u32,
    digit: u32,
    bad: u32,
}

@group(0) @binding(0) var<storage, read_write> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: State;

// Each lane owns eight bins; bins are looked at from the highest.
const LANES = 256u;
const EACH = 8u;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let left = state.left;
    let shift = state.shift;
    let first = 2047u - lane * EACH;
    var own = 0u;
    for (var i = 0u; i < EACH; i += 1u) {
        own += counts[first - i];
    }
    // Inclusive sums over the lanes before and this one.
    sums[lane] = own;
    storageBarrier();
    workgroupBarrier();
    for (var step = 1u; step < LANES; step *= 2u) {
        var before = 0u;
        if lane >= step {
            before = sums[lane - step];
        }
        workgroupBarrier();
        sums[lane] += before;
        workgroupBarrier();
    }
    var above = sums[lane] - own;
    if above < left && left <= sums[lane] {
        for (var i = 0u; i < EACH; i += 1u) {
            let bin = first - i;
            let count = counts[bin];
            if left <= above + count {
                state.prefix |= bin << shift;
                state.known |= state.digit << shift;
                state.left = left - above;
                break;
            }
            above += count;
        }
        if shift == 21u {
            state.shift = 10u;
        } else {
            state.shift = 0u;
            state.digit = 1023u;
        }
    }
    for (var i = 0u; i < EACH; i += 1u) {
        counts[first - i] = 0u;
    }
}

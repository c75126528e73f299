// Selection of the k largest, part 4: ties of each block become the ties before that block.
// One workgroup walks over all blocks, 256 at a time.
//
// 0 ties       a count for each block, then the sum of the counts before it
@group(0) @binding(0) var<storage, read_write> ties: array<u32>;

const LANES = 256u;

var<workgroup> sums: array<u32, 256>;
var<workgroup> before: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let n = arrayLength(&ties);
    for (var start = 0u; start < n; start += LANES) {
        let at = start + lane;
        var own = 0u;
        if at < n {
            own = ties[at];
        }
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
        if at < n {
            ties[at] = before + sums[lane] - own;
        }
        workgroupBarrier();
        if lane == 0u {
            before += sums[LANES - 1u];
        }
        workgroupBarrier();
    }
}

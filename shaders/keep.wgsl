// Dropout's mask: each value is 1 / keep with probability keep, else 0. A value's place in a stream
// decides, so that every device draws the same (pcg of Jarzynski and Olano, Hash Functions for GPU
// Rendering, 2020).
//
// 0 mask     f32
// 1 draw     which values of which stream
struct Draw {
    // Place in the stream of the first value, and how many values.
    start: u32,
    n: u32,
    stream: u32,
    // Numbers below this one are kept.
    below: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> mask: array<f32>;
@group(0) @binding(1) var<uniform> draw: Draw;

fn pcg(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var i = id.x; i < draw.n; i += groups.x * 256u) {
        let kept = pcg(pcg(draw.start + i) ^ draw.stream) < draw.below;
        mask[i] = select(0.0, draw.scale, kept);
    }
}

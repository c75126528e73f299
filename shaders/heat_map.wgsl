// The heat map of a layer, a texel a weight: brightness by the logarithm of the score within four
// powers of ten of the layer's largest; frozen weights are grey, the others coloured.
//
// 0 scores     f32 bits of non-negative values, a part of all that holds the layer
// 1 view       which scores, how they are laid out, and what is kept
// 2 texels     columns `left` and on of the map
struct View {
    // Place of the layer's first score here, and its position among all N.
    first: u32,
    position: u32,
    // Scores in a row of the map, and the column of the first texel.
    width: u32,
    left: u32,
    // Bits of the smallest kept score; scores with just these bits are kept before `ties_end`.
    threshold: u32,
    ties_end: u32,
    // Base-10 logarithm of the largest score.
    top: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<uniform> view: View;
@group(0) @binding(2) var texels: texture_storage_2d<rgba8unorm, write>;

const LEAST = 1.17549435e-38;
const LOG10_2 = 0.30102999566;

// Dark red over orange to pale yellow, as `ember` in src/saliency/picture.rs.
fn ember(share: f32) -> vec3<f32> {
    let a = vec3(70.0, 16.0, 60.0);
    let b = vec3(180.0, 45.0, 60.0);
    let c = vec3(245.0, 140.0, 40.0);
    let d = vec3(252.0, 245.0, 180.0);
    let at = share * 3.0;
    if at < 1.0 {
        return mix(a, b, at);
    }
    if at < 2.0 {
        return mix(b, c, at - 1.0);
    }
    return mix(c, d, at - 2.0);
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let size = textureDimensions(texels);
    for (var i = id.x; i < size.x * size.y; i += groups.x * 256u) {
        let texel = vec2(i % size.x, i / size.x);
        let at = texel.y * view.width + view.left + texel.x;
        let bits = scores[view.first + at];
        let value = max(bitcast<f32>(bits), LEAST);
        let share = clamp((log2(value) * LOG10_2 - view.top) / 4.0 + 1.0, 0.0, 1.0);
        let tied = bits == view.threshold && view.position + at < view.ties_end;
        var colour = vec3(24.0 + 60.0 * share);
        if bits > view.threshold || tied {
            colour = ember(share);
        }
        textureStore(texels, texel, vec4(floor(colour) / 255.0, 1.0));
    }
}

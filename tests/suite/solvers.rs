//! DPM-Solver++ and LCM go where diffusers' go (tests/fixtures/latent/solvers.json, made by
//! tests/peers/make_solvers.py).

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use salun_studio::diffusion::{SchedulerConfig, Solver};

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn dpm_solver_and_lcm_visit_the_times_of_diffusers_and_end_where_it_ends() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/latent/solvers.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    let device = Device::flex();
    let vector = |name: &str| {
        Tensor::<1>::from_floats(&numbers(&golden[name])[..], &device).reshape([1, 1, 1, 4])
    };
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 19);
    for case in cases {
        let config: SchedulerConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let n = case["steps"].as_u64().unwrap() as usize;
        let name = format!("{:?} {:?} {n}", config.kind, config.spacing());
        let mut solver = Solver::new(&config, n);
        assert_eq!(solver.times, numbers(&case["times"]), "{name}");
        let mut z = vector("start") * solver.start();
        for i in 0..solver.times.len() {
            let out = solver.input(i, z.clone()) * 0.4 + 5e-5 * solver.times[i];
            let fresh = || vector("noise") * ((i + 1) as f32).sin();
            z = solver.step(i, out, z, 0.0, fresh);
        }
        let got: Vec<f32> = z.into_data().try_to_vec().unwrap();
        let expected = numbers(&case["end"]);
        let size = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        for (a, b) in expected.iter().zip(&got) {
            assert!((a - b).abs() <= 2e-5 * size, "{name}: {expected:?} {got:?}");
        }
    }
}

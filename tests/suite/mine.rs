//! A person's own pictures beside a data set: what a classifier sees in them, a forget set, a class of their own.

use std::{fs, sync::Arc};

use crate::{binary::Scratch, common::Client};
use salun_studio::data;
use salun_studio::data::{Mine, PictureShape, Pictures};
use salun_studio::engine::{Job, Looked, Opened, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::run::folder;
use salun_studio::words::{Budget, Recipe};

const SHAPE: PictureShape = PictureShape { channels: 1, height: 28, width: 28 };

impl Client {
    fn keep(&mut self, mine: &Mine) -> String {
        match self.run(Job::Keep(Arc::new(mine.clone()))) {
            Outcome::Kept(name) => name,
            other => panic!("{other:?}"),
        }
    }

    fn look(&mut self, job: Job) -> Looked {
        match self.run(job) {
            Outcome::Looked(looked) => looked,
            other => panic!("{other:?}"),
        }
    }
}

/// Bags that the model was not trained on.
fn bags(n: usize) -> Mine {
    let test = data::test("fashion-mnist").unwrap();
    let bags = test.of_class(8).take(n);
    let all: Vec<_> = bags.map(|i| ("Bag".to_string(), test.picture(i).to_vec())).collect();
    Mine::new("my bags", SHAPE, &all)
}

/// Crosses of two strokes, no two alike: nothing that Fashion-MNIST has.
fn crosses(n: usize) -> Mine {
    let one = |i: usize| {
        let (dx, dy, wide) = ((i % 5) as f32 - 2.0, (i / 5 % 5) as f32 - 2.0, 2.0 + (i % 3) as f32);
        let pixel = |at: usize| {
            let (x, y) = ((at % 28) as f32 - 13.5 - dx, (at / 28) as f32 - 13.5 - dy);
            let near = (x - y).abs().min((x + y).abs()) < wide && x.abs().max(y.abs()) < 11.0;
            if near { 255 } else { 0 }
        };
        ("cross".to_string(), (0..784).map(pixel).collect())
    };
    Mine::new("cross", SHAPE, &(0..n).map(one).collect::<Vec<_>>())
}

fn request(data: &str, forget: &str) -> Recipe {
    Recipe {
        budget: Budget::Tiny,
        steps: Some(48),
        ..Recipe::new("fashion-classifier", data, forget)
    }
}

#[test]
fn own_pictures_are_looked_at_and_forgotten_and_the_runs_folder_has_them() {
    let mine = bags(24);
    assert_eq!(mine.title, "my-bags");
    let mut client = Client::new(DeviceChoice::Cpu);
    let look = |after| {
        let (model, pictures) = ("fashion-classifier".into(), Arc::new(mine.pictures.clone()));
        Job::Look { model, pictures, after }
    };
    let seen = client.look(look(None));
    let right = |seen: &[(usize, f32)]| seen.iter().filter(|(class, _)| *class == 8).count();
    assert!(right(&seen.before) >= 20 && seen.after.is_none(), "{seen:?}");

    let name = client.keep(&mine);
    let recipe = request(&mine.beside("fashion-mnist"), &format!("mine:{name}"));
    assert_eq!(recipe.data, format!("fashion-mnist+mine:{name}"));
    let run = client.unlearn(recipe);
    let report = &run.report;
    eprintln!(
        "UA {} to {}, RA {} to {}",
        report.before.UA, report.after.UA, report.before.RA, report.after.RA
    );
    assert_eq!(report.forget.n, 24);
    assert!(report.after.UA >= report.before.UA + 20.0, "{:?}", report.after);
    let after = run.model.plain().unwrap().clone();
    let seen = client.look(look(Some(after)));
    assert!(right(&seen.after.unwrap()) < right(&seen.before));

    // What comes next leaves nothing of theirs to keep, and needs them no more.
    let adopted = client.run(Job::Adopt { run: run.clone(), seed: 1, budget: Budget::Tiny });
    let Outcome::Opened(adopted) = adopted else { panic!("{adopted:?}") };
    let after = Opened::clone(&adopted).after;
    let next = client.unlearn(Recipe { after, ..request("fashion-mnist", "class:Coat") });
    assert!(next.report.earlier.is_empty());

    // The program does the same from the folder.
    let scratch = Scratch::new("own-pictures");
    folder::write(&run, &scratch.path("run"), false).unwrap();
    assert!(scratch.path("run/mine/Bag/023.png").is_file());
    let text = fs::read_to_string(scratch.path("run/recipe.toml")).unwrap();
    assert!(text.starts_with("# A person's own pictures are no part of a recipe"), "{text}");
    let again = scratch.run("unlearn run/recipe.toml --out again");
    assert_eq!(again.status, Some(0), "{again:?}");
    let again = folder::read(&scratch.path("again")).unwrap();
    assert_eq!(again.model.weights().hash(), run.model.weights().hash());
    let there = scratch.run("eval --run run");
    assert_eq!(there.status, Some(0), "{there:?}");
    fs::remove_dir_all(scratch.path("run/mine")).unwrap();
    let gone = scratch.run("unlearn run/recipe.toml --out gone");
    assert_eq!(gone.status, Some(2), "{gone:?}");
    assert!(gone.stderr.contains("no part of a recipe") && gone.stderr.contains("+folder:"));
}

#[test]
fn a_folder_of_own_pictures_is_added_to_a_data_set() {
    let scratch = Scratch::new("beside");
    fs::create_dir_all(scratch.path("mine/8")).unwrap();
    for i in 0..6u8 {
        // Of 40 x 30 pixels the middle is taken.
        let picture = image::RgbImage::from_fn(40, 30, |x, _| {
            image::Rgb([if (5..35).contains(&x) { 200 + i } else { 0 }; 3])
        });
        let end = if i % 2 == 0 { "png" } else { "jpg" };
        picture.save(scratch.path(&format!("mine/8/{i}.{end}"))).unwrap();
    }
    let data = data::open(&format!("fashion-mnist+folder:{}", scratch.path("mine").display()));
    let data = data.unwrap();
    assert_eq!((data.train.len(), data.classes.len(), data.test.len()), (60_006, 10, 10_000));
    assert!(data.train.picture(60_000).iter().all(|v| *v == 200));
    assert_eq!(data.train.labels[60_000..], [8; 6]);
    let line = "unlearn --model fashion-classifier --data fashion-mnist+folder:mine --forget mine:all \
                --budget tiny --steps 2 --out run";
    let ran = scratch.run(line);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(folder::read(&scratch.path("run")).unwrap().report.forget.n, 6);

    scratch.put("mine/8/noise.png", [9; 50]);
    let ran = scratch.run(&format!("{line} --force"));
    assert!(ran.stderr.contains("1 file in ") && ran.stderr.contains("noise.png"), "{ran:?}");
    fs::remove_file(scratch.path("mine/8/noise.png")).unwrap();
    for (data, forget, words) in [
        ("fashion-mnist", "mine:all", "no part of a recipe or a link"),
        ("fashion-mnist+mine:cups-0123abcd", "mine:all", "as long as the studio is open"),
        ("fashion-mnist+folder:mine", "mine:cups-0123abcd", "the pictures are mine-"),
        ("fashion-mnist+folder:none", "mine:all", "none: "),
        ("fashion-mnist+folder:mine/8", "mine:all", "one sub-folder a class is needed, 1 to 256"),
        ("fashion-mnst+folder:mine", "mine:all", "fashion-mnist"),
    ] {
        let line = format!(
            "unlearn --model fashion-classifier --data {data} --forget {forget} --budget tiny --out no"
        );
        let ran = scratch.run(&line);
        assert!(matches!(ran.status, Some(1 | 2)), "{ran:?}");
        let [complaint] = ran.complaints()[..] else { panic!("{ran:?}") };
        assert!(complaint.contains(words), "no '{words}' in {complaint}");
        assert!(!scratch.path("no").exists());
    }
}

#[test]
fn a_class_of_own_pictures_is_learnt_and_then_forgotten() {
    let mine = crosses(40);
    let mut client = Client::new(DeviceChoice::Cpu);
    let clock = std::time::Instant::now();
    let learnt = client.run(Job::Learn {
        model: "fashion-classifier".into(),
        data: "fashion-mnist".into(),
        mine: Arc::new(mine.clone()),
        seed: 1,
        budget: Budget::Tiny,
    });
    let seconds = clock.elapsed().as_secs_f64();
    let Outcome::Opened(opened) = learnt else { panic!("{learnt:?}") };
    assert_eq!(opened.name, mine.beside("fashion-classifier"));
    assert_eq!((opened.classes.len(), opened.classes[10].as_str()), (11, "cross"));
    assert_eq!(opened.grid.rows.len(), 11);
    assert!(opened.grid.columns > 0);
    let look = Job::Look {
        model: opened.name.clone(),
        pictures: mine.pictures.clone().into(),
        after: None,
    };
    let seen = client.look(look).before;
    assert!(seen.iter().filter(|(class, _)| *class == 10).count() >= 38, "{seen:?}");

    // What it knew it knows.
    let test = data::test("fashion-mnist").unwrap();
    let first = Pictures {
        pixels: test.pixels[..1000 * SHAPE.n()].to_vec(),
        labels: test.labels[..1000].to_vec(),
        shape: SHAPE,
    };
    let first = Arc::new(first);
    let right = |client: &mut Client, model: &str| {
        let job = Job::Look { model: model.into(), pictures: first.clone(), after: None };
        let seen = client.look(job).before.into_iter().zip(&first.labels);
        seen.filter(|((class, _), label)| *class == usize::from(**label)).count()
    };
    let known = ["fashion-classifier", &opened.name].map(|model| right(&mut client, model));
    eprintln!("learnt in {seconds:.1} s; of 1,000 test pictures right before and after: {known:?}");
    assert!(known[1] + 50 >= known[0] && known[0] > 800, "{known:?}");
    let recipe = Recipe::new(&opened.name, &opened.data, "class:cross");
    let run = client.unlearn(Recipe { budget: Budget::Tiny, steps: Some(64), ..recipe });
    eprintln!("forgotten: {:?}", run.report.after);
    assert_eq!(run.report.forget.n, 30, "a quarter is for tests");
    assert!(run.report.after.UA >= 90.0, "{:?}", run.report.after);
}

#[test]
fn own_pictures_that_do_not_fit_are_refused() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let learn = |mine: Mine| Job::Learn {
        model: "fashion-classifier".into(),
        data: "fashion-mnist".into(),
        mine: Arc::new(mine),
        seed: 1,
        budget: Budget::Tiny,
    };
    let colour = PictureShape { channels: 3, ..SHAPE };
    let one = |class: &str, n: usize| vec![(class.to_string(), vec![9; n])];
    let broken = |mine: Mine, to: fn(&mut Mine)| {
        let mut mine = mine;
        to(&mut mine);
        Arc::new(mine)
    };
    for (job, words) in [
        (Job::Keep(Arc::new(Mine::new("none", SHAPE, &[]))), "there are 0; 1 to 400 are needed"),
        (Job::Keep(broken(bags(3), |m| m.pictures.pixels.truncate(5))), "not whole"),
        (Job::Keep(broken(bags(3), |m| m.pictures.labels[0] = 1)), "not whole"),
        (learn(bags(3)), "a new one are needed"),
        (learn(crosses(1)), "at least 2 pictures of the new class cross"),
        (learn(Mine::new("red", colour, &one("red", colour.n()))), "28 x 28 pixels in 3 channels"),
        (
            Job::Look {
                model: "fashion-classifier".into(),
                pictures: Mine::new("red", colour, &one("red", colour.n())).pictures.into(),
                after: None,
            },
            "looks at 1 channels, not 3",
        ),
        (
            Job::Look {
                model: "fashion-ddpm".into(),
                pictures: bags(2).pictures.into(),
                after: None,
            },
            "a classifier is needed",
        ),
    ] {
        let error = client.answer(job).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "no '{words}' in {error}");
    }
}

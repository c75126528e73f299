//! Recipes held against what there is: methods, knobs, ranges, paths.

use std::path::Path;

use super::registry;
use crate::data::mine;
use crate::error::{Error, Result};
use crate::models;
use crate::models::{Lora, Said};
use crate::words::files::MINE;
use crate::words::{Recipe, Redirect, Task};

/// Requests that may have been met before one, and runs that one may go on from, one after another.
const MOST_BEFORE: usize = 100;
const MOST_BRANCHES: usize = 20;

/// The line around a byte of a text, cut short.
fn line_at(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    text[start..].lines().next().unwrap_or_default().chars().take(60).collect()
}

impl Recipe {
    /// Reads TOML. `name` is for messages.
    ///
    /// # Errors
    /// Not TOML, an unknown or missing key, a value out of range.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut recipe: Self = toml::from_str(text).map_err(|e| {
            let message = e.message().lines().next().unwrap_or("not TOML");
            // What TOML takes for an escape is a Windows path most of the time.
            let escape = ["escape", "unicode"].iter().any(|word| message.contains(word));
            let line = e.span().filter(|_| escape).map(|at| line_at(text, at.start));
            let escaped = line.filter(|line| line.contains('\\'));
            if let Some(line) = escaped {
                let right = "a path with backslashes stands in single quotes: 'C:\\pictures'";
                return Error::file(name, format!("'{line}': {message}; {right}"));
            }
            match e.span().filter(|_| !message.starts_with("missing")) {
                Some(at) => Error::file(name, format!("'{}': {message}", line_at(text, at.start))),
                None => Error::file(name, message),
            }
        })?;
        recipe.modernise();
        recipe.check()?;
        Ok(recipe)
    }

    /// The knob `alpha` was a field before there were knobs.
    fn modernise(&mut self) {
        if let Some(alpha) = self.alpha.take() {
            self.knobs.entry("alpha".into()).or_insert(alpha);
        }
        self.after.iter_mut().chain(self.branch.as_deref_mut()).for_each(Self::modernise);
    }

    /// Sets a knob of the method, `alpha=3`; switches are `on` or `off`.
    ///
    /// # Errors
    /// The method has no such knob, or the value is not one of its.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(Error::argument("set", assignment, "NAME=VALUE is needed"));
        };
        let knob = registry::of(self)?.knob(name)?;
        self.knobs.insert(name.into(), knob.parse(value)?);
        Ok(())
    }

    /// Refuses values that are out of range, before any work.
    ///
    /// # Errors
    /// The argument is named.
    pub fn check(&self) -> Result<()> {
        let counted = |name, value: Option<usize>, most: usize| match value {
            Some(v) if v == 0 || v > most => {
                Err(Error::argument(name, v, format!("1 to {most} is needed")))
            }
            _ => Ok(()),
        };
        if !(0.0..=1.0).contains(&self.density) {
            let right = "a share from 0 to 1 is needed, 0.5 for half of the weights";
            return Err(Error::argument("density", self.density, right));
        }
        counted("epochs", self.epochs, 10_000)?;
        counted("steps", self.steps, 10_000_000)?;
        counted("batch", self.batch, 4096)?;
        counted("until", self.until, 10_000_000)?;
        self.check_branches()?;
        if let Some(lr) = self.lr.filter(|lr| !(lr.is_finite() && *lr > 0.0)) {
            return Err(Error::argument("lr", lr, "a number above 0 is needed"));
        }
        if !self.knobs.is_empty() {
            let method = registry::of(self)?;
            for (name, value) in &self.knobs {
                method.knob(name)?.check(*value)?;
            }
        }
        if let Some(s) = &self.sampling {
            s.check()?;
        }
        if self.after.len() > MOST_BEFORE {
            let right = format!("{MOST_BEFORE} earlier requests at the most");
            return Err(Error::argument("after", self.after.len(), right));
        }
        for earlier in &self.after {
            if !earlier.after.is_empty() || earlier.model != self.model {
                let right = "earlier requests are a flat list, all to the recipe's own model";
                return Err(Error::argument("after", &earlier.forget, right));
            }
            earlier.check()?;
        }
        Ok(())
    }

    /// Refuses to go on from what does not lead here.
    fn check_branches(&self) -> Result<()> {
        let path = std::iter::successors(self.branch.as_deref(), |recipe| recipe.branch.as_deref());
        let long = path.take(MOST_BRANCHES + 1).count() > MOST_BRANCHES;
        let Some(branch) = &self.branch else { return Ok(()) };
        if long {
            let right = format!("{MOST_BRANCHES} runs that go on from one another at the most");
            return Err(Error::argument("branch", &branch.method, right));
        }
        if self.given.is_some() || branch.given.is_some() {
            let right = "weights that others made are no run that another goes on from";
            return Err(Error::argument("branch", &branch.method, right));
        }
        if !branch.leads_to(self) || !branch.after.is_empty() {
            let right = "a run goes on from one of the same model, data and forget set, and says for both \
                         what came before";
            return Err(Error::argument("branch", &branch.forget, right));
        }
        branch.check()
    }

    /// The recipe without what its method has no use for in a task.
    pub fn fitting(mut self, task: Task) -> Self {
        let Ok(method) = registry::of(&self) else { return self };
        let fields = method.fields(task);
        for (name, _) in self.set_fields() {
            match name {
                _ if fields.contains(&name) => {}
                "mask" => self.mask = None,
                "epochs" => self.epochs = None,
                "steps" => self.steps = None,
                "lr" => self.lr = None,
                "batch" => self.batch = None,
                _ => self.redirect = Redirect::Next,
            }
        }
        self
    }

    /// The same with its paths as they are from anywhere: absolute, where they lead to something.
    pub fn anywhere(&self) -> Self {
        // A page has no folders.
        std::env::current_dir().map_or_else(|_| self.clone(), |here| self.within(&here))
    }

    /// The same with a person's own pictures from a run's folder, where they lie in it.
    pub fn with_pictures(self, run: &Path) -> Self {
        let pictures = run.join(MINE);
        let there = pictures.to_str().filter(|_| pictures.is_dir());
        match there.and_then(|there| mine::found(&self.data, there)) {
            Some(data) => {
                let branch = self.branch.map(|branch| Box::new(branch.with_pictures(run)));
                Self { data, branch, ..self }
            }
            None => self,
        }
    }

    /// The same with its relative paths taken from a folder, where they lead to something there.
    pub fn within(&self, folder: &Path) -> Self {
        let from = |path: &str| {
            let (file, said) = match path.rsplit_once('?') {
                Some((file, said)) if !folder.join(path).exists() => (file, Some(said)),
                _ => (path, None),
            };
            let there = folder.join(file);
            let relative = Path::new(file).is_relative() && !file.is_empty();
            let text = there.to_str().filter(|_| relative && there.exists())?;
            Some(said.map_or(text.to_string(), |said| format!("{text}?{said}")))
        };
        let after = |kind: &str, text: &str| {
            let found = text.strip_prefix(kind).and_then(from);
            found.map_or(text.to_string(), |path| format!("{kind}{path}"))
        };
        let data = |text: &str| after("made:", &after("emoji:", &after("folder:", text)));
        let file = |name: &String| from(name).unwrap_or_else(|| name.clone());
        // What is said behind a model's name may be files, too.
        let whole = |name: String| {
            let Ok((model, said)) = Said::of(&name) else { return name };
            let unet = said.unet.as_ref().map(file);
            let judge = said.judge.as_ref().map(|judge| match models::registry::is_judge(judge) {
                true => judge.clone(),
                false => file(judge),
            });
            let lora = |lora: &Lora| Lora { file: file(&lora.file), ..lora.clone() };
            let loras = said.loras.iter().map(lora).collect();
            let of = said.data.as_deref().map(data);
            Said { unet, judge, loras, data: of, ..said.clone() }.behind(model)
        };
        let all = match mine::folder(&self.data) {
            Some((of, path)) => {
                mine::with_folder(&data(of), &from(path).unwrap_or_else(|| path.into()))
            }
            None => data(&self.data),
        };
        let shipped = models::registry::shipped(&self.model).is_some();
        Self {
            model: whole(if shipped { self.model.clone() } else { file(&self.model) }),
            data: all,
            forget: after("indices:", &self.forget),
            mask_file: self.mask_file.as_ref().map(file),
            given: self.given.as_ref().map(file),
            after: self.after.iter().map(|before| before.within(folder)).collect(),
            branch: self.branch.as_ref().map(|branch| Box::new(branch.within(folder))),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_names_the_requests_that_it_follows() {
        let request = |forget: &str| Recipe::new("fashion-classifier", "fashion-mnist", forget);
        let first = request("class:Bag");
        let second = Recipe { density: 0.3, ..request("class:Coat") }.following(&first);
        let third = Recipe { steps: Some(9), ..request("random:1%") }.following(&second);
        assert_eq!(first.start(), "fashion-classifier");
        assert_eq!(second.start(), first.end());
        assert_eq!(third.start(), second.end());
        assert_eq!(
            third.after.iter().map(|r| &*r.forget).collect::<Vec<_>>(),
            ["class:Bag", "class:Coat"]
        );
        assert_ne!(first.end(), second.end());
        assert_ne!(second.protocol(), Recipe { after: Vec::new(), ..second.clone() }.protocol());
        let again = Recipe::parse(&third.to_toml().unwrap(), "recipe").unwrap();
        assert_eq!(again, third);

        let nested = Recipe { after: vec![second.clone()], ..request("class:Bag") };
        let other = Recipe { after: vec![Recipe::new("m", "d", "f")], ..request("class:Bag") };
        let many = Recipe { after: vec![first.clone(); MOST_BEFORE + 1], ..request("class:Bag") };
        for wrong in [nested, other, many] {
            assert!(wrong.check().unwrap_err().to_string().contains("after"));
        }
    }

    #[test]
    fn a_recipe_names_the_run_that_it_goes_on_from() {
        let request = |forget: &str| Recipe::new("fashion-classifier", "fashion-mnist", forget);
        let first = Recipe { until: Some(12), ..request("class:Bag") };
        let on = |from: &Recipe, to: Recipe| to.going_on(from);
        let second = on(&first, Recipe { density: 0.1, ..request("class:Bag") });
        assert_eq!(Recipe::parse(&second.to_toml().unwrap(), "recipe").unwrap(), second);
        let protocols = [&second, &first, &first.whole(), &on(&first.whole(), second.clone())];
        let mut protocols = protocols.map(Recipe::protocol);
        protocols.sort();
        assert!(protocols.windows(2).all(|pair| pair[0] != pair[1]));
        // The weights that it is measured against are the unchanged ones.
        assert_eq!(second.start(), "fashion-classifier");
        let far =
            (0..=MOST_BRANCHES).fold(first.clone(), |recipe, _| on(&recipe, request("class:Bag")));
        let given = request("class:Bag").met_by("others.pth");
        for wrong in [on(&request("class:Coat"), first.clone()), far, on(&given, first.clone())] {
            assert!(wrong.check().unwrap_err().to_string().contains("branch"));
        }
        assert!(
            Recipe { until: Some(0), ..first }.check().unwrap_err().to_string().contains("until")
        );
    }

    #[test]
    fn where_a_lora_and_its_pictures_lie_is_no_part_of_the_protocol() {
        let protocol = |lora: &str, data: &str| {
            let loras = vec![lora.parse().unwrap()];
            let said = Said { loras, data: Some(data.into()), ..Said::default() };
            Recipe::new(&said.behind("sd.safetensors"), "emoji", "prompt:a cat").protocol()
        };
        let near = protocol("style.pt@0.5", "folder:mugs");
        assert_eq!(near, protocol("/a b/style.pt@0.5", "folder:/home/one/mugs"));
        assert_ne!(near, protocol("style.pt@0.6", "folder:mugs"));
        assert_ne!(near, protocol("style.pt@0.5", "folder:cups"));
        assert_ne!(near, protocol("other.pt@0.5", "folder:mugs"));
    }
}

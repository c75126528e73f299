//! The state of a run after some of its updates: what it goes on from, and comes to the same bytes.

use burn::tensor::Tensor;

use super::Unlearner;
use crate::error::Result;
use crate::models::stream::Vector;
use crate::models::weights::{read, vector};
use crate::models::{WeightEntry, Weights};
use crate::train::optimizer::{Take, of_tensor};

impl Unlearner {
    /// Everything that the next update depends on and [`Unlearner::begin_at`] does not make again: free weights,
    /// running statistics, moments, and what the method carries from update to update.
    pub fn vectors(&mut self) -> Vec<Vector<'_>> {
        let Weights { layout, params, buffers } = &self.weights;
        let mut all = Vec::new();
        for (i, (entry, theta)) in layout.params.iter().zip(params).enumerate() {
            let name = format!("weights.{}", entry.name);
            all.push(match self.optimizer.free(i) {
                None => of_tensor(name, theta),
                Some(free) => Vector::new(name, free.ones(), move || {
                    let values = pollster::block_on(read(theta.clone()))?;
                    Ok(free.places().map(|at| values[at]).collect())
                }),
            });
        }
        let buffers = layout.buffers.iter().zip(buffers);
        all.extend(buffers.map(|(entry, t)| of_tensor(format!("buffers.{}", entry.name), t)));
        let carried = layout.params.iter().zip(self.work.carried().into_iter().flatten());
        all.extend(carried.map(|(entry, t)| of_tensor(format!("carried.{}", entry.name), t)));
        all.extend(self.optimizer.vectors(&self.weights));
        all.retain(|vector| vector.n() > 0);
        all
    }

    /// Goes on after `step` updates with the vectors that [`Self::vectors`] gave.
    ///
    /// # Errors
    /// One of them is missing or has another length; the device failed.
    pub async fn resume(&mut self, step: usize, take: &mut Take<'_>) -> Result<()> {
        let layout = self.weights.layout.clone();
        let device = self.weights.device();
        for (i, entry) in layout.params.iter().enumerate() {
            let theta = &mut self.weights.params[i];
            let (name, n) = (format!("weights.{}", entry.name), theta.dims()[0]);
            let values = match self.optimizer.free(i) {
                None => take(&name, n)?,
                Some(free) => {
                    let values = take(&name, free.ones())?;
                    let mut whole = read(theta.clone()).await?;
                    free.places().zip(values).for_each(|(at, value)| whole[at] = value);
                    whole
                }
            };
            *theta = vector(&values, &theta.device());
        }
        for (entry, buffer) in layout.buffers.iter().zip(&mut self.weights.buffers) {
            *buffer = vector(&take(&format!("buffers.{}", entry.name), entry.n())?, &device);
        }
        if let Some(carried) = self.work.carried() {
            let params = layout.params.iter().zip(&self.weights.params);
            let one = |(entry, theta): (&WeightEntry, &Tensor<1>)| {
                let values = take(&format!("carried.{}", entry.name), theta.dims()[0])?;
                Ok(vector(&values, &theta.device()))
            };
            *carried = params.map(one).collect::<Result<_>>()?;
        }
        self.optimizer.resume(step, &self.weights, take)?;
        self.step = step;
        Ok(())
    }
}

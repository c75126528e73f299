//! An optimiser's state, a vector at a time, and back.

use burn::tensor::Tensor;

use super::freeze::Free;
use super::packed::Packed;
use super::{Optimizer, Rule};
use crate::error::Result;
use crate::models::stream::Vector;
use crate::models::weights::{read, vector};
use crate::models::{Bits, Weights};

/// Gives the numbers of a vector by its name and length.
pub type Take<'a> = dyn FnMut(&str, usize) -> Result<Vec<f32>> + 'a;

/// What a vector's name begins with: velocity or first moment, and second moment.
const MOMENTS: [&str; 2] = ["first", "second"];

impl Optimizer {
    /// The weights of parameter `i` that may change, where not all of them may.
    pub fn free(&self, i: usize) -> Option<&Bits> {
        match &self.freeze.as_ref()?.free {
            Free::Bits(bits) | Free::Resident { bits, .. } => bits.get(i),
            Free::Drift(_) => None,
        }
    }

    /// The weights that may change where state is kept of them alone, for each parameter: there gradients may be theirs
    /// alone, too.
    pub fn packs(&self) -> Option<&[Bits]> {
        match &self.freeze.as_ref()?.free {
            Free::Bits(bits) => Some(bits),
            _ => None,
        }
    }

    /// The moments of the parameters that `weights` names: of free weights alone where they exist for no other.
    pub fn vectors<'a>(&'a self, weights: &Weights) -> Vec<Vector<'a>> {
        let mut all = Vec::new();
        for (i, entry) in weights.layout.params.iter().enumerate() {
            let name = |moment: usize| format!("{}.{}", MOMENTS[moment], entry.name);
            if let Some(packed) = self.packed.get(i) {
                for (moment, values) in [&packed.first, &packed.second].into_iter().enumerate() {
                    all.push(Vector::new(name(moment), values.len(), || Ok(values.clone())));
                }
            } else if let (Some(slices), Some(Free::Resident { kernels, bits, .. })) =
                (self.moments.get(i), self.freeze.as_ref().map(|freeze| &freeze.free))
            {
                for (moment, slice) in slices.iter().enumerate() {
                    let free = &bits[i];
                    let numbers = move || {
                        let words = pollster::block_on(kernels.read(slice))?;
                        Ok(free.places().map(|at| f32::from_bits(words[at])).collect())
                    };
                    all.push(Vector::new(name(moment), free.ones(), numbers));
                }
            } else {
                let dense = [self.first.get(i), self.second.get(i)];
                for (moment, tensor) in dense.into_iter().enumerate() {
                    all.extend(tensor.map(|t| of_tensor(name(moment), t)));
                }
            }
        }
        all
    }

    /// Goes on after so many updates with the moments that [`Self::vectors`] gave.
    ///
    /// # Errors
    /// One of them is missing or has another length.
    pub fn resume(&mut self, steps: usize, weights: &Weights, take: &mut Take) -> Result<()> {
        self.steps = steps;
        let moments = if matches!(self.rule, Rule::Adam { .. }) { 2 } else { 1 };
        for (i, entry) in weights.layout.params.iter().enumerate() {
            let whole = weights.params[i].dims()[0];
            let mut moment = |moment: usize, n: usize| match moment < moments {
                true => take(&format!("{}.{}", MOMENTS[moment], entry.name), n),
                false => Ok(Vec::new()),
            };
            match self.freeze.as_ref().map(|freeze| &freeze.free) {
                Some(Free::Bits(bits)) => {
                    let n = bits[i].ones();
                    self.packed.push(Packed { first: moment(0, n)?, second: moment(1, n)? });
                }
                Some(Free::Resident { kernels, bits, .. }) => {
                    let free = &bits[i];
                    // A frozen weight's moments are of no use.
                    let upload = |values: Vec<f32>| {
                        let mut all = vec![0; whole];
                        free.places().zip(values).for_each(|(at, v)| all[at] = v.to_bits());
                        kernels.upload(&all)
                    };
                    let both = (0..moments).map(|m| moment(m, free.ones()).map(upload));
                    self.moments.push(both.collect::<Result<_>>()?);
                }
                Some(Free::Drift(_)) | None => {
                    let device = weights.params[i].device();
                    self.first.push(vector(&moment(0, whole)?, &device));
                    if moments > 1 {
                        self.second.push(vector(&moment(1, whole)?, &device));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A tensor under a name.
pub fn of_tensor<'a>(name: String, tensor: &Tensor<1>) -> Vector<'a> {
    let (n, tensor) = (tensor.dims()[0], tensor.clone());
    Vector::new(name, n, move || pollster::block_on(read(tensor.clone())))
}

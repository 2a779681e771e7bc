//! Single images of a loader.

use tch::{Device, Tensor};

use crate::data::{ImageShape, Samples};
use crate::error::{Error, Result};
use crate::native;

/// Single images of a loader, on the host: of those that lie on the device, none is copied before it is asked for.
pub struct SingleImages(Source);

enum Source {
    /// `u8 [N, H, W, C]`, on the device.
    Resident(Tensor),
    Samples(Samples),
}

impl SingleImages {
    /// Those of `images u8 [N, H, W, C]`.
    pub(super) fn resident(images: &Tensor) -> Self {
        SingleImages(Source::Resident(images.shallow_clone()))
    }

    /// Those of `samples`.
    pub fn of(samples: Samples) -> Self {
        SingleImages(Source::Samples(samples))
    }

    /// Their shape.
    pub fn shape(&self) -> ImageShape {
        match &self.0 {
            Source::Resident(images) => {
                let size = |axis: usize| images.size()[axis] as usize;
                ImageShape { height: size(1), width: size(2), channels: size(3) }
            }
            Source::Samples(samples) => samples.shape(),
        }
    }

    /// The pixels of image `index`, `u8 [H, W, C]`. Waits for the device.
    ///
    /// # Errors
    /// A data error past the end, and where its file cannot be read; a device error where it cannot be copied.
    pub fn image(&self, index: usize) -> Result<Vec<u8>> {
        match &self.0 {
            Source::Resident(images) => native::guarded(|| {
                let count = images.size()[0];
                let Some(index) = i64::try_from(index).ok().filter(|&index| index < count) else {
                    return Err(Error::data(format!("there is no image {index}")).expected(format!("below {count}")));
                };
                let pixels = images.select(0, index).to_device(Device::Cpu).flatten(0, -1);
                Ok(Vec::try_from(pixels).expect("pixels are bytes"))
            }),
            Source::Samples(samples) => samples.image(index).map(std::borrow::Cow::into_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batches::DataLoader;

    #[test]
    fn images_are_those_of_the_samples_wherever_they_lie() {
        let shape = ImageShape { height: 1, width: 2, channels: 1 };
        let samples = Samples::new(shape, vec![1, 2, 3, 4], vec![0, 1], 2).unwrap();
        for samples in [samples.clone(), samples.streamed()] {
            let images = DataLoader::new(&samples, Device::Cpu).unwrap().single_images().unwrap();
            assert_eq!((images.shape(), images.image(1).unwrap()), (shape, vec![3, 4]));
            assert!(images.image(2).is_err());
        }
    }
}

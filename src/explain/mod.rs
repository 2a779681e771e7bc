//! Why a model says what it says of an image: where it looked (Grad-CAM), and which training images are the most like it in what the
//! network makes of them.

mod grad_cam;
mod neighbours;
mod picture;

pub use grad_cam::{GradCam, HeatMap, feature_map_layers};
pub use neighbours::{Neighbour, Neighbours, nearest};
pub use picture::{overlay, to_rgb};

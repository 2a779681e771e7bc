//! Which device a test computes on: the CPU, or the one that `CONVNET_TEST_DEVICE` names (`scripts/check_device` does).

use std::sync::OnceLock;

use tch::Device;

/// The device; the first call selects it.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    *DEVICE.get_or_init(|| {
        let choice = std::env::var("CONVNET_TEST_DEVICE").unwrap_or("cpu".into());
        let choice = choice.parse().unwrap_or_else(|error| panic!("CONVNET_TEST_DEVICE: {error}"));
        // f32 is f32, which it is not on a GPU by libtorch's own settings
        convnet::device::configure(None).unwrap();
        convnet::device::select(choice).unwrap_or_else(|error| panic!("{}", convnet::error::describe(&error))).device
    })
}

use tch::{Device, Kind, Tensor};

use super::*;
use crate::error::{ErrorKind, describe};

fn tensor(size: i64) -> Tensor {
    Tensor::ones([size], (Kind::Float, Device::Cpu))
}

#[test]
fn an_exception_is_an_error() {
    let error = guarded(|| Ok(tch::no_grad(|| tensor(2) + tensor(3)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    let text = describe(&error);
    assert!(text.starts_with("libtorch failed: The size of tensor a (2) must match"), "{text}");
    assert!(!text.contains("raised from") && !text.contains('\n'), "{text}");
    let weight = tensor(2).set_requires_grad(true);
    assert!((&weight * 2.0).requires_grad(), "gradients are on again");
}

#[test]
fn other_panics_go_on() {
    let result = panic::catch_unwind(|| guarded(|| -> Result<()> { panic!("a fault of ours") }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"a fault of ours"));
    assert_eq!(DEPTH.get(), 0);
    assert_eq!(guarded(|| Ok(1)).unwrap(), 1);
}

#[test]
fn what_is_expected_of_a_tensor_is_an_exception_too() {
    let failed = || Err::<(), _>(tch::TchError::Torch("CUDA error: \"x\" \\ y\nException raised from z".into()));
    let panic = panic::catch_unwind(|| failed().expect("a"));
    assert_eq!(exception(&*panic.unwrap_err()).unwrap(), "CUDA error: \"x\" \\ y\nException raised from z");
}

#[test]
fn every_failure_has_a_way_out() {
    let memory = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.19 GiB of which \
                      1.00 GiB is free. If reserved but unallocated memory is large try setting …\nException raised from";
    let launch = "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported";
    for (text, words) in [
        (memory, ["there is not enough memory", "1.00 GiB is free;", "`batch_size`"]),
        (
            "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried",
            ["not enough", "you tried", "bf16"],
        ),
        (launch, ["the GPU failed", "unspecified launch failure;", "`resume`"]),
        ("CUDA error: no kernel image is available for execution on the device", ["no code", "no kernel", "cpu"]),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", ["the GPU failed", "EXECUTION_FAILED", "dmesg"]),
    ] {
        let error = failure(text);
        assert_eq!(error.exit_code(), 5);
        let line = describe(&error);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(!line.contains("raised from") && !line.contains("reserved") && !line.contains('\n'), "{line}");
    }
}

"""The numbers of scripts/scaling_model.py, and where each comes from: "nominal" is a vendor's figure, "assumed" is no more than
that, "measured" is a command of this repository."""

import collections

MIB = 2**20

# Trainable parameters, multiply-adds of an image, layers, values that dropout draws for an image, batch normalisations:
# `convnet summary PRESET --json` and `convnet summary --presets`. Forward is 2 operations per multiply-add, backward twice that.
Preset = collections.namedtuple("Preset", "parameters multiply_adds layers dropped norms is_decoded")
PRESETS = {
    "keras-cnn": Preset(34_826, 2_440_960, 7, 1600, 0, False),
    "lenet5": Preset(61_706, 416_520, 8, 0, 0, False),
    "wide-cnn": Preset(288_170, 29_128_448, 23, 128, 6, False),
    "vgg-small": Preset(435_882, 29_275_904, 30, 10_688, 7, False),
    "mlp": Preset(669_706, 668_672, 6, 1024, 0, False),
    "wrn-16-4": Preset(2_748_890, 392_612_352, 52, 0, 13, False),
    "mobilenet-v2": Preset(3_504_872, 300_774_272, 157, 1280, 52, True),
    "efficientnet-b0": Preset(5_288_548, 385_814_752, 207, 1280, 49, True),
    "resnet9": Preset(6_573_130, 379_261_952, 31, 0, 8, False),
    "resnet18": Preset(11_689_512, 1_814_073_344, 73, 0, 20, True),
    "resnet50": Preset(25_557_032, 4_089_184_256, 179, 0, 53, True),
}

# bytes_per_second in one direction, the part of it that an all-reduce reaches (assumed), seconds of a hop (assumed).
Link = collections.namedtuple("Link", "bytes_per_second reached hop_seconds")
LINKS = {
    "nvlink": Link(450e9, 0.8, 3e-6),  # nominal: NVIDIA H100 SXM data sheet, NVLink 4, 900 GB/s both directions together
    "pcie": Link(31.5e9, 0.7, 5e-6),  # nominal: PCI-SIG, 4.0 x16, 16 GT/s times 16 lanes times 128/130 / 8
    "infiniband": Link(50e9, 0.85, 5e-6),  # nominal: NVIDIA Quantum-2, NDR, 400 Gb/s a port
    "ethernet-100": Link(12.5e9, 0.7, 25e-6),  # nominal: IEEE 802.3, 100 Gb/s; TCP
    "ethernet-25": Link(3.125e9, 0.7, 25e-6),  # nominal: IEEE 802.3, 25 Gb/s; TCP
}
# Processes of a host, the link between them, the link between hosts, its ports for each host.
Cluster = collections.namedtuple("Cluster", "per_host inside between ports")
CLUSTERS = {
    "infiniband": Cluster(8, "nvlink", "infiniband", 8),
    "infiniband-1": Cluster(8, "pcie", "infiniband", 1),
    "ethernet-100": Cluster(8, "pcie", "ethernet-100", 1),
    "ethernet-25": Cluster(8, "pcie", "ethernet-25", 1),
}

PEAK_OPERATIONS = 989e12  # nominal: NVIDIA H100 SXM data sheet, bf16 without sparsity
REACHED_OPERATIONS = 0.1  # assumed for convolutions: memory and small kernels hold them back
MEMORY_BYTES_PER_SECOND = 3.35e12  # nominal: the same data sheet
LAUNCH_SECONDS, LAUNCHES_OF_A_LAYER = 5e-6, 6  # assumed: a step takes no less, however few its images
OPTIMIZER_BYTES = 28  # of a parameter: Adam reads gradient, weight and two moments, writes the last three, f32
MASK_SECONDS = 1e-11  # assumed: a value of a dropout mask on the GPU
DECODE_SECONDS = 2 / 1776  # measured: a JPEG of 400 x 320 to 224 x 224 on one core, docs/data.md
CORES_PER_HOST = 64  # assumed
JITTER = 0.02  # assumed: standard deviation of a process's computing time, as a part of it
BUCKET_BYTES = 25 * MIB  # as PyTorch's DistributedDataParallel
LARGEST_USEFUL_BATCH = 8192  # ResNet-50 on ImageNet without loss of accuracy: Goyal and others 2017; small data bear less
LIMIT = 0.1  # something "breaks" where it takes a tenth of a step

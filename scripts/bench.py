#!/usr/bin/env python3
"""Times convnet beside Keras on TensorFlow, PyTorch, burn and candle: training, prediction and training from a folder of JPEGs.

    cargo build --release
    python3 scripts/bench.py DATA [--work default-128,prediction-cold] [--peers keras,pytorch] [--rounds 5] [--json FILE]

DATA is a folder with Fashion-MNIST's (or MNIST's) four .gz files. The first run installs the peers, and builds burn's and candle's
network, below the cache folder. `--peers` also knows `torch-compile`. The networks, batch sizes and steps are the same for all.

All take turns, a process each, so that a slow minute of the machine meets all of them. A ratio is the peer's seconds over
convnet's of the same round; the table has the medians over the rounds, and ranges. The load is the system's average: above the number
of cores something else runs, from which PyTorch, whose threads spin while they wait, suffers most. What the columns are:

- seconds  training: an epoch, the median of a process's epochs behind its first (Keras traces and compiles in that).
           prediction-cold: a process that loads a model and predicts one PNG, the median of five in turn.
           prediction-warm, resnet18-64-warm, mobilenet-v2-96-warm: 50,000, 2,000 and 2,000 images in a process that has
           predicted others before: peers by their own clock, convnet as the difference between `evaluate` on those and on all
- whole    the process from start to end, without a test at its end; as often as convnet trains, it also writes its logs
- MiB      the most that the process held before that test (of PyTorch's loading processes, the largest one's alone)
- accuracy on the 10,000 test images, behind the last epoch; left out where the images are the small ones, repeated

Of a peer that cannot do a work the table has the reason. One that takes more than ten times as long as convnet in the first round is
left out of the others, and its row says so.
"""

import sys

from benchmark import command

if __name__ == "__main__":
    sys.exit(command.main(__doc__))

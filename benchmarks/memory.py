"""Peak memory of ``hwflow harden``, by stage.

    python benchmarks/memory.py                                   ResNet50 at 224x224, 256 calibration images
    python benchmarks/memory.py --network resnet18 --calibration 64
    python benchmarks/memory.py --model MODEL --data IMAGES       one's own

The command runs in a process of its own, as the shell would start it; the system keeps its peak (VmHWM, shared
libraries included), which is read and begun anew at every stage, so Linux it is. Weights and images are those of
``networks.py``, random unless they are given; the peak does not depend on their values.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HARDEN = """
import functools, sys, time
import hwflow.stages.harden as stage

begun = ["start"]

def mark(name):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    megabytes = [int(status[key].split()[0]) * 1024 / 1e6 for key in ("VmHWM", "VmRSS")]
    print("@", *(f"{each:.0f}" for each in megabytes), f"{time.process_time():.1f}", begun[0], sep="|", flush=True)
    begun[0] = name
    open("/proc/self/clear_refs", "w").write("5")

def harden(*arguments, step, **options):
    def marked(name):
        mark(name)
        step(name)
    return original(*arguments, step=marked, **options)

original, stage.harden = stage.harden, functools.wraps(stage.harden)(harden)
sys.argv[0] = "hwflow"
from hwflow.cli import main
status = main()
mark("end")
sys.exit(status)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50", help="a port, see 'hwflow harden --help'")
    parser.add_argument("--model", type=Path, help="a Keras model instead")
    parser.add_argument("--data", type=Path, help="an .npz or a folder of images instead of random ones")
    parser.add_argument("--calibration", type=int, default=256, help="calibration images")
    parser.add_argument("--size", type=int, default=224, help="pixels a side of a port's image")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hwflow-benchmark-") as folder:
        model, data = options.model or Path(folder, "model.h5"), options.data or Path(folder, "images.npz")
        if options.model is None or options.data is None:
            made = [Path(folder, "model.h5"), Path(folder, "images.npz")]
            sizes = ["--size", options.size, "--calibration", options.calibration]
            run([Path(__file__).with_name("networks.py"), "make", options.network, *made, *sizes])
        command = ["harden", model, "-o", Path(folder, "design"), "--calibration", data]
        lines = run(["-c", HARDEN, *command, "--calibration-images", options.calibration]).splitlines()
    stages = [line.split("|")[1:] for line in lines if line.startswith("@|")]
    print("| stage | peak, MB | at its end, MB | processor time, s |\n|---|---|---|---|")
    before = 0.0
    for peak, left, seconds, name in stages:
        print(f"| {name} | {peak} | {left} | {float(seconds) - before:.1f} |")
        before = float(seconds)
    print(f"| all | {max(int(peak) for peak, *_ in stages)} | | {before:.1f} |")


def run(command: list[object]) -> str:
    """Standard output of a Python program."""
    done = subprocess.run([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"status {done.returncode}: {' '.join(map(str, command[1:]))}")
    return done.stdout


if __name__ == "__main__":
    main()

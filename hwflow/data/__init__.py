"""Images and labels: the embedded digits, a user's ``.npz``, image folders, ImageNet; preprocessing; accuracy.

Nothing here imports Pillow, SciPy or scikit-learn before it is used.
"""

from hwflow.data.accuracy import Tally, accuracy, guessing, ranks
from hwflow.data.arrays import DIGITS, DIGITS_TEST, SPLITS, Dataset, Float32, check_shape, load_data, load_digits
from hwflow.data.folders import Batch, ImageSet, Unreadable, image_folder, unreadable_text
from hwflow.data.given import Data, DataLike, as_data
from hwflow.data.imagenet import imagenet, labelled_folder
from hwflow.data.labels import Int64, class_numbers
from hwflow.data.preprocessing import CAFFE, CIFAR, IMAGENET, PIXELS, UNCHANGED, UNIT, Preprocessing
from hwflow.data.sources import (
    PRESETS,
    batches,
    data_path,
    drawn,
    load_images,
    open_data,
    open_images,
    preset,
    preset_name,
    require_labels,
    some,
    suited,
    usual_preset,
)

__all__ = [
    "CAFFE",
    "CIFAR",
    "DIGITS",
    "DIGITS_TEST",
    "IMAGENET",
    "PIXELS",
    "PRESETS",
    "SPLITS",
    "UNCHANGED",
    "UNIT",
    "Batch",
    "Data",
    "DataLike",
    "Dataset",
    "Float32",
    "ImageSet",
    "Int64",
    "Preprocessing",
    "Tally",
    "Unreadable",
    "accuracy",
    "as_data",
    "batches",
    "check_shape",
    "class_numbers",
    "data_path",
    "drawn",
    "guessing",
    "image_folder",
    "imagenet",
    "labelled_folder",
    "load_data",
    "load_digits",
    "load_images",
    "open_data",
    "open_images",
    "preset",
    "preset_name",
    "ranks",
    "require_labels",
    "some",
    "suited",
    "unreadable_text",
    "usual_preset",
]

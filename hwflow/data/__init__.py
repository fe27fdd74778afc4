"""Images and labels: the embedded digits, a user's ``.npz``, image folders, ImageNet; preprocessing; accuracy.

Nothing here imports Pillow, SciPy or scikit-learn before it is used.
"""

from hwflow.data.accuracy import Accuracy, accuracy, measure, ranks
from hwflow.data.arrays import DIGITS, DIGITS_TEST, SPLITS, Dataset, Float32, Int64, check_shape, load_data, load_digits
from hwflow.data.folders import Batch, ImageSet, Unreadable, image_folder, unreadable_text
from hwflow.data.imagenet import imagenet, labelled_folder
from hwflow.data.preprocessing import CAFFE, IMAGENET, UNCHANGED, Preprocessing

__all__ = [
    "CAFFE",
    "DIGITS",
    "DIGITS_TEST",
    "IMAGENET",
    "SPLITS",
    "UNCHANGED",
    "Accuracy",
    "Batch",
    "Dataset",
    "Float32",
    "ImageSet",
    "Int64",
    "Preprocessing",
    "Unreadable",
    "accuracy",
    "check_shape",
    "image_folder",
    "imagenet",
    "labelled_folder",
    "load_data",
    "load_digits",
    "measure",
    "ranks",
    "unreadable_text",
]

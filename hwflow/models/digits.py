"""The embedded residual CNN for 8x8 digits, in Keras and as its QKeras twin.

    image (8, 8, 1)
      conv1     3x3, 8   ReLU                         (8, 8, 8)
      pool1     max 2x2, stride 2                     (4, 4, 8)
      block1    3x3, 16, stride 2  ReLU  3x3, 16
                shortcut 1x1, 16, stride 2            (2, 2, 16)
      block2    3x3, 16  ReLU  3x3, 16
                identity shortcut                     (2, 2, 16)
      gap       global average                        (16,)
      logits    dense 10                              (10,)

Blocks as in He et al., "Deep Residual Learning for Image Recognition", section 3.3 and figure 3: ReLU
after the addition, option B (1x1 projection) where the shape changes. Every convolution keeps its size
(``same``) but for its stride. No softmax: the output is the logits.
"""

from collections.abc import Callable
from typing import Any

from hwflow.models._tf import keras, qkeras

INPUT_SHAPE = (8, 8, 1)
CLASSES = 10
CHANNELS = (8, 16)

# ap_fixed<8,3>: 1 sign, 2 integer and 5 fraction bits. `symmetric` leaves out the code -128.
WEIGHT_QUANTIZER = "quantized_bits(8, 2, 1, alpha=1.0)"
# ap_fixed<16,7>: its LSB 2^-9 is a multiple of the products' LSB 2^-10, so that a bias adds exactly.
BIAS_QUANTIZER = "quantized_bits(16, 6, 1, alpha=1.0)"
# ap_ufixed<8,3,AP_RND_CONV,AP_SAT>. Eight bits keep every sum below 2^24 LSBs: Keras, which computes in
# float32, then computes the network exactly, in whatever order it adds.
ACTIVATION = "quantized_relu(8, 3)"

KerasModel = Any
Layer = Callable[..., Any]


def digits_cnn() -> KerasModel:
    """Build the float network, untrained: convolutions without bias, each with batch normalisation.

    Returns a ``keras.Model`` from (N, 8, 8, 1) in [0, 1] to logits (N, 10).
    """
    layers = keras().layers

    def conv(x: Any, filters: int, kernel: int, strides: int, name: str) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    def relu(x: Any, name: str) -> Any:
        return layers.Activation("relu", name=name)(x)

    def dense(x: Any, units: int, name: str) -> Any:
        return layers.Dense(units, name=name)(x)

    return _build("digits_cnn", conv, relu, dense)


def digits_qcnn() -> KerasModel:
    """Build the QKeras twin, untrained: the same layers, batch normalisation folded into a bias.

    Weights are `WEIGHT_QUANTIZER`, biases `BIAS_QUANTIZER`, every ReLU is `ACTIVATION`. A convolution that
    feeds an addition, the average and the logits are not rounded. Shapes as for `digits_cnn`.
    """
    quantised = qkeras()
    weights = {"kernel_quantizer": WEIGHT_QUANTIZER, "bias_quantizer": BIAS_QUANTIZER}

    def conv(x: Any, filters: int, kernel: int, strides: int, name: str) -> Any:
        layer = quantised.QConv2D(filters, kernel, strides=strides, padding="same", name=name, **weights)
        return layer(x)

    def relu(x: Any, name: str) -> Any:
        return quantised.QActivation(ACTIVATION, name=name)(x)

    def dense(x: Any, units: int, name: str) -> Any:
        return quantised.QDense(units, name=name, **weights)(x)

    return _build("digits_qcnn", conv, relu, dense)


def _build(name: str, conv: Layer, relu: Layer, dense: Layer) -> KerasModel:
    """Lay out the topology of this module's docstring from three kinds of layer."""
    library = keras()
    first, second = CHANNELS

    def block(x: Any, strides: int, project: bool, name: str) -> Any:
        shortcut = conv(x, second, 1, strides, f"{name}_shortcut") if project else x
        branch = relu(conv(x, second, 3, strides, f"{name}_conv1"), f"{name}_relu1")
        branch = conv(branch, second, 3, 1, f"{name}_conv2")
        return relu(library.layers.Add(name=f"{name}_add")([branch, shortcut]), f"{name}_relu2")

    image = library.Input(INPUT_SHAPE, name="image")
    x = relu(conv(image, first, 3, 1, "conv1"), "relu1")
    x = library.layers.MaxPooling2D(2, name="pool1")(x)
    x = block(x, strides=2, project=True, name="block1")
    x = block(x, strides=1, project=False, name="block2")
    x = library.layers.GlobalAveragePooling2D(name="gap")(x)
    return library.Model(image, dense(x, CLASSES, "logits"), name=name)

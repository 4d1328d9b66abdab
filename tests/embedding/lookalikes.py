"""A SavedModel laid out as the Keras example's artefact, in small."""

import numpy as np

SIZE = 32


def save_example(tensorflow, folder):
    """`bit_model` embeds, the signature gives five class scores; returns their kernels."""
    rng = np.random.default_rng(0)
    kernel = tensorflow.Variable(rng.standard_normal((3 * 16, 24)).astype(np.float32))
    scores = tensorflow.Variable(rng.standard_normal((24, 5)).astype(np.float32))
    images = tensorflow.TensorSpec((None, SIZE, SIZE, 3), tensorflow.float32)

    class Embedding(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.kernel = kernel

        @tensorflow.function(input_signature=[images])
        def __call__(self, x):
            pooled = tensorflow.nn.avg_pool2d(x, SIZE // 4, SIZE // 4, "VALID")
            return 3.0 * tensorflow.matmul(tensorflow.reshape(pooled, (-1, 3 * 16)), self.kernel)

    class Flowers(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.bit_model, self.dense1 = Embedding(), scores

        @tensorflow.function(input_signature=[images])
        def serve(self, x):
            return {"dense1": tensorflow.matmul(self.bit_model(x), self.dense1)}

    module = Flowers()
    tensorflow.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return kernel.numpy(), scores.numpy()

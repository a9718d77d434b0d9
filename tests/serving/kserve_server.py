"""KServe, a server that is not ours, with an exported model in plain TensorFlow.

python kserve_server.py FOLDER PORT, with a Python that has kserve and tensorflow. It
answers {"signature_name": …, "instances": [{…}, …]} at /v1/models/exported:predict.
"""

import sys

import tensorflow as tf
from kserve import Model, ModelServer
from kserve.errors import InvalidInput


class Exported(Model):
    def __init__(self, path):
        super().__init__("exported")
        self.loaded = tf.saved_model.load(path)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        signature = self.loaded.signatures[payload["signature_name"]]
        specs = signature.structured_input_signature[1]
        try:
            outputs = signature(
                **{
                    name: tf.constant(
                        [row[name] for row in payload["instances"]], spec.dtype
                    )
                    for name, spec in specs.items()
                }
            )
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise InvalidInput(str(error)) from error
        columns = {name: value.numpy().tolist() for name, value in outputs.items()}
        return {
            "predictions": [
                dict(zip(columns, row, strict=True))
                for row in zip(*columns.values(), strict=True)
            ]
        }


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    ModelServer(http_port=int(port), enable_grpc=False).start([Exported(folder)])

"""What `benchmarks.serving` compares with: an energy behind Ray Serve's batching."""

import sys
import threading

import fastapi
import ray
import tensorflow as tf
from ray import serve

app = fastapi.FastAPI()


@serve.deployment(max_ongoing_requests=256)
@serve.ingress(app)
class Energies:
    def __init__(self, path):
        self.energy = tf.saved_model.load(path).signatures["serving_default"]

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0)
    async def energies(self, instances):
        rows = tf.constant([row for rows in instances for row in rows], tf.float32)
        found = iter(self.energy(images=rows)["energy"].numpy().tolist())
        return [[next(found) for _ in rows] for rows in instances]

    @app.post("/v1/models/model:predict")
    async def predict(self, body: dict):
        return {"predictions": await self.energies(body["instances"])}


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(Energies.bind(sys.argv[1]))
    threading.Event().wait()

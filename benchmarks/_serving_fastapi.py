"""What `benchmarks.serving` compares with: an energy behind FastAPI, nothing more."""

import sys

import fastapi
import tensorflow as tf
import uvicorn

energy = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
app = fastapi.FastAPI()


@app.post("/v1/models/model:predict")
def predict(body: dict):
    images = tf.constant(body["instances"], tf.float32)
    return {"predictions": energy(images=images)["energy"].numpy().tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), access_log=False)

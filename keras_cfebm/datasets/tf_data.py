"""From a Python iterator to tf.data; TensorFlow is imported on first use only."""


def as_tf_dataset(generate, shape, labels, count):
    """Wraps a generator of batches.

    Args:
        generate: callable that returns an iterator of float32 images, or with `labels`
            of (images, int32 labels).
        shape: shape of the images of a batch; None where it varies.
        labels: bool, whether there are labels.
        count: number of batches; None for endless.

    Returns:
        A `tf.data.Dataset`, prefetched.
    """
    # Here, so that arrays and folders can be read where TensorFlow is not installed.
    import tensorflow as tf

    signature = tf.TensorSpec(shape, tf.float32)
    if labels:
        signature = (signature, tf.TensorSpec(shape[:1], tf.int32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    cardinality = tf.data.INFINITE_CARDINALITY if count is None else max(count, 0)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    return dataset.prefetch(tf.data.AUTOTUNE)
